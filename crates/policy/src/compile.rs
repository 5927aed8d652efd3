//! Compiles a policy set into rules and a snapshot, and decides whether the set may be in force at
//! all.
//!
//! The sources were [read](super::source) one by one. This module reports the errors that only the
//! whole set shows. The documents and every snapshot that holds a rule share it, so that a change
//! of one file costs that file alone. This module does not know what was in force before;
//! [`policy_set`](super::policy_set) does.

use std::sync::Arc;

use super::action::Action;
use super::authorization_policy::{AuthorizationPolicy, Target};
use super::guard::Guard;
use super::named_trust_domain::NamedTrustDomain;
use super::problem::{Code, Place, Problem};
use super::source::LoadedSource;
use super::targets::{self, ServiceEntries};
use super::validate::{self, Sets};
use customs_engine::enforcement::Enforcement;
use customs_engine::field::Field;
use customs_engine::operation::Operation;
use customs_engine::pattern::HostPattern;
use customs_engine::rule::Rule;
use customs_engine::rules::Rules;
use customs_engine::settings::Settings;
use customs_engine::snapshot::{Revision, Snapshot};

/// A set that may be in force.
#[derive(Debug)]
pub struct Compiled {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// The guards, which it may break: nothing here compares them with it.
    pub guards: Vec<Guard>,
    /// Warnings and notes of all its sources and of the set.
    pub problems: Vec<Problem>,
}

/// Compiles the sources into one snapshot.
///
/// # Errors
/// Returns the errors that only the whole set shows, and the errors of the sources.
pub fn compile(sources: &[LoadedSource], settings: &Settings) -> Result<Compiled, Vec<Problem>> {
    let documents = || sources.iter().flat_map(LoadedSource::documents);
    let mut problems: Vec<Problem> = sources
        .iter()
        .flat_map(|s| s.problems().iter().cloned())
        .collect();
    validate::duplicates(documents(), &mut problems);
    let sets = Sets::of(documents(), &settings.root_namespace);
    sets.check(documents(), &mut problems);
    let entries = ServiceEntries::of(documents(), settings, &mut problems);
    let mut rules = Rules::default();
    for policy in documents().flat_map(|d| &d.istio) {
        istio_rules(policy, settings, &entries, &mut rules, &mut problems);
    }
    for policy in documents().flat_map(|d| &d.egress) {
        rules.policies += 1;
        rules.egress_policies.push(policy.scope.clone());
        rules.denies.extend(
            policy
                .deny
                .iter()
                .filter_map(|entry| sets.link(policy.meta.namespace(), entry, &mut problems)),
        );
        rules.grants.extend(
            policy
                .allow
                .iter()
                .filter_map(|entry| sets.link(policy.meta.namespace(), entry, &mut problems)),
        );
    }
    let guards = documents().flat_map(|d| &d.guards);
    let guards = guards
        .flat_map(|document| document.link(&sets, &mut problems))
        .collect();
    if problems.iter().any(Problem::is_error) {
        problems.retain(Problem::is_error);
        return Err(problems);
    }
    rules
        .egress_policies
        .extend(sources.iter().filter_map(|s| s.isolation().cloned()));
    Ok(Compiled {
        snapshot: Snapshot::new(revision(sources, settings), settings.clone(), rules),
        guards,
        problems,
    })
}

/// Returns the sources that a revision covers. A source without files does not count, unless it
/// isolates its namespace because it has no good content.
pub(crate) fn counted(sources: &[LoadedSource]) -> impl Iterator<Item = &LoadedSource> {
    sources
        .iter()
        .filter(|source| !source.files().is_empty() || source.isolation().is_some())
}

/// Returns the revision of a set.
fn revision(sources: &[LoadedSource], settings: &Settings) -> Revision {
    Revision::of(
        settings,
        counted(sources).map(|source| {
            let files = source
                .files()
                .iter()
                .map(|file| (file.name(), file.digest()));
            (source.binding(), files)
        }),
    )
}

