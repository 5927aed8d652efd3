//! Where the service listens: TCP addresses and unix sockets. An address is first reserved, so that
//! an unavailable one is reported before anything else happens. It is opened once connections there
//! will be served.
//!
//! A unix socket is a file, so this module may use the file system. It replaces a stale socket only
//! if no process answers on it, and removes its own socket at the end.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::str::FromStr;

use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixSocket, UnixStream, lookup_host};

use super::peer::{ConnectionPeer, UnixUser};
use super::stream::ServerStream;
use super::unix_address::{UnixAddress, UnixOptionError};

/// How many connections may wait to be accepted: as many as the system allows by default.
const BACKLOG: u32 = 4096;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `HOST:PORT`
    Tcp(String),
    /// `unix:PATH`, with options after a question mark
    Unix(UnixAddress),
}

/// Why a text is not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAddressError {
    /// `unix:` without a path.
    #[error("`unix:` needs a path: `unix:/run/customs.sock`")]
    NoPath,
    /// An option of a unix socket is wrong.
    #[error(transparent)]
    UnixOption(#[from] UnixOptionError),
    /// Neither a host with a port nor a unix socket.
    #[error("invalid address `{0}`: expected `127.0.0.1:9191`, `[::1]:9191` or `unix:PATH`")]
    Unknown(String),
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return path.parse().map(Address::Unix);
        }
        let port = text
            .rsplit_once(':')
            .map(|(host, port)| (!host.is_empty(), port.parse::<u16>()));
        match port {
            Some((true, Ok(_))) => Ok(Address::Tcp(text.to_owned())),
            _ => Err(ParseAddressError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => f.write_str(address),
            Address::Unix(address) => address.fmt(f),
        }
    }
}

/// An address that this process holds but has not opened: connections are refused.
#[derive(Debug)]
pub enum Reserved {
    /// A TCP address.
    Tcp(Address, TcpSocket),
    /// A unix socket and the file that it made.
    Unix(Address, UnixSocket, SocketFile),
}

/// A bound listener.
#[derive(Debug)]
pub enum Listener {
    /// A TCP listener.
    Tcp(TcpListener),
    /// A unix socket and the file that it made.
    Unix(UnixListener, SocketFile),
}

/// Why an address could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens there.
    #[error(
        "cannot listen on {address}: it is in use; stop the other process or choose another address with --listen"
    )]
    InUse {
        /// The address.
        address: Address,
    },
    /// The path exists and is not a socket.
    #[error(
        "cannot listen on {address}: the path exists and is not a socket; remove it or choose another path"
    )]
    NotASocket {
        /// The address.
        address: Address,
    },
    /// The file of a unix socket cannot get its owner or its mode.
    #[error(
        "cannot set the owner or the mode of {address}: {problem}; a process that is not root can give a file to its own user and groups only"
    )]
    Protect {
        /// The address.
        address: Address,
        /// The error of the system.
        #[source]
        problem: io::Error,
    },
    /// Any other error of the system.
    #[error(
        "cannot listen on {address} (--listen): {problem}; choose an address of this machine, or `unix:PATH` in a directory that exists"
    )]
    Io {
        /// The address.
        address: Address,
        /// The error of the system.
        #[source]
        problem: io::Error,
    },
}

impl BindError {
    /// Returns what happened, without the address and what to do.
    pub fn cause(&self) -> String {
        match self {
            BindError::InUse { .. } => "it is in use".to_owned(),
            BindError::NotASocket { .. } => "the path exists and is not a socket".to_owned(),
            BindError::Protect { problem, .. } => {
                format!("its owner or mode cannot be set: {problem}")
            }
            BindError::Io { problem, .. } => problem.to_string(),
        }
    }

    /// Returns the address.
    pub fn address(&self) -> &Address {
        match self {
            BindError::InUse { address }
            | BindError::NotASocket { address }
            | BindError::Protect { address, .. }
            | BindError::Io { address, .. } => address,
        }
    }
}

impl Address {
    /// Reserves the address and opens it.
    ///
    /// # Errors
    /// [`BindError`], with what to do.
    pub async fn bind(&self) -> Result<Listener, BindError> {
        self.reserve().await?.open()
    }

    /// Reserves the address without opening it.
    ///
    /// # Errors
    /// [`BindError`], with what to do.
    pub async fn reserve(&self) -> Result<Reserved, BindError> {
        let failed = |problem| self.failed(problem);
        match self {
            Address::Tcp(address) => {
                let socket = reserve_tcp(address).await.map_err(failed)?;
                Ok(Reserved::Tcp(self.clone(), socket))
            }
            Address::Unix(address) => {
                self.clear_stale(&address.path).await?;
                let socket = UnixSocket::new_stream().map_err(failed)?;
                socket.bind(&address.path).map_err(failed)?;
                let file = SocketFile::of(address).map_err(failed)?;
                address.protect().map_err(|problem| {
                    let address = self.clone();
                    BindError::Protect { address, problem }
                })?;
                Ok(Reserved::Unix(self.clone(), socket, file))
            }
        }
    }

    fn failed(&self, problem: io::Error) -> BindError {
        match problem.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse {
                address: self.clone(),
            },
            _ => BindError::Io {
                address: self.clone(),
                problem,
            },
        }
    }

    /// Removes a socket file on which no process answers.
    async fn clear_stale(&self, path: &Path) -> Result<(), BindError> {
        let failed = |problem| BindError::Io {
            address: self.clone(),
            problem,
        };
        match fs::symlink_metadata(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(why) => return Err(failed(why)),
            Ok(meta) if !meta.file_type().is_socket() => {
                return Err(BindError::NotASocket {
                    address: self.clone(),
                });
            }
            Ok(_) => {}
        }
        match UnixStream::connect(path).await {
            Ok(_) => Err(BindError::InUse {
                address: self.clone(),
            }),
            Err(why) if why.kind() == io::ErrorKind::ConnectionRefused => {
                fs::remove_file(path).map_err(failed)
            }
            Err(why) => Err(failed(why)),
        }
    }
}

