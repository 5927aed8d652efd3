//! Who is at the other end of a connection, as far as the system says it. A certificate may say
//! more; this module knows none.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionPeer {
    /// The address of a client over TCP.
    Tcp(SocketAddr),
    /// The user of a client over a unix socket; `None` if the system does not report it.
    Unix(Option<UnixUser>),
}

/// The user whose process connected to a unix socket, at that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnixUser {
    /// The user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// The process; `None` if the system does not report it.
    pub pid: Option<i32>,
}

impl ConnectionPeer {
    /// Returns the client's address without its port; `None` over a unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            ConnectionPeer::Tcp(address) => Some(address.ip().to_canonical()),
            ConnectionPeer::Unix(_) => None,
        }
    }

    /// Returns the user over a unix socket as records name it, `uid:1337`. The system vouches for
    /// it, as an authority vouches for a certificate; an address proves nothing.
    pub fn proven_user(&self) -> Option<String> {
        match self {
            ConnectionPeer::Unix(Some(user)) => Some(format!("uid:{}", user.uid)),
            ConnectionPeer::Unix(None) | ConnectionPeer::Tcp(_) => None,
        }
    }
}

/// Addresses are shown without their ports, which differ from connection to connection.
impl fmt::Display for ConnectionPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConnectionPeer::Tcp(address) => address.ip().to_canonical().fmt(f),
            ConnectionPeer::Unix(Some(user)) => write!(f, "the user {}", user.uid),
            ConnectionPeer::Unix(None) => f.write_str("a user that the system does not report"),
        }
    }
}
