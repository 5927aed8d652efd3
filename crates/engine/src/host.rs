//! The destination: one canonical form for hosts, used for requests and for the text of policies
//! alike (rules R1 and R2).
//!
//! A [`Host`] is a lower-case DNS name or an IP address. An address keeps the form in which it was
//! written, since a grant covers that form alone. It is recorded, and compared with other
//! attributes, as the IPv4 address that it carries. What cannot be read is a [`HostParseError`]
//! with the reason. Not here: how a policy compares hosts, see [`pattern`](super::pattern), and
//! which attribute is the host, see [`request`](super::request).

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::ascii;

pub mod embedded;

/// A canonical host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host<'a> {
    /// A DNS name: lower case, no trailing dot. Borrowed if the text was canonical already.
    Name(Cow<'a, str>),
    /// An IP address, as it was written.
    Ip(IpAddr),
}

/// The canonical form. If the address certainly carries an IPv4 address, that address.
impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Ip(ip) => embedded::canonical(*ip).fmt(f),
        }
    }
}

impl Host<'_> {
    /// Returns whether both are one host: the same name, or addresses with one canonical form.
    pub fn is_same(&self, other: &Host<'_>) -> bool {
        match (self, other) {
            (Host::Name(one), Host::Name(two)) => one == two,
            (Host::Ip(one), Host::Ip(two)) => {
                embedded::canonical(*one) == embedded::canonical(*two)
            }
            _ => false,
        }
    }

    /// Returns the same host, owning its text.
    pub fn into_owned(self) -> Host<'static> {
        match self {
            Host::Name(name) => Host::Name(Cow::Owned(name.into_owned())),
            Host::Ip(ip) => Host::Ip(ip),
        }
    }
}

/// A host and the port that was written with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The canonical host.
    pub host: Host<'a>,
    /// The port, if one was written. `host:` with nothing after the colon has no port.
    pub port: Option<u16>,
}

/// Why a host cannot be read (rule R2). Users see the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostParseError {
    /// The text is empty.
    #[error("the host is empty")]
    Empty,
    /// A character that is not allowed in a host.
    #[error("the host has a character other than letters, digits, `-`, `_` and `.`")]
    Character,
    /// Two dots in a row, or a leading dot.
    #[error("the host has an empty label")]
    EmptyLabel,
    /// A label over 63 or a name over 253 characters.
    #[error("a label is longer than 63 or the name longer than 253 characters")]
    TooLong,
    /// A port that is not digits from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// Brackets without a plain IPv6 address in them.
    #[error("the brackets do not hold an IPv6 address")]
    Brackets,
    /// A numeric last label in something that is not a dotted-decimal IPv4 address.
    #[error("the last label is a number, but the host is not an IPv4 address in dotted decimal")]
    NumericLabel,
    /// An Istio wrapper (`outbound_.PORT_.SUBSET_.HOST`) that cannot be unwrapped.
    #[error("the `outbound_` wrapper has no port or no host")]
    Wrapper,
}

impl<'a> Authority<'a> {
    /// Parses `host`, `host:port`, `[ipv6]`, `[ipv6]:port` or a bare IPv6 address, which never has
    /// a port.
    ///
    /// # Errors
    /// [`HostParseError`] for everything that rule R2 names.
    pub fn parse(text: &'a str) -> Result<Authority<'a>, HostParseError> {
        if text.is_empty() {
            return Err(HostParseError::Empty);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (inside, tail) = rest.split_once(']').ok_or(HostParseError::Brackets)?;
            let ip: Ipv6Addr = inside.parse().map_err(|_| HostParseError::Brackets)?;
            let port = match tail.strip_prefix(':') {
                Some(digits) => parse_port(digits)?,
                None if tail.is_empty() => None,
                None => return Err(HostParseError::Brackets),
            };
            return Ok(Authority {
                host: Host::Ip(ip.into()),
                port,
            });
        }
        match ascii::split_once(text, b':') {
            None => Ok(Authority {
                host: parse_host(text)?,
                port: None,
            }),
            Some((_, rest)) if rest.contains(':') => {
                let ip: Ipv6Addr = text.parse().map_err(|_| HostParseError::Port)?;
                Ok(Authority {
                    host: Host::Ip(ip.into()),
                    port: None,
                })
            }
            Some((host, digits)) => Ok(Authority {
                host: parse_host(host)?,
                port: parse_port(digits)?,
            }),
        }
    }
}

/// Parses the digits after a colon: no digits mean no port, and anything else must be a number from
/// 1 to 65535.
pub(crate) fn parse_port(digits: &str) -> Result<Option<u16>, HostParseError> {
    if digits.is_empty() {
        return Ok(None);
    }
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(HostParseError::Port);
    }
    match digits.parse::<u16>() {
        Ok(port) if port > 0 => Ok(Some(port)),
        _ => Err(HostParseError::Port),
    }
}

