//! Compiled rules, and whether one matches a request.
//!
//! Both families of documents compile to these. A rule asks *who* and *to where*; each field holds a positive and a
//! negative list. Three things decide a field (rule R0): the rule's [`Polarity`] gives the reading, wide or narrow; an
//! attribute that is unknown satisfies a DENY and no ALLOW; and a caller without a valid identity does likewise
//! (rule R6). Which rules are asked, and what follows from a match, is [`snapshot`](super::snapshot)'s business.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::decision::RuleInfo;
use super::identity::{Caller, SpiffeId};
use super::path::{Readings, Template};
use super::pattern::{self, HostPattern, NO_HOST, Reading, Specificity, TextPattern};
use super::request::{DestinationHost, Request};

/// Whether a rule denies or grants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// A DENY.
    Deny,
    /// An ALLOW.
    Allow,
}

impl Polarity {
    fn positive(self) -> Reading {
        match self {
            Polarity::Deny => Reading::Wide,
            Polarity::Allow => Reading::Narrow,
        }
    }

    fn negative(self) -> Reading {
        match self {
            Polarity::Deny => Reading::Narrow,
            Polarity::Allow => Reading::Wide,
        }
    }
}

/// A field of a rule: some value of `any_of` must match and none of `none_of` may. An empty list asks nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field<P> {
    /// The positive list.
    pub any_of: Vec<P>,
    /// The `not*` list.
    pub none_of: Vec<P>,
}

impl<P> Default for Field<P> {
    fn default() -> Self {
        Field { any_of: Vec::new(), none_of: Vec::new() }
    }
}

impl<P> Field<P> {
    /// Whether the rule's text has this field at all.
    pub fn is_set(&self) -> bool {
        !self.any_of.is_empty() || !self.none_of.is_empty()
    }

    fn holds(&self, polarity: Polarity, matches: impl Fn(&P, Reading) -> bool) -> bool {
        let some = self.any_of.is_empty() || self.any_of.iter().any(|p| matches(p, polarity.positive()));
        some && !self.none_of.iter().any(|p| matches(p, polarity.negative()))
    }

    /// The field over an attribute that is not known: a DENY is satisfied, an ALLOW is not.
    fn holds_unknown(&self, polarity: Polarity) -> bool {
        !self.is_set() || polarity == Polarity::Deny
    }
}

/// A service account of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The namespace.
    pub namespace: String,
    /// The service account's name.
    pub name: String,
}

impl Account {
    fn is(&self, id: SpiffeId<'_>) -> bool {
        self.namespace == id.namespace && self.name == id.service_account
    }
}

/// A `source` of an AuthorizationPolicy: all fields must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// `principals`, with aliases of the trust domain expanded.
    pub principals: Field<TextPattern>,
    /// `namespaces`: every `*` stands for any run of characters.
    pub namespaces: Field<String>,
    /// `serviceAccounts`
    pub service_accounts: Field<Account>,
    /// `ipBlocks`
    pub ip_blocks: Field<IpNet>,
}

impl Source {
    fn asks_identity(&self) -> bool {
        self.principals.is_set() || self.namespaces.is_set() || self.service_accounts.is_set()
    }

    fn matches(&self, caller: &Caller<'_>, address: Option<IpAddr>, polarity: Polarity) -> bool {
        let identity = match caller.workload() {
            Some(id) => {
                self.principals.holds(polarity, |p, _| p.matches(id.principal))
                    && self.namespaces.holds(polarity, |p, _| pattern::glob_matches(p, id.namespace))
                    && self.service_accounts.holds(polarity, |account, _| account.is(id))
            }
            None => !self.asks_identity() || polarity == Polarity::Deny,
        };
        identity
            && match address {
                Some(ip) => {
                    self.ip_blocks.holds(polarity, |block, reading| pattern::block_contains(block, ip, reading))
                }
                None => self.ip_blocks.holds_unknown(polarity),
            }
    }
}

/// A namespace as an EgressPolicy names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamespacePattern {
    /// The namespace itself.
    Exact(String),
    /// `prefix-*`: the prefix and at least one more character.
    Prefix(String),
    /// `**`
    Every,
}

impl NamespacePattern {
    fn matches(&self, namespace: &str) -> bool {
        match self {
            NamespacePattern::Exact(want) => want == namespace,
            NamespacePattern::Prefix(prefix) => {
                namespace.len() > prefix.len() && namespace.starts_with(prefix.as_str())
            }
            NamespacePattern::Every => true,
        }
    }
}

/// A subject of an EgressPolicy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Workloads, by namespace and, where given, account.
    Workloads {
        /// Any of these namespaces ...
        namespaces: Vec<NamespacePattern>,
        /// ... and any of these accounts in them; empty is every account.
        accounts: Vec<String>,
        /// Accepted foreign trust domains that a grant admits beside the own one.
        trust_domains: Vec<String>,
    },
    /// Accounts that name their own namespace.
    Accounts {
        /// Any of these.
        accounts: Vec<Account>,
        /// As above.
        trust_domains: Vec<String>,
    },
    /// Callers without a valid identity.
    Unauthenticated,
}

