//! The lookup tables behind a snapshot, so that the cost of a decision does not grow with the
//! number of rules.
//!
//! An index only leaves out rules that cannot match; whether a candidate matches is decided by the
//! rule itself. Each rule is filed under pairs of a *source key* (an account, a namespace, a
//! namespace prefix, or any) and a *host key* (a name, a suffix, an address, a network, or any). A
//! pattern has a key for each form in which an address may be written. A request has a few keys of
//! each kind, and looks up their pairs. Lists hold positions in the order of names, so the first
//! match of a list is the one to name.
//!
//! Only a hash of a host key is kept. Two keys with the same hash share their lists, and the rules
//! themselves separate them.
//!
//! Two kinds of requests have no such keys: a caller without a valid identity satisfies the source
//! of every DENY, and an unknown host satisfies the host of every DENY. For those, each rule is
//! also filed under the keys `EVERYONE` and `EVERYWHERE`.

use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;

use ipnet::IpNet;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::enforcement::Enforcement;
use super::host::{Host, embedded};
use super::identity::{Caller, SpiffeId};
use super::pattern::{HostKey, HostPattern, Match};
use super::request::{DestinationHost, Request};
use super::rule::Rule;
use super::subject::{CallerMatch, NamespacePattern, Source, Subject, SubjectList, exact_workload};

mod builder;

use builder::Builder;

/// The id of a source key in its table. The first ids are fixed.
type Id = u32;
/// The hash of a host key, or one of the fixed ids.
type HostId = u64;
/// A source key and a host key combined.
type PairId = u64;

/// A rule that does not name callers.
const ANYONE: Id = 0;
/// Every rule, whichever callers it is about.
const EVERYONE: Id = 1;
/// Rules about callers without a valid identity.
const UNAUTHENTICATED: Id = 2;
/// A rule that does not name a destination, or names it in a way that no table holds.
const ANYWHERE: HostId = 0;
/// Every rule, wherever it applies.
const EVERYWHERE: HostId = 1;
/// The first id of a source key that is not fixed.
const FIRST: Id = 3;

/// Which rules may be about a request.
#[derive(Debug, Default)]
pub(crate) struct Index {
    sources: Sources,
    hosts: Hosts,
    /// For each pair of keys, its range in `lists`.
    pairs: FxHashMap<PairId, (u32, u32)>,
    lists: Box<[u32]>,
    /// One bit per rule, set for rules in a dry run. Empty if there are none.
    dry_run: Box<[u64]>,
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

/// Which host keys are worth looking up.
#[derive(Debug, Default)]
struct Hosts {
    has_suffixes: bool,
    /// The prefix lengths of the networks of each family.
    lengths: (BTreeSet<u8>, BTreeSet<u8>),
}

impl Index {
    /// Files rules. Positions in the lists are positions in `rules`. Rules that are only ever
    /// looked up strictly are not filed for unknown attributes.
    pub(crate) fn of_rules(rules: &[Arc<Rule>], matching: Match) -> Index {
        let mut builder = Builder::new(matching);
        for (position, rule) in rules.iter().enumerate() {
            let hosts = builder.hosts.ids(rule);
            let sources = builder.sources.ids(&rule.callers);
            builder.file(position, &sources, &hosts);
        }
        Index {
            dry_run: dry_run(rules),
            ..builder.finish()
        }
    }

    /// Returns whether a rule is in a dry run, without reading the rule, which is usually far away
    /// in memory. A pass that leaves such rules out can skip a whole set of them.
    pub(crate) fn is_dry_run(&self, position: u32) -> bool {
        self.dry_run
            .get(position as usize / 64)
            .is_some_and(|bits| bits >> (position % 64) & 1 == 1)
    }

    /// Files selections of callers, whatever the destination.
    pub(crate) fn of_subjects<'s>(subjects: impl Iterator<Item = &'s SubjectList>) -> Index {
        let mut builder = Builder::new(Match::Strict);
        for (position, subjects) in subjects.enumerate() {
            let mut ids = Vec::new();
            builder.sources.subjects(subjects, &mut ids);
            builder.file(position, &ids, &[ANYWHERE]);
        }
        builder.finish()
    }

