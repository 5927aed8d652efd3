//! Checks that need several documents: duplicate policies, and DestinationSets that are missing or
//! hidden.
//!
//! These checks run twice: over one source when it is read, and over the whole set before it is
//! published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::authorization_policy::AuthorizationPolicy;
use super::egress_policy::{DestinationSet, EgressPolicy, Entry, SetName};
use super::metadata::{Kind, Meta, ServiceEntry};
use super::policy_guard::PolicyGuard;
use super::problem::{Code, Place, Problem};
use customs_engine::field::Field;
use customs_engine::operation::Operation;
use customs_engine::rule::Rule;

/// The documents of a source, in their strict forms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Documents {
    /// AuthorizationPolicies with action ALLOW, DENY or AUDIT.
    pub(crate) istio: Vec<AuthorizationPolicy>,
    /// EgressPolicies.
    pub(crate) egress: Vec<EgressPolicy>,
    /// DestinationSets.
    pub(crate) sets: Vec<DestinationSet>,
    /// PolicyGuards.
    pub(crate) guards: Vec<PolicyGuard>,
    /// Istio's ServiceEntries, for the targets that name them; they are not policies.
    pub(crate) service_entries: Vec<ServiceEntry>,
}

impl Documents {
    /// Returns the kind, `ns/name` and place of each document.
    fn heads(&self) -> impl Iterator<Item = (&'static str, &str, &Place)> {
        fn of(kind: Kind, meta: &Meta) -> (&'static str, &str, &Place) {
            (kind.as_str(), &meta.path, &meta.place)
        }
        let istio = self
            .istio
            .iter()
            .map(|p| of(Kind::AuthorizationPolicy, &p.meta));
        let egress = self.egress.iter().map(|p| of(Kind::EgressPolicy, &p.meta));
        let sets = self.sets.iter().map(|s| of(Kind::DestinationSet, &s.meta));
        let guards = self.guards.iter().map(|g| of(Kind::PolicyGuard, &g.meta));
        let entries = self
            .service_entries
            .iter()
            .map(|e| ("ServiceEntry", e.path.as_str(), &e.place));
        istio.chain(egress).chain(sets).chain(guards).chain(entries)
    }

    /// Releases spare capacity.
    pub(crate) fn shrink(&mut self) {
        self.istio.shrink_to_fit();
        self.egress.shrink_to_fit();
        self.sets.shrink_to_fit();
        self.guards.shrink_to_fit();
        self.service_entries.shrink_to_fit();
    }

    /// Returns the number of policies, guards and sets.
    pub(crate) fn len(&self) -> usize {
        self.istio.len() + self.egress.len() + self.sets.len() + self.guards.len()
    }

    /// Whether there is a policy or a set.
    pub(crate) fn has_policies(&self) -> bool {
        self.len() > self.guards.len()
    }

    /// Whether there is none of them.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reports duplicate documents: the same kind, namespace and name over all sources.
pub(crate) fn duplicates<'d>(
    sources: impl Iterator<Item = &'d Documents>,
    problems: &mut Vec<Problem>,
) {
    let mut seen: BTreeMap<(&str, &str), &Place> = BTreeMap::new();
    for (kind, path, place) in sources.flat_map(Documents::heads) {
        let first = *seen.entry((kind, path)).or_insert(place);
        if first != place {
            let what = format!("duplicate {kind} `{path}`; the other is at {first}");
            problems.push(
                Problem::error(Code::Duplicate, place.clone(), what)
                    .hint("rename one, or join the two"),
            );
        }
    }
}

/// The DestinationSets of the whole set, by namespace and name.
#[derive(Debug)]
pub(crate) struct Sets<'d> {
    by_name: BTreeMap<(&'d str, &'d str), &'d DestinationSet>,
    root_namespace: &'d str,
}

