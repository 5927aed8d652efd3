//! The process's standard output.
//!
//! It buffers nothing. The rule: an output that discards what is written, or cannot be written to,
//! is an error before serving starts. If a process is started without an output, the Rust runtime
//! opens `/dev/null` in its place, for reading and writing. A shell with `> /dev/null` opens it for
//! writing only, and a program that starts another without outputs opens it once for both of them.
//! So the first is refused; the others are taken as intended, and logged.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::Sink;

/// The advice for an output that discards what is written.
const ADVICE: &str = "name a file (`--audit file:PATH`), or say `--audit off` to keep no audit log";

/// The process's standard output.
pub(super) struct Stdout {
    name: String,
    file: File,
}

impl Stdout {
    /// Takes it over.
    ///
    /// # Errors
    /// Why what is written there would be discarded.
    pub(super) fn open(name: String) -> io::Result<Stdout> {
        let output = io::stdout();
        is_open(output.as_fd(), io::stderr().as_fd())?;
        // The descriptor itself: the library's stdout would hold back an unfinished line.
        let file = File::from(output.as_fd().try_clone_to_owned()?);
        if is_null(&file)? {
            tracing::warn!(
                "stdout is /dev/null, so the audit log is kept nowhere; `--audit off` does the same on purpose"
            );
        }
        Ok(Stdout { name, file })
    }

    /// Returns the descriptor.
    pub(super) fn into_file(self) -> File {
        self.file
    }
}

/// Checks that a descriptor leads somewhere, or was discarded on purpose, like standard error.
///
/// # Errors
/// Why it does not.
fn is_open(descriptor: BorrowedFd<'_>, errors: BorrowedFd<'_>) -> io::Result<()> {
    let mode = fcntl_getfl(descriptor)? & OFlags::RWMODE;
    if mode == OFlags::RDONLY {
        return Err(io::Error::other(format!(
            "it is open for reading only; {ADVICE}"
        )));
    }
    let is_null = is_null(&File::from(descriptor.try_clone_to_owned()?))?;
    if mode == OFlags::RDWR && is_null && !is_one_opening(descriptor, errors)? {
        let problem =
            format!("it is closed, or is /dev/null, so every record would be lost; {ADVICE}");
        return Err(io::Error::other(problem));
    }
    Ok(())
}

/// Returns whether two descriptors share one opening of a file. Such descriptors share their flags,
/// so a flag that is set on one is seen on the other. The flag means nothing to `/dev/null`, and it
/// is restored.
fn is_one_opening(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<bool> {
    let (flags, before) = (fcntl_getfl(one)?, fcntl_getfl(other)?);
    fcntl_setfl(one, flags ^ OFlags::APPEND)?;
    let is_seen = fcntl_getfl(other)? != before;
    fcntl_setfl(one, flags)?;
    Ok(is_seen)
}

fn is_null(file: &File) -> io::Result<bool> {
    let (held, null) = (file.metadata()?, std::fs::metadata(Path::new("/dev/null"))?);
    Ok(held.file_type().is_char_device() && held.rdev() == null.rdev())
}

impl Sink for Stdout {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    fn checked(options: &mut OpenOptions, path: &Path) -> Result<(), String> {
        let errors = tempfile::tempfile().unwrap();
        is_open(options.open(path).unwrap().as_fd(), errors.as_fd())
            .map_err(|problem| problem.to_string())
    }

    #[test]
    fn outputs_that_were_sent_nowhere_together_are_taken_as_meant() {
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/null")
                .unwrap()
        };
        let (one, another) = (open(), open());
        let shared = one.try_clone().unwrap();
        assert!(is_open(one.as_fd(), shared.as_fd()).is_ok());
        assert!(
            is_open(one.as_fd(), another.as_fd()).is_err(),
            "the runtime opens each that was closed by itself"
        );
        assert!(
            !fcntl_getfl(&one).unwrap().contains(OFlags::APPEND),
            "the flag is put back"
        );
    }

    #[test]
    fn an_output_that_keeps_or_takes_nothing_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (file, null) = (folder.path().join("a"), Path::new("/dev/null"));
        std::fs::write(&file, "").unwrap();
        let options = OpenOptions::new;
        for (path, read, write, expected) in [
            (file.as_path(), false, true, ""),
            (file.as_path(), true, true, ""),
            (file.as_path(), true, false, "for reading only"),
            // A shell's `> /dev/null`, and what a closed output becomes.
            (null, false, true, ""),
            (null, true, true, "it is closed, or is /dev/null"),
        ] {
            let checked = checked(options().read(read).write(write), path);
            assert!(
                checked.clone().err().unwrap_or_default().contains(expected),
                "{checked:?}"
            );
            let says_what_to_do = checked
                .clone()
                .err()
                .is_none_or(|problem| problem.contains("`--audit off`"));
            assert!(says_what_to_do, "what to do: {checked:?}");
            assert_eq!(checked.is_ok(), expected.is_empty(), "{}", path.display());
        }
    }
}
