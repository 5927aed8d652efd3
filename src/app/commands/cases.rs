//! `PolicyTest` documents: questions with the answers that the author expects.
//!
//! They are read by the same reader as policies, so an unknown field is an error with its place
//! here too. [`query`](crate::app::explain::query) converts a question to the engine's input.

mod spec;

use crate::app::explain::query::ExplainQuery;
use crate::app::explain::read::{put, query};
use customs_engine::effect::Effect;
use customs_engine::reason::Reason;
use customs_policy::document::{self, Node};
use customs_policy::problem::{Code, Place, Problem};
use customs_policy::reader::{FromNode, Placed, Required, Text};
use customs_policy::suggestion;

pub(crate) use spec::PolicyTest;

/// One case.
#[derive(Clone, Debug)]
pub(super) struct Case {
    /// Its name.
    pub name: String,
    /// Its place.
    pub place: Place,
    /// The question.
    pub query: ExplainQuery,
    /// The expected answer.
    pub wanted: Wanted,
}

/// An expected value, with its place.
#[derive(Clone, Debug)]
pub(super) struct Expected<T> {
    /// The value.
    pub value: T,
    /// Its place.
    pub place: Place,
}

/// The expectations of a case; only the verdict's effect is required.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// `expect`, `reason` and `rule`: the verdict.
    pub verdict: WantedAnswer,
    /// `dryRun`, `dryRunReason` and `dryRunRule`: the answer of the dry run.
    pub dry_run: WantedAnswer,
    /// `effect`: the answer that Envoy gets.
    pub effect: Option<Expected<Effect>>,
    /// `gate`: the gates that stayed closed for a denial, or opened for an allow.
    pub gate: Option<Expected<String>>,
    /// `expired`: the exception of a deny that expired.
    pub expired: Option<Expected<String>>,
}

/// The expectations for one answer.
#[derive(Clone, Debug)]
pub(super) struct WantedAnswer {
    /// Allow or deny.
    pub effect: Option<Expected<Effect>>,
    /// The reason.
    pub reason: Option<Expected<Reason>>,
    /// The rule that it names.
    pub rule: Option<Expected<String>>,
}

/// Parses the cases of a file and adds what is invalid to the problems.
pub(super) fn read(file: &str, bytes: &[u8], problems: &mut Vec<Problem>) -> Vec<Case> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let what = "the file is not UTF-8 text";
        problems.push(
            Problem::error(Code::YamlSyntax, Place::whole(file), what).hint("save it as UTF-8"),
        );
        return Vec::new();
    };
    let (mut cases, mut found) = (Vec::new(), Vec::new());
    for document in document::parse(file, text) {
        match document {
            Ok(node) => cases.extend(policy_test(&node, &mut found)),
            Err(problem) => found.push(problem),
        }
    }
    found.sort_by(|a, b| (&a.place, a.code).cmp(&(&b.place, b.code)));
    problems.append(&mut found);
    cases
}

fn policy_test(document: &Node, problems: &mut Vec<Problem>) -> Vec<Case> {
    let test: Option<Placed<'_, PolicyTest<'_>>> = Placed::from_node(document, "", problems);
    let Some(test) = test else {
        return Vec::new();
    };
    exactly("apiVersion", spec::API_VERSION, test.api_version, problems);
    exactly("kind", spec::KIND, test.kind, problems);
    let written = test.cases.0.as_ref().map_or(&[][..], |cases| &cases.items);
    let read = |written| case(written, problems);
    let cases: Vec<Case> = written.iter().filter_map(read).collect();
    unique_names(&cases, problems);
    cases
}

fn exactly(name: &str, value: &str, text: Required<Text<'_>>, problems: &mut Vec<Problem>) {
    if let Some(text) = text.0.filter(|text| text.text != value) {
        let what = format!("invalid {name} `{}` in a test file", text.text);
        problems.push(
            text.error(Code::UnknownKind, what)
                .hint(format!("write `{name}: {value}`")),
        );
    }
}

