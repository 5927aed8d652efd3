//! A file that is appended to, or a pipe.
//!
//! It knows bytes, and of records only where the last whole one ends. The rules:
//!
//! - A [`rotating`] file belongs to one process, continues after its last whole record
//!   ([`recover`]), and is left for another file only between two records.
//! - Closed files ([`segment_name`](customs_record::segment_name)) are never renamed again;
//!   [`retention`] compresses and deletes them in the background.
//! - A [`pipe`], or anything else that is not a regular file, is only written to. It blocks neither
//!   the start nor the writer.

mod pipe;
mod recover;
mod retention;
mod rotating;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use pipe::Pipe;
use rotating::RotatingFile;
use rustix::fs::OFlags;

use super::{Place, Reopen, Sink, SinkOpenError};
use crate::config::SinkConfig;
use customs_engine::time::UnixNanos;
use customs_record::clock;
use customs_record::stream::ResumePoint;

/// The permissions of a new file: its owner writes, its group reads.
const FILE_MODE: u32 = 0o640;

/// A file or a pipe.
pub struct FileSink {
    name: String,
    end: End,
}

enum End {
    Rotating(Box<RotatingFile>),
    Pipe(Pipe),
}

impl FileSink {
    /// Opens it.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn open(
        config: &SinkConfig,
        path: &Path,
        reopen: Reopen,
    ) -> Result<FileSink, SinkOpenError> {
        let unusable = |unfit: FileSinkError| SinkOpenError::File {
            path: path.into(),
            problem: unfit.problem,
            advice: unfit.advice,
        };
        let end = end(config, path, reopen).map_err(unusable)?;
        Ok(FileSink {
            name: config.name(),
            end,
        })
    }
}

fn end(config: &SinkConfig, path: &Path, reopen: Reopen) -> Result<End, FileSinkError> {
    if let Some(number) = descriptor(path) {
        descriptor_is_open(number)?;
    }
    match fs::metadata(path) {
        Ok(about) if !about.is_file() => Ok(End::Pipe(Pipe::open(path)?)),
        // A file that does not exist is created.
        _ => {
            let file = RotatingFile::open(
                path,
                config.format,
                config.rotation.clone(),
                reopen,
                clock::now(),
            )?;
            Ok(End::Rotating(Box::new(file)))
        }
    }
}

impl Sink for FileSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn resume_point(&mut self) -> ResumePoint {
        match &mut self.end {
            End::Rotating(file) => file.resume_point(),
            End::Pipe(_) => ResumePoint::default(),
        }
    }

    fn rotate_if_due(&mut self, now: UnixNanos) -> io::Result<bool> {
        match &mut self.end {
            End::Rotating(file) => file.rotate_if_due(now),
            End::Pipe(_) => Ok(false),
        }
    }

    fn place(&mut self) -> Place {
        match &mut self.end {
            End::Rotating(file) => file.place(),
            End::Pipe(_) => Place::Unchanged,
        }
    }

    fn previous_file(&self) -> &'static str {
        match &self.end {
            End::Rotating(file) => file.previous_file(),
            End::Pipe(_) => "",
        }
    }

    fn room(&self) -> usize {
        match &self.end {
            End::Rotating(file) => file.room(),
            End::Pipe(_) => usize::MAX,
        }
    }

    fn is_on_disk(&self) -> bool {
        matches!(self.end, End::Rotating(_))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.end {
            End::Rotating(file) => file.write(bytes),
            End::Pipe(file) => file.write(bytes),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        match &mut self.end {
            End::Rotating(file) => file.sync(),
            // There is no disk behind it.
            End::Pipe(_) => Ok(()),
        }
    }
}

/// Returns the descriptor of this process that a path names, if it names one.
fn descriptor(path: &Path) -> Option<u32> {
    match path.to_str()? {
        "/dev/stdin" => Some(0),
        "/dev/stdout" => Some(1),
        "/dev/stderr" => Some(2),
        text => ["/dev/fd/", "/proc/self/fd/"]
            .iter()
            .find_map(|folder| text.strip_prefix(folder)?.parse().ok()),
    }
}

/// Checks that a descriptor was open when the process was started, as far as that can be known: the
/// Rust runtime opens `/dev/null`, for reading and writing, in place of a standard descriptor that
/// was closed.
fn descriptor_is_open(number: u32) -> Result<(), FileSinkError> {
    const ADVICE: &str = "start customs with that descriptor open, or name a file";
    let link = format!("/proc/self/fd/{number}");
    let (Ok(held), Ok(about)) = (fs::symlink_metadata(&link), fs::metadata(&link)) else {
        return Err(FileSinkError::new(
            format!("descriptor {number} is closed"),
            ADVICE,
        ));
    };
    // The permissions of the link are those of the descriptor: the second bit of the owner's is
    // reading.
    let is_readable = held.mode() & 0o400 != 0;
    let is_null =
        fs::metadata("/dev/null").is_ok_and(|null| about.rdev() == null.rdev() && !about.is_file());
    if is_null && is_readable {
        let what = format!(
            "descriptor {number} is closed, or is /dev/null, so every record would be lost"
        );
        return Err(FileSinkError::new(what, ADVICE));
    }
    Ok(())
}

