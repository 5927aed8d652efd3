//! Which callers a rule is about: sources of AuthorizationPolicies and subjects of EgressPolicies.
//!
//! A caller without a valid identity satisfies every identity field of a DENY and none of an ALLOW
//! (rule R6).

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::effect::Effect;
use super::field::Field;
use super::identity::{Caller, SpiffeId};
use super::pattern::{self, TextPattern};
use super::request::Request;

/// A service account of one namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The namespace.
    pub namespace: String,
    /// The service account's name.
    pub name: String,
}

impl Account {
    /// Returns whether this is the caller's account.
    pub(crate) fn is(&self, id: SpiffeId<'_>) -> bool {
        self.namespace == id.namespace && self.name == id.service_account
    }
}

/// A `source` of an AuthorizationPolicy: all fields must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// `principals`, with aliases of the trust domain expanded.
    pub principals: Field<TextPattern>,
    /// `namespaces`: every `*` matches any run of characters.
    pub namespaces: Field<String>,
    /// `serviceAccounts`
    pub service_accounts: Field<Account>,
    /// `trustDomains`, with aliases expanded.
    pub trust_domains: Field<TextPattern>,
    /// `ipBlocks`
    pub ip_blocks: Field<IpNet>,
    /// `remoteIpBlocks`
    pub remote_ip_blocks: Field<IpNet>,
}

impl Source {
    /// Returns whether it has a field that only a valid identity can satisfy.
    pub fn asks_identity(&self) -> bool {
        let Source {
            principals,
            namespaces,
            service_accounts,
            trust_domains,
            ip_blocks: _,
            remote_ip_blocks: _,
        } = self;
        principals.is_set()
            || namespaces.is_set()
            || service_accounts.is_set()
            || trust_domains.is_set()
    }

    /// Returns whether all fields hold. A condition of `when` on a source is a source with one
    /// field.
    pub(crate) fn matches(
        &self,
        caller: &Caller<'_>,
        request: &Request<'_>,
        effect: Effect,
    ) -> bool {
        self.matches_identity(caller, effect) && self.matches_addresses(request, effect)
    }

    /// Returns whether the fields about addresses hold.
    pub fn matches_addresses(&self, request: &Request<'_>, effect: Effect) -> bool {
        address_holds(&self.ip_blocks, request.source_address, effect)
            && address_holds(&self.remote_ip_blocks, request.remote_address, effect)
    }

    /// Returns whether the fields about the caller's identity hold.
    pub fn matches_identity(&self, caller: &Caller<'_>, effect: Effect) -> bool {
        match caller.workload() {
            Some(id) => {
                self.principals
                    .holds(effect, |p, _| p.matches(id.principal))
                    && self
                        .namespaces
                        .holds(effect, |p, _| pattern::glob_matches(p, id.namespace))
                    && self
                        .service_accounts
                        .holds(effect, |account, _| account.is(id))
                    && self
                        .trust_domains
                        .holds(effect, |p, _| p.matches(id.trust_domain))
            }
            None => !self.asks_identity() || effect == Effect::Deny,
        }
    }
}

/// Returns whether a field of address blocks holds.
pub(crate) fn address_holds(
    blocks: &Field<IpNet>,
    address: Option<IpAddr>,
    effect: Effect,
) -> bool {
    blocks.holds_if_known(address, effect, pattern::block_contains)
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
    /// Workloads, by namespace and, if given, by account.
    Workloads {
        /// Any of these namespaces ...
        namespaces: Box<[NamespacePattern]>,
        /// ... and any of these accounts in them; empty is every account.
        accounts: Box<[String]>,
        /// Accepted foreign trust domains that a grant admits besides the own one.
        trust_domains: Box<[String]>,
    },
    /// Accounts that name their own namespace.
    Accounts {
        /// Any of these.
        accounts: Box<[Account]>,
        /// As above.
        trust_domains: Box<[String]>,
    },
    /// Callers without a valid identity.
    Unauthenticated,
}

