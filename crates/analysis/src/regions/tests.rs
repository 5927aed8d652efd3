//! Tables of sets and of the cells that they are cut into.

use std::ops::ControlFlow;

use super::*;
use customs_engine::effect::Effect;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_policy::compile;
use customs_policy::source::{self, PolicyFile, Source};

mod hard;

const NOW: UnixNanos = UnixNanos(1_793_491_200_000_000_000); // 2026-11-01T00:00:00Z

fn snapshot(documents: &str, settings: &Settings) -> Snapshot {
    let file = PolicyFile {
        name: "p.yaml".into(),
        bytes: documents.as_bytes().into(),
    };
    let loaded = source::load(
        &Source {
            name: "p".into(),
            files: vec![file],
            ..Source::default()
        },
        settings,
    );
    compile::compile(&[loaded], settings)
        .unwrap_or_else(|why| panic!("{why:?}\n{documents}"))
        .snapshot
}

fn egress(namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: e, namespace: {namespace}}}\n\
         spec: {spec}\n"
    )
}

/// Every cell in words with its verdict, and every region that is left.
fn cells(documents: &str, settings: &Settings) -> (Vec<String>, Vec<String>) {
    let set = snapshot(documents, settings);
    let space = Space::new(&[&set], &[], NOW);
    let mut cells = Vec::new();
    let outcome = space.explore(None, 100_000, |cell| {
        let effect = cell.decisions()[0].verdict.effect();
        let own = cell.witness().unwrap().with(settings, |request| {
            let again = set.decide(request, NOW);
            assert_eq!(again, cell.decisions()[0], "{cell}");
            cell.contains(request)
        });
        assert!(own, "{cell} has no {:?}", cell.witness());
        cells.push(format!("{} {cell}", effect.as_str()));
        ControlFlow::Continue(())
    });
    let left = outcome.left.iter().map(ToString::to_string).collect();
    (cells, left)
}

#[test]
fn a_grant_cuts_callers_hosts_and_ports() {
    let (cells, left) = cells(
        &egress(
            "web",
            "{isolate: true, allow: [{name: a, hosts: [a.example]}]}",
        ),
        &Settings::default(),
    );
    assert_eq!(left, [""; 0]);
    let has = |line: &str| {
        assert!(
            cells.iter().any(|cell| cell == line),
            "no {line:?} in {cells:#?}"
        )
    };
    has("allow web/* -> http://a.example, no port, port 80, port 443");
    has("deny web/* -> http://a.example, any other port");
    has("allow web/* -> tcp://a.example, no port, port 80, port 443");
    has("allow */* -> tcp without SNI");
}

#[test]
fn an_exploration_within_a_rule_looks_nowhere_else() {
    let set = snapshot(
        &egress(
            "web",
            "{isolate: true, allow: [{name: a, hosts: [a.example, b.example]}]}",
        ),
        &Settings::default(),
    );
    let other = snapshot(
        &egress(
            "web",
            "{isolate: true, allow: [{name: a, hosts: [b.example]}]}",
        ),
        &Settings::default(),
    );
    let space = Space::new(&[&set], &[], NOW);
    let within = Within {
        rule: &other.rules().grants[0],
        effect: Effect::Allow,
    };
    let mut hosts = Vec::new();
    let outcome = space.explore(Some(within), 100, |cell| {
        hosts.push(cell.to_string());
        ControlFlow::Continue(())
    });
    assert!(outcome.is_complete());
    assert!(
        !hosts.is_empty() && hosts.iter().all(|cell| cell.contains("b.example")),
        "{hosts:?}"
    );
}
