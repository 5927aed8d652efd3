//! Reads the files of an audit log, one record after the other, in the order in which they were
//! written.
//!
//! It judges no record. The rule: a file that holds no records at all is an error, while a damaged
//! file is a finding.

pub(crate) mod log_file;

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use self::log_file::{Id, LogFile, open};
pub use self::log_file::{Item, Place};
use super::record::{At, Seen};
use crate::segment_name::is_index;

/// Why files cannot be verified.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogReadError {
    /// The system refuses to read it.
    #[error("cannot read `{}`: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        problem: io::Error,
    },
    /// It is a directory.
    #[error("`{}` is a directory; name the files in it, such as `{}/*`", .0.display(), .0.display())]
    Directory(PathBuf),
    /// It is not a file of records.
    #[error("`{}` is not an audit log: it holds no record in JSON or protobuf as customs writes them", .0.display())]
    NoLog(PathBuf),
    /// It holds checkpoints.
    #[error("`{}` is a checkpoint file; give it with --checkpoints", .0.display())]
    Checkpoints(PathBuf),
    /// It was given as a checkpoint file and is not one.
    #[error("`{}` is not a checkpoint file: none of its lines is JSON; give the file that audit_log.checkpoint_file names", .0.display())]
    NoCheckpoints(PathBuf),
    /// The path now names another file, or none.
    #[error("`{}` was moved while it was read, as a running server does when it rotates its files; run the command again", .0.display())]
    Moved(PathBuf),
    /// It was given more than once, perhaps packed and unpacked.
    #[error("`{}` and `{}` begin with the same record; give one of them", .0.display(), .1.display())]
    Twice(PathBuf, PathBuf),
}

/// The number of records of a file that are read to find its position among the others.
const LOOKED_AT: usize = 3;

/// A file that was not read yet, except for its beginning.
struct Waiting {
    path: PathBuf,
    id: Id,
    /// The reader of a file that cannot be opened again.
    reader: Option<LogFile>,
    /// What it begins with.
    begun: Vec<(Item, Place)>,
}

impl Waiting {
    fn of(path: &Path, mut reader: LogFile) -> Result<Waiting, LogReadError> {
        let mut begun = Vec::new();
        while begun.len() < LOOKED_AT
            && let Some(read) = reader.next()?
        {
            begun.push(read);
        }
        let (again, id) = (path.is_file(), reader.id);
        Ok(Waiting {
            path: path.to_owned(),
            id,
            reader: (!again).then_some(reader),
            begun,
        })
    }

    fn records(&self) -> impl Iterator<Item = &Seen> {
        self.begun.iter().filter_map(|(item, _)| match item {
            Item::Record(seen) => Some(seen.as_ref()),
            _ => None,
        })
    }

    /// Returns the record that determines its position: the first, unless others that belong
    /// together show that it was inserted.
    fn seen(&self) -> Option<&Seen> {
        let pairs = self.records().zip(self.records().skip(1));
        let joined = pairs
            .into_iter()
            .find(|(one, next)| next.follows(Some(&one.at())));
        joined.map(|(one, _)| one).or_else(|| self.records().next())
    }

    /// Returns whether both begin in the same way, as a file and its copy do.
    fn is_copy_of(&self, other: &Waiting) -> bool {
        let begins = |file: &Waiting| {
            file.records()
                .next()
                .is_some_and(|first| first.link().is_some())
        };
        begins(self)
            && begins(other)
            && self
                .records()
                .map(Seen::at)
                .eq(other.records().map(Seen::at))
    }

    /// Returns the position that it claims to continue.
    fn previous(&self) -> Option<&At> {
        self.seen()?.link()?.previous.as_ref()
    }
}

/// Opens a file again, and skips the beginning that was already read, which must be the same.
fn open_again(file: &Waiting) -> Result<LogFile, LogReadError> {
    let moved = || LogReadError::Moved(file.path.clone());
    let mut reader = match open(&file.path) {
        Ok(Some(reader)) if reader.id == file.id => reader,
        Ok(_) => return Err(moved()),
        Err(LogReadError::File { problem, .. }) if problem.kind() == io::ErrorKind::NotFound => {
            return Err(moved());
        }
        Err(why) => return Err(why),
    };
    for (begun, _) in &file.begun {
        let item = reader.next()?.map(|(item, _)| item);
        // A file that was removed meanwhile can leave its inode to the new file of its name.
        if let Item::Record(seen) = begun
            && !matches!(&item, Some(Item::Record(again)) if again.at() == seen.at())
        {
            return Err(moved());
        }
    }
    Ok(reader)
}

