//! A week of an egress gateway: the audit log that customs would have written, and the policies
//! that decided it.
//!
//! [`make`] writes it into a directory. It is made of the real parts: the policies go through the
//! policy set of a server, the engine decides each crossing, and the records go through a stream
//! with its chain and signed checkpoints into the file sink, which rotates and compresses. Only the
//! clock and the callers are invented. The rules:
//!
//! - The same options make the same bytes, on every machine.
//! - Memory does not grow with the number of crossings.
//! - Every crossing gets the same answers under the last policies as under those of its time, so a
//!   replay under `policies/` flips nothing.

mod crossings;
mod log;
mod organisation;
mod policies;
mod server;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use customs_record::stream::Format;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{EncodePrivateKey, EncodePublicKey};
use serde::{Deserialize, Serialize};

/// Nanoseconds of an hour.
const HOUR: i128 = 3_600_000_000_000;

/// Nanoseconds of a day.
const DAY: i128 = 24 * HOUR;

/// The hours of the week.
const HOURS: usize = 7 * 24;

/// Monday, 16 November 2026, 00:00 UTC.
const MONDAY: i128 = 1_794_787_200 * 1_000_000_000;

/// About how many bytes a record has.
const RECORD_BYTES: u64 = 1_300;

/// What is made.
#[derive(Clone, Debug)]
pub struct WeekOptions {
    /// How many crossings are decided. Those that are lost have no record; events come on top.
    pub crossings: u64,
    /// What the random choices begin with.
    pub seed: u64,
    /// How records are written.
    pub format: Format,
    /// Whether closed files are compressed.
    pub gzip: bool,
    /// The size at which a file is closed; chosen by the number of crossings if it is left out.
    pub rotate_bytes: Option<u64>,
}

impl Default for WeekOptions {
    fn default() -> WeekOptions {
        WeekOptions {
            crossings: 10_000_000,
            seed: 1,
            format: Format::Json,
            gzip: false,
            rotate_bytes: None,
        }
    }
}

impl WeekOptions {
    /// Returns a week of this many crossings, as lines of JSON in plain files.
    pub fn of(crossings: u64) -> WeekOptions {
        WeekOptions {
            crossings,
            ..WeekOptions::default()
        }
    }

    /// Returns the size at which a file is closed: a big week has many files, and a small one has
    /// some.
    fn rotate_at(&self) -> u64 {
        let chosen = (self.crossings * RECORD_BYTES / 24).clamp(128 << 10, 256 << 20);
        self.rotate_bytes.unwrap_or(chosen)
    }
}

/// Where the parts of a week are.
#[derive(Clone, Debug)]
pub struct WeekPaths(PathBuf);

impl WeekPaths {
    /// Returns the parts of the week in a directory.
    pub fn of(directory: &Path) -> WeekPaths {
        WeekPaths(directory.to_owned())
    }

    /// Returns the directory of the audit log: nothing else is in it.
    pub fn record(&self) -> PathBuf {
        self.0.join("audit")
    }

    /// Returns the path of the file that is written to.
    pub fn file(&self, format: Format) -> PathBuf {
        self.record().join(match format {
            Format::Json => "audit.jsonl",
            Format::Protobuf => "audit.pb",
        })
    }

    /// Returns every file of the audit log, in order of time.
    pub fn segments(&self) -> Result<Vec<PathBuf>> {
        let mut closed = Vec::new();
        let mut current = Vec::new();
        for entry in fs::read_dir(self.record())? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            match name.ends_with(".jsonl") || name.ends_with(".pb") {
                true => current.push(path),
                // What other commands leave beside a file is not a part of the log.
                false if name.ends_with('Z') || name.ends_with("Z.gz") => closed.push(path),
                false => {}
            }
        }
        closed.sort();
        closed.append(&mut current);
        Ok(closed)
    }

    /// Returns the checkpoint file.
    pub fn checkpoints(&self) -> PathBuf {
        self.0.join("checkpoints.jsonl")
    }

    /// Returns the private key that signs checkpoints.
    pub fn private_key(&self) -> PathBuf {
        self.0.join("checkpoint-key.pem")
    }

    /// Returns the public key that verifies them.
    pub fn public_key(&self) -> PathBuf {
        self.0.join("checkpoint-key.pub.pem")
    }

    /// Returns the directory of the policies in force at the end.
    pub fn policies(&self) -> PathBuf {
        self.0.join("policies")
    }

    /// Returns the policy archive, which has the policies of each revision.
    pub fn archive(&self) -> PathBuf {
        self.0.join("policy-archive")
    }

    /// Returns the file of the summary.
    pub fn summary(&self) -> PathBuf {
        self.0.join("week.json")
    }
}

/// What a week holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeekSummary {
    /// What the random choices began with.
    pub seed: u64,
    /// The crossings that were decided.
    pub crossings: u64,
    /// The bytes of all files before they were compressed.
    pub bytes: u64,
    /// The records of each kind.
    pub records: BTreeMap<String, u64>,
    /// The revisions that were in force, the first one first.
    pub revisions: Vec<String>,
    /// The decisions that have no record: those that gaps count, and those that went with a crash.
    pub lost: u64,
    /// The torn ends that the next start cut off.
    pub torn: u64,
}

impl WeekSummary {
    /// Reads the summary of a week that was made before.
    pub fn read(paths: &WeekPaths) -> Result<WeekSummary> {
        let path = paths.summary();
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// Makes a week in a directory that is empty or does not exist.
pub fn make(directory: &Path, options: &WeekOptions) -> Result<WeekSummary> {
    let paths = WeekPaths::of(directory);
    fs::create_dir_all(directory)?;
    let is_empty = fs::read_dir(directory)?.next().is_none();
    anyhow::ensure!(is_empty, "{} is not empty", directory.display());
    fs::create_dir(paths.record())?;
    write_keys(&paths, options.seed)?;
    let summary = server::Server::start(&paths, options)?.run()?;
    fs::write(
        paths.summary(),
        serde_json::to_string_pretty(&summary)? + "\n",
    )?;
    Ok(summary)
}

/// Writes a key pair that follows from the seed. It protects nothing.
fn write_keys(paths: &WeekPaths, seed: u64) -> Result<()> {
    let mut secret = [0; 32];
    fastrand::Rng::with_seed(seed).fill(&mut secret);
    let key = SigningKey::from_bytes(&secret);
    let private = key.to_pkcs8_pem(LineEnding::LF)?;
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(paths.private_key())?
        .write_all(private.as_bytes())?;
    let public = key.verifying_key().to_public_key_pem(LineEnding::LF)?;
    Ok(fs::write(paths.public_key(), public)?)
}

#[cfg(test)]
mod tests;
