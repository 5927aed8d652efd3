//! The two gates of a decision: grants that no Istio ALLOW policy permits, and how a set treats
//! callers without a valid identity.

use std::sync::Arc;

use std::collections::BTreeMap;

use super::candidates::{self, Budget};
use super::{covers, id, overlap, place, warning};
use customs_engine::enforcement::Enforcement;
use customs_engine::operation::Operation;
use customs_engine::pattern::{HostKey, HostPattern, Match};
use customs_engine::rule::Rule;
use customs_engine::rule_info::Family;
use customs_engine::rules::{EgressScope, Rules};
use customs_engine::settings::DefaultEffect;
use customs_engine::snapshot::Snapshot;
use customs_engine::subject::{CallerMatch, Subject, SubjectList};
use customs_policy::problem::{Code, Problem};

/// Finds problems of the gates.
pub(crate) fn look(snapshot: &Snapshot, budget: &mut Budget, found: &mut Vec<Problem>) {
    let rules = snapshot.rules();
    let allows = Places::of(&rules.istio_allows);
    for grant in rules
        .grants
        .iter()
        .filter(|grant| has_gate(rules, grant.mode))
    {
        let CallerMatch::Subjects(subjects) = &grant.callers else {
            continue;
        };
        // A dry-run rule counts too, because it would open the gate.
        let opens = |allow: &Rule| may_open(subjects, grant, allow);
        if allows.any_near(grant, budget, opens) == Some(false) {
            found.push(gate_closed(subjects, grant));
        }
    }
    unauthenticated(snapshot, budget, found);
    audit_only(rules, found);
}

/// Reports AUDIT rules if no AuthorizationPolicy allows or denies, because their author may expect
/// them to deny.
fn audit_only(rules: &Rules, found: &mut Vec<Problem>) {
    let is_istio = |rule: &Arc<Rule>| rule.info.id.family() == Family::Istio;
    if !rules.istio_allow_policies.is_empty() || rules.denies.iter().any(is_istio) {
        return;
    }
    found.extend(rules.audits.iter().map(|audit| {
        let what = format!(
            "`{}` marks requests in the record: action AUDIT denies nothing",
            id(&audit.info)
        );
        warning(Code::AuditOnly, &audit.info, what).hint("write `action: DENY` to deny them")
    }));
}

/// Whether the gate is closed by default when a grant of this mode counts.
fn has_gate(rules: &Rules, grant: Enforcement) -> bool {
    // A policy that is bound to hosts closes the gate for these only, so it is ignored.
    rules
        .istio_allow_policies
        .iter()
        .any(|mode| grant == Enforcement::Report || *mode == Enforcement::Enforce)
}

fn may_open(subjects: &SubjectList, grant: &Rule, allow: &Rule) -> bool {
    let to = |operation: &Operation| {
        allow.to.is_empty()
            || allow
                .to
                .iter()
                .any(|other| overlap::operations(operation, Match::Strict, other))
    };
    overlap::callers(subjects, &allow.callers) && grant.to.iter().any(to)
}

fn gate_closed(subjects: &SubjectList, grant: &Rule) -> Problem {
    let what = format!(
        "`{}` grants nothing: Istio ALLOW policies are in force, and none of them allows it",
        id(&grant.info)
    );
    warning(Code::IstioGateClosed, &grant.info, what).hint(format!(
        "add a rule to one: `{}`",
        istio_rule(subjects, grant)
    ))
}

/// Returns the rule of an AuthorizationPolicy that permits a grant. Ranges are left out, because
/// that language has none.
fn istio_rule(subjects: &SubjectList, grant: &Rule) -> String {
    let sources: Vec<String> = subjects.0.iter().filter_map(source).collect();
    let from = match sources.len() == subjects.0.len() {
        true => format!("from: [{}], ", sources.join(", ")),
        false => String::new(),
    };
    let hosts = grant
        .to
        .iter()
        .flat_map(|operation| operation.hosts.any_of())
        .filter(|host| !host.is_network());
    let hosts: Vec<String> = hosts.map(istio_host).collect();
    match hosts.is_empty() {
        true => format!("- {{{from}to: [{{operation: {{hosts: [\"*\"]}}}}]}}"),
        false => format!(
            "- {{{from}to: [{{operation: {{hosts: [{}]}}}}]}}",
            hosts.join(", ")
        ),
    }
}

fn istio_host(host: &HostPattern) -> String {
    if host.is_anywhere() {
        "\"*\"".to_owned()
    } else {
        format!("\"{host}\"")
    }
}

/// Returns a subject as a source, or `None` if no source can name it.
fn source(subject: &Subject) -> Option<String> {
    let quoted = |items: Vec<String>| {
        items
            .iter()
            .map(|item| format!("\"{item}\""))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let accounts = match subject {
        Subject::Unauthenticated => return None,
        Subject::Accounts { accounts, .. } => accounts
            .iter()
            .map(|a| format!("{}/{}", a.namespace, a.name))
            .collect(),
        Subject::Workloads {
            namespaces,
            accounts,
            ..
        } if accounts.is_empty() => {
            let globs: Vec<String> = namespaces.iter().map(covers::glob).collect();
            return Some(format!("{{source: {{namespaces: [{}]}}}}", quoted(globs)));
        }
        Subject::Workloads {
            namespaces,
            accounts,
            ..
        } => covers::pairs(namespaces, accounts)?
            .into_iter()
            .map(|(namespace, name)| format!("{namespace}/{name}"))
            .collect(),
    };
    Some(format!(
        "{{source: {{serviceAccounts: [{}]}}}}",
        quoted(accounts)
    ))
}

/// Rules by their host names, which are reversed so that all names below a suffix are adjacent.
struct Places<'r> {
    names: BTreeMap<String, Vec<&'r Rule>>,
    /// Rules with addresses, or with more than a suffix.
    others: Vec<&'r Rule>,
}

