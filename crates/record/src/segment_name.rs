//! The names of closed files: the file's own name, and the time at which it was closed.
//!
//! It opens and deletes nothing. The rules:
//!
//! - A closed file is `NAME.20261124T010203.123456789Z`, in UTC; compressed, `.gz` follows. Its
//!   time never changes, and no file is closed under a name that sorts before one that was closed
//!   earlier.
//! - Its index is `.NAME.20261124T010203.123456789Z.index`: patterns for the files of a log, as
//!   shells and log shippers have them, do not take it for one.
//! - A name that does not parse back to exactly that does not belong to customs and is left alone.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use customs_engine::time::UnixNanos;

/// The suffix of a compressed file.
const GZIP: &str = ".gz";

/// The suffix of a file that is being compressed.
const PART: &str = ".gz.part";

/// What the name of an index begins with.
const HIDDEN: &str = ".";

/// The suffix of the index of a file, whether that is compressed or not.
const INDEX: &str = ".index";

/// The suffix of an index that is being written.
pub(crate) const INDEX_PART: &str = ".index.part";

/// How many characters the time of a closed file has.
const TIME_LENGTH: usize = 26;

/// A file of a log that was closed, or something that belongs to one, by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentName {
    /// The name of the log's file.
    pub log: OsString,
    /// When it was closed.
    pub closed: SegmentTime,
    /// What it is.
    pub form: SegmentForm,
}

/// What a file beside the file of a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentForm {
    /// A closed file as it was written.
    Plain,
    /// The whole of it, compressed.
    Packed,
    /// The beginning of it, compressed, or of its index, which is useless.
    Part,
    /// Its index.
    Index,
}

/// What the names of the forms begin with, and how they end.
const ENDINGS: [(&str, &str, SegmentForm); 5] = [
    ("", PART, SegmentForm::Part),
    (HIDDEN, INDEX_PART, SegmentForm::Part),
    ("", GZIP, SegmentForm::Packed),
    (HIDDEN, INDEX, SegmentForm::Index),
    ("", "", SegmentForm::Plain),
];

impl SegmentName {
    /// Reads the name of a file; `None` if it is not that of a closed file.
    pub fn parse(name: &OsStr) -> Option<SegmentName> {
        let bytes = name.as_encoded_bytes();
        let (bytes, form) = ENDINGS.iter().find_map(|(begin, ending, form)| {
            let bytes = bytes.strip_prefix(begin.as_bytes());
            Some((bytes?.strip_suffix(ending.as_bytes())?, *form))
        })?;
        let (log, time) = bytes.split_at_checked(bytes.len().checked_sub(TIME_LENGTH)?)?;
        let closed = SegmentTime::parse(std::str::from_utf8(time).ok()?)?;
        // What is left is a name, or it would not have been one before.
        let log = std::str::from_utf8(log.strip_suffix(b".")?).ok()?;
        (!log.is_empty()).then(|| SegmentName {
            log: log.into(),
            closed,
            form,
        })
    }
}

/// Returns whether a file is the index of another one.
pub fn is_index(path: &Path) -> bool {
    let name = path.file_name().and_then(SegmentName::parse);
    name.is_some_and(|name| name.form == SegmentForm::Index)
}

/// Returns the path of the index of a closed file; `None` if it is not one.
pub fn index_of(path: &Path) -> Option<PathBuf> {
    let segment = SegmentName::parse(path.file_name()?)?;
    let is_segment = matches!(segment.form, SegmentForm::Plain | SegmentForm::Packed);
    is_segment.then(|| SegmentNames::of(&path.with_file_name(&segment.log)).index(segment.closed))
}

/// A file and those that were closed before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentNames {
    directory: PathBuf,
    name: OsString,
}

/// The forms of one closed file that exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forms {
    /// The file as it was written.
    pub plain: bool,
    /// The whole of it, compressed.
    pub gzip: bool,
    /// The beginning of it, compressed, which is useless.
    pub part: bool,
    /// Its index.
    pub index: bool,
}

