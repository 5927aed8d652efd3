//! The audit log in DuckDB, as Parquet files and as lines, and in ClickHouse: every query of
//! docs/how-to/query-the-audit-log.md is answered, and the answers are those of `customs audit
//! stats` on the same log.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use jiff::Timestamp;
use serde_json::{Map, Value};

use customs_test_support::tools::{self, Tool};
use customs_test_support::week::{self, WeekOptions, WeekPaths, WeekSummary};
use customs_test_support::{customs_binary, repository};

const DOCUMENT: &str = "docs/how-to/query-the-audit-log.md";

/// A log with everything that a week has, and what `customs audit stats` counts in it.
struct Log {
    directory: tempfile::TempDir,
    summary: WeekSummary,
    stats: Value,
}

impl Log {
    fn make() -> Log {
        let directory = tempfile::tempdir().unwrap();
        let summary = week::make(&directory.path().join("week"), &WeekOptions::of(6_000)).unwrap();
        let mut log = Log {
            directory,
            summary,
            stats: Value::Null,
        };
        let stats = log.customs(
            &["audit", "stats", "--format", "json", "--top", "100000"],
            &[],
        );
        log.stats = serde_json::from_str(&stats).unwrap();
        log
    }

    /// Runs a command of customs on the log, and returns what it prints.
    fn customs(&self, head: &[&str], tail: &[&str]) -> String {
        let record = WeekPaths::of(&self.directory.path().join("week")).record();
        let mut command = Command::new(customs_binary());
        command
            .args(head)
            .arg(record)
            .args(tail)
            .current_dir(self.directory.path());
        let done = command.output().unwrap();
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{head:?}: {errors}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// Returns the rows of a table of the statistics: its texts, and the count.
    fn table(&self, name: &str) -> Vec<Vec<Value>> {
        let rows = self.stats[name]["rows"].as_array().unwrap();
        assert_eq!(self.stats[name]["more"]["rows"], 0, "{name} is whole");
        rows.iter()
            .map(|row| row.as_object().unwrap().values().map(as_time).collect())
            .collect()
    }
}

/// The answers of an engine, by the names of the queries.
#[derive(PartialEq)]
struct Answers(BTreeMap<String, Answer>);

#[derive(Clone, Debug, PartialEq)]
struct Answer {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Answers {
    /// Asks an engine every query of the document, about the files in a folder.
    fn of(engine: &str, tool: &Tool, folder: &Path) -> Answers {
        tools::announce(tool);
        let modules = tool.path.parent().and_then(Path::parent).unwrap();
        let done = Command::new("python3")
            .arg(repository().join("tests/consumers/recipes.py"))
            .arg(engine)
            .arg(folder)
            .arg(repository().join(DOCUMENT))
            .env("PYTHONPATH", modules)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            // ClickHouse keeps the names of views in the working directory of its process.
            .current_dir(folder)
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{engine}: {errors}");
        let answers: Map<String, Value> = serde_json::from_slice(&done.stdout).unwrap();
        let answer = |(name, answer): (String, Value)| {
            let columns = serde_json::from_value(answer["columns"].clone()).unwrap();
            let rows: Vec<Vec<Value>> = serde_json::from_value(answer["rows"].clone()).unwrap();
            let rows = rows
                .iter()
                .map(|row| row.iter().map(as_time).collect())
                .collect();
            (name, Answer { columns, rows })
        };
        Answers(answers.into_iter().map(answer).collect())
    }

    fn rows(&self, query: &str) -> &[Vec<Value>] {
        &self.0[query].rows
    }

    /// Returns the one row of a query, by the names of its columns.
    fn row(&self, query: &str) -> BTreeMap<&str, &Value> {
        let Answer { columns, rows } = &self.0[query];
        assert_eq!(rows.len(), 1, "{query}");
        columns.iter().map(String::as_str).zip(&rows[0]).collect()
    }
}

/// Returns a time in one spelling, with the microseconds that Python has; everything else as it is.
fn as_time(value: &Value) -> Value {
    let time = value
        .as_str()
        .filter(|text| text.len() >= 20 && text.ends_with('Z'));
    match time.and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(time) => Timestamp::from_microsecond(time.as_microsecond())
            .unwrap()
            .to_string()
            .into(),
        None => value.clone(),
    }
}

/// Returns the queries of the document whose answer is a table of the statistics, with its name.
fn tables() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(repository().join(DOCUMENT)).unwrap();
    let marks = text
        .lines()
        .filter_map(|line| line.strip_prefix("<!-- query: "));
    let named = marks.filter_map(|mark| mark.strip_suffix(" -->")?.split_once(" = "));
    named
        .map(|(query, table)| (query.to_owned(), table.to_owned()))
        .collect()
}

