//! The verdicts that are meant to change: the file of `--expect`.
//!
//! It is a list. Each entry says of which callers to which hosts requests are meant to be newly
//! denied or newly allowed, and how many, if that matters. The rule: a change that no entry means
//! is unexpected, and the file is read as strictly as a policy.

use super::flips::{FlipKind, FlipRow, Flips, Occurrences};
use customs_engine::effect::Effect;
use customs_engine::host::Authority;
use customs_engine::identity::{IdentityState, Principal, is_dns_label, is_dns_subdomain};
use customs_engine::pattern::{HostPattern, Match, Port, Spelling, parse_host_pattern};
use customs_policy::document::{self, Node, Value};
use customs_policy::mapping;
use customs_policy::problem::{Code, Place, Problem};
use customs_policy::reader::{FromNode, List, Placed, Required, Text};
use customs_policy::spec::{Shape, Word};

/// The values of a verdict.
const EFFECT: Shape = Shape::OneOf(&[Word::new("Allow"), Word::new("Deny")]);

mapping! {
    /// A change of verdicts that is meant.
    pub(crate) struct FlipEntry<'n> = "an expected change" {
        /// `namespace/account` or `namespace/*` of the own trust domain, a whole `spiffe://` id, a state
        /// such as `unauthenticated`, or `**`.
        from: Required<Text<'n>> = "from",
        /// A host as in policies, or `**`.
        to: Required<Text<'n>> = "to",
        /// The new verdict.
        expect: Required<Text<'n>> = "expect" as EFFECT,
        /// The fewest decisions that change.
        at_least: Option<&'n Node> = "atLeast" as Shape::Any,
        /// The most decisions that change.
        at_most: Option<&'n Node> = "atMost" as Shape::Any,
        /// Why it is meant; only for readers of the file.
        reason: Option<Text<'n>> = "reason",
    }
}

/// A change that is meant.
#[derive(Clone, Debug)]
pub(super) struct ExpectedFlip {
    /// Where it is written.
    pub place: Place,
    /// `from` as it is written.
    pub from: String,
    /// `to` as it is written.
    pub to: String,
    /// The new verdict.
    pub expect: Effect,
    /// The fewest.
    pub at_least: Option<u64>,
    /// The most.
    pub at_most: Option<u64>,
    caller: CallerPattern,
    host: HostPattern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum CallerPattern {
    Anyone,
    State(IdentityState),
    Namespace(String),
    Account(String, String),
    Foreign(String),
}

/// Reads the file, and adds what is wrong with it to the problems.
pub(super) fn read(file: &str, bytes: &[u8], problems: &mut Vec<Problem>) -> Vec<ExpectedFlip> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        let what = "the file is not UTF-8 text";
        let problem = Problem::error(Code::YamlSyntax, Place::whole(file), what);
        problems.push(problem.hint("save it as UTF-8"));
        return Vec::new();
    };
    let (mut flips, mut is_empty) = (Vec::new(), true);
    for document in document::parse(file, text) {
        is_empty = false;
        match document {
            Ok(node) => flips.extend(list(&node, problems)),
            Err(problem) => problems.push(problem),
        }
    }
    if is_empty {
        let what = "the file holds no expected change";
        let problem = Problem::error(Code::EmptyValue, Place::whole(file), what);
        problems.push(problem.hint("write a list of changes, or leave `--expect` out"));
    }
    problems.sort_by(|a, b| (&a.place, a.code).cmp(&(&b.place, b.code)));
    flips
}

fn list(node: &Node, problems: &mut Vec<Problem>) -> Vec<ExpectedFlip> {
    let Value::List(_) = &node.value else {
        let what = "the file must be a list of expected changes";
        let problem = Problem::error(Code::WrongType, node.place.clone(), what);
        problems.push(problem.hint("begin each change with `- from: `"));
        return Vec::new();
    };
    let read: Option<List<'_, Placed<'_, FlipEntry<'_>>>> =
        List::from_node(node, "the list", problems);
    let entries = read.map(|list| list.items).unwrap_or_default();
    let flips = entries.iter().filter_map(|entry| flip(entry, problems));
    flips.collect()
}

