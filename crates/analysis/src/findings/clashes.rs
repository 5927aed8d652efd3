//! Pairs of rules: one that another covers, a grant that a deny always overrides, a team's deny
//! over a grant of the root namespace.
//!
//! Removing a rule that is reported as covered, or a grant that is reported as always denied,
//! changes no answer. Of equivalent rules, the first in the order of names is kept.

use std::sync::Arc;

use std::collections::BTreeSet;

use super::candidates::{Budget, Candidates};
use super::covers::{self, Reads};
use super::{id, in_force_with, named, overlap, warning};
use customs_engine::pattern::TextPattern;
use customs_engine::rule::Rule;
use customs_engine::rule_info::{Family, RuleId};
use customs_engine::rules::Rules;
use customs_engine::snapshot::Snapshot;
use customs_engine::subject::CallerMatch;
use customs_policy::problem::{Code, Problem};

/// Finds clashes.
pub(crate) fn look(snapshot: &Snapshot, budget: &mut Budget, found: &mut Vec<Problem>) {
    let rules = snapshot.rules();
    let denies = Candidates::of(rules.denies.iter().map(Arc::as_ref));
    let mut overruled = BTreeSet::new();
    for grant in rules
        .grants
        .iter()
        .chain(&rules.istio_allows)
        .filter(|grant| !accepts_a_domain(grant, rules))
    {
        let beats = |deny: &Rule| {
            in_force_with(deny, grant)
                && covers::rule(deny, grant, Reads::DENY_OVER_GRANT)
                && !deny
                    .except
                    .iter()
                    .any(|except| overlap::exception(except, grant))
        };
        if let Some(deny) = denies.find(grant, budget, beats) {
            overruled.insert(&grant.info.id);
            found.push(always_denied(grant, deny));
        }
    }
    covered(&rules.denies, Reads::DENIES, rules, budget, found);
    covered(&rules.grants, Reads::GRANTS, rules, budget, found);
    covered(&rules.istio_allows, Reads::GRANTS, rules, budget, found);
    root_grants(snapshot, &overruled, budget, found);
}

fn always_denied(grant: &Rule, deny: &Rule) -> Problem {
    let what = format!(
        "`{}` grants nothing: {} denies all of it, and a deny overrides a grant",
        id(&grant.info),
        named(&deny.info)
    );
    let hint = match deny.info.id.family() {
        Family::Egress => "remove the grant, narrow the deny, or add an `except` to the deny",
        Family::Istio => "remove the grant, or narrow the deny",
    };
    warning(Code::AlwaysDenied, &grant.info, what).hint(hint)
}

/// Whether an ALLOW makes a foreign trust domain accepted, which is an effect beyond its grant
/// (rule R6).
fn accepts_a_domain(rule: &Rule, rules: &Rules) -> bool {
    let CallerMatch::Sources(sources) = &rule.callers else {
        return !rule.when.is_empty() && !rules.accepted_trust_domains.is_empty();
    };
    if rules.accepted_trust_domains.is_empty() {
        return false;
    }
    let named = |domain: &str| {
        rules
            .accepted_trust_domains
            .iter()
            .any(|(accepted, _)| accepted == domain)
    };
    let domain = |pattern: &TextPattern| match pattern {
        TextPattern::Exact(text) | TextPattern::Prefix(text) => {
            named(text.split('/').next().unwrap_or_default())
        }
        TextPattern::Suffix(_) | TextPattern::Any => false,
    };
    !rule.when.is_empty()
        || sources.iter().any(|s| {
            s.principals
                .any_of()
                .iter()
                .chain(s.trust_domains.any_of())
                .any(domain)
        })
}

/// Finds rules of one kind that another of that kind covers.
fn covered(
    list: &[Arc<Rule>],
    reads: Reads,
    rules: &Rules,
    budget: &mut Budget,
    found: &mut Vec<Problem>,
) {
    let candidates = Candidates::of(
        list.iter()
            .map(Arc::as_ref)
            .filter(|rule| rule.except.is_empty()),
    );
    for inner in list.iter().filter(|rule| !accepts_a_domain(rule, rules)) {
        let covers = |outer: &Rule| {
            outer.info.id != inner.info.id
                && replaces(outer, inner, reads)
                && (outer.info.id < inner.info.id
                    || !inner.except.is_empty()
                    || !replaces(inner, outer, reads))
        };
        if let Some(outer) = candidates.find(inner, budget, covers) {
            let what = format!(
                "`{}` is covered: {} already matches all of it",
                id(&inner.info),
                named(&outer.info)
            );
            found.push(
                warning(Code::Covered, &inner.info, what).hint("remove it, or narrow the other"),
            );
        }
    }
}

/// Whether a set with `outer` does not need `inner`.
fn replaces(outer: &Rule, inner: &Rule, reads: Reads) -> bool {
    let lasts = match (outer.info.expires(), inner.info.expires()) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(outer), Some(inner)) => outer >= inner,
    };
    lasts && in_force_with(outer, inner) && covers::rule(outer, inner, reads)
}

/// Finds denies of a team over grants of the root namespace that select more than the team. Each
/// deny is reported once.
fn root_grants(
    snapshot: &Snapshot,
    overruled: &BTreeSet<&RuleId>,
    budget: &mut Budget,
    found: &mut Vec<Problem>,
) {
    let root = format!("{}/", snapshot.settings().root_namespace);
    let is_root = |rule: &Rule| rule.info.id.policy_path().starts_with(&root);
    let rules = snapshot.rules();
    let theirs = |rule: &&Rule| {
        rule.info.id.family() == Family::Egress && !is_root(rule) && rule.except.is_empty()
    };
    let denies = Candidates::by_host(rules.denies.iter().map(Arc::as_ref).filter(theirs));
    let mut reported = BTreeSet::new();
    for grant in rules
        .grants
        .iter()
        .filter(|rule| is_root(rule) && !overruled.contains(&rule.info.id))
    {
        denies.find(grant, budget, |deny| {
            let overrules = in_force_with(deny, grant)
                && covers::destination(deny, grant, Reads::DENY_OVER_GRANT)
                && share_a_caller(grant, deny);
            if overrules && reported.insert(&deny.info.id) {
                found.push(grant_overruled(grant, deny));
            }
            false
        });
    }
}

fn grant_overruled(grant: &Rule, deny: &Rule) -> Problem {
    let what = format!(
        "`{}` denies to its own callers what {} grants them",
        id(&deny.info),
        named(&grant.info)
    );
    let hint = "if this is intended, do nothing; else narrow the deny, or exclude these callers from the grant";
    warning(Code::GrantOverruled, &deny.info, what).hint(hint)
}

/// Whether a caller of the own trust domain is selected by both.
fn share_a_caller(grant: &Rule, deny: &Rule) -> bool {
    match (&grant.callers, &deny.callers) {
        (CallerMatch::Subjects(grant), CallerMatch::Subjects(deny)) => {
            overlap::own_workloads(grant, deny)
        }
        _ => false,
    }
}
