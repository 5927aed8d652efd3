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
use super::callers::MADE_UP;
use super::clause::ClauseId;
use super::frame::Frame;
use customs_engine::condition::Condition;
use customs_engine::header_values::AUTHORITY;
use customs_engine::host::{Authority, Host, HostParseError, embedded};
use customs_engine::pattern::{HostKey, HostPattern, LooseText, Match, PortPattern, TextPattern};

/// A host that no rule names: nothing below `invalid` exists (RFC 6761).
const NOWHERE: &str = "made-up.invalid";

/// How many names are tried for one that only the patterns meant match.
const TRIES: u32 = 64;

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
    /// Conditions on the authority, which cut hosts by their texts.
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

/// A host that stands for others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostMember {
    pub host: Host<'static>,
    /// What it stands for.
    pub name: HostName,
}

/// What a host stands for.
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
                if let Condition::Header { name, values } = condition
                    && name == AUTHORITY
                {
                    let both = values.any_of().iter().chain(values.none_of());
                    table.authorities.extend(both);
                }
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

    /// Which conditions on the authority may match a host, in some spelling.
    fn authority_bits(&self, host: &Host<'_>) -> Vec<u64> {
        let text = bracketed(host);
        let may_match = |pattern: &&TextPattern| {
            let folded = |text: &str| text.to_ascii_lowercase();
            match pattern {
                TextPattern::Exact(exact) => {
                    Authority::parse(exact).is_ok_and(|read| read.host == *host)
                }
                TextPattern::Prefix(prefix) => {
                    let prefix = folded(prefix);
                    text.starts_with(&prefix) || prefix.starts_with(&text)
                }
                TextPattern::Suffix(suffix) => {
                    let suffix = folded(suffix);
                    let suffix = suffix.rsplit_once(':').map_or(&*suffix, |(host, _)| host);
                    let suffix = suffix.strip_suffix('.').unwrap_or(suffix);
                    text.ends_with(suffix) || suffix.ends_with(&text)
                }
                TextPattern::Any => true,
            }
        };
        let bits = self.authorities.iter().map(may_match);
        bits.map(|bit| u64::MAX / 2 + u64::from(bit)).collect()
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

/// No name was found that only the patterns meant match.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no name matches these patterns alone")]
struct NoNameError;

/// The texts by which names are told apart.
#[derive(Debug, Default)]
struct Names {
    exact: BTreeSet<String>,
    /// With or without a leading dot.
    suffixes: BTreeSet<String>,
    prefixes: BTreeSet<String>,
}

impl Names {
    fn add_authority(&mut self, pattern: &TextPattern) {
        let without_port = |text: &str| {
            let text = text.to_ascii_lowercase();
            let host = text.split_once(':').map_or(&*text, |(host, _)| host);
            host.strip_suffix('.').unwrap_or(host).to_owned()
        };
        match pattern {
            TextPattern::Exact(text) => {
                if let Ok(Authority {
                    host: Host::Name(name),
                    ..
                }) = Authority::parse(text)
                {
                    self.exact.insert(name.into_owned());
                }
            }
            TextPattern::Prefix(text) => {
                let host = without_port(text);
                let is_whole = host.len() < text.len();
                self.exact.insert(host.clone());
                if !is_whole {
                    self.prefixes.insert(host);
                }
            }
            TextPattern::Suffix(text) => {
                let host = without_port(text);
                self.exact.insert(host.trim_start_matches('.').to_owned());
                self.suffixes.insert(host);
            }
            TextPattern::Any => {}
        }
        self.exact.remove("");
        self.suffixes.remove("");
        self.prefixes.remove("");
    }

    /// The members, and whether every class has one.
    fn members(&self) -> (Vec<HostMember>, bool) {
        let (mut members, mut are_all): (Vec<HostMember>, bool) = (Vec::new(), true);
        for name in &self.exact {
            let read = Authority::parse(name).ok().map(|read| read.host);
            if let Some(host @ Host::Name(_)) = read {
                members.push(HostMember {
                    host: host.into_owned(),
                    name: HostName::Exactly(name.clone()),
                });
            }
        }
        let prefixes = std::iter::once(None).chain(self.prefixes.iter().map(Some));
        for prefix in prefixes {
            let suffixes = std::iter::once(None).chain(self.suffixes.iter().map(Some));
            for suffix in suffixes {
                let texts = (
                    prefix.map(String::as_str).unwrap_or_default(),
                    suffix.map(String::as_str).unwrap_or_default(),
                );
                match self.member(texts) {
                    Ok(member) => members.extend(member),
                    Err(NoNameError) => are_all = false,
                }
            }
        }
        (members, are_all)
    }

    /// A name that begins and ends so, for which no longer prefix or suffix does; nothing if every
    /// such name is too long.
    fn member(&self, (prefix, suffix): (&str, &str)) -> Result<Option<HostMember>, NoNameError> {
        let labels = [MADE_UP, "x", "y", "z"].map(str::to_owned).into_iter();
        let labels = labels.chain((0..TRIES).map(|number| format!("{MADE_UP}-{number}")));
        let names = labels.map(|label| match (prefix, suffix) {
            ("", "") if label == MADE_UP => NOWHERE.to_owned(),
            (prefix, "") => format!("{prefix}{label}"),
            (prefix, suffix) => format!("{prefix}{label}{suffix}"),
        });
        let mut names = names.filter(|name| self.is_of(name, (prefix, suffix)));
        let read = |name: String| match Authority::parse(&name) {
            Ok(Authority {
                host: host @ Host::Name(_),
                ..
            }) => Some(host.into_owned()),
            _ => None,
        };
        let Some(host) = names.find_map(read) else {
            let shortest = format!("{prefix}x{suffix}");
            return match Authority::parse(&shortest) {
                Err(HostParseError::TooLong) => Ok(None),
                _ => Err(NoNameError),
            };
        };
        let name = match (prefix, suffix) {
            ("", "") => HostName::Other,
            (prefix, suffix) => HostName::Within(format!("{prefix}*{suffix}")),
        };
        Ok(Some(HostMember { host, name }))
    }

    fn is_of(&self, name: &str, (prefix, suffix): (&str, &str)) -> bool {
        let longer_suffix = (0..name.len().saturating_sub(suffix.len()))
            .filter_map(|at| name.get(at..))
            .any(|tail| self.suffixes.contains(tail));
        let longer_prefix = (prefix.len() + 1..=name.len())
            .filter_map(|end| name.get(..end))
            .any(|head| self.prefixes.contains(head));
        !self.exact.contains(name) && !longer_suffix && !longer_prefix
    }
}

/// A host as an authority has it.
pub(super) fn bracketed(host: &Host<'_>) -> String {
    match host {
        Host::Name(name) => name.to_string(),
        Host::Ip(IpAddr::V6(ip)) => format!("[{ip}]"),
        Host::Ip(ip) => ip.to_string(),
    }
}
