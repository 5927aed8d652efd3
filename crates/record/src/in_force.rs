//! Which revision a server had in force at a time, as its records say.
//!
//! A stream is what one process wrote to one sink, so each stream is looked at by itself: two
//! replicas, or two sinks of one, may say different things. A record of kind `policyChange` names
//! the revision from then on, and the one before. Where a stream does not begin in the files that
//! are given, its first decision names the revision too.
//!
//! Nothing is verified here. The rule: a moment is covered by a stream only between two of its
//! records that follow one another. After the last record a server may have ended, or may have
//! changed its policies in a record that is not given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::timestamp;
use crate::verify::files::LogReadError;
use crate::verify::files::log_file::{self, Item};
use crate::verify::record::{About, ChangedRevision, Seen};
use customs_engine::time::UnixNanos;

/// The kind of a record that ends a stream in order.
const STOP: &str = "stop";

/// A stream, and what it says of a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamAt {
    /// The stream.
    pub stream: String,
    /// The sink that it belongs to, if a record says so.
    pub sink: String,
    /// The files that hold it.
    pub files: Vec<String>,
    /// The time of its first record that is given.
    pub first: String,
    /// The time of its last record that is given.
    pub last: String,
    /// Whether it ended in order.
    pub has_stopped: bool,
    /// What was in force.
    pub in_force: InForceAt,
}

/// What was in force at a moment, as a stream says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InForceAt {
    /// These revisions: more than one if the clock was set back, so that the moment came twice.
    Revisions(Vec<KnownRevision>),
    /// The stream covers the moment, and no record that is given says what was in force.
    Unknown,
    /// Records are missing around the moment.
    Missing,
    /// The stream begins later or ends earlier.
    NotCovered,
}

/// A revision that was in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownRevision {
    /// Its name; `none` before the first good set.
    pub revision: String,
    /// When it came into force, if the record is given.
    pub since: Option<String>,
}

impl KnownRevision {
    fn before(revision: String) -> KnownRevision {
        let since = None;
        KnownRevision { revision, since }
    }
}

/// Records of one stream that follow one another in one file.
#[derive(Debug)]
struct Piece {
    stream: String,
    sink: String,
    file: String,
    first: (u64, String),
    last: (u64, String),
    /// What was in force at its first record, if a later record of it says so.
    begin: Option<KnownRevision>,
    /// What was in force at its last record, if one of its records says so.
    end: Option<KnownRevision>,
    /// What was in force at the moment, each time that it came; `None` is what was in force at the
    /// beginning.
    at: Vec<Option<KnownRevision>>,
    has_stopped: bool,
}

impl Piece {
    fn new(seen: &Seen, file: &str) -> Piece {
        let first = (seen.sequence, seen.time.clone());
        Piece {
            stream: seen.stream.clone(),
            sink: String::new(),
            file: file.to_owned(),
            last: first.clone(),
            first,
            begin: None,
            end: None,
            at: Vec::new(),
            has_stopped: false,
        }
    }

    /// Takes what a record says.
    fn take(&mut self, seen: &Seen, moment: &str) {
        if is_between(&self.last.1, &seen.time, moment) {
            self.at.push(self.end.clone());
        }
        self.last = (seen.sequence, seen.time.clone());
        self.has_stopped |= seen.kind == STOP;
        match &seen.about {
            About::Stream(link) => self.sink.clone_from(&link.sink),
            About::PolicyChange(ChangedRevision { revision, previous }) => {
                if self.end.is_none() {
                    self.begin = Some(KnownRevision::before(previous.clone()));
                }
                // A change that was refused leaves what was in force.
                if self
                    .end
                    .as_ref()
                    .is_none_or(|end| end.revision != *revision)
                {
                    let since = Some(seen.time.clone()).filter(|_| revision != previous);
                    let revision = revision.clone();
                    self.end = Some(KnownRevision { revision, since });
                }
            }
            About::Decision if self.end.is_none() => {
                self.end = seen.revision().map(KnownRevision::before);
                self.begin.clone_from(&self.end);
            }
            _ => {}
        }
    }
}

fn is_between(before: &str, after: &str, moment: &str) -> bool {
    before <= moment && moment < after
}

