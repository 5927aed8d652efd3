//! What is counted, under which labels, and what a scrape shows.

use std::collections::BTreeSet;

use super::*;
use customs_record::{AnswerEntry, Loss, examples};

mod formats;

fn none() -> String {
    String::new()
}

fn answer(reason: Reason) -> AnswerEntry {
    AnswerEntry {
        effect: reason.effect(),
        reason,
        rule: format!("builtin#{}", reason.as_str()),
        gate: "",
        open_gate: "",
        by_identity: false,
        expires: None,
        origin: none(),
        owner: none(),
        ticket: none(),
        rule_reason: none(),
        expired: none(),
        exception: none(),
        exception_expires: None,
    }
}

/// A decision whose other fields have values that no metric looks at.
fn decision(reason: Reason, dry_run: Reason, duration_micros: u32) -> DecisionEntry {
    DecisionEntry {
        duration_micros,
        effect: reason.effect(),
        verdict: answer(reason),
        dry_run: answer(dry_run),
        identity: IdentityState::Valid,
        caller_gone: false,
        optional: None,
        ..examples::full_decision()
    }
}

fn change(outcome: ChangeOutcome, revision: &str, refused: &[&str]) -> PolicyChange {
    PolicyChange {
        time: UnixNanos(1_000_000_000_500_000_000),
        outcome,
        revision: revision.into(),
        previous_revision: "before".into(),
        refused_sources: refused.iter().map(ToString::to_string).collect(),
        problems: Vec::new(),
        counts: RuleCounts {
            istio_deny: 1,
            istio_allow: 2,
            egress_deny: 3,
            egress_allow: 4,
            policies: 5,
        },
        sources: Vec::new(),
    }
}

fn scrape(metrics: &Metrics) -> String {
    metrics.encode(
        UnixNanos(1_000_000_010_500_000_000),
        Exposition::OpenMetrics,
    )
}

fn assert_has(metrics: &Metrics, lines: &[&str]) {
    let text = scrape(metrics);
    for line in lines {
        assert!(
            text.lines().any(|found| found == *line),
            "{line} is not in\n{text}"
        );
    }
}

#[test]
fn the_list_of_names_is_what_is_shown() {
    let metrics = Metrics::new();
    metrics.observe_decision(
        &decision(Reason::DefaultAllow, Reason::DefaultAllow, 1),
        "shop",
    );
    metrics.set_expirations(expirations());
    metrics.set_reads(vec![("policies".into(), UnixNanos(0))]);
    metrics.watch_connections(|| vec![("checks", 3), ("admin", 0)]);
    let text = metrics.encode(UnixNanos(0), Exposition::OpenMetrics);
    let shown: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        })
        .collect();
    let known = METRICS.iter().map(|metric| metric.name.to_owned());
    assert_eq!(shown, known.collect());
    for metric in METRICS {
        let named = metric.labels.iter().map(|label| label.name);
        let series = labels_of(&text, metric);
        // A sink or a certificate that is not there has no series.
        assert!(
            series.is_empty() || series == named.collect(),
            "{}: {series:?}",
            metric.name
        );
        let suffix = match metric.kind {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            MetricType::Gauge | MetricType::Histogram => "",
        };
        assert!(metric.name.ends_with(suffix), "{}", metric.name);
    }
    assert!(text.ends_with("# EOF\n"));
}

/// Returns the labels of the series of a metric, without the bounds of buckets.
fn labels_of<'t>(text: &'t str, metric: &MetricSpec) -> BTreeSet<&'t str> {
    let mut labels = BTreeSet::new();
    let series = text
        .lines()
        .filter_map(|line| line.strip_prefix(metric.name));
    for (inside, _) in series.filter_map(|rest| rest.strip_prefix(['{'])?.split_once("} ")) {
        labels.extend(
            inside
                .split("\",")
                .filter_map(|pair| Some(pair.split_once("=\"")?.0)),
        );
    }
    labels
}

#[test]
fn every_kind_of_decision_has_its_own_place() {
    let mut places = BTreeSet::new();
    for effect in Effect::ALL {
        for dry_run in Effect::ALL {
            for reason in Reason::ALL {
                places.extend(
                    IdentityState::ALL.map(|identity| kind(effect, dry_run, reason, identity)),
                );
            }
        }
    }
    assert_eq!((places.len(), places.last()), (KINDS, Some(&(KINDS - 1))));
}

