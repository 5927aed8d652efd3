//! What counts as one peer.

use std::net::{IpAddr, Ipv4Addr};

use crate::peer::ConnectionPeer;

/// A peer, as connections are counted by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PeerKey {
    /// An IPv4 address, also one that is written as IPv6.
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address: one host may use every address of such a network.
    V6Network([u16; 4]),
    /// A user of a unix socket; `None` if the system does not report it.
    Unix(Option<u32>),
}

impl From<&ConnectionPeer> for PeerKey {
    fn from(peer: &ConnectionPeer) -> PeerKey {
        match peer {
            ConnectionPeer::Unix(user) => PeerKey::Unix(user.map(|user| user.uid)),
            ConnectionPeer::Tcp(address) => match address.ip().to_canonical() {
                IpAddr::V4(address) => PeerKey::V4(address),
                IpAddr::V6(address) => {
                    let [a, b, c, d, ..] = address.segments();
                    PeerKey::V6Network([a, b, c, d])
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::UnixUser;

    fn tcp(address: &str) -> PeerKey {
        PeerKey::from(&ConnectionPeer::Tcp(address.parse().unwrap()))
    }

    #[test]
    fn a_peer_is_an_address_a_network_or_a_user() {
        for (one, other, is_same) in [
            ("10.0.0.1:1", "10.0.0.1:2", true),
            ("10.0.0.1:1", "10.0.0.2:1", false),
            ("10.0.0.1:1", "[::ffff:10.0.0.1]:1", true),
            ("[2001:db8::1]:1", "[2001:db8::ffff:1]:9", true),
            ("[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false),
        ] {
            assert_eq!(tcp(one) == tcp(other), is_same, "{one} {other}");
        }
        let user = |uid| UnixUser {
            uid,
            gid: 7,
            pid: None,
        };
        let unix = |user: Option<UnixUser>| PeerKey::from(&ConnectionPeer::Unix(user));
        assert_eq!(
            unix(Some(user(1))),
            unix(Some(UnixUser {
                pid: Some(3),
                gid: 8,
                ..user(1)
            }))
        );
        assert_ne!(unix(Some(user(1))), unix(Some(user(2))));
        assert_ne!(unix(Some(user(0))), unix(None));
    }
}
