//! What is wrong with a file or a directory that cannot be read, and what to do about it.
//!
//! It inspects nothing but the kind of an error, and whether a link is broken.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use customs_policy::document::MAX_FILE;
use customs_policy::policy_set::{MAX_FILES, MAX_SET};
use customs_policy::problem::{Code, Place, Problem};
use customs_record::plain_file;

/// Returns the place of a whole file or directory.
pub(super) fn whole(path: &Path) -> Place {
    Place::whole(path.display().to_string())
}

pub(super) fn directory_problem(directory: &Path, error: &std::io::Error) -> Problem {
    let (text, hint) = match error.kind() {
        ErrorKind::NotFound => (
            "the directory does not exist".into(),
            "create it, or name another in `policies`",
        ),
        ErrorKind::NotADirectory => (
            "this is not a directory".into(),
            "name the directory that holds the policy files",
        ),
        ErrorKind::PermissionDenied => (
            "no permission to read the directory".into(),
            "give this process the right to read it",
        ),
        _ => (
            format!("the directory cannot be read: {error}"),
            "it is tried again at every rescan",
        ),
    };
    Problem::error(Code::Unreadable, whole(directory), text).hint(hint)
}

/// Returns why an entry of a source cannot be inspected, if it may be a directory of the source.
pub(super) fn entry_problem(path: &Path, error: &io::Error) -> Problem {
    if error.kind() != ErrorKind::NotFound {
        return directory_problem(path, error);
    }
    let text = "the symlink leads nowhere, and a directory of policies may have been there";
    Problem::error(Code::Unreadable, whole(path), text).hint("restore its target or remove it")
}

pub(super) fn file_problem(path: &Path, error: &io::Error) -> Box<Problem> {
    if let Some(what) = plain_file::is_not_regular(error) {
        let problem = Problem::error(Code::Unreadable, whole(path), what.to_string());
        return Box::new(
            problem.hint("remove it, or give it a name that is not that of a policy file"),
        );
    }
    let dangling = fs::symlink_metadata(path).is_ok_and(|link| link.is_symlink());
    let (text, hint) = match error.kind() {
        ErrorKind::NotFound if dangling => (
            "the symlink leads nowhere".into(),
            "restore its target or remove it",
        ),
        ErrorKind::NotFound => (
            "the file vanished while it was read".into(),
            "it is read again at the next change",
        ),
        ErrorKind::PermissionDenied => (
            "no permission to read the file".into(),
            "give this process the right to read it",
        ),
        ErrorKind::WouldBlock => (
            "the file has nothing to read yet, and reading it would wait".into(),
            "put a plain file in its place",
        ),
        _ => (
            format!("the file cannot be read: {error}"),
            "repair or remove it",
        ),
    };
    Box::new(Problem::error(Code::Unreadable, whole(path), text).hint(hint))
}

pub(super) fn too_large(path: &Path) -> Box<Problem> {
    let text = format!(
        "the file is larger than {} MiB, or its directory than {} MiB",
        mib(MAX_FILE),
        mib(MAX_SET)
    );
    Box::new(
        Problem::error(Code::TooLarge, whole(path), text)
            .hint("split the file, or remove what is not a policy"),
    )
}

pub(super) fn too_many(directory: &Path) -> Problem {
    Problem::error(
        Code::TooLarge,
        whole(directory),
        format!("the directory has more than {MAX_FILES} policy files"),
    )
    .hint("put several documents into one file, with `---` between them")
}

pub(super) fn odd_name(directory: &Path, name: &str) -> Problem {
    let text = format!("the file name `{name}` is not UTF-8 or has a control character");
    Problem::error(Code::Unreadable, whole(directory), text).hint("rename the file")
}

fn mib(bytes: usize) -> usize {
    bytes / (1024 * 1024)
}
