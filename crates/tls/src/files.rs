//! Reads a small file with credentials.
//!
//! It does not say what the file holds. The rule: no path can make customs wait or grow, whatever
//! is there: a pipe without a writer, a device without an end, a directory.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The most bytes of a file: more than any bundle of authorities has.
pub const MAX_BYTES: u64 = 1 << 20;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadFileError {
    /// The system refuses it.
    #[error(
        "cannot read `{}`: {problem}; name a file that the user of customs can read",
        path.display()
    )]
    System {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        problem: io::Error,
    },
    /// A directory, a pipe or a device.
    #[error("`{}` is not a regular file; name the file itself", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// More bytes than credentials have.
    #[error("`{}` has more than {MAX_BYTES} bytes; name a file with credentials only", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a whole file.
///
/// # Errors
/// If it cannot be read, is not a regular file, or has more than [`MAX_BYTES`].
pub fn read(path: &Path) -> Result<Vec<u8>, ReadFileError> {
    let failed = |problem| ReadFileError::System {
        path: path.to_owned(),
        problem,
    };
    // Otherwise opening a pipe would wait for its writer.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(failed)?;
    // Asked of what was opened: the path may lead to another file by now.
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(ReadFileError::NotRegular {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(ReadFileError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
