//! What a server needs for TLS, out of files that may change: what it presents, and which clients
//! it accepts.
//!
//! It listens to nothing. The rules:
//!
//! - A change is taken whole or refused whole, and what was refused leaves the last good files in
//!   use. A handshake uses one state of the files from its first byte to its last.
//! - Sessions are never resumed, neither by tickets nor by stored state. A resumed session skips
//!   the verification of the client's certificate, so a withdrawn authority, a changed list or an
//!   expired certificate would be passed. A proxy keeps its connections for long, so full
//!   handshakes are few.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

use crate::certificate::CertificateSummary;
use crate::client_ids::ClientIdPattern;
use crate::client_verifier::ClientVerifier;
use crate::files;
use crate::pem::{self, CredentialsError, Identity};

/// How often two reads are compared before the files count as being written to.
const STABLE_ATTEMPTS: u32 = 5;

/// The files of a server, and what applies to it whatever they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerOptions {
    /// The certificate, followed by those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
    /// The authorities that must vouch for a client; `None` asks clients for no certificate.
    pub client_authorities: Option<PathBuf>,
    /// The ids of the clients that may connect; an empty list permits each client for which the
    /// authorities vouch.
    pub client_ids: Vec<ClientIdPattern>,
    /// The oldest version of TLS.
    pub min_version: MinVersion,
    /// The protocol within TLS.
    pub protocol: ApplicationProtocol,
}

/// The oldest version of TLS that is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2, for clients that have nothing newer.
    Tls12,
    /// TLS 1.3.
    #[default]
    Tls13,
}

/// The protocol within TLS, which a client must name (ALPN).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationProtocol {
    /// `h2`, which gRPC runs over.
    Http2,
    /// `http/1.1`.
    Http1,
}

impl ApplicationProtocol {
    /// Returns the name that clients send.
    pub fn as_str(self) -> &'static str {
        match self {
            ApplicationProtocol::Http2 => "h2",
            ApplicationProtocol::Http1 => "http/1.1",
        }
    }
}

/// What the files hold.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    private_key: Vec<u8>,
    client_authorities: Option<Vec<u8>>,
}

/// What is in use, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse {
    /// The server's own certificate.
    pub certificate: CertificateSummary,
    /// When the first of the authorities of clients expires that was valid when they were read.
    pub client_authorities_end: Option<Timestamp>,
}

/// The side of a server, with the last good files.
pub struct ServerTls {
    options: ServerOptions,
    contents: Contents,
    refused: Option<Refused>,
    in_use: InUse,
    config: CurrentConfig,
}

/// What was refused last.
#[derive(PartialEq, Eq)]
enum Refused {
    Contents(Contents),
    /// Why the files could not be read.
    Unreadable(String),
}

/// What a handshake that begins now uses. Clones share it with [`ServerTls`].
#[derive(Clone, Debug)]
pub struct CurrentConfig {
    config: Arc<ArcSwap<ServerConfig>>,
    protocol: ApplicationProtocol,
}

impl CurrentConfig {
    /// Returns it.
    pub fn load(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// Returns the protocol within TLS.
    pub fn protocol(&self) -> ApplicationProtocol {
        self.protocol
    }
}

/// What [`ServerTls::refresh`] found.
#[derive(Debug)]
pub enum ServerRefresh {
    /// The files hold what is in use.
    Unchanged,
    /// They hold something else, which is in use from now on.
    Replaced,
    /// They hold something that cannot be used; the last good files stay in use.
    Refused(CredentialsError),
    /// They hold what was refused before.
    StillRefused,
    /// They are being written to.
    Restless,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// Why they cannot be used, and what to do.
    pub fn open(options: ServerOptions) -> Result<ServerTls, CredentialsError> {
        let contents = Contents::read(&options)?;
        let (config, in_use) = contents.configure(&options, Timestamp::now())?;
        let config = CurrentConfig {
            config: Arc::new(ArcSwap::from_pointee(config)),
            protocol: options.protocol,
        };
        Ok(ServerTls {
            options,
            contents,
            refused: None,
            in_use,
            config,
        })
    }

    /// Reads the files again, until two reads with a pause between them agree: a certificate and
    /// its key may be replaced between one read and the next. Blocks.
    pub fn refresh(&mut self, pause: Duration) -> ServerRefresh {
        let mut last = None;
        for _ in 0..=STABLE_ATTEMPTS {
            let read = Contents::read(&self.options);
            match (read, last.take()) {
                (Ok(now), None) if now == self.contents => return self.take(now),
                (Ok(now), Some(Ok(before))) if now == before => return self.take(now),
                (Err(why), Some(Err(_))) => {
                    let refused = Refused::Unreadable(why.to_string());
                    return self.refuse(refused, why.into());
                }
                (read, _) => last = Some(read),
            }
            thread::sleep(pause);
        }
        ServerRefresh::Restless
    }

