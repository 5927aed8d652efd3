//! The namespaces that a clause is about, if it names each of them.

use super::clause::{Clause, ClauseCallers};
use customs_engine::pattern::TextPattern;
use customs_engine::subject::{
    CallerMatch, NamespacePattern, Source, Subject, SubjectList, exact_workload,
};

/// Returns the namespaces outside of which no caller with a valid identity satisfies the clause;
/// `None` if they are not listed.
pub(super) fn of<'s>(clause: &Clause<'s>) -> Option<Vec<&'s str>> {
    match clause.callers {
        ClauseCallers::Everyone | ClauseCallers::Rule(CallerMatch::Anyone) => None,
        ClauseCallers::Policy(subjects) => of_subjects(subjects),
        ClauseCallers::Rule(CallerMatch::Subjects(subjects)) => of_subjects(subjects),
        ClauseCallers::Rule(CallerMatch::Sources(sources)) => {
            let all: Option<Vec<Vec<&str>>> = sources.iter().map(of_source).collect();
            all.map(|all| all.concat())
        }
    }
}

fn of_subjects(subjects: &SubjectList) -> Option<Vec<&str>> {
    let mut namespaces = Vec::new();
    for subject in &subjects.0 {
        match subject {
            Subject::Unauthenticated => {}
            Subject::Accounts { accounts, .. } => {
                namespaces.extend(accounts.iter().map(|account| account.namespace.as_str()));
            }
            Subject::Workloads {
                namespaces: named, ..
            } => {
                for pattern in named {
                    match pattern {
                        NamespacePattern::Exact(namespace) => namespaces.push(namespace),
                        NamespacePattern::Prefix(_) | NamespacePattern::Every => return None,
                    }
                }
            }
        }
    }
    Some(namespaces)
}

fn of_source(source: &Source) -> Option<Vec<&str>> {
    let accounts = source.service_accounts.any_of();
    if !accounts.is_empty() {
        let of = accounts.iter().map(|account| account.namespace.as_str());
        return Some(of.collect());
    }
    let namespaces = source.namespaces.any_of();
    if !namespaces.is_empty() && namespaces.iter().all(|pattern| !pattern.contains('*')) {
        return Some(namespaces.iter().map(String::as_str).collect());
    }
    let principals = source.principals.any_of();
    let exact = |pattern| exact_workload(pattern).map(|(namespace, _)| namespace);
    let exact: Option<Vec<&str>> = principals.iter().map(|p: &TextPattern| exact(p)).collect();
    exact.filter(|exact| !exact.is_empty())
}
