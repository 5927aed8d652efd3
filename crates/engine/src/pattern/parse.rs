//! The text of a host pattern, read into the pattern.

use super::{HostPattern, HostPatternError, HostShape, PortPattern, TextPattern, address};
use crate::host::{self, Authority, Host, HostParseError};

/// A spelling that is understood but is not the canonical one; each family of documents rates it
/// (rule R3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// Upper case, a trailing dot, an empty port or one with leading zeros; holds the spelling
    /// meant.
    Folded(String),
    /// A Unicode name; holds the A-label spelling.
    Unicode(String),
    /// Istio's `*example.com` or `api.example.*`.
    Loose,
}

/// Parses a host of a policy into its pattern and the odd spellings it used.
///
/// Both families share this grammar; what only one of them accepts (`*`, `**`, ranges, odd
/// spellings) is rated by its own reader.
///
/// # Errors
/// [`HostPatternError`] for what no family accepts.
pub fn parse_host_pattern(text: &str) -> Result<(HostPattern, Vec<Spelling>), HostPatternError> {
    if text.contains("://") {
        return Err(HostPatternError::Url);
    }
    if text.contains('@') {
        return Err(HostPatternError::Userinfo);
    }
    if text == "**" {
        let (shape, port) = (HostShape::Anywhere, PortPattern::Every);
        return Ok((
            HostPattern {
                shape,
                port,
                raw: None,
                is_text: false,
            },
            Vec::new(),
        ));
    }
    if text.contains("**") {
        return Err(HostPatternError::NotAlone);
    }
    let (host, port_text) = split_port(text);
    let port = match port_text {
        Some("*") => PortPattern::Every,
        Some(digits) => host::parse_port(digits)?.map_or(PortPattern::Unsaid, PortPattern::Exactly),
        None => PortPattern::Unsaid,
    };
    let mut spellings = Vec::new();
    let shape = parse_shape(host, &mut spellings)?;
    let port = if shape == HostShape::Present && port == PortPattern::Unsaid {
        PortPattern::Every
    } else {
        port
    };
    if port_text.is_some_and(|text| text.is_empty() || text.starts_with('0'))
        && spellings.is_empty()
    {
        spellings.push(Spelling::Folded(host.to_owned()));
    }
    if let Some(Spelling::Folded(meant) | Spelling::Unicode(meant)) = spellings.first_mut() {
        match (port, port_text) {
            (PortPattern::Exactly(port), _) => meant.push_str(&format!(":{port}")),
            (PortPattern::Every, Some(_)) => meant.push_str(":*"),
            (PortPattern::Every | PortPattern::Unsaid, _) => {}
        }
    }
    // A text with a port is not a canonical name, so that what is left out is about every port.
    let raw =
        Some(TextPattern::parse(&text.to_ascii_lowercase())).filter(|raw| !shape.covers_raw(raw));
    Ok((
        HostPattern {
            shape,
            port,
            raw: raw.map(Box::new),
            is_text: false,
        },
        spellings,
    ))
}

/// Splits `host[:port]`; a bare IPv6 address (two colons, no bracket) has no port.
pub(super) fn split_port(text: &str) -> (&str, Option<&str>) {
    let after_brackets = text.rfind(']').map_or(0, |at| at + 1);
    let (head, tail) = text.split_at_checked(after_brackets).unwrap_or((text, ""));
    match tail.split_once(':') {
        Some((rest, port)) if after_brackets > 0 && rest.is_empty() => (head, Some(port)),
        Some((host, port)) if after_brackets == 0 && !port.contains(':') => (host, Some(port)),
        _ => (text, None),
    }
}

fn parse_shape(host: &str, spellings: &mut Vec<Spelling>) -> Result<HostShape, HostPatternError> {
    if host == "*" {
        return Ok(HostShape::Present);
    }
    if host.contains('/') || host.starts_with('[') || host.contains(':') {
        if host.bytes().any(|b| b.is_ascii_uppercase()) {
            spellings.push(Spelling::Folded(host.to_ascii_lowercase()));
        }
        return address::parse(host);
    }
    if let Some(rest) = host.strip_prefix('*') {
        let (name, dotted) = rest
            .strip_prefix('.')
            .map_or((rest, false), |name| (name, true));
        let name = parse_name(name, "*", dotted, spellings)?;
        if dotted {
            return Ok(HostShape::Suffix(format!(".{name}").into()));
        }
        spellings.push(Spelling::Loose);
        return Ok(HostShape::LooseSuffix(name.into()));
    }
    if let Some(prefix) = host.strip_suffix('*') {
        let inner = prefix.strip_suffix('.').unwrap_or(prefix);
        host::check_name(inner).map_err(|why| {
            if inner.contains('*') {
                HostPatternError::Wildcard
            } else {
                why.into()
            }
        })?;
        spellings.push(Spelling::Loose);
        return Ok(HostShape::LoosePrefix(prefix.to_ascii_lowercase().into()));
    }
    if let Ok(Authority {
        host: ip @ Host::Ip(_),
        ..
    }) = Authority::parse(host)
    {
        if host.ends_with('.') {
            spellings.push(Spelling::Folded(ip.to_string()));
        }
        return Ok(HostShape::Exact(ip.into_owned()));
    }
    let name = parse_name(host, "", false, spellings)?;
    Ok(HostShape::Exact(Host::Name(name.into())))
}

/// Canonicalises the name behind an optional `*` or `*.`, noting odd spellings.
fn parse_name(
    name: &str,
    star: &str,
    dotted: bool,
    spellings: &mut Vec<Spelling>,
) -> Result<String, HostPatternError> {
    if name.contains('*') {
        return Err(HostPatternError::Wildcard);
    }
    let dot = if dotted { "." } else { "" };
    let ascii = if name.is_ascii() {
        name.to_owned()
    } else {
        let ascii = idna::domain_to_ascii(name).map_err(|_| HostPatternError::Unicode)?;
        spellings.push(Spelling::Unicode(format!("{star}{dot}{ascii}")));
        ascii
    };
    let Host::Name(canonical) = Authority::parse(&ascii)?.host.into_owned() else {
        return Err(HostParseError::NumericLabel.into());
    };
    if name.is_ascii() && canonical != name {
        spellings.push(Spelling::Folded(format!("{star}{dot}{canonical}")));
    }
    Ok(canonical.into_owned())
}