/// Reserves the first available address that a name resolves to.
async fn reserve_tcp(address: &str) -> io::Result<TcpSocket> {
    let mut last = io::Error::new(
        io::ErrorKind::InvalidInput,
        "the name resolves to no address",
    );
    for address in lookup_host(address).await? {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // As the standard library does: sockets that linger from an ended process do not delay the
        // next one.
        socket.set_reuseaddr(true)?;
        match socket.bind(address) {
            Ok(()) => return Ok(socket),
            Err(why) => last = why,
        }
    }
    Err(last)
}

impl Reserved {
    /// Opens the address: connections from now on wait to be accepted.
    ///
    /// # Errors
    /// [`BindError`], with what to do.
    pub fn open(self) -> Result<Listener, BindError> {
        match self {
            Reserved::Tcp(address, socket) => socket
                .listen(BACKLOG)
                .map(Listener::Tcp)
                .map_err(|problem| address.failed(problem)),
            Reserved::Unix(address, socket, file) => match socket.listen(BACKLOG) {
                Ok(listener) => Ok(Listener::Unix(listener, file)),
                Err(problem) => Err(address.failed(problem)),
            },
        }
    }

    /// Returns the reserved address, with the port that the system chose.
    pub fn local(&self) -> String {
        match self {
            Reserved::Tcp(_, socket) => socket
                .local_addr()
                .map(|a| a.to_string())
                .unwrap_or_default(),
            Reserved::Unix(_, _, file) => file.address.to_string(),
        }
    }
}

/// An accepted connection that does not belong to a runtime yet.
#[derive(Debug)]
pub enum Accepted {
    /// Over TCP.
    Tcp(std::net::TcpStream, ConnectionPeer),
    /// Over a unix socket.
    Unix(std::os::unix::net::UnixStream, ConnectionPeer),
}

impl Listener {
    /// Waits for a connection, which belongs to the runtime of this thread. A connection that ended
    /// before it was accepted is skipped.
    ///
    /// # Errors
    /// If the process or the system has too few resources ([`is_shortage`]), or if this listener
    /// will accept nothing more.
    pub(crate) async fn accept(&self) -> io::Result<(ServerStream, ConnectionPeer)> {
        loop {
            let accepted = match self {
                Listener::Tcp(listener) => listener.accept().await.map(|(stream, peer)| {
                    let peer = ConnectionPeer::Tcp(peer);
                    (ServerStream::Tcp(stream), peer)
                }),
                Listener::Unix(listener, _) => listener.accept().await.map(|(stream, _)| {
                    let peer = ConnectionPeer::Unix(unix_user(&stream));
                    (ServerStream::Unix(stream), peer)
                }),
            };
            match accepted {
                Err(problem) if is_passing(&problem) => {}
                done => return done,
            }
        }
    }

    /// Returns whether a client may connect, as far as it depends on who the client is.
    pub(crate) fn admits(&self, peer: &ConnectionPeer) -> bool {
        match self {
            Listener::Tcp(_) => true,
            Listener::Unix(_, file) => file.address.admits(peer),
        }
    }

    /// Returns the bound address, with the port that the system chose.
    pub fn local(&self) -> String {
        match self {
            Listener::Tcp(listener) => listener
                .local_addr()
                .map(|a| a.to_string())
                .unwrap_or_default(),
            Listener::Unix(_, file) => file.address.to_string(),
        }
    }
}

/// Returns the user who connected, as the system noted it at that time.
fn unix_user(stream: &UnixStream) -> Option<UnixUser> {
    let user = stream.peer_cred().ok()?;
    Some(UnixUser {
        uid: user.uid(),
        gid: user.gid(),
        pid: user.pid(),
    })
}

/// Returns whether a problem concerns one connection and not the listener.
fn is_passing(problem: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, Interrupted, InvalidInput, WouldBlock,
    };
    // On some systems, setting an option of a connection that has ended is an invalid argument.
    matches!(
        problem.kind(),
        ConnectionAborted | ConnectionReset | Interrupted | InvalidInput | WouldBlock
    )
}

/// Returns whether a problem passes once others release resources: file descriptors, buffers,
/// memory.
pub(crate) fn is_shortage(problem: &io::Error) -> bool {
    use rustix::io::Errno;
    let shortages = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    shortages
        .iter()
        .any(|errno| problem.raw_os_error() == Some(errno.raw_os_error()))
}

/// The file of a unix socket. It is removed when the value is dropped, unless another process has
/// replaced it meanwhile.
#[derive(Debug)]
pub struct SocketFile {
    address: UnixAddress,
    inode: (u64, u64),
}

impl SocketFile {
    fn of(address: &UnixAddress) -> io::Result<SocketFile> {
        let meta = fs::symlink_metadata(&address.path)?;
        Ok(SocketFile {
            address: address.clone(),
            inode: (meta.dev(), meta.ino()),
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.address.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == self.inode);
        if ours {
            // A failure here loses nothing: the next start removes a socket on which no process
            // answers.
            let _ = fs::remove_file(&self.address.path);
        }
    }
}

#[cfg(test)]
mod tests;
