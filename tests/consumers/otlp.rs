//! What a collector gets: every record once, each with its line as the body, in a chain that holds.

use crate::collector::{Arrived, Rotel, Webhook, attribute};
use crate::lines::{self, Line};
use crate::{POLICY, check};
use customs_test_support::ports;
use customs_test_support::server::{Plan, Server};

const CHECKS: usize = 200;

fn server(port: u16, options: &str) -> Server {
    let flags =
        format!("--audit otlp:http://127.0.0.1:{port}{options} --audit file:out/audit.jsonl");
    Plan::with(&flags).file("policies/a.yaml", POLICY).start()
}

/// Whether the last record of the stream has arrived: its own checkpoint, after the one of the
/// file.
fn is_whole(arrived: &[Arrived]) -> bool {
    let kinds: Vec<String> = arrived
        .iter()
        .rev()
        .take(2)
        .map(|a| a.line().text("kind").to_owned())
        .collect();
    let last = arrived.last().map_or(0, |last| last.line().sequence());
    kinds == ["checkpoint", "checkpoint"] && last == arrived.len() as u64
}

/// The ids of the decisions, in their order.
fn decisions(lines: &[Line]) -> Vec<String> {
    lines::of_kind(lines, "decision")
        .into_iter()
        .map(|line| line.text("decisionId").to_owned())
        .collect()
}

#[test]
fn a_collector_gets_exactly_the_records_and_their_chain_holds() {
    let (port, webhook) = (ports::free().unwrap(), Webhook::start());
    let _rotel = Rotel::start(port, webhook.port());
    let mut server = server(port, "");
    check(&server, CHECKS);
    server.stop();
    let arrived = webhook.until("the whole stream", is_whole);
    let bodies: Vec<Line> = arrived.iter().map(Arrived::line).collect();
    lines::verify(&bodies);
    let file = lines::all(&server.folder.text("out/audit.jsonl"));
    assert_eq!(decisions(&bodies), decisions(&file));
    assert_eq!(decisions(&bodies).len(), CHECKS);
    for kind in ["start", "policyChange", "stop"] {
        assert_eq!(
            lines::of_kind(&bodies, kind).len(),
            lines::of_kind(&file, kind).len(),
            "{kind}"
        );
    }
    for (arrived, line) in arrived.iter().zip(&bodies) {
        assert_eq!(arrived.attribute("customs.sequence"), line.text("sequence"));
        for (name, field) in [
            ("customs.stream", "stream"),
            ("customs.kind", "kind"),
            ("customs.decision_id", "decisionId"),
            ("customs.effect", "effect"),
            ("customs.reason", "reason"),
            ("customs.rule", "rule"),
            ("customs.namespace", "namespace"),
            ("customs.service_account", "serviceAccount"),
            ("customs.host", "host"),
            ("customs.revision", "revision"),
        ] {
            assert_eq!(arrived.attribute(name), line.text(field), "{}", line.text);
        }
        assert_eq!(
            arrived.record.severity_text,
            if line.text("effect") == "deny" {
                "WARN"
            } else {
                "INFO"
            }
        );
        assert!(arrived.record.time_unix_nano > 0 && arrived.record.observed_time_unix_nano > 0);
        assert_eq!(attribute(&arrived.resource, "service.name"), "customs");
        assert_eq!(
            attribute(&arrived.resource, "service.version"),
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(arrived.scope, "customs.audit");
    }
}

#[test]
fn a_collector_that_comes_late_gets_everything() {
    let (port, webhook) = (ports::free().unwrap(), Webhook::start());
    let mut server = server(port, "?on_full=drop");
    check(&server, 20);
    let rotel = Rotel::start(port, webhook.port());
    webhook.until("the first checks", |arrived| {
        arrived
            .iter()
            .filter(|a| a.line().text("kind") == "decision")
            .count()
            == 20
    });
    check(&server, 20);
    server.stop();
    let arrived = webhook.until("the whole stream", is_whole);
    let bodies: Vec<Line> = arrived.iter().map(Arrived::line).collect();
    lines::verify(&bodies);
    assert_eq!(
        decisions(&bodies),
        decisions(&lines::all(&server.folder.text("out/audit.jsonl")))
    );
    assert_eq!(decisions(&bodies).len(), 40);
    drop(rotel);
}

#[test]
fn a_collector_that_never_comes_does_not_hold_up_the_end() {
    let port = ports::free().unwrap();
    let mut server = server(port, "?on_full=drop");
    check(&server, 10);
    server.signal("TERM");
    let ended = server.end();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("could not be written to otlp:http"),
        "{}",
        ended.stderr
    );
    let file = lines::all(&server.folder.text("out/audit.jsonl"));
    lines::verify(&file);
    assert_eq!(decisions(&file).len(), 10);
}
