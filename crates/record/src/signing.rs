//! The keys of checkpoints: one that signs them, and those that verify signatures.
//!
//! It reads keys and verifies signatures; other modules say what a checkpoint holds and whether it
//! is true. The rule: the signed text is plain and begins with its purpose, so that a signature is
//! valid for nothing else, and the text can be rebuilt from a record with a shell and openssl.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use ed25519_dalek::pkcs8::{DecodePrivateKey, DecodePublicKey};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::timestamp;
use crate::CheckpointEntry;
use crate::plain_file;

/// The fields of a checkpoint that are signed.
#[derive(Clone, Copy, Debug)]
pub struct SignedFields<'c> {
    /// The stream that it covers.
    pub stream: &'c str,
    /// How many records it had.
    pub records: u64,
    /// The chain of the last of them, as in the record.
    pub head: &'c str,
    /// The time, as in the record.
    pub time: &'c str,
    /// Whether it is the last checkpoint of its stream.
    pub is_final: bool,
}

impl SignedFields<'_> {
    /// Returns the text that is signed.
    pub fn text(&self) -> String {
        let SignedFields {
            stream,
            records,
            head,
            time,
            is_final,
        } = self;
        let end = if *is_final { "final" } else { "open" };
        format!("customs audit checkpoint v1\n{stream}\n{records}\n{head}\n{time}\n{end}\n")
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningKeyError {
    /// The file cannot be read.
    #[error("cannot read the key `{}`: {problem}; {advice}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        problem: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// The file does not hold a private key of the right kind.
    #[error(
        "`{}` is not an Ed25519 private key in PEM (PKCS#8): {why}; make one with \
         `openssl genpkey -algorithm ed25519 -out {}`", path.display(), path.display()
    )]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
    /// The file does not hold a public key of the right kind.
    #[error(
        "`{}` is not an Ed25519 public key in PEM: {why}; make it from the private key with \
         `openssl pkey -in PRIVATE.pem -pubout -out PUBLIC.pem`", path.display()
    )]
    NotPublic {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: &'static str,
    },
}

/// Signs checkpoints.
pub struct Signer {
    key: SigningKey,
    id: String,
}

impl std::fmt::Debug for Signer {
    /// Shows the key's id and nothing else.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signer({})", self.id)
    }
}

impl Signer {
    /// Reads the private key of a PEM file. A file that every user can read is used, with a
    /// warning.
    ///
    /// # Errors
    /// Why it cannot be used, and how to make one.
    pub fn read(path: &Path) -> Result<Signer, SigningKeyError> {
        let text = read(
            path,
            "name the file of the private key, and let the user that runs customs read it",
        )?;
        let not = |why| SigningKeyError::NotPrivate {
            path: path.to_owned(),
            why,
        };
        let key = SigningKey::from_pkcs8_pem(&text).map_err(|_| not(what_it_is(&text)))?;
        let is_open = fs::metadata(path).is_ok_and(|about| about.permissions().mode() & 0o007 != 0);
        if is_open {
            tracing::warn!(
                file = %path.display(),
                "everybody on this machine can use the audit's signing key; run `chmod o= {}`", path.display()
            );
        }
        let id = id(&key.verifying_key());
        Ok(Signer { key, id })
    }

    /// Signs a checkpoint.
    pub fn sign(&self, checkpoint: &mut CheckpointEntry) {
        let time = timestamp::text(checkpoint.time);
        let sealed = SignedFields {
            stream: &checkpoint.sealed.stream,
            records: checkpoint.sealed.sequence,
            head: &checkpoint.sealed.chain,
            time: &time,
            is_final: checkpoint.last,
        };
        checkpoint.signature = HEXLOWER.encode(&self.key.sign(sealed.text().as_bytes()).to_bytes());
        checkpoint.key.clone_from(&self.id);
    }
}

/// Verifies signatures.
#[derive(Clone, Debug)]
pub struct Verifier {
    key: VerifyingKey,
    id: String,
}

impl Verifier {
    /// Reads the public key of a PEM file.
    ///
    /// # Errors
    /// Why it cannot be used, and how to make one.
    pub fn read(path: &Path) -> Result<Verifier, SigningKeyError> {
        let text = read(path, "name the file of the public key")?;
        let not = |why| SigningKeyError::NotPublic {
            path: path.to_owned(),
            why,
        };
        let key = VerifyingKey::from_public_key_pem(&text).map_err(|_| not(what_it_is(&text)))?;
        let id = id(&key);
        Ok(Verifier { key, id })
    }

    /// Returns the key's id in records.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns whether this key made the signature of these fields.
    pub fn is_valid(&self, sealed: &SignedFields<'_>, signature: &str) -> bool {
        let signature = HEXLOWER
            .decode(signature.as_bytes())
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok());
        signature.is_some_and(|signature| {
            self.key
                .verify_strict(sealed.text().as_bytes(), &signature)
                .is_ok()
        })
    }
}

