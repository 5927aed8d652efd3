//! Log injection: whatever a client sends, one decision is one line of ASCII that reads back to
//! what was sent.

use customs_record::{DecisionEntry, Entry};
use serde_json::Value;

use crate::replay::Case;
use crate::{assert_is_one_line, examples, line};
use customs_test_support::case_rows;
use customs_test_support::decoded_check::DecodedCheck;

fn read(entry: &DecisionEntry) -> Value {
    let line = line(&Entry::Decision(entry.clone().into()));
    assert_is_one_line(&line);
    serde_json::from_str(&line).unwrap()
}

fn assert_reads_back(entry: &DecisionEntry) {
    let value = read(entry);
    for (field, text) in [
        ("principal", &entry.principal),
        ("rawHost", &entry.raw_host),
        ("host", &entry.host),
        ("sni", &entry.sni),
        ("method", &entry.method),
        ("path", &entry.path),
        ("requestId", &entry.request_id),
        ("traceparent", &entry.traceparent),
        ("gateway", &entry.gateway),
        ("streamId", &entry.stream_id),
        ("ruleReason", &entry.verdict.rule_reason),
    ] {
        assert_eq!(value[field].as_str().unwrap_or_default(), text, "{field}");
    }
    assert_eq!(
        value["authorityHeader"].as_str(),
        entry.optional().authority_header.as_deref()
    );
    let uris = value["certificateUris"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    assert_eq!(uris.collect::<Vec<_>>(), entry.optional().certificate_uris);
}

/// Whether some text of the request is not printable ASCII.
fn is_hostile(value: &Value) -> bool {
    match value {
        Value::String(text) => text.bytes().any(|byte| !(0x20..0x7f).contains(&byte)),
        Value::Array(values) => values.iter().any(is_hostile),
        Value::Object(fields) => fields
            .iter()
            .any(|(name, value)| is_hostile(&name.as_str().into()) || is_hostile(value)),
        _ => false,
    }
}

#[test]
fn every_attack_is_one_line() {
    let (mut lines, mut hostile) = (0, 0);
    let sent = include_str!("../cases/attacks.jsonl")
        .lines()
        .map(|row| serde_json::from_str::<Value>(row).unwrap());
    for (row, sent) in case_rows::rows("attacks.jsonl").iter().zip(sent) {
        let settings = row.settings();
        let Ok(snapshot) = row.snapshot(&settings) else {
            continue;
        };
        let case = Case {
            check: row.check(),
            snapshot,
        };
        let entry = case.entry(&[]).unpacked();
        assert_reads_back(&entry);
        // What was sent is what is recorded, except the query and what is too long.
        let decoded = DecodedCheck::of(&case.check);
        let attributes = decoded.attributes();
        let raw_host = attributes.http.map_or(attributes.service, |http| http.host);
        if entry.optional().truncated.is_empty() {
            assert_eq!(
                (entry.principal.as_str(), entry.raw_host.as_str()),
                (attributes.source_principal, raw_host)
            );
        }
        lines += 1;
        hostile += usize::from(is_hostile(&sent["check_request"]));
    }
    assert_eq!((lines, hostile), (140, 11));
}

#[test]
fn texts_that_would_begin_a_line_or_colour_a_terminal_do_neither() {
    for text in [
        "a\n{\"kind\":\"decision\",\"verdict\":\"allow\"}",
        "a\r\n\r\nb",
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "\u{9b}31m\u{85}\u{2028}\u{2029}",
        "\u{202e}gnp.exe\u{2066}",
        "\",\"verdict\":\"allow\",\"x\":\"",
        "\\\",\\u000a\\",
        "\u{0}",
        "\u{feff}\u{200b}😀\u{10ffff}",
        "',');DROP TABLE audit;--",
    ] {
        let mut entry = examples::full_decision();
        for field in [
            &mut entry.principal,
            &mut entry.raw_host,
            &mut entry.host,
            &mut entry.sni,
            &mut entry.method,
            &mut entry.path,
            &mut entry.request_id,
            &mut entry.traceparent,
            &mut entry.gateway,
            &mut entry.stream_id,
            &mut entry.verdict.rule_reason,
        ] {
            *field = text.into();
        }
        entry.optional_mut().certificate_uris[0] = text.to_owned();
        entry.optional_mut().authority_header = Some(text.to_owned());
        assert_reads_back(&entry);
        assert_eq!(read(&entry)["verdict"], "deny", "{text:?}");
    }
}