impl SegmentNames {
    /// Returns the segments of the file at `path`.
    pub fn of(path: &Path) -> SegmentNames {
        let directory = match path.parent() {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        SegmentNames {
            directory,
            name: path.file_name().unwrap_or_default().to_owned(),
        }
    }

    /// Returns the directory that holds all of them.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the existing closed files, the oldest first.
    ///
    /// # Errors
    /// If the directory cannot be listed.
    pub fn closed(&self) -> io::Result<BTreeMap<SegmentTime, Forms>> {
        let mut found: BTreeMap<SegmentTime, Forms> = BTreeMap::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let Some((time, ending)) = self.parse(&name) else {
                continue;
            };
            let forms = found.entry(time).or_default();
            match ending {
                GZIP => forms.gzip = true,
                PART => forms.part = true,
                INDEX => forms.index = true,
                _ => forms.plain = true,
            }
        }
        Ok(found)
    }

    /// Returns the time under which a file is closed now: later than that of every closed one, even
    /// if the clock was set back.
    ///
    /// # Errors
    /// If the directory cannot be listed.
    pub fn next(&self, now: UnixNanos) -> io::Result<SegmentTime> {
        let newest = self
            .closed()?
            .pop_last()
            .map(|(SegmentTime(newest), _)| newest);
        Ok(SegmentTime(
            newest.map_or(now.0, |newest| now.0.max(newest + 1)),
        ))
    }

    /// Returns the path of a closed file.
    pub fn plain(&self, time: SegmentTime) -> PathBuf {
        self.path(time, "")
    }

    /// Returns the path of a closed file that is compressed.
    pub fn gzip(&self, time: SegmentTime) -> PathBuf {
        self.path(time, GZIP)
    }

    /// Returns the path of a closed file while it is being compressed.
    pub fn part(&self, time: SegmentTime) -> PathBuf {
        self.path(time, PART)
    }

    /// Returns the path of the index of a closed file.
    pub fn index(&self, time: SegmentTime) -> PathBuf {
        let mut name = OsString::from(HIDDEN);
        name.push(&self.name);
        name.push(format!(".{}{INDEX}", time.text()));
        self.directory.join(name)
    }

    fn path(&self, time: SegmentTime, ending: &str) -> PathBuf {
        let mut name = self.name.clone();
        name.push(format!(".{}{ending}", time.text()));
        self.directory.join(name)
    }

    fn parse(&self, name: &OsStr) -> Option<(SegmentTime, &'static str)> {
        let bytes = name.as_encoded_bytes();
        let is_index = bytes.ends_with(INDEX.as_bytes());
        let begin = if is_index { HIDDEN } else { "" };
        let rest = bytes
            .strip_prefix(begin.as_bytes())?
            .strip_prefix(self.name.as_encoded_bytes())?
            .strip_prefix(b".")?;
        let rest = std::str::from_utf8(rest).ok()?;
        let ending = [PART, GZIP, INDEX, ""]
            .into_iter()
            .find(|ending| rest.ends_with(ending))?;
        Some((SegmentTime::parse(rest.strip_suffix(ending)?)?, ending))
    }
}

/// When a file was closed, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentTime(i128);

impl SegmentTime {
    fn text(self) -> String {
        // Every clock is within the range of years.
        let time = Timestamp::from_nanosecond(self.0).unwrap_or_default();
        time.strftime("%Y%m%dT%H%M%S.%9fZ").to_string()
    }

