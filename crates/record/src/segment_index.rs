//! The index of a closed file: what its records say, in short, so that a search can skip the file.
//!
//! It answers no question by itself: it says that a file surely holds no record that is meant
//! ([`SegmentIndex::may_hold`]). The rules:
//!
//! - Whatever the index does not know may be in the file.
//! - An index belongs to a file of this size and time of change ([`FileStamp`]). One that is
//!   damaged, of another version or of another file is not believed.
//! - A file that has anything but whole records gets no index.
//!
//! It is two lines: a JSON document, and the SHA-256 of the first line.

mod bloom;
mod builder;

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::bloom::Bloom;
pub use self::builder::IndexBuilder;
use crate::plain_file;
use crate::record_query::RecordQuery;
use crate::segment_name::INDEX_PART;
use crate::survey::{Survey, moment};

/// The version of the format.
const VERSION: u32 = 1;

/// The most bytes of an index: that of a file with the most different names is a fraction of it.
const MAX_INDEX: usize = 4 << 20;

/// The permissions of an index: those of the files of the log.
const FILE_MODE: u32 = 0o640;

/// How old a file is before its time of change says that it did not change since.
const SETTLED: Duration = Duration::from_secs(2);

/// Which file an index was made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStamp {
    /// How many bytes it has.
    bytes: u64,
    /// When it was changed last: seconds since 1970, and nanoseconds.
    modified: (i64, i64),
}

impl FileStamp {
    /// Returns the stamp of a file.
    pub fn of(about: &Metadata) -> FileStamp {
        FileStamp {
            bytes: about.len(),
            modified: (about.mtime(), about.mtime_nsec()),
        }
    }

    /// Returns whether a change would show: the clock of a file system is coarse, so a file that
    /// was changed just now may change again under the same time.
    pub fn is_settled(&self) -> bool {
        let age = |(seconds, _)| {
            let modified = u64::try_from(seconds).ok().map(Duration::from_secs)?;
            SystemTime::now()
                .duration_since(SystemTime::UNIX_EPOCH + modified)
                .ok()
        };
        age(self.modified).is_some_and(|age| age > SETTLED)
    }
}

/// Why an index is not used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SegmentIndexError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Its bytes are not those that were written.
    #[error("it is damaged")]
    Damaged,
    /// Another version of customs wrote it.
    #[error("another version of customs wrote it")]
    OtherVersion,
    /// The file changed after it was made, or it was made of another one.
    #[error("it was made of another file, or the file changed since")]
    OtherFile,
}

/// The different values of a field; `None` if there are too many.
type Words = Option<BTreeSet<String>>;

/// What the records of a closed file say, in short.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SegmentIndex {
    version: u32,
    file: FileStamp,
    /// What the records say about themselves.
    pub survey: Survey,
    kinds: Words,
    effects: Words,
    verdicts: Words,
    dry_runs: Words,
    reasons: Words,
    revisions: Words,
    /// The least and the greatest decision id, as texts.
    decision_ids: Option<(String, String)>,
    /// Hosts, accounts, namespaces, rules and owners.
    names: Option<Bloom>,
    /// The fields that were taken out or cut off in some record.
    hidden: BTreeSet<String>,
}

