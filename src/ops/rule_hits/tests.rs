//! Which rules a check hits, and what stays of their counts when policies change.

use super::*;
use customs_engine::decision::{Answer, NamedRule};
use customs_engine::reason::Reason;
use customs_engine::settings::Settings;
use customs_policy::compile::compile;
use customs_policy::source::{self, PolicyFile, Source};

const TIME: UnixNanos = UnixNanos(1_795_435_200_000_000_000);

fn later(seconds: i128) -> UnixNanos {
    UnixNanos(TIME.0 + seconds * 1_000_000_000)
}

/// Returns a set whose EgressPolicy has these entries under `deny`.
fn set(entries: &[String]) -> Snapshot {
    let mut text = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n\
                    metadata: {name: p, namespace: shop}\nspec:\n  deny:\n"
        .to_owned();
    for entry in entries {
        text.push_str(&format!("  - {entry}\n"));
    }
    let settings = Settings::default();
    let source = Source {
        name: "policies".into(),
        files: vec![PolicyFile {
            name: "a.yaml".into(),
            bytes: text.as_bytes().into(),
        }],
        ..Source::default()
    };
    compile(&[source::load(&source, &settings)], &settings)
        .unwrap()
        .snapshot
}

fn named(names: &[&str]) -> Snapshot {
    let entry = |name: &&str| format!("{{name: {name}, hosts: [{name}.example]}}");
    set(&names.iter().map(entry).collect::<Vec<_>>())
}

fn numbered(count: usize) -> Snapshot {
    let entry = |number| format!("{{name: r{number:04}, hosts: [h{number}.example]}}");
    set(&(0..count).map(entry).collect::<Vec<_>>())
}

/// Returns a decision whose verdict names this rule of the set.
fn hit(snapshot: &Snapshot, name: &str) -> Decision {
    let mut parts = snapshot.rules().named_parts();
    let (_, info) = parts
        .find(|(_, info)| info.id.part().to_string() == name)
        .unwrap();
    let answer = Answer {
        rule: NamedRule::Policy(info.clone()),
        ..Answer::built_in(Reason::DeniedByRule)
    };
    Decision {
        verdict: answer.clone(),
        dry_run: answer,
        ..Decision::internal_error()
    }
}

/// Returns the rules that are listed, each with its hits.
fn listed(hits: &RuleHits, listed: Listed) -> Vec<(String, u64)> {
    let report = hits.report(listed);
    let rules = report.rules.into_iter();
    rules
        .map(|rule| {
            (
                rule.rule.trim_start_matches("ep:shop/p#").to_owned(),
                rule.hits,
            )
        })
        .collect()
}

fn counts(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    let own = |(name, hits): &(&str, u64)| ((*name).to_owned(), *hits);
    expected.iter().map(own).collect()
}

#[test]
fn a_rule_is_counted_with_its_place_and_the_time_of_its_last_hit() {
    let (hits, set) = (RuleHits::default(), named(&["a", "b"]));
    hits.prepare(&set, TIME);
    hits.count(&hit(&set, "b"), later(5));
    hits.count(&hit(&set, "b"), later(3));
    hits.count(&Decision::internal_error(), later(9));
    let report = hits.report(Listed::All);
    assert_eq!(
        (report.total, report.unused, report.truncated),
        (2, 1, false)
    );
    assert_eq!(report.revision, set.revision().to_string());
    let rule = report.rules.last().unwrap();
    let expected = RuleHitReport {
        rule: "ep:shop/p#b".into(),
        kind: "rule",
        source: "policies/a.yaml:7".into(),
        hits: 2,
        last_hit: Some("2026-11-23T12:00:05Z".parse().unwrap()),
        in_force_since: Some("2026-11-23T12:00:00Z".parse().unwrap()),
    };
    assert_eq!(*rule, expected);
    assert_eq!(listed(&hits, Listed::Unused), counts(&[("a", 0)]));
    assert_eq!(hits.unused(), 1);
}

#[test]
fn exceptions_are_rules_and_isolations_are_never_unused() {
    let text = "{name: d, hosts: [d.example], except: [{hosts: [d.example]}]}";
    let (hits, set) = (RuleHits::default(), set(&[text.to_owned()]));
    hits.prepare(&set, TIME);
    let kinds: Vec<_> = hits
        .report(Listed::All)
        .rules
        .into_iter()
        .map(|rule| (rule.rule, rule.kind))
        .collect();
    let expected = [
        ("ep:shop/p#d".to_owned(), "rule"),
        ("ep:shop/p#d.except[0]".to_owned(), "exception"),
    ];
    assert_eq!(kinds, expected);
    hits.count(&hit(&set, "d.except[0]"), TIME);
    assert_eq!(listed(&hits, Listed::Unused), counts(&[("d", 0)]));
}