fn flip(entry: &Placed<'_, FlipEntry<'_>>, problems: &mut Vec<Problem>) -> Option<ExpectedFlip> {
    let caller = entry.from.0.and_then(|text| put(caller(text), problems));
    let host = entry.to.0.and_then(|text| put(host(text), problems));
    let expect = entry.expect.0.and_then(|text| put(effect(text), problems));
    let mut bound = |node: Option<&Node>, name| {
        let count = node.map(|node| count(node, name)).transpose();
        count.map_err(|problem| problems.push(*problem)).ok()
    };
    let at_least = bound(entry.at_least, "atLeast")?;
    let at_most = bound(entry.at_most, "atMost")?;
    if let (Some(least), Some(most)) = (at_least, at_most)
        && least > most
    {
        let what = format!("`atLeast` is {least}, more than `atMost`, which is {most}");
        problems.push(Problem::error(Code::Conflict, entry.place.clone(), what));
    }
    Some(ExpectedFlip {
        place: entry.place.clone(),
        from: entry.from.0?.text.to_owned(),
        to: entry.to.0?.text.to_owned(),
        expect: expect?,
        at_least,
        at_most,
        caller: caller?,
        host: host?,
    })
}

fn put<T>(read: Result<T, Problem>, problems: &mut Vec<Problem>) -> Option<T> {
    read.map_err(|problem| problems.push(problem)).ok()
}

fn caller(text: Text<'_>) -> Result<CallerPattern, Problem> {
    if text.text == "**" {
        return Ok(CallerPattern::Anyone);
    }
    if let Principal::Workload(id) = Principal::parse(text.text) {
        return Ok(CallerPattern::Foreign(id.principal.to_owned()));
    }
    let mut states = IdentityState::ALL.into_iter();
    if let Some(state) = states.find(|state| state.as_str() == text.text) {
        return Ok(CallerPattern::State(state));
    }
    match text.text.split_once('/') {
        Some((namespace, "*")) if is_dns_label(namespace) => {
            Ok(CallerPattern::Namespace(namespace.to_owned()))
        }
        Some((namespace, account)) if is_dns_label(namespace) && is_dns_subdomain(account) => Ok(
            CallerPattern::Account(namespace.to_owned(), account.to_owned()),
        ),
        _ => Err(text
            .error(Code::BadIdentity, format!("invalid caller `{}`", text.text))
            .hint("write `namespace/account`, `namespace/*`, `unauthenticated` or `**`")),
    }
}

fn host(text: Text<'_>) -> Result<HostPattern, Problem> {
    let wrong = |why: String| text.error(Code::BadHost, why);
    let (pattern, spellings) = parse_host_pattern(text.text)
        .map_err(|why| wrong(format!("invalid host `{}`: {why}", text.text)))?;
    match spellings.first() {
        None if pattern.is_lone_star() => {
            Err(wrong("invalid host `*`".to_owned()).hint("write `**` for anywhere"))
        }
        None => Ok(pattern),
        Some(Spelling::Folded(meant) | Spelling::Unicode(meant)) => {
            Err(wrong(format!("invalid host `{}`", text.text))
                .hint(format!("write it as `{meant}`")))
        }
        Some(Spelling::Loose) => Err(wrong(format!("invalid host `{}`", text.text))
            .hint("write a name, `*.suffix`, an address or `**`")),
    }
}

fn effect(text: Text<'_>) -> Result<Effect, Problem> {
    match text.text {
        "Allow" => Ok(Effect::Allow),
        "Deny" => Ok(Effect::Deny),
        other => Err(text
            .error(Code::BadValue, format!("invalid answer `{other}`"))
            .hint("write `Allow` or `Deny`")),
    }
}

fn count(node: &Node, name: &str) -> Result<u64, Box<Problem>> {
    let number = match &node.value {
        Value::Number(number) => number.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| {
        let what = format!("`{name}` must be a number of decisions");
        Problem::error(Code::WrongType, node.place.clone(), what).into()
    })
}

