//! The hosts that some clauses tell apart.
//!
//! A table files the host patterns of the clauses by what a host must have in common with them, as
//! the engine's index does, so that a set with many names costs no more than its names. What the
//! patterns say of a host is its *key*: hosts with one key are one class, whatever port, spelling
//! and other attributes follow.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use rustc_hash::FxHashMap;

use super::addresses;
use super::clause::ClauseId;
use super::frame::Frame;
use super::host_names::Names;
use customs_engine::condition::Condition;
use customs_engine::header_values::AUTHORITY;
use customs_engine::host::{self, Authority, Host, embedded};
use customs_engine::pattern::{HostKey, HostPattern, LooseText, Match, PortPattern, TextPattern};

/// A host pattern of a clause.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostEntry<'s> {
    pub clause: ClauseId,
    /// Whether it is in the positive list.
    pub is_positive: bool,
    pub matching: Match,
    pub pattern: &'s HostPattern,
}

impl HostEntry<'_> {
    /// Whether the pattern may match the host, on some port and in some spelling.
    fn may_match(&self, host: &Host<'_>) -> bool {
        self.pattern.covers_host(host, self.matching)
            || (self.matching == Match::Broad && self.matches_bare(host))
    }

    /// Whether the host, spelt with a trailing dot, is what Istio's comparison with a prefix that
    /// ends in a dot matches.
    fn matches_bare(&self, host: &Host<'_>) -> bool {
        match (self.pattern.loose_text(), host) {
            (Some(LooseText::Prefix(prefix)), Host::Name(name)) => {
                prefix.strip_suffix('.') == Some(name)
            }
            _ => false,
        }
    }

    /// Whether what it matches depends on how the authority is spelt.
    pub(super) fn asks_spelling(&self, host: &Host<'_>) -> bool {
        match self.matching {
            Match::Strict => self.pattern.is_text(),
            Match::Broad => self.matches_bare(host),
        }
    }
}

/// The host patterns of some clauses.
#[derive(Debug, Default)]
pub(super) struct HostTable<'s> {
    pub entries: Vec<HostEntry<'s>>,
    by_key: FxHashMap<HostKey<'s>, Vec<u32>>,
    /// Patterns that no table can hold.
    rest: Vec<u32>,
    lengths: BTreeSet<(bool, u8)>,
    /// The clauses that are about every host, but for those that they exclude; ascending.
    open: Vec<ClauseId>,
    /// Conditions on the authority, and on the SNI, which on TCP names the host: they cut hosts by
    /// their texts.
    authorities: Vec<&'s TextPattern>,
}

/// A class of hosts.
#[derive(Clone, Debug)]
pub(super) struct HostClass {
    pub key: Vec<u64>,
    /// Some of them, the plainest first.
    pub members: Vec<HostMember>,
    /// The clauses that may be about them.
    pub clauses: Vec<ClauseId>,
}

/// The classes of hosts, and what may be missing of them.
#[derive(Clone, Debug)]
pub(super) struct HostClasses {
    pub classes: Vec<HostClass>,
    pub missing: Vec<MissingHosts>,
}

/// Hosts of which some classes may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MissingHosts {
    /// Names.
    Names,
    /// IPv6 addresses that carry IPv4 addresses, one of which is this.
    Addresses(Ipv6Addr),
}

/// A host that represents others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostMember {
    pub host: Host<'static>,
    /// What it represents.
    pub name: HostName,
}

/// What a host represents.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HostName {
    /// This host alone, as policies write it.
    Exactly(String),
    /// The hosts of a pattern that no narrower pattern has.
    Within(String),
    /// The addresses from one to another that no narrower pattern has.
    Between(IpAddr, IpAddr),
    /// Hosts that no pattern names.
    Other,
}

