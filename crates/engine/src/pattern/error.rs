//! Why a text is not a pattern of hosts, and what to write instead.

use super::parse_host_pattern;
use crate::host::HostParseError;

/// Why a policy's host is not a pattern. The text is what a person sees.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostPatternError {
    /// The canonicaliser refuses it.
    #[error("{0}")]
    Malformed(#[from] HostParseError),
    /// A scheme or a path.
    #[error("this is a URL; only its host belongs here")]
    Url,
    /// `user@host`.
    #[error("userinfo (`user@`) is not part of a host")]
    Userinfo,
    /// A star inside, or two of them.
    #[error("a `*` is allowed only in place of the first labels of a name, as in `*.example.com`")]
    Wildcard,
    /// `**` with something beside it.
    #[error("`**` is allowed only alone")]
    NotAlone,
    /// An address range of IPv6 that covers a range carrying IPv4 addresses in part, or more than
    /// it.
    #[error(
        "this IPv6 range covers only a part of the addresses that carry IPv4 addresses, or others beside them; write the IPv4 range, and the others apart"
    )]
    MixedRange,
    /// A prefix length that is none, or brackets around something else.
    #[error("invalid IP range: expected `192.0.2.0/24` or `[2001:db8::/32]`")]
    Range,
    /// A Unicode name without an A-label.
    #[error("this Unicode name has no A-label")]
    Unicode,
}

impl HostPatternError {
    /// The host that was meant by a text, where that can be said.
    pub fn meant(&self, text: &str) -> Option<String> {
        let host = match self {
            HostPatternError::Url => text
                .split_once("://")
                .map_or(text, |(_, rest)| rest)
                .split(['/', '?', '#'])
                .next()?,
            HostPatternError::Userinfo => text.rsplit_once('@')?.1,
            // What cookies and proxies write for every name below one.
            HostPatternError::Malformed(HostParseError::EmptyLabel) if text.starts_with('.') => {
                let (pattern, _) = parse_host_pattern(&format!("*{text}")).ok()?;
                return Some(pattern.to_string());
            }
            _ => return None,
        };
        let (pattern, _) = parse_host_pattern(host).ok()?;
        Some(pattern.to_string())
    }

    /// What to write instead, where that can be said. It never covers more than the text seems to:
    /// a URL's path is not left out.
    pub fn advice(&self, text: &str) -> Option<String> {
        let meant = self.meant(text)?;
        let behind = text
            .split_once("://")
            .map_or(text, |(_, rest)| rest)
            .split_once('/')
            .map(|(_, path)| path);
        match (self, behind) {
            (HostPatternError::Url, Some(path)) if !path.is_empty() => Some(format!(
                "write `{meant}` here, and its path in `paths`: `/{path}`"
            )),
            _ => Some(format!("write `{meant}`")),
        }
    }
}