    fn parse(text: &str) -> Option<SegmentTime> {
        let time = DateTime::strptime("%Y%m%dT%H%M%S.%fZ", text).ok()?;
        let time = SegmentTime(TimeZone::UTC.to_timestamp(time).ok()?.as_nanosecond());
        (time.text() == text).then_some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: UnixNanos = UnixNanos(1_795_521_600_000_000_042);

    #[test]
    fn names_say_when_a_file_was_closed() {
        let segments = SegmentNames::of(Path::new("/var/log/audit.jsonl"));
        let time = SegmentTime(NOON.0);
        assert_eq!(
            segments.plain(time),
            Path::new("/var/log/audit.jsonl.20261124T120000.000000042Z")
        );
        assert_eq!(
            segments.gzip(time),
            Path::new("/var/log/audit.jsonl.20261124T120000.000000042Z.gz")
        );
        assert_eq!(
            segments.part(time),
            Path::new("/var/log/audit.jsonl.20261124T120000.000000042Z.gz.part")
        );
        assert_eq!(
            SegmentNames::of(Path::new("a")).plain(time),
            Path::new("./a.20261124T120000.000000042Z")
        );
    }

    #[test]
    fn only_names_of_exactly_that_pattern_are_ours() {
        let segments = SegmentNames::of(Path::new("/x/a.log"));
        let time = Some(SegmentTime(NOON.0));
        for (name, expected) in [
            (
                "a.log.20261124T120000.000000042Z",
                time.map(|time| (time, "")),
            ),
            (
                "a.log.20261124T120000.000000042Z.gz",
                time.map(|time| (time, ".gz")),
            ),
            (
                ".a.log.20261124T120000.000000042Z.index",
                time.map(|time| (time, ".index")),
            ),
            ("a.log.20261124T120000.000000042Z.index", None),
            (
                "a.log.20261124T120000.000000042Z.gz.part",
                time.map(|time| (time, ".gz.part")),
            ),
            ("a.log", None),
            ("a.log.1", None),
            ("a.log.1.gz", None),
            ("a.log.20261124", None),
            ("a.log.20261124T120000Z", None),
            ("a.log.20261124T120000.42Z", None),
            ("a.log.20261124T120000.000000042", None),
            ("a.log.20261124T120000.000000042Z.bak", None),
            ("a.log.20261124T120000.000000042Z.gz.gz", None),
            ("a.log.20261324T120000.000000042Z", None),
            ("a.log.20261124T250000.000000042Z", None),
            ("a.log.+2026124T120000.000000042Z", None),
            ("a.log.20261124t120000.000000042z", None),
            ("a.log. 20261124T120000.000000042Z", None),
            ("b.log.20261124T120000.000000042Z", None),
            ("aXlog.20261124T120000.000000042Z", None),
            ("a.log20261124T120000.000000042Z", None),
        ] {
            assert_eq!(segments.parse(OsStr::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn a_name_says_which_log_a_file_belongs_to() {
        let parse = |name: &str| SegmentName::parse(OsStr::new(name));
        for (begin, ending, form) in [
            ("", "", SegmentForm::Plain),
            ("", ".gz", SegmentForm::Packed),
            ("", ".gz.part", SegmentForm::Part),
            (".", ".index", SegmentForm::Index),
            (".", ".index.part", SegmentForm::Part),
        ] {
            let expected = SegmentName {
                log: "a.log".into(),
                closed: SegmentTime(NOON.0),
                form,
            };
            let name = format!("{begin}a.log.20261124T120000.000000042Z{ending}");
            assert_eq!(parse(&name), Some(expected), "{name}");
        }
        for name in [
            "a.log",
            "20261124T120000.000000042Z",
            ".20261124T120000.000000042Z",
            "a.log.20261124T120000.42Z",
            "a.log.20261124T120000.000000042Z.index",
            ".a.log.20261124T120000.000000042Z.index.gz",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
        let index = Some(PathBuf::from("/x/.a.20261124T120000.000000042Z.index"));
        for (path, expected) in [
            ("/x/a.20261124T120000.000000042Z", index.clone()),
            ("/x/a.20261124T120000.000000042Z.gz", index),
            ("/x/a.20261124T120000.000000042Z.gz.part", None),
            ("/x/.a.20261124T120000.000000042Z.index", None),
            ("/x/a", None),
        ] {
            assert_eq!(index_of(Path::new(path)), expected, "{path}");
        }
    }

    #[test]
    fn a_later_file_sorts_behind_even_if_the_clock_went_back() {
        let directory = tempfile::tempdir().unwrap();
        let segments = SegmentNames::of(&directory.path().join("a"));
        assert_eq!(segments.next(NOON).unwrap(), SegmentTime(NOON.0));
        fs::write(segments.gzip(SegmentTime(NOON.0)), "").unwrap();
        for now in [UnixNanos(0), UnixNanos(NOON.0 - 1), NOON] {
            assert_eq!(segments.next(now).unwrap(), SegmentTime(NOON.0 + 1));
        }
        assert_eq!(
            segments.next(UnixNanos(NOON.0 + 7)).unwrap(),
            SegmentTime(NOON.0 + 7)
        );
        assert!(
            segments.plain(SegmentTime(NOON.0 + 1)).as_os_str()
                > segments.plain(SegmentTime(NOON.0)).as_os_str()
        );
    }
}
