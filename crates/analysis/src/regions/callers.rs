//! The callers that the clauses of a space tell apart.
//!
//! An identity is cut part by part: trust domain, namespace, service account. Callers for whom every
//! clause says the same are one group, whatever their names. All callers without a valid identity
//! in every set and pass are one group as well.

use rustc_hash::FxHashMap;

use super::caller_parts::{CallerParts, PartPattern};
use super::clause::ClauseId;
use super::frame::Frame;
use super::sample_request::SampleRequest;
use super::text_atoms::{Expression, TextAtom, TooManyPatternsError, text_atoms};
use customs_engine::Request;
use customs_engine::identity::{
    Accepted, Caller, IdentityState, Principal, is_dns_label, is_dns_subdomain, is_trust_domain,
};

/// The name of samples that no rule names.
pub(super) const MADE_UP: &str = "made-up";

/// Callers for whom every clause says the same.
#[derive(Clone, Debug)]
pub(super) struct CallerGroup {
    /// What the clauses say of them.
    pub key: Vec<u64>,
    /// Some of them, a caller of each kind that was found.
    pub members: Vec<CallerMember>,
    /// The clauses that may be about them.
    pub clauses: Vec<ClauseId>,
}

/// A caller that represents others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallerMember {
    /// `source.principal`
    pub principal: String,
    /// `None` for callers without a valid identity.
    pub names: Option<CallerNames>,
}

/// The names of callers, part by part.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallerNames {
    /// `None` for the own trust domain.
    pub trust_domain: Option<PartName>,
    /// The namespace.
    pub namespace: PartName,
    /// The service account.
    pub account: PartName,
}

/// One part of the names of callers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PartName {
    /// This name.
    Exactly(String),
    /// Any name that matches these patterns and no narrower one.
    Matching(Vec<String>),
    /// Any name that no rule asks for.
    Other,
}

/// The groups of callers, and whether that is all of them.
#[derive(Debug)]
pub(super) struct CallerGroups {
    pub groups: Vec<CallerGroup>,
    /// Why callers with an identity are missing.
    pub failed: Option<TooManyPatternsError>,
}

/// Finds the groups of callers whom some clause of the focus may be about.
pub(super) fn caller_groups(frame: &Frame<'_>) -> CallerGroups {
    let mut finder = Finder {
        frame,
        groups: Vec::new(),
        numbers: FxHashMap::default(),
    };
    finder.put("", None);
    let failed = finder.find().err();
    CallerGroups {
        groups: finder.groups,
        failed,
    }
}

/// Returns what the clauses say of a request's caller, and which of them may be about the caller.
pub(super) fn caller_key(frame: &Frame<'_>, request: &Request<'_>) -> (Vec<u64>, Vec<ClauseId>) {
    let (mut key, variants) = frame.space.variants(request.principal);
    let has_identity =
        |variant: &super::clause::Variant<'_>| !matches!(variant.caller, Caller::Unknown(_));
    let candidates = match request.principal {
        Principal::Workload(id) if variants.iter().all(has_identity) => {
            frame.clauses_for(Some(id.namespace))
        }
        _ => frame.clauses_for(None),
    };
    let (mut bits, mut clauses) = (Vec::new(), Vec::new());
    for number in candidates {
        let Some(clause) = frame.clause(number) else {
            continue;
        };
        clause.identity_bits(&variants, request, &mut bits);
        if bits.contains(&true) {
            clauses.push(number);
            key.push(u64::from(number));
            for chunk in bits.chunks(64) {
                let packed = chunk
                    .iter()
                    .rev()
                    .fold(0, |all, bit| all << 1 | u64::from(*bit));
                key.push(packed);
            }
        }
    }
    (key, clauses)
}

struct Finder<'f, 's> {
    frame: &'f Frame<'s>,
    groups: Vec<CallerGroup>,
    numbers: FxHashMap<Vec<u64>, usize>,
}

impl Finder<'_, '_> {
    fn put(&mut self, principal: &str, names: Option<CallerNames>) {
        let Some(settings) = self.frame.space.settings() else {
            return;
        };
        let member = CallerMember {
            principal: principal.to_owned(),
            names,
        };
        let sample = SampleRequest::http(principal, "");
        let (key, clauses) = sample.with(settings, |request| caller_key(self.frame, request));
        if !self.frame.has_focus(&clauses) {
            return;
        }
        let next = self.groups.len();
        let number = *self.numbers.entry(key.clone()).or_insert(next);
        match self.groups.get_mut(number) {
            Some(group) => group.members.push(member),
            None => self.groups.push(CallerGroup {
                key,
                members: vec![member],
                clauses,
            }),
        }
    }

