//! Addresses of both ends, and of the client behind trusted proxies (rule R13).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use super::{BTreeSet, Candidate, Condition, LeftReason, Question, both};

/// The most combinations of addresses.
const MAX_COMBINED: usize = 4_096;

/// Addresses that are reserved for documentation (RFC 5737, RFC 3849).
const PLAIN_IPV4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const PLAIN_IPV6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// The first of the IPv6 addresses that are IPv4-mapped.
const MAPPED: u128 = 0xffff << 32;

/// An address in words; `None` if there is none.
type Address = Option<IpAddr>;

impl Question<'_, '_> {
    /// Returns requests for every class of addresses.
    pub(super) fn addresses(&self) -> Result<Vec<Candidate>, LeftReason> {
        let (mut source, mut remote, mut gateway) = (Vec::new(), Vec::new(), Vec::new());
        let sources = self.clauses.iter().flat_map(|clause| clause.sources());
        let conditions = self.conditions().filter_map(|condition| match condition {
            Condition::Source(source) => Some(&**source),
            _ => None,
        });
        for fields in sources.chain(conditions) {
            source.extend(both(&fields.ip_blocks));
            remote.extend(both(&fields.remote_ip_blocks));
        }
        for condition in self.conditions() {
            if let Condition::DestinationIp(blocks) = condition {
                gateway.extend(both(blocks));
            }
        }
        let hops = self.settings.trusted_hops;
        if hops.is_some() && !self.hosts.is_http {
            // On TCP the client is the peer.
            source.append(&mut remote);
        }
        let is_forwarded = hops.is_some() && self.hosts.is_http && !remote.is_empty();
        let forwarded: Vec<Address> = match is_forwarded {
            true => {
                // Without the header the client is the peer.
                source.extend(&remote);
                addresses(&remote)
            }
            false => vec![None],
        };
        let (sources, gateways) = (addresses(&source), addresses(&gateway));
        if sources.len() * gateways.len() * forwarded.len() > MAX_COMBINED {
            return Err(LeftReason::TooManyPatterns);
        }
        let mut candidates = Vec::new();
        for (from, to) in sources
            .iter()
            .flat_map(|from| gateways.iter().map(move |to| (from, to)))
        {
            for client in &forwarded {
                let mut sample = self.sample.clone();
                (sample.source_address, sample.destination_address) = (*from, *to);
                if let (Some(client), Some(http)) = (client, sample.http_mut()) {
                    let behind = usize::try_from(hops.unwrap_or_default()).unwrap_or_default();
                    let mut value = client.to_string();
                    value.push_str(&format!(", {PLAIN_IPV4}").repeat(behind));
                    http.headers.push(("x-forwarded-for".to_owned(), value));
                }
                let word = |name: &str, ip: Address, blocks: &[&IpNet]| {
                    (!blocks.is_empty()).then(|| in_words(name, ip, blocks))
                };
                let words = [
                    word("peer", *from, &source),
                    word("client", *client, &remote),
                    word("gateway", *to, &gateway),
                ];
                let words: Vec<String> = words.into_iter().flatten().collect();
                candidates.push(Candidate::of(sample, words.join(" at ")));
            }
        }
        Ok(candidates)
    }
}

fn in_words(name: &str, ip: Address, blocks: &[&IpNet]) -> String {
    let Some(ip) = ip else {
        return format!("no {name} address");
    };
    let inside = blocks.iter().filter(|block| block.contains(&ip));
    match inside.max_by_key(|block| block.prefix_len()) {
        Some(block) => format!("{name} in {block}"),
        None => format!("any other {name}"),
    }
}

/// Addresses of every class that blocks tell apart, and none.
fn addresses(blocks: &[&IpNet]) -> Vec<Address> {
    if blocks.is_empty() {
        return vec![None];
    }
    let (mut ipv4, mut ipv6) = (BTreeSet::from([0_u32]), BTreeSet::from([0_u128]));
    ipv6.extend([MAPPED, MAPPED + (1 << 32)]);
    for block in blocks {
        match block {
            IpNet::V4(net) => {
                ipv4.insert(net.network().to_bits());
                ipv4.extend(net.broadcast().to_bits().checked_add(1));
            }
            IpNet::V6(net) => {
                ipv6.insert(net.network().to_bits());
                ipv6.extend(net.broadcast().to_bits().checked_add(1));
            }
        }
    }
    // A broad match also compares the address that an IPv4-mapped one carries.
    ipv6.extend(ipv4.iter().map(|bits| MAPPED | u128::from(*bits)));
    let plain = [PLAIN_IPV4.into(), PLAIN_IPV6.into()].map(Some);
    let ipv4 = ipv4
        .into_iter()
        .map(|bits| Ipv4Addr::from_bits(bits).into());
    let ipv6 = ipv6
        .into_iter()
        .map(|bits| Ipv6Addr::from_bits(bits).into());
    plain
        .into_iter()
        .chain([None])
        .chain(ipv4.chain(ipv6).map(Some))
        .collect()
}
