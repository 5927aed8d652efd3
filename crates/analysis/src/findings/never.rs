//! Rules that no request can match: lists that exclude everything that they include, identities and
//! paths that cannot exist, and exceptions that do not overlap their deny.
//!
//! Unknown attributes satisfy a deny, so the finding of a deny is that it matches nothing *known*.
//! Removing a grant or an exception that is reported here changes no answer.

use super::covers;
use super::{id, overlap, warning};
use customs_engine::condition::Condition;
use customs_engine::effect::Effect;
use customs_engine::field::Field;
use customs_engine::identity::{Accepted, TrustDomains, may_be_workload};
use customs_engine::operation::{Operation, PathPattern};
use customs_engine::path::{Readings, SegmentEnds};
use customs_engine::pattern::{self, HostPattern, Match, TextPattern};
use customs_engine::rule::{Exception, Rule};
use customs_engine::snapshot::Snapshot;
use customs_engine::subject::{CallerMatch, Source, Subject};
use customs_policy::problem::{Code, Problem};

/// Finds rules that never match.
pub(crate) fn look(snapshot: &Snapshot, found: &mut Vec<Problem>) {
    let rules = snapshot.rules();
    let mut trust = snapshot.settings().trust_domains.clone();
    if let Accepted::Only(domains) = &mut trust.accepted {
        domains.extend(
            rules
                .accepted_trust_domains
                .iter()
                .map(|(domain, _)| domain.clone()),
        );
    }
    for (list, effect) in [
        (&rules.denies, Effect::Deny),
        (&rules.audits, Effect::Deny),
        (&rules.istio_allows, Effect::Allow),
        (&rules.grants, Effect::Allow),
    ] {
        for rule in list {
            if let Some(why) = never_matches(rule, effect, &trust) {
                found.push(never_matching(rule, effect, &why));
            }
            found.extend(
                rule.except
                    .iter()
                    .filter(|except| never_opens(except, rule))
                    .map(|except| beside(except, rule)),
            );
        }
    }
}

fn never_matching(rule: &Rule, effect: Effect, why: &str) -> Problem {
    let what = match effect {
        Effect::Allow => format!("`{}` never matches: {why}", id(&rule.info)),
        Effect::Deny => format!("`{}` matches only what is not known: {why}", id(&rule.info)),
    };
    warning(Code::NeverMatches, &rule.info, what).hint("correct it, or remove the rule")
}

fn beside(except: &Exception, rule: &Rule) -> Problem {
    let what = format!(
        "`{}` has no effect: `{}` denies nothing that it covers",
        id(&except.info),
        id(&rule.info)
    );
    warning(Code::NeverMatches, &except.info, what)
        .hint("correct its subjects, hosts or methods, or remove it")
}

/// Returns why a rule matches no request whose attributes are known.
fn never_matches(rule: &Rule, effect: Effect, trust: &TrustDomains) -> Option<String> {
    let sources = match &rule.callers {
        CallerMatch::Sources(sources) => {
            every(sources, |source| dead_source(source, effect, trust))
        }
        CallerMatch::Anyone | CallerMatch::Subjects(_) => None,
    };
    let when = || {
        rule.when
            .iter()
            .find_map(|condition| dead_condition(condition, effect, trust))
    };
    sources
        .or_else(|| every(&rule.to, |operation| dead_operation(operation, effect)))
        .or_else(when)
}

/// Returns the first reason, if every item of a list has one.
fn every<T>(items: &[T], reason: impl Fn(&T) -> Option<String>) -> Option<String> {
    let reasons: Option<Vec<String>> = items.iter().map(reason).collect();
    reasons?.into_iter().next()
}

fn dead_source(source: &Source, effect: Effect, trust: &TrustDomains) -> Option<String> {
    let text = |o: &TextPattern, _: Match, i: &TextPattern, _: Match| o.contains(i);
    let block = |o: &ipnet::IpNet, _: Match, i: &ipnet::IpNet, _: Match| o.contains(i);
    let clash = |name: &str| {
        Some(format!(
            "its `not{name}` exclude all of its `{}`",
            lower_first(name)
        ))
    };
    if excludes(&source.principals, effect, text) {
        return clash("Principals");
    }
    if excludes(&source.namespaces, effect, |o, _, i, _| {
        pattern::glob_matches(o, i)
    }) {
        return clash("Namespaces");
    }
    if excludes(&source.service_accounts, effect, |o, _, i, _| o == i) {
        return clash("ServiceAccounts");
    }
    if excludes(&source.trust_domains, effect, text) {
        return clash("TrustDomains");
    }
    // A deny reads the two lists of an address, as of a path, differently.
    if effect == Effect::Allow && excludes(&source.ip_blocks, effect, block) {
        return clash("IpBlocks");
    }
    if effect == Effect::Allow && excludes(&source.remote_ip_blocks, effect, block) {
        return clash("RemoteIpBlocks");
    }
    let none = |list: &[TextPattern], can: &dyn Fn(&TextPattern) -> bool| {
        !list.is_empty() && !list.iter().any(can)
    };
    if none(source.principals.any_of(), &|p| may_be_principal(p, trust)) {
        return Some("no accepted caller has such a principal".to_owned());
    }
    let domain = |p: &TextPattern| may_be_domain(p, trust);
    none(source.trust_domains.any_of(), &domain)
        .then(|| "no such trust domain is accepted".to_owned())
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map(|first| first.to_ascii_lowercase())
        .into_iter()
        .chain(letters)
        .collect()
}