    /// Visits the lists of positions that may concern a request, each in ascending order, until the
    /// visitor stops.
    pub(crate) fn lists(
        &self,
        caller: &Caller<'_>,
        request: &Request<'_>,
        matching: Match,
        mut each: impl FnMut(&[u32]) -> ControlFlow<()>,
    ) {
        if self.lists.is_empty() {
            return;
        }
        let _ = self.sources.visit(caller, matching, &mut |source| {
            self.hosts
                .visit(&request.destination.host, matching, &mut |host| match self
                    .list(source, host)
                {
                    [] => ControlFlow::Continue(()),
                    list => each(list),
                })
        });
    }

    /// Visits the positions of selections that may concern a caller.
    pub(crate) fn selections(&self, caller: &Caller<'_>, mut each: impl FnMut(u32)) {
        let _ = self.sources.visit(caller, Match::Strict, &mut |source| {
            self.list(source, ANYWHERE)
                .iter()
                .for_each(|position| each(*position));
            ControlFlow::Continue(())
        });
    }

    fn list(&self, source: Id, host: HostId) -> &[u32] {
        let part = self.pairs.get(&pair_id(source, host));
        part.and_then(|(from, to)| self.lists.get(*from as usize..*to as usize))
            .unwrap_or_default()
    }
}

fn dry_run(rules: &[Arc<Rule>]) -> Box<[u64]> {
    if rules.iter().all(|rule| rule.mode == Enforcement::Enforce) {
        return Box::default();
    }
    let bits = |rules: &[Arc<Rule>]| {
        rules.iter().enumerate().fold(0, |bits, (at, rule)| {
            bits | u64::from(rule.mode == Enforcement::Report) << at
        })
    };
    rules.chunks(64).map(bits).collect()
}

fn host_id(key: HostKey<'_>) -> HostId {
    FxBuildHasher.hash_one(key)
}

/// The bits of a hash are as good as random, so the result is still a good hash whatever is added
/// to its upper half.
fn pair_id(source: Id, host: HostId) -> PairId {
    host ^ (u64::from(source) << 32)
}

type Step = ControlFlow<()>;

impl Sources {
    fn visit(
        &self,
        caller: &Caller<'_>,
        matching: Match,
        each: &mut dyn FnMut(Id) -> Step,
    ) -> Step {
        let Some(SpiffeId {
            namespace,
            service_account,
            ..
        }) = caller.workload()
        else {
            return match matching {
                Match::Broad => each(EVERYONE),
                Match::Strict => [ANYONE, UNAUTHENTICATED].into_iter().try_for_each(each),
            };
        };
        if let Some(entry) = self.namespaces.get(namespace) {
            entry
                .accounts
                .get(service_account)
                .copied()
                .map_or(Step::Continue(()), &mut *each)?;
            entry.whole.map_or(Step::Continue(()), &mut *each)?;
        }
        for length in &self.prefix_lengths {
            let Some(prefix) = namespace.get(..*length) else {
                break;
            };
            self.prefixes
                .get(prefix)
                .copied()
                .map_or(Step::Continue(()), &mut *each)?;
        }
        each(ANYONE)
    }

    fn ids(&mut self, callers: &CallerMatch) -> Vec<Id> {
        let mut ids = Vec::new();
        match callers {
            CallerMatch::Anyone => ids.push(ANYONE),
            CallerMatch::Sources(sources) => sources
                .iter()
                .for_each(|source| self.source(source, &mut ids)),
            CallerMatch::Subjects(subjects) => self.subjects(subjects, &mut ids),
        }
        ids
    }

