//! What crossed, collected by caller and host.
//!
//! The rules: memory is bounded, and what does not fit is counted ([`Crossings::overflow`]);
//! collections of parts of a record can be merged in any order.

use std::collections::BTreeMap;

use customs_engine::host::Host;
use customs_engine::identity::Caller;
use customs_engine::path::{Readings, Template};
use customs_engine::pattern::{Match, Port, parse_host_pattern};
use customs_engine::request::{DestinationHost, Request};
use customs_engine::time::UnixNanos;

/// The most pairs of a caller and a host.
const MAX_PAIRS: usize = 300_000;

/// About how many bytes a pair takes.
const PAIR_BYTES: usize = 2_048;

/// The most different values of a method or a path that are kept for one host; more are not steady.
const MAX_VALUES: usize = 8;

/// An account of a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName {
    /// The namespace.
    pub namespace: String,
    /// The account.
    pub account: String,
}

/// One recorded request.
#[derive(Clone, Copy, Debug)]
pub struct Crossing<'c> {
    /// When it was decided.
    pub time: UnixNanos,
    /// The caller.
    pub caller: Caller<'c>,
    /// Whether the account of the caller is known.
    pub is_account_known: bool,
    /// The request.
    pub request: &'c Request<'c>,
    /// Whether its path is known.
    pub is_path_known: bool,
    /// Whether its method is known.
    pub is_method_known: bool,
}

/// How often something was used, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uses {
    /// How often.
    pub count: u64,
    /// When first.
    pub first: UnixNanos,
    /// When last.
    pub last: UnixNanos,
}

/// What a caller used of one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostUse {
    /// All of it.
    pub uses: Uses,
    /// By port; `None` is a port that is absent or unknown.
    pub ports: BTreeMap<Option<u16>, Uses>,
    /// The methods.
    pub methods: Values,
    /// The paths as they are.
    pub paths: Values,
    /// The paths, by their first segment.
    pub segments: Values,
}

/// The different values of one attribute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// How often each was used.
    pub seen: BTreeMap<String, Uses>,
    /// Whether some value is not among them: unknown, too many, or not for a policy.
    pub is_open: bool,
}

/// Why something that crossed gets no grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOutCause {
    /// The caller has no valid identity.
    NoIdentity,
    /// The caller is of a foreign trust domain; a grant for it would admit the own account of the
    /// same name too.
    ForeignDomain,
    /// The account is not on record.
    UnknownAccount,
    /// The connection names no host.
    NoHost,
    /// The SNI is a name of the mesh, which says how the connection arrived.
    MeshWrapper,
    /// The host cannot be read.
    UnreadableHost,
    /// No pattern of a policy matches the host as it was sent.
    NoPattern,
    /// The record lacks an input without which no request can be rebuilt.
    Unanswerable,
}

impl LeftOutCause {
    /// Returns the name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            LeftOutCause::NoIdentity => "noIdentity",
            LeftOutCause::ForeignDomain => "foreignDomain",
            LeftOutCause::UnknownAccount => "unknownAccount",
            LeftOutCause::NoHost => "noHost",
            LeftOutCause::MeshWrapper => "meshWrapper",
            LeftOutCause::UnreadableHost => "unreadableHost",
            LeftOutCause::NoPattern => "noPattern",
            LeftOutCause::Unanswerable => "unanswerable",
        }
    }

    /// Says it to people.
    pub fn in_words(self) -> &'static str {
        match self {
            LeftOutCause::NoIdentity => "the caller has no valid identity",
            LeftOutCause::ForeignDomain => "the caller is of a foreign trust domain",
            LeftOutCause::UnknownAccount => "the account is redacted",
            LeftOutCause::NoHost => "the connection names no host; only `**` would permit it",
            LeftOutCause::MeshWrapper => "the SNI names the mesh; only `**` would permit it",
            LeftOutCause::UnreadableHost => "the host cannot be read",
            LeftOutCause::NoPattern => "no host pattern matches it as it was sent",
            LeftOutCause::Unanswerable => "the record does not hold the request",
        }
    }
}

/// Something that crossed and gets no grant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOutRow {
    /// Why.
    pub cause: LeftOutCause,
    /// The namespace of the caller; empty if it is not known.
    pub namespace: String,
    /// The account, or the state of the identity.
    pub caller: String,
    /// The host as it was sent.
    pub host: String,
}

/// What is left out, and how often each of it crossed.
pub type LeftOut = BTreeMap<LeftOutRow, Uses>;

/// Everything that crossed, and the denials beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Crossings {
    pub(super) hosts: BTreeMap<AccountName, BTreeMap<String, HostUse>>,
    /// Requests that were denied, by caller and host: a grant for the host may permit them.
    pub(super) denied: BTreeMap<AccountName, BTreeMap<String, Uses>>,
    left_out: LeftOut,
    pairs: usize,
    overflow: u64,
}

