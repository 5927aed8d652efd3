//! Opens files that another user may have put there: it never waits, and accepts only regular
//! files.
//!
//! A name does not say what is behind it by the time that it is opened. So a file is checked before
//! it is opened (opening some devices has effects), opened without waiting for a writer, and
//! checked again once it is open. A file system that hangs can still block the caller; a caller
//! that must not block reads on a thread that it can abandon.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file and returns its metadata.
///
/// # Errors
/// The error of the system, or [`NotRegularFileError`] as the inner error if this is not a regular
/// file.
pub fn open(path: &Path) -> io::Result<(File, Metadata)> {
    regular(&fs::metadata(path)?)?;
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let metadata = file.metadata()?;
    regular(&metadata)?;
    Ok((file, metadata))
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// As [`open`], and if the file is larger.
pub fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let (file, _) = open(path)?;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("the file is larger than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

/// The path names something other than a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is {0}, not a regular file")]
pub struct NotRegularFileError(&'static str);

fn regular(metadata: &Metadata) -> io::Result<()> {
    match (metadata.is_file(), metadata.is_dir()) {
        (true, _) => Ok(()),
        (false, true) => Err(io::Error::other(NotRegularFileError("a directory"))),
        (false, false) => Err(io::Error::other(NotRegularFileError(
            "a FIFO, socket or device",
        ))),
    }
}

/// Returns the error if it says that the path is not a regular file.
pub fn is_not_regular(error: &io::Error) -> Option<NotRegularFileError> {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<NotRegularFileError>())
        .copied()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_a_regular_file_is_read_and_nothing_is_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("file"), "text").unwrap();
        symlink("file", at("link")).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(at("fifo"))
                .status()
                .unwrap()
                .success()
        );
        let _socket = UnixListener::bind(at("socket")).unwrap();
        assert_eq!(
            (read(&at("file"), 4).unwrap(), read(&at("link"), 9).unwrap()),
            (b"text".to_vec(), b"text".to_vec())
        );
        assert_eq!(
            read(&at("file"), 3).unwrap_err().kind(),
            io::ErrorKind::FileTooLarge
        );
        for name in ["fifo", "socket", ".", "/dev/null", "/dev/zero"] {
            let error = open(&at(name)).unwrap_err();
            assert!(is_not_regular(&error).is_some(), "{name}: {error}");
        }
        assert_eq!(
            open(&at("gone")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