    fn take(&mut self, contents: Contents) -> ServerRefresh {
        if contents == self.contents {
            self.refused = None;
            return ServerRefresh::Unchanged;
        }
        // What was refused is tried again: a certificate becomes valid without a change.
        match contents.configure(&self.options, Timestamp::now()) {
            Ok((config, in_use)) => {
                self.config.config.store(Arc::new(config));
                (self.contents, self.in_use, self.refused) = (contents, in_use, None);
                ServerRefresh::Replaced
            }
            Err(why) => self.refuse(Refused::Contents(contents), why),
        }
    }

    fn refuse(&mut self, refused: Refused, why: CredentialsError) -> ServerRefresh {
        let refused = Some(refused);
        if self.refused == refused {
            return ServerRefresh::StillRefused;
        }
        self.refused = refused;
        ServerRefresh::Refused(why)
    }

    /// Returns what handshakes use, now and after each change.
    pub fn config(&self) -> CurrentConfig {
        self.config.clone()
    }

    /// Returns what is in use.
    pub fn in_use(&self) -> &InUse {
        &self.in_use
    }

    /// Returns the files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let ServerOptions {
            certificate,
            private_key,
            client_authorities,
            ..
        } = &self.options;
        [
            Some(certificate),
            Some(private_key),
            client_authorities.as_ref(),
        ]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
    }
}

/// Without what the files hold.
impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTls")
            .field("options", &self.options)
            .field("in_use", &self.in_use)
            .finish_non_exhaustive()
    }
}

impl Contents {
    fn read(options: &ServerOptions) -> Result<Contents, files::ReadFileError> {
        let authorities = options.client_authorities.as_deref();
        Ok(Contents {
            certificate: files::read(&options.certificate)?,
            private_key: files::read(&options.private_key)?,
            client_authorities: authorities.map(files::read).transpose()?,
        })
    }

    fn configure(
        &self,
        options: &ServerOptions,
        now: Timestamp,
    ) -> Result<(ServerConfig, InUse), CredentialsError> {
        const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
        let versions = match options.min_version {
            MinVersion::Tls13 => VERSIONS.get(..1),
            MinVersion::Tls12 => VERSIONS.get(..),
        };
        let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
        let certificate = (options.certificate.as_path(), self.certificate.as_slice());
        let private_key = (options.private_key.as_path(), self.private_key.as_slice());
        let identity = Identity::of(certificate, private_key, now, &provider)?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions.unwrap_or_default())?;
        let (builder, client_authorities_end) =
            match (&options.client_authorities, &self.client_authorities) {
                (Some(path), Some(bytes)) => {
                    let (roots, end) = authorities(path, bytes, now)?;
                    let ids = options.client_ids.clone();
                    let verifier = ClientVerifier::new(roots, ids, provider)
                        .map_err(|why| rustls::Error::General(why.to_string()))?;
                    (
                        builder.with_client_cert_verifier(Arc::new(verifier)),
                        Some(end),
                    )
                }
                _ => (builder.with_no_client_auth(), None),
            };
        let summary = summary(&options.certificate, &identity)?;
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity.key)));
        config.alpn_protocols = vec![options.protocol.as_str().into()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        let in_use = InUse {
            certificate: summary,
            client_authorities_end,
        };
        Ok((config, in_use))
    }
}

fn summary(path: &Path, identity: &Identity) -> Result<CertificateSummary, CredentialsError> {
    let invalid = || CredentialsError::Certificate {
        path: path.to_owned(),
        number: 1,
    };
    let certificate = identity.key.cert.first().ok_or_else(invalid)?;
    CertificateSummary::read(certificate).map_err(|_| invalid())
}

/// Returns the authorities of a file, and when the first of those expires that are valid now. At
/// least one must be.
fn authorities(
    path: &Path,
    bytes: &[u8],
    now: Timestamp,
) -> Result<(Arc<RootCertStore>, Timestamp), CredentialsError> {
    let roots = pem::authorities(path, bytes)?;
    let mut ends = Vec::new();
    for (at, certificate) in pem::certificates(path, bytes)?.iter().enumerate() {
        let summary =
            CertificateSummary::read(certificate).map_err(|_| CredentialsError::Certificate {
                path: path.to_owned(),
                number: at + 1,
            })?;
        ends.push(summary.not_after);
    }
    match ends.iter().filter(|end| **end >= now).min() {
        Some(end) => Ok((Arc::new(roots), *end)),
        None => Err(CredentialsError::Expired {
            path: path.to_owned(),
            at: ends.into_iter().max().unwrap_or(Timestamp::MIN),
        }),
    }
}

#[cfg(test)]
mod tests;