fn unique_names(cases: &[Case], problems: &mut Vec<Problem>) {
    for (at, case) in cases.iter().enumerate() {
        if let Some(first) = cases.iter().take(at).find(|other| other.name == case.name) {
            let what = format!(
                "duplicate case `{}`; the other is at {}",
                case.name, first.place
            );
            problems
                .push(Problem::error(Code::Duplicate, case.place.clone(), what).hint("rename one"));
        }
    }
}

fn case(case: &Placed<'_, spec::Case<'_>>, problems: &mut Vec<Problem>) -> Option<Case> {
    let query = query(&case.question, case, problems);
    let wanted = wanted(case, problems);
    Some(Case {
        name: case.name.0?.text.to_owned(),
        place: case.place.clone(),
        query: query?,
        wanted: wanted?,
    })
}

fn wanted(case: &spec::Case<'_>, problems: &mut Vec<Problem>) -> Option<Wanted> {
    let verdict = WantedAnswer {
        effect: case.expect.0.and_then(|text| put(effect(text), problems)),
        reason: case.reason.and_then(|text| put(reason(text), problems)),
        rule: case.rule.map(as_written),
    };
    let dry_run = WantedAnswer {
        effect: case.dry_run.and_then(|text| put(effect(text), problems)),
        reason: case
            .dry_run_reason
            .and_then(|text| put(reason(text), problems)),
        rule: case.dry_run_rule.map(as_written),
    };
    let effect = case.effect.and_then(|text| put(effect(text), problems));
    verdict.effect.is_some().then_some(Wanted {
        verdict,
        dry_run,
        effect,
        gate: case.gate.map(as_written),
        expired: case.expired.map(as_written),
    })
}

fn as_written(text: Text<'_>) -> Expected<String> {
    expected(text, text.text.to_owned())
}

fn expected<T>(text: Text<'_>, value: T) -> Expected<T> {
    Expected {
        value,
        place: text.place.clone(),
    }
}

fn effect(text: Text<'_>) -> Result<Expected<Effect>, Problem> {
    match text.text {
        "Allow" => Ok(expected(text, Effect::Allow)),
        "Deny" => Ok(expected(text, Effect::Deny)),
        other => Err(text
            .error(Code::BadValue, format!("invalid answer `{other}`"))
            .hint("write `Allow` or `Deny`")),
    }
}

