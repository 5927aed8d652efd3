//! The connection of a command to a running server: over TCP, over TLS, or over a unix socket.
//!
//! [`address`] reads where the server is and what TLS needs. What is asked there is the business of
//! [`client`](super::client) and of `audit tail`. The rule: an error says what is wrong with the
//! connection and which flag to change.

mod address;

use std::fmt;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use address::Transport;
pub(super) use address::{ServerAddress, ServerAddressError, ServerPort};
use customs_tls::client_failure::TlsClientError;
use customs_tls::client_stream::ClientStream;

/// How long the server may take to accept the connection, and for a TLS handshake.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Why there is no connection to a server, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ConnectError {
    /// The system does not connect.
    #[error("cannot reach {server}: {why}; {}", server.is_it_running())]
    Unreachable {
        /// The server.
        server: ServerName,
        /// The error of the operating system.
        #[source]
        why: io::Error,
    },
    /// The connection or the handshake takes too long.
    #[error("cannot reach {server}: no answer in time; {}", server.is_it_running())]
    Timeout {
        /// The server.
        server: ServerName,
    },
    /// Client and server do not agree on a connection over TLS.
    #[error("cannot connect to {server}: {why}; {}", advice(why, server))]
    Tls {
        /// The server.
        server: ServerName,
        /// What they do not agree on.
        #[source]
        why: TlsClientError,
    },
}

/// A server as the user wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerName {
    /// What the server does there.
    port: ServerPort,
    /// Its address, without a scheme.
    address: String,
    /// Whether a file of authorities was given.
    has_authorities: bool,
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

impl ServerName {
    fn is_it_running(&self) -> String {
        self.port.is_it_running(&self.address)
    }

    /// Returns what to do if a server may have TLS and was asked without it.
    pub(super) fn try_tls(&self) -> String {
        let (flag, address) = (self.port.flag(), &self.address);
        format!("if the server has TLS there, write `{flag} https://{address}`")
    }
}

/// Returns what to do about a failure of TLS.
fn advice(why: &TlsClientError, server: &ServerName) -> String {
    let ServerName {
        port,
        address,
        has_authorities,
    } = server;
    let flag = port.flag();
    match why {
        TlsClientError::UntrustedAuthority if *has_authorities => {
            "the file of `--ca` needs the authority that issued it".to_owned()
        }
        TlsClientError::UntrustedAuthority => {
            "name the file of its authority with `--ca FILE`".to_owned()
        }
        TlsClientError::OtherName { .. } => {
            "if it is the right server, write `--server-name` with a name of its certificate"
                .to_owned()
        }
        TlsClientError::NotValidNow(_) | TlsClientError::InvalidCertificate(_) => {
            "renew it at the server, or compare the clocks".to_owned()
        }
        TlsClientError::CertificateRequired => {
            "present one with `--certificate FILE --private-key FILE`".to_owned()
        }
        TlsClientError::CertificateRefused(_) => {
            "present another one with `--certificate` and `--private-key`; the server's log has \
             the reason"
                .to_owned()
        }
        TlsClientError::PlainText | TlsClientError::Closed => {
            format!("if the server has no TLS there, write `{flag} {address}`")
        }
        TlsClientError::ApplicationProtocol(_) => {
            format!("is this the address of {}?", port.described())
        }
        _ => "the server's log may have the reason".to_owned(),
    }
}

impl ServerAddress {
    /// Connects, with what the files of TLS hold now.
    ///
    /// # Errors
    /// Why there is no connection, and what to do.
    pub(super) async fn connect(&self) -> Result<Box<dyn ByteStream>, ConnectError> {
        self.failure.clear();
        let connecting = timeout(CONNECT_WAIT, self.stream());
        connecting.await.unwrap_or_else(|_late| {
            Err(ConnectError::Timeout {
                server: self.server.clone(),
            })
        })
    }

    async fn stream(&self) -> Result<Box<dyn ByteStream>, ConnectError> {
        let unreachable = |why| ConnectError::Unreachable {
            server: self.server.clone(),
            why,
        };
        let (address, tls) = match &self.transport {
            Transport::Unix(path) => {
                let stream = UnixStream::connect(path).await.map_err(unreachable)?;
                return Ok(Box::new(stream));
            }
            Transport::Tcp { address, tls } => (address, tls),
        };
        let stream = TcpStream::connect(address).await.map_err(unreachable)?;
        let Some(tls) = tls else {
            return Ok(Box::new(stream));
        };
        let protocol = self.server.port.protocol();
        let failed = |why| ConnectError::Tls {
            server: self.server.clone(),
            why,
        };
        let (config, name) = (tls.config(), tls.name.clone());
        let connected = ClientStream::connect(config, name, stream, self.failure.clone()).await;
        let stream =
            connected.map_err(|why| failed(TlsClientError::of_handshake(&why, protocol)))?;
        match stream.protocol() {
            Some(chosen) if chosen == protocol.as_bytes() => Ok(Box::new(stream)),
            _ => Err(failed(TlsClientError::ApplicationProtocol(
                protocol.to_owned(),
            ))),
        }
    }

    /// Returns why the last connection ended, if TLS is the reason.
    pub(super) fn tls_failure(&self) -> Option<ConnectError> {
        self.failure.tls().map(|why| ConnectError::Tls {
            server: self.server.clone(),
            why,
        })
    }
}

/// What carries bytes both ways.
pub(super) trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for S {}