impl Subject {
    fn selects(&self, caller: &Caller<'_>, effect: Effect) -> bool {
        let Some(id) = caller.workload() else {
            return *self == Subject::Unauthenticated;
        };
        let (named, trust_domains) = match self {
            Subject::Workloads {
                namespaces,
                accounts,
                trust_domains,
            } => {
                let account =
                    accounts.is_empty() || accounts.iter().any(|a| a == id.service_account);
                (
                    account && namespaces.iter().any(|n| n.matches(id.namespace)),
                    trust_domains,
                )
            }
            Subject::Accounts {
                accounts,
                trust_domains,
            } => (accounts.iter().any(|a| a.is(id)), trust_domains),
            Subject::Unauthenticated => return false,
        };
        let admitted = match (caller, effect) {
            (Caller::Foreign(id), Effect::Allow) => {
                trust_domains.iter().any(|td| td == id.trust_domain)
            }
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
pub struct SubjectList(pub Box<[Subject]>);

impl SubjectList {
    /// Returns whether a caller is selected. An allow selects a caller of an accepted foreign
    /// domain only if the subject lists its domain (rule R6).
    pub fn select(&self, caller: &Caller<'_>, effect: Effect) -> bool {
        self.0.iter().any(|s| s.selects(caller, effect))
    }

    /// Returns the same subjects without callers that have no valid identity or a foreign domain:
    /// those that an exception without subjects opens for (rule R6).
    pub fn own_workloads(&self) -> SubjectList {
        let own = |subject: &Subject| match subject.clone() {
            Subject::Workloads {
                namespaces,
                accounts,
                ..
            } => Some(Subject::Workloads {
                namespaces,
                accounts,
                trust_domains: Box::default(),
            }),
            Subject::Accounts { accounts, .. } => Some(Subject::Accounts {
                accounts,
                trust_domains: Box::default(),
            }),
            Subject::Unauthenticated => None,
        };
        SubjectList(self.0.iter().filter_map(own).collect())
    }

    /// Returns whether callers without a valid identity are named as such.
    pub fn name_unauthenticated(&self) -> bool {
        self.0.contains(&Subject::Unauthenticated)
    }

    /// Returns whether a subject is every namespace.
    pub fn hold_everyone(&self) -> bool {
        self.0.iter().any(Subject::holds_everyone)
    }
}

/// Which callers a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerMatch {
    /// An AuthorizationPolicy rule without `from`.
    Anyone,
    /// The `from` of an AuthorizationPolicy rule.
    Sources(Box<[Source]>),
    /// The subjects of an EgressPolicy.
    Subjects(Arc<SubjectList>),
}

/// Whether some enforced policy names callers without a valid identity (see docs/explanation/identity.md,
/// "Callers without a valid identity").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownCallers {
    /// No policy does: they satisfy the source of every DENY.
    Unnamed,
    /// A policy does: of the EgressPolicies, only those that name them or every caller deny them.
    Named,
}

impl CallerMatch {
    /// Returns whether a DENY is about this caller.
    pub fn denies(
        &self,
        caller: &Caller<'_>,
        request: &Request<'_>,
        unknown: UnknownCallers,
    ) -> bool {
        match (self, caller) {
            (CallerMatch::Anyone, _) => true,
            (CallerMatch::Sources(sources), _) => sources
                .iter()
                .any(|s| s.matches(caller, request, Effect::Deny)),
            (CallerMatch::Subjects(_), Caller::Unknown(_))
                if unknown == UnknownCallers::Unnamed =>
            {
                true
            }
            (CallerMatch::Subjects(subjects), Caller::Unknown(_)) => {
                subjects.name_unauthenticated() || subjects.hold_everyone()
            }
            (CallerMatch::Subjects(subjects), _) => subjects.select(caller, Effect::Deny),
        }
    }

    /// Returns whether an ALLOW is about this caller.
    pub fn grants(&self, caller: &Caller<'_>, request: &Request<'_>) -> bool {
        match self {
            CallerMatch::Anyone => true,
            CallerMatch::Sources(sources) => sources
                .iter()
                .any(|s| s.matches(caller, request, Effect::Allow)),
            CallerMatch::Subjects(subjects) => subjects.select(caller, Effect::Allow),
        }
    }

    /// Returns whether the answer depends on the caller's identity, so that a caller without a
    /// valid identity is treated differently from others.
    pub(crate) fn asks_identity(&self) -> bool {
        match self {
            CallerMatch::Anyone => false,
            CallerMatch::Sources(sources) => sources.iter().any(Source::asks_identity),
            CallerMatch::Subjects(subjects) => {
                !subjects.name_unauthenticated() && !subjects.hold_everyone()
            }
        }
    }
}

/// Returns the namespace and account of an exact principal.
pub fn exact_workload(pattern: &TextPattern) -> Option<(&str, &str)> {
    let TextPattern::Exact(principal) = pattern else {
        return None;
    };
    let mut parts = principal.split('/').skip(1);
    match (
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next()?,
        parts.next(),
    ) {
        ("ns", namespace, "sa", account, None) => Some((namespace, account)),
        _ => None,
    }
}