/// The version alone.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl SegmentIndex {
    /// Reads the index of a file; `None` if there is none.
    ///
    /// # Errors
    /// Why it is not believed.
    pub fn read(path: &Path, file: FileStamp) -> Result<Option<SegmentIndex>, SegmentIndexError> {
        let bytes = match plain_file::read(path, MAX_INDEX) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let index = SegmentIndex::parse(&bytes)?;
        match index.file == file {
            true => Ok(Some(index)),
            false => Err(SegmentIndexError::OtherFile),
        }
    }

    fn parse(bytes: &[u8]) -> Result<SegmentIndex, SegmentIndexError> {
        let damaged = || SegmentIndexError::Damaged;
        let text = std::str::from_utf8(bytes).map_err(|_| damaged())?;
        let (document, sum) = text.split_once('\n').ok_or_else(damaged)?;
        if sum.strip_suffix('\n') != Some(checksum(document).as_str()) {
            return Err(damaged());
        }
        let version: Versioned = serde_json::from_str(document).map_err(|_| damaged())?;
        if version.version != VERSION {
            return Err(SegmentIndexError::OtherVersion);
        }
        serde_json::from_str(document).map_err(|_| damaged())
    }

    /// Writes it: under another name first, so that no reader sees half of it.
    ///
    /// # Errors
    /// The error of the system.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let document = serde_json::to_string(self)?;
        let text = format!("{document}\n{}\n", checksum(&document));
        // Two writers at once would mix their bytes, which the checksum shows.
        let mut part = path.with_extension("").into_os_string();
        part.push(INDEX_PART);
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(FILE_MODE)
                .open(&part)?;
            file.write_all(text.as_bytes())?;
            fs::rename(&part, path)
        };
        write().inspect_err(|_| {
            let _ = fs::remove_file(&part);
        })
    }

    /// Makes the index of a file by reading it, as long as `is_wanted` says so; `None` if the file
    /// has anything but whole records.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of(path: &Path, is_wanted: impl Fn() -> bool) -> io::Result<Option<SegmentIndex>> {
        builder::read(File::open(path)?, is_wanted)
    }

    /// Makes it the index of another form of the same file.
    #[must_use]
    pub fn with_file(self, file: FileStamp) -> SegmentIndex {
        SegmentIndex { file, ..self }
    }

    /// Returns whether the file may hold a record that is meant, or one of which that cannot be
    /// told because a field is hidden.
    pub fn may_hold(&self, query: &RecordQuery) -> bool {
        let word = |wanted: &String, words: &Words| {
            wanted.is_empty() || words.as_ref().is_none_or(|words| words.contains(wanted))
        };
        let one_of = |list: &[String], words: &Words| {
            list.is_empty() || list.iter().any(|wanted| word(wanted, words))
        };
        let named = |list: &[String], has: &dyn Fn(&Bloom, &str) -> bool| {
            let has = |names: &Bloom| list.iter().any(|wanted| has(names, wanted));
            list.is_empty() || self.names.as_ref().is_none_or(has)
        };
        let hidden = |name: &str| self.hidden.contains(name);
        let begins = |start: &String| {
            let begins = |words: &BTreeSet<String>| words.iter().any(|w| w.starts_with(start));
            self.revisions.as_ref().is_none_or(begins)
        };
        self.overlaps(query)
            && one_of(&query.kinds, &self.kinds)
            && (hidden("effect") || word(&query.effect, &self.effects))
            && (hidden("verdict") || word(&query.verdict, &self.verdicts))
            && (hidden("dryRun") || word(&query.dry_run, &self.dry_runs))
            && (hidden("reason") || one_of(&query.reasons, &self.reasons))
            && (hidden("revision")
                || query.revisions.is_empty()
                || query.revisions.iter().any(begins))
            && (hidden("decisionId") || self.has_id(&query.decision_ids))
            && (hidden("host") || named(&query.hosts, &bloom::may_have_host))
            && (hidden("namespace") || named(&query.namespaces, &bloom::may_have_namespace))
            && (hidden("serviceAccount") || named(&query.accounts, &bloom::may_have_account))
            && (hidden("rule") || named(&query.rules, &bloom::may_have_rule))
            && (hidden("owner") || named(&query.owners, &bloom::may_have_owner))
    }

    fn overlaps(&self, query: &RecordQuery) -> bool {
        let bounds = (query.since.map(moment), query.until.map(moment));
        match (self.survey.span, bounds) {
            (_, (None, None)) => true,
            (None, _) => false,
            (Some((first, last)), (since, until)) => {
                since.is_none_or(|since| last >= since) && until.is_none_or(|until| first < until)
            }
        }
    }

    fn has_id(&self, ids: &[String]) -> bool {
        let is_within = |id: &String| {
            let ids = self.decision_ids.as_ref();
            ids.is_some_and(|(least, greatest)| least <= id && id <= greatest)
        };
        ids.is_empty() || ids.iter().any(is_within)
    }
}

fn checksum(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text))
}

#[cfg(test)]
mod tests;
