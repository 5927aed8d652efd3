//! Tables of reloads: the content of each directory, its outcome, and what is in force afterwards.

use super::admission::owner;
use super::*;
use crate::problem::{Code, Place};
use crate::source::PolicyFile;

mod bound;
mod guards;
mod review;
mod settings;

const NOW: UnixNanos = UnixNanos(0);

/// A policy of the root namespace that denies some hosts, each in its own entry.
fn denies(policy: &str, hosts: &[&str]) -> String {
    let entry = |host: &&str| {
        format!(
            "  - {{name: no-{}, hosts: [{host}]}}\n",
            host.replace('.', "-")
        )
    };
    let entries: String = hosts.iter().map(entry).collect();
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: {policy}, namespace: istio-system}}\n\
         spec:\n  subjects: [{{namespaces: ['**']}}]\n  deny:\n{entries}"
    )
}

/// A policy that needs a set of destinations.
fn needs(set: &str) -> String {
    denies(&format!("needs-{set}"), &["a.example"])
        .replace("hosts: [a.example]", &format!("destinations: [{set}]"))
}

/// A set of destinations.
fn set(name: &str) -> String {
    let head = "apiVersion: egress.customs/v1alpha1\nkind: DestinationSet\nmetadata";
    format!("{head}: {{name: {name}, namespace: istio-system}}\nspec: {{hosts: [a.example]}}\n")
}

fn content(name: &str, files: &[&str]) -> SourceReading {
    let file = |(at, text): (usize, &&str)| PolicyFile {
        name: format!("{at}.yaml"),
        bytes: text.as_bytes().into(),
    };
    Ok(Source {
        name: name.to_owned(),
        files: files.iter().enumerate().map(file).collect(),
        ..Source::default()
    })
}

fn missing(name: &str) -> SourceReading {
    Err(vec![Problem::error(
        Code::Unreadable,
        Place::whole(name),
        "the directory does not exist",
    )])
}

/// Sources `a`, `b` and `c` with their content. A text that is not YAML is broken.
struct Rounds(PolicySet);

impl Rounds {
    fn new(names: &[&str]) -> Rounds {
        let declarations = names
            .iter()
            .map(|name| SourceDeclaration::any_namespace(*name));
        Rounds(PolicySet::new(declarations, Settings::default()))
    }

    /// One reload; `None` is an unchanged source.
    fn round(&mut self, readings: Vec<Option<SourceReading>>) -> ReloadOutcome {
        let ids = self.0.sources().map(|(id, _)| id.clone());
        let read = ids
            .zip(readings)
            .filter_map(|(id, reading)| Some((id, reading?)));
        let policies = read
            .filter(|(id, reading)| !self.0.is_unchanged(id, reading))
            .collect();
        self.0.reload(
            SourceReadings {
                policies,
                settings: None,
            },
            NOW,
        )
    }

    /// One reload in which each text is the only file of its source.
    fn files(&mut self, texts: &[&str]) -> ReloadOutcome {
        let names: Vec<String> = self.0.sources().map(|(id, _)| id.to_string()).collect();
        self.round(
            names
                .iter()
                .zip(texts)
                .map(|(name, text)| Some(content(name, &[text])))
                .collect(),
        )
    }

    fn states(&self) -> Vec<&'static str> {
        self.0
            .statuses()
            .iter()
            .map(|source| source.state.as_str())
            .collect()
    }

    fn denies(&self) -> usize {
        self.0.counts().egress_deny
    }
}

fn outcome(reload: &ReloadOutcome) -> Option<&'static str> {
    let published = reload
        .change
        .as_ref()
        .is_some_and(|change| change.revision != change.previous_revision);
    assert_eq!(
        reload.snapshot.is_some(),
        published,
        "a new revision and a new set go together"
    );
    reload.change.as_ref().map(|change| change.outcome.as_str())
}

#[test]
fn one_source_goes_through_its_life() {
    let (one, two) = (
        denies("p", &["a.example"]),
        denies("p", &["a.example", "b.example"]),
    );
    let mut rounds = Rounds::new(&["a"]);
    let file = |text: &str| content("a", &[text]);
    for (step, read, expected, state, in_force) in [
        (
            "nothing there",
            missing("a"),
            Some("refused"),
            "never_loaded",
            0,
        ),
        ("still nothing", missing("a"), None, "never_loaded", 0),
        (
            "no file",
            content("a", &[]),
            Some("refused"),
            "never_loaded",
            0,
        ),
        (
            "no document",
            file("# only a comment\n"),
            Some("refused"),
            "never_loaded",
            0,
        ),
        (
            "broken at first",
            file("kind: ["),
            Some("refused"),
            "never_loaded",
            0,
        ),
        ("the first set", file(&one), Some("published"), "good", 1),
        ("the same again", file(&one), None, "good", 1),
        ("another", file(&two), Some("published"), "good", 2),
        ("broken", file("kind: ["), Some("refused"), "refused", 2),
        ("broken still", file("kind: ["), None, "refused", 2),
        (
            "broken otherwise",
            file("kind: {"),
            Some("refused"),
            "refused",
            2,
        ),
        ("as it was", file(&two), Some("recovered"), "good", 2),
        ("emptied", content("a", &[]), Some("refused"), "emptied", 2),
        (
            "comments only",
            file("# gone\n"),
            Some("refused"),
            "emptied",
            2,
        ),
        ("moved away", missing("a"), Some("refused"), "refused", 2),
        (
            "half of it good",
            content("a", &[&one, "kind: ["]),
            Some("refused"),
            "refused",
            2,
        ),
        (
            "all of it good",
            content("a", &[&one, &denies("q", &["b.example"])]),
            Some("published"),
            "good",
            2,
        ),
        (
            "one file less",
            content("a", &[&one]),
            Some("published"),
            "good",
            1,
        ),
    ] {
        let reload = rounds.round(vec![Some(read)]);
        assert_eq!(outcome(&reload), expected, "{step}");
        assert_eq!(
            (rounds.states(), rounds.denies()),
            (vec![state], in_force),
            "{step}"
        );
        let problems: Vec<_> = rounds.0.statuses().remove(0).problems;
        assert_eq!(problems.is_empty(), state == "good", "{step}: {problems:?}");
    }
}

