//! Whether two rules can match one request at all.
//!
//! "No" is always certain; in doubt two rules overlap.

use super::covers;
use customs_engine::operation::Operation;
use customs_engine::pattern::{self, Match, TextPattern};
use customs_engine::rule::{Exception, Rule};
use customs_engine::subject::{CallerMatch, NamespacePattern, Source, Subject, SubjectList};

/// Whether subjects and callers may share a caller.
pub(crate) fn callers(subjects: &SubjectList, callers: &CallerMatch) -> bool {
    match callers {
        CallerMatch::Anyone => true,
        CallerMatch::Sources(sources) => subjects
            .0
            .iter()
            .any(|subject| sources.iter().any(|s| subject_and_source(subject, s))),
        CallerMatch::Subjects(others) => subject_lists(subjects, others),
    }
}

/// Whether an exception may open a deny to some request of a grant.
pub(crate) fn exception(except: &Exception, grant: &Rule) -> bool {
    let callers = match &except.callers {
        CallerMatch::Subjects(subjects) => callers(subjects, &grant.callers),
        CallerMatch::Anyone | CallerMatch::Sources(_) => true,
    };
    callers
        && (grant.to.is_empty()
            || grant
                .to
                .iter()
                .any(|to| operations(to, Match::Strict, &except.to)))
}

/// Whether two lists of subjects may share a caller. A caller without a valid identity may be in
/// any list.
pub(crate) fn subject_lists(one: &SubjectList, two: &SubjectList) -> bool {
    one.0
        .iter()
        .any(|a| two.0.iter().any(|b| both_select(a, b)))
}

/// Whether both select a workload of the own trust domain. Here "yes" is certain too.
pub(crate) fn own_workloads(one: &SubjectList, two: &SubjectList) -> bool {
    subject_lists(&one.own_workloads(), &two.own_workloads())
}

fn both_select(one: &Subject, two: &Subject) -> bool {
    match (one, two) {
        (Subject::Unauthenticated, _) | (_, Subject::Unauthenticated) => true,
        (Subject::Accounts { accounts, .. }, other)
        | (other, Subject::Accounts { accounts, .. }) => accounts
            .iter()
            .any(|a| covers::selects_account(other, (&a.namespace, &a.name))),
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
            let same = accounts.is_empty()
                || a.is_empty()
                || accounts.iter().any(|account| a.contains(account));
            same && namespaces
                .iter()
                .any(|one| n.iter().any(|two| share(one, two)))
        }
    }
}

/// Two patterns of namespaces share a namespace exactly if one contains the other.
fn share(one: &NamespacePattern, two: &NamespacePattern) -> bool {
    covers::namespace(one, two) || covers::namespace(two, one)
}

fn subject_and_source(subject: &Subject, source: &Source) -> bool {
    if *subject == Subject::Unauthenticated {
        return !source.asks_identity();
    }
    let named = covers::named_accounts(source)
        .is_none_or(|all| all.iter().any(|a| covers::selects_account(subject, *a)));
    named
        && namespaces_of(subject)
            .iter()
            .any(|namespace| in_namespaces(source, namespace))
}

/// Returns the namespaces of a subject, as globs.
fn namespaces_of(subject: &Subject) -> Vec<String> {
    match subject {
        Subject::Workloads { namespaces, .. } => namespaces.iter().map(covers::glob).collect(),
        Subject::Accounts { accounts, .. } => accounts
            .iter()
            .map(|account| account.namespace.clone())
            .collect(),
        Subject::Unauthenticated => Vec::new(),
    }
}

/// Whether a source may select a caller of a namespace. For a glob it may, unless the source
/// excludes the whole glob.
fn in_namespaces(source: &Source, namespace: &str) -> bool {
    let field = &source.namespaces;
    let contains = |pattern: &String| pattern::glob_matches(pattern, namespace);
    let may_contain = |pattern: &String| namespace.contains('*') || contains(pattern);
    (field.any_of().is_empty() || field.any_of().iter().any(may_contain))
        && !field.none_of().iter().any(contains)
}

/// Whether two operations may match one request, by their hosts and methods. `one` is matched as
/// `matching` says; `two` is matched strictly, so unknown attributes never match it.
pub(crate) fn operations(one: &Operation, matching: Match, two: &Operation) -> bool {
    let (a, b) = (one.hosts.any_of(), two.hosts.any_of());
    let hosts = a.is_empty()
        || b.is_empty()
        || a.iter()
            .any(|a| b.iter().any(|b| a.meets(matching, b, Match::Strict)));
    let (a, b) = (one.methods.any_of(), two.methods.any_of());
    let methods =
        a.is_empty() || b.is_empty() || a.iter().any(|a| b.iter().any(|b| same_method(a, b)));
    hosts && methods
}

fn same_method(one: &TextPattern, two: &TextPattern) -> bool {
    match (one, two) {
        (TextPattern::Exact(one), TextPattern::Exact(two)) => one.eq_ignore_ascii_case(two),
        _ => true,
    }
}