/// Why a file cannot be used, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{problem}; {advice}")]
struct FileSinkError {
    #[source]
    problem: io::Error,
    advice: &'static str,
}

impl FileSinkError {
    fn new(problem: impl Into<String>, advice: &'static str) -> FileSinkError {
        FileSinkError {
            problem: io::Error::other(problem.into()),
            advice,
        }
    }

    /// Joins both into one error, for a file that is already written to.
    fn at(self, path: &Path) -> io::Error {
        let FileSinkError { problem, advice } = self;
        io::Error::new(
            problem.kind(),
            format!("`{}`: {problem}; {advice}", path.display()),
        )
    }
}

impl From<io::Error> for FileSinkError {
    fn from(problem: io::Error) -> FileSinkError {
        let advice = match problem.kind() {
            io::ErrorKind::NotFound => "create its directory first; customs does not",
            io::ErrorKind::PermissionDenied => {
                "let the user that runs customs write there, and read what is there"
            }
            io::ErrorKind::IsADirectory => "name a file in that directory",
            io::ErrorKind::NotADirectory => "a part of the path is a file; name another place",
            io::ErrorKind::ReadOnlyFilesystem => {
                "mount a volume that can be written, or use `stdout`"
            }
            io::ErrorKind::StorageFull => "make room there, or name another place",
            _ => "name a file that can be appended to",
        };
        FileSinkError { problem, advice }
    }
}

/// Opens a file at its end, and creates it if `create` says so. It never waits: a pipe that is full
/// or has no reader is an error at once.
pub(crate) fn append(path: &Path, create: bool) -> io::Result<File> {
    let never_wait = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new()
        .append(true)
        .create(create)
        .mode(FILE_MODE)
        .custom_flags(never_wait)
        .open(path)
}

/// Opens a file for reading, and never waits: another process may have put a pipe there in the
/// meantime.
fn readable(path: &Path) -> io::Result<File> {
    let never_wait = OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new()
        .read(true)
        .custom_flags(never_wait)
        .open(path)
}

/// Distinguishes one file from all others, whatever its name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id {
    device: u64,
    inode: u64,
}

impl From<fs::Metadata> for Id {
    fn from(about: fs::Metadata) -> Id {
        Id {
            device: about.dev(),
            inode: about.ino(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sinks;

    fn opened(text: &str) -> Result<Box<dyn Sink>, String> {
        sinks::open(&text.parse().unwrap(), Reopen::default())
            .map(|opened| opened.sink)
            .map_err(|unusable| unusable.to_string())
    }

    #[test]
    fn a_sink_takes_bytes_and_rotates_to_another_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let mut sink =
            opened(&format!("file:{}?rotate_size=16KiB&keep=3", path.display())).unwrap();
        assert_eq!(sink.name(), format!("file:{}", path.display()));
        assert_eq!(
            (sink.resume_point(), sink.room()),
            (ResumePoint::default(), 16 << 10)
        );
        assert_eq!(sink.write(&[b'x'; 16 << 10]).unwrap(), 16 << 10);
        sink.sync().unwrap();
        assert_eq!(sink.room(), 0);
        assert!(sink.rotate_if_due(clock::now()).unwrap());
        assert_eq!(sink.room(), 16 << 10);
        sink.sync().unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_closed_descriptor_is_reported_before_anything_is_written() {
        for (path, expected) in [
            ("/dev/stdout", Some(1)),
            ("/dev/stderr", Some(2)),
            ("/dev/fd/7", Some(7)),
            ("/proc/self/fd/12", Some(12)),
            ("/dev/fd/x", None),
            ("/var/log/stdout", None),
        ] {
            assert_eq!(descriptor(Path::new(path)), expected, "{path}");
        }
        let wrong = opened("file:/dev/fd/999999").map(|_| ()).unwrap_err();
        assert!(
            wrong.contains("descriptor 999999 is closed; start customs with that descriptor open"),
            "{wrong}"
        );
        let null = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")
            .unwrap();
        let path = format!("file:/dev/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&null));
        let wrong = opened(&path).map(|_| ()).unwrap_err();
        assert!(wrong.contains("or is /dev/null"), "{wrong}");
    }

    #[test]
    fn a_target_that_cannot_be_used_is_reported_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| format!("file:{}", directory.path().join(name).display());
        fs::write(directory.path().join("other"), "hello\n").unwrap();
        let _held = opened(&place("held")).unwrap();
        for (text, expected) in [
            (
                place("no/audit"),
                "create its directory first; customs does not",
            ),
            (place("other/audit"), "a part of the path is a file"),
            (
                place("other"),
                "it holds something other than lines of JSON; name another file",
            ),
            (
                place("other?format=protobuf"),
                "it holds something other than records in protobuf; name another file",
            ),
            (
                place("held"),
                "another process writes to it; give each its own file",
            ),
            (place(""), "name a file in that directory"),
        ] {
            let wrong = opened(&text).map(|_| ()).unwrap_err();
            assert!(
                wrong.starts_with("cannot open the audit log file `/") && wrong.contains(expected),
                "{text}: {wrong}"
            );
        }
    }
}
