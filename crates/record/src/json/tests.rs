//! Lines as consumers read them: the types of values, what is left out, and texts that are cut.
//! `tests/audit` checks the lines against the schema.

use serde_json::{Value, json};

use super::*;
use crate::encode::{MAX_FILES, MAX_PROBLEMS};
use crate::examples::{full_change, full_decision, of_every_kind};
use crate::fields;
use crate::{DecisionEntry, QuestionEntry};
use customs_engine::time::UnixNanos;

fn value_of(entry: &Entry) -> Value {
    let mut out = Vec::new();
    open(entry, "5f0c", 9_007_199_254_740_993, &mut out);
    close("00", &mut out);
    serde_json::from_slice(&out).unwrap()
}

fn decided(entry: DecisionEntry) -> Value {
    value_of(&Entry::Decision(entry.into()))
}

/// The names of an object, in their order.
fn names(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn a_record_lists_so_many_files_and_says_how_many_more_there_are() {
    let mut change = full_change();
    let file = change.sources[0].files[0].clone();
    change.sources[0].files = vec![file.clone(); MAX_FILES - 1];
    change.sources[1].files = vec![file; 3];
    let value = value_of(&Entry::PolicyChange(change.into()));
    let count = |source: usize| value["sources"][source]["files"].as_array().unwrap().len();
    assert_eq!((count(0), count(1)), (MAX_FILES - 1, 1));
    assert_eq!(
        (
            &value["sources"][0]["filesLeftOut"],
            &value["sources"][1]["filesLeftOut"]
        ),
        (&Value::Null, &2.into())
    );
}

#[test]
fn a_full_entry_of_every_kind_has_the_listed_fields_in_order() {
    let kinds: Vec<_> = of_every_kind().iter().map(Entry::kind).collect();
    assert_eq!(
        kinds,
        fields::KINDS
            .iter()
            .map(|kind| kind.name)
            .collect::<Vec<_>>()
    );
    for entry in of_every_kind() {
        let value = value_of(&entry);
        assert_eq!(names(&value), fields::of(entry.kind()), "{}", entry.kind());
        for (field, listed) in [
            ("/answer", fields::of_answer()),
            ("/problems/0", fields::names(fields::PROBLEM)),
            ("/headers/0", fields::names(fields::HEADER)),
            ("/sources/0/files/0", fields::names(fields::FILE)),
        ] {
            let Some(inner) = value.pointer(field) else {
                continue;
            };
            assert_eq!(names(inner), listed, "{field}");
        }
        if let Some(lost) = value.get("lost") {
            assert_eq!(names(lost), fields::names(fields::LOSS));
        }
    }
}

#[test]
fn a_question_has_no_answer_of_its_own() {
    let entry = QuestionEntry {
        time: UnixNanos(1_000),
        asked_by: "127.0.0.1:40000".into(),
        now: UnixNanos(0),
        answer: full_decision().into(),
    };
    let value = value_of(&Entry::Question(entry.into()));
    for (field, expected) in [
        ("time", json!("1970-01-01T00:00:00.000001000Z")),
        ("kind", json!("question")),
        ("askedBy", json!("127.0.0.1:40000")),
        ("now", json!("1970-01-01T00:00:00.000000000Z")),
        ("verdict", Value::Null),
        ("effect", Value::Null),
    ] {
        assert_eq!(value[field], expected, "{field}");
    }
    assert_eq!(value["answer"]["verdict"], "deny");
    for absent in [
        "decisionId",
        "decisionNumber",
        "durationMicros",
        "callerGone",
    ] {
        assert_eq!(value["answer"].get(absent), None, "{absent}");
    }
}

#[test]
fn values_have_the_types_of_a_protobuf_message() {
    let value = decided(full_decision());
    for (field, expected) in [
        ("time", json!("2026-11-23T12:00:00.123456789Z")),
        ("sequence", json!("9007199254740993")),
        ("decisionNumber", json!("9007199254740993")),
        ("port", json!(80)),
        ("durationMicros", json!(18)),
        ("identityDecided", json!(true)),
        ("truncated", json!(["path"])),
        ("verdict", json!("deny")),
        ("dryRun", json!("allow")),
        (
            "headers",
            json!([{"name": "x-team", "present": true, "matched": ["payments*", "ops"], "value": "payments-eu",
                "valueUnknown": true}]),
        ),
    ] {
        assert_eq!(value[field], expected, "{field}");
    }
}

#[test]
fn what_is_absent_is_left_out() {
    let mut entry = full_decision();
    entry.dry_run = entry.verdict.clone();
    entry.verdict.by_identity = false;
    entry.verdict.expires = None;
    entry.identity_detail = None;
    entry.port = None;
    entry.path.clear();
    entry.duration_micros = 0;
    entry.optional = None;
    let value = decided(entry);
    #[rustfmt::skip]
    let absent = [
        "identityDecided", "identityDetail", "port", "truncated", "path", "dryRunOrigin", "dryRunOwner", "expires",
        "headers", "sniAbsent", "addressUnreadable", "authorityHeader", "certificateUris",
    ];
    for absent in absent {
        assert_eq!(value.get(absent), None, "{absent}");
    }
    for present in [
        "identity",
        "dryRunReason",
        "dryRunRule",
        "protocol",
        "enforcement",
        "durationMicros",
    ] {
        assert!(value.get(present).is_some(), "{present}");
    }
}

#[test]
fn problems_are_listed_up_to_a_limit() {
    let value = value_of(&Entry::PolicyChange(full_change().into()));
    assert_eq!(value["problems"].as_array().unwrap().len(), MAX_PROBLEMS);
    assert_eq!(value["problemsLeftOut"], json!(1));
    let first = json!({"code": "bad-host", "severity": "error", "file": "a.yaml", "line": 3, "column": 9,
        "text": "`http://x` is a URL", "hint": "write `x`"});
    assert_eq!(value["problems"][0], first);
    let other = json!({"code": "empty-policy", "severity": "warning", "file": "b.yaml", "text": "it does nothing"});
    assert_eq!(value["problems"][1], other);
}

#[test]
fn whatever_is_not_plain_is_escaped() {
    for (text, expected) in [
        ("plain ~", r#""plain ~""#),
        ("a\"b\\c", r#""a\"b\\c""#),
        ("a\r\nb\tc", r#""a\r\nb\tc""#),
        ("\u{0}\u{1b}[31m\u{7f}", r#""\u0000\u001b[31m\u007f""#),
        (
            "\u{85}\u{2028}\u{202e}\u{feff}",
            r#""\u0085\u2028\u202e\ufeff""#,
        ),
        ("ä😀", r#""\u00e4\ud83d\ude00""#),
    ] {
        let mut out = Vec::new();
        quote(&mut out, text);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
