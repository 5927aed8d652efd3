//! Whether one rule matches every request that another matches.
//!
//! Each rule is read by its own effect (rule R0), so a deny can be compared with a grant. The
//! answer is sound but not complete: "covers" is always certain, for known and unknown attributes
//! and for every kind of caller. Lists are compared value by value; two values that contain a third
//! only together are not combined.

use std::sync::Arc;

use customs_engine::condition::Condition;
use customs_engine::effect::Effect;
use customs_engine::field::Field;
use customs_engine::operation::{Operation, PathPattern};
use customs_engine::pattern::{self, HostPattern, Match, TextPattern};
use customs_engine::rule::Rule;
use customs_engine::subject::{
    CallerMatch, NamespacePattern, Source, Subject, SubjectList, exact_workload,
};

/// The most comparisons of two lists; beyond it the answer is "does not cover".
const MOST: usize = 16_384;

/// The effects by which the two rules are read: the covering one and the covered one. A grant is
/// never compared as the covering rule of a deny.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reads {
    /// The effect of the rule that may cover.
    pub outer: Effect,
    /// The effect of the rule that may be covered.
    pub inner: Effect,
}

impl Reads {
    /// Two denies.
    pub(crate) const DENIES: Reads = Reads {
        outer: Effect::Deny,
        inner: Effect::Deny,
    };
    /// Two grants.
    pub(crate) const GRANTS: Reads = Reads {
        outer: Effect::Allow,
        inner: Effect::Allow,
    };
    /// A deny over a grant.
    pub(crate) const DENY_OVER_GRANT: Reads = Reads {
        outer: Effect::Deny,
        inner: Effect::Allow,
    };
}

/// Whether `outer` matches every request that `inner` matches, apart from modes, exceptions and
/// expiry.
pub(crate) fn rule(outer: &Rule, inner: &Rule, reads: Reads) -> bool {
    destination(outer, inner, reads) && callers(&outer.callers, &inner.callers, reads)
}

/// The same for destinations alone, including `when`.
pub(crate) fn destination(outer: &Rule, inner: &Rule, reads: Reads) -> bool {
    let to = outer.to.is_empty()
        || (!inner.to.is_empty()
            && inner
                .to
                .iter()
                .all(|i| outer.to.iter().any(|o| operation(o, i, reads))));
    // An equal condition under the effect that matches more strictly holds no more often.
    let when = outer
        .when
        .iter()
        .all(|condition| inner.when.contains(condition));
    // On TCP a grant with one HTTP-only field never matches.
    let tcp = reads.outer == Effect::Deny || !is_http_only(outer) || is_http_only(inner);
    tcp && when && to
}

/// Whether a rule has a field that only HTTP can answer.
pub(crate) fn is_http_only(rule: &Rule) -> bool {
    rule.to.iter().any(Operation::is_http_only) || rule.when.iter().any(Condition::is_http_only)
}

/// Whether one field covers another. An unknown attribute satisfies every deny, and no grant with a
/// condition on it. So a grant without a condition is covered only by a rule without one.
fn field<P>(
    outer: &Field<P>,
    inner: &Field<P>,
    reads: Reads,
    contains: impl Fn(&P, Match, &P, Match) -> bool,
) -> bool {
    let size = |a: &[P], b: &[P]| a.len().saturating_mul(b.len());
    if size(outer.any_of(), inner.any_of()).max(size(outer.none_of(), inner.none_of())) > MOST {
        return false;
    }
    let (positive, positives) = (reads.outer.positive_match(), reads.inner.positive_match());
    let (negative, negatives) = (reads.outer.negative_match(), reads.inner.negative_match());
    let within = |i: &P| {
        outer
            .any_of()
            .iter()
            .any(|o| contains(o, positive, i, positives))
    };
    let left_out = |o: &P| {
        inner
            .none_of()
            .iter()
            .any(|i| contains(i, negatives, o, negative))
    };
    (outer.any_of().is_empty() || (!inner.any_of().is_empty() && inner.any_of().iter().all(within)))
        && outer.none_of().iter().all(left_out)
}