#[test]
fn a_rule_keeps_its_count_through_a_reload_and_loses_it_with_its_end() {
    let (hits, first) = (RuleHits::default(), named(&["a", "b", "c"]));
    hits.prepare(&first, TIME);
    for name in ["a", "b", "b", "c"] {
        hits.count(&hit(&first, name), TIME);
    }
    let second = named(&["b", "c", "d"]);
    hits.prepare(&second, later(60));
    assert_eq!(
        listed(&hits, Listed::All),
        counts(&[("b", 2), ("c", 1), ("d", 0)])
    );
    let since: Vec<_> = hits
        .report(Listed::All)
        .rules
        .iter()
        .map(|rule| rule.in_force_since.unwrap().as_second() - 1_795_435_200)
        .collect();
    assert_eq!(since, [0, 0, 60]);
    // Read again, the same rule is at another address.
    hits.count(&hit(&second, "b"), TIME);
    hits.prepare(&first, later(90));
    assert_eq!(
        listed(&hits, Listed::All),
        counts(&[("a", 0), ("b", 3), ("c", 1)]),
        "a rule that was gone begins again"
    );
}

#[test]
fn a_check_of_the_set_before_is_counted_by_id() {
    let (hits, before) = (RuleHits::default(), named(&["a", "b"]));
    hits.prepare(&before, TIME);
    let (kept, gone) = (hit(&before, "b"), hit(&before, "a"));
    hits.prepare(&named(&["b", "c"]), TIME);
    hits.count(&kept, TIME);
    hits.count(&gone, TIME);
    assert_eq!(listed(&hits, Listed::All), counts(&[("b", 1), ("c", 0)]));
    assert_eq!(hits.labelled().others, 1, "no hit is lost");
}

#[test]
fn many_threads_lose_no_hit() {
    let (hits, set) = (RuleHits::default(), named(&["a", "b"]));
    hits.prepare(&set, TIME);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    hits.count(&hit(&set, "a"), TIME);
                }
            });
        }
        for _ in 0..20 {
            hits.prepare(&named(&["a", "b"]), TIME);
        }
    });
    assert_eq!(listed(&hits, Listed::All), counts(&[("a", 2000), ("b", 0)]));
}

#[test]
fn a_small_set_has_a_series_for_each_rule_from_the_beginning() {
    let (hits, set) = (RuleHits::default(), named(&["a", "b"]));
    assert_eq!(hits.labelled(), LabelledHits::default());
    hits.prepare(&set, TIME);
    let labelled = hits.labelled();
    assert_eq!(
        labelled.rules,
        [("ep:shop/p#a".into(), 0), ("ep:shop/p#b".into(), 0)]
    );
    assert_eq!(labelled.others, 0);
}

#[test]
fn series_are_bounded_and_none_falls_while_its_rule_is_in_force() {
    let (hits, set) = (RuleHits::default(), numbered(MAX_LABELS + 10));
    hits.prepare(&set, TIME);
    assert!(hits.labelled().rules.is_empty(), "none was hit");
    for number in 0..MAX_LABELS + 5 {
        hits.count(&hit(&set, &format!("r{number:04}")), TIME);
    }
    let labelled = hits.labelled();
    assert_eq!((labelled.rules.len(), labelled.others), (MAX_LABELS, 5));
    // One of the last and one of the first: each stays where it is.
    for name in ["r1004", "r1009", "r0000"] {
        hits.count(&hit(&set, name), TIME);
    }
    let labelled = hits.labelled();
    assert_eq!((labelled.rules.len(), labelled.others), (MAX_LABELS, 7));
    assert_eq!(labelled.rules[0], ("ep:shop/p#r0000".into(), 2));
    // Most rules end. What was counted together stays, and there is room for others.
    let fewer = numbered(3);
    hits.prepare(&fewer, TIME);
    let labelled = hits.labelled();
    assert_eq!((labelled.rules.len(), labelled.others), (3, 7));
    hits.prepare(&set, TIME);
    hits.count(&hit(&set, "r1009"), TIME);
    let labelled = hits.labelled();
    assert_eq!((labelled.rules.len(), labelled.others), (4, 7));
    assert_eq!(labelled.rules[3], ("ep:shop/p#r1009".into(), 1));
}

#[test]
fn a_report_lists_a_bounded_number_of_rules_and_says_so() {
    let (hits, set) = (RuleHits::default(), numbered(MAX_LISTED + 1));
    hits.prepare(&set, TIME);
    let report = hits.report(Listed::All);
    assert_eq!((report.rules.len(), report.truncated), (MAX_LISTED, true));
    assert_eq!(
        (report.total, report.unused),
        (MAX_LISTED + 1, MAX_LISTED + 1)
    );
    hits.count(&hit(&set, "r0000"), TIME);
    let unused = hits.report(Listed::Unused);
    assert_eq!((unused.rules.len(), unused.truncated), (MAX_LISTED, false));
}
