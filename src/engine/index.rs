//! The lookup tables behind a snapshot, so that the cost of a decision does not grow with the number of rules.
//!
//! An index only leaves out rules that cannot match; whether a candidate does is the rule's own business. Each rule is
//! filed under pairs of a *source key* (an account, a namespace, a namespace prefix, or any) and a *host key* (a name, a
//! suffix, an address, a network, or any). A request has a few keys of each kind, and looks up their pairs. Lists hold
//! positions in the order of names, so the first match of a list is the one to be named.
//!
//! Two requests have no such keys: a caller without a valid identity satisfies the source of every DENY, and a host that
//! is not known satisfies the host of every DENY. For those each rule is also filed under the keys `Everyone` and
//! `Everywhere`.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;

use ipnet::IpNet;
use rustc_hash::FxHashMap;

use super::host::Host;
use super::identity::{Caller, SpiffeId};
use super::pattern::{HostKey, TextPattern};
use super::request::{DestinationHost, Request};
use super::rule::Rule;
use super::who::{NamespacePattern, Source, Subject, Subjects, Who};

/// A key or its place in a table; the first ids are fixed.
type Id = u32;

/// A rule that does not say who.
const ANYONE: Id = 0;
/// Every rule, whoever it is about.
const EVERYONE: Id = 1;
/// Rules about callers without a valid identity.
const UNAUTHENTICATED: Id = 2;
/// A rule that does not say where, or says it in a way that no table holds.
const ANYWHERE: Id = 0;
/// Every rule, wherever it applies.
const EVERYWHERE: Id = 1;
/// The first id of a key that is not fixed.
const FIRST: Id = 3;

/// Which rules may be about a request.
#[derive(Debug, Default)]
pub struct Index {
    sources: Sources,
    hosts: Hosts,
    /// For each pair of keys, its part of `lists`.
    pairs: FxHashMap<(Id, Id), (u32, u32)>,
    lists: Box<[u32]>,
}

/// The ids of source keys.
#[derive(Debug, Default)]
struct Sources {
    next: Id,
    namespaces: FxHashMap<Box<str>, Namespace>,
    prefixes: FxHashMap<Box<str>, Id>,
    /// The lengths of prefixes, ascending.
    prefix_lengths: Box<[usize]>,
}

#[derive(Debug, Default)]
struct Namespace {
    /// Rules about the namespace as a whole.
    whole: Option<Id>,
    accounts: FxHashMap<Box<str>, Id>,
}

/// The ids of host keys.
#[derive(Debug, Default)]
struct Hosts {
    next: Id,
    names: FxHashMap<Box<str>, Id>,
    /// By suffix with its leading dot.
    suffixes: FxHashMap<Box<str>, Id>,
    addresses: FxHashMap<IpAddr, Id>,
    networks: FxHashMap<IpNet, Id>,
    /// The prefix lengths of networks of each family, ascending.
    lengths: (Box<[u8]>, Box<[u8]>),
}

/// How rules are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The rule denies: what is not known satisfies it.
    Deny,
    /// The rule grants, or selects a caller.
    Grant,
}

impl Index {
    /// Files rules; positions in the lists are positions in `rules`. Rules that nobody looks up as denials are not filed
    /// under what is not known.
    pub fn of_rules(rules: &[Arc<Rule>], reach: Reach) -> Index {
        let mut builder = Builder::new(reach);
        for (position, rule) in rules.iter().enumerate() {
            let hosts = builder.hosts.ids(rule);
            let sources = builder.sources.ids(&rule.who);
            builder.file(position, &sources, &hosts);
        }
        builder.finish()
    }

    /// Files selections of callers, wherever they go.
    pub fn of_subjects<'s>(subjects: impl Iterator<Item = &'s Subjects>) -> Index {
        let mut builder = Builder::new(Reach::Grant);
        for (position, subjects) in subjects.enumerate() {
            let mut ids = Vec::new();
            builder.sources.subjects(subjects, &mut ids);
            builder.file(position, &ids, &[ANYWHERE]);
        }
        builder.finish()
    }

    /// Visits the lists of positions that may be about a request, each in ascending order, until told to stop.
    pub fn lists(
        &self,
        caller: &Caller<'_>,
        request: &Request<'_>,
        reach: Reach,
        mut each: impl FnMut(&[u32]) -> ControlFlow<()>,
    ) {
        let _ = self.sources.visit(caller, reach, &mut |source| {
            self.hosts.visit(&request.destination.host, reach, &mut |host| match self.pairs.get(&(source, host)) {
                Some((from, to)) => each(self.lists.get(*from as usize..*to as usize).unwrap_or_default()),
                None => ControlFlow::Continue(()),
            })
        });
    }

    /// Visits the positions of selections that may be about a caller.
    pub fn selections(&self, caller: &Caller<'_>, mut each: impl FnMut(u32)) {
        let _ = self.sources.visit(caller, Reach::Grant, &mut |source| {
            if let Some((from, to)) = self.pairs.get(&(source, ANYWHERE)) {
                self.lists.get(*from as usize..*to as usize).unwrap_or_default().iter().for_each(|p| each(*p));
            }
            ControlFlow::Continue(())
        });
    }
}

