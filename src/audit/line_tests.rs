//! Lines as they are read: their fields and their order, the types of values, and texts that a client chose.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::audit::examples::{full_change, full_decision};

fn rendered(entry: &Entry) -> String {
    let mut out = Vec::new();
    render(entry, 9_007_199_254_740_993, &mut out);
    String::from_utf8(out).unwrap()
}

fn line_of(entry: DecisionEntry) -> String {
    rendered(&Entry::Decision(Box::new(entry)))
}

fn value_of(entry: DecisionEntry) -> Value {
    serde_json::from_str(&line_of(entry)).unwrap()
}

/// The names in a line in the order in which they stand, of the outermost object.
fn names(line: &str) -> Vec<String> {
    let value: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
    let mut found: Vec<_> = value.keys().cloned().collect();
    found.sort_by_key(|name| line.find(&format!("\"{name}\":")));
    found
}

#[test]
fn the_end_of_a_grant_has_its_fields_in_their_order() {
    let text = |text: &str| text.to_owned();
    let entry = GrantEndEntry {
        time: UnixNanos(1_000_000_000),
        rule: text("ep:n/p#a"),
        origin: text("p/a.yaml:4"),
        owner: text("team"),
        ticket: text("T-1"),
        rule_reason: text("a \"trial\""),
        expires: UnixNanos(0),
        revision: text("r"),
    };
    let line = rendered(&Entry::GrantEnd(Box::new(entry)));
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value.as_object().unwrap().len(), GRANT_END_FIELDS.len());
    let places: Vec<_> = GRANT_END_FIELDS.iter().map(|field| line.find(&format!("\"{field}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{line}");
    assert_eq!(
        (value["kind"].as_str(), value["expires"].as_str()),
        (Some("grantEnd"), Some("1970-01-01T00:00:00.000000000Z"))
    );
}

#[test]
fn a_full_decision_has_every_field_in_order() {
    assert_eq!(names(&line_of(full_decision())), DECISION_FIELDS);
}

#[test]
fn a_full_change_has_every_field_in_order() {
    let line = rendered(&Entry::PolicyChange(Box::new(full_change())));
    assert_eq!(names(&line), POLICY_CHANGE_FIELDS);
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(names(&value["problems"][0].to_string()).len(), PROBLEM_FIELDS.len());
    assert!(value["problems"][0].as_object().unwrap().keys().all(|name| PROBLEM_FIELDS.contains(&name.as_str())));
}

#[test]
fn a_question_has_no_field_of_a_decision_outside_of_its_answer() {
    let entry = QuestionEntry {
        time: UnixNanos(1_000),
        asked_by: "127.0.0.1:40000".into(),
        now: UnixNanos(0),
        answer: full_decision(),
    };
    let line = rendered(&Entry::Question(Box::new(entry)));
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value.as_object().unwrap().len(), QUESTION_FIELDS.len());
    for (field, expected) in [
        ("time", json!("1970-01-01T00:00:00.000001000Z")),
        ("kind", json!("question")),
        ("askedBy", json!("127.0.0.1:40000")),
        ("now", json!("1970-01-01T00:00:00.000000000Z")),
    ] {
        assert_eq!(value[field], expected, "{field}");
    }
    let of_a_check = ["time", "kind", "sequence", "decisionId", "durationMicros"];
    let expected: Vec<_> = DECISION_FIELDS.iter().filter(|field| !of_a_check.contains(field)).collect();
    let (_, answer) = line.split_once("\"answer\":").unwrap();
    assert_eq!(names(answer.trim_end().strip_suffix('}').unwrap()).iter().collect::<Vec<_>>(), expected);
}

#[test]
fn values_have_the_types_of_a_protobuf_message() {
    let value = value_of(full_decision());
    for (field, expected) in [
        ("time", json!("2026-11-23T12:00:00.123456789Z")),
        ("sequence", json!("9007199254740993")),
        ("port", json!(80)),
        ("durationMicros", json!(18)),
        ("identityDecided", json!(true)),
        ("truncated", json!(["path"])),
        ("verdict", json!("deny")),
        ("would", json!("allow")),
    ] {
        assert_eq!(value[field], expected, "{field}");
    }
}

