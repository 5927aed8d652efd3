//! Where the service listens: TCP addresses and unix sockets. An address is first reserved, so that
//! an unavailable one is reported before anything else happens. It is opened once connections there
//! will be served.
//!
//! A unix socket is a file, so this module may use the file system. It replaces a stale socket only
//! if no process answers on it, and removes its own socket at the end.

use std::fmt;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixSocket, lookup_host};
use tokio::time::sleep;

/// How many connections may wait to be accepted: more than the standard library's default.
const BACKLOG: u32 = 1024;
/// The pause before accepting again after a resource ran short.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(50);

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// `HOST:PORT`
    Tcp(String),
    /// `unix:PATH`
    Unix(PathBuf),
}

/// Why a text is not an address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseAddressError {
    /// `unix:` without a path.
    #[error("`unix:` needs a path: `unix:/run/customs.sock`")]
    NoPath,
    /// Neither a host with a port nor a unix socket.
    #[error("invalid address `{0}`: expected `127.0.0.1:9191`, `[::1]:9191` or `unix:PATH`")]
    Unknown(String),
}

impl FromStr for Address {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(ParseAddressError::NoPath)
            } else {
                Ok(Address::Unix(path.into()))
            };
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
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
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
            Address::Unix(path) => {
                self.clear_stale(path).await?;
                let socket = UnixSocket::new_stream().map_err(failed)?;
                socket.bind(path).map_err(failed)?;
                Ok(Reserved::Unix(
                    self.clone(),
                    socket,
                    SocketFile::of(path).map_err(failed)?,
                ))
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
        match tokio::net::UnixStream::connect(path).await {
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
            Reserved::Unix(_, _, file) => format!("unix:{}", file.path.display()),
        }
    }
}

/// An accepted connection that does not belong to a runtime yet.
#[derive(Debug)]
pub enum Accepted {
    /// Over TCP, with the peer's address.
    Tcp(std::net::TcpStream, SocketAddr),
    /// Over a unix socket.
    Unix(std::os::unix::net::UnixStream),
}

impl Listener {
    /// Waits for a connection. A connection that ended before it was accepted is skipped. If the
    /// process or the system has too many open files, this waits until some are closed.
    ///
    /// # Errors
    /// If this listener will accept nothing more.
    pub async fn accept(&self) -> io::Result<Accepted> {
        loop {
            let accepted = match self {
                Listener::Tcp(listener) => listener
                    .accept()
                    .await
                    .and_then(|(stream, peer)| tcp(stream, peer)),
                Listener::Unix(listener, _) => listener
                    .accept()
                    .await
                    .and_then(|(stream, _)| stream.into_std())
                    .map(Accepted::Unix),
            };
            match accepted {
                Err(problem) if is_passing(&problem) => {}
                Err(problem) if is_shortage(&problem) => {
                    tracing::warn!(%problem, "a connection cannot be accepted; it is tried again");
                    sleep(SHORTAGE_PAUSE).await;
                }
                done => return done,
            }
        }
    }

    /// Returns the bound address, with the port that the system chose.
    pub fn local(&self) -> String {
        match self {
            Listener::Tcp(listener) => listener
                .local_addr()
                .map(|a| a.to_string())
                .unwrap_or_default(),
            Listener::Unix(_, file) => format!("unix:{}", file.path.display()),
        }
    }
}

/// Accepts a TCP stream without Nagle's delay: an answer is one small write, which must not wait
/// for another.
fn tcp(stream: TcpStream, peer: SocketAddr) -> io::Result<Accepted> {
    stream.set_nodelay(true)?;
    Ok(Accepted::Tcp(stream.into_std()?, peer))
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
fn is_shortage(problem: &io::Error) -> bool {
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
    path: PathBuf,
    inode: (u64, u64),
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<SocketFile> {
        let meta = fs::symlink_metadata(path)?;
        Ok(SocketFile {
            path: path.to_owned(),
            inode: (meta.dev(), meta.ino()),
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|meta| (meta.dev(), meta.ino()) == self.inode);
        if ours {
            // A failure here loses nothing: the next start removes a socket on which no process
            // answers.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_tcp_or_unix() {
        for (text, shown) in [
            ("127.0.0.1:9191", "127.0.0.1:9191"),
            ("[::1]:0", "[::1]:0"),
            ("localhost:9191", "localhost:9191"),
            ("unix:/run/x.sock", "unix:/run/x.sock"),
            ("unix:///run/x.sock", "unix:/run/x.sock"),
            ("unix:x.sock", "unix:x.sock"),
        ] {
            assert_eq!(
                text.parse::<Address>().map(|a| a.to_string()),
                Ok(shown.to_owned())
            );
        }
        for text in [
            "",
            "9191",
            ":9191",
            "localhost",
            "localhost:http",
            "localhost:70000",
            "unix:",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_not_open() {
        let dir = tempfile::tempdir().unwrap();
        let unix = Address::Unix(dir.path().join("c.sock"));
        for address in [
            Address::Tcp("127.0.0.1:0".into()),
            Address::Tcp("localhost:0".into()),
            unix,
        ] {
            let reserved = address.reserve().await.unwrap();
            let local: Address = reserved.local().parse().unwrap();
            let connects = async || match &local {
                Address::Tcp(local) => TcpStream::connect(local).await.map(drop),
                Address::Unix(path) => tokio::net::UnixStream::connect(path).await.map(drop),
            };
            assert_eq!(
                connects().await.unwrap_err().kind(),
                io::ErrorKind::ConnectionRefused,
                "{local}"
            );
            let listener = reserved.open().unwrap();
            assert_eq!(listener.local(), local.to_string());
            connects().await.unwrap();
            assert!(
                matches!(local.bind().await, Err(BindError::InUse { .. })),
                "{local}"
            );
        }
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.sock");
        let address = Address::Unix(path.clone());
        let live = address.bind().await.unwrap();
        assert!(matches!(address.bind().await, Err(BindError::InUse { .. })));
        drop(live);
        assert!(!path.exists());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        address.bind().await.unwrap();
        std::fs::write(&path, "x").unwrap();
        assert!(matches!(
            address.bind().await,
            Err(BindError::NotASocket { .. })
        ));
    }
}
