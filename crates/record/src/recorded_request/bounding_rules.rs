//! The two sets of rules that bound an answer while some inputs are missing.
//!
//! In the stricter one every deny that may match does, and no grant that may not match does; in the
//! looser one it is the reverse. In neither does a rule ask for a missing input. Every set of
//! answers that the missing inputs could give is between the two: more denies and more isolation
//! never allow more, and more grants never deny more. So if both answer alike, so does every value
//! of what is missing.
//!
//! The rule: a rule that only seems to ask (a pattern that every account of a namespace matches) is
//! kept as it is; in doubt, the two sets lie further apart.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::missing::RequestInput;
use customs_engine::condition::Condition;
use customs_engine::field::Field;
use customs_engine::operation::Operation;
use customs_engine::pattern::TextPattern;
use customs_engine::rule::{Exception, Rule};
use customs_engine::rules::{EgressScope, Rules};
use customs_engine::snapshot::Snapshot;
use customs_engine::subject::{
    Account, CallerMatch, NamespacePattern, Source, Subject, SubjectList, exact_workload,
};

/// Between namespace and account in a principal.
const BEFORE_ACCOUNT: &str = "/sa/";

/// Which of the two sets is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// Denies whatever may be denied.
    Strictest,
    /// Allows whatever may be allowed.
    Loosest,
}

/// What becomes of a rule that asks for a missing input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// It matches if some value could make it match.
    MayMatch,
    /// It matches only if every value makes it match.
    MustMatch,
}

impl Reading {
    fn opposite(self) -> Reading {
        match self {
            Reading::MayMatch => Reading::MustMatch,
            Reading::MustMatch => Reading::MayMatch,
        }
    }
}

/// Returns a set whose rules do not ask for the missing inputs.
pub(super) fn bound(
    snapshot: &Snapshot,
    missing: &BTreeSet<RequestInput>,
    bound: Bound,
) -> Snapshot {
    let bounding = Bounding { missing };
    let (denies, grants) = match bound {
        Bound::Strictest => (Reading::MayMatch, Reading::MustMatch),
        Bound::Loosest => (Reading::MustMatch, Reading::MayMatch),
    };
    let rules = snapshot.rules();
    let list = |rules: &[Arc<Rule>], reading| {
        let kept = |rule: &Arc<Rule>| bounding.rule(rule, reading);
        rules.iter().filter_map(kept).map(Arc::new).collect()
    };
    let policies = rules.egress_policies.iter().map(|policy| {
        Arc::new(EgressScope {
            subjects: bounding.subjects(&policy.subjects, denies).into(),
            ..EgressScope::clone(policy)
        })
    });
    let bounded = Rules {
        denies: list(&rules.denies, denies),
        istio_allows: list(&rules.istio_allows, grants),
        grants: list(&rules.grants, grants),
        egress_policies: policies.collect(),
        // They mark records and change no answer.
        audits: Vec::new(),
        istio_allow_policies: rules.istio_allow_policies.clone(),
        // They ask for hosts only.
        istio_bound_allow_policies: rules.istio_bound_allow_policies.clone(),
        accepted_trust_domains: rules.accepted_trust_domains.clone(),
        policies: rules.policies,
    };
    Snapshot::new(
        snapshot.revision().clone(),
        snapshot.settings().clone(),
        bounded,
    )
}

struct Bounding<'m> {
    missing: &'m BTreeSet<RequestInput>,
}

impl Bounding<'_> {
    fn lacks(&self, input: &RequestInput) -> bool {
        self.missing.contains(input)
    }

    /// Returns the rule without what it asks of missing inputs; `None` if it cannot match.
    fn rule(&self, rule: &Rule, reading: Reading) -> Option<Rule> {
        let exceptions = rule.except.iter().filter_map(|exception| {
            // What opens a deny is a grant.
            let reading = reading.opposite();
            Some(Exception {
                info: exception.info.clone(),
                callers: self.callers(&exception.callers, reading)?,
                to: self.operation(&exception.to, reading)?,
            })
        });
        Some(Rule {
            info: rule.info.clone(),
            mode: rule.mode,
            callers: self.callers(&rule.callers, reading)?,
            to: some_of(&rule.to, |to| self.operation(to, reading))?,
            when: self.conditions(&rule.when, reading)?,
            except: exceptions.collect(),
        })
    }

    fn callers(&self, callers: &CallerMatch, reading: Reading) -> Option<CallerMatch> {
        Some(match callers {
            CallerMatch::Anyone => CallerMatch::Anyone,
            CallerMatch::Sources(sources) => {
                CallerMatch::Sources(some_of(sources, |source| self.source(source, reading))?)
            }
            CallerMatch::Subjects(subjects) => {
                CallerMatch::Subjects(self.subjects(subjects, reading).into())
            }
        })
    }

    fn source(&self, source: &Source, reading: Reading) -> Option<Source> {
        let mut source = source.clone();
        if self.lacks(&RequestInput::Account) {
            source.principals = principals(&source.principals, reading)?;
            if source.service_accounts.is_set() {
                if reading == Reading::MustMatch {
                    return None;
                }
                if !source.namespaces.is_set() {
                    source.namespaces = Field::of(namespaces(source.service_accounts.any_of()));
                }
                source.service_accounts = Field::default();
            }
        }
        for (input, blocks) in [
            (RequestInput::SourceAddress, &mut source.ip_blocks),
            (RequestInput::RemoteAddress, &mut source.remote_ip_blocks),
        ] {
            if self.lacks(&input) {
                *blocks = unasked(blocks, reading)?;
            }
        }
        Some(source)
    }

    fn subjects(&self, subjects: &SubjectList, reading: Reading) -> SubjectList {
        if !self.lacks(&RequestInput::Account) {
            return subjects.clone();
        }
        let mut kept: Vec<Subject> = subjects
            .0
            .iter()
            .filter_map(|subject| bound_subject(subject, reading))
            .collect();
        if kept.is_empty() {
            // No namespace has an empty name. A list without subjects would say something else.
            let nobody = Account {
                namespace: String::new(),
                name: String::new(),
            };
            kept.push(Subject::Accounts {
                accounts: [nobody].into(),
                trust_domains: Box::default(),
            });
        }
        SubjectList(kept.into())
    }

    fn operation(&self, operation: &Operation, reading: Reading) -> Option<Operation> {
        let mut operation = operation.clone();
        if self.lacks(&RequestInput::Method) {
            operation.methods = unasked(&operation.methods, reading)?;
        }
        if self.lacks(&RequestInput::Path) {
            operation.paths = unasked(&operation.paths, reading)?;
        }
        Some(operation)
    }

    fn conditions(&self, conditions: &[Condition], reading: Reading) -> Option<Box<[Condition]>> {
        let mut kept = Vec::new();
        for condition in conditions {
            let lacks = match condition {
                Condition::Source(source) => {
                    let source = self.source(source, reading)?;
                    kept.push(Condition::Source(source.into()));
                    continue;
                }
                Condition::DestinationIp(_) => self.lacks(&RequestInput::DestinationAddress),
                Condition::DestinationPort(_) => false,
                Condition::Sni(_) => self.lacks(&RequestInput::Sni),
                Condition::Header { name, .. } => self.lacks(&RequestInput::Header(name.clone())),
            };
            match (lacks, reading) {
                (false, _) => kept.push(condition.clone()),
                (true, Reading::MayMatch) => {}
                (true, Reading::MustMatch) => return None,
            }
        }
        Some(kept.into())
    }
}