type Step = ControlFlow<()>;

impl Sources {
    fn visit(&self, caller: &Caller<'_>, reach: Reach, each: &mut dyn FnMut(Id) -> Step) -> Step {
        let Some(SpiffeId { namespace, service_account, .. }) = caller.workload() else {
            return match reach {
                Reach::Deny => each(EVERYONE),
                Reach::Grant => [ANYONE, UNAUTHENTICATED].into_iter().try_for_each(each),
            };
        };
        if let Some(entry) = self.namespaces.get(namespace) {
            entry.accounts.get(service_account).copied().map_or(Step::Continue(()), &mut *each)?;
            entry.whole.map_or(Step::Continue(()), &mut *each)?;
        }
        for length in &self.prefix_lengths {
            let Some(prefix) = namespace.get(..*length) else { break };
            self.prefixes.get(prefix).copied().map_or(Step::Continue(()), &mut *each)?;
        }
        each(ANYONE)
    }

    fn ids(&mut self, who: &Who) -> Vec<Id> {
        let mut ids = Vec::new();
        match who {
            Who::Anyone => ids.push(ANYONE),
            Who::Sources(sources) => sources.iter().for_each(|source| self.source(source, &mut ids)),
            Who::Subjects(subjects) => self.subjects(subjects, &mut ids),
        }
        ids
    }

    fn subjects(&mut self, subjects: &Subjects, ids: &mut Vec<Id>) {
        for subject in &subjects.0 {
            match subject {
                Subject::Unauthenticated => ids.push(UNAUTHENTICATED),
                Subject::Accounts { accounts, .. } => {
                    ids.extend(accounts.iter().map(|a| self.account(&a.namespace, &a.name)));
                }
                Subject::Workloads { namespaces, accounts, .. } => {
                    for namespace in namespaces {
                        match namespace {
                            NamespacePattern::Every => ids.push(ANYONE),
                            NamespacePattern::Prefix(prefix) => ids.push(self.prefix(prefix)),
                            NamespacePattern::Exact(ns) if accounts.is_empty() => ids.push(self.namespace(ns)),
                            NamespacePattern::Exact(ns) => {
                                ids.extend(accounts.iter().map(|account| self.account(ns, account)));
                            }
                        }
                    }
                }
            }
        }
    }

    /// A source under the narrowest of its lists that a table can hold; any of them is necessary.
    fn source(&mut self, source: &Source, ids: &mut Vec<Id>) {
        let accounts = source.service_accounts.any_of();
        if !accounts.is_empty() {
            return ids.extend(accounts.iter().map(|a| self.account(&a.namespace, &a.name)));
        }
        let principals: Option<Vec<_>> = source.principals.any_of().iter().map(workload).collect();
        if let Some(principals) = principals.filter(|all| !all.is_empty()) {
            return ids.extend(principals.into_iter().map(|(ns, account)| self.account(ns, account)));
        }
        let namespaces = source.namespaces.any_of();
        if !namespaces.is_empty() && namespaces.iter().all(|pattern| !pattern.contains('*')) {
            return ids.extend(namespaces.iter().map(|ns| self.namespace(ns)));
        }
        ids.push(ANYONE);
    }

    fn new_id(&mut self) -> Id {
        self.next += 1;
        FIRST + self.next - 1
    }

    fn namespace(&mut self, namespace: &str) -> Id {
        if let Some(id) = self.namespaces.get(namespace).and_then(|entry| entry.whole) {
            return id;
        }
        let id = self.new_id();
        self.namespaces.entry(namespace.into()).or_default().whole = Some(id);
        id
    }

    fn account(&mut self, namespace: &str, account: &str) -> Id {
        if let Some(id) = self.namespaces.get(namespace).and_then(|entry| entry.accounts.get(account)) {
            return *id;
        }
        let id = self.new_id();
        self.namespaces.entry(namespace.into()).or_default().accounts.insert(account.into(), id);
        id
    }

    fn prefix(&mut self, prefix: &str) -> Id {
        if let Some(id) = self.prefixes.get(prefix) {
            return *id;
        }
        let id = self.new_id();
        self.prefixes.insert(prefix.into(), id);
        id
    }
}

/// The namespace and account of an exact principal.
fn workload(pattern: &TextPattern) -> Option<(&str, &str)> {
    let TextPattern::Exact(principal) = pattern else { return None };
    let mut parts = principal.split('/').skip(1);
    match (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()) {
        ("ns", namespace, "sa", account, None) => Some((namespace, account)),
        _ => None,
    }
}

