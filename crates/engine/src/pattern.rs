//! How a policy writes what it matches: hosts with ports (rules R1, R3 to R5), networks, and
//! Istio's text patterns.
//!
//! Every pattern matches in one of two ways: broadly, where a match denies, or strictly, where a
//! match grants (rule R0). The caller chooses which; what happens when an attribute is unknown is
//! decided in [`rule`](super::rule).

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use super::host::{Host, embedded};

mod address;
mod contain;
mod error;
mod parse;
mod text;

pub use error::HostPatternError;
pub use parse::{Spelling, parse_host_pattern};
pub use text::{TextPattern, glob_matches};

/// How generously a pattern matches (rule R0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// A positive field of a DENY, a `not*` field of an ALLOW: in doubt it matches.
    Broad,
    /// A positive field of an ALLOW, a `not*` field of a DENY: in doubt it does not match.
    Strict,
}

/// The port of a request, as far as it is known (rule R4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// HTTP without a port in the authority; holds the port of the gateway's listener, where that
    /// is known.
    Absent(Option<u16>),
    /// A port that was written.
    Known(u16),
    /// TCP, where nothing says the port.
    Unknown,
}

/// The port part of a host pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PortPattern {
    /// `host:443`
    Exactly(u16),
    /// `host`
    Unsaid,
    /// `host:*`
    Every,
}

impl PortPattern {
    /// Whether the pattern covers `port` (rule R4).
    pub fn covers(self, port: Port, matching: Match) -> bool {
        match (self, port, matching) {
            (PortPattern::Every, _, _) | (PortPattern::Unsaid, _, Match::Broad) => true,
            (PortPattern::Unsaid, Port::Known(port), Match::Strict) => matches!(port, 80 | 443),
            (PortPattern::Unsaid, _, Match::Strict) => true,
            (PortPattern::Exactly(want), Port::Known(port), _) => want == port,
            (PortPattern::Exactly(want), Port::Absent(listener), Match::Broad) => {
                matches!(want, 80 | 443) || listener == Some(want)
            }
            (PortPattern::Exactly(_), Port::Unknown, Match::Broad) => true,
            (PortPattern::Exactly(_), _, Match::Strict) => false,
        }
    }
}

