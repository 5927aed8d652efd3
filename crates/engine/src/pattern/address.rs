//! Addresses and ranges of addresses as policies write them.
//!
//! A pattern keeps the form in which it was written. A grant covers addresses of that form alone. A
//! denial also covers each address that is or may be read as one of the pattern's IPv4 addresses,
//! and `0.0.0.0` and `[::]` if it covers the local host (rule R1).

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::{HostPatternError, HostShape, Match};
use crate::host::embedded;
use crate::host::{Host, HostParseError};

/// Parses an IPv6 address or a range of either family, with or without brackets.
pub(super) fn parse(text: &str) -> Result<HostShape, HostPatternError> {
    let inside = text
        .strip_prefix('[')
        .map_or(Some(text), |rest| rest.strip_suffix(']'))
        .ok_or(HostPatternError::Range)?;
    let (address, length) = inside
        .split_once('/')
        .map_or((inside, None), |(a, l)| (a, Some(l)));
    let address: IpAddr = address.parse().map_err(|_| match length {
        None => HostPatternError::Malformed(HostParseError::Brackets),
        Some(_) if address.bytes().any(|b| b.is_ascii_alphabetic()) && !address.contains(':') => {
            HostPatternError::Url
        }
        Some(_) => HostPatternError::Range,
    })?;
    let bracketed = inside.len() != text.len();
    if bracketed && address.is_ipv4() {
        return Err(HostPatternError::Range);
    }
    let Some(length) = length else {
        return Ok(HostShape::Exact(Host::Ip(address)));
    };
    let digits = length.bytes().all(|b| b.is_ascii_digit());
    let length: u8 = length
        .parse()
        .ok()
        .filter(|_| digits)
        .ok_or(HostPatternError::Range)?;
    match address {
        IpAddr::V4(ip) => Ok(HostShape::Network(
            Ipv4Net::new(ip, length)
                .map_err(|_| HostPatternError::Range)?
                .trunc()
                .into(),
        )),
        IpAddr::V6(ip) => {
            let net = Ipv6Net::new(ip, length)
                .map_err(|_| HostPatternError::Range)?
                .trunc();
            embedded::carried_range(net).map_err(|_| HostPatternError::MixedRange)?;
            Ok(HostShape::Network(net.into()))
        }
    }
}

/// Returns whether a range covers an address.
pub(super) fn covers(range: &IpNet, ip: IpAddr, matching: Match) -> bool {
    range.contains(&ip) || (matching == Match::Broad && covers_broadly(range, ip))
}

fn covers_broadly(range: &IpNet, ip: IpAddr) -> bool {
    (embedded::reaches_local_host(ip) && embedded::holds_local_host(range))
        || embedded::ipv4_range(range)
            .is_some_and(|net| embedded::carried(ip).any(|carried| net.contains(&carried)))
}

/// Returns whether some text of a host satisfies `is`. No text of an IPv6 address is granted: Istio
/// compares it with its brackets.
pub(super) fn some_text(host: &Host<'_>, matching: Match, is: impl Fn(&str) -> bool) -> bool {
    match (host, matching) {
        (Host::Name(name), _) => is(name),
        (Host::Ip(IpAddr::V6(_)), Match::Strict) => false,
        (Host::Ip(ip), Match::Strict) => is(&ip.to_string()),
        (Host::Ip(ip), Match::Broad) => {
            is(&ip.to_string())
                || embedded::carried(*ip).any(|carried| is(&carried.to_string()))
                || (embedded::reaches_local_host(*ip) && (is("127.0.0.1") || is("::1")))
        }
    }
}

/// Returns whether the outer range, matched as `matching` says, covers everything that the inner
/// one covers as `others` says.
pub(super) fn contains(outer: &IpNet, matching: Match, inner: &IpNet, others: Match) -> bool {
    let (outer_ipv4, inner_ipv4) = (embedded::ipv4_range(outer), embedded::ipv4_range(inner));
    let carries_all =
        || matches!((outer_ipv4, inner_ipv4), (Some(outer), Some(inner)) if outer.contains(&inner));
    match (matching, others) {
        (Match::Strict, Match::Strict) => outer.contains(inner),
        // A broad match has forms that no strict match covers.
        (Match::Strict, Match::Broad) => {
            outer.contains(inner) && inner_ipv4.is_none() && !embedded::holds_local_host(inner)
        }
        (Match::Broad, Match::Strict) => outer.contains(inner) || carries_all(),
        (Match::Broad, Match::Broad) => match inner_ipv4 {
            // The local host's addresses of both families are in a range together or not at all.
            Some(_) => carries_all(),
            None => outer.contains(inner),
        },
    }
}

/// Returns whether some address of a range may be, or reach, the local host. An IPv6 range may
/// contain forms that do.
fn reaches_local_host(range: &IpNet) -> bool {
    let reaches = match range {
        IpNet::V6(net) => net.prefix_len() < 128 || embedded::reaches_local_host(net.addr().into()),
        IpNet::V4(_) => false,
    };
    reaches || embedded::holds_local_host(range)
}

/// Returns whether some address may be covered by both.
pub(super) fn meets(one: &IpNet, matching: Match, two: &IpNet, others: Match) -> bool {
    if one.contains(two) || two.contains(one) {
        return true;
    }
    // Each IPv6 address may carry an IPv4 address, and a broad match covers both.
    let carries = |broad: &IpNet, other: &IpNet| {
        let local = || embedded::holds_local_host(broad) && reaches_local_host(other);
        let ipv4 = match (embedded::ipv4_range(broad), other) {
            (Some(net), IpNet::V4(other)) => net.contains(other) || other.contains(&net),
            (Some(_), IpNet::V6(_)) => true,
            (None, _) => false,
        };
        ipv4 || local()
    };
    match (matching, others) {
        (Match::Strict, Match::Strict) => false,
        (Match::Broad, Match::Strict) => carries(one, two),
        (Match::Strict, Match::Broad) => carries(two, one),
        (Match::Broad, Match::Broad) => true,
    }
}
