//! Connections and requests that are refused before they are checks: counted, logged once, and
//! recorded together.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::denying;
use customs_test_support::server::Plan;

#[test]
fn refusals_are_counted_logged_once_and_recorded_together() {
    let plan = Plan::with("--audit file:out/audit.jsonl --max-message-size 64KiB");
    let mut server = plan
        .file("policies/a.yaml", &denying("a", "x.example"))
        .start();
    let strangers = [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x00\x4a"];
    for bytes in strangers.into_iter().cycle().take(10) {
        let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream.write_all(bytes).unwrap();
        // The connection is closed; with unread bytes that may be a reset.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    let count = |cause| format!("customs_refusals_total{{cause=\"{cause}\"}} 5");
    server.until("counted", || {
        let metrics = server.get("/metrics")?.1;
        ["http1", "tls"]
            .iter()
            .all(|cause| metrics.contains(&count(cause)))
            .then_some(())
    });
    let ended = server.stop();
    for cause in ["http1", "tls"] {
        let logged = ended
            .stderr
            .lines()
            .filter(|line| line.contains(&format!("\"cause\":\"{cause}\"")))
            .count();
        assert_eq!(logged, 1, "{cause}: {}", ended.stderr);
    }
    let lines = server.folder.text("out/audit.jsonl");
    let records: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let refusals: Vec<&Value> = records
        .iter()
        .filter(|record| record["kind"] == "refusals")
        .collect();
    let [record] = refusals[..] else {
        panic!("{refusals:?}")
    };
    let pair = |refusal: &Value| {
        (
            refusal["peer"].clone(),
            refusal["cause"].clone(),
            refusal["count"].clone(),
        )
    };
    let pairs: Vec<_> = record["refusals"]
        .as_array()
        .unwrap()
        .iter()
        .map(pair)
        .collect();
    let expected = |cause: &str| ("127.0.0.1".into(), cause.into(), "5".into());
    assert_eq!(pairs, [expected("http1"), expected("tls")]);
    assert_eq!(
        records.last().unwrap()["kind"],
        "checkpoint",
        "and the stream ends as ever"
    );
}
