//! Hashes or leaves out what the settings keep out of the audit log: the caller, the path, the
//! addresses.
//!
//! It does not decide what is recorded; it only removes. The rules: an entry from which nothing is
//! removed is the very same entry, at no cost; `redacted` names what was removed; equal texts have
//! equal hashes under one key, so that records can still be counted and joined.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

use customs_record::fields::{Redactable, RedactionClass};
use customs_record::plain_file;
use customs_record::{
    DecisionEntry, DecisionRecord, Entry, HeaderEntry, QuestionEntry, RefusalsEntry,
};

/// The fewest bytes of a key.
pub const MIN_KEY: usize = 16;
/// The most bytes of a key: a larger file is not a key.
const MAX_KEY: usize = 64 * 1024;

/// Headers whose values are addresses of clients.
const ADDRESSES: &[&str] = &[
    "x-forwarded-for",
    "x-real-ip",
    "x-envoy-external-address",
    "forwarded",
];

/// What happens to a field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Redaction {
    /// It is recorded.
    #[default]
    Keep,
    /// Its keyed hash is recorded.
    Hash,
    /// It is left out.
    Drop,
}

/// What is removed from records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedactConfig {
    /// The fields of the class [`RedactionClass::Principal`].
    pub principal: Redaction,
    /// The fields of the class [`RedactionClass::Path`].
    pub path: Redaction,
    /// The fields of the class [`RedactionClass::Address`], the addresses of clients in headers,
    /// and the client that asked a question or was refused.
    pub address: Redaction,
    /// A file with the key of the hashes; without one each process draws its own.
    pub key: Option<PathBuf>,
}

impl RedactConfig {
    fn ways(&self) -> [Redaction; 3] {
        [self.principal, self.path, self.address]
    }

    /// Returns what happens to the fields of a class.
    fn way(&self, class: RedactionClass) -> Redaction {
        match class {
            RedactionClass::None => Redaction::Keep,
            RedactionClass::Principal => self.principal,
            RedactionClass::Path => self.path,
            RedactionClass::Address => self.address,
        }
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedactKeyError {
    /// The file cannot be read.
    #[error(
        "audit_log.redact.key: cannot read {path}: {why}; make one with `head -c 32 /dev/urandom | base64 > {path}`"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// The error of the system.
        #[source]
        why: std::io::Error,
    },
    /// The key is short enough to be guessed.
    #[error(
        "audit_log.redact.key: {path} holds {bytes} bytes, and a key needs at least {MIN_KEY}; make one with \
         `head -c 32 /dev/urandom | base64 > {path}`"
    )]
    Short {
        /// The file.
        path: String,
        /// The number of its bytes.
        bytes: usize,
    },
}

/// Removes from entries what the settings name.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    config: RedactConfig,
    /// `None` only if nothing is hashed.
    hash: Option<KeyedHash>,
}