#[test]
fn a_broken_source_keeps_its_last_good_content() {
    let (a, b) = (denies("a", &["a.example"]), denies("b", &["b.example"]));
    let more = denies("b", &["b.example", "c.example"]);
    let mut rounds = Rounds::new(&["a", "b"]);
    for (texts, expected, states, in_force) in [
        (
            [a.as_str(), b.as_str()],
            Some("published"),
            ["good", "good"],
            2,
        ),
        (["kind: [", &b], Some("refused"), ["refused", "good"], 2),
        (
            ["kind: [", &more],
            Some("published_in_part"),
            ["refused", "good"],
            3,
        ),
        (
            ["kind: [", &b],
            Some("published_in_part"),
            ["refused", "good"],
            2,
        ),
        ([&a, &b], Some("recovered"), ["good", "good"], 2),
        ([&a, "kind: ["], Some("refused"), ["good", "refused"], 2),
        (
            ["kind: {", "kind: ["],
            Some("refused"),
            ["refused", "refused"],
            2,
        ),
        ([&a, &more], Some("published"), ["good", "good"], 3),
    ] {
        let reload = rounds.files(&texts);
        assert_eq!(outcome(&reload), expected, "{texts:?}");
        assert_eq!(
            (rounds.states(), rounds.denies()),
            (states.to_vec(), in_force),
            "{texts:?}"
        );
    }
}

#[test]
fn nothing_is_published_until_every_source_was_good_once() {
    let (a, b) = (denies("a", &["a.example"]), denies("b", &["b.example"]));
    let mut rounds = Rounds::new(&["a", "b"]);
    for (reads, expected, states, ready) in [
        (
            [content("a", &[&a]), missing("b")],
            Some("refused"),
            ["good", "never_loaded"],
            false,
        ),
        (
            [content("a", &[]), missing("b")],
            None,
            ["good", "never_loaded"],
            false,
        ),
        (
            [content("a", &["kind: ["]), missing("b")],
            Some("refused"),
            ["never_loaded", "never_loaded"],
            false,
        ),
        (
            [content("a", &[&a]), missing("b")],
            Some("refused"),
            ["good", "never_loaded"],
            false,
        ),
        (
            [content("a", &["kind: ["]), missing("b")],
            Some("refused"),
            ["refused", "never_loaded"],
            false,
        ),
        (
            [content("a", &["kind: ["]), content("b", &[&b])],
            Some("published_in_part"),
            ["refused", "good"],
            true,
        ),
        (
            [content("a", &[&a]), missing("b")],
            Some("refused"),
            ["good", "refused"],
            true,
        ),
    ] {
        let text = format!("{reads:?}");
        let reload = rounds.round(reads.into_iter().map(Some).collect());
        assert_eq!(outcome(&reload), expected, "{text}");
        assert_eq!(
            (rounds.states(), rounds.0.is_ready()),
            (states.to_vec(), ready),
            "{text}"
        );
    }
    assert_eq!(rounds.denies(), 2);
}

#[test]
fn a_source_that_never_had_a_document_is_good_and_empty() {
    let mut rounds = Rounds::new(&["a", "b"]);
    let a = denies("a", &["a.example"]);
    let reads = || vec![Some(content("a", &[&a])), Some(content("b", &[]))];
    assert_eq!(outcome(&rounds.round(reads())), Some("published"));
    assert_eq!(rounds.states(), ["good", "good"]);
}

#[test]
fn a_set_without_any_document_is_not_good() {
    let mut rounds = Rounds::new(&["a", "b"]);
    let reload = rounds.round(vec![
        Some(content("a", &[])),
        Some(content("b", &["# nothing\n"])),
    ]);
    assert_eq!(outcome(&reload), Some("refused"));
    assert_eq!(rounds.states(), ["never_loaded", "never_loaded"]);
    assert_eq!(rounds.0.statuses()[0].problems[0].code, Code::NoPolicy);
    assert!(!rounds.0.is_ready());
}