/// Compares the answers of an engine with the statistics of the log.
fn compare(log: &Log, engine: &str, answers: &Answers) {
    let tables = tables();
    let named: Vec<&str> = tables.iter().map(|(_, table)| table.as_str()).collect();
    for (name, table) in log.stats.as_object().unwrap() {
        let has_rows = table.get("rows").is_some();
        assert!(
            !has_rows || named.contains(&name.as_str()),
            "{name} has no query"
        );
    }
    for (query, table) in tables {
        let mut expected = log.table(&table);
        let columns = expected.first().map_or(0, Vec::len);
        let mut found: Vec<Vec<Value>> = answers
            .rows(&query)
            .iter()
            .map(|row| row[..columns.min(row.len())].to_vec())
            .collect();
        let key = |row: &Vec<Value>| serde_json::to_string(row).unwrap();
        expected.sort_by_key(key);
        found.sort_by_key(key);
        assert!(
            !expected.is_empty() || table == "ending",
            "{table} is empty"
        );
        assert_eq!(found, expected, "{engine}, {query}");
    }
    let (totals, stats) = (answers.row("totals"), &log.stats);
    for (column, expected) in [
        ("records", &stats["records"]),
        ("decisions", &stats["decisions"]),
        ("gaps", &stats["gaps"]),
        ("withheld", &stats["withheld"]),
        ("callers_gone", &stats["callersGone"]),
        ("lost_allows", &stats["lost"]["allows"]),
        ("lost_denials", &stats["lost"]["denials"]),
        ("lost_differing", &stats["lost"]["differing"]),
        ("lost_withheld", &stats["lost"]["withheld"]),
        ("lost_events", &stats["lost"]["events"]),
        ("first_time", &as_time(&stats["span"]["first"])),
        ("last_time", &as_time(&stats["span"]["last"])),
    ] {
        assert_eq!(totals[column], expected, "{engine}, {column}");
    }
    let sum = |query: &str, column: usize| -> u64 {
        answers
            .rows(query)
            .iter()
            .map(|row| row[column].as_u64().unwrap())
            .sum()
    };
    assert_eq!(
        sum("hours", 1),
        stats["decisions"].as_u64().unwrap(),
        "{engine}"
    );
    assert_eq!(sum("denied", 2), sum("hours", 2), "{engine}");
    if engine != "clickhouse" {
        assert_eq!(sum("minutes", 1), sum("hours", 1), "{engine}");
        assert_eq!(sum("minutes", 2), sum("denied", 2), "{engine}");
        assert_eq!(sum("durations", 1), sum("hours", 1), "{engine}");
        assert_eq!(sum("decided", 1), sum("hours", 1), "{engine}");
    }
    assert_eq!(
        sum("streams", 1),
        stats["records"].as_u64().unwrap(),
        "{engine}"
    );
    assert_eq!(sum("streams", 2), 0, "{engine}");
    assert_eq!(
        answers.rows("losses").len() as u64,
        stats["gaps"].as_u64().unwrap(),
        "{engine}"
    );
    assert!(
        answers.rows("shared").len() > 5 && answers.rows("once").len() > 5,
        "{engine}"
    );
    let allowed = log
        .table("answers")
        .iter()
        .filter(|row| row[0] == "allow")
        .fold(0, |sum, row| sum + row[3].as_u64().unwrap());
    assert_eq!(sum("reached", 3), allowed, "{engine}: no caller was gone");
}

#[test]
fn every_query_of_the_document_is_answered_as_the_statistics_are() {
    let log = Log::make();
    assert_eq!(
        log.stats["records"],
        log.summary.records.values().sum::<u64>()
    );
    let (by_day, whole) = (
        log.directory.path().join("by-day"),
        log.directory.path().join("whole"),
    );
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    log.customs(
        &["audit", "export"],
        &["--partition", "day", "--parquet", &path(&by_day)],
    );
    log.customs(&["audit", "export"], &["--parquet", &path(&whole)]);
    let lines = WeekPaths::of(&log.directory.path().join("week")).record();
    let (duckdb, chdb) = (tools::duckdb().unwrap(), tools::chdb().unwrap());
    for (engine, tool, folder) in [
        ("duckdb", &duckdb, &by_day),
        ("duckdb", &duckdb, &whole),
        ("lines", &duckdb, &lines),
        ("clickhouse", &chdb, &by_day),
    ] {
        compare(&log, engine, &Answers::of(engine, tool, folder));
    }
}
