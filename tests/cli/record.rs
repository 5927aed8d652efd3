//! The audit log as its reader sees it: JSON lines. docs/reference/record.md describes the fields.

use serde_json::Value;

use crate::denying;
use customs_test_support::server::Plan;

/// Returns all lines of one process, which begin at 1 and have no gap.
pub(crate) struct Record(Vec<Value>);

impl Record {
    pub(crate) fn of(text: &str) -> Record {
        assert!(
            text.is_empty() || text.ends_with('\n'),
            "the last line is torn: {text}"
        );
        let lines: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for (index, line) in lines.iter().enumerate() {
            assert_eq!(line["sequence"], (index + 1).to_string(), "a gap at {line}");
        }
        Record(lines)
    }

    pub(crate) fn of_kind(&self, kind: &str) -> Vec<&Value> {
        self.0.iter().filter(|line| line["kind"] == kind).collect()
    }

    pub(crate) fn decisions(&self) -> Vec<&Value> {
        self.of_kind("decision")
    }

    pub(crate) fn changes(&self) -> Vec<&Value> {
        self.of_kind("policyChange")
    }
}

/// Returns the records without the fields of each stream, and without the records about the audit
/// log itself.
fn facts(text: &str) -> Vec<Value> {
    let records = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let records =
        records.filter(|record| record["kind"] != "stream" && record["kind"] != "checkpoint");
    let without = |mut record: Value| {
        for name in ["stream", "sequence", "chain"] {
            record.as_object_mut().unwrap().remove(name).unwrap();
        }
        record
    };
    records.map(without).collect()
}

#[test]
fn every_sink_gets_the_same_records() {
    let plan = Plan::with("--audit stdout --audit file:out/one.jsonl --audit file:out/two.jsonl");
    let mut server = plan
        .file("policies/a.yaml", &denying("a", "x.example"))
        .start();
    let before = server.revision();
    server.check("x.example");
    server
        .folder
        .put("policies/a.yaml", &denying("a", "y.example"));
    server.revision_after(&before);
    server.check("x.example");
    let stdout = server.stop().stdout;
    for file in ["out/one.jsonl", "out/two.jsonl"] {
        assert_eq!(facts(&server.folder.text(file)), facts(&stdout), "{file}");
    }
    let record = Record::of(&stdout);
    let effects: Vec<_> = record
        .decisions()
        .iter()
        .map(|line| line["effect"].clone())
        .collect();
    assert_eq!(effects, ["deny", "allow"]);
    let outcomes: Vec<_> = record
        .changes()
        .iter()
        .map(|line| line["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["published", "published"]);
}

#[test]
fn without_sinks_nothing_is_written_and_checks_are_answered() {
    let mut server = Plan::with("--audit off")
        .file("policies/a.yaml", &denying("a", "x.example"))
        .start();
    assert!(!server.check("x.example").allowed);
    assert_eq!(server.stop().stdout, "");
}

#[test]
fn a_second_process_appends_to_the_file() {
    let plan =
        Plan::with("--audit file:out/audit.jsonl").file("out/audit.jsonl", "{\"older\":true}\n");
    let mut server = plan
        .file("policies/a.yaml", &denying("a", "x.example"))
        .start();
    server.check("x.example");
    server.stop();
    let text = server.folder.text("out/audit.jsonl");
    let (older, ours) = text.split_once('\n').unwrap();
    assert_eq!(older, "{\"older\":true}");
    assert_eq!(Record::of(ours).decisions().len(), 1);
}