/// Returns the position behind the last record of a file.
fn last_of(file: &Waiting) -> Result<Option<At>, LogReadError> {
    let mut reader = open_again(file)?;
    let mut last = file.records().last().map(Seen::at);
    while let Some((item, _)) = reader.next()? {
        if let Item::Record(seen) = item {
            last = Some(seen.at());
        }
    }
    Ok(last)
}

/// All files, one after the other.
pub struct Source {
    waiting: std::vec::IntoIter<Waiting>,
    current: Option<LogFile>,
    /// Records that were read ahead.
    ahead: VecDeque<(Item, Place, bool)>,
    /// The files that hold records, in their order.
    pub names: Vec<String>,
    /// The empty files.
    pub empty: Vec<String>,
    /// What else a reader should know.
    pub notes: Vec<String>,
    /// The last record to read, by its number in the last file.
    last: Option<u64>,
}

/// Returns whether a path is that of a file's packed form: the plain name plus `ending`.
fn is_form_of(path: &Path, plain: &Path, ending: &str) -> bool {
    let mut name = plain.as_os_str().to_owned();
    name.push(ending);
    path.as_os_str() == name
}

/// Returns whether a file is the unfinished packed form of another of these files.
fn is_half_packed(path: &Path, paths: &[PathBuf]) -> bool {
    paths
        .iter()
        .any(|plain| is_form_of(path, plain, ".gz.part"))
}

/// Returns each file once: if both the packed and the plain file are given, the plain one.
fn without_copies(
    files: Vec<Waiting>,
    spare: &mut Vec<PathBuf>,
) -> Result<Vec<Waiting>, LogReadError> {
    let mut kept: Vec<Waiting> = Vec::new();
    for file in files {
        match kept.iter_mut().find(|other| other.is_copy_of(&file)) {
            None => kept.push(file),
            Some(twin) if is_form_of(&file.path, &twin.path, ".gz") => spare.push(file.path),
            Some(twin) if is_form_of(&twin.path, &file.path, ".gz") => {
                spare.push(std::mem::replace(twin, file).path);
            }
            Some(twin) => return Err(LogReadError::Twice(twin.path.clone(), file.path)),
        }
    }
    Ok(kept)
}

impl Source {
    /// Opens files, in any order.
    ///
    /// # Errors
    /// If one of them cannot be verified.
    pub fn open(paths: &[PathBuf]) -> Result<Source, LogReadError> {
        let (mut waiting, mut empty) = (Vec::new(), Vec::new());
        let mut spare = Vec::new();
        // An index repeats what its file says.
        for path in paths.iter().filter(|path| !is_index(path)) {
            if is_half_packed(path, paths) {
                spare.push(path.clone());
                continue;
            }
            match open(path)? {
                Some(reader) => waiting.push(Waiting::of(path, reader)?),
                None => empty.push(path.display().to_string()),
            }
        }
        let waiting = in_order(without_copies(waiting, &mut spare)?);
        let left_out = |path: &PathBuf| {
            format!(
                "{} is left out: it was being packed, and the plain file is given",
                path.display()
            )
        };
        let notes = spare.iter().map(left_out).collect();
        let names = waiting
            .iter()
            .map(|file| file.path.display().to_string())
            .collect();
        Ok(Source {
            waiting: waiting.into_iter(),
            current: None,
            ahead: VecDeque::new(),
            names,
            empty,
            notes,
            last: None,
        })
    }

    /// Opens files in the order in which they are given.
    ///
    /// # Errors
    /// If one of them cannot be verified.
    pub fn listed(paths: &[PathBuf]) -> Result<Source, LogReadError> {
        let (mut waiting, mut empty) = (Vec::new(), Vec::new());
        for path in paths {
            match open(path)? {
                Some(reader) => waiting.push(Waiting::of(path, reader)?),
                None => empty.push(path.display().to_string()),
            }
        }
        let name = |file: &Waiting| file.path.display().to_string();
        Ok(Source {
            names: waiting.iter().map(name).collect(),
            waiting: waiting.into_iter(),
            current: None,
            ahead: VecDeque::new(),
            empty,
            notes: Vec::new(),
            last: None,
        })
    }

