//! The caller's SPIFFE identity, parsed and never matched by a regular expression (rule R6).
//!
//! A principal is valid, absent, invalid, or of a trust domain that is not accepted. "Unknown" is a
//! variant here and not an error, because a caller without a usable name must still get a decision.
//! This module reads one string; the header of rule R9 is read in `forwarded`. It does not know
//! what a policy says.

use std::collections::BTreeSet;

use super::ascii;

pub mod forwarded;

/// The longest principal that is read, in bytes (rule R6).
pub(crate) const MAX_PRINCIPAL: usize = 2048;

/// A well-formed workload identity: `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpiffeId<'a> {
    /// The text after `spiffe://`, as Istio policies spell a principal.
    pub principal: &'a str,
    /// The trust domain, lower case.
    pub trust_domain: &'a str,
    /// The Kubernetes namespace, a DNS label.
    pub namespace: &'a str,
    /// The Kubernetes service account, a DNS subdomain.
    pub service_account: &'a str,
}

/// Why a principal that is present is not an identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidIdentity {
    /// It is not exactly `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`.
    NotAWorkload,
    /// It is longer than [`MAX_PRINCIPAL`].
    TooLong,
    /// The forwarded client certificate names other URIs than this principal.
    XfccMismatch,
    /// The forwarded client certificate cannot be read, or it is to be the identity and is not one
    /// element with one URI.
    XfccUnreadable,
}

impl InvalidIdentity {
    /// Returns the detail's name in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            InvalidIdentity::NotAWorkload => "not_a_workload",
            InvalidIdentity::TooLong => "too_long",
            InvalidIdentity::XfccMismatch => "xfcc_mismatch",
            InvalidIdentity::XfccUnreadable => "xfcc_unreadable",
        }
    }
}

/// The caller as the request shows it, before its trust domain is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal<'a> {
    /// A well-formed workload identity.
    Workload(SpiffeId<'a>),
    /// No identity at all: plain text, or TLS without a client certificate.
    Absent,
    /// A value is present but is not a workload identity.
    Invalid(InvalidIdentity),
}

impl<'a> Principal<'a> {
    /// Parses a principal strictly: lower-case scheme, five parts, a DNS label and a DNS subdomain
    /// (rule R6).
    pub fn parse(text: &'a str) -> Principal<'a> {
        if text.is_empty() {
            return Principal::Absent;
        }
        if text.len() > MAX_PRINCIPAL {
            return Principal::Invalid(InvalidIdentity::TooLong);
        }
        workload(text).map_or(
            Principal::Invalid(InvalidIdentity::NotAWorkload),
            Principal::Workload,
        )
    }
}

fn workload(text: &str) -> Option<SpiffeId<'_>> {
    let principal = text.strip_prefix("spiffe://")?;
    let (trust_domain, rest) = ascii::split_once(principal, b'/')?;
    let (namespace, rest) = ascii::split_once(rest.strip_prefix("ns/")?, b'/')?;
    // A service account has no slash, so a sixth part makes the principal invalid.
    let service_account = rest.strip_prefix("sa/")?;
    (is_trust_domain(trust_domain) && is_dns_label(namespace) && is_dns_subdomain(service_account))
        .then_some(SpiffeId {
            principal,
            trust_domain,
            namespace,
            service_account,
        })
}

/// Returns whether `text` may be a SPIFFE trust domain: lower-case letters, digits, `.`, `-` and
/// `_`, at most 255 bytes.
pub fn is_trust_domain(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_')
        })
}

/// Returns whether `text` is a DNS label, as Kubernetes names namespaces: at most 63 lower-case
/// letters, digits and inner hyphens.
pub fn is_dns_label(text: &str) -> bool {
    text.len() <= 63 && is_label(text.as_bytes())
}

/// Returns whether `text` is a DNS subdomain, as Kubernetes names service accounts: labels joined
/// by dots, at most 253 bytes.
pub fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.as_bytes().split(|byte| *byte == b'.').all(is_label)
}

/// Returns whether the bytes are a label, of any length.
fn is_label(label: &[u8]) -> bool {
    let is_edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    label.first().is_some_and(is_edge)
        && label.last().is_some_and(is_edge)
        && label.iter().all(|byte| is_edge(byte) || *byte == b'-')
}

