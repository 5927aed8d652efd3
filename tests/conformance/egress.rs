//! The EgressPolicy family: what its language says, sentence by sentence, as policies and cases
//! that people can read.
//!
//! Each folder of `egress/` is a topic: policies, and next to them the questions and the answers
//! that the text gives, worked out by hand and not from what the engine said. `TOPIC.settings.yaml`
//! holds a topic's settings, if it has any. The product's own `customs test` runs them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{folder, print};

/// With fewer cases than these, some were lost by mistake.
const AT_LEAST: usize = 695;

/// Policies that isolate and are never named for it, by topic, because a request is decided
/// earlier: `**` opens every request, or the Istio gate is always shut too and decides first.
const NEVER_NAMED: [(&str, &str); 4] = [
    ("deny", "ep:istio-system/open-for-lab"),
    ("istio-gate-without-rules", "ep:shop/egress"),
    ("order", "ep:wide/a-suffix"),
    ("tcp", "ep:open/egress"),
];

fn topics() -> Vec<PathBuf> {
    let entries = fs::read_dir(folder().join("egress"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut topics: Vec<_> = entries.filter(|path| path.is_dir()).collect();
    topics.sort();
    topics
}

/// Runs the cases of a topic, and returns the one suite of the report.
fn ask(topic: &Path) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customs"));
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CUSTOMS_"))
    {
        command.env_remove(name);
    }
    command.args(["test", "--format", "json"]).arg(topic);
    let settings = topic.with_extension("settings.yaml");
    if settings.exists() {
        command.arg("--config").arg(settings);
    }
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let mut report: Value = serde_json::from_str(&stdout)
        .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&output.stderr)));
    report["suites"][0].take()
}

/// Returns how many cases of a topic expect an allow, and how many a denial.
fn expected(topic: &Path) -> [usize; 2] {
    let cases = topic.join(format!("{}.cases.yaml", name(topic)));
    let text =
        fs::read_to_string(&cases).unwrap_or_else(|why| panic!("{}: {why}", cases.display()));
    ["Allow", "Deny"].map(|effect| {
        text.lines()
            .filter(|line| *line == format!("  expect: {effect}"))
            .count()
    })
}

fn name(topic: &Path) -> String {
    topic.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Returns what is wrong with the answers of a topic: cases, problems of its files, rules that none
/// of its cases exercised.
fn wrong(topic: &str, suite: &Value) -> Vec<String> {
    let list = |value: &Value| value.as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let failures = list(&suite["cases"])
        .into_iter()
        .flat_map(|case| list(&case["failures"]));
    let failures =
        failures.map(|failure| format!("{}; {}", text(&failure["text"]), text(&failure["note"])));
    let problems = list(&suite["problems"])
        .into_iter()
        .map(|problem| problem.to_string());
    let missing = list(&suite["notExercised"])
        .into_iter()
        .map(|rule| text(&rule["id"]));
    let missing = missing
        .filter(|id| !NEVER_NAMED.contains(&(topic, id.as_str())))
        .map(|id| format!("not exercised: {id}"));
    failures.chain(problems).chain(missing).collect()
}

#[test]
fn every_sentence_of_the_language_holds() {
    let (mut total, mut found) = ([0, 0], Vec::new());
    for topic in topics() {
        let (suite, [allow, deny], name) = (ask(&topic), expected(&topic), name(&topic));
        assert_eq!(
            suite["totals"]["cases"],
            allow + deny,
            "{name}: every case expects an effect, on a line of its own"
        );
        assert!(allow > 0 || deny > 0, "{name} has no cases");
        print(&format!(
            "egress: {name}: {} cases, ALLOW {allow}, DENY {deny}",
            allow + deny
        ));
        found.extend(
            wrong(&name, &suite)
                .into_iter()
                .map(|what| format!("{name}: {what}")),
        );
        total = [total[0] + allow, total[1] + deny];
    }
    let [allow, deny] = total;
    print(&format!(
        "egress: {} cases, ALLOW {allow}, DENY {deny}; {} wrong",
        allow + deny,
        found.len()
    ));
    assert!(
        found.is_empty(),
        "{} wrong:\n{}",
        found.len(),
        found.join("\n")
    );
    assert!(allow + deny >= AT_LEAST, "only {} cases", allow + deny);
    assert!(
        allow >= AT_LEAST / 3 && deny >= AT_LEAST / 3,
        "ALLOW {allow}, DENY {deny}: too few of one"
    );
}

#[test]
fn every_reason_that_a_question_can_have_is_the_answer_to_one() {
    let mut seen = BTreeSet::new();
    for topic in topics() {
        let text = fs::read_to_string(topic.join(format!("{}.cases.yaml", name(&topic)))).unwrap();
        seen.extend(
            text.lines()
                .filter_map(|line| line.strip_prefix("  reason: "))
                .map(str::to_owned),
        );
    }
    // A question always reaches a loaded set, has an address, and is not recorded.
    let never = [
        "no_policy",
        "empty_request",
        "audit_unavailable",
        "internal_error",
    ];
    let reasons = customs_engine::reason::Reason::ALL.map(|reason| reason.as_str());
    let wanted: BTreeSet<_> = reasons
        .into_iter()
        .filter(|reason| !never.contains(reason))
        .map(str::to_owned)
        .collect();
    assert_eq!(seen, wanted);
}

#[test]
fn every_case_is_named_by_a_sentence() {
    for topic in topics() {
        let text = fs::read_to_string(topic.join(format!("{}.cases.yaml", name(&topic)))).unwrap();
        for sentence in text
            .lines()
            .filter_map(|line| line.strip_prefix("- name: "))
        {
            assert!(
                sentence.split(' ').count() >= 4,
                "{}: `{sentence}` is not a sentence",
                name(&topic)
            );
        }
    }
}

#[test]
fn settings_belong_to_a_topic() {
    for entry in fs::read_dir(folder().join("egress")).unwrap() {
        let path = entry.unwrap().path();
        let topic = path
            .to_str()
            .unwrap()
            .strip_suffix(".settings.yaml")
            .map(Path::new);
        assert!(
            path.is_dir() || topic.is_some_and(Path::is_dir),
            "{} belongs to no topic",
            path.display()
        );
    }
}