impl ExpectedFlip {
    fn means(&self, row: &FlipRow) -> bool {
        let kind = match self.expect {
            Effect::Allow => FlipKind::Allowed,
            Effect::Deny => FlipKind::Denied,
        };
        let is_caller = match &self.caller {
            CallerPattern::Anyone => true,
            CallerPattern::State(state) => state.as_str() == row.identity,
            CallerPattern::Namespace(namespace) => {
                row.foreign_domain.is_empty() && *namespace == row.namespace
            }
            CallerPattern::Account(namespace, account) => {
                row.foreign_domain.is_empty()
                    && (namespace, account) == (&row.namespace, &row.account)
            }
            CallerPattern::Foreign(principal) => {
                let FlipRow {
                    foreign_domain,
                    namespace,
                    account,
                    ..
                } = row;
                *principal == format!("{foreign_domain}/ns/{namespace}/sa/{account}")
            }
        };
        row.kind == kind && is_caller && self.is_host(row)
    }

    fn is_host(&self, row: &FlipRow) -> bool {
        if self.host.is_anywhere() {
            return true;
        }
        let port = row.port.and_then(|port| u16::try_from(port).ok());
        let port = port.map_or(Port::Absent(None), Port::Known);
        let text = match row.host.contains(':') {
            true => format!("[{}]", row.host),
            false => row.host.clone(),
        };
        Authority::parse(&text)
            .is_ok_and(|read| self.host.matches(&read.host, port, None, Match::Broad))
    }

    /// Returns whether so many changes are as many as are meant.
    fn is_within(&self, count: u64) -> bool {
        self.at_least.is_none_or(|least| count >= least)
            && self.at_most.is_none_or(|most| count <= most)
    }
}

/// The expected changes, and what happened.
#[derive(Debug, Default)]
pub(super) struct Expectations {
    /// Each expected change, and how often it happened.
    pub expected: Vec<(ExpectedFlip, Occurrences)>,
    /// The verdicts that changed and that no entry means.
    pub unexpected: u64,
}

impl Expectations {
    /// Compares the changes with those that are meant. Without any, every change of a verdict is
    /// unexpected.
    pub(super) fn check(expected: Vec<ExpectedFlip>, flips: &Flips) -> Expectations {
        let mut checked = Expectations {
            expected: expected
                .into_iter()
                .map(|flip| (flip, Occurrences::default()))
                .collect(),
            unexpected: 0,
        };
        for kind in FlipKind::ALL.into_iter().filter(|kind| kind.is_verdict()) {
            for (row, occurrences) in flips.rows(kind) {
                let mut is_meant = false;
                for (flip, happened) in &mut checked.expected {
                    if flip.means(row) {
                        happened.merge(occurrences);
                        is_meant = true;
                    }
                }
                if !is_meant {
                    checked.unexpected += occurrences.count;
                }
            }
            checked.unexpected += flips.others(kind).count;
        }
        checked
    }

    /// Returns whether some entry means a row.
    pub(super) fn means(&self, row: &FlipRow) -> bool {
        self.expected.iter().any(|(flip, _)| flip.means(row))
    }

    /// Returns whether something happened more or less often than is meant. What never happened is
    /// not counted here, unless a number was asked for.
    pub(super) fn is_out_of_bounds(&self) -> bool {
        self.expected
            .iter()
            .any(|(flip, happened)| !flip.is_within(happened.count))
    }

    /// Returns whether an expected change never happened.
    pub(super) fn is_missed(&self) -> bool {
        self.expected
            .iter()
            .any(|(_, happened)| happened.count == 0)
    }
}

impl ExpectedFlip {
    /// Returns what is wrong with how often it happened, in words.
    pub(super) fn complaint(&self, happened: Occurrences) -> Option<String> {
        if !self.is_within(happened.count) {
            let bound = |bound: Option<u64>, open: &str| {
                bound.map_or_else(|| open.to_owned(), |bound| bound.to_string())
            };
            return Some(format!(
                "happened {} times, and {} to {} are expected",
                happened.count,
                bound(self.at_least, "0"),
                bound(self.at_most, "any number")
            ));
        }
        (happened.count == 0).then(|| "never happened".to_owned())
    }
}