/// Returns whether some workload identity could match a principal as Istio policies spell it, or
/// one that begins or ends with it.
pub fn may_be_workload(text: &str, stars: (bool, bool)) -> bool {
    /// The prefixes and suffixes that complete a text into an identity, wherever in an identity the
    /// text begins or ends.
    const BEFORE: [&str; 11] = [
        "",
        "t",
        "t/",
        "t/n",
        "t/ns",
        "t/ns/",
        "t/ns/a",
        "t/ns/a/",
        "t/ns/a/s",
        "t/ns/a/sa",
        "t/ns/a/sa/",
    ];
    const BEHIND: [&str; 11] = [
        "",
        "a",
        "/a",
        "a/a",
        "sa/a",
        "/sa/a",
        "a/sa/a",
        "/a/sa/a",
        "s/a/sa/a",
        "ns/a/sa/a",
        "/ns/a/sa/a",
    ];
    let is_workload = |before: &str, behind: &str| {
        matches!(
            Principal::parse(&format!("spiffe://{before}{text}{behind}")),
            Principal::Workload(_)
        )
    };
    match stars {
        (false, false) => is_workload("", ""),
        (true, false) => {
            BEFORE.into_iter().any(|before| is_workload(before, ""))
                || is_workload("t/ns/a/sa/a", "")
        }
        (false, true) => {
            BEHIND.into_iter().any(|behind| is_workload("", behind))
                || is_workload("", "t/ns/a/sa/a")
        }
        (true, true) => BEFORE
            .into_iter()
            .any(|before| BEHIND.into_iter().any(|behind| is_workload(before, behind))),
    }
}

/// The state of a caller's identity once its trust domain has been checked (rule R6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IdentityState {
    /// A workload of the own trust domain, an alias of it, or an accepted foreign one.
    Valid,
    /// No identity.
    Unauthenticated,
    /// An identity is present but is not a workload identity.
    InvalidIdentity,
    /// A well-formed identity of a trust domain that is not accepted.
    UntrustedDomain,
}

impl IdentityState {
    /// Every state, in the order in which documents list them.
    pub const ALL: [IdentityState; 4] = [
        IdentityState::Valid,
        IdentityState::Unauthenticated,
        IdentityState::InvalidIdentity,
        IdentityState::UntrustedDomain,
    ];

    /// Returns the state's name in records, metadata and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            IdentityState::Valid => "valid",
            IdentityState::Unauthenticated => "unauthenticated",
            IdentityState::InvalidIdentity => "invalid_identity",
            IdentityState::UntrustedDomain => "untrusted_domain",
        }
    }
}

/// A caller whose trust domain has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller<'a> {
    /// A workload of the own trust domain or of an alias.
    Own(SpiffeId<'a>),
    /// A workload of an accepted foreign trust domain.
    Foreign(SpiffeId<'a>),
    /// Any other caller; never [`IdentityState::Valid`].
    Unknown(IdentityState),
}

impl<'a> Caller<'a> {
    /// Returns the identity, if it is valid.
    pub fn workload(&self) -> Option<SpiffeId<'a>> {
        match self {
            Caller::Own(id) | Caller::Foreign(id) => Some(*id),
            Caller::Unknown(_) => None,
        }
    }

    /// Returns the state to record.
    pub fn state(&self) -> IdentityState {
        match self {
            Caller::Own(_) | Caller::Foreign(_) => IdentityState::Valid,
            Caller::Unknown(state) => *state,
        }
    }
}

/// The trust domains in force: the mesh's own, its aliases, and the foreign ones accepted beside
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustDomains {
    /// The mesh's own trust domain.
    pub own: String,
    /// Other names of the own trust domain. A principal written with one name matches all of them.
    pub aliases: Vec<String>,
    /// Foreign trust domains whose workloads are accepted as such.
    pub accepted: Accepted,
}

/// Which foreign trust domains are accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Every domain, as Istio does.
    Any,
    /// Only these.
    Only(BTreeSet<String>),
}

impl Accepted {
    /// Returns whether `domain` is accepted.
    pub fn contains(&self, domain: &str) -> bool {
        match self {
            Accepted::Any => true,
            Accepted::Only(domains) => domains.contains(domain),
        }
    }
}

impl Default for TrustDomains {
    fn default() -> Self {
        TrustDomains {
            own: "cluster.local".into(),
            aliases: Vec::new(),
            accepted: Accepted::Only(BTreeSet::new()),
        }
    }
}

impl TrustDomains {
    /// Returns whether `domain` is the own one or an alias.
    pub fn is_own(&self, domain: &str) -> bool {
        self.own == domain || self.aliases.iter().any(|alias| alias == domain)
    }