fn operation(outer: &Operation, inner: &Operation, reads: Reads) -> bool {
    // `**` also grants a connection without a host, which no other host pattern does.
    let grants_unnamed = |op: &Operation| {
        !op.hosts.is_set() || op.hosts.any_of().iter().any(HostPattern::is_anywhere)
    };
    (reads.outer == Effect::Deny || grants_unnamed(outer) || !grants_unnamed(inner))
        && field(&outer.hosts, &inner.hosts, reads, HostPattern::contains)
        && field(&outer.ports, &inner.ports, reads, |o, _, i, _| o == i)
        && field(&outer.methods, &inner.methods, reads, method)
        && field(&outer.paths, &inner.paths, reads, |o, _, i, _| path(o, i))
}

/// Whether `outer` matches every method that `inner` matches, each under its own reading.
pub(crate) fn method(
    outer: &TextPattern,
    matching: Match,
    inner: &TextPattern,
    others: Match,
) -> bool {
    match (matching, others) {
        (Match::Broad, _) => outer.contains_ignore_case(inner),
        (Match::Strict, Match::Strict) => outer.contains(inner),
        (Match::Strict, Match::Broad) => false,
    }
}

/// Whether `outer` matches every text that `inner` matches. This holds for each reading, so it
/// holds both if some reading must match and if every reading must match.
pub(crate) fn path(outer: &PathPattern, inner: &PathPattern) -> bool {
    match (outer, inner) {
        (PathPattern::Text(outer), PathPattern::Text(inner)) => outer.contains(inner),
        // Every template begins with `/`.
        (PathPattern::Text(text), PathPattern::Template(_)) => {
            text.contains(&TextPattern::Prefix("/".to_owned()))
        }
        (PathPattern::Template(_), PathPattern::Text(_)) => false,
        (PathPattern::Template(outer), PathPattern::Template(inner)) => outer == inner,
    }
}

/// Whether a rule selects every caller that another selects.
pub(crate) fn callers(outer: &CallerMatch, inner: &CallerMatch, reads: Reads) -> bool {
    unknown_callers(outer, inner, reads)
        && match (outer, inner) {
            (CallerMatch::Anyone, _) => true,
            (CallerMatch::Sources(outer), CallerMatch::Sources(inner)) => inner
                .iter()
                .all(|i| outer.iter().any(|o| source(o, i, reads))),
            (CallerMatch::Subjects(outer), CallerMatch::Subjects(inner)) => {
                subjects(outer, inner, reads)
            }
            (CallerMatch::Sources(outer), CallerMatch::Subjects(inner)) => inner
                .0
                .iter()
                .all(|i| outer.iter().any(|o| source_over_subject(o, i))),
            (CallerMatch::Subjects(outer), CallerMatch::Sources(inner)) => {
                inner.iter().all(|i| subjects_over_source(outer, i))
            }
            (CallerMatch::Subjects(outer), CallerMatch::Anyone) => {
                outer.0.iter().any(is_every_workload)
            }
            (CallerMatch::Sources(_), CallerMatch::Anyone) => false,
        }
}

/// Whether `outer` selects the callers without a valid identity that `inner` may select. Sources
/// are compared with sources field by field, which holds for such callers too.
fn unknown_callers(outer: &CallerMatch, inner: &CallerMatch, reads: Reads) -> bool {
    let named =
        |subjects: &SubjectList| subjects.name_unauthenticated() || subjects.hold_everyone();
    let may_be_about = match (inner, reads.inner) {
        (CallerMatch::Sources(sources), Effect::Allow) => {
            sources.iter().any(|source| !source.asks_identity())
        }
        (CallerMatch::Subjects(subjects), Effect::Allow) => subjects.name_unauthenticated(),
        (CallerMatch::Anyone, _) | (_, Effect::Deny) => true,
    };
    !may_be_about
        || match (outer, inner, reads.outer) {
            (CallerMatch::Anyone, _, _) | (CallerMatch::Sources(_), CallerMatch::Sources(_), _) => {
                true
            }
            (CallerMatch::Sources(sources), _, _) => {
                sources.iter().any(|source| !asks_address(source))
            }
            (CallerMatch::Subjects(outer), _, Effect::Allow) => outer.name_unauthenticated(),
            (CallerMatch::Subjects(outer), CallerMatch::Subjects(inner), Effect::Deny)
                if reads.inner == Effect::Deny =>
            {
                named(outer) || !named(inner)
            }
            (CallerMatch::Subjects(outer), _, Effect::Deny) => named(outer),
        }
}