#[test]
fn decisions_are_counted_by_their_answers() {
    let metrics = Metrics::new();
    metrics.observe_decision(
        &decision(Reason::DefaultAllow, Reason::DeniedByRule, 7),
        "shop",
    );
    metrics.observe_decision(
        &decision(Reason::DefaultAllow, Reason::DeniedByRule, 300),
        "shop",
    );
    metrics.observe_decision(
        &decision(Reason::AuditUnavailable, Reason::DefaultAllow, 2_000_000),
        "shop",
    );
    assert_has(
        &metrics,
        &[
            r#"customs_decisions_total{effect="allow",dry_run="deny",reason="default_allow",identity="valid"} 2"#,
            r#"customs_decisions_total{effect="deny",dry_run="allow",reason="audit_unavailable",identity="valid"} 1"#,
            "customs_answers_withheld_total 1",
            "customs_callers_gone_total 0",
            r#"customs_check_duration_seconds_bucket{le="0.00001"} 1"#,
            r#"customs_check_duration_seconds_bucket{le="1.0"} 2"#,
            "customs_check_duration_seconds_count 3",
        ],
    );
}

#[test]
fn one_revision_is_in_force() {
    let metrics = Metrics::new();
    assert_has(
        &metrics,
        &[
            r#"customs_policy_revision_info{revision="none"} 1"#,
            "customs_policy_age_seconds 0.0",
        ],
    );
    metrics.observe_change(&change(ChangeOutcome::Published, "r1", &[]));
    metrics.observe_change(&change(ChangeOutcome::PublishedInPart, "r2", &["policies"]));
    assert_has(
        &metrics,
        &[r#"customs_policy_revision_info{revision="r2"} 1"#],
    );
    assert_eq!(
        scrape(&metrics)
            .matches("customs_policy_revision_info{")
            .count(),
        1
    );
}

#[test]
fn a_change_updates_what_is_in_force() {
    let metrics = Metrics::new();
    metrics.observe_change(&change(ChangeOutcome::PublishedInPart, "r", &["policies"]));
    assert_has(
        &metrics,
        &[
            r#"customs_reloads_total{outcome="published_in_part"} 1"#,
            r#"customs_reloads_total{outcome="refused"} 0"#,
            "customs_policy_loaded_timestamp_seconds 1000000000.5",
            "customs_policy_age_seconds 10.0",
            "customs_policies 5",
            r#"customs_rules{family="istio",action="deny"} 1"#,
            r#"customs_rules{family="istio",action="allow"} 2"#,
            r#"customs_rules{family="egress",action="deny"} 3"#,
            r#"customs_rules{family="egress",action="allow"} 4"#,
            "customs_sources_refused 1",
        ],
    );
}

#[test]
fn a_refused_change_makes_nothing_younger() {
    let metrics = Metrics::new();
    metrics.observe_change(&change(ChangeOutcome::Refused, "none", &["policies"]));
    assert_has(
        &metrics,
        &[
            "customs_policy_loaded_timestamp_seconds 0.0",
            "customs_policy_age_seconds 0.0",
        ],
    );
}

#[test]
fn a_clock_that_went_back_makes_no_negative_age() {
    let metrics = Metrics::new();
    metrics.observe_change(&change(ChangeOutcome::Published, "r", &[]));
    assert!(
        metrics
            .encode(UnixNanos(0), Exposition::Classic)
            .contains("\ncustoms_policy_age_seconds 0.0\n")
    );
}

#[test]
fn a_check_is_in_flight_until_its_guard_goes() {
    let metrics = Metrics::new();
    let guards = [metrics.in_flight(), metrics.in_flight()];
    assert_has(&metrics, &["customs_checks_in_flight 2"]);
    drop(guards);
    assert_has(&metrics, &["customs_checks_in_flight 0"]);
}

#[test]
fn what_is_set_is_shown() {
    let metrics = Metrics::new();
    metrics.set_ready(true);
    metrics.set_enforcement(Enforcement::Report);
    metrics.watch_audit(|| {
        let lost = Loss {
            allows: 5,
            denials: 4,
            differing: 3,
            withheld: 2,
            events: 1,
        };
        let sink = "stdout".to_owned();
        vec![Reading {
            sink,
            written: 7,
            failures: 2,
            queued: 3,
            queued_bytes: 9,
            lost,
            healthy: false,
            withholding: true,
            problem: String::new(),
        }]
    });
    for (name, value) in [
        ("records_total", 7),
        ("write_failures_total", 2),
        ("queue_records", 3),
        ("queue_bytes", 9),
        ("healthy", 0),
    ] {
        assert_has(
            &metrics,
            &[&format!("customs_audit_{name}{{sink=\"stdout\"}} {value}")],
        );
    }
    for (class, count) in [
        ("allow", 5),
        ("deny", 4),
        ("differing", 3),
        ("withheld", 2),
        ("event", 1),
    ] {
        assert_has(
            &metrics,
            &[&format!(
                "customs_audit_dropped_total{{sink=\"stdout\",class=\"{class}\"}} {count}"
            )],
        );
    }
    assert_has(
        &metrics,
        &["customs_ready 1", "customs_enforcement_report 1"],
    );
    metrics.set_reads(vec![
        ("policies".into(), UnixNanos(1_000_000_000_000_000_000)),
        ("late".into(), UnixNanos(i128::MAX / 4)),
    ]);
    assert_has(
        &metrics,
        &[
            "customs_source_read_age_seconds{source=\"policies\"} 10.5",
            "customs_source_read_age_seconds{source=\"late\"} 0.0",
        ],
    );
}

#[test]
fn refusals_are_counted_by_cause_from_the_start() {
    let metrics = Metrics::new();
    for cause in RefusalCause::ALL {
        assert_has(
            &metrics,
            &[&format!(
                "customs_refusals_total{{cause=\"{}\"}} 0",
                cause.as_str()
            )],
        );
        metrics.observe_refusals(cause, 1);
        assert_has(
            &metrics,
            &[&format!(
                "customs_refusals_total{{cause=\"{}\"}} 1",
                cause.as_str()
            )],
        );
    }
}

/// Returns a set with a hundred and three grants that expire a second apart.
fn expirations() -> Expirations {
    use customs_policy::{compile, source};
    let end = |n: usize| format!("'1970-01-01T00:{:02}:{:02}Z'", n / 60, n % 60);
    let entries: String = (0..103)
        .map(|n| format!("{{name: e{n}, hosts: [a.example], expires: {}}}, ", end(n)))
        .collect();
    let text = format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: p, namespace: n}}\nspec: {{allow: [{entries}]}}\n"
    );
    let file = source::PolicyFile {
        name: "a.yaml".into(),
        bytes: text.as_bytes().into(),
    };
    let source = source::Source {
        name: "s".into(),
        files: vec![file],
        ..source::Source::default()
    };
    let settings = customs_engine::settings::Settings::default();
    let loaded = source::load(&source, &settings);
    Expirations::of(
        compile::compile(&[loaded], &settings)
            .unwrap()
            .snapshot
            .rules(),
    )
}