/// The largest file of a key.
const MAX_KEY: usize = 64 * 1024;

fn read(path: &Path, advice: &'static str) -> Result<String, SigningKeyError> {
    // A key in a FIFO would block the start.
    let bytes = plain_file::read(path, MAX_KEY);
    let bytes = bytes.map_err(|problem| SigningKeyError::Unreadable {
        path: path.to_owned(),
        problem,
        advice,
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Says what a file seems to be that does not hold the expected key.
fn what_it_is(text: &str) -> &'static str {
    let has = |label: &str| text.contains(&format!("-----BEGIN {label}-----"));
    match () {
        () if has("PUBLIC KEY") => "it holds a public key",
        () if has("PRIVATE KEY") => "it holds a private key",
        () if has("ENCRYPTED PRIVATE KEY") => "its key is encrypted",
        () if has("OPENSSH PRIVATE KEY") => "it holds a key of SSH",
        () if has("CERTIFICATE") => "it holds a certificate",
        () => "it holds no key in PEM",
    }
}

/// Returns the first 16 digits of the SHA-256 of a public key.
fn id(key: &VerifyingKey) -> String {
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    HEXLOWER.encode(digest.first_chunk::<8>().unwrap_or(&[0; 8]))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::entry::audit_log::Position;
    use customs_engine::time::UnixNanos;

    /// Made by `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout`.
    pub(crate) const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIAdS0Homne5lzp0W4mMxLVU9Z6/COxB7cjBXU06vAdDz\n-----END PRIVATE KEY-----\n";
    pub(crate) const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAxlinbPcqswNA6z8BfYASqOIf41ikRHhgBMtGCgzcZdw=\n-----END PUBLIC KEY-----\n";

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    fn checkpoint() -> CheckpointEntry {
        CheckpointEntry {
            time: UnixNanos(1_795_435_200_123_456_789),
            sealed: Position {
                stream: "s".into(),
                sequence: 7,
                chain: "0".repeat(64),
            },
            last: true,
            key: String::new(),
            signature: String::new(),
        }
    }

    #[test]
    fn a_signature_is_right_for_what_was_signed_alone() {
        let (private, public) = (file(PRIVATE), file(PUBLIC));
        let mut signed = checkpoint();
        Signer::read(private.path()).unwrap().sign(&mut signed);
        let verifier = Verifier::read(public.path()).unwrap();
        assert_eq!(
            (verifier.id(), verifier.id().len(), signed.signature.len()),
            (signed.key.as_str(), 16, 128)
        );
        let (time, head) = (timestamp::text(signed.time), "0".repeat(64));
        let fields = SignedFields {
            stream: "s",
            records: 7,
            head: &head,
            time: &time,
            is_final: true,
        };
        assert!(verifier.is_valid(&fields, &signed.signature));
        for other in [
            SignedFields {
                stream: "t",
                ..fields
            },
            SignedFields {
                records: 8,
                ..fields
            },
            SignedFields {
                head: &"1".repeat(64),
                ..fields
            },
            SignedFields {
                time: "2026",
                ..fields
            },
            SignedFields {
                is_final: false,
                ..fields
            },
        ] {
            assert!(!verifier.is_valid(&other, &signed.signature), "{other:?}");
        }
        for bad in ["", "00", &"0".repeat(128), &signed.signature.to_uppercase()] {
            assert!(!verifier.is_valid(&fields, bad), "{bad}");
        }
    }

    #[test]
    fn a_file_without_a_key_is_reported_with_the_command_that_makes_one() {
        let private = |text: &str| Signer::read(file(text).path()).unwrap_err().to_string();
        let public = |text: &str| Verifier::read(file(text).path()).unwrap_err().to_string();
        for (why, expected) in [
            (
                private(PUBLIC),
                "it holds a public key; make one with `openssl genpkey -algorithm ed25519",
            ),
            (private("hello"), "it holds no key in PEM"),
            (
                private("-----BEGIN CERTIFICATE-----"),
                "it holds a certificate",
            ),
            (
                public(PRIVATE),
                "it holds a private key; make it from the private key with `openssl pkey",
            ),
            (public(""), "it holds no key in PEM"),
        ] {
            assert!(why.contains(expected), "{why}");
        }
        let missing = Signer::read(Path::new("/nonexistent/key.pem"))
            .unwrap_err()
            .to_string();
        assert!(
            missing.contains("cannot read the key `/nonexistent/key.pem`"),
            "{missing}"
        );
    }

    #[test]
    fn a_signer_shows_nothing_of_its_key() {
        let shown = format!("{:?}", Signer::read(file(PRIVATE).path()).unwrap());
        assert!(
            shown.starts_with("Signer(") && shown.len() == "Signer()".len() + 16,
            "{shown}"
        );
    }
}