/// A pattern for hosts, compiled into one named strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPattern {
    shape: HostShape,
    port: PortPattern,
    /// What Istio would compare with the raw authority; part of the broad match only (rule R3).
    /// Left out where it matches nothing that the shape does not, as most patterns have it.
    raw: Option<Box<TextPattern>>,
    /// Whether a grant also asks that Istio's comparison holds: Istio takes a part of the text for
    /// plain characters that customs reads as a port or a star.
    is_text: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostShape {
    /// `**`: any host, and no host at all.
    Anywhere,
    /// `*` of Istio: any host that is there.
    Present,
    /// An address is as written.
    Exact(Host<'static>),
    /// Keeps its leading dot: `.example.com`.
    Suffix(Box<str>),
    /// As written.
    Network(IpNet),
    /// Istio's `api.example.*`, without the star.
    LoosePrefix(Box<str>),
    /// Istio's `*example.com`, without the star.
    LooseSuffix(Box<str>),
}

/// What a host must have in common with a pattern to match it. Istio's comparison with the raw
/// authority, part of the broad match, asks for no less: what it matches has the same canonical
/// name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostKey<'p> {
    /// This name.
    Name(&'p str),
    /// This address.
    Address(IpAddr),
    /// A name that ends so; with the leading dot.
    Suffix(&'p str),
    /// An address of this network.
    Network(IpNet),
    /// An address that reaches the local host.
    LocalHost,
    /// Nothing that a table can hold.
    None,
}

/// A text of a host pattern that may begin or end inside a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LooseText<'p> {
    /// Hosts begin with it.
    Prefix(&'p str),
    /// Hosts end with it.
    Suffix(&'p str),
}

impl HostKey<'_> {
    /// The key of the IPv4 addresses that those of this key carry.
    pub fn carried(self) -> Option<HostKey<'static>> {
        let ipv6 = match self {
            HostKey::Address(IpAddr::V6(ip)) => IpNet::from(IpAddr::V6(ip)),
            HostKey::Network(net @ IpNet::V6(_)) => net,
            _ => return None,
        };
        let net = embedded::ipv4_range(&ipv6)?;
        Some(match net.prefix_len() {
            32 => HostKey::Address(net.addr().into()),
            _ => HostKey::Network(net.into()),
        })
    }
}

/// How narrow a pattern is; smaller is narrower. Grants are named in this order.
pub type Specificity = (u8, u32, PortPattern);

/// The specificity of a rule that says nothing of hosts.
pub(crate) const NO_HOST: Specificity = (4, 0, PortPattern::Every);

impl HostPattern {
    /// Whether this is `**`, which also covers a connection that names no host.
    pub fn is_anywhere(&self) -> bool {
        self.shape == HostShape::Anywhere
    }

    /// Whether this is an IP range.
    pub fn is_network(&self) -> bool {
        matches!(self.shape, HostShape::Network(_))
    }

    /// Whether this is Istio's `*`, with or without a port.
    pub fn is_lone_star(&self) -> bool {
        self.shape == HostShape::Present
    }

    /// Whether this is an IPv6 address, which Istio compares as it is spelt.
    pub fn is_ipv6(&self) -> bool {
        matches!(self.shape, HostShape::Exact(Host::Ip(IpAddr::V6(_))))
    }

    /// Whether a grant covers only what Istio's comparison of texts covers too.
    pub fn is_text(&self) -> bool {
        self.is_text
    }

    /// Whether the pattern covers a known host on some port.
    pub fn covers_host(&self, host: &Host<'_>, matching: Match) -> bool {
        self.shape.matches(host, matching)
    }

    /// The addresses that it names, as written.
    pub fn range(&self) -> Option<IpNet> {
        self.shape.range()
    }

    /// The text that hosts begin with (`api.*`) or end with (`*example.com`), where it may cut a
    /// label.
    pub fn loose_text(&self) -> Option<LooseText<'_>> {
        match &self.shape {
            HostShape::LoosePrefix(text) => Some(LooseText::Prefix(text)),
            HostShape::LooseSuffix(text) => Some(LooseText::Suffix(text)),
            _ => None,
        }
    }

    /// What Istio compares with the raw authority, if that is more than the pattern says.
    pub fn raw(&self) -> Option<&TextPattern> {
        self.raw.as_deref()
    }

    /// The pattern of an AuthorizationPolicy. Where Istio takes a star or a port of the text for
    /// plain characters, a grant covers no more than Istio does; a denial is read as it looks.
    pub fn in_istio(self, text: &str) -> HostPattern {
        let plain_star = match TextPattern::parse(text) {
            TextPattern::Exact(text) | TextPattern::Prefix(text) | TextPattern::Suffix(text) => {
                text.contains('*')
            }
            TextPattern::Any => false,
        };
        let odd_port = parse::split_port(text)
            .1
            .is_some_and(|port| port.is_empty() || port.starts_with('0'));
        HostPattern {
            is_text: plain_star || odd_port,
            ..self
        }
    }

    /// Whether the pattern matches a known host. `raw` is the authority as sent, on HTTP.
    pub fn matches(&self, host: &Host<'_>, port: Port, raw: Option<&str>, matching: Match) -> bool {
        let canonical = || self.shape.matches(host, matching) && self.port.covers(port, matching);
        let as_istio = || match (&self.raw, raw) {
            (Some(pattern), Some(raw)) => pattern.matches_ignore_case(raw),
            _ => false,
        };
        match matching {
            Match::Broad => canonical() || as_istio(),
            Match::Strict => canonical() && (!self.is_text || as_istio()),
        }
    }

    /// The key under which a table can hold the pattern: matched strictly it matches no host that
    /// has another.
    pub fn key(&self) -> HostKey<'_> {
        match &self.shape {
            HostShape::Exact(Host::Name(name)) => HostKey::Name(name),
            HostShape::Exact(Host::Ip(ip)) => HostKey::Address(*ip),
            HostShape::Suffix(suffix) => HostKey::Suffix(suffix),
            HostShape::Network(net) => HostKey::Network(*net),
            HostShape::Anywhere
            | HostShape::Present
            | HostShape::LoosePrefix(_)
            | HostShape::LooseSuffix(_) => HostKey::None,
        }
    }

    /// All its keys: matched broadly it matches no host that has none of them.
    pub fn keys(&self) -> impl Iterator<Item = HostKey<'_>> {
        let local = self
            .shape
            .range()
            .is_some_and(|range| embedded::holds_local_host(&range))
            .then_some(HostKey::LocalHost);
        [Some(self.key()), self.key().carried(), local]
            .into_iter()
            .flatten()
    }

    /// How narrow the pattern is.
    pub fn specificity(&self) -> Specificity {
        let length = |text: &str| u32::MAX - u32::try_from(text.len()).unwrap_or(u32::MAX);
        let (class, finer) = match &self.shape {
            HostShape::Exact(_) => (0, 0),
            HostShape::Network(net) => (1, u32::from(net.max_prefix_len() - net.prefix_len())),
            HostShape::Suffix(suffix) => (2, length(suffix)),
            HostShape::LoosePrefix(text) | HostShape::LooseSuffix(text) => (3, length(text)),
            HostShape::Present | HostShape::Anywhere => (4, 0),
        };
        (class, finer, self.port)
    }
}