    /// Returns the paths of the files that were not read yet, in their order.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let waiting = self.waiting.as_slice().iter();
        waiting.map(|file| file.path.clone()).collect()
    }

    /// Reads up to this number of the last file, and no further.
    pub(super) fn end_at(&mut self, number: u64) {
        self.last = Some(number);
    }

    /// Skips what is before this number of the first file, without a look at it. Returns the
    /// position behind it.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(super) fn skip_to(&mut self, number: u64) -> Result<Option<At>, LogReadError> {
        let mut at = None;
        while let Some((item, place, is_first)) = self.step()? {
            if place.number >= number {
                self.ahead.push_front((item, place, is_first));
                break;
            }
            if let Item::Record(seen) = item {
                at = Some(seen.at());
            }
        }
        Ok(at)
    }

    /// Opens files in the order in which each continues from the last record of another, for files
    /// that a clock which was set back has put out of order. `None` if they cannot be read twice.
    ///
    /// # Errors
    /// If one of them cannot be verified.
    pub fn joined(paths: &[PathBuf]) -> Result<Option<Source>, LogReadError> {
        if !paths.iter().all(|path| path.is_file()) {
            return Ok(None);
        }
        let mut source = Source::open(paths)?;
        let mut left = Vec::new();
        for file in source.waiting {
            left.push((last_of(&file)?, file));
        }
        let ordered = in_order_of_links(left, |file| file.previous().cloned());
        source.names = ordered
            .iter()
            .map(|file| file.path.display().to_string())
            .collect();
        source.waiting = ordered.into_iter();
        Ok(Some(source))
    }

    /// Returns the next record, its place, and whether its file begins with it.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn step(&mut self) -> Result<Option<(Item, Place, bool)>, LogReadError> {
        let next = self.step_on()?;
        // Only the last file may end early, and it is the last when no other waits.
        let is_over = |(_, place, _): &(Item, Place, bool)| {
            self.waiting.as_slice().is_empty() && self.last.is_some_and(|last| place.number > last)
        };
        Ok(next.filter(|next| !is_over(next)))
    }

    fn step_on(&mut self) -> Result<Option<(Item, Place, bool)>, LogReadError> {
        loop {
            if let Some(ahead) = self.ahead.pop_front() {
                return Ok(Some(ahead));
            }
            if let Some(reader) = &mut self.current
                && let Some((item, place)) = reader.next()?
            {
                return Ok(Some((item, place, false)));
            }
            let Some(file) = self.waiting.next() else {
                return Ok(None);
            };
            self.current = Some(match file.reader {
                Some(reader) => reader,
                None => open_again(&file)?,
            });
            let begun = file.begun.into_iter().enumerate();
            self.ahead
                .extend(begun.map(|(number, (item, place))| (item, place, number == 0)));
        }
    }

    /// Returns the next record without taking it.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn peek(&mut self) -> Result<Option<&Seen>, LogReadError> {
        if let Some(next) = self.step()? {
            self.ahead.push_front(next);
        }
        Ok(match self.ahead.front() {
            Some((Item::Record(seen), ..)) => Some(seen),
            _ => None,
        })
    }
}

/// Returns files, each with the position at its end, in the order in which each continues from the
/// end of another.
pub(super) fn in_order_of_links<T>(
    mut left: Vec<(Option<At>, T)>,
    previous: impl Fn(&T) -> Option<At>,
) -> Vec<T> {
    let (mut ordered, mut end) = (Vec::new(), None);
    while !left.is_empty() {
        let begins = |(_, file): &(Option<At>, T)| {
            let previous = previous(file);
            previous.is_none() || !left.iter().any(|(end, _)| *end == previous)
        };
        let next = left
            .iter()
            .position(|(_, file)| end.is_some() && previous(file) == end);
        let next = next.or_else(|| left.iter().position(begins)).unwrap_or(0);
        let (its_end, file) = left.remove(next);
        end = its_end;
        ordered.push(file);
    }
    ordered
}

/// Returns files in the order in which they were written: by the times at which they begin, or,
/// where these disagree with the positions that the files claim to continue, by those positions.
fn in_order(mut files: Vec<Waiting>) -> Vec<Waiting> {
    let time = |file: &Waiting| file.seen().map(|seen| seen.time.clone());
    files.sort_by_key(time);
    let mut ordered: Vec<Waiting> = Vec::new();
    for file in files {
        let place = |other: &Waiting| match (file.seen(), other.seen()) {
            (Some(seen), Some(other)) if seen.stream == other.stream => {
                Some(seen.sequence.cmp(&other.sequence))
            }
            (Some(seen), Some(other)) => {
                let before = other.link().and_then(|link| link.previous.as_ref());
                before
                    .is_some_and(|before| before.stream == seen.stream)
                    .then_some(std::cmp::Ordering::Less)
            }
            _ => None,
        };
        let at = ordered
            .iter()
            .position(|other| place(other) == Some(std::cmp::Ordering::Less));
        ordered.insert(at.unwrap_or(ordered.len()), file);
    }
    ordered
}

#[cfg(test)]
mod tests;