    fn subjects(&mut self, subjects: &SubjectList, ids: &mut Vec<Id>) {
        for subject in &subjects.0 {
            match subject {
                Subject::Unauthenticated => ids.push(UNAUTHENTICATED),
                Subject::Accounts { accounts, .. } => {
                    ids.extend(accounts.iter().map(|a| self.account(&a.namespace, &a.name)));
                }
                Subject::Workloads {
                    namespaces,
                    accounts,
                    ..
                } => {
                    for namespace in namespaces {
                        match namespace {
                            NamespacePattern::Every => ids.push(ANYONE),
                            NamespacePattern::Prefix(prefix) => ids.push(self.prefix(prefix)),
                            NamespacePattern::Exact(ns) if accounts.is_empty() => {
                                ids.push(self.namespace(ns))
                            }
                            NamespacePattern::Exact(ns) => {
                                ids.extend(
                                    accounts.iter().map(|account| self.account(ns, account)),
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    /// Files a source under the narrowest of its lists that a table can hold. Each list is a
    /// necessary condition.
    fn source(&mut self, source: &Source, ids: &mut Vec<Id>) {
        let accounts = source.service_accounts.any_of();
        if !accounts.is_empty() {
            return ids.extend(accounts.iter().map(|a| self.account(&a.namespace, &a.name)));
        }
        let principals: Option<Vec<_>> = source
            .principals
            .any_of()
            .iter()
            .map(exact_workload)
            .collect();
        if let Some(principals) = principals.filter(|all| !all.is_empty()) {
            return ids.extend(
                principals
                    .into_iter()
                    .map(|(ns, account)| self.account(ns, account)),
            );
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
        if let Some(id) = self
            .namespaces
            .get(namespace)
            .and_then(|entry| entry.accounts.get(account))
        {
            return *id;
        }
        let id = self.new_id();
        self.namespaces
            .entry(namespace.into())
            .or_default()
            .accounts
            .insert(account.into(), id);
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

impl Hosts {
    fn visit(
        &self,
        host: &DestinationHost<'_>,
        matching: Match,
        each: &mut dyn FnMut(HostId) -> Step,
    ) -> Step {
        match (host, matching) {
            (DestinationHost::Known(Host::Name(name)), _) => {
                each(host_id(HostKey::Name(name)))?;
                if self.has_suffixes {
                    for suffix in name
                        .match_indices('.')
                        .filter_map(|(dot, _)| name.get(dot..))
                    {
                        each(host_id(HostKey::Suffix(suffix)))?;
                    }
                }
                each(ANYWHERE)
            }
            (DestinationHost::Known(Host::Ip(ip)), _) => {
                self.visit_address(*ip, each)?;
                if matching == Match::Broad {
                    // A grant covers an address as it is written; a denial also covers what it may
                    // be read as.
                    if ip.is_ipv6() {
                        embedded::carried(*ip)
                            .try_for_each(|ip| self.visit_address(ip.into(), each))?;
                    }
                    if embedded::reaches_local_host(*ip) {
                        each(host_id(HostKey::LocalHost))?;
                    }
                }
                each(ANYWHERE)
            }
            (_, Match::Broad) => each(EVERYWHERE),
            (_, Match::Strict) => each(ANYWHERE),
        }
    }

    fn visit_address(&self, ip: IpAddr, each: &mut dyn FnMut(HostId) -> Step) -> Step {
        each(host_id(HostKey::Address(ip)))?;
        let lengths = if ip.is_ipv4() {
            &self.lengths.0
        } else {
            &self.lengths.1
        };
        let mut networks = lengths
            .iter()
            .filter_map(|length| IpNet::new(ip, *length).ok());
        networks.try_for_each(|network| each(host_id(HostKey::Network(network.trunc()))))
    }

    /// Returns the ids under which a rule is filed; `ANYWHERE` if any operation has no host that a
    /// table can hold.
    fn ids(&mut self, rule: &Rule) -> Vec<HostId> {
        let mut ids = Vec::new();
        for operation in &rule.to {
            ids.extend(
                operation
                    .hosts
                    .any_of()
                    .iter()
                    .flat_map(HostPattern::keys)
                    .map(|key| self.id(key)),
            );
            if operation.hosts.any_of().is_empty() {
                ids.push(ANYWHERE);
            }
        }
        if rule.to.is_empty() {
            ids.push(ANYWHERE);
        }
        ids
    }

    fn id(&mut self, key: HostKey<'_>) -> HostId {
        match key {
            HostKey::Name(_) | HostKey::Address(_) | HostKey::LocalHost => {}
            HostKey::Suffix(_) => self.has_suffixes = true,
            HostKey::Network(IpNet::V4(net)) => drop(self.lengths.0.insert(net.prefix_len())),
            HostKey::Network(IpNet::V6(net)) => drop(self.lengths.1.insert(net.prefix_len())),
            HostKey::None => return ANYWHERE,
        }
        host_id(key)
    }
}
