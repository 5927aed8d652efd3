//! Local NAT64 addresses (RFC 8215) of every class: one of them may carry four IPv4 addresses that
//! share octets, because the length of the operator's prefix is not known.
//!
//! The nine octets behind the prefix are chosen one by one. What matters of a choice is how far each
//! of the four addresses is compared with each bound, so choices that agree in that are made once.

use std::collections::{BTreeMap, BTreeSet};

/// The most states that are kept for one octet.
const MAX_STATES: usize = 20_000;

/// The number of octets behind the prefix, without the one that is skipped.
const OCTETS: usize = 9;

/// Where each of the four addresses begins among these octets.
const STARTS: [usize; 4] = [0, 1, 2, 5];

/// How one of the addresses compares with the bounds so far: the bounds that lie at or below it,
/// and those that begin as it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Compared {
    /// How many bounds are less.
    less: usize,
    /// How many are less or equal so far.
    equal: usize,
}

/// Returns addresses, and whether every class has one.
pub(super) fn addresses(bounds: &BTreeSet<u32>) -> (Vec<u128>, bool) {
    let bounds: Vec<[u8; 4]> = bounds.iter().map(|bits| bits.to_be_bytes()).collect();
    let whole = Compared {
        less: 0,
        equal: bounds.len(),
    };
    let mut states: BTreeMap<[Compared; 4], [u8; OCTETS]> =
        BTreeMap::from([([whole; 4], [0; OCTETS])]);
    for at in 0..OCTETS {
        let values = values_at(&bounds, at);
        let mut next = BTreeMap::new();
        for (state, octets) in &states {
            for value in &values {
                let mut state = *state;
                for (compared, start) in state.iter_mut().zip(STARTS) {
                    if let Some(position) = at.checked_sub(start).filter(|position| *position < 4) {
                        *compared = compared.then(&bounds, position, *value);
                    }
                }
                let mut octets = *octets;
                if let Some(octet) = octets.get_mut(at) {
                    *octet = *value;
                }
                next.entry(state).or_insert(octets);
            }
            if next.len() > MAX_STATES {
                return (Vec::new(), false);
            }
        }
        states = next;
    }
    (states.values().map(address).collect(), true)
}

impl Compared {
    /// The comparison with one more octet.
    fn then(self, bounds: &[[u8; 4]], position: usize, value: u8) -> Compared {
        let octet = |bound: &[u8; 4]| bound.get(position).copied().unwrap_or_default();
        let open = bounds.get(self.less..self.equal).unwrap_or_default();
        let less = open.partition_point(|bound| octet(bound) < value);
        let equal = open.partition_point(|bound| octet(bound) <= value);
        Compared {
            less: self.less + less,
            equal: self.less + equal,
        }
    }
}

/// The values of an octet that compare differently with some bound.
fn values_at(bounds: &[[u8; 4]], at: usize) -> BTreeSet<u8> {
    let mut values = BTreeSet::from([0]);
    for start in STARTS {
        let Some(position) = at.checked_sub(start).filter(|position| *position < 4) else {
            continue;
        };
        for octet in bounds.iter().filter_map(|bound| bound.get(position)) {
            values.insert(*octet);
            values.extend(octet.checked_add(1));
        }
    }
    values
}

/// The address with these octets behind the prefix; the octet after bit 64 is zero.
fn address(octets: &[u8; OCTETS]) -> u128 {
    let all = octets
        .iter()
        .fold(0, |all: u128, octet| all << 8 | u128::from(*octet));
    let (head, tail) = (all >> 56, all & ((1 << 56) - 1));
    0x0064_ff9b_0001 << 80 | head << 64 | tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_engine::host::embedded;
    use std::net::{IpAddr, Ipv6Addr};

    /// Which of the intervals between bounds an address carries, in order.
    fn carried(bounds: &BTreeSet<u32>, address: u128) -> Vec<usize> {
        let ip: IpAddr = Ipv6Addr::from_bits(address).into();
        embedded::carried(ip)
            .map(|ip| bounds.range(..=ip.to_bits()).count())
            .collect()
    }

    #[test]
    fn every_combination_that_an_address_can_carry_is_found() {
        for nets in [
            &[("10.0.0.0", 8)][..],
            &[("10.0.0.0", 8), ("192.168.0.0", 16)],
            &[("10.1.0.0", 16), ("1.0.10.0", 24), ("0.0.0.0", 32)],
        ] {
            let mut bounds = BTreeSet::from([0, 1]);
            for (text, length) in nets {
                let net = ipnet::Ipv4Net::new(text.parse().unwrap(), *length).unwrap();
                bounds.insert(net.network().to_bits());
                bounds.extend(net.broadcast().to_bits().checked_add(1));
            }
            let (addresses, are_all) = addresses(&bounds);
            assert!(are_all);
            let found: BTreeSet<Vec<usize>> = addresses
                .iter()
                .map(|address| carried(&bounds, *address))
                .collect();
            let mut random: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834;
            let octets = [0, 1, 2, 9, 10, 11, 168, 192, 193, 255];
            for _ in 0..200_000 {
                random ^= random << 29;
                random ^= random >> 43;
                random ^= random << 57;
                let pick = |at: u32| octets[(random >> (at * 8)) as usize % octets.len()];
                let mut drawn = [0; OCTETS];
                for (at, octet) in drawn.iter_mut().enumerate() {
                    *octet = pick(at as u32);
                }
                let address = address(&drawn);
                let combination = carried(&bounds, address);
                assert!(found.contains(&combination), "{address:x} {combination:?}");
            }
        }
    }
}
