//! The counters of Envoy, of customs and of the audit log beside one another.

use super::*;

fn metrics(allow: u64, deny: u64) -> CustomsMetrics {
    CustomsMetrics::read(&format!(
        "customs_decisions_total{{effect=\"allow\",identity=\"valid\"}} {allow}\n\
         customs_decisions_total{{effect=\"deny\",identity=\"valid\"}} {deny}\n"
    ))
    .unwrap()
}

fn counts(ok: u64, denied: u64, error: u64) -> AuthorizationCounts {
    AuthorizationCounts {
        ok,
        denied,
        error,
        ..AuthorizationCounts::default()
    }
}

fn stats(authorization: AuthorizationCounts) -> EnvoyStats {
    EnvoyStats {
        authorization,
        filters: 1,
    }
}

fn with(
    envoy: (AuthorizationCounts, Option<AuthorizationCounts>),
    customs: ((u64, u64), Option<(u64, u64)>),
) -> Evidence {
    let mut replica = replica("a:1", |_| {});
    replica.metrics = Some(metrics(customs.0.0, customs.0.1));
    replica.metrics_before = customs.1.map(|(allow, deny)| metrics(allow, deny));
    let mut evidence = evidence(vec![replica]);
    evidence.proxies.push(ProxyEvidence {
        name: "gateway".into(),
        stats: Some(stats(envoy.0)),
        stats_before: envoy.1.map(stats),
        ..ProxyEvidence::default()
    });
    evidence
}

#[test]
fn what_is_counted_while_it_watches_must_agree() {
    // Both begin at 100 allows and 10 denials.
    let before = (Some(counts(100, 10, 0)), Some((100, 10)));
    for (ok, denied, error, allow, deny, expected) in [
        (200, 20, 0, 200, 20, None),
        // The readings are not taken at one moment.
        (201, 20, 0, 200, 20, None),
        // A replica that was not given answers as well.
        (300, 20, 0, 200, 20, Some(Code::CountsDiffer)),
        // A gateway that was not given asks as well.
        (200, 20, 0, 300, 20, Some(Code::CountsDiffer)),
        // Decided too late: Envoy counts errors for them.
        (150, 20, 50, 200, 20, Some(Code::ChecksFailed)),
        // As many answers, and other ones.
        (210, 10, 0, 170, 50, Some(Code::CountsDiffer)),
    ] {
        let evidence = with(
            (counts(ok, denied, error), before.0),
            ((allow, deny), before.1),
        );
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(
            codes(&evidence),
            expected,
            "{ok} {denied} {error} {allow} {deny}"
        );
    }
}

#[test]
fn totals_of_processes_with_other_starts_are_no_fault() {
    let evidence = with((counts(200, 20, 0), None), ((100, 10), None));
    let diagnosis = examine(&evidence);
    assert_eq!(diagnosis.findings, []);
    let not_checked = diagnosis
        .not_checked
        .iter()
        .find(|not| not.needs.contains("--watch"));
    let needs = &not_checked.unwrap().needs;
    assert!(
        needs.contains("220 verdicts") && needs.contains("110 decisions"),
        "{needs}"
    );
}

#[test]
fn counters_that_began_anew_are_read_as_totals() {
    let evidence = with(
        (counts(5, 0, 0), Some(counts(100, 10, 0))),
        ((300, 10), Some((100, 10))),
    );
    assert_eq!(examine(&evidence).findings, []);
}

#[test]
fn each_counter_of_trouble_has_its_finding() {
    for (change, expected) in [
        (counts(0, 0, 3), vec![Code::ChecksFailed]),
        (
            AuthorizationCounts {
                error: 3,
                failure_mode_allowed: 3,
                ..AuthorizationCounts::default()
            },
            vec![Code::ChecksFailed, Code::PassedUnchecked],
        ),
        (
            AuthorizationCounts {
                disabled: 3,
                ..AuthorizationCounts::default()
            },
            vec![Code::NotAsked],
        ),
    ] {
        let evidence = with((change, None), ((0, 0), None));
        assert_eq!(codes(&evidence), expected, "{change:?}");
    }
}

#[test]
fn decisions_that_are_not_on_record_are_missed() {
    for (decisions, dropped, is_filtered, expected) in [
        (110, 0, false, None),
        (5_000, 0, false, None),
        (100, 10, false, None),
        (50, 10, false, Some(Code::RecordsMissing)),
        (50, 10, true, None),
    ] {
        let mut evidence = with((counts(100, 10, 0), None), ((100, 10), None));
        evidence.records = Some(RecordCounts {
            files: vec!["audit.jsonl".into()],
            decisions,
            dropped,
            is_filtered,
            ..RecordCounts::default()
        });
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(
            codes(&evidence),
            expected,
            "{decisions} {dropped} {is_filtered}"
        );
    }
}

#[test]
fn checks_that_take_longer_than_the_timeout_are_found() {
    for (within, expected) in [(10_000, None), (9_000, Some(Code::TimeoutShort))] {
        let mut replica = replica("a:1", |_| {});
        let text = format!(
            "customs_check_duration_seconds_count 10000\n\
             customs_check_duration_seconds_bucket{{le=\"0.5\"}} {within}\n"
        );
        replica.metrics = Some(CustomsMetrics::read(&text).unwrap());
        let mut evidence = evidence(vec![replica]);
        let mut objects = IstioObjects::default();
        objects.read("m", mesh::MESH).unwrap();
        (evidence.objects, evidence.has_mesh_config) = (objects, true);
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(codes(&evidence), expected, "{within}");
    }
}

#[test]
fn what_customs_knows_of_failed_checks_is_told_with_them() {
    let seen = |metrics: &str| {
        let mut evidence = with((counts(0, 0, 3), None), ((0, 0), None));
        let text = format!("customs_decisions_total{{effect=\"allow\"}} 0\n{metrics}");
        evidence.replicas[0].metrics = Some(CustomsMetrics::read(&text).unwrap());
        examine(&evidence).findings[0].evidence.join("\n")
    };
    for (metrics, expected) in [
        (
            "customs_refusals_total{cause=\"overloaded\"} 3\ncustoms_refusals_total{cause=\"http1\"} 0\n",
            "replica a:1 refused: overloaded 3",
        ),
        (
            "customs_callers_gone_total 2\n",
            "decided 2 after the gateway had given up",
        ),
        ("", "they did not arrive"),
    ] {
        assert!(seen(metrics).contains(expected), "{}", seen(metrics));
    }
}

#[test]
fn counters_of_any_size_are_compared() {
    let largest = AuthorizationCounts {
        ok: u64::MAX,
        denied: u64::MAX,
        error: u64::MAX,
        disabled: u64::MAX,
        failure_mode_allowed: u64::MAX,
    };
    for before in [None, Some(AuthorizationCounts::default())] {
        let mut evidence = with((largest, before), ((u64::MAX, u64::MAX), Some((0, 0))));
        evidence.proxies.push(evidence.proxies[0].clone());
        evidence.replicas.push(evidence.replicas[0].clone());
        evidence.records = Some(RecordCounts {
            files: vec!["a".into()],
            decisions: u64::MAX,
            dropped: u64::MAX,
            ..RecordCounts::default()
        });
        assert!(examine(&evidence).has(Code::NotAsked));
    }
}