#[test]
fn a_change_that_breaks_another_source_is_refused_and_names_it() {
    let (root, team) = (set("shop"), needs("shop"));
    let mut rounds = Rounds::new(&["root", "team"]);
    assert_eq!(outcome(&rounds.files(&[&root, &team])), Some("published"));
    let reload = rounds.files(&[&set("other"), &team]);
    assert_eq!(outcome(&reload), Some("refused"));
    assert_eq!(rounds.states(), ["refused", "good"]);
    let change = reload.change.unwrap();
    assert_eq!(change.refused_sources, ["root"]);
    assert!(
        change.problems[0].text.contains("would break `team`"),
        "{}",
        change.problems[0]
    );
    assert!(
        change
            .problems
            .iter()
            .any(|p| p.code == Code::MissingSet && p.place.file.as_ref() == "team/0.yaml")
    );
    assert_eq!(outcome(&rounds.files(&[&root, &team])), Some("recovered"));
}

#[test]
fn changes_that_need_each_other_are_taken_together() {
    let plain = denies("p", &["p.example"]);
    let (two, c) = (
        format!("{plain}---\n{}", denies("x", &["x.example"])),
        denies("c", &["c.example"]),
    );
    let clash = c.replace("name: c,", "name: p,");
    for (step, texts, expected, states) in [
        (
            "both at once",
            [&plain, &needs("s"), &set("s")],
            "published",
            ["good", "good", "good"],
        ),
        (
            "the need alone",
            [&plain, &needs("s"), &c],
            "refused",
            ["good", "refused", "good"],
        ),
        (
            "with a third that fails",
            [&clash, &needs("s"), &set("s")],
            "published",
            ["good", "good", "good"],
        ),
        (
            "with a third that clashes",
            [&two, &clash, &set("s")],
            "published_in_part",
            ["good", "refused", "good"],
        ),
    ] {
        let mut rounds = Rounds::new(&["a", "b", "c"]);
        assert_eq!(
            outcome(&rounds.files(&[&plain, &denies("b", &["b.example"]), &c])),
            Some("published"),
            "{step}"
        );
        let reload = rounds.files(&texts.map(String::as_str));
        assert_eq!(
            (outcome(&reload), rounds.states()),
            (Some(expected), states.to_vec()),
            "{step}"
        );
    }
}

#[test]
fn a_refused_change_is_tried_again_when_another_makes_room() {
    let b = denies("b", &["b.example"]);
    let mut rounds = Rounds::new(&["a", "b"]);
    rounds.files(&[&denies("a", &["a.example"]), &b]);
    assert_eq!(outcome(&rounds.files(&[&needs("s"), &b])), Some("refused"));
    assert_eq!(
        outcome(&rounds.files(&[&needs("s"), &set("s")])),
        Some("published")
    );
    assert_eq!(rounds.states(), ["good", "good"]);
}

#[test]
fn the_same_policy_in_two_first_sources_is_told_to_both() {
    let mut rounds = Rounds::new(&["a", "a/b"]);
    let same = denies("p", &["a.example"]);
    assert_eq!(outcome(&rounds.files(&[&same, &same])), Some("refused"));
    assert!(rounds.states().contains(&"never_loaded"));
    assert!(
        rounds
            .0
            .statuses()
            .iter()
            .flat_map(|s| &s.problems)
            .any(|p| p.code == Code::Duplicate)
    );
    assert_eq!(
        outcome(&rounds.files(&[&same, &denies("q", &["a.example"])])),
        Some("published")
    );
}

#[test]
fn a_place_belongs_to_the_inner_source() {
    let names = ["policies", "policies/team", "policies-2", "/abs/"];
    let sources = Rounds::new(&names).0.sources;
    for (file, expected) in [
        ("policies/a.yaml", Some(0)),
        ("policies", Some(0)),
        ("policies/team/a.yaml", Some(1)),
        ("policies-2/a.yaml", Some(2)),
        ("/abs/a.yaml", Some(3)),
        ("policies, policies-2", None),
        ("elsewhere/a.yaml", None),
    ] {
        assert_eq!(owner(&sources, &Place::whole(file)), expected, "{file}");
    }
}

#[test]
fn too_large_a_set_is_nobodys_fault_but_the_growing_source() {
    let mut rounds = Rounds::new(&["a", "b"]);
    let files = |name: &str, count: usize| {
        let first = denies(name, &["a.example"]);
        let texts: Vec<&str> = std::iter::once(first.as_str())
            .chain(std::iter::repeat_n("", count - 1))
            .collect();
        Some(content(name, &texts))
    };
    assert_eq!(
        outcome(&rounds.round(vec![files("a", 6_000), files("b", 4_000)])),
        Some("published")
    );
    assert_eq!(
        outcome(&rounds.round(vec![None, files("b", 4_001)])),
        Some("refused")
    );
    assert_eq!(rounds.states(), ["good", "refused"]);
    assert_eq!(rounds.0.statuses()[1].problems[0].code, Code::TooLarge);
}
