//! Turns a policies directory into a [`Source`]: names and bytes, and nothing of what they mean.
//!
//! [`walk`](mod@super::walk) and [`names`](super::names) say which files are read. Symlinks are
//! followed, since a mounted ConfigMap consists of them. A policy file that cannot be read as a
//! regular file is an error rather than left out: it could hold denials. Only regular files are
//! opened, and never in a way that waits, so a FIFO cannot delay the reader. An unchanged file need
//! not be opened either; [`stat_cache`](super::stat_cache) says which files are unchanged.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::policy_directory::SourceOptions;
use super::problems::{file_problem, too_large};
use super::progress::Progress;
use super::stat_cache::StatCache;
use super::walk::walk;
use customs_policy::document::MAX_FILE;
use customs_policy::policy_set::{MAX_SET, SourceReading};
use customs_policy::problem::Problem;
use customs_policy::source::{PolicyFile, Source};
use customs_record::clock::now;
use customs_record::plain_file;

/// Reads every file of one policies directory once.
///
/// # Errors
/// Every file that cannot be read, or the directory.
pub fn read_source(directory: &Path) -> SourceReading {
    read_changes(
        directory,
        &SourceOptions::default(),
        &StatCache::default(),
        &Progress::default(),
    )
}

/// Reads one policies directory once. Files that are known and unchanged are not opened.
///
/// # Errors
/// As [`read_source`].
pub(super) fn read_changes(
    directory: &Path,
    options: &SourceOptions,
    cache: &StatCache,
    progress: &Progress,
) -> SourceReading {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    let mut room = MAX_SET;
    progress.at(directory);
    let found = walk(directory, options.recursive, cache, progress)?;
    for name in found.policies {
        let path = directory.join(&name);
        progress.at(&path);
        match read_policy(&path, &mut room, cache) {
            Ok(bytes) => files.push(PolicyFile { name, bytes }),
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.is_empty() {
        let (name, default_namespace) = (
            directory.display().to_string(),
            options.default_namespace.clone(),
        );
        Ok(Source {
            name,
            files,
            namespace: None,
            default_namespace,
            unread: found.unread,
        })
    } else {
        Err(problems)
    }
}

/// Reads a policy file that fits into the rest of the set's `room`.
fn read_policy(
    path: &Path,
    room: &mut usize,
    cache: &StatCache,
) -> Result<Arc<[u8]>, Box<Problem>> {
    let failed = |error| file_problem(path, &error);
    let known = fs::metadata(path)
        .ok()
        .and_then(|about| Some((cache.unchanged(path, &about)?, about)));
    let bytes = match known {
        Some((bytes, about)) => {
            limit(path, &about, *room)?;
            bytes
        }
        None => {
            // The time before the read: a file that was at rest then stayed so until the read.
            let now = now();
            let (file, before) = plain_file::open(path).map_err(failed)?;
            let (bytes, after) = read_bytes(path, file, &before, *room)?;
            cache.note(path, (&before, &after), bytes, now)
        }
    };
    *room -= bytes.len();
    Ok(bytes)
}

/// Reads a regular file, up to the size limit.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Box<Problem>> {
    let (file, before) = plain_file::open(path).map_err(|error| file_problem(path, &error))?;
    read_bytes(path, file, &before, MAX_SET).map(|(bytes, _)| bytes)
}

/// Checks that a file fits into `room` bytes, according to its metadata.
fn limit(path: &Path, metadata: &Metadata, room: usize) -> Result<(), Box<Problem>> {
    if metadata.len() > MAX_FILE.min(room) as u64 {
        Err(too_large(path))
    } else {
        Ok(())
    }
}

/// Returns the bytes, and the metadata of the file at the time when they are read.
fn read_bytes(
    path: &Path,
    mut file: File,
    before: &Metadata,
    room: usize,
) -> Result<(Vec<u8>, Metadata), Box<Problem>> {
    let unreadable = |error| file_problem(path, &error);
    limit(path, before, room)?;
    let most = MAX_FILE.min(room);
    let mut bytes = Vec::with_capacity(
        usize::try_from(before.len())
            .unwrap_or_default()
            .saturating_add(1),
    );
    file.by_ref()
        .take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > most {
        return Err(too_large(path));
    }
    let after = file.metadata().map_err(unreadable)?;
    Ok((bytes, after))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use customs_policy::policy_set::MAX_FILES;
    use customs_policy::problem::Code;

    /// Checks the one problem that reading reports after `make` has prepared the directory.
    fn refuses(make: impl Fn(&Path), code: Code, part: &str) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("good.yaml"), "a: 1\n").unwrap();
        make(directory.path());
        let problems = read_source(directory.path()).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].code, code);
        assert!(problems[0].is_error() && problems[0].hint.is_some());
        assert!(
            problems[0].to_string().contains(part),
            "{} has no {part:?}",
            problems[0]
        );
    }

    #[test]
    fn what_cannot_be_read_refuses_the_source() {
        refuses(
            |d| symlink("loop.yaml", d.join("loop.yaml")).unwrap(),
            Code::Unreadable,
            "loop.yaml: error[unreadable]",
        );
        refuses(
            |d| symlink("gone", d.join("a.yaml")).unwrap(),
            Code::Unreadable,
            "leads nowhere",
        );
        refuses(
            |d| fs::create_dir(d.join("a.yaml")).unwrap(),
            Code::Unreadable,
            "a directory",
        );
        refuses(
            |d| symlink("/dev/zero", d.join("a.yaml")).unwrap(),
            Code::Unreadable,
            "device",
        );
        refuses(
            |d| fs::write(d.join("a\nb.yaml"), "").unwrap(),
            Code::Unreadable,
            "a\nb.yaml",
        );
        refuses(
            |d| fs::remove_dir_all(d).unwrap(),
            Code::Unreadable,
            "does not exist",
        );
        refuses(
            |d| sparse(&d.join("a.yaml"), MAX_FILE + 1),
            Code::TooLarge,
            "a.yaml",
        );
    }

    fn sparse(path: &Path, bytes: usize) {
        File::create(path).unwrap().set_len(bytes as u64).unwrap();
    }

    #[test]
    fn a_set_is_limited_as_a_whole() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml"] {
            sparse(&directory.path().join(name), MAX_FILE - 1);
        }
        let problems = read_source(directory.path())
            .map(|source| source.name)
            .unwrap_err();
        assert_eq!(
            problems.iter().map(|p| p.code).collect::<Vec<_>>(),
            [Code::TooLarge]
        );
        assert!(problems[0].place.file.ends_with("e.yaml"));
    }

    #[test]
    fn too_many_files_refuse_the_source() {
        let directory = tempfile::tempdir().unwrap();
        (0..=MAX_FILES)
            .for_each(|n| fs::write(directory.path().join(format!("{n}.yaml")), "").unwrap());
        assert_eq!(
            read_source(directory.path()).unwrap_err()[0].code,
            Code::TooLarge
        );
    }

    #[test]
    fn a_source_is_its_sorted_policy_files() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["b.yaml", "a.yml", "x.cases.yaml", ".c.yaml", "README.md"] {
            fs::write(at(name), name).unwrap();
        }
        fs::create_dir(at("below")).unwrap();
        fs::write(at("below/d.yaml"), "").unwrap();
        symlink("below/d.yaml", at("link.yaml")).unwrap();
        let source = read_source(directory.path()).unwrap();
        assert_eq!(source.name, directory.path().display().to_string());
        assert_eq!(
            source
                .files
                .iter()
                .map(|f| f.name.as_str())
                .collect::<Vec<_>>(),
            ["a.yml", "b.yaml", "link.yaml"]
        );
        assert_eq!(source.files[1].bytes.as_ref(), b"b.yaml");
    }
}