    /// Returns the own domain and its aliases.
    pub fn own_and_aliases(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.own.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// Checks a principal's trust domain.
    pub fn classify<'a>(&self, principal: Principal<'a>) -> Caller<'a> {
        match principal {
            Principal::Workload(id) if self.is_own(id.trust_domain) => Caller::Own(id),
            Principal::Workload(id) if self.accepted.contains(id.trust_domain) => {
                Caller::Foreign(id)
            }
            Principal::Workload(_) => Caller::Unknown(IdentityState::UntrustedDomain),
            Principal::Absent => Caller::Unknown(IdentityState::Unauthenticated),
            Principal::Invalid(_) => Caller::Unknown(IdentityState::InvalidIdentity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLEEP: &str = "spiffe://cluster.local/ns/demo-frontend/sa/sleep";

    #[test]
    fn a_workload_has_exactly_five_parts() {
        let Principal::Workload(id) = Principal::parse(SLEEP) else {
            panic!("not a workload")
        };
        assert_eq!(
            (id.trust_domain, id.namespace, id.service_account),
            ("cluster.local", "demo-frontend", "sleep")
        );
        assert_eq!(id.principal, "cluster.local/ns/demo-frontend/sa/sleep");
        assert!(matches!(
            Principal::parse("spiffe://td.example/ns/n/sa/a.b-c.d"),
            Principal::Workload(_)
        ));
    }

    #[test]
    fn anything_else_is_no_identity() {
        for text in [
            "SPIFFE://cluster.local/ns/a/sa/b",
            "spiffe://cluster.local/ns/a/sa/b/",
            "spiffe://cluster.local/ns/a/sa/b/extra",
            "spiffe://cluster.local/ns/a/sa/",
            "spiffe://cluster.local/ns//sa/b",
            "spiffe:///ns/a/sa/b",
            "spiffe://CLUSTER.local/ns/a/sa/b",
            "spiffe://cluster.local/ns/A/sa/b",
            "spiffe://cluster.local/ns/./sa/b",
            "spiffe://cluster.local/ns/../sa/b",
            "spiffe://cluster.local/ns/a/sa/b#x",
            "spiffe://cluster.local/ns/a/sa/b?x",
            "spiffe://cluster.local/ns/a/sa/b ",
            "spiffe://cluster.local/ns/a/sa/b\n",
            "spiffe://cluster.local/ns/a/sa/b\0c",
            "spiffe://cluster.local/ns/a/sa/b,spiffe://cluster.local/ns/c/sa/d",
            "spiffe://cluster.local/ns/-a/sa/b",
            "spiffe://cluster.local/ns/a/sa/.b",
            "spiffe://cluster.local/ns/b\u{fc}cher/sa/b",
            "spiffe.cluster.local",
            "CN=sleep,O=spiffe://cluster.local/ns/a/sa/b",
            " ",
        ] {
            assert_eq!(
                Principal::parse(text),
                Principal::Invalid(InvalidIdentity::NotAWorkload),
                "{text:?}"
            );
        }
        assert_eq!(Principal::parse(""), Principal::Absent);
        let long = format!("spiffe://cluster.local/ns/a/sa/{}", "a".repeat(3000));
        assert_eq!(
            Principal::parse(&long),
            Principal::Invalid(InvalidIdentity::TooLong)
        );
    }

    #[test]
    fn a_pattern_may_be_a_workload_if_some_identity_matches_it() {
        for (text, stars, expected) in [
            ("x.td/ns/a/sa/b", (false, false), true),
            ("x.td/a", (false, false), false),
            ("x.td", (false, false), false),
            ("x.td/ns/a/sa/b/", (false, false), false),
            ("X.td/ns/a/sa/b", (false, false), false),
            ("x.td/ns/a.b/sa/b", (false, false), false),
            ("x.td/", (false, true), true),
            ("x.td/ns/", (false, true), true),
            ("x.td/ns/a/sa/", (false, true), true),
            ("x.td/ns/a-", (false, true), true),
            ("x.td/ns/a/sa/b.", (false, true), true),
            ("x.td/a", (false, true), false),
            ("x.td/nsa", (false, true), false),
            ("x.td/ns/A", (false, true), false),
            ("x.td/ns/a/sa/b/c", (false, true), false),
            ("x.td/ns/a/sa/b..", (false, true), false),
            ("", (false, true), true),
            ("x", (false, true), true),
            ("/sa/job", (true, false), true),
            (".td/ns/a/sa/b", (true, false), true),
            ("-x", (true, false), true),
            ("a/job", (true, false), true),
            ("s/a/sa/job", (true, false), true),
            ("/ns/a/job", (true, false), false),
            ("/job/", (true, false), false),
            ("+sleep", (true, false), false),
        ] {
            assert_eq!(may_be_workload(text, stars), expected, "{text} {stars:?}");
        }
    }

    #[test]
    fn trust_domains_sort_callers_into_own_foreign_and_unknown() {
        let mut trust = TrustDomains {
            own: "corp.example".into(),
            aliases: vec!["old.example".into()],
            ..Default::default()
        };
        let of = |td: &str| format!("spiffe://{td}/ns/a/sa/b");
        let state = |trust: &TrustDomains, td: &str| match trust.classify(Principal::parse(&of(td)))
        {
            Caller::Own(_) => "own",
            Caller::Foreign(_) => "foreign",
            Caller::Unknown(state) => state.as_str(),
        };
        assert_eq!(state(&trust, "corp.example"), "own");
        assert_eq!(state(&trust, "old.example"), "own");
        assert_eq!(state(&trust, "cluster.local"), "untrusted_domain");
        trust.accepted = Accepted::Any;
        assert_eq!(state(&trust, "cluster.local"), "foreign");
        assert_eq!(state(&trust, "Cluster.local"), "invalid_identity");
    }
}
