//! Grants and exceptions that expire: their order, and that each is reported once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use customs_engine::expirations::Expirations;
use customs_engine::settings::Settings;
use customs_engine::time::UnixNanos;
use customs_policy::compile;
use customs_policy::source::{PolicyFile, Source, load};

fn expirations() -> Expirations {
    let text = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {name: p, namespace: n}\nspec:\n  \
                owner: team-n\n  allow:\n  \
                - {name: late, hosts: [a.example], expires: '1970-01-01T00:00:03Z'}\n  \
                - {name: soon, hosts: [b.example], expires: '1970-01-01T00:00:01Z', ticket: T-1}\n  \
                - {name: never, hosts: [c.example]}\n  deny:\n  \
                - {name: d, hosts: [d.example], except: [{hosts: [d.example], expires: '1970-01-01T00:00:02Z'}]}\n  \
                - {name: t, mode: Report, hosts: [e.example], except: [{hosts: [e.example], expires: '1970-01-01T00:00:02Z'}]}\n";
    let file = PolicyFile {
        name: "a.yaml".into(),
        bytes: text.as_bytes().into(),
    };
    let settings = Settings::default();
    let source = load(
        &Source {
            name: "s".into(),
            files: vec![file],
            ..Source::default()
        },
        &settings,
    );
    let snapshot = compile::compile(&[source], &settings).unwrap().snapshot;
    Expirations::of(snapshot.rules())
}

fn at(millis: i128) -> UnixNanos {
    UnixNanos(millis * 1_000_000)
}

#[test]
fn grants_and_exceptions_end_in_their_order() {
    let ids = |from| {
        expirations()
            .after(at(from))
            .map(|(info, _)| info.id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(0), ["ep:n/p#soon", "ep:n/p#d.except[0]", "ep:n/p#late"]);
    assert_eq!(ids(1_000), ["ep:n/p#d.except[0]", "ep:n/p#late"]);
    assert_eq!(ids(3_000), [""; 0]);
}

#[test]
fn each_end_is_told_once_by_whoever_looks_on_and_on() {
    let expirations = expirations();
    let mut reported = Vec::new();
    for (from, to) in [
        (0, 999),
        (999, 1_000),
        (1_000, 1_500),
        (1_500, 2_999),
        (2_999, 9_000),
        (9_000, 9_001),
    ] {
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let passed = expirations.passed(at(from), at(to));
        reported.extend(passed.map(|(info, _)| {
            (
                to,
                info.id.to_string(),
                text(info.ticket()),
                text(info.owner()),
            )
        }));
    }
    let expected = [
        (1_000, "ep:n/p#soon", "T-1"),
        (2_999, "ep:n/p#d.except[0]", ""),
        (9_000, "ep:n/p#late", ""),
    ];
    let expected = expected
        .map(|(to, rule, ticket)| (to, rule.to_owned(), ticket.to_owned(), "team-n".to_owned()));
    assert_eq!(reported, expected);
}