impl Hosts {
    fn visit(&self, host: &DestinationHost<'_>, reach: Reach, each: &mut dyn FnMut(Id) -> Step) -> Step {
        let known = |id: Option<&Id>, each: &mut dyn FnMut(Id) -> Step| id.map_or(Step::Continue(()), |id| each(*id));
        match (host, reach) {
            (DestinationHost::Known(Host::Name(name)), _) => {
                known(self.names.get(name.as_ref()), each)?;
                if !self.suffixes.is_empty() {
                    for (dot, _) in name.match_indices('.') {
                        known(name.get(dot..).and_then(|suffix| self.suffixes.get(suffix)), each)?;
                    }
                }
                each(ANYWHERE)
            }
            (DestinationHost::Known(Host::Ip(ip)), _) => {
                known(self.addresses.get(ip), each)?;
                let lengths = if ip.is_ipv4() { &self.lengths.0 } else { &self.lengths.1 };
                for length in lengths {
                    let network = IpNet::new(*ip, *length).map(|net| net.trunc());
                    known(network.ok().and_then(|net| self.networks.get(&net)), each)?;
                }
                each(ANYWHERE)
            }
            (_, Reach::Deny) => each(EVERYWHERE),
            (_, Reach::Grant) => each(ANYWHERE),
        }
    }

    /// The ids under which a rule is filed; `ANYWHERE` where any operation has no host that a table can hold.
    fn ids(&mut self, rule: &Rule) -> Vec<Id> {
        let mut ids = Vec::new();
        for operation in &rule.to {
            for pattern in operation.hosts.any_of() {
                ids.push(match pattern.key() {
                    HostKey::Name(name) => self.new_or(|h| &mut h.names, name.into()),
                    HostKey::Suffix(suffix) => self.new_or(|h| &mut h.suffixes, suffix.into()),
                    HostKey::Address(ip) => self.new_or(|h| &mut h.addresses, ip),
                    HostKey::Network(net) => self.new_or(|h| &mut h.networks, net),
                    HostKey::None => ANYWHERE,
                });
            }
            if operation.hosts.any_of().is_empty() {
                ids.push(ANYWHERE);
            }
        }
        if rule.to.is_empty() {
            ids.push(ANYWHERE);
        }
        ids
    }

    fn new_or<K: Hash + Eq>(&mut self, table: impl Fn(&mut Self) -> &mut FxHashMap<K, Id>, key: K) -> Id {
        let fresh = FIRST + self.next;
        let id = *table(self).entry(key).or_insert(fresh);
        if id == fresh {
            self.next += 1;
        }
        id
    }
}

struct Builder {
    sources: Sources,
    hosts: Hosts,
    /// What every rule is filed under besides its own keys.
    always: (&'static [Id], &'static [Id]),
    /// Every filing: source, host, position.
    filed: Vec<(Id, Id, u32)>,
}

impl Builder {
    fn new(reach: Reach) -> Builder {
        let always: (&[Id], &[Id]) = match reach {
            Reach::Deny => (&[EVERYONE], &[EVERYWHERE]),
            Reach::Grant => (&[], &[]),
        };
        Builder { sources: Sources::default(), hosts: Hosts::default(), always, filed: Vec::new() }
    }

    fn file(&mut self, position: usize, sources: &[Id], hosts: &[Id]) {
        let position = u32::try_from(position).unwrap_or(u32::MAX);
        for source in sources.iter().chain(self.always.0) {
            for host in hosts.iter().chain(self.always.1) {
                self.filed.push((*source, *host, position));
            }
        }
    }

    fn finish(mut self) -> Index {
        self.filed.sort_unstable();
        self.filed.dedup();
        let lists: Box<[u32]> = self.filed.iter().map(|(.., position)| *position).collect();
        let parts = || self.filed.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1));
        let mut pairs = FxHashMap::with_capacity_and_hasher(parts().count(), Default::default());
        let mut from = 0;
        for part in parts() {
            let to = from + u32::try_from(part.len()).unwrap_or(u32::MAX);
            if let Some((source, host, _)) = part.first() {
                pairs.insert((*source, *host), (from, to));
            }
            from = to;
        }
        let lengths: BTreeSet<usize> = self.sources.prefixes.keys().map(|prefix| prefix.len()).collect();
        self.sources.prefix_lengths = lengths.into_iter().collect();
        let of_family = |v4: bool| -> Box<[u8]> {
            let nets = self.hosts.networks.keys().filter(|net| matches!(net, IpNet::V4(_)) == v4);
            nets.map(|net| net.prefix_len()).collect::<BTreeSet<_>>().into_iter().collect()
        };
        self.hosts.lengths = (of_family(true), of_family(false));
        Index { sources: self.sources, hosts: self.hosts, pairs, lists }
    }
}