fn istio_rules(
    policy: &AuthorizationPolicy,
    settings: &Settings,
    entries: &ServiceEntries,
    rules: &mut Rules,
    problems: &mut Vec<Problem>,
) {
    let hosts: Option<Vec<HostPattern>> = match scope(policy, settings, entries, problems) {
        Scope::Nothing => return,
        Scope::Everything => None,
        Scope::Hosts(hosts) => Some(hosts.into_iter().cloned().collect()),
    };
    rules.policies += 1;
    let bound = |rule: &Arc<Rule>| match &hosts {
        None => Some(rule.clone()),
        Some(hosts) => targets::bind(rule, policy.action, hosts),
    };
    let own: Vec<(usize, Arc<Rule>)> = policy
        .rules
        .iter()
        .enumerate()
        .filter_map(|(number, rule)| Some((number, bound(rule)?)))
        .collect();
    let kept: Vec<usize> = own.iter().map(|(number, _)| *number).collect();
    let own = own.into_iter().map(|(_, rule)| rule);
    match policy.action {
        Action::Deny => return rules.denies.extend(own),
        Action::Audit => return rules.audits.extend(own),
        Action::Allow => rules.istio_allows.extend(own),
    }
    match hosts {
        None => rules.istio_allow_policies.push(policy.mode),
        Some(hosts) => {
            let to = Operation {
                hosts: Field::of(hosts),
                ..Operation::default()
            };
            rules.istio_bound_allow_policies.push((policy.mode, to));
        }
    }
    for NamedTrustDomain {
        domain,
        place,
        rule,
    } in &policy.named_trust_domains
    {
        // An ignored rule does not make a trust domain accepted either.
        if kept.contains(rule) && !settings.trust_domains.accepted.contains(domain) {
            let what = match policy.mode {
                Enforcement::Enforce => {
                    format!(
                        "trust domain `{domain}` is accepted for the whole set, because this ALLOW names it"
                    )
                }
                Enforcement::Report => {
                    format!(
                        "trust domain `{domain}` would be accepted for the whole set: this dry-run ALLOW names it"
                    )
                }
            };
            problems.push(Problem::note(
                Code::TrustDomainAccepted,
                place.clone(),
                what,
            ));
            rules
                .accepted_trust_domains
                .push((domain.clone(), policy.mode));
        }
    }
}

/// The destinations to which a policy applies.
enum Scope<'h> {
    /// None: the policy is ignored.
    Nothing,
    Everything,
    /// The hosts of the ServiceEntries that it targets.
    Hosts(Vec<&'h HostPattern>),
}

/// Returns the destinations to which the policy applies. If no gateway is declared, it applies
/// everywhere, with a warning if it has a selector or a target. The exception is a policy whose
/// targets are all known ServiceEntries.
fn scope<'h>(
    policy: &AuthorizationPolicy,
    settings: &Settings,
    entries: &'h ServiceEntries,
    problems: &mut Vec<Problem>,
) -> Scope<'h> {
    let is_declared = settings.gateway.is_some();
    match &policy.target {
        // One matching Gateway makes the policy apply to every check, whatever else it targets.
        _ if is_declared && policy.is_for(settings) => Scope::Everything,
        Target::References {
            gateways,
            service_entries,
            others,
            place,
        } if !service_entries.is_empty() => {
            let unfit: Vec<String> = gateways
                .iter()
                .map(|name| format!("Gateway `{name}`"))
                .chain(others.iter().cloned())
                .collect();
            let (known, unknown): (Vec<_>, Vec<_>) = service_entries
                .iter()
                .partition(|path| entries.is_known(path));
            if !is_declared && (!unfit.is_empty() || !unknown.is_empty()) {
                // The hosts of the other targets are not known, so a DENY of the known hosts alone
                // would be narrower than Istio's.
                problems.push(selector_unused(place, &unknown));
                return Scope::Everything;
            }
            problems.extend(
                unknown
                    .iter()
                    .map(|path| no_service_entry(policy, path, place)),
            );
            problems.extend(known.iter().flat_map(|path| {
                entries
                    .unread(path)
                    .iter()
                    .map(|host| unread_host(policy, (path, host), place))
            }));
            if known.is_empty() {
                if !unfit.is_empty() {
                    problems.push(out_of_scope(policy, settings));
                }
                return Scope::Nothing;
            }
            problems.extend(
                unfit
                    .iter()
                    .map(|target| unfit_target(policy, target, (place, settings))),
            );
            Scope::Hosts(known.iter().flat_map(|path| entries.hosts(path)).collect())
        }
        _ if is_declared => {
            problems.push(out_of_scope(policy, settings));
            Scope::Nothing
        }
        Target::Selector(_, place) | Target::References { place, .. } => {
            problems.push(selector_unused(place, &[]));
            Scope::Everything
        }
        Target::All => Scope::Everything,
    }
}

