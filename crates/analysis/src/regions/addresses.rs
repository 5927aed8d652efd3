//! Addresses of every class that some host patterns tell apart.
//!
//! Patterns are intervals of addresses, so between two neighbouring bounds all addresses are alike.
//! A broad match also looks at the IPv4 addresses that an IPv6 address carries, so each form that
//! carries one is tried with an address of each interval.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::hosts::{HostEntry, HostMember, HostName};
use customs_engine::host::{Host, embedded};
use customs_engine::pattern::{LooseText, Match};

/// The most IPv4 intervals of which pairs are tried: an IPv6 address may carry two addresses.
const MAX_PAIRED: usize = 40;

/// The most addresses that are tried.
const MAX_TRIED: usize = 200_000;

/// An address that is reserved for documentation (RFC 5737).
const DOCUMENTATION: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// The first addresses of the forms that carry an IPv4 address, and the first ones behind them.
const FORMS: [(u128, u8); 7] = [
    (0, 96),
    (0xffff << 32, 96),
    (0xffff << 48, 96),
    (0x2002 << 112, 16),
    (0x0064_ff9b << 96, 96),
    (0x2001 << 112, 32),
    (LOCAL_NAT64, 48),
];

const LOCAL_NAT64: u128 = 0x0064_ff9b_0001 << 80;

/// Returns addresses of every class; and an address that represents those of which classes may be
/// missing.
pub(super) fn candidates(entries: &[HostEntry<'_>]) -> (Vec<HostMember>, Option<Ipv6Addr>) {
    let mut bounds = Bounds::default();
    entries.iter().for_each(|entry| bounds.add(entry));
    let mut members = ipv4_members(&bounds.ipv4);
    let (addresses, is_missing) = bounds.ipv6_addresses();
    let ipv6 = addresses.into_iter().map(|ip| HostMember {
        host: Host::Ip(ip.into()),
        name: HostName::Between(ip.into(), ip.into()),
    });
    members.extend(ipv6);
    (members, is_missing)
}

fn ipv4_members(bounds: &BTreeSet<u32>) -> Vec<HostMember> {
    let starts = bounds.iter().copied();
    let ends = bounds.iter().skip(1).map(|next| next - 1).chain([u32::MAX]);
    let member = |(from, to): (u32, u32)| {
        let documentation = DOCUMENTATION.to_bits();
        let ip = match (from..=to).contains(&documentation) {
            true => documentation,
            false => from,
        };
        let [from, to] = [from, to].map(|bits| Ipv4Addr::from_bits(bits).into());
        HostMember {
            host: Host::Ip(Ipv4Addr::from_bits(ip).into()),
            name: HostName::Between(from, to),
        }
    };
    starts.zip(ends).map(member).collect()
}

/// Where intervals begin.
#[derive(Debug)]
struct Bounds {
    ipv4: BTreeSet<u32>,
    ipv6: BTreeSet<u128>,
    /// The IPv4 intervals that matter for what an IPv6 address carries.
    carried: BTreeSet<u32>,
    /// Whether a pattern looks at the text of an IPv6 address.
    asks_text: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds {
            ipv4: [0, 1].into(),
            ipv6: [0, 1, 2].into(),
            carried: BTreeSet::new(),
            asks_text: false,
        }
    }
}

impl Bounds {
    fn add(&mut self, entry: &HostEntry<'_>) {
        let is_broad = entry.matching == Match::Broad;
        match (entry.pattern.range(), entry.pattern.loose_text()) {
            (Some(range), _) => {
                if let IpNet::V6(net) = range {
                    add(
                        &mut self.ipv6,
                        net.network().to_bits(),
                        net.broadcast().to_bits(),
                    );
                }
                if let Some(net) = embedded::ipv4_range(&range) {
                    self.add_ipv4(net.network().to_bits(), net.broadcast().to_bits(), is_broad);
                }
                if is_broad {
                    // What covers the local host covers the unspecified addresses.
                    self.carried.extend([0, 1]);
                }
            }
            (None, Some(LooseText::Prefix(text))) => {
                for (from, to) in beginning_with(text) {
                    self.add_ipv4(from, to, is_broad);
                }
                self.note_text(text, is_broad);
            }
            (None, Some(LooseText::Suffix(text))) => self.note_text(text, is_broad),
            (None, None) => {}
        }
    }

    fn add_ipv4(&mut self, from: u32, to: u32, is_broad: bool) {
        let add = |bounds: &mut BTreeSet<u32>| {
            bounds.insert(from);
            bounds.extend(to.checked_add(1));
        };
        add(&mut self.ipv4);
        if is_broad {
            self.carried.extend([0, 1]);
            add(&mut self.carried);
        }
    }

    /// Notes a text that an IPv6 address may begin or end with: it is broken by colons, so only a
    /// few hexadecimal digits can be.
    fn note_text(&mut self, text: &str, is_broad: bool) {
        let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        self.asks_text |= is_broad && is_hex && text.len() <= 4;
    }