fn reason(text: Text<'_>) -> Result<Expected<Reason>, Problem> {
    let names: Vec<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    if let Some(known) = Reason::ALL
        .iter()
        .find(|reason| reason.as_str() == text.text)
    {
        return Ok(expected(text, *known));
    }
    let problem = text.error(Code::BadValue, format!("invalid reason `{}`", text.text));
    Err(match suggestion::nearest(text.text, &names) {
        Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
        None => problem.hint(format!("the reasons are {}", names.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::explain::query::QueryInput;
    use customs_engine::time::UnixNanos;

    const HEAD: &str =
        "apiVersion: egress.customs/v1alpha1\nkind: PolicyTest\nmetadata: {name: x}\ncases:\n";

    fn problems(cases: &str) -> Vec<(Code, u32)> {
        let mut problems = Vec::new();
        read("f", format!("{HEAD}{cases}").as_bytes(), &mut problems);
        problems
            .iter()
            .map(|problem| (problem.code, problem.place.line))
            .collect()
    }

    #[test]
    fn a_full_case_is_read() {
        let mut problems = Vec::new();
        let text = format!(
            "{HEAD}- name: all\n  from: a/b\n  to: http://h.example/x\n  method: POST\n  headers: {{X-A: b}}\n  \
             listenerPort: 8443\n  sourceIp: 192.0.2.1\n  sni: s.example\n  now: 2026-12-31T00:00:00Z\n  expect: Deny\n  \
             rule: ep:a/b#c\n  reason: denied_by_rule\n  dryRun: Allow\n  dryRunReason: allowed_by_rule\n  \
             dryRunRule: ep:a/b#d\n  effect: Deny\n  gate: istio\n  expired: ep:a/b#c.except[0]\n"
        );
        let cases = read("f", text.as_bytes(), &mut problems);
        assert_eq!(problems, []);
        let case = &cases[0];
        let QueryInput::Shorthand(shorthand) = &case.query.input else {
            panic!("no words")
        };
        assert_eq!(shorthand.headers, [("x-a".to_owned(), "b".to_owned())]);
        assert_eq!(shorthand.listener_port, Some(8443));
        assert_eq!(case.query.now, Some(UnixNanos(1_798_675_200_000_000_000)));
        assert_eq!(
            case.wanted.verdict.effect.as_ref().unwrap().value,
            Effect::Deny
        );
        assert_eq!(
            case.wanted.dry_run.effect.as_ref().unwrap().value,
            Effect::Allow
        );
        assert_eq!(
            case.wanted.dry_run.reason.as_ref().unwrap().value,
            Reason::AllowedByRule
        );
        assert_eq!(case.wanted.dry_run.rule.as_ref().unwrap().value, "ep:a/b#d");
        assert_eq!(case.wanted.effect.as_ref().unwrap().value, Effect::Deny);
        assert_eq!(case.wanted.gate.as_ref().unwrap().value, "istio");
        assert_eq!(
            case.wanted.expired.as_ref().unwrap().value,
            "ep:a/b#c.except[0]"
        );
        assert_eq!(
            case.wanted.verdict.rule.as_ref().unwrap().place.to_string(),
            "f:15:9"
        );
    }

    #[test]
    fn every_mistake_is_reported_with_its_place() {
        for (case, expected) in [
            (
                "- {name: a, from: a/b, to: 'http://h/', expect: allow}\n",
                vec![(Code::BadValue, 5)],
            ),
            (
                "- {name: a, from: a/b, to: 'http://h/'}\n",
                vec![(Code::MissingField, 5)],
            ),
            (
                "- {from: a, to: h, expect: Deny}\n",
                vec![
                    (Code::MissingField, 5),
                    (Code::BadIdentity, 5),
                    (Code::BadValue, 5),
                ],
            ),
            (
                "- {name: a, from: a/b, to: 'tcp://h:1', method: GET, expect: Deny}\n",
                vec![(Code::Conflict, 5)],
            ),
            (
                "- {name: a, from: a/b, to: 'http://h/', expect: Deny, reason: denied}\n",
                vec![(Code::BadValue, 5)],
            ),
            (
                "- {name: a, from: a/b, to: 'http://h/', expect: Deny, sourceIp: x}\n",
                vec![(Code::BadAddress, 5)],
            ),
            (
                "- {name: a, from: a/b, to: 'http://h/', expect: Deny, now: x}\n",
                vec![(Code::BadValue, 5)],
            ),
            (
                "- {name: a, from: a/b, to: 'http://h/', expect: Deny, listenerPort: 70000}\n",
                vec![(Code::BadPort, 5)],
            ),
            (
                "- {name: a, from: a/b, to: 'http://h/', expect: Deny, headers: [a]}\n",
                vec![(Code::WrongType, 5)],
            ),
            (
                "- {name: a, request: {}, to: 'http://h/', method: GET, expect: Deny}\n",
                vec![(Code::Conflict, 5); 2],
            ),
            (
                "- name: a\n  expect: Deny\n  request:\n    attributes: 1\n",
                vec![(Code::BadValue, 8)],
            ),
            (
                "- {name: a, expect: Deny,\n  request: {attribute: 1}}\n",
                vec![(Code::UnknownField, 6)],
            ),
            (
                "- {name: a, from: a/b, to: 'http://h/', expect: Deny, rool: x}\n",
                vec![(Code::UnknownField, 5)],
            ),
            (
                "- &a {name: a, from: a/b, to: 'http://h/', expect: Deny}\n- *a\n",
                vec![(Code::Duplicate, 6)],
            ),
        ] {
            assert_eq!(problems(case), expected, "{case}");
        }
    }

    #[test]
    fn another_kind_of_document_is_refused() {
        let mut problems = Vec::new();
        read(
            "f",
            b"apiVersion: v1\nkind: EgressPolicy\nmetadata: {}\ncases: []\n",
            &mut problems,
        );
        let codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
        assert_eq!(
            codes,
            [
                Code::UnknownKind,
                Code::UnknownKind,
                Code::MissingField,
                Code::EmptyValue
            ]
        );
    }
}