    fn find(&mut self) -> Result<(), TooManyPatternsError> {
        let Some(settings) = self.frame.space.settings() else {
            return Ok(());
        };
        let mut parts = CallerParts::default();
        let clauses = self.frame.all_clauses();
        clauses.for_each(|(_, clause)| parts.add(clause));
        parts.sort();
        let own = &settings.trust_domains.own;
        let mut domains = parts.trust_domains.clone();
        domains.push(PartPattern::Exact(own));
        domains.extend(
            settings
                .trust_domains
                .aliases
                .iter()
                .map(|alias| PartPattern::Exact(alias)),
        );
        if let Accepted::Only(accepted) = &settings.trust_domains.accepted {
            domains.extend(accepted.iter().map(|domain| PartPattern::Exact(domain)));
        }
        for set in &self.frame.space.snapshots {
            let named = set.rules().accepted_trust_domains.iter();
            domains.extend(named.map(|(domain, _)| PartPattern::Exact(domain)));
        }
        domains.sort_unstable();
        domains.dedup();
        let domains = names_of(Part::TrustDomain, &domains)?;
        let domains: Vec<(String, PartName)> = domains
            .into_iter()
            .filter(|(domain, _)| self.may_be_known(domain))
            .collect();
        // A caller without a valid identity in some set may be anyone whom that set's denials are
        // about.
        let are_known = domains.iter().all(|(domain, _)| self.is_known(domain));
        let namespaces = match self.frame.focus_namespaces() {
            Some(focus) if are_known => {
                let exact: Vec<PartPattern<'_>> =
                    focus.iter().map(|text| PartPattern::Exact(text)).collect();
                let mut names = names_of(Part::Namespace, &exact)?;
                names.retain(|(_, name)| matches!(name, PartName::Exactly(_)));
                names
            }
            _ => names_of(Part::Namespace, &parts.namespaces)?,
        };
        let mut accounts: FxHashMap<Vec<PartPattern<'_>>, Vec<(String, PartName)>> =
            FxHashMap::default();
        for (namespace, namespace_name) in &namespaces {
            let mut parts = CallerParts::default();
            for number in self.frame.clauses_for(Some(namespace)) {
                if let Some(clause) = self.frame.clause(number) {
                    parts.add(clause);
                }
            }
            parts.sort();
            if !accounts.contains_key(&parts.accounts) {
                let names = names_of(Part::Account, &parts.accounts)?;
                accounts.insert(parts.accounts.clone(), names);
            }
            let accounts = accounts.get(&parts.accounts).cloned().unwrap_or_default();
            for (domain, domain_name) in &domains {
                for (account, account_name) in &accounts {
                    let names = CallerNames {
                        trust_domain: (domain != own).then(|| domain_name.clone()),
                        namespace: namespace_name.clone(),
                        account: account_name.clone(),
                    };
                    let principal = format!("spiffe://{domain}/ns/{namespace}/sa/{account}");
                    self.put(&principal, Some(names));
                }
            }
        }
        Ok(())
    }

    /// Whether a trust domain is valid in some set and pass.
    fn may_be_known(&self, domain: &str) -> bool {
        self.known_in(domain).any(|is_known| is_known)
    }

    /// Whether a trust domain is valid in every set and pass.
    fn is_known(&self, domain: &str) -> bool {
        self.known_in(domain).all(|is_known| is_known)
    }

    fn known_in(&self, domain: &str) -> impl Iterator<Item = bool> {
        let principal = format!("spiffe://{domain}/ns/a/sa/a");
        let (_, variants) = self.frame.space.variants(Principal::parse(&principal));
        let unknown = Caller::Unknown(IdentityState::Unauthenticated);
        let known: Vec<bool> = variants
            .iter()
            .map(|variant| variant.caller != unknown)
            .collect();
        known.into_iter()
    }
}

/// A part of an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    TrustDomain,
    Namespace,
    Account,
}

impl Part {
    fn admits(self, text: &str) -> bool {
        match self {
            Part::TrustDomain => is_trust_domain(text),
            Part::Namespace => is_dns_label(text),
            Part::Account => is_dns_subdomain(text),
        }
    }

    fn language(self) -> &'static str {
        match self {
            Part::TrustDomain => "[a-z0-9._-]+",
            Part::Namespace => "[a-z0-9]([a-z0-9-]*[a-z0-9])?",
            Part::Account => r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*",
        }
    }
}

/// Returns a text for every set of patterns that some name of a part matches.
fn names_of(
    part: Part,
    patterns: &[PartPattern<'_>],
) -> Result<Vec<(String, PartName)>, TooManyPatternsError> {
    let are_texts = patterns.iter().all(|pattern| pattern.exact().is_some());
    if are_texts {
        let exact = patterns.iter().filter_map(|pattern| pattern.exact());
        let exact: Vec<&str> = exact.filter(|text| part.admits(text)).collect();
        let other = std::iter::once(MADE_UP.to_owned())
            .chain((0..).map(|number: u32| format!("{MADE_UP}-{number}")))
            .find(|name| exact.binary_search(&name.as_str()).is_err());
        let other = other.map(|name| (name, PartName::Other));
        let exact = exact
            .iter()
            .map(|text| ((*text).to_owned(), PartName::Exactly((*text).to_owned())));
        return Ok(exact.chain(other).collect());
    }
    let expressions: Vec<Expression> = patterns.iter().map(|p| p.expression()).collect();
    let atoms = text_atoms(&Expression::language(part.language()), &expressions)?;
    let atoms = atoms.into_iter().filter(|atom| part.admits(&atom.text));
    Ok(atoms.map(|atom| named(atom, patterns)).collect())
}

fn named(atom: TextAtom, patterns: &[PartPattern<'_>]) -> (String, PartName) {
    let matched: Vec<PartPattern<'_>> = atom
        .matched
        .iter()
        .filter_map(|number| patterns.get(*number).copied())
        .collect();
    let name = match matched.iter().find_map(|pattern| pattern.exact()) {
        Some(text) => PartName::Exactly(text.to_owned()),
        None if matched.is_empty() => PartName::Other,
        None => PartName::Matching(matched.iter().map(|pattern| pattern.text()).collect()),
    };
    (atom.text, name)
}