/// Returns the alternatives that are left of a list of which one must match; an empty list asks for
/// nothing. `None` if none is left.
fn some_of<T>(list: &[T], keep: impl Fn(&T) -> Option<T>) -> Option<Box<[T]>> {
    let kept: Box<[T]> = list.iter().filter_map(keep).collect();
    (list.is_empty() || !kept.is_empty()).then_some(kept)
}

/// Returns a field that asks for nothing; `None` if it asks for a missing input and must match.
fn unasked<P: Clone>(field: &Field<P>, reading: Reading) -> Option<Field<P>> {
    match (field.is_set(), reading) {
        (true, Reading::MustMatch) => None,
        _ => Some(Field::default()),
    }
}

/// Returns the principals without what they ask of the account; `None` if none can match.
fn principals(field: &Field<TextPattern>, reading: Reading) -> Option<Field<TextPattern>> {
    let broad = |list: &[TextPattern]| list.iter().map(of_every_account).collect();
    let strict = |list: &[TextPattern]| {
        let of_all = |pattern: &&TextPattern| of_every_account(pattern) == **pattern;
        list.iter().filter(of_all).cloned().collect::<Box<[_]>>()
    };
    let (any_of, none_of) = match reading {
        Reading::MayMatch => (broad(field.any_of()), strict(field.none_of())),
        Reading::MustMatch => (strict(field.any_of()), broad(field.none_of())),
    };
    let is_void = any_of.is_empty() && !field.any_of().is_empty();
    (!is_void).then(|| Field::new(any_of, none_of))
}

/// Returns a pattern that matches what this one matches, and of each namespace every account or
/// none.
fn of_every_account(pattern: &TextPattern) -> TextPattern {
    let to_account = |text: &str| {
        let (before, _) = text.split_once(BEFORE_ACCOUNT)?;
        Some(TextPattern::Prefix(format!("{before}{BEFORE_ACCOUNT}")))
    };
    match pattern {
        TextPattern::Exact(text) if exact_workload(pattern).is_some() => {
            to_account(text).unwrap_or(TextPattern::Any)
        }
        // It is the principal of no workload.
        TextPattern::Exact(_) | TextPattern::Any => pattern.clone(),
        TextPattern::Prefix(text) => to_account(text).unwrap_or_else(|| pattern.clone()),
        TextPattern::Suffix(_) => TextPattern::Any,
    }
}

fn bound_subject(subject: &Subject, reading: Reading) -> Option<Subject> {
    match subject {
        Subject::Workloads { accounts, .. } if accounts.is_empty() => Some(subject.clone()),
        Subject::Unauthenticated => Some(Subject::Unauthenticated),
        _ if reading == Reading::MustMatch => None,
        Subject::Workloads {
            namespaces,
            trust_domains,
            ..
        } => Some(Subject::Workloads {
            namespaces: namespaces.clone(),
            accounts: Box::default(),
            trust_domains: trust_domains.clone(),
        }),
        Subject::Accounts {
            accounts,
            trust_domains,
        } => Some(Subject::Workloads {
            namespaces: namespaces(accounts).map(NamespacePattern::Exact).collect(),
            accounts: Box::default(),
            trust_domains: trust_domains.clone(),
        }),
    }
}

fn namespaces(accounts: &[Account]) -> impl Iterator<Item = String> {
    let names: BTreeSet<String> = accounts
        .iter()
        .map(|account| account.namespace.clone())
        .collect();
    names.into_iter()
}