fn asks_address(source: &Source) -> bool {
    source.ip_blocks.is_set() || source.remote_ip_blocks.is_set()
}

fn source(outer: &Source, inner: &Source, reads: Reads) -> bool {
    let text = |o: &TextPattern, _: Match, i: &TextPattern, _: Match| o.contains(i);
    field(&outer.principals, &inner.principals, reads, text)
        && field(&outer.trust_domains, &inner.trust_domains, reads, text)
        // A star of the contained pattern can only be matched by a star of the other.
        && field(&outer.namespaces, &inner.namespaces, reads, |o, _, i, _| pattern::glob_matches(o, i))
        && field(&outer.service_accounts, &inner.service_accounts, reads, |o, _, i, _| o == i)
        && field(&outer.ip_blocks, &inner.ip_blocks, reads, |o, _, i, _| o.contains(i))
        && field(&outer.remote_ip_blocks, &inner.remote_ip_blocks, reads, |o, _, i, _| o.contains(i))
}

fn subjects(outer: &Arc<SubjectList>, inner: &Arc<SubjectList>, reads: Reads) -> bool {
    Arc::ptr_eq(outer, inner)
        || inner.0.iter().all(|i| {
            outer
                .0
                .iter()
                .any(|o| subject(o, i, reads.outer == Effect::Allow))
        })
}

/// Compares subjects for valid identities only. A grant must admit the foreign trust domains of the
/// other too.
fn subject(outer: &Subject, inner: &Subject, grants: bool) -> bool {
    let admits = !grants
        || trust_domains(inner)
            .iter()
            .all(|domain| trust_domains(outer).contains(domain));
    let selects = match (outer, inner) {
        (_, Subject::Unauthenticated) => true,
        (
            Subject::Workloads {
                namespaces,
                accounts,
                ..
            },
            Subject::Workloads {
                namespaces: n,
                accounts: a,
                ..
            },
        ) => {
            let all = !a.is_empty() && a.iter().all(|account| accounts.contains(account));
            (accounts.is_empty() || all)
                && n.iter()
                    .all(|inner| namespaces.iter().any(|o| namespace(o, inner)))
        }
        (outer, Subject::Accounts { accounts, .. }) => accounts
            .iter()
            .all(|a| selects_account(outer, (&a.namespace, &a.name))),
        (
            Subject::Accounts { .. },
            Subject::Workloads {
                namespaces,
                accounts,
                ..
            },
        ) => {
            !accounts.is_empty()
                && pairs(namespaces, accounts)
                    .is_some_and(|pairs| pairs.iter().all(|a| selects_account(outer, *a)))
        }
        (Subject::Unauthenticated, Subject::Workloads { .. }) => false,
    };
    admits && selects
}

fn trust_domains(subject: &Subject) -> &[String] {
    match subject {
        Subject::Workloads { trust_domains, .. } | Subject::Accounts { trust_domains, .. } => {
            trust_domains
        }
        Subject::Unauthenticated => &[],
    }
}

/// Returns each account in each namespace, if every namespace is exact.
pub(crate) fn pairs<'s>(
    namespaces: &'s [NamespacePattern],
    accounts: &'s [String],
) -> Option<Vec<(&'s str, &'s str)>> {
    let mut pairs = Vec::new();
    for namespace in namespaces {
        let NamespacePattern::Exact(namespace) = namespace else {
            return None;
        };
        pairs.extend(
            accounts
                .iter()
                .map(|name| (namespace.as_str(), name.as_str())),
        );
    }
    Some(pairs)
}

/// Whether every namespace of one pattern is in another.
pub(crate) fn namespace(outer: &NamespacePattern, inner: &NamespacePattern) -> bool {
    use NamespacePattern::{Every, Exact, Prefix};
    match (outer, inner) {
        (Every, _) => true,
        (outer, Exact(name)) => in_namespace(outer, name),
        (Prefix(outer), Prefix(inner)) => inner.starts_with(outer.as_str()),
        (_, Every) | (Exact(_), Prefix(_)) => false,
    }
}

