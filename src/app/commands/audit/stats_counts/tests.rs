//! What is counted, record by record.

use super::super::stats_report::human;
use super::*;
use customs_record::scan::{ScanInput, ScanOptions, scan};

fn of_range(lines: &[&str], since: Option<&str>, until: Option<&str>) -> Stats {
    let time = |text: Option<&str>| text.map(|text| text.parse().unwrap());
    let period = Period {
        since: time(since),
        until: time(until),
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, lines.join("\n")).unwrap();
    let inputs = [ScanInput::from(file.path().to_owned())];
    let mut stats = Stats::new(period);
    let make = |_| Stats::of_part(period);
    let outcome = scan(&inputs, &ScanOptions::default(), make, |part| {
        stats.merge(part);
        std::ops::ControlFlow::Continue(())
    });
    outcome.files.iter().for_each(|file| stats.add_file(file));
    stats
}

fn of(lines: &[&str]) -> Stats {
    of_range(lines, None, None)
}

const ALLOWED: &str = r#"{"time":"2026-11-23T12:00:00Z","kind":"decision","effect":"allow","verdict":"allow","dryRun":"allow","reason":"allowed_by_rule","rule":"ep:shop/a#x","namespace":"shop","serviceAccount":"cart","host":"a.example","owner":"team-a","expires":"2026-12-01T00:00:00Z","revision":"r1"}"#;
const DENIED: &str = r#"{"time":"2026-11-23T12:00:01Z","kind":"decision","effect":"deny","verdict":"deny","dryRun":"deny","reason":"denied_by_rule","rule":"ep:shop/a#y","namespace":"shop","serviceAccount":"cart","host":"b.example","revision":"r1"}"#;
const TRIED: &str = r#"{"time":"2026-11-23T12:00:02Z","kind":"decision","effect":"allow","verdict":"allow","dryRun":"deny","reason":"default","dryRunReason":"denied_by_rule","dryRunRule":"ep:shop/a#t","dryRunOwner":"team-t","identity":"unauthenticated","rawHost":"c","revision":"r2"}"#;
const REPORTED: &str = r#"{"time":"2026-11-23T12:00:03Z","kind":"decision","effect":"allow","verdict":"deny","dryRun":"deny","reason":"denied_by_rule","rule":"ep:shop/a#y","dryRunRule":"ep:shop/a#y","owner":"team-y","namespace":"shop","host":"b.example","revision":"r2"}"#;
const GAP: &str =
    r#"{"time":"2026-11-23T12:00:04Z","kind":"gap","lost":{"allows":"3","withheld":"1"}}"#;
const LAG: &str = r#"{"time":"2026-11-23T12:00:05Z","kind":"lag","missedFrom":"4","missedTo":"9"}"#;
const EXCEPTED: &str = r#"{"time":"2026-11-23T12:00:06Z","kind":"decision","effect":"allow","verdict":"allow","dryRun":"allow","reason":"default","exception":"ep:shop/a#y.except[0]","exceptionExpires":"2026-12-02T00:00:00Z"}"#;

fn rows(table: &TopK) -> Vec<String> {
    table
        .top(9)
        .rows
        .into_iter()
        .map(|(texts, count)| format!("{count} {}", texts.join(" ")))
        .collect()
}

#[test]
fn every_table_counts_what_its_title_says() {
    let stats = of(&[
        ALLOWED,
        DENIED,
        DENIED,
        TRIED,
        REPORTED,
        GAP,
        GAP,
        LAG,
        EXCEPTED,
        "not a record",
    ]);
    assert_eq!(
        (
            stats.records,
            stats.decisions,
            stats.no_records + stats.torn
        ),
        (9, 6, 1)
    );
    assert_eq!(
        rows(&stats.answers),
        [
            "2 allow allow allow",
            "2 deny deny deny",
            "1 allow allow deny",
            "1 allow deny deny"
        ]
    );
    assert_eq!(
        rows(&stats.denied),
        ["2 shop/cart b.example", "1 shop/- b.example"]
    );
    assert_eq!(
        rows(&stats.reasons),
        [
            "3 deny denied_by_rule",
            "2 allow default",
            "1 allow allowed_by_rule"
        ]
    );
    assert_eq!(
        rows(&stats.dry_run_denies),
        [
            "1 shop b.example ep:shop/a#y team-y",
            "1 unauthenticated ?c ep:shop/a#t team-t"
        ]
    );
    assert_eq!(
        rows(&stats.rules),
        [
            "2 deny ep:shop/a#y -",
            "1 allow ep:shop/a#x team-a",
            "1 deny ep:shop/a#y team-y"
        ]
    );
    assert_eq!(
        rows(&stats.ending),
        [
            "1 ep:shop/a#x 2026-12-01T00:00:00Z team-a",
            "1 ep:shop/a#y.except[0] 2026-12-02T00:00:00Z -"
        ]
    );
    assert_eq!(rows(&stats.revisions), ["3 r1", "2 r2", "1 -"]);
    assert_eq!(
        (
            stats.gaps,
            stats.lost.allows,
            stats.lost.withheld,
            stats.missed
        ),
        (2, 6, 2, 6)
    );
}

#[test]
fn a_range_holds_its_beginning_and_not_its_end() {
    let lines = [ALLOWED, DENIED, TRIED, r#"{"kind":"start"}"#];
    assert_eq!(of(&lines).records, 4);
    assert_eq!(
        of_range(&lines, Some("2026-11-23T12:00:01Z"), None).records,
        2
    );
    assert_eq!(
        of_range(&lines, None, Some("2026-11-23T12:00:01Z")).records,
        1
    );
}

#[test]
fn text_and_json_have_the_same_numbers() {
    let stats = of(&[ALLOWED, DENIED, DENIED, TRIED, REPORTED, GAP, LAG, "", "{}"]);
    let text = human(&stats, 1);
    for sentence in [
        "7 records, 5 decisions, from 2026-11-23T12:00:00.000Z to 2026-11-23T12:00:05.000Z",
        "lost in 1 gap: 3 allowed, 0 denied, 0 with differing answers, 1 withheld, 0 events",
        "6 records missed by a subscriber",
        "1 record skipped",
        "         2  shop/cart  b.example",
        "         1  in 1 more rows",
    ] {
        assert!(text.contains(sentence), "{sentence}: {text}");
    }
    let json = stats.json(1);
    assert_eq!(json["denied"]["rows"][0]["caller"], "shop/cart");
    assert_eq!(
        (&json["denied"]["more"]["count"], &json["lost"]["allows"]),
        (&1.into(), &3.into())
    );
    assert!(of(&[]).json(5)["span"].is_null());
}