/// Whether a subject is asked for a grant or for a restriction; accepted foreign domains differ (rule R6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A deny or an isolation.
    Restrict,
    /// An allow entry.
    Grant,
}

impl Subject {
    fn selects(&self, caller: &Caller<'_>, purpose: Purpose) -> bool {
        let Some(id) = caller.workload() else { return *self == Subject::Unauthenticated };
        let (named, trust_domains) = match self {
            Subject::Workloads { namespaces, accounts, trust_domains } => {
                let account = accounts.is_empty() || accounts.iter().any(|a| a == id.service_account);
                (account && namespaces.iter().any(|n| n.matches(id.namespace)), trust_domains)
            }
            Subject::Accounts { accounts, trust_domains } => (accounts.iter().any(|a| a.is(id)), trust_domains),
            Subject::Unauthenticated => return false,
        };
        let admitted = match (caller, purpose) {
            (Caller::Foreign(id), Purpose::Grant) => trust_domains.iter().any(|td| td == id.trust_domain),
            _ => true,
        };
        named && admitted
    }

    fn holds_everyone(&self) -> bool {
        matches!(self, Subject::Workloads { namespaces, .. } if namespaces.contains(&NamespacePattern::Every))
    }
}

/// The subjects of an EgressPolicy: any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subjects(pub Vec<Subject>);

impl Subjects {
    /// Whether a caller is selected.
    pub fn select(&self, caller: &Caller<'_>, purpose: Purpose) -> bool {
        self.0.iter().any(|s| s.selects(caller, purpose))
    }

    /// Whether callers without a valid identity are named as such.
    pub fn name_unauthenticated(&self) -> bool {
        self.0.contains(&Subject::Unauthenticated)
    }

    /// Whether a subject is every namespace.
    pub fn hold_everyone(&self) -> bool {
        self.0.iter().any(Subject::holds_everyone)
    }
}

/// Who a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// An AuthorizationPolicy rule without `from`.
    Anyone,
    /// The `from` of an AuthorizationPolicy rule.
    Sources(Vec<Source>),
    /// The subjects of an EgressPolicy.
    Subjects(Arc<Subjects>),
}

/// Whether some enforced policy names callers without a valid identity (policy language, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownCallers {
    /// None does: they satisfy the source of every DENY.
    Unnamed,
    /// One does: of EgressPolicies only those that name them or everybody deny them.
    Named,
}

impl Who {
    /// Whether a DENY is about this caller.
    pub fn denies(&self, caller: &Caller<'_>, address: Option<IpAddr>, unknown: UnknownCallers) -> bool {
        match (self, caller) {
            (Who::Anyone, _) => true,
            (Who::Sources(sources), _) => sources.iter().any(|s| s.matches(caller, address, Polarity::Deny)),
            (Who::Subjects(_), Caller::Unknown(_)) if unknown == UnknownCallers::Unnamed => true,
            (Who::Subjects(subjects), Caller::Unknown(_)) => {
                subjects.name_unauthenticated() || subjects.hold_everyone()
            }
            (Who::Subjects(subjects), _) => subjects.select(caller, Purpose::Restrict),
        }
    }

    /// Whether an ALLOW is about this caller.
    pub fn grants(&self, caller: &Caller<'_>, address: Option<IpAddr>) -> bool {
        match self {
            Who::Anyone => true,
            Who::Sources(sources) => sources.iter().any(|s| s.matches(caller, address, Polarity::Allow)),
            Who::Subjects(subjects) => subjects.select(caller, Purpose::Grant),
        }
    }

    /// Whether it matters who asks, so that a caller without a valid identity is treated otherwise than some other.
    pub fn asks_identity(&self) -> bool {
        match self {
            Who::Anyone => false,
            Who::Sources(sources) => sources.iter().any(Source::asks_identity),
            Who::Subjects(subjects) => !subjects.name_unauthenticated() && !subjects.hold_everyone(),
        }
    }
}

/// A pattern for paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathPattern {
    /// Exact, prefix, suffix or any.
    Text(TextPattern),
    /// Istio's templates.
    Template(Template),
}

impl PathPattern {
    fn matches(&self, readings: &[std::borrow::Cow<'_, str>], reading: Reading) -> bool {
        let one = |(index, text): (usize, &std::borrow::Cow<'_, str>)| match self {
            PathPattern::Text(pattern) => pattern.matches(text),
            // The path as sent must also pass Envoy's own matcher where a match grants.
            PathPattern::Template(template) => template.matches(text, index == 0 && reading == Reading::Narrow),
        };
        let mut readings = readings.iter().enumerate();
        match reading {
            Reading::Wide => readings.any(one),
            Reading::Narrow => readings.all(one),
        }
    }
}

/// An operation: all fields must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Operation {
    /// Hosts with ports.
    pub hosts: Field<HostPattern>,
    /// The gateway's listener ports; AuthorizationPolicy only.
    pub ports: Field<u16>,
    /// Methods.
    pub methods: Field<TextPattern>,
    /// Paths.
    pub paths: Field<PathPattern>,
}

