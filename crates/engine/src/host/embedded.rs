//! IPv6 addresses that carry an IPv4 address, and addresses that reach the local host (rule R1).
//!
//! Some forms carry one IPv4 address at a fixed position; their canonical form is that address. For
//! other forms, the set-up of the translator or the tunnel decides which address is meant, so every
//! address that may be meant is a candidate.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The ranges in which each address carries one IPv4 address: network, prefix length, and the bit
/// at which it starts.
const EXACT: [(Ipv6Addr, u8, u8); 5] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 96), // IPv4-mapped
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96, 96), // IPv4-translated (SIIT)
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 16), // 6to4
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, 96), // NAT64
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 96, 96),      // IPv4-compatible
];

/// Teredo: the server's IPv4 address follows the prefix; the client's is at the end, inverted.
const TEREDO: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32);

/// NAT64 for local use (RFC 8215): the IPv4 address follows the operator's own prefix, of 48 bits
/// or more.
const LOCAL_NAT64: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48);

/// The error of an IPv6 range that covers only a part of the addresses that carry IPv4 addresses,
/// or others beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the range covers only a part of the addresses that carry IPv4 addresses, or others beside them"
)]
pub(crate) struct MixedRangeError;

fn is_in(bits: u128, (network, length): (Ipv6Addr, u8)) -> bool {
    bits >> (128 - u32::from(length)) == network.to_bits() >> (128 - u32::from(length))
}

/// Returns the 32 bits from bit `at` on.
fn ipv4_at(bits: u128, at: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits((bits >> (96 - u32::from(at))) as u32)
}

/// Returns the one IPv4 address that an IPv6 address certainly carries. `::` and `::1` carry none.
fn exact(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = ip.to_bits();
    if bits <= 1 {
        return None;
    }
    let form = EXACT
        .into_iter()
        .find(|(network, length, _)| is_in(bits, (*network, *length)));
    form.map(|(_, _, at)| ipv4_at(bits, at))
}

/// Returns the IPv4 address at the end of an ISATAP address, whatever its prefix is.
fn isatap(bits: u128) -> Option<Ipv4Addr> {
    let interface = (bits >> 32) as u32;
    (interface & !0x0200_0000 == 0x0000_5efe).then(|| ipv4_at(bits, 96))
}

/// Returns the IPv4 addresses that a NAT64 address may carry, by the length of the prefix: 48, 56,
/// 64 and 96 bits. In the first three, the octet after bit 64 is skipped (RFC 6052).
fn local_nat64(bits: u128) -> [Ipv4Addr; 4] {
    let joined = ((bits >> 64) << 56) | (bits & ((1 << 56) - 1));
    let at = |prefix: u32| Ipv4Addr::from_bits((joined >> (88 - prefix)) as u32);
    [at(48), at(56), at(64), ipv4_at(bits, 96)]
}

/// Returns every IPv4 address that an address is or may carry.
pub fn carried(ip: IpAddr) -> impl Iterator<Item = Ipv4Addr> {
    let candidates = match ip {
        IpAddr::V4(ip) => [Some(ip), None, None, None],
        IpAddr::V6(ip) => {
            let bits = ip.to_bits();
            if is_in(bits, LOCAL_NAT64) {
                local_nat64(bits).map(Some)
            } else if is_in(bits, TEREDO) {
                [
                    Some(ipv4_at(bits, 32)),
                    Some(ipv4_at(!bits, 96)),
                    isatap(bits),
                    None,
                ]
            } else {
                [exact(ip), isatap(bits), None, None]
            }
        }
    };
    candidates.into_iter().flatten()
}

/// Returns the canonical form of an address: the IPv4 address that it certainly carries, or itself.
pub fn canonical(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => exact(v6).map_or(ip, IpAddr::V4),
    }
}

/// Returns whether a connection to an address reaches the local host: `0.0.0.0` and `[::]`, in any
/// form that may carry them.
///
/// Of a local NAT64 address only the form of most operators counts: the other forms read zeros that
/// are only padding.
pub fn reaches_local_host(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V6(v6) if is_in(v6.to_bits(), LOCAL_NAT64) => {
            ipv4_at(v6.to_bits(), 96).is_unspecified()
        }
        _ => canonical(ip).is_unspecified() || carried(ip).any(|carried| carried.is_unspecified()),
    }
}

