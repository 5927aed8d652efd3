//! The set -> rules -> snapshot, and the decision whether a set may be in force at all.
//!
//! The sources were [read](super::source) one by one; what only all of them together show is an error of the set. A rule
//! is shared between the documents and every snapshot that holds it, so that a change of one file costs that file. What
//! was in force before is not known here: that is the reload's business.

use super::action::Action;
use super::authorization_policy::{AuthorizationPolicy, Target};
use super::problem::{Code, Problem};
use super::source::LoadedSource;
use super::validate::{self, Sets};
use crate::engine::rule::Mode;
use crate::engine::rules::Rules;
use crate::engine::settings::Settings;
use crate::engine::snapshot::{Revision, Snapshot};

/// A set that may be in force.
#[derive(Debug)]
pub struct Compiled {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// Warnings and notes of all its sources and of the set.
    pub problems: Vec<Problem>,
}

/// Puts the sources together.
///
/// # Errors
/// The errors that only the whole set shows, and those of any source that has some.
pub fn compile(sources: &[LoadedSource], settings: &Settings) -> Result<Compiled, Vec<Problem>> {
    let documents = || sources.iter().flat_map(LoadedSource::documents);
    let mut problems: Vec<Problem> = sources.iter().flat_map(|s| s.problems().iter().cloned()).collect();
    validate::duplicates(documents(), &mut problems);
    let sets = Sets::of(documents(), &settings.root_namespace);
    sets.check(documents().flat_map(|d| &d.egress), &mut problems);
    let mut rules = Rules::default();
    for policy in documents().flat_map(|d| &d.istio) {
        istio_rules(policy, settings, &mut rules, &mut problems);
    }
    for policy in documents().flat_map(|d| &d.egress) {
        rules.policies += 1;
        rules.egress_policies.push(policy.scope.clone());
        rules.denies.extend(policy.deny.iter().filter_map(|entry| sets.link(policy, entry, &mut problems)));
        rules.grants.extend(policy.allow.iter().filter_map(|entry| sets.link(policy, entry, &mut problems)));
    }
    if problems.iter().any(Problem::is_error) {
        problems.retain(Problem::is_error);
        return Err(problems);
    }
    rules.egress_policies.extend(sources.iter().filter_map(|s| s.stands_in().cloned()));
    Ok(Compiled { snapshot: Snapshot::new(revision(sources, settings), settings.clone(), rules), problems })
}

/// The revision of a set. A source without files says nothing, unless it isolates its namespace for want of good content.
fn revision(sources: &[LoadedSource], settings: &Settings) -> Revision {
    let speaking = sources.iter().filter(|source| !source.files().is_empty() || source.stands_in().is_some());
    Revision::of(
        settings,
        speaking.map(|source| {
            let files = source.files().iter().map(|file| (file.name(), file.digest()));
            (source.binding(), files)
        }),
    )
}

fn istio_rules(policy: &AuthorizationPolicy, settings: &Settings, rules: &mut Rules, problems: &mut Vec<Problem>) {
    if !in_scope(policy, settings, problems) {
        return;
    }
    rules.policies += 1;
    let own = policy.rules.iter().cloned();
    match policy.action {
        Action::Deny => return rules.denies.extend(own),
        Action::Audit => return rules.audits.extend(own),
        Action::Allow => rules.istio_allows.extend(own),
    }
    rules.istio_allow_policies.push(policy.mode);
    for (domain, place) in &policy.named_trust_domains {
        if !settings.trust_domains.accepted.contains(domain) {
            let what = match policy.mode {
                Mode::Enforce => {
                    format!("trust domain `{domain}` is accepted for the whole set, because this ALLOW names it")
                }
                Mode::Report => {
                    format!("trust domain `{domain}` would be accepted for the whole set: this ALLOW on trial names it")
                }
            };
            problems.push(Problem::note(Code::TrustDomainAccepted, place.clone(), what));
            rules.accepted_trust_domains.push((domain.clone(), policy.mode));
        }
    }
}

/// Whether the policy is for this gateway; with none declared every policy is, and says so where it selects.
fn in_scope(policy: &AuthorizationPolicy, settings: &Settings, problems: &mut Vec<Problem>) -> bool {
    if !policy.is_for(settings) {
        let what =
            format!("AuthorizationPolicy `{}` is not for the declared gateway, and is left out", policy.meta.path);
        problems.push(Problem::note(Code::OutOfScope, policy.meta.place.clone(), what));
        return false;
    }
    if settings.gateway.is_some() {
        return true;
    }
    if let Target::Selector(_, place) | Target::Gateways(_, place) = &policy.target {
        let what = "the selector or target is not used: no gateway is declared, so the policy applies to every check";
        let problem = Problem::warning(Code::SelectorUnused, place.clone(), what);
        problems.push(problem.hint("declare `gateway` in the settings file"));
    }
    true
}

#[cfg(test)]
#[path = "compile_tests.rs"]
mod tests;