impl Operation {
    /// Whether it has a field that only HTTP can answer, hosts aside (on TCP they match the SNI, rule R10).
    pub fn is_http_only(&self) -> bool {
        self.methods.is_set() || self.paths.is_set()
    }

    /// How narrowly it matches the request, or `None` if it does not.
    fn matches(&self, question: &Question<'_>, polarity: Polarity) -> Option<Specificity> {
        let specificity = self.match_host(question.request, polarity)?;
        let ports = match question.request.listener_port {
            Some(port) => self.ports.holds(polarity, |want, _| *want == port),
            None => self.ports.holds_unknown(polarity),
        };
        let methods = match question.request.http {
            Some(http) if !http.method.is_empty() => self.methods.holds(polarity, |want, reading| match reading {
                Reading::Wide => want.matches_ignore_case(http.method),
                Reading::Narrow => want.matches(http.method),
            }),
            _ => self.methods.holds_unknown(polarity),
        };
        (ports && methods && self.match_path(question, polarity)).then_some(specificity)
    }

    fn match_host(&self, request: &Request<'_>, polarity: Polarity) -> Option<Specificity> {
        let destination = &request.destination;
        let hit =
            |p: &HostPattern, host, reading| p.matches(host, destination.port, destination.raw_authority, reading);
        match &destination.host {
            DestinationHost::Known(host) => {
                if self.hosts.none_of.iter().any(|p| hit(p, host, polarity.negative())) {
                    return None;
                }
                if self.hosts.any_of.is_empty() {
                    return Some(NO_HOST);
                }
                let hits = self.hosts.any_of.iter().filter(|p| hit(p, host, polarity.positive()));
                hits.map(HostPattern::specificity).min()
            }
            DestinationHost::Unnamed if self.hosts.any_of.iter().any(HostPattern::is_anywhere) => Some(NO_HOST),
            DestinationHost::Unnamed | DestinationHost::Unreadable => {
                self.hosts.holds_unknown(polarity).then_some(NO_HOST)
            }
        }
    }

    fn match_path(&self, question: &Question<'_>, polarity: Polarity) -> bool {
        if !self.paths.is_set() {
            return true;
        }
        match question.readings() {
            Readings::Known(readings) => self.paths.holds(polarity, |want, reading| want.matches(readings, reading)),
            Readings::Unknown => self.paths.holds_unknown(polarity),
        }
    }
}

/// A request under judgement, with what is worked out only when a rule asks for it.
#[derive(Debug)]
pub struct Question<'q> {
    /// The request.
    pub request: &'q Request<'q>,
    readings: OnceCell<Readings<'q>>,
}

impl<'q> Question<'q> {
    /// Nothing is worked out yet.
    pub fn new(request: &'q Request<'q>) -> Self {
        Question { request, readings: OnceCell::new() }
    }

    fn readings(&self) -> &Readings<'q> {
        self.readings.get_or_init(|| match self.request.http {
            Some(http) => Readings::of(http.path),
            None => Readings::Unknown,
        })
    }
}

/// Whether a rule takes effect or is on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// It takes effect.
    Enforce,
    /// It is judged and recorded only.
    Report,
}

/// The place of a rule in the order in which rules are named: AuthorizationPolicy first, then by policy and entry, an
/// index being compared as a number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleKey {
    /// `ap` before `ep`.
    pub family: Family,
    /// `ns/name` of the policy.
    pub policy: String,
    /// The rule's index, for AuthorizationPolicy.
    pub index: usize,
    /// The entry's name, for EgressPolicy.
    pub entry: String,
}

/// The two families of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// `AuthorizationPolicy`
    Istio,
    /// `EgressPolicy`
    Egress,
}

/// A rule that denies or grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its place in the order of names.
    pub key: RuleKey,
    /// What is told of it.
    pub info: Arc<RuleInfo>,
    /// Whether it takes effect.
    pub mode: Mode,
    /// Who it is about.
    pub who: Who,
    /// To where: any of these; empty is anywhere.
    pub to: Vec<Operation>,
}

impl Rule {
    /// Whether a DENY is about where the request goes.
    pub fn denies_destination(&self, question: &Question<'_>) -> bool {
        self.to.is_empty() || self.to.iter().any(|op| op.matches(question, Polarity::Deny).is_some())
    }

    /// How narrowly an ALLOW covers where the request goes, or `None` if it does not. On TCP one HTTP-only field voids
    /// the whole rule, as istiod drops it.
    pub fn grants_destination(&self, question: &Question<'_>) -> Option<Specificity> {
        if self.to.is_empty() {
            return Some(NO_HOST);
        }
        if question.request.http.is_none() && self.to.iter().any(Operation::is_http_only) {
            return None;
        }
        self.to.iter().filter_map(|op| op.matches(question, Polarity::Allow)).min()
    }
}