impl Redactor {
    /// Reads the key, or draws one, if something is hashed.
    ///
    /// # Errors
    /// If the key's file cannot be read or is too short.
    pub fn new(config: RedactConfig) -> Result<Redactor, RedactKeyError> {
        let hashes = config.ways().contains(&Redaction::Hash);
        let hash = match &config.key {
            Some(path) if hashes => {
                let name = path.display().to_string();
                let text =
                    plain_file::read(path, MAX_KEY).map_err(|why| RedactKeyError::Unreadable {
                        path: name.clone(),
                        why,
                    })?;
                // Editors and `echo` end a file with a line feed, which is not meant to be part of
                // the key.
                let key = text.trim_ascii_end();
                if key.len() < MIN_KEY {
                    return Err(RedactKeyError::Short {
                        path: name,
                        bytes: key.len(),
                    });
                }
                Some(KeyedHash::new(key))
            }
            None if hashes => Some(KeyedHash::new(
                &[Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat(),
            )),
            _ => None,
        };
        Ok(Redactor { config, hash })
    }

    /// Returns the entry without what the settings remove; the same entry if that is nothing.
    pub fn redact(&self, entry: Entry) -> Entry {
        if self.config.ways() == [Redaction::Keep; 3] {
            return entry;
        }
        match entry {
            Entry::Decision(decision) => {
                Entry::Decision(self.decision(&decision).map_or(decision, Arc::from))
            }
            Entry::Question(question) => {
                Entry::Question(self.question(&question).map_or(question, Arc::new))
            }
            Entry::Refusals(refusals) => {
                Entry::Refusals(self.refusals(&refusals).map_or(refusals, Arc::new))
            }
            // These are about the server and about policies, not about a caller.
            entry @ (Entry::PolicyChange(_)
            | Entry::GrantExpired(_)
            | Entry::Start(_)
            | Entry::Stop(_)
            | Entry::Withheld(_)
            | Entry::CallerGone(_)
            | Entry::Stream(_)
            | Entry::Gap(_)
            | Entry::Lag(_)
            | Entry::Checkpoint(_)) => entry,
        }
    }

    /// Returns `None` if nothing is removed.
    fn decision(&self, decision: &DecisionRecord) -> Option<DecisionEntry> {
        let (mut entry, mut taken) = (decision.unpacked(), Vec::new());
        entry.visit_redactable(|name, class, value| {
            if self.hide(self.config.way(class), value) {
                taken.push(name);
            }
        });
        let is_address = |header: &HeaderEntry| ADDRESSES.contains(&header.name.as_str());
        if entry.optional().headers.iter().any(is_address) {
            for header in entry
                .optional_mut()
                .headers
                .iter_mut()
                .filter(|header| is_address(header))
            {
                if let Some(hidden) = self.hidden(self.config.address, &header.value) {
                    header.value = hidden;
                    taken.push("headers");
                }
            }
        }
        if taken.is_empty() {
            return None;
        }
        entry.optional_mut().redacted.extend(taken);
        Some(entry)
    }

    /// Returns `None` if nothing is removed. Names what is removed from the question itself along
    /// with what is removed from its answer.
    fn question(&self, question: &QuestionEntry) -> Option<QuestionEntry> {
        // The port differs each time; without it, equal clients have equal hashes.
        let asker = question
            .asked_by
            .parse::<SocketAddr>()
            .map(|address| address.ip().to_string());
        let asker = match self.config.address {
            Redaction::Hash => asker.unwrap_or_else(|_| question.asked_by.clone()),
            Redaction::Keep | Redaction::Drop => question.asked_by.clone(),
        };
        let asked_by = self.hidden(self.config.address, &asker);
        let answer = self.decision(&question.answer);
        if asked_by.is_none() && answer.is_none() {
            return None;
        }
        let mut answer = answer.unwrap_or_else(|| question.answer.unpacked());
        if asked_by.is_some() {
            answer.optional_mut().redacted.push("askedBy");
        }
        let (asked_by, answer) = (asked_by.unwrap_or(asker), (&answer).into());
        Some(QuestionEntry {
            time: question.time,
            asked_by,
            now: question.now,
            answer,
        })
    }

    /// Returns `None` if nothing is removed.
    fn refusals(&self, entry: &RefusalsEntry) -> Option<RefusalsEntry> {
        let mut entry = entry.clone();
        for refusal in &mut entry.refusals {
            refusal.peer = self.hidden(self.config.address, &refusal.peer)?;
        }
        entry.redacted.push("refusals");
        Some(entry)
    }

    /// Hides a value of a record, and returns whether any of it was removed. A list loses the texts
    /// that are left out.
    fn hide(&self, way: Redaction, value: Redactable<'_>) -> bool {
        match value {
            Redactable::Text(text) => {
                let Some(hidden) = self.hidden(way, text) else {
                    return false;
                };
                *text = hidden;
                true
            }
            Redactable::Texts(texts) => {
                let hidden: Vec<String> = texts
                    .iter()
                    .filter_map(|text| self.hidden(way, text))
                    .collect();
                let is_taken = !hidden.is_empty();
                if is_taken {
                    *texts = hidden.into_iter().filter(|text| !text.is_empty()).collect();
                }
                is_taken
            }
        }
    }

    /// Returns what is recorded instead of a text; `None` if the text itself is.
    fn hidden(&self, way: Redaction, text: &str) -> Option<String> {
        if text.is_empty() || way == Redaction::Keep {
            return None;
        }
        Some(match (&self.hash, way) {
            (Some(hash), Redaction::Hash) => hash.of(text),
            // A missing key never means that the text is recorded.
            _ => String::new(),
        })
    }
}

/// HMAC-SHA256 under one key; the part that depends only on the key is computed once.
#[derive(Clone)]
struct KeyedHash(Hmac<Sha256>);

impl KeyedHash {
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes a key of any length: what is too long is hashed first"
    )]
    fn new(key: &[u8]) -> KeyedHash {
        KeyedHash(Hmac::new_from_slice(key).expect("HMAC takes a key of any length"))
    }

    /// Returns `hash:` and the first 32 hexadecimal digits: 128 bits, which no two texts share by
    /// chance.
    fn of(&self, text: impl AsRef<[u8]>) -> String {
        let hash = self.0.clone().chain_update(text).finalize().into_bytes();
        format!("hash:{:.32}", HEXLOWER.encode(&hash))
    }
}

impl fmt::Debug for KeyedHash {
    /// Hides the key: it must not get into logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedHash")
    }
}

#[cfg(test)]
mod tests;