/// Returns whether a range contains addresses that reach the local host.
pub(crate) fn holds_local_host(range: &IpNet) -> bool {
    let of_ipv4 = |net: Ipv4Net| {
        net.contains(&Ipv4Addr::LOCALHOST)
            || net.network().is_loopback()
            || net.contains(&Ipv4Addr::UNSPECIFIED)
    };
    let of_ipv6 =
        |net: &Ipv6Net| net.contains(&Ipv6Addr::LOCALHOST) || net.contains(&Ipv6Addr::UNSPECIFIED);
    matches!(range, IpNet::V6(net) if of_ipv6(net)) || ipv4_range(range).is_some_and(of_ipv4)
}

/// Returns the IPv4 addresses that a range covers: its own, or those that its addresses carry.
pub fn ipv4_range(range: &IpNet) -> Option<Ipv4Net> {
    match range {
        IpNet::V4(net) => Some(*net),
        IpNet::V6(net) => carried_range(*net).ok().flatten(),
    }
}

/// Returns the IPv4 range that an IPv6 range carries, if its addresses carry any.
///
/// # Errors
/// [`MixedRangeError`] if the carried addresses are not exactly one IPv4 range.
pub(crate) fn carried_range(net: Ipv6Net) -> Result<Option<Ipv4Net>, MixedRangeError> {
    let (bits, length) = (net.network().to_bits(), net.prefix_len());
    let is_address = length == 128;
    // `::` and `::1` carry nothing, so a range that holds one of them and anything else is mixed.
    if net.contains(&Ipv6Addr::UNSPECIFIED) || net.contains(&Ipv6Addr::LOCALHOST) {
        return if length >= 127 {
            Ok(None)
        } else {
            Err(MixedRangeError)
        };
    }
    let range = |ip, length| {
        Ipv4Net::new(ip, length)
            .map(|net| Some(net.trunc()))
            .map_err(|_| MixedRangeError)
    };
    let meets = |network, prefix: u8| is_in(bits, (network, prefix.min(length)));
    for (network, prefix, at) in EXACT {
        if meets(network, prefix) {
            return match length.checked_sub(at) {
                Some(_) if length < prefix => Err(MixedRangeError),
                Some(own) if own <= 32 => range(ipv4_at(bits, at), own),
                Some(_) if is_address => range(ipv4_at(bits, at), 32),
                _ => Err(MixedRangeError),
            };
        }
    }
    let in_teredo = meets(TEREDO.0, TEREDO.1);
    for (network, prefix) in [TEREDO, LOCAL_NAT64] {
        if meets(network, prefix) {
            return match length {
                128 if in_teredo => range(ipv4_at(!bits, 96), 32),
                // Most operators' prefixes have 96 bits.
                128 => range(ipv4_at(bits, 96), 32)
                    .map(|net| net.filter(|net| !net.addr().is_unspecified())),
                length if length == prefix => range(Ipv4Addr::UNSPECIFIED, 0),
                _ => Err(MixedRangeError),
            };
        }
    }
    match length.checked_sub(96) {
        Some(own) if isatap(bits).is_some() => range(ipv4_at(bits, 96), own),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_carries_what_it_may_be_read_as() {
        for (text, expected) in [
            ("10.0.0.1", &["10.0.0.1"][..]),
            ("::ffff:169.254.169.254", &["169.254.169.254"]),
            ("::ffff:0:169.254.169.254", &["169.254.169.254"]),
            ("::169.254.169.254", &["169.254.169.254"]),
            ("64:ff9b::a9fe:a9fe", &["169.254.169.254"]),
            ("2002:a9fe:a9fe::1", &["169.254.169.254"]),
            (
                "2002:a00:1::5efe:a9fe:a9fe",
                &["10.0.0.1", "169.254.169.254"],
            ),
            (
                "64:ff9b:1::a9fe:a9fe",
                &["0.0.0.0", "0.0.0.0", "0.0.0.169", "169.254.169.254"],
            ),
            (
                "64:ff9b:1:a9fe:a9:fe00::",
                &["169.254.169.254", "254.169.254.0", "169.254.0.0", "0.0.0.0"],
            ),
            (
                "64:ff9b:1:a9:fe:a9fe::",
                &[
                    "0.169.254.169",
                    "169.254.169.254",
                    "254.169.254.0",
                    "0.0.0.0",
                ],
            ),
            (
                "64:ff9b:1:0:a9:fea9:fe00:0",
                &[
                    "0.0.169.254",
                    "0.169.254.169",
                    "169.254.169.254",
                    "254.0.0.0",
                ],
            ),
            (
                "2001:0:c000:201:0:0:5601:5601",
                &["192.0.2.1", "169.254.169.254"],
            ),
            ("fe80::5efe:169.254.169.254", &["169.254.169.254"]),
            ("2001:db8::200:5efe:a9fe:a9fe", &["169.254.169.254"]),
            ("2001:db8::5eff:a9fe:a9fe", &[]),
            ("2001:db8::1", &[]),
            ("::1", &[]),
            ("::", &[]),
        ] {
            let found: Vec<_> = carried(text.parse().unwrap())
                .map(|ip| ip.to_string())
                .collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn whatever_may_carry_the_unspecified_address_reaches_the_local_host() {
        for (text, expected) in [
            ("0.0.0.0", true),
            ("::", true),
            ("::ffff:0.0.0.0", true),
            ("::ffff:0:0.0.0.0", true),
            ("64:ff9b::", true),
            ("2002::1", true),
            ("64:ff9b:1::", true),
            ("64:ff9b:1:a9fe:a9:fe00::", true),
            ("64:ff9b:1::a9fe:a9fe", false),
            ("2001:0:c000:201::ffff:ffff", true),
            ("2001::5601:5601", true),
            ("2001:0:c000:201::5601:5601", false),
            ("fe80::5efe:0:0", true),
            ("2002:a00:1::200:5efe:0:0", true),
            ("fe80::5efe:a00:1", false),
            ("2001:db8::", false),
            ("127.0.0.1", false),
            ("::1", false),
        ] {
            assert_eq!(
                reaches_local_host(text.parse().unwrap()),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_range_carries_a_range_or_is_refused() {
        for (text, expected) in [
            ("::ffff:169.254.0.0/112", Ok(Some("169.254.0.0/16"))),
            ("::ffff:0:169.254.0.0/112", Ok(Some("169.254.0.0/16"))),
            ("64:ff9b::/96", Ok(Some("0.0.0.0/0"))),
            ("64:ff9b::a00:0/104", Ok(Some("10.0.0.0/8"))),
            ("2002:a00::/24", Ok(Some("10.0.0.0/8"))),
            ("2002:a00:1::/48", Ok(Some("10.0.0.1/32"))),
            ("2002:a00:1::5/128", Ok(Some("10.0.0.1/32"))),
            ("2001::/32", Ok(Some("0.0.0.0/0"))),
            (
                "2001:0:c000:201::5601:5601/128",
                Ok(Some("169.254.169.254/32")),
            ),
            ("64:ff9b:1::/48", Ok(Some("0.0.0.0/0"))),
            ("64:ff9b:1::a9fe:a9fe/128", Ok(Some("169.254.169.254/32"))),
            ("fe80::5efe:169.254.0.0/112", Ok(Some("169.254.0.0/16"))),
            ("2001:db8::/32", Ok(None)),
            ("fd00:ec2::254/128", Ok(None)),
            ("::1/128", Ok(None)),
            ("::/127", Ok(None)),
            ("::/0", Err(MixedRangeError)),
            ("::/96", Err(MixedRangeError)),
            ("2000::/3", Err(MixedRangeError)),
            ("2001::/16", Err(MixedRangeError)),
            ("2001:0:c000:201::/64", Err(MixedRangeError)),
            ("2002::/15", Err(MixedRangeError)),
            ("2002:a00:1:1::/64", Err(MixedRangeError)),
            ("64:ff9b::/64", Err(MixedRangeError)),
            ("64:ff9b::/32", Err(MixedRangeError)),
            ("64:ff9b:1::/64", Err(MixedRangeError)),
            ("64:ff9b:1::a9fe:0/112", Err(MixedRangeError)),
            ("::ffff:0:0:0/80", Err(MixedRangeError)),
        ] {
            let found = carried_range(text.parse().unwrap());
            assert_eq!(
                found.map(|net| net.map(|net| net.to_string())),
                expected.map(|net| net.map(str::to_owned)),
                "{text}"
            );
        }
    }
}