/// Whether a subject selects an account of a namespace, for any trust domain.
pub(crate) fn selects_account(subject: &Subject, (namespace, name): (&str, &str)) -> bool {
    match subject {
        Subject::Workloads {
            namespaces,
            accounts,
            ..
        } => {
            (accounts.is_empty() || accounts.iter().any(|account| account == name))
                && namespaces
                    .iter()
                    .any(|pattern| in_namespace(pattern, namespace))
        }
        Subject::Accounts { accounts, .. } => accounts
            .iter()
            .any(|a| a.namespace == namespace && a.name == name),
        Subject::Unauthenticated => false,
    }
}

fn in_namespace(pattern: &NamespacePattern, name: &str) -> bool {
    match pattern {
        NamespacePattern::Every => true,
        NamespacePattern::Exact(exact) => exact == name,
        NamespacePattern::Prefix(prefix) => {
            name.len() > prefix.len() && name.starts_with(prefix.as_str())
        }
    }
}

fn selects_namespace(subject: &Subject, name: &str) -> bool {
    matches!(subject, Subject::Workloads { namespaces, accounts, .. }
        if accounts.is_empty() && namespaces.iter().any(|pattern| in_namespace(pattern, name)))
}

fn is_every_workload(subject: &Subject) -> bool {
    matches!(subject, Subject::Workloads { namespaces, accounts, .. }
        if accounts.is_empty() && namespaces.contains(&NamespacePattern::Every))
}

/// Whether a source with conditions on namespaces or accounts only covers a subject.
fn source_over_subject(outer: &Source, inner: &Subject) -> bool {
    let Source {
        principals,
        namespaces,
        service_accounts,
        trust_domains,
        ..
    } = outer;
    let asks_more = principals.is_set() || trust_domains.is_set() || asks_address(outer);
    if asks_more || !namespaces.none_of().is_empty() || !service_accounts.none_of().is_empty() {
        return false;
    }
    let asked = |text: &str| {
        namespaces.any_of().is_empty()
            || namespaces
                .any_of()
                .iter()
                .any(|glob| pattern::glob_matches(glob, text))
    };
    let is_account = |(namespace, name): (&str, &str)| {
        let accounts = service_accounts.any_of();
        accounts.is_empty()
            || accounts
                .iter()
                .any(|a| a.namespace == namespace && a.name == name)
    };
    match inner {
        Subject::Unauthenticated => true,
        Subject::Accounts { accounts, .. } => accounts
            .iter()
            .all(|a| asked(&a.namespace) && is_account((&a.namespace, &a.name))),
        Subject::Workloads {
            namespaces,
            accounts,
            ..
        } => {
            let named = || {
                pairs(namespaces, accounts)
                    .is_some_and(|all| !accounts.is_empty() && all.into_iter().all(is_account))
            };
            namespaces.iter().all(|n| asked(&glob(n)))
                && (service_accounts.any_of().is_empty() || named())
        }
    }
}

/// Returns a namespace as a glob.
pub(crate) fn glob(namespace: &NamespacePattern) -> String {
    match namespace {
        NamespacePattern::Exact(name) => name.clone(),
        NamespacePattern::Prefix(prefix) => format!("{prefix}*"),
        NamespacePattern::Every => "*".to_owned(),
    }
}

/// Whether subjects cover a source, by the narrowest of its lists that names workloads.
fn subjects_over_source(outer: &SubjectList, inner: &Source) -> bool {
    if outer.0.iter().any(is_every_workload) {
        return true;
    }
    let selected = |account: (&str, &str)| {
        outer
            .0
            .iter()
            .any(|subject| selects_account(subject, account))
    };
    match named_accounts(inner) {
        Some(accounts) => accounts.into_iter().all(selected),
        None => {
            let namespaces = inner.namespaces.any_of();
            let whole = |name: &String| {
                !name.contains('*')
                    && outer
                        .0
                        .iter()
                        .any(|subject| selects_namespace(subject, name))
            };
            !namespaces.is_empty() && namespaces.iter().all(whole)
        }
    }
}

/// Returns the only accounts that a source can select among valid identities, if it names them:
/// namespace and name.
pub(crate) fn named_accounts(source: &Source) -> Option<Vec<(&str, &str)>> {
    let accounts = source.service_accounts.any_of();
    if !accounts.is_empty() {
        return Some(
            accounts
                .iter()
                .map(|account| (account.namespace.as_str(), account.name.as_str()))
                .collect(),
        );
    }
    let principals = source.principals.any_of();
    if principals.is_empty() {
        None
    } else {
        principals.iter().map(exact_workload).collect()
    }
}