/// Whether an accepted identity could match.
fn may_be_principal(pattern: &TextPattern, trust: &TrustDomains) -> bool {
    let (text, stars) = match pattern {
        TextPattern::Exact(text) => (text, (false, false)),
        TextPattern::Prefix(text) => (text, (false, true)),
        TextPattern::Suffix(text) => (text, (true, false)),
        TextPattern::Any => return true,
    };
    // If the text begins with a whole trust domain, that must be an accepted one.
    let domain = text
        .split_once('/')
        .map(|(domain, _)| domain)
        .filter(|_| !stars.0);
    may_be_workload(text, stars) && domain.is_none_or(|domain| is_accepted(domain, trust))
}

fn is_accepted(domain: &str, trust: &TrustDomains) -> bool {
    trust.is_own(domain) || trust.accepted.contains(domain)
}

fn may_be_domain(pattern: &TextPattern, trust: &TrustDomains) -> bool {
    let foreign = match &trust.accepted {
        Accepted::Any => return true,
        Accepted::Only(domains) => domains,
    };
    trust
        .own_and_aliases()
        .chain(foreign.iter().map(String::as_str))
        .any(|domain| pattern.matches(domain))
}

fn dead_operation(operation: &Operation, effect: Effect) -> Option<String> {
    let Operation {
        hosts,
        ports,
        methods,
        paths,
    } = operation;
    let clash = |name: &str, list: &str| Some(format!("its `{name}` exclude all of its `{list}`"));
    // `**` also matches a connection without a host.
    if !hosts.any_of().iter().any(HostPattern::is_anywhere)
        && excludes(hosts, effect, HostPattern::contains)
    {
        return clash("notHosts", "hosts");
    }
    if excludes(ports, effect, |o, _, i, _| o == i) {
        return clash("notPorts", "ports");
    }
    if excludes(methods, effect, covers::method) {
        return clash("notMethods", "methods");
    }
    if effect == Effect::Deny {
        return None;
    }
    if excludes(paths, effect, |o, _, i, _| covers::path(o, i)) {
        return clash("notPaths", "paths");
    }
    let granted = |path| may_be_granted(path, paths.any_of());
    let is_alive = paths.any_of().is_empty() || paths.any_of().iter().any(granted);
    (!is_alive).then(|| "no path has all of its readings among its `paths`".to_owned())
}

/// Whether a path of a list could grant a request. For an exact path, the list must match every
/// reading. The path as sent is one of the readings, so exact paths grant no other request.
fn may_be_granted(path: &PathPattern, list: &[PathPattern]) -> bool {
    let PathPattern::Text(TextPattern::Exact(text)) = path else {
        return true;
    };
    let matched = |reading: &str| {
        list.iter().any(|pattern| match pattern {
            PathPattern::Text(pattern) => pattern.matches(reading),
            PathPattern::Template(template) => template.matches(reading, &SegmentEnds::of(reading)),
        })
    };
    match Readings::of(text) {
        Readings::One(reading) => reading == text,
        // A query is cut off before paths are compared.
        Readings::Many(all) => {
            all.first().is_some_and(|sent| sent == text)
                && all.iter().all(|reading| matched(reading))
        }
        Readings::Unknown => false,
    }
}

fn dead_condition(condition: &Condition, effect: Effect, trust: &TrustDomains) -> Option<String> {
    let same = |o: &TextPattern, _: Match, i: &TextPattern, _: Match| o.contains(i);
    let grants = effect == Effect::Allow;
    let dead = match condition {
        Condition::Source(source) => return dead_source(source, effect, trust),
        Condition::DestinationIp(field) => {
            grants && excludes(field, effect, |o, _, i, _| o.contains(i))
        }
        Condition::DestinationPort(field) => excludes(field, effect, |o, _, i, _| o == i),
        Condition::Sni(field) => grants && excludes(field, effect, same),
        Condition::Header { values, .. } => grants && excludes(values, effect, same),
    };
    dead.then(|| "its `notValues` exclude all of its `values`".to_owned())
}

/// Whether a field's negative list excludes everything that its positive list includes.
fn excludes<P>(
    field: &Field<P>,
    effect: Effect,
    contains: impl Fn(&P, Match, &P, Match) -> bool,
) -> bool {
    let left_out = |p: &P| {
        field
            .none_of()
            .iter()
            .any(|n| contains(n, effect.negative_match(), p, effect.positive_match()))
    };
    !field.any_of().is_empty() && field.any_of().iter().all(left_out)
}

/// Whether an exception shares no caller or no destination with its deny.
fn never_opens(except: &Exception, rule: &Rule) -> bool {
    let strangers = match (&rule.callers, &except.callers) {
        (CallerMatch::Subjects(deny), CallerMatch::Subjects(opens)) => {
            // Callers without a valid identity may satisfy any deny.
            !opens.0.contains(&Subject::Unauthenticated) && !overlap::subject_lists(deny, opens)
        }
        _ => false,
    };
    strangers
        || !rule
            .to
            .iter()
            .any(|deny| overlap::operations(deny, Match::Broad, &except.to))
}