#[test]
fn what_is_absent_is_left_out_and_names_are_not() {
    let mut entry = full_decision();
    entry.would = entry.verdict.clone();
    entry.verdict.by_identity = false;
    entry.identity_detail = None;
    entry.port = None;
    entry.truncated.clear();
    entry.path.clear();
    entry.duration_micros = 0;
    let value = value_of(entry);
    for absent in ["identityDecided", "identityDetail", "port", "truncated", "path", "wouldOrigin", "wouldOwner"] {
        assert_eq!(value.get(absent), None, "{absent}");
    }
    for present in ["identity", "wouldReason", "wouldRule", "protocol", "enforcement", "durationMicros"] {
        assert!(value.get(present).is_some(), "{present}");
    }
}

#[test]
fn problems_are_listed_up_to_a_limit() {
    let line = rendered(&Entry::PolicyChange(Box::new(full_change())));
    let value: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["problems"].as_array().unwrap().len(), MAX_PROBLEMS);
    assert_eq!(value["problemsLeftOut"], json!(1));
    let first = json!({"code": "bad-host", "severity": "error", "file": "a.yaml", "line": 3, "column": 9,
        "text": "`http://x` is a URL", "hint": "write `x`"});
    assert_eq!(value["problems"][0], first);
    let other = json!({"code": "empty-policy", "severity": "warning", "file": "b.yaml", "text": "it does nothing"});
    assert_eq!(value["problems"][1], other);
}

#[test]
fn a_long_problem_is_cut_between_characters() {
    let long = "ä".repeat(MAX_PROBLEM_TEXT);
    assert_eq!(shortened(&long), "ä".repeat(MAX_PROBLEM_TEXT / 2) + "...");
    assert_eq!(shortened("short"), "short");
}

#[test]
fn times_are_told_with_nanoseconds() {
    for (nanos, expected) in [
        (0, "1970-01-01T00:00:00.000000000Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (1_000, "1970-01-01T00:00:00.000001000Z"),
        (i128::MIN, "0001-01-01T00:00:00.000000000Z"),
    ] {
        assert_eq!(rfc3339(UnixNanos(nanos)), expected);
    }
    assert!(rfc3339(UnixNanos(i128::MAX)).starts_with("9999-12-30T"));
}

#[test]
fn whatever_is_not_plain_is_escaped() {
    for (text, expected) in [
        ("plain ~", r#""plain ~""#),
        ("a\"b\\c", r#""a\"b\\c""#),
        ("a\r\nb\tc", r#""a\r\nb\tc""#),
        ("\u{0}\u{1b}[31m\u{7f}", r#""\u0000\u001b[31m\u007f""#),
        ("\u{85}\u{2028}\u{202e}\u{feff}", r#""\u0085\u2028\u202e\ufeff""#),
        ("ä😀", r#""\u00e4\ud83d\ude00""#),
    ] {
        let mut out = Vec::new();
        quote(&mut out, text);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

proptest! {
    #[test]
    fn any_text_is_one_line_of_ascii_that_reads_back(text in any::<String>(), host in "\\PC*|[\\x00-\\x20\"\\\\{}:,]*") {
        let mut entry = full_decision();
        entry.principal = text.clone();
        entry.raw_host = host.clone();
        entry.verdict.owner = text.clone();
        let line = line_of(entry);
        prop_assert!(line.is_ascii());
        prop_assert!(line.bytes().all(|byte| byte == b'\n' || (0x20..0x7f).contains(&byte)));
        prop_assert_eq!(line.find('\n'), Some(line.len() - 1));
        let value: Value = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(value.get("principal").and_then(Value::as_str).unwrap_or_default(), &text);
        prop_assert_eq!(value.get("rawHost").and_then(Value::as_str).unwrap_or_default(), &host);
        prop_assert_eq!(value.get("owner").and_then(Value::as_str).unwrap_or_default(), &text);
    }
}