impl<'s> HostTable<'s> {
    /// Files the patterns of clauses.
    pub(super) fn of(frame: &Frame<'s>, clauses: &[ClauseId]) -> HostTable<'s> {
        let mut table = HostTable::default();
        for number in clauses {
            let Some(clause) = frame.clause(*number) else {
                continue;
            };
            for condition in clause.when {
                let values = match condition {
                    Condition::Header { name, values } if name == AUTHORITY => values,
                    Condition::Sni(values) => values,
                    _ => continue,
                };
                table
                    .authorities
                    .extend(values.any_of().iter().chain(values.none_of()));
            }
            let Some(operation) = clause.operation else {
                table.open.push(*number);
                continue;
            };
            let effect = clause.effect;
            let (positive, negative) = (effect.positive_match(), effect.negative_match());
            if operation.hosts.any_of().is_empty() {
                table.open.push(*number);
            }
            for (patterns, is_positive, matching) in [
                (operation.hosts.any_of(), true, positive),
                (operation.hosts.none_of(), false, negative),
            ] {
                for pattern in patterns {
                    table.file(HostEntry {
                        clause: *number,
                        is_positive,
                        matching,
                        pattern,
                    });
                }
            }
        }
        table.open.dedup();
        table
    }

    fn file(&mut self, entry: HostEntry<'s>) {
        let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        self.entries.push(entry);
        let keys: Vec<HostKey<'s>> = match entry.matching {
            Match::Strict => vec![entry.pattern.key()],
            Match::Broad => entry.pattern.keys().collect(),
        };
        for key in keys {
            match key {
                HostKey::None => self.rest.push(number),
                key => {
                    if let HostKey::Network(net) = key {
                        self.lengths
                            .insert((net.addr().is_ipv4(), net.prefix_len()));
                    }
                    self.by_key.entry(key).or_default().push(number);
                }
            }
        }
    }

