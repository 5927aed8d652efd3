//! A pipe, or a device.
//!
//! It is never locked and never rotated, and nothing is read from it. The rules:
//!
//! - A pipe without a reader takes nothing: that is an error, now and at every further try, until a
//!   process reads it.
//! - It is held open when its reader goes. So what it holds is there for the next reader, and the
//!   bytes continue behind it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::{FileSinkError, Id, append};

/// A file that is not a regular file.
#[derive(Debug)]
pub(super) struct Pipe {
    path: PathBuf,
    /// `None` for a pipe that had no reader when it was opened last.
    file: Option<File>,
}

impl Pipe {
    /// Opens it. A pipe without a reader is opened when it is written to.
    pub(super) fn open(path: &Path) -> Result<Pipe, FileSinkError> {
        let is_pipe = fs::metadata(path)?.file_type().is_fifo();
        let file = match append(path, false) {
            Ok(file) => Some(file),
            Err(problem) if is_pipe && is_unread(&problem) => None,
            Err(problem) => return Err(problem.into()),
        };
        Ok(Pipe {
            path: path.to_owned(),
            file,
        })
    }

    /// Takes some of the bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(reopen(&self.path)?),
        };
        let problem = match file.write(bytes) {
            Err(problem) if problem.kind() == io::ErrorKind::BrokenPipe => problem,
            taken => return taken,
        };
        // Another pipe of that name has other readers.
        let held = file.metadata().map(Id::from).ok();
        if fs::metadata(&self.path).map(Id::from).ok() != held {
            self.file = None;
        }
        Err(unread(&problem))
    }
}

fn reopen(path: &Path) -> io::Result<File> {
    if fs::metadata(path)?.is_file() {
        return Err(io::Error::other(
            "there is a regular file where a pipe was; make the pipe again, or restart customs",
        ));
    }
    append(path, false).map_err(|problem| {
        if is_unread(&problem) {
            unread(&problem)
        } else {
            problem
        }
    })
}

/// Returns whether an error means that a pipe has no reader.
fn is_unread(problem: &io::Error) -> bool {
    problem.raw_os_error() == Some(Errno::NXIO.raw_os_error())
}

fn unread(problem: &io::Error) -> io::Error {
    io::Error::new(
        io::ErrorKind::BrokenPipe,
        format!("no process reads it ({problem}); start its reader"),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::{CWD, Mode, OFlags};

    use super::super::FileSink;
    use super::*;
    use crate::config::{SinkConfig, Target};
    use crate::sinks::{Reopen, Sink};
    use customs_engine::time::UnixNanos;

    fn pipe() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        (directory, path)
    }

    fn sink(path: &Path) -> FileSink {
        FileSink::open(
            &SinkConfig::to(Target::File(path.into())),
            path,
            Reopen::default(),
        )
        .unwrap()
    }

    /// A reader that does not wait for a writer.
    fn reader(path: &Path) -> File {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        fs::OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)
            .unwrap()
    }

    fn drain(reader: &mut File) -> Vec<u8> {
        let (mut got, mut block) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = reader.read(&mut block) {
            got.extend_from_slice(&block[..count]);
        }
        got
    }

    /// Writes until the sink takes no more; returns how far it came and why it stopped.
    fn fill(sink: &mut FileSink, bytes: &[u8]) -> (usize, io::Error) {
        let mut taken = 0;
        loop {
            match sink.write(&bytes[taken..]) {
                Ok(count) => taken += count,
                Err(problem) => return (taken, problem),
            }
        }
    }

    #[test]
    fn a_paused_reader_makes_the_pipe_busy_and_loses_nothing() {
        let (_directory, path) = pipe();
        let mut reader = reader(&path);
        let mut sink = sink(&path);
        let bytes: Vec<u8> = (0..300_000_u32)
            .map(|number| (number % 251) as u8)
            .collect();
        let (mut taken, problem) = fill(&mut sink, &bytes);
        assert_eq!(problem.kind(), io::ErrorKind::WouldBlock);
        let mut got = Vec::new();
        while taken < bytes.len() {
            got.extend(drain(&mut reader));
            match sink.write(&bytes[taken..]) {
                Ok(count) => taken += count,
                Err(problem) => assert_eq!(problem.kind(), io::ErrorKind::WouldBlock),
            }
        }
        got.extend(drain(&mut reader));
        assert!(got == bytes, "{} of {} bytes", got.len(), bytes.len());
    }

    #[test]
    fn a_pipe_without_a_reader_holds_up_nothing_and_says_so() {
        let (_directory, path) = pipe();
        let mut sink = sink(&path);
        for _ in 0..2 {
            let problem = sink.write(b"one\n").unwrap_err();
            assert_eq!(problem.kind(), io::ErrorKind::BrokenPipe);
            assert!(
                problem.to_string().contains("no process reads it"),
                "{problem}"
            );
        }
        let mut reader = reader(&path);
        assert_eq!(sink.write(b"one\n").unwrap(), 4);
        assert_eq!(drain(&mut reader), b"one\n");
    }

    #[test]
    fn a_reader_that_comes_back_finds_what_the_last_one_left() {
        let (_directory, path) = pipe();
        let mut first = reader(&path);
        let mut sink = sink(&path);
        assert_eq!(sink.write(b"one\n").unwrap(), 4);
        assert_eq!(drain(&mut first), b"one\n");
        assert_eq!(sink.write(b"two\n").unwrap(), 4);
        drop(first);
        assert_eq!(
            sink.write(b"three\n").unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
        let mut second = reader(&path);
        assert_eq!(sink.write(b"three\n").unwrap(), 6);
        assert_eq!(drain(&mut second), b"two\nthree\n");
    }

    #[test]
    fn a_pipe_that_was_made_again_is_opened_again() {
        let (_directory, path) = pipe();
        drop((reader(&path), ()));
        let mut sink = sink(&path);
        let first = reader(&path);
        assert_eq!(sink.write(b"one\n").unwrap(), 4);
        drop(first);
        fs::remove_file(&path).unwrap();
        rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let mut second = reader(&path);
        assert!(sink.write(b"two\n").is_err());
        assert_eq!(sink.write(b"two\n").unwrap(), 4);
        assert_eq!(drain(&mut second), b"two\n");
    }

    #[test]
    fn a_pipe_is_neither_turned_nor_read_nor_replaced_by_a_file() {
        let (_directory, path) = pipe();
        let mut sink = sink(&path);
        assert_eq!(
            (sink.resume_point(), sink.room()),
            (Default::default(), usize::MAX)
        );
        assert!(!sink.rotate_if_due(UnixNanos(i128::MAX)).unwrap());
        sink.sync().unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(
            sink.write(b"one\n").unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        assert!(!path.exists());
        fs::write(&path, "").unwrap();
        assert!(
            sink.write(b"one\n")
                .unwrap_err()
                .to_string()
                .contains("where a pipe was")
        );
    }

    #[test]
    fn a_full_device_is_reported_as_full() {
        let mut sink = sink(Path::new("/dev/full"));
        assert_eq!(
            sink.write(b"one\n").unwrap_err().kind(),
            io::ErrorKind::StorageFull
        );
        sink.sync().unwrap();
    }
}
