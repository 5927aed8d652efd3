//! Texts that would begin a line, end a record or colour a terminal, sent through gRPC to a real
//! server. Each decision is one line of ASCII that reads back to what was sent, in a file and on
//! the standard output, and the chain holds.

use customs_test_support::decoded_check::DecodedCheck;
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::TlsSession;
use serde_json::Value;

use customs_test_support::audited_server::{Server, check, run, text_of, verify};
use customs_test_support::case_rows::rows;
use customs_test_support::load::Load;

/// Texts that a client could send to write into the audit log.
fn hostile_texts() -> Vec<String> {
    let controls = (0..0x20)
        .chain(0x7f..0xa0)
        .filter_map(char::from_u32)
        .map(|c| format!("a{c}b"));
    let others = [
        "a\n{\"kind\":\"decision\",\"effect\":\"allow\"}",
        "a\r\n\r\nb",
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "\u{9b}31m\u{2028}\u{2029}\u{85}",
        "\u{202e}gnp.exe\u{2066}",
        "\",\"effect\":\"allow\",\"x\":\"",
        "\\\",\\u000a\\",
        "\",\"chain\":\"0000000000000000000000000000000000000000000000000000000000000000\"}\n",
        "\u{feff}\u{200b}😀\u{10ffff}",
        "',');DROP TABLE audit;--",
    ];
    let long = [
        "é".repeat(2_000),
        "a".repeat(254) + &"😀".repeat(900),
        "\n".repeat(5_000),
        "\u{0}".repeat(300),
    ];
    controls
        .chain(others.map(str::to_owned))
        .chain(long)
        .collect()
}

/// Returns a check in which every text that a client controls is this one.
fn hostile(text: &str) -> CheckRequest {
    let mut request = check(text);
    let attributes = request.attributes.as_mut().unwrap();
    let http = attributes.request.as_mut().unwrap().http.as_mut().unwrap();
    (http.path, http.method) = (format!("/{text}"), text.to_owned());
    let headers = [
        "x-request-id",
        "traceparent",
        ":authority",
        "x-forwarded-client-cert",
        "cookie",
    ];
    http.headers = headers
        .map(|name| (name.to_owned(), text.to_owned()))
        .into();
    for peer in [&mut attributes.source, &mut attributes.destination] {
        let peer = peer.as_mut().unwrap();
        peer.principal = format!("spiffe://{text}");
        peer.certificate = text.to_owned();
    }
    attributes.tls_session = Some(TlsSession {
        sni: text.to_owned(),
    });
    request
}

/// Returns the records of decisions, line by line.
fn decisions(text: &str) -> Vec<Value> {
    assert!(
        text.ends_with('\n')
            && text
                .bytes()
                .all(|byte| byte == b'\n' || (0x20..0x7f).contains(&byte))
    );
    let records = text.lines().map(|line| {
        serde_json::from_str::<Value>(line).unwrap_or_else(|why| panic!("{why}: {line}"))
    });
    records
        .filter(|record| record["kind"] == "decision")
        .collect()
}

/// Checks that a text on record is what was sent, or its beginning if the record says that it was
/// cut.
fn assert_recorded(record: &Value, field: &str, sent: &str) {
    let recorded = record[field].as_str().unwrap_or_default();
    let was_cut = record["truncated"]
        .as_array()
        .is_some_and(|fields| fields.iter().any(|name| name == field));
    let is_recorded = if was_cut {
        sent.starts_with(recorded) && recorded.len() < sent.len()
    } else {
        sent == recorded
    };
    assert!(is_recorded, "{field}: {recorded:?} for {sent:?}, {was_cut}");
}

/// Checks that one record has what was sent, and nothing that must stay secret.
fn assert_is_of(record: &Value, request: &CheckRequest) {
    let decoded = DecodedCheck::of(request);
    let sent = decoded.attributes();
    let (host, path) = sent
        .http
        .as_ref()
        .map_or((sent.service, ""), |http| (http.host, http.path));
    for (field, sent) in [
        ("principal", sent.source_principal),
        ("gateway", sent.destination_principal),
        ("rawHost", host),
        ("sni", sent.tls_sni.unwrap_or_default()),
        ("path", path.split(['?', '#']).next().unwrap_or_default()),
    ] {
        assert_recorded(record, field, sent);
    }
}

#[test]
fn one_decision_is_one_line_whatever_is_sent() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(
        directory.path(),
        &["--audit", "stdout", "--audit", "file:audit.jsonl"],
    );
    let attacks = rows("attacks.jsonl");
    let mut requests: Vec<CheckRequest> = attacks.iter().map(|row| row.check()).collect();
    requests.extend(hostile_texts().iter().map(|text| hostile(text)));
    for one in &requests {
        // One after the other, so that the audit log has them in this order.
        let result = run(&Load {
            connections: 1,
            in_flight: 1,
            ..Load::new(server.port, 1, vec![one.clone()])
        });
        assert_eq!((result.answered(), result.failed), (1, 0), "{one:?}");
    }
    assert_eq!(server.stop(), Some(0));
    for name in ["audit.jsonl", "out"] {
        let file = directory.path().join(name);
        let records = decisions(&text_of(&file));
        assert_eq!(records.len(), requests.len(), "{name}: a line each");
        for (record, request) in records.iter().zip(&requests) {
            assert_is_of(record, request);
        }
        let (code, words) = verify(&[file]);
        assert_eq!(code, 0, "{name}: {words}");
        println!(
            "{} decisions, {} of them recorded attacks, in {name}: {}",
            requests.len(),
            attacks.len(),
            words.trim()
        );
    }
}