    /// The entries that may match a host, ascending.
    pub(super) fn matching(&self, host: &Host<'_>) -> Vec<u32> {
        let mut found: Vec<u32> = self.rest.clone();
        let mut look = |key: HostKey<'_>| {
            found.extend(self.by_key.get(&key).into_iter().flatten());
        };
        match host {
            Host::Name(name) => {
                look(HostKey::Name(name));
                for (dot, _) in name.match_indices('.') {
                    look(HostKey::Suffix(name.get(dot..).unwrap_or_default()));
                }
            }
            Host::Ip(ip) => {
                let mut look_up = |ip: IpAddr| {
                    look(HostKey::Address(ip));
                    for (is_ipv4, length) in &self.lengths {
                        if *is_ipv4 == ip.is_ipv4()
                            && let Ok(net) = IpNet::new(ip, *length)
                        {
                            look(HostKey::Network(net.trunc()));
                        }
                    }
                };
                look_up(*ip);
                if ip.is_ipv6() {
                    embedded::carried(*ip).for_each(|ip| look_up(ip.into()));
                }
                if embedded::reaches_local_host(*ip) {
                    look(HostKey::LocalHost);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found.retain(|number| {
            let entry = self.entries.get(*number as usize);
            entry.is_some_and(|entry| entry.may_match(host))
        });
        found
    }

    /// What the patterns say of a host, and the clauses that may be about it.
    pub(super) fn classify(&self, host: &Host<'_>) -> (Vec<u64>, Vec<ClauseId>) {
        let found = self.matching(host);
        let found = found
            .iter()
            .filter_map(|number| Some((number, self.entries.get(*number as usize)?)));
        let (mut key, mut clauses, mut excluded) = (Vec::new(), self.open.clone(), Vec::new());
        for (number, entry) in found {
            let port = match entry.pattern.port() {
                PortPattern::Exactly(port) => u64::from(port),
                PortPattern::Unsaid => 1 << 16,
                PortPattern::Every => 2 << 16,
            };
            let sign = u64::from(entry.is_positive) << 20;
            key.push(u64::from(entry.clause) << 24 | sign | port);
            if entry.asks_spelling(host) {
                key.push(u64::MAX - u64::from(*number));
            }
            match entry.is_positive {
                true => clauses.push(entry.clause),
                false
                    if entry.pattern.port() == PortPattern::Every && !entry.asks_spelling(host) =>
                {
                    excluded.push(entry.clause);
                }
                false => {}
            }
        }
        key.extend(self.authority_bits(host));
        clauses.sort_unstable();
        clauses.dedup();
        clauses.retain(|clause| !excluded.contains(clause));
        (key, clauses)
    }

    /// How conditions on the authority compare with a host. Hosts for which this is the same can be
    /// spelt so that the same of the conditions hold.
    fn authority_bits(&self, host: &Host<'_>) -> Vec<u64> {
        let text = bracketed(host);
        let compared = |pattern: &&TextPattern| {
            let folded = |text: &str| text.to_ascii_lowercase();
            let without_dot = |text: &str| text.strip_suffix('.').unwrap_or(text).to_owned();
            match pattern {
                TextPattern::Exact(exact) => u64::from(named(exact).any(|named| named == *host)),
                TextPattern::Prefix(prefix) => {
                    let prefix = folded(prefix);
                    let port = prefix.rfind(':').filter(|_| !prefix.starts_with('['));
                    match port.and_then(|at| prefix.get(..at)) {
                        Some(host) => u64::from(without_dot(host) == text),
                        None if text.starts_with(&prefix) => 2,
                        // The host with a trailing dot.
                        None => u64::from(without_dot(&prefix) == text),
                    }
                }
                TextPattern::Suffix(suffix) => {
                    let suffix = folded(suffix);
                    let host = suffix.rsplit_once(':').map_or(&*suffix, |(host, _)| host);
                    u64::from(text.ends_with(&without_dot(host)))
                }
                TextPattern::Any => 1,
            }
        };
        let bits = self.authorities.iter().map(compared);
        bits.map(|bit| u64::MAX / 2 + bit).collect()
    }

    /// The classes of hosts that some clause of the focus may be about.
    pub(super) fn classes(&self, frame: &Frame<'_>) -> HostClasses {
        let mut classes: Vec<HostClass> = Vec::new();
        let mut numbers: FxHashMap<Vec<u64>, Option<usize>> = FxHashMap::default();
        let (members, missing) = self.candidates();
        for member in members {
            let (key, clauses) = self.classify(&member.host);
            if let Some(known) = numbers.get(&key) {
                if let Some(class) = known.and_then(|number| classes.get_mut(number)) {
                    class.members.push(member);
                }
                continue;
            }
            let is_seen = frame.has_focus(&clauses);
            numbers.insert(key.clone(), is_seen.then_some(classes.len()));
            if is_seen {
                classes.push(HostClass {
                    key,
                    members: vec![member],
                    clauses,
                });
            }
        }
        let is_seen = |missing: &MissingHosts| match missing {
            MissingHosts::Names => true,
            MissingHosts::Addresses(ip) => {
                frame.has_focus(&self.classify(&Host::Ip((*ip).into())).1)
            }
        };
        HostClasses {
            classes,
            missing: missing.into_iter().filter(is_seen).collect(),
        }
    }

    /// Hosts of every class that there is, and those of which some classes may be missing.
    fn candidates(&self) -> (Vec<HostMember>, Vec<MissingHosts>) {
        let mut names = Names::default();
        for entry in &self.entries {
            match (entry.pattern.key(), entry.pattern.loose_text()) {
                (HostKey::Name(name), _) => drop(names.exact.insert(name.to_owned())),
                (HostKey::Suffix(suffix), _) => drop(names.suffixes.insert(suffix.to_owned())),
                (_, Some(LooseText::Prefix(prefix))) => {
                    names
                        .exact
                        .extend(prefix.strip_suffix('.').map(str::to_owned));
                    names.prefixes.insert(prefix.to_owned());
                }
                (_, Some(LooseText::Suffix(suffix))) => {
                    names.suffixes.insert(suffix.to_owned());
                }
                _ => {}
            }
        }
        for pattern in &self.authorities {
            names.add_authority(pattern);
        }
        let (mut members, are_all) = names.members();
        let (addresses, missing) = addresses::candidates(&self.entries);
        members.extend(addresses);
        let missing = missing.map(MissingHosts::Addresses);
        let names = (!are_all).then_some(MissingHosts::Names);
        (members, missing.into_iter().chain(names).collect())
    }
}

/// The hosts that a text names, as an authority and as an SNI.
pub(super) fn named(text: &str) -> impl Iterator<Item = Host<'static>> {
    let lower = text.to_ascii_lowercase();
    let read = [Authority::parse(&lower), host::parse_server_name(&lower)];
    let hosts: Vec<Host<'static>> = read
        .into_iter()
        .flatten()
        .map(|read| read.host.into_owned())
        .collect();
    hosts.into_iter()
}

/// A host as an authority has it.
pub(super) fn bracketed(host: &Host<'_>) -> String {
    match host {
        Host::Name(name) => name.to_string(),
        Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
        Host::Ip(ip) => ip.to_string(),
    }
}
