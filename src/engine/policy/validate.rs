//! What only several documents together can show: the same policy twice, a DestinationSet that is missing or hidden.
//!
//! Used twice: over one source when it is read, and over the whole set before it is published.

use std::collections::BTreeMap;

use super::authorization_policy::AuthorizationPolicy;
use super::egress_policy::{DestinationSet, EgressPolicy, Entry};
use super::metadata::{Kind, Meta};
use super::problem::{Code, Place, Problem};
use crate::engine::pattern::HostPattern;

/// The documents of a source, in their strict forms.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// AuthorizationPolicies with action ALLOW, DENY or AUDIT.
    pub istio: Vec<AuthorizationPolicy>,
    /// EgressPolicies.
    pub egress: Vec<EgressPolicy>,
    /// DestinationSets.
    pub sets: Vec<DestinationSet>,
}

impl Documents {
    fn metas(&self) -> impl Iterator<Item = (Kind, &Meta)> {
        let istio = self.istio.iter().map(|p| (Kind::AuthorizationPolicy, &p.meta));
        let egress = self.egress.iter().map(|p| (Kind::EgressPolicy, &p.meta));
        istio.chain(egress).chain(self.sets.iter().map(|s| (Kind::DestinationSet, &s.meta)))
    }

    /// Takes over the documents of another.
    pub fn append(&mut self, other: Documents) {
        let Documents { istio, egress, sets } = other;
        self.istio.extend(istio);
        self.egress.extend(egress);
        self.sets.extend(sets);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.istio.len() + self.egress.len() + self.sets.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reports every document that stands twice: (kind, namespace, name) over all sources.
pub fn duplicates<'d>(sources: impl Iterator<Item = &'d Documents>, problems: &mut Vec<Problem>) {
    let mut seen: BTreeMap<(Kind, &str, &str), &Place> = BTreeMap::new();
    for (kind, meta) in sources.flat_map(Documents::metas) {
        let first = *seen.entry((kind, &meta.namespace, &meta.name)).or_insert(&meta.place);
        if first != &meta.place {
            let what = format!("{} `{}` stands twice; the other is at {first}", kind.as_str(), meta.path());
            problems
                .push(Problem::error(Code::Duplicate, meta.place.clone(), what).hint("rename one, or join the two"));
        }
    }
}

/// The DestinationSets of the whole set, by namespace and name.
#[derive(Debug)]
pub struct Sets<'d> {
    by_name: BTreeMap<(&'d str, &'d str), &'d DestinationSet>,
    root_namespace: &'d str,
}

impl<'d> Sets<'d> {
    /// Collects them.
    pub fn of(sources: impl Iterator<Item = &'d Documents>, root_namespace: &'d str) -> Sets<'d> {
        let sets = sources.flat_map(|d| &d.sets);
        let by_name = sets.map(|s| ((s.meta.namespace.as_str(), s.meta.name.as_str()), s)).collect();
        Sets { by_name, root_namespace }
    }

    /// The set that a policy means: of its own namespace, then of the root namespace.
    pub fn find(&self, namespace: &str, name: &str) -> Option<&'d DestinationSet> {
        let own = self.by_name.get(&(namespace, name));
        own.or_else(|| self.by_name.get(&(self.root_namespace, name))).copied()
    }

    /// The hosts of an entry, those of its sets included.
    pub fn hosts(&self, policy: &EgressPolicy, entry: &Entry) -> Vec<HostPattern> {
        entry.hosts.iter().chain(self.named(policy, &entry.destinations)).cloned().collect()
    }

    /// The hosts of the sets that a policy names.
    pub fn named(&self, policy: &EgressPolicy, names: &[(String, Place)]) -> impl Iterator<Item = &'d HostPattern> {
        names.iter().filter_map(|(name, _)| self.find(&policy.meta.namespace, name)).flat_map(|set| &set.hosts)
    }

    fn all_found(&self, policy: &EgressPolicy, entry: &Entry) -> bool {
        entry.destinations.iter().all(|(name, _)| self.find(&policy.meta.namespace, name).is_some())
    }

    /// Reports every name that means nothing, and every set that hides one of the root namespace.
    pub fn check(&self, policies: impl Iterator<Item = &'d EgressPolicy>, problems: &mut Vec<Problem>) {
        for policy in policies {
            let entries = || policy.deny.iter().chain(&policy.allow);
            let excepted = || entries().flat_map(|e| &e.except).flat_map(|e| &e.destinations);
            for (name, place) in entries().flat_map(|e| &e.destinations).chain(excepted()) {
                if self.find(&policy.meta.namespace, name).is_none() {
                    let what = format!("there is no DestinationSet `{name}`");
                    let hint =
                        format!("it is looked up in `{}`, then in `{}`", policy.meta.namespace, self.root_namespace);
                    problems.push(Problem::error(Code::MissingSet, place.clone(), what).hint(hint));
                }
            }
            // The readers see to it that neither an entry nor a set is without hosts; no host at all would compile to
            // any host, so it is refused here once more.
            for entry in entries().filter(|e| self.hosts(policy, e).is_empty() && self.all_found(policy, e)) {
                let what = format!("the entry `{}` has no host", entry.name);
                problems.push(Problem::error(Code::MissingField, entry.place.clone(), what));
            }
        }
        for ((namespace, name), set) in &self.by_name {
            if let Some(root) =
                self.by_name.get(&(self.root_namespace, name)).filter(|_| *namespace != self.root_namespace)
            {
                let what =
                    format!("DestinationSet `{}` hides the root namespace's, at {}", set.meta.path(), root.meta.place);
                problems.push(Problem::warning(Code::HiddenSet, set.meta.place.clone(), what));
            }
        }
    }
}