impl<'d> Sets<'d> {
    /// Collects them.
    pub(crate) fn of(
        sources: impl Iterator<Item = &'d Documents>,
        root_namespace: &'d str,
    ) -> Sets<'d> {
        let sets = sources.flat_map(|d| &d.sets);
        let by_name = sets
            .map(|s| ((s.meta.namespace(), s.meta.name()), s))
            .collect();
        Sets {
            by_name,
            root_namespace,
        }
    }

    /// Returns the set that a name means: of the policy's own namespace, then of the root
    /// namespace.
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<&'d DestinationSet> {
        let own = self.by_name.get(&(namespace, name));
        own.or_else(|| self.by_name.get(&(self.root_namespace, name)))
            .copied()
    }

    /// Returns the rule of an entry with the hosts of the sets that it names, which are looked up in
    /// the namespace `own` first. Without sets, the entry's own rule is shared. Returns `None` if a set does not exist, which is added to
    /// `problems`.
    pub(crate) fn link(
        &self,
        own: &str,
        entry: &Entry,
        problems: &mut Vec<Problem>,
    ) -> Option<Arc<Rule>> {
        if entry.sets.is_empty() {
            return Some(entry.rule.clone());
        }
        let missing = entry
            .sets
            .iter()
            .filter(|set| self.find(own, &set.name).is_none());
        let missing: Vec<Problem> = missing.map(|set| self.missing(own, set)).collect();
        if !missing.is_empty() {
            problems.extend(missing);
            return None;
        }
        let mut rule = Rule::clone(&entry.rule);
        for operation in &mut rule.to {
            self.add_hosts(own, entry, None, operation);
        }
        for (index, exception) in rule.except.iter_mut().enumerate() {
            self.add_hosts(own, entry, Some(index), &mut exception.to);
        }
        // The reader refuses entries and sets without hosts. Without any host a rule would match
        // every host, so it is refused here again.
        if rule
            .to
            .iter()
            .any(|operation| operation.hosts.any_of().is_empty())
        {
            let what = format!("the entry `{}` has no host", rule.info.id.part());
            problems.push(Problem::error(
                Code::MissingField,
                rule.info.place.clone(),
                what,
            ));
            return None;
        }
        Some(Arc::new(rule))
    }

    fn add_hosts(
        &self,
        own: &str,
        entry: &Entry,
        exception: Option<usize>,
        operation: &mut Operation,
    ) {
        let named = entry.sets.iter().filter(|set| set.exception == exception);
        let added = named
            .filter_map(|set| self.find(own, &set.name))
            .flat_map(|set| &set.hosts);
        operation.hosts = Field::of(operation.hosts.any_of().iter().chain(added).cloned());
    }

    fn missing(&self, own: &str, set: &SetName) -> Problem {
        let what = format!("there is no DestinationSet `{}`", set.name);
        let hint = format!(
            "it is looked up in `{own}`, then in `{}`",
            self.root_namespace
        );
        Problem::error(Code::MissingSet, set.place.clone(), what).hint(hint)
    }

    /// Reports every set that hides one of the root namespace, and every set that no policy and no
    /// guard names.
    pub(crate) fn check(
        &self,
        documents: impl Iterator<Item = &'d Documents>,
        problems: &mut Vec<Problem>,
    ) {
        self.hidden(problems);
        let used = |documents: &'d Documents| {
            let policies = documents.egress.iter().flat_map(|policy| {
                let entries = policy.deny.iter().chain(&policy.allow);
                self.used_by(policy.meta.namespace(), entries)
            });
            let guards = documents.guards.iter().flat_map(|document| {
                let entries = document.guards.iter().filter_map(|guard| guard.entry());
                self.used_by(document.meta.namespace(), entries)
            });
            policies.chain(guards)
        };
        let used: BTreeSet<&str> = documents.flat_map(used).collect();
        let unused = self
            .by_name
            .values()
            .filter(|set| !used.contains(set.meta.path.as_ref()));
        problems.extend(unused.map(|set| self.unused(set)));
    }

    /// Returns the paths of the sets that entries of a namespace name.
    fn used_by(
        &self,
        own: &'d str,
        entries: impl Iterator<Item = &'d Entry>,
    ) -> impl Iterator<Item = &'d str> {
        let names = entries.flat_map(|entry| &entry.sets);
        let found = names.filter_map(move |set| self.find(own, &set.name));
        found.map(|set| set.meta.path.as_ref())
    }

    fn hidden(&self, problems: &mut Vec<Problem>) {
        for ((namespace, name), set) in &self.by_name {
            if let Some(root) = self
                .by_name
                .get(&(self.root_namespace, name))
                .filter(|_| *namespace != self.root_namespace)
            {
                let what = format!(
                    "DestinationSet `{}` hides the one of the root namespace at {}",
                    set.meta.path, root.meta.place
                );
                problems.push(Problem::warning(
                    Code::HiddenSet,
                    set.meta.place.clone(),
                    what,
                ));
            }
        }
    }

    /// Returns the problem of an unused set. For one of the root namespace it is a note, because
    /// policies that this server does not read may use it.
    fn unused(&self, set: &DestinationSet) -> Problem {
        let what = format!("no policy names the DestinationSet `{}`", set.meta.path);
        let place = set.meta.place.clone();
        match set.meta.namespace() == self.root_namespace {
            true => Problem::note(Code::UnusedSet, place, what),
            false => Problem::warning(Code::UnusedSet, place, what)
                .hint("name it in `destinations`, or remove it"),
        }
    }
}
