//! What a client needs for TLS, out of files that may change: whom it trusts, and what it presents.
//!
//! It connects to nothing. The rule: a change is taken whole or refused whole, and what was refused
//! leaves the last good files in use.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::sign::SingleCertAndKey;

pub use rustls::ClientConfig;

use crate::certificate::CertificateSummary;
use crate::files;
use crate::pem::{self, CredentialsError, Identity};

/// The files of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFiles {
    /// The authorities that may vouch for the server; `None` trusts those of the system.
    pub authorities: Option<PathBuf>,
    /// What the client presents, if the server asks for it.
    pub identity: Option<IdentityFiles>,
}

/// The files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The certificate, followed by those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
}

/// What the files hold: authorities, certificate, private key.
#[derive(PartialEq, Eq)]
struct Contents {
    authorities: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

/// The side of a client, with the last good files.
pub struct ClientTls {
    files: ClientFiles,
    protocol: &'static [u8],
    /// The system's authorities, if there is no file of them. They are read once.
    system: Option<Arc<RootCertStore>>,
    contents: Contents,
    config: Arc<ClientConfig>,
    certificate: Option<CertificateSummary>,
}

/// What [`ClientTls::refresh`] found.
#[derive(Debug)]
pub enum Refresh {
    /// The files hold what is in use.
    Unchanged,
    /// They hold something else, which is in use from now on.
    Replaced,
    /// They hold something that cannot be used; the last good files stay in use.
    Refused(CredentialsError),
}

impl ClientTls {
    /// Reads the files. `protocol` is the one that the client asks for by ALPN.
    ///
    /// # Errors
    /// Why they cannot be used, and what to do.
    pub fn open(
        files: ClientFiles,
        protocol: &'static [u8],
    ) -> Result<ClientTls, CredentialsError> {
        let system = match files.authorities {
            Some(_) => None,
            None => Some(Arc::new(pem::system_authorities()?)),
        };
        let contents = Contents::read(&files)?;
        let (config, certificate) = contents.configure(&files, system.as_ref(), protocol)?;
        Ok(ClientTls {
            files,
            protocol,
            system,
            contents,
            config,
            certificate,
        })
    }

    /// Reads the files again. What is in them counts once two reads agree, since a certificate and
    /// its key may be replaced between one read and the next.
    pub fn refresh(&mut self) -> Refresh {
        let contents = match Contents::read(&self.files) {
            Ok(contents) if contents == self.contents => return Refresh::Unchanged,
            Ok(contents) => contents,
            Err(why) => return Refresh::Refused(why),
        };
        match Contents::read(&self.files) {
            Ok(again) if again == contents => {}
            Ok(_) => return Refresh::Unchanged,
            Err(why) => return Refresh::Refused(why),
        }
        match contents.configure(&self.files, self.system.as_ref(), self.protocol) {
            Ok((config, certificate)) => {
                self.contents = contents;
                (self.config, self.certificate) = (config, certificate);
                Refresh::Replaced
            }
            Err(why) => Refresh::Refused(why),
        }
    }

    /// Returns the configuration for the next connection.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }

    /// Returns the certificate in use, if there is one.
    pub fn certificate(&self) -> Option<&CertificateSummary> {
        self.certificate.as_ref()
    }
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientTls")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

impl Contents {
    fn read(files: &ClientFiles) -> Result<Contents, CredentialsError> {
        let authorities = files.authorities.as_deref().map(files::read).transpose()?;
        let identity = match &files.identity {
            Some(identity) => Some((
                files::read(&identity.certificate)?,
                files::read(&identity.private_key)?,
            )),
            None => None,
        };
        Ok(Contents {
            authorities,
            identity,
        })
    }

    fn configure(
        &self,
        files: &ClientFiles,
        system: Option<&Arc<RootCertStore>>,
        protocol: &[u8],
    ) -> Result<(Arc<ClientConfig>, Option<CertificateSummary>), CredentialsError> {
        let provider = Arc::new(ring::default_provider());
        let roots = match (&files.authorities, &self.authorities, system) {
            (Some(path), Some(bytes), _) => Arc::new(pem::authorities(path, bytes)?),
            (_, _, Some(system)) => system.clone(),
            _ => return Err(CredentialsError::NoSystemAuthorities),
        };
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots);
        let (mut config, certificate) = match (&files.identity, &self.identity) {
            (Some(paths), Some((certificate, private_key))) => {
                let certificate = (paths.certificate.as_path(), certificate.as_slice());
                let private_key = (paths.private_key.as_path(), private_key.as_slice());
                let now = Timestamp::now();
                let identity = Identity::of(certificate, private_key, now, &provider)?;
                let invalid = || CredentialsError::Certificate {
                    path: paths.certificate.clone(),
                    number: 1,
                };
                let first = identity.key.cert.first().ok_or_else(invalid)?;
                let summary = CertificateSummary::read(first).map_err(|_| invalid())?;
                let resolver = SingleCertAndKey::from(identity.key);
                let config = builder.with_client_cert_resolver(Arc::new(resolver));
                (config, Some(summary))
            }
            _ => (builder.with_no_client_auth(), None),
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok((Arc::new(config), certificate))
    }
}

#[cfg(test)]
mod tests;
