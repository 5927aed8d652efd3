//! The recorded cases: ways around a policy (`attacks.jsonl`) and the EgressPolicy family
//! (`egress.jsonl`), each with a policy set, a check as Envoy sends it, and the answer that customs
//! must give.
//!
//! A row that is read differently on purpose is in [`OPEN_ON_PURPOSE`] or [`READ_OTHERWISE`], with
//! the sentence that decides it. Expected allows and expected denials are counted separately: a
//! product that denies everything would pass the second, and one that allows everything the first.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

use std::collections::BTreeMap;
use std::io::Write;

use customs_engine::effect::Effect;
use customs_test_support::case_rows::{Row, Said, rows};

/// Attacks that get through, whatever the confidence of their row, and why. There are no others. In
/// the file's order.
const OPEN_ON_PURPOSE: [(&str, &str); 3] = [
    (
        "wild-011",
        "R3: `api.example.*` in an AuthorizationPolicy is accepted with a warning, as the row permits",
    ),
    (
        "sni-009",
        "R10: on TCP hosts match the SNI, a documented deviation from Istio",
    ),
    (
        "sni-010",
        "R10: on TCP hosts match the SNI, a documented deviation from Istio",
    ),
];

/// Rows of the EgressPolicy family that are answered differently, and why.
const READ_OTHERWISE: [(&str, &str); 2] = [
    (
        "deny-020",
        "Rule ids: an index is compared as a number, so #2 comes before #10",
    ),
    (
        "trust-013",
        "R6: a caller of an accepted foreign domain meets the subject of `isolate` like any other",
    ),
];

/// Prints a line for the reader of a test run. Written past libtest's capture on purpose: the
/// counts are what the run is for.
fn print(line: &str) {
    // Nothing depends on the line; a closed output must not fail a test.
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// How many rows of one expectation there are, and how many got that answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Score {
    rows: usize,
    right: usize,
}

/// Rows by expectation, and the names of those that were answered wrongly.
#[derive(Debug, Default)]
struct Tally {
    allow: Score,
    deny: Score,
    fail_open: Vec<String>,
    fail_closed: Vec<String>,
}

impl Tally {
    fn of(rows: &[Row]) -> Tally {
        rows.iter().fold(Tally::default(), |mut tally, row| {
            let open = crosses(row);
            let wants_allow = row.expected == "ALLOW";
            let score = if wants_allow {
                &mut tally.allow
            } else {
                &mut tally.deny
            };
            score.rows += 1;
            score.right += usize::from(open == wants_allow);
            match (wants_allow, open) {
                (false, true) => tally.fail_open.push(row.id.clone()),
                (true, false) => tally.fail_closed.push(row.id.clone()),
                _ => {}
            }
            tally
        })
    }

    fn print(&self, name: &str) {
        let Tally {
            allow,
            deny,
            fail_open,
            fail_closed,
        } = self;
        print(&format!(
            "{name}: expected ALLOW: {} of {} right",
            allow.right, allow.rows
        ));
        print(&format!(
            "{name}: expected DENY: {} of {} right",
            deny.right, deny.rows
        ));
        print(&format!(
            "{name}: fail-open: {fail_open:?}; denied and expected to be allowed: {fail_closed:?}"
        ));
    }
}

/// Returns whether the request of a row gets through. A set that should be refused and is not is
/// judged by its answer.
fn crosses(row: &Row) -> bool {
    matches!(row.ask(), Said::Decided(answer) if answer.effect == Effect::Allow)
}

#[test]
fn no_attack_gets_through() {
    let rows = rows("attacks.jsonl");
    let mut categories: BTreeMap<&str, usize> = BTreeMap::new();
    for row in &rows {
        *categories.entry(&row.category).or_default() += 1;
    }
    let main: usize = ["host", "ip", "wildcard", "identity"]
        .iter()
        .filter_map(|c| categories.get(c))
        .sum();
    print(&format!(
        "attacks: {} rows judged {categories:?}; host, ip, wildcard and identity: {main}",
        rows.len()
    ));
    let tally = Tally::of(&rows);
    tally.print("attacks");
    for (id, why) in OPEN_ON_PURPOSE {
        print(&format!("attacks: open on purpose: {id}: {why}"));
    }
    assert_eq!(tally.fail_open, OPEN_ON_PURPOSE.map(|(id, _)| id));
    assert_eq!(tally.fail_closed, Vec::<String>::new());
    assert_eq!(
        (tally.allow, tally.deny),
        (
            Score {
                rows: 17,
                right: 17
            },
            Score {
                rows: 131,
                right: 128
            }
        )
    );
    assert_eq!((rows.len(), main), (148, 93));
}

#[test]
fn a_set_that_must_be_refused_is_refused_and_every_other_loads() {
    let rows = rows("attacks.jsonl");
    let (mut refused, mut wrong) = (0, Vec::new());
    for row in &rows {
        let is_refused = matches!(row.ask(), Said::Refused(_));
        refused += usize::from(is_refused);
        let may_be = row.policy_load == "reject_or_warn";
        if !may_be && is_refused != (row.policy_load == "reject") {
            wrong.push(format!(
                "{}: {}: wanted {}",
                row.id, row.description, row.policy_load
            ));
        }
    }
    print(&format!("attacks: {refused} sets refused"));
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(refused, 8);
}

#[test]
fn the_egress_family_answers_as_written() {
    let rows = rows("egress.jsonl");
    let otherwise = |row: &Row| READ_OTHERWISE.iter().any(|(id, _)| *id == row.id);
    let wrong: Vec<_> = rows
        .iter()
        .filter(|row| !otherwise(row))
        .filter_map(|row| {
            Some(format!(
                "{}: {}: {}",
                row.id,
                row.description,
                row.difference(&row.ask())?
            ))
        })
        .collect();
    let tally = Tally::of(&rows);
    tally.print("egress rows");
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(
        (tally.allow, tally.deny),
        (
            Score {
                rows: 56,
                right: 55
            },
            Score {
                rows: 114,
                right: 114
            }
        )
    );
}

#[test]
fn rows_that_are_read_otherwise_are_answered_otherwise() {
    let rows = rows("egress.jsonl");
    for (id, why) in READ_OTHERWISE {
        let row = rows
            .iter()
            .find(|row| row.id == id)
            .unwrap_or_else(|| panic!("{id} is gone"));
        let differs = row.difference(&row.ask()).is_some();
        assert!(
            differs,
            "{id} is answered as written, so it is not an exception any more: {why}"
        );
    }
}
