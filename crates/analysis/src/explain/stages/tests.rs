//! What is shown where there is nothing to explain, or where the two evaluators differ.

use super::*;
use customs_engine::{Attributes, HttpAttributes, Reason, Revision, Rules, Settings};

const NOW: UnixNanos = UnixNanos(0);

/// The stages of an answer to a request for a host.
fn explained(snapshot: &Snapshot, answer: Option<Answer>) -> Vec<Stage> {
    let http = HttpAttributes {
        method: "GET",
        path: "/",
        host: "api.example",
        ..HttpAttributes::default()
    };
    let attributes = Attributes {
        http: Some(http),
        has_address: true,
        ..Attributes::default()
    };
    let request = attributes.normalise(snapshot.settings());
    let answer = answer.unwrap_or_else(|| snapshot.decide(&request, NOW).verdict);
    stages(snapshot, &request, None, &answer, Pass::Enforced, NOW)
}

fn states(stages: &[Stage]) -> Vec<&str> {
    stages.iter().map(|stage| stage.state.as_ref()).collect()
}

fn empty() -> Snapshot {
    Snapshot::new(Revision::none(), Settings::default(), Rules::default())
}

#[test]
fn a_set_without_rules_is_explained_by_its_default() {
    let stages = explained(&empty(), None);
    let expected = ["passed", "passed", "notAsked", "notAsked", "allowed"];
    assert_eq!(states(&stages), expected, "{stages:?}");
}

#[test]
fn before_a_set_is_loaded_no_stage_is_asked() {
    let stages = explained(&Snapshot::unloaded(Settings::default()), None);
    assert_eq!(states(&stages), ["notAsked"; 5]);
    assert!(stages[0].text.contains("no policy set was loaded yet"));
}

#[test]
fn an_answer_that_the_trace_does_not_give_is_not_explained_by_it() {
    let other = Answer::built_in(Reason::DefaultDeny);
    let stages = explained(&empty(), Some(other));
    assert_eq!(states(&stages), ["unknown"; 5]);
    let text = &stages[4].text;
    assert!(
        text.contains("default_allow by builtin#default_allow")
            && text.contains("default_deny by builtin#default_deny"),
        "{text}"
    );
}