impl<'r> Places<'r> {
    fn of(rules: &'r [Arc<Rule>]) -> Places<'r> {
        let mut places = Places {
            names: BTreeMap::new(),
            others: Vec::new(),
        };
        for rule in rules {
            for key in candidates::hosts(rule) {
                match key {
                    HostKey::Name(name) | HostKey::Suffix(name) => {
                        places.names.entry(backwards(name)).or_default().push(rule);
                    }
                    HostKey::Address(_)
                    | HostKey::Network(_)
                    | HostKey::LocalHost
                    | HostKey::None => {
                        places.others.push(rule);
                    }
                }
            }
        }
        places
    }

    /// Whether `is` holds for any rule that may match a host of `rule`. Returns `None` if the
    /// budget is spent.
    fn any_near(
        &self,
        rule: &Rule,
        budget: &mut Budget,
        mut is: impl FnMut(&Rule) -> bool,
    ) -> Option<bool> {
        let mut look = |near: &mut dyn Iterator<Item = &&'r Rule>| {
            for other in near {
                if !budget.spend() {
                    return None;
                }
                if is(other) {
                    return Some(true);
                }
            }
            Some(false)
        };
        if look(&mut self.others.iter())? {
            return Some(true);
        }
        for key in candidates::hosts(rule) {
            let found = match key {
                HostKey::Name(name) | HostKey::Suffix(name) => {
                    let whole = backwards(name);
                    let above = whole
                        .match_indices('.')
                        .filter_map(|(at, dot)| whole.get(..at + dot.len()));
                    let above = above.filter_map(|suffix| self.names.get(suffix)).flatten();
                    let below = self
                        .names
                        .range(whole.clone()..)
                        .take_while(|(name, _)| name.starts_with(&whole));
                    look(&mut above.chain(below.flat_map(|(_, rules)| rules)))?
                }
                HostKey::Address(_) | HostKey::Network(_) | HostKey::LocalHost => false,
                HostKey::None => look(&mut self.names.values().flatten())?,
            };
            if found {
                return Some(true);
            }
        }
        Some(false)
    }
}

fn backwards(name: &str) -> String {
    name.chars().rev().collect()
}

/// Reports how a set that isolates callers treats those without a valid identity, who could be
/// anyone.
fn unauthenticated(snapshot: &Snapshot, budget: &mut Budget, found: &mut Vec<Problem>) {
    let rules = snapshot.rules();
    let enforced = || {
        rules
            .egress_policies
            .iter()
            .filter(|policy| policy.mode == Enforcement::Enforce)
    };
    let named = || enforced().filter(|policy| policy.subjects.name_unauthenticated());
    let Some(isolating) = enforced().find(|policy| policy.isolate && selects_workloads(policy))
    else {
        return;
    };
    let root = &snapshot.settings().root_namespace;
    let Some(naming) = named().next() else {
        let what = "the set isolates callers but does not name those without a valid identity: they are isolated \
                    too, and every deny applies to them";
        let hint = format!(
            "name them in a policy of `{root}`: `subjects: [{{unauthenticated: true}}]` and `isolate: true`"
        );
        found.push(
            Problem::warning(Code::UnauthenticatedUnsaid, place(&isolating.info), what).hint(hint),
        );
        return;
    };
    let free = snapshot.settings().default_effect == DefaultEffect::Allow
        && !named().any(|policy| policy.isolate);
    if free {
        let what = format!(
            "callers without a valid identity may go wherever no deny applies, while `{}` isolates callers that have one",
            id(&isolating.info)
        );
        let problem = Problem::warning(Code::UnauthenticatedFreer, place(&naming.info), what);
        found.push(problem.hint("add `isolate: true` to the policy that names them"));
    }
    granted_more(rules, budget, found);
}

fn selects_workloads(policy: &EgressScope) -> bool {
    policy
        .subjects
        .0
        .iter()
        .any(|subject| *subject != Subject::Unauthenticated)
}

/// Finds grants for callers without a valid identity only, to destinations that no other caller is
/// granted.
fn granted_more(rules: &Rules, budget: &mut Budget, found: &mut Vec<Problem>) {
    let only_theirs = |rule: &&Rule| match &rule.callers {
        CallerMatch::Subjects(subjects) => subjects
            .0
            .iter()
            .all(|subject| *subject == Subject::Unauthenticated),
        CallerMatch::Anyone | CallerMatch::Sources(_) => false,
    };
    let theirs: Vec<&Rule> = rules
        .grants
        .iter()
        .map(Arc::as_ref)
        .filter(only_theirs)
        .filter(|rule| rule.mode == Enforcement::Enforce)
        .collect();
    if theirs.is_empty() {
        return;
    }
    let places = Places::of(&rules.grants);
    for grant in theirs {
        let others = |other: &Rule| {
            let near = |op: &Operation| {
                other
                    .to
                    .iter()
                    .any(|to| overlap::operations(op, Match::Strict, to))
            };
            !only_theirs(&other) && grant.to.iter().any(near)
        };
        if places.any_near(grant, budget, others) == Some(false) {
            let what = format!(
                "`{}` grants to callers without a valid identity what no isolated caller is granted",
                id(&grant.info)
            );
            let problem = warning(Code::UnauthenticatedFreer, &grant.info, what);
            found.push(problem.hint("grant it to named callers, or to them as well"));
        }
    }
}