    fn ipv6_addresses(&self) -> (BTreeSet<Ipv6Addr>, Option<Ipv6Addr>) {
        let mut bounds = self.ipv6.clone();
        if self.carried.is_empty() {
            let all = bounds.into_iter().map(Ipv6Addr::from_bits).collect();
            let is_missing = self
                .asks_text
                .then_some(Ipv6Addr::from_bits(0x2001_0db8 << 96));
            return (all, is_missing);
        }
        for (network, length) in FORMS {
            let last = network | u128::MAX >> length;
            add(&mut bounds, network, last);
        }
        let mut all: BTreeSet<u128> = bounds.clone();
        let carried: Vec<u128> = self.carried.iter().map(|bits| u128::from(*bits)).collect();
        let mut is_missing = self.asks_text;
        for ipv4 in &carried {
            all.extend([0, 0xffff << 32, 0xffff << 48, 0x0064_ff9b << 96].map(|form| form | ipv4));
            all.insert(0x2002 << 112 | ipv4 << 80 | 1);
            all.insert(LOCAL_NAT64 | ipv4);
            for bound in &bounds {
                let high = bound >> 64;
                for high in [high, high + 1] {
                    all.extend((high <= u128::from(u64::MAX)).then(|| isatap(high, *ipv4)));
                }
            }
            if all.len() > MAX_TRIED {
                is_missing = true;
                break;
            }
        }
        if carried.len() <= MAX_PAIRED {
            for (one, other) in carried
                .iter()
                .flat_map(|one| carried.iter().map(move |b| (one, b)))
            {
                let low = u128::from(u32::MAX);
                let teredo = 0x2001 << 48 | one;
                all.insert(isatap(0x2002 << 48 | one << 16, *other));
                all.insert(teredo << 64 | (other ^ low));
                all.extend([isatap(teredo, *other), isatap(teredo, other ^ low)]);
            }
        } else {
            is_missing = true;
        }
        let (nat64, are_all) = super::nat64::addresses(&self.carried);
        all.extend(nat64);
        let is_missing = (is_missing || !are_all).then_some(Ipv6Addr::from_bits(LOCAL_NAT64 | 1));
        (
            all.into_iter().map(Ipv6Addr::from_bits).collect(),
            is_missing,
        )
    }
}

fn isatap(high: u128, ipv4: u128) -> u128 {
    high << 64 | 0x5efe << 32 | ipv4
}

fn add(bounds: &mut BTreeSet<u128>, from: u128, to: u128) {
    bounds.insert(from);
    bounds.extend(to.checked_add(1));
}

/// Returns the intervals of the IPv4 addresses whose text begins with this one.
fn beginning_with(text: &str) -> Vec<(u32, u32)> {
    let parts: Vec<&str> = text.split('.').collect();
    let Some((partial, whole)) = parts.split_last() else {
        return Vec::new();
    };
    let octet = |text: &&str| {
        text.parse()
            .ok()
            .filter(|value: &u8| value.to_string() == **text)
    };
    let whole: Option<Vec<u8>> = whole.iter().map(octet).collect();
    let Some(whole) = whole.filter(|whole| whole.len() < 4) else {
        return Vec::new();
    };
    let interval = |value: u8| {
        let mut low: Vec<u8> = whole.clone();
        low.push(value);
        let mut high = low.clone();
        low.resize(4, 0);
        high.resize(4, u8::MAX);
        let bits = |octets: Vec<u8>| octets.iter().fold(0, |all, o| all << 8 | u32::from(*o));
        (bits(low), bits(high))
    };
    (0..=u8::MAX)
        .filter(|value| value.to_string().starts_with(partial))
        .map(interval)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_the_beginning_of_whole_intervals() {
        let intervals = |text: &str| {
            let all = beginning_with(text);
            let text = |bits| Ipv4Addr::from_bits(bits).to_string();
            all.into_iter()
                .map(|(from, to)| format!("{}-{}", text(from), text(to)))
                .collect::<Vec<_>>()
        };
        assert_eq!(intervals("10.25").len(), 7, "25 and 250 to 255");
        assert_eq!(intervals("10.0.0.7").len(), 11, "7 and 70 to 79");
        assert_eq!(intervals("10.0.0.").len(), 256);
        for text in ["a", "010.", "256.", "1.2.3.4.", "1..", "1.2.3.4.5"] {
            assert_eq!(intervals(text), [""; 0], "{text}");
        }
        for text in ["1", "10.1", "19.", "7.200.3"] {
            for probe in [
                "1.2.3.4",
                "10.1.0.0",
                "10.19.4.4",
                "19.0.0.1",
                "7.200.31.0",
                "7.200.4.4",
            ] {
                let ip: Ipv4Addr = probe.parse().unwrap();
                let inside = beginning_with(text)
                    .iter()
                    .any(|(from, to)| (*from..=*to).contains(&ip.to_bits()));
                assert_eq!(inside, probe.starts_with(text), "{text} {probe}");
            }
        }
    }
}