/// The canonical spelling, which [`parse_host_pattern`] reads as the same shape and port; what a
/// grant takes as text stays that text.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (true, Some(text)) = (self.is_text, &self.raw) {
            return text.fmt(f);
        }
        match &self.shape {
            HostShape::Anywhere => return f.write_str("**"),
            HostShape::Present => f.write_str("*")?,
            HostShape::Exact(Host::Ip(IpAddr::V6(ip))) => write!(f, "[{ip}]")?,
            HostShape::Exact(Host::Ip(ip)) => write!(f, "{ip}")?,
            HostShape::Exact(Host::Name(name)) => f.write_str(name)?,
            HostShape::Suffix(text) | HostShape::LooseSuffix(text) => write!(f, "*{text}")?,
            HostShape::Network(IpNet::V6(net)) => write!(f, "[{net}]")?,
            HostShape::Network(net) => write!(f, "{net}")?,
            HostShape::LoosePrefix(text) => write!(f, "{text}*")?,
        }
        match self.port {
            PortPattern::Exactly(port) => write!(f, ":{port}"),
            PortPattern::Every if self.shape != HostShape::Present => f.write_str(":*"),
            PortPattern::Unsaid | PortPattern::Every => Ok(()),
        }
    }
}

impl HostShape {
    /// The addresses that it names.
    fn range(&self) -> Option<IpNet> {
        match self {
            HostShape::Exact(Host::Ip(ip)) => Some((*ip).into()),
            HostShape::Network(net) => Some(*net),
            _ => None,
        }
    }

    fn matches(&self, host: &Host<'_>, matching: Match) -> bool {
        match (self, host) {
            (HostShape::Anywhere | HostShape::Present, _) => true,
            (HostShape::Exact(Host::Name(want)), Host::Name(name)) => want == name,
            (HostShape::Suffix(suffix), Host::Name(name)) => {
                name.len() > suffix.len() && name.ends_with(suffix.as_ref())
            }
            (HostShape::Exact(Host::Ip(want)), Host::Ip(ip)) => {
                want == ip
                    || (matching == Match::Broad && address::covers(&(*want).into(), *ip, matching))
            }
            (HostShape::Network(net), Host::Ip(ip)) => address::covers(net, *ip, matching),
            (HostShape::LoosePrefix(prefix), host) => {
                address::some_text(host, matching, |text| text.starts_with(prefix.as_ref()))
            }
            (HostShape::LooseSuffix(suffix), host) => {
                address::some_text(host, matching, |text| text.ends_with(suffix.as_ref()))
            }
            _ => false,
        }
    }

    /// Whether every raw authority that the pattern matches is one of a host that this matches:
    /// what has the text of a canonical name, in any case, is that name.
    fn covers_raw(&self, raw: &TextPattern) -> bool {
        match (self, raw) {
            (HostShape::Exact(Host::Name(name)), TextPattern::Exact(text)) => {
                *name == text.as_str()
            }
            (HostShape::Suffix(suffix), TextPattern::Suffix(text)) => **suffix == **text,
            _ => false,
        }
    }
}

/// An address or range of a policy's `ipBlocks`, compared with the caller's address as Istio does.
/// Unlike hosts, its ranges are taken as written.
pub fn parse_ip_block(text: &str) -> Option<IpNet> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(ip.into());
    }
    text.parse::<IpNet>().ok().map(|net| net.trunc())
}

/// Whether an address is in a block. Broad also tries the IPv4 address that an IPv4-mapped one
/// carries.
pub(crate) fn block_contains(block: &IpNet, address: IpAddr, matching: Match) -> bool {
    block.contains(&address)
        || (matching == Match::Broad && block.contains(&address.to_canonical()))
}

#[cfg(test)]
mod tests;
