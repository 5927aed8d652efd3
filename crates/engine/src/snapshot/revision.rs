//! The revision of a set: a hash over everything that can change a verdict.

use std::fmt;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::settings::Settings;

/// A hash over the policy files in force and every setting that can change a verdict: equal
/// revision, equal answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision(Arc<str>);

impl Revision {
    /// Hashes the settings and, for each source in order, what it is bound to and each file's name
    /// and digest. The place of a source and the spelling of its path are not part of it.
    pub fn of<'a, F: Iterator<Item = (&'a str, &'a [u8; 32])>>(
        settings: &Settings,
        sources: impl Iterator<Item = (String, F)>,
    ) -> Revision {
        Revision::of_fingerprint(&settings.fingerprint(), sources)
    }

    /// Hashes the same with the settings as their [fingerprint](Settings::fingerprint), which a
    /// version of customs with other settings may have written.
    pub fn of_fingerprint<'a, F: Iterator<Item = (&'a str, &'a [u8; 32])>>(
        fingerprint: &str,
        sources: impl Iterator<Item = (String, F)>,
    ) -> Revision {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(fingerprint.as_bytes());
        for (binding, files) in sources {
            // No file has an empty name, so this begins a source.
            part(&[]);
            part(binding.as_bytes());
            for (name, digest) in files {
                part(name.as_bytes());
                part(digest);
            }
        }
        // Half of the digest.
        Revision(format!("{:.32}", HEXLOWER.encode(&hash.finalize())).into())
    }

    /// The revision before anything was loaded.
    pub fn none() -> Revision {
        Revision("none".into())
    }

    /// The text, which others may keep.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }

    /// The text: 32 hexadecimal digits, or `none`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