impl Uses {
    fn once(time: UnixNanos) -> Uses {
        Uses {
            count: 1,
            first: time,
            last: time,
        }
    }

    /// Adds others.
    pub(super) fn add(&mut self, other: Uses) {
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

impl Values {
    fn add(&mut self, value: Option<String>, uses: Uses) {
        match value {
            _ if self.is_open => {}
            Some(value) if self.seen.len() < MAX_VALUES || self.seen.contains_key(&value) => {
                let known = self.seen.entry(value).or_insert(Uses { count: 0, ..uses });
                known.add(uses);
            }
            _ => self.open(),
        }
    }

    fn open(&mut self) {
        self.is_open = true;
        self.seen.clear();
    }

    fn merge(&mut self, other: Values) {
        if other.is_open {
            self.open();
        }
        for (value, uses) in other.seen {
            self.add(Some(value), uses);
        }
    }
}

impl HostUse {
    fn new(uses: Uses) -> HostUse {
        HostUse {
            uses: Uses { count: 0, ..uses },
            ports: BTreeMap::new(),
            methods: Values::default(),
            paths: Values::default(),
            segments: Values::default(),
        }
    }

    pub(super) fn merge(&mut self, other: HostUse) {
        self.uses.add(other.uses);
        for (port, uses) in other.ports {
            let known = self.ports.entry(port).or_insert(Uses { count: 0, ..uses });
            known.add(uses);
        }
        self.methods.merge(other.methods);
        self.paths.merge(other.paths);
        self.segments.merge(other.segments);
    }
}

impl Crossings {
    /// Adds a request that crossed.
    pub fn add(&mut self, crossing: &Crossing<'_>) {
        let uses = Uses::once(crossing.time);
        let (account, host) = match (account(crossing), host_text(crossing.request)) {
            (Ok(account), Ok(host)) => (account, host),
            (account, host) => {
                // The caller is named first: without an identity no host would get a grant.
                let cause = account.as_ref().err().or(host.as_ref().err()).copied();
                let row = left_out(crossing, cause.unwrap_or(LeftOutCause::Unanswerable));
                return self.leave_out(row, uses);
            }
        };
        let port = match crossing.request.destination.port {
            Port::Known(port) => Some(port),
            Port::Absent(_) | Port::Unknown => None,
        };
        let mut host_use = HostUse::new(uses);
        host_use.uses.add(uses);
        host_use.ports.insert(port, uses);
        let http = crossing.request.http;
        let method = http
            .map(|http| http.method)
            .filter(|_| crossing.is_method_known);
        host_use.methods.add(method.and_then(policy_method), uses);
        let path = http
            .map(|http| http.path)
            .filter(|_| crossing.is_path_known);
        let path = path.and_then(policy_path);
        host_use.segments.add(path.map(first_segment), uses);
        host_use.paths.add(path.map(str::to_owned), uses);
        self.put(account, host, host_use);
    }

    /// Adds a request that was denied.
    pub fn deny(&mut self, crossing: &Crossing<'_>) {
        let (Ok(account), Ok(host)) = (account(crossing), host_text(crossing.request)) else {
            return;
        };
        let uses = Uses::once(crossing.time);
        self.put_denied(account, host, uses);
    }

    /// Adds something that crossed and that cannot be granted.
    pub fn leave_out(&mut self, row: LeftOutRow, uses: Uses) {
        if self.left_out.len() >= MAX_PAIRS && !self.left_out.contains_key(&row) {
            self.overflow += uses.count;
            return;
        }
        let known = self.left_out.entry(row);
        known.or_insert(Uses { count: 0, ..uses }).add(uses);
    }

    /// Adds a record that could not be rebuilt, seen once.
    pub fn leave_out_record(&mut self, row: LeftOutRow, time: UnixNanos) {
        self.leave_out(row, Uses::once(time));
    }

    fn put(&mut self, account: AccountName, host: String, host_use: HostUse) {
        let hosts = self.hosts.entry(account).or_default();
        match hosts.get_mut(&host) {
            Some(known) => known.merge(host_use),
            None if self.pairs < MAX_PAIRS => {
                self.pairs += 1;
                hosts.insert(host, host_use);
            }
            None => self.overflow += host_use.uses.count,
        }
    }

    fn put_denied(&mut self, account: AccountName, host: String, uses: Uses) {
        let hosts = self.denied.entry(account).or_default();
        match hosts.get_mut(&host) {
            Some(known) => known.add(uses),
            None if self.pairs < MAX_PAIRS => {
                self.pairs += 1;
                hosts.insert(host, uses);
            }
            // A denial that is not noted changes no grant.
            None => self.overflow += uses.count,
        }
    }

    /// Adds what crossed in another part of the record.
    pub fn merge(&mut self, other: Crossings) {
        for (account, hosts) in other.hosts {
            for (host, host_use) in hosts {
                self.put(account.clone(), host, host_use);
            }
        }
        for (account, hosts) in other.denied {
            for (host, uses) in hosts {
                self.put_denied(account.clone(), host, uses);
            }
        }
        for (row, uses) in other.left_out {
            self.leave_out(row, uses);
        }
        self.overflow += other.overflow;
    }

    /// Returns about how many bytes it takes.
    pub fn weight(&self) -> usize {
        (self.pairs + self.left_out.len()) * PAIR_BYTES
    }

    /// Returns what gets no grant.
    pub fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// Returns how many records did not fit.
    pub fn overflow(&self) -> u64 {
        self.overflow
    }

    /// Returns whether nothing crossed.
    pub fn is_empty(&self) -> bool {
        self.hosts.values().all(BTreeMap::is_empty) && self.left_out.is_empty()
    }
}

/// Returns the account of a caller that a policy can name.
fn account(crossing: &Crossing<'_>) -> Result<AccountName, LeftOutCause> {
    match crossing.caller {
        Caller::Unknown(_) => Err(LeftOutCause::NoIdentity),
        Caller::Foreign(_) => Err(LeftOutCause::ForeignDomain),
        Caller::Own(_) if !crossing.is_account_known => Err(LeftOutCause::UnknownAccount),
        Caller::Own(id) => Ok(AccountName {
            namespace: id.namespace.to_owned(),
            account: id.service_account.to_owned(),
        }),
    }
}

/// Returns the host of a request as a policy writes it.
fn host_text(request: &Request<'_>) -> Result<String, LeftOutCause> {
    let destination = &request.destination;
    let host = match &destination.host {
        DestinationHost::Known(host) => host,
        DestinationHost::Unnamed => return Err(LeftOutCause::NoHost),
        DestinationHost::MeshWrapper => return Err(LeftOutCause::MeshWrapper),
        DestinationHost::Unreadable => return Err(LeftOutCause::UnreadableHost),
    };
    let text = match host {
        Host::Name(name) => name.to_string(),
        Host::Ip(ip) if ip.is_ipv6() => format!("[{ip}]"),
        Host::Ip(ip) => ip.to_string(),
    };
    let Ok((pattern, spellings)) = parse_host_pattern(&text) else {
        return Err(LeftOutCause::NoPattern);
    };
    let matches = pattern.matches(host, Port::Absent(None), None, Match::Strict);
    if matches && spellings.is_empty() {
        Ok(text)
    } else {
        Err(LeftOutCause::NoPattern)
    }
}

fn left_out(crossing: &Crossing<'_>, cause: LeftOutCause) -> LeftOutRow {
    let (namespace, caller) = match crossing.caller {
        Caller::Own(id) | Caller::Foreign(id) => {
            let account = match crossing.is_account_known {
                true => id.service_account,
                false => "",
            };
            let caller = match crossing.caller {
                Caller::Foreign(_) => format!("{account} ({})", id.trust_domain),
                _ => account.to_owned(),
            };
            (id.namespace.to_owned(), caller)
        }
        Caller::Unknown(state) => (String::new(), state.as_str().to_owned()),
    };
    let request = crossing.request;
    let sent = request.destination.raw_authority.unwrap_or_default();
    LeftOutRow {
        cause,
        namespace,
        caller,
        host: match &request.destination.host {
            DestinationHost::Known(host) => host.to_string(),
            _ => sent.to_owned(),
        },
    }
}

/// Returns a method that a policy may list.
fn policy_method(method: &str) -> Option<String> {
    let is_method = |byte: u8| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_');
    (!method.is_empty() && method.bytes().all(is_method)).then(|| method.to_owned())
}

/// Returns a path that a policy may list: one that every server reads the same way, without the
/// characters of patterns.
fn policy_path(path: &str) -> Option<&str> {
    match Readings::of(path) {
        Readings::One(path)
            if path.starts_with('/') && !path.contains('*') && !Template::is_template(path) =>
        {
            Some(path)
        }
        _ => None,
    }
}

/// Returns the pattern for a path and its siblings: `/first/*`, or the path itself if it has one
/// segment.
fn first_segment(path: &str) -> String {
    let behind = path.strip_prefix('/').unwrap_or(path);
    match behind.split_once('/') {
        Some((first, _)) => format!("/{first}/*"),
        None => path.to_owned(),
    }
}