#[test]
fn grants_that_expire_are_listed_with_the_time_left() {
    let metrics = Metrics::new();
    metrics.set_expirations(expirations());
    metrics.set_reads(vec![("policies".into(), UnixNanos(0))]);
    let expiring = |seconds: i128| {
        let text = metrics.encode(UnixNanos(seconds * 1_000_000_000), Exposition::Classic);
        let lines = text
            .lines()
            .filter(|line| line.starts_with("customs_policy_expiring_seconds{"));
        lines.map(str::to_owned).collect::<BTreeSet<_>>()
    };
    assert_eq!(
        (expiring(0).len(), expiring(50).len(), expiring(102).len()),
        (100, 52, 0)
    );
    let last: Vec<_> = expiring(101).into_iter().collect();
    assert_eq!(
        last,
        ["customs_policy_expiring_seconds{rule=\"ep:n/p#e102\"} 1.0"]
    );
}

#[test]
fn open_connections_are_shown_by_port() {
    let metrics = Metrics::new();
    metrics.watch_connections(|| vec![("checks", 3), ("admin", 0)]);
    assert_has(
        &metrics,
        &[
            r#"customs_connections{port="checks"} 3"#,
            r#"customs_connections{port="admin"} 0"#,
        ],
    );
}

#[test]
fn decisions_are_counted_by_the_namespace_of_a_valid_caller() {
    let metrics = Metrics::new();
    for (identity, namespace) in [
        (IdentityState::Valid, "shop"),
        (IdentityState::UntrustedDomain, "shop"),
        (IdentityState::Unauthenticated, ""),
        (IdentityState::Valid, "_other"),
    ] {
        let decision = DecisionEntry {
            identity,
            ..decision(Reason::DeniedByRule, Reason::DeniedByRule, 7)
        };
        metrics.observe_decision(&decision, namespace);
    }
    assert_has(
        &metrics,
        &[
            r#"customs_namespace_decisions_total{caller_namespace="shop",effect="deny"} 1"#,
            r#"customs_namespace_decisions_total{caller_namespace="shop",effect="allow"} 0"#,
            r#"customs_namespace_decisions_total{caller_namespace="_none",effect="deny"} 2"#,
            r#"customs_namespace_decisions_total{caller_namespace="_other",effect="deny"} 1"#,
            r#"customs_rule_hits_total{rule="_other"} 0"#,
            "customs_rules_unused 0",
        ],
    );
}