/// Parses a name or an IPv4 address that has no port and no brackets.
fn parse_host(text: &str) -> Result<Host<'_>, HostParseError> {
    let name = text.strip_suffix('.').unwrap_or(text);
    check_name(name)?;
    let last = name
        .bytes()
        .rposition(|byte| byte == b'.')
        .and_then(|dot| name.get(dot + 1..))
        .unwrap_or(name);
    if is_numeric_label(last) {
        let ip: Ipv4Addr = name.parse().map_err(|_| HostParseError::NumericLabel)?;
        return Ok(Host::Ip(IpAddr::V4(ip)));
    }
    Ok(Host::Name(lower_case(name)))
}

/// Returns whether a lenient address parser would read a label as a number: all digits, or `0x` and
/// hex digits.
fn is_numeric_label(label: &str) -> bool {
    let hex = label
        .strip_prefix("0x")
        .or_else(|| label.strip_prefix("0X"));
    label.bytes().all(|b| b.is_ascii_digit())
        || hex.is_some_and(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Checks characters, labels and lengths of a name without its trailing dot.
pub(super) fn check_name(name: &str) -> Result<(), HostParseError> {
    if name.is_empty() {
        return Err(HostParseError::EmptyLabel);
    }
    let (mut label, mut longest, mut has_empty) = (0, 0, false);
    for byte in name.bytes() {
        match byte {
            b'.' => {
                has_empty |= label == 0;
                label = 0;
            }
            b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                label += 1;
                longest = longest.max(label);
            }
            _ => return Err(HostParseError::Character),
        }
    }
    if has_empty || label == 0 {
        return Err(HostParseError::EmptyLabel);
    }
    if name.len() > 253 || longest > 63 {
        return Err(HostParseError::TooLong);
    }
    Ok(())
}

/// Converts to ASCII lower case; borrows if nothing changes.
pub(super) fn lower_case(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// The prefix of a server name in Istio's mesh wrapper.
const WRAPPER: &str = "outbound_.";

/// Returns whether a server name is wrapped. One that is not wrapped names its host as an authority
/// does.
pub(crate) fn is_wrapped(sni: &str) -> bool {
    strip_prefix_ignore_case(sni, WRAPPER).is_some()
}

/// Returns what a server name says: the host, and the port if Istio's mesh wrapper carried one
/// (rule R10).
///
/// # Errors
/// [`HostParseError`] as for an authority, also inside the wrapper.
pub fn parse_server_name(sni: &str) -> Result<Authority<'_>, HostParseError> {
    let Some(wrapped) = strip_prefix_ignore_case(sni, WRAPPER) else {
        return Ok(Authority {
            host: Authority::parse(sni)?.host,
            port: None,
        });
    };
    let (port, rest) = wrapped.split_once("_.").ok_or(HostParseError::Wrapper)?;
    let (_subset, host) = rest.split_once("_.").ok_or(HostParseError::Wrapper)?;
    let port = parse_port(port)?.ok_or(HostParseError::Wrapper)?;
    Ok(Authority {
        host: Authority::parse(host)?.host,
        port: Some(port),
    })
}

fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, Option<u16>), HostParseError> {
        Authority::parse(text).map(|a| (a.host.to_string(), a.port))
    }

    #[test]
    fn spellings_of_one_host_are_one_host() {
        for (text, host, port) in [
            ("api.example.com", "api.example.com", None),
            ("API.Example.COM", "api.example.com", None),
            ("api.example.com.", "api.example.com", None),
            ("api.example.com:", "api.example.com", None),
            ("api.example.com.:443", "api.example.com", Some(443)),
            ("api.example.com:00443", "api.example.com", Some(443)),
            ("_dmarc.my_bucket.example", "_dmarc.my_bucket.example", None),
            ("localhost", "localhost", None),
            ("1.2.3.a", "1.2.3.a", None),
            ("a.1a", "a.1a", None),
            ("a.0xg", "a.0xg", None),
            ("192.0.2.1", "192.0.2.1", None),
            ("192.0.2.1.:80", "192.0.2.1", Some(80)),
            ("[2001:DB8:0:0::1]:8443", "2001:db8::1", Some(8443)),
            ("2001:db8::1", "2001:db8::1", None),
            ("[::ffff:169.254.169.254]", "169.254.169.254", None),
            ("[::ffff:a9fe:a9fe]", "169.254.169.254", None),
            ("[::169.254.169.254]", "169.254.169.254", None),
            ("[2002:a01:203::]", "10.1.2.3", None),
            ("[64:ff9b::a9fe:a9fe]", "169.254.169.254", None),
            ("[::ffff:0:169.254.169.254]", "169.254.169.254", None),
            ("[64:ff9b:1::a9fe:a9fe]", "64:ff9b:1::a9fe:a9fe", None),
            (
                "[2001:0:c000:201::5601:5601]",
                "2001:0:c000:201::5601:5601",
                None,
            ),
            ("[fe80::5efe:169.254.169.254]", "fe80::5efe:a9fe:a9fe", None),
            ("[::1]", "::1", None),
            ("[::]", "::", None),
            ("[::2]", "0.0.0.2", None),
        ] {
            assert_eq!(read(text), Ok((host.to_owned(), port)), "{text}");
        }
    }

    #[test]
    fn odd_hosts_are_malformed() {
        use HostParseError::*;
        let label = "a".repeat(64);
        let name = format!("{}.abcd", vec!["a".repeat(49); 5].join("."));
        for (text, why) in [
            ("", Empty),
            (".", EmptyLabel),
            ("..", EmptyLabel),
            (".api.example", EmptyLabel),
            ("a..b", EmptyLabel),
            ("a.b..", EmptyLabel),
            (":80", EmptyLabel),
            ("a b", Character),
            ("a,b", Character),
            ("a@b", Character),
            ("a%2eb", Character),
            ("a/b", Character),
            ("a?b", Character),
            ("*.example", Character),
            ("b\u{fc}cher.example", Character),
            ("\u{212a}ube.example", Character),
            ("a\u{3002}b", Character),
            ("a\0b", Character),
            ("a\r\nb", Character),
            ("a:0", Port),
            ("a:65536", Port),
            ("a:18446744073709552059", Port),
            ("a:http", Port),
            ("a:-1", Port),
            ("a:+1", Port),
            ("a:80:90", Port),
            ("[]", Brackets),
            ("[192.0.2.1]", Brackets),
            ("[2001:db8::1", Brackets),
            ("[2001:db8::1]x", Brackets),
            ("[2001:db8::1].", Brackets),
            ("[fe80::1%eth0]", Brackets),
            ("[fe80::1%25eth0]", Brackets),
            ("[v1.fd00::1]", Brackets),
            ("2852039166", NumericLabel),
            ("025177524776", NumericLabel),
            ("0xa9fea9fe", NumericLabel),
            ("0xa9.0xfe.0xa9.0xfe", NumericLabel),
            ("0Xa9.0xfe.0xa9.0XFE", NumericLabel),
            ("a.0x", NumericLabel),
            ("192.0.2.01", NumericLabel),
            ("10.1.2", NumericLabel),
            ("10.1.2.256", NumericLabel),
            ("1.2.3.4.5", NumericLabel),
            (&label, TooLong),
            (&name, TooLong),
        ] {
            assert_eq!(read(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn a_canonical_host_is_its_own_canonical_form() {
        for text in [
            "API.example.",
            "[2002:a01:203::]",
            "10.0.0.1.",
            "[2001:DB8::1]",
        ] {
            let once = Authority::parse(text).map(|a| a.host.to_string()).unwrap();
            assert_eq!(read(&once).unwrap().0, once);
        }
    }

    #[test]
    fn the_mesh_wrapper_gives_the_port() {
        let read = |sni| parse_server_name(sni).map(|a| (a.host.to_string(), a.port));
        let api = |port| Ok(("api.example.com".to_owned(), port));
        assert_eq!(read("outbound_.443_._.api.example.com"), api(Some(443)));
        assert_eq!(
            read("OUTBOUND_.8443_.v1_.API.example.com."),
            api(Some(8443))
        );
        assert_eq!(read("api.example.com"), api(None));
        assert_eq!(
            read("outbound_.0_._.api.example.com"),
            Err(HostParseError::Port)
        );
        assert_eq!(
            read("outbound_._._.api.example.com"),
            Err(HostParseError::Wrapper)
        );
        assert_eq!(read("outbound_.443_.api"), Err(HostParseError::Wrapper));
        assert_eq!(
            read("outbound_.443_._.a..b"),
            Err(HostParseError::EmptyLabel)
        );
        assert_eq!(read("u@a.example"), Err(HostParseError::Character));
    }
}
