//! What a PEM file holds: a chain of certificates, a private key, authorities.
//!
//! It reads no file; [`files`](super::files) does. The rule: bytes are taken whole or refused whole,
//! and a message names the file and the kind of fault, never the bytes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore};

use crate::certificate;
use crate::files::ReadFileError;

/// Why the credentials in a file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialsError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadFileError),
    /// The text is not PEM.
    #[error("`{}` is not PEM: {fault}; write the file again", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong; never a part of the text.
        fault: &'static str,
    },
    /// PEM without what is needed.
    #[error("`{}` has no {what}: expected PEM with {label}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: &'static str,
        /// How such a part of the file begins.
        label: &'static str,
    },
    /// A private key with a password.
    #[error(
        "the private key in `{}` is encrypted: store it without a passphrase, as `openssl pkey` writes it",
        path.display()
    )]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// A certificate that cannot be read.
    #[error("certificate {number} in `{}` is invalid; issue it again", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Its number in the file, from 1.
        number: usize,
    },
    /// A private key that cannot be read or is of an unknown kind.
    #[error(
        "the private key in `{}` cannot be used: expected ECDSA (P-256 or P-384), Ed25519, or RSA of 2048 bits or more",
        path.display()
    )]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// A private key of another certificate.
    #[error(
        "the private key in `{}` does not belong to the certificate in `{}`: write both files of one pair",
        private_key.display(),
        certificate.display()
    )]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        private_key: PathBuf,
    },
    /// A certificate that is not valid any more.
    #[error("the certificate in `{}` expired at {at}: renew it", path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// When.
        at: Timestamp,
    },
    /// A certificate that is not valid yet.
    #[error(
        "the certificate in `{}` is not valid before {at}: compare the clock of this machine with that of the issuer",
        path.display()
    )]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// When it becomes valid.
        at: Timestamp,
    },
    /// The system has no authorities.
    #[error(
        "this system has no certificates of authorities: install them, or name a file of authorities"
    )]
    NoSystemAuthorities,
    /// What the files hold does not make a configuration of TLS.
    #[error("cannot configure TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// A certificate with its chain and its private key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Chain and key, as rustls takes them. Its `Debug` shows no key.
    pub key: Arc<CertifiedKey>,
    /// When the certificate becomes valid.
    pub not_before: Timestamp,
    /// When it expires.
    pub not_after: Timestamp,
}

impl Identity {
    /// Makes an identity of the bytes of both files.
    ///
    /// # Errors
    /// If either cannot be used, they do not belong together, or the certificate is not valid at
    /// this time.
    pub fn of(
        certificate: (&Path, &[u8]),
        private_key: (&Path, &[u8]),
        now: Timestamp,
        provider: &CryptoProvider,
    ) -> Result<Identity, CredentialsError> {
        let path = certificate.0;
        let chain = certificates(path, certificate.1)?;
        let (not_before, not_after) = validity(path, &chain)?;
        let key = self::private_key(private_key.0, private_key.1)?;
        let key = provider.key_provider.load_private_key(key);
        let key = key.map_err(|_| CredentialsError::Key {
            path: private_key.0.to_owned(),
        })?;
        let key = CertifiedKey::new(chain, key);
        match key.keys_match() {
            // A kind of key that does not say which public key it has is found out at a handshake.
            Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(_) => {
                return Err(CredentialsError::Mismatch {
                    certificate: path.to_owned(),
                    private_key: private_key.0.to_owned(),
                });
            }
        }
        let path = path.to_owned();
        if now > not_after {
            let at = not_after;
            return Err(CredentialsError::Expired { path, at });
        }
        if now < not_before {
            let at = not_before;
            return Err(CredentialsError::NotYetValid { path, at });
        }
        Ok(Identity {
            key: Arc::new(key),
            not_before,
            not_after,
        })
    }
}

/// Returns the certificates of a file, the first being the one that the others vouch for.
///
/// # Errors
/// If the text is not PEM or has no certificate.
pub fn certificates(
    path: &Path,
    bytes: &[u8],
) -> Result<Vec<CertificateDer<'static>>, CredentialsError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let read = read.map_err(|why| fault(path, &why))?;
    if read.is_empty() {
        return Err(CredentialsError::Missing {
            path: path.to_owned(),
            what: "certificate",
            label: "`-----BEGIN CERTIFICATE-----`",
        });
    }
    Ok(read)
}

/// Returns the first private key of a file: PKCS#8, PKCS#1 or SEC1.
///
/// # Errors
/// If the text is not PEM or has no key that can be read without a password.
pub fn private_key(path: &Path, bytes: &[u8]) -> Result<PrivateKeyDer<'static>, CredentialsError> {
    if is_encrypted(bytes) {
        return Err(CredentialsError::Encrypted {
            path: path.to_owned(),
        });
    }
    PrivateKeyDer::from_pem_slice(bytes).map_err(|why| match why {
        pem::Error::NoItemsFound => CredentialsError::Missing {
            path: path.to_owned(),
            what: "private key",
            label: "`-----BEGIN PRIVATE KEY-----`",
        },
        why => fault(path, &why),
    })
}

/// Returns the authorities of a file, all of which are trusted.
///
/// # Errors
/// If the text is not PEM, has no certificate, or one that cannot be an authority.
pub fn authorities(path: &Path, bytes: &[u8]) -> Result<RootCertStore, CredentialsError> {
    let mut roots = RootCertStore::empty();
    for (at, certificate) in certificates(path, bytes)?.into_iter().enumerate() {
        let invalid = |_| CredentialsError::Certificate {
            path: path.to_owned(),
            number: at + 1,
        };
        roots.add(certificate).map_err(invalid)?;
    }
    Ok(roots)
}

/// Returns the authorities that this system trusts. `SSL_CERT_FILE` and `SSL_CERT_DIR` say where
/// they are if they are not in their usual place.
///
/// # Errors
/// If there are none.
pub fn system_authorities() -> Result<RootCertStore, CredentialsError> {
    let mut roots = RootCertStore::empty();
    // Bundles have old authorities that rustls cannot use. They are left out.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    match roots.is_empty() {
        true => Err(CredentialsError::NoSystemAuthorities),
        false => Ok(roots),
    }
}

/// Returns from when and until when the first certificate of a chain is valid.
fn validity(
    path: &Path,
    chain: &[CertificateDer<'static>],
) -> Result<(Timestamp, Timestamp), CredentialsError> {
    let invalid = || CredentialsError::Certificate {
        path: path.to_owned(),
        number: 1,
    };
    let first = chain.first().ok_or_else(invalid)?;
    certificate::validity(first).map_err(|_| invalid())
}

fn is_encrypted(bytes: &[u8]) -> bool {
    let has = |line: &[u8]| bytes.windows(line.len()).any(|some| some == line);
    has(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || has(b"Proc-Type: 4,ENCRYPTED")
}

/// Returns a fault of the text. The parser's own message quotes the line, which may be a key whose
/// line feeds were lost.
fn fault(path: &Path, why: &pem::Error) -> CredentialsError {
    let fault = match why {
        pem::Error::MissingSectionEnd { .. } => "a part that begins has no line that ends it",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line has more in it than its label",
        pem::Error::Base64Decode(_) => "a part is not base64",
        _ => "it cannot be read",
    };
    CredentialsError::Pem {
        path: path.to_owned(),
        fault,
    }
}

#[cfg(test)]
mod tests;