/// Reads files in any order, of any number of servers, and says for each stream in them what was in
/// force at a time. The streams are sorted by their first records.
///
/// # Errors
/// If a file cannot be read or is not part of an audit log.
pub fn in_force_at(files: &[PathBuf], time: UnixNanos) -> Result<Vec<StreamAt>, LogReadError> {
    // Times in records have one form, so their order is that of the texts.
    let moment = timestamp::text(time);
    let mut streams: BTreeMap<String, Vec<Piece>> = BTreeMap::new();
    for path in files {
        for piece in pieces(path, &moment)? {
            streams.entry(piece.stream.clone()).or_default().push(piece);
        }
    }
    let mut streams: Vec<StreamAt> = streams
        .into_values()
        .filter_map(|pieces| stream_at(pieces, &moment))
        .collect();
    streams.sort_by(|one, other| (&one.first, &one.stream).cmp(&(&other.first, &other.stream)));
    Ok(streams)
}

fn pieces(path: &Path, moment: &str) -> Result<Vec<Piece>, LogReadError> {
    let Some(mut file) = log_file::open(path)? else {
        return Ok(Vec::new());
    };
    let name = path.display().to_string();
    let mut pieces: Vec<Piece> = Vec::new();
    while let Some((item, _)) = file.next()? {
        let Item::Record(seen) = item else {
            // What is no record says nothing; `audit verify` says what it is.
            continue;
        };
        let follows = |piece: &&mut Piece| {
            piece.stream == seen.stream && piece.last.0.checked_add(1) == Some(seen.sequence)
        };
        match pieces.last_mut().filter(follows) {
            Some(piece) => piece.take(&seen, moment),
            None => {
                let mut piece = Piece::new(&seen, &name);
                piece.take(&seen, moment);
                pieces.push(piece);
            }
        }
    }
    Ok(pieces)
}

/// Joins the pieces of one stream.
fn stream_at(mut pieces: Vec<Piece>, moment: &str) -> Option<StreamAt> {
    pieces.sort_by_key(|piece| piece.first.0);
    let first = pieces.first()?;
    let mut stream = StreamAt {
        stream: first.stream.clone(),
        sink: String::new(),
        files: Vec::new(),
        first: first.first.1.clone(),
        last: first.first.1.clone(),
        has_stopped: false,
        in_force: InForceAt::NotCovered,
    };
    let (mut at, mut is_missing) = (Vec::new(), false);
    let (mut known, mut last): (Option<KnownRevision>, Option<(u64, String)>) = (None, None);
    for piece in pieces {
        stream.files.push(piece.file);
        // The same records may be given twice, packed and unpacked.
        if last.as_ref().is_some_and(|last| piece.last.0 <= last.0) {
            continue;
        }
        let is_next = |last: &(u64, String)| piece.first.0 <= last.0.saturating_add(1);
        let is_joined = last.as_ref().is_some_and(is_next);
        let begin = known.take().filter(|_| is_joined).or(piece.begin);
        if let Some((_, before)) =
            last.filter(|(_, before)| is_between(before, &piece.first.1, moment))
        {
            if is_joined {
                at.push(begin.clone());
            } else {
                is_missing = before.as_str() <= moment;
            }
        }
        at.extend(
            piece
                .at
                .into_iter()
                .map(|known| known.or_else(|| begin.clone())),
        );
        known = piece.end.or(begin);
        stream.sink = if piece.sink.is_empty() {
            stream.sink
        } else {
            piece.sink
        };
        stream.has_stopped |= piece.has_stopped;
        stream.last.clone_from(&piece.last.1);
        last = Some(piece.last);
    }
    if stream.last == moment {
        at.push(known);
    }
    stream.files.dedup();
    let mut revisions: Vec<KnownRevision> = Vec::new();
    let is_unknown = at.iter().any(Option::is_none);
    for known in at.into_iter().flatten() {
        if !revisions
            .iter()
            .any(|other| other.revision == known.revision)
        {
            revisions.push(known);
        }
    }
    stream.in_force = match (revisions.is_empty(), is_unknown, is_missing) {
        (false, false, _) => InForceAt::Revisions(revisions),
        (_, true, _) => InForceAt::Unknown,
        (true, false, true) => InForceAt::Missing,
        (true, false, false) => InForceAt::NotCovered,
    };
    Some(stream)
}

#[cfg(test)]
mod tests;