/// Returns the problem of a policy that applies to every check because no gateway is declared.
fn selector_unused(place: &Place, unknown: &[&String]) -> Problem {
    let what = "the selector or target is not used: no gateway is declared, so the policy applies to every check";
    let problem = Problem::warning(Code::SelectorUnused, place.clone(), what);
    problem.hint(match unknown.first() {
        Some(path) => format!(
            "declare `gateway` in the settings file, and put the ServiceEntry `{path}`, which is not known, into a policy directory"
        ),
        None => "declare `gateway` in the settings file".into(),
    })
}

/// Returns the problem of a target to which a policy that is bound to ServiceEntries does not
/// apply.
fn unfit_target(
    policy: &AuthorizationPolicy,
    target: &str,
    (place, settings): (&Place, &Settings),
) -> Problem {
    let path = &policy.meta.path;
    if policy.action != Action::Deny {
        let what = format!(
            "`{path}` does not apply to its target {target}, which is not the declared gateway"
        );
        return Problem::note(Code::OutOfScope, place.clone(), what);
    }
    let what = format!(
        "the DENY of `{path}` is not in force for its target {target}, which is not the declared gateway"
    );
    Problem::warning(Code::OutOfScope, place.clone(), what).hint(why_out_of_scope(policy, settings))
}

/// Returns the problem of a ServiceEntry's host to which no policy can be bound.
fn unread_host(
    policy: &AuthorizationPolicy,
    (entry, host): (&str, &str),
    place: &Place,
) -> Problem {
    let action = if policy.action == Action::Deny {
        "the DENY of "
    } else {
        ""
    };
    let what = format!(
        "the host `{host}` of the ServiceEntry `{entry}` cannot be compared, so {action}`{}` does not apply to it",
        policy.meta.path
    );
    Problem::warning(Code::OutOfScope, place.clone(), what)
        .hint("write a name, `*.suffix` or an address in `hosts`")
}

/// Returns the problem of an ignored policy. It is a warning for a DENY, because its author may
/// rely on it.
fn out_of_scope(policy: &AuthorizationPolicy, settings: &Settings) -> Problem {
    let (path, place) = (&policy.meta.path, policy.meta.place.clone());
    if policy.action != Action::Deny {
        let what = format!(
            "AuthorizationPolicy `{path}` does not select the declared gateway, so it is ignored"
        );
        return Problem::note(Code::OutOfScope, place, what);
    }
    let what =
        format!("the DENY of `{path}` is not in force: the policy is not for the declared gateway");
    Problem::warning(Code::OutOfScope, place, what).hint(why_out_of_scope(policy, settings))
}

/// Explains how the policy and the gateway differ.
fn why_out_of_scope(policy: &AuthorizationPolicy, settings: &Settings) -> String {
    let Some(gateway) = &settings.gateway else {
        return "correct its target".into();
    };
    let namespace = policy.meta.namespace();
    let is_near = namespace == gateway.namespace || namespace == settings.root_namespace;
    match &policy.target {
        Target::Selector(labels, _) if is_near => {
            let differs =
                |(key, value): &(&String, &String)| gateway.labels.get(*key) != Some(value);
            match labels.iter().find(differs) {
                Some((key, value)) => match gateway.labels.get(key) {
                    Some(own) => {
                        format!("it selects `{key}: {value}`, and the gateway has `{key}: {own}`")
                    }
                    None => {
                        format!(
                            "it selects `{key}: {value}`, and the gateway has no label `{key}` (`gateway.labels`)"
                        )
                    }
                },
                None => "correct its selector".into(),
            }
        }
        Target::References { .. } if namespace == gateway.namespace => match &gateway.name {
            Some(name) => format!("none of its targets is the Gateway `{name}`"),
            None => {
                "its targets are compared with `gateway.name`, which the settings do not declare"
                    .into()
            }
        },
        Target::References { .. } => {
            format!(
                "a policy with targets must be in the gateway's namespace, `{}`",
                gateway.namespace
            )
        }
        _ => {
            format!(
                "move it to the gateway's namespace, `{}`, or to `{}`",
                gateway.namespace, settings.root_namespace
            )
        }
    }
}

fn no_service_entry(policy: &AuthorizationPolicy, path: &str, place: &Place) -> Problem {
    let what = match policy.action {
        Action::Deny => {
            format!(
                "the ServiceEntry `{path}` is not known, so the DENY of `{}` does not apply to it",
                policy.meta.path
            )
        }
        _ => format!(
            "the ServiceEntry `{path}` is not known, so `{}` does not apply to it",
            policy.meta.path
        ),
    };
    Problem::warning(Code::OutOfScope, place.clone(), what).hint(
        "put the ServiceEntry into a policy directory, or its hosts into `gateway.service_entries` of the settings",
    )
}

#[cfg(test)]
mod tests;
