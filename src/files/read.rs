//! A policies directory -> a [`Source`]: names, bytes, and nothing of what they mean.
//!
//! The rule: the files of one directory, not of those below it, whose names end in `.yaml` or `.yml`, do not start with
//! a dot and do not end in `.cases.yaml` or `.cases.yml`. Symlinks are followed, since a mounted ConfigMap is made of
//! them. A name that is taken and cannot be read as a regular file is an error rather than left out: it could hold
//! denials. Nothing but a regular file is ever opened, so a FIFO cannot hold the reader up. One that is as it was need not
//! be opened either; what that means is said by [`seen`](super::seen).

use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::seen::Seen;
use crate::clock::now;
use crate::engine::policy::document::MAX_FILE;
use crate::engine::policy::problem::{Code, Place, Problem};
use crate::engine::policy::source::{PolicyFile, Source};

/// The most policy files that a set may have.
pub const MAX_FILES: usize = 10_000;

/// The most bytes that a set may have.
pub const MAX_SET: usize = 64 * 1024 * 1024;

/// How often two reads are compared before a directory counts as being written to.
const STABLE_ATTEMPTS: u32 = 5;

/// A read of one directory: its source, or everything that kept it from being read.
pub type Outcome = Result<Source, Vec<Problem>>;

/// Reads one policies directory once, every file of it.
///
/// # Errors
/// Every file that cannot be read, or the directory.
pub fn read_source(directory: &Path) -> Outcome {
    read_changes(directory, &Seen::default())
}

/// Reads one policies directory once; files that were seen before and are as they were are not opened.
///
/// # Errors
/// As [`read_source`].
pub(super) fn read_changes(directory: &Path, seen: &Seen) -> Outcome {
    let mut files = Vec::new();
    let mut problems = Vec::new();
    let mut room = MAX_SET;
    for name in list(directory)? {
        match read_policy(&directory.join(&name), &mut room, seen) {
            Ok(bytes) => files.push(PolicyFile { name, bytes }),
            Err(problem) => problems.push(*problem),
        }
    }
    if problems.is_empty() {
        Ok(Source { name: directory.display().to_string(), files, namespace: None })
    } else {
        Err(problems)
    }
}

/// Reads each of so many things until two reads of it with a pause between them agree; `None` for one that keeps
/// changing. A first read that is what is `known` already needs no second. All of them share the pauses, so that many
/// take no longer than one.
pub fn read_stable<T: PartialEq>(
    count: usize,
    pause: Duration,
    read: impl Fn(usize) -> T,
    known: impl Fn(usize, &T) -> bool,
) -> Vec<Option<T>> {
    let first = |index| {
        let first = read(index);
        let settled = known(index, &first);
        (first, settled)
    };
    let mut reads: Vec<(T, bool)> = (0..count).map(first).collect();
    for _ in 0..STABLE_ATTEMPTS {
        if reads.iter().all(|(_, settled)| *settled) {
            break;
        }
        std::thread::sleep(pause);
        for (index, (last, settled)) in reads.iter_mut().enumerate().filter(|(_, (_, settled))| !settled) {
            let next = read(index);
            *settled = next == *last;
            *last = next;
        }
    }
    reads.into_iter().map(|(last, settled)| settled.then_some(last)).collect()
}

/// The problem of a directory that [`read_stable`] found changing.
pub fn unsettled(directory: &Path) -> Problem {
    Problem::error(Code::Unreadable, whole(directory), "the directory keeps changing while it is read")
        .hint("it is read again at the next change or rescan")
}

/// Whether a file name is one of a policy file.
pub fn is_policy_name(name: &str) -> bool {
    let Some((stem, "yaml" | "yml")) = name.rsplit_once('.') else { return false };
    !name.starts_with('.') && !stem.ends_with(".cases")
}

/// The names of the policy files, sorted.
fn list(directory: &Path) -> Result<Vec<String>, Vec<Problem>> {
    let unreadable = |error| vec![directory_problem(directory, &error)];
    let mut names = Vec::new();
    let mut problems = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let text = name.to_string_lossy();
        if !is_policy_name(&text) {
            continue;
        }
        match name.to_str() {
            Some(name) if !name.contains(char::is_control) => names.push(name.to_owned()),
            _ => problems.push(odd_name(directory, &text)),
        }
        if names.len() + problems.len() > MAX_FILES {
            return Err(vec![too_many(directory)]);
        }
    }
    names.sort_unstable();
    if problems.is_empty() { Ok(names) } else { Err(problems) }
}

/// The bytes of a policy file that fits into what is left of the set's `room`.
fn read_policy(path: &Path, room: &mut usize, seen: &Seen) -> Result<Arc<[u8]>, Box<Problem>> {
    let before = look_at(path, *room)?;
    let bytes = match seen.unchanged(path, &before) {
        Some(bytes) => bytes,
        None => {
            // The time before the read: what is at rest then was so for as long.
            let now = now();
            let (bytes, after) = read_bytes(path, &before, *room)?;
            seen.note(path, (&before, &after), bytes, now)
        }
    };
    *room -= bytes.len();
    Ok(bytes)
}

/// Reads a regular file that is not too large for any.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, Box<Problem>> {
    let before = look_at(path, MAX_SET)?;
    read_bytes(path, &before, MAX_SET).map(|(bytes, _)| bytes)
}

/// What the system says of a file, which must be regular and fit into so much room.
fn look_at(path: &Path, room: usize) -> Result<Metadata, Box<Problem>> {
    let metadata = fs::metadata(path).map_err(|error| file_problem(path, &error))?;
    if !metadata.is_file() {
        return Err(not_regular(path, &metadata));
    }
    if metadata.len() > MAX_FILE.min(room) as u64 {
        return Err(too_large(path));
    }
    Ok(metadata)
}

/// The bytes, and what the system says of the file that they are from when they are read.
fn read_bytes(path: &Path, before: &Metadata, room: usize) -> Result<(Vec<u8>, Metadata), Box<Problem>> {
    let unreadable = |error| file_problem(path, &error);
    let limit = MAX_FILE.min(room);
    let mut bytes = Vec::with_capacity(usize::try_from(before.len()).unwrap_or_default().saturating_add(1));
    let mut file = File::open(path).map_err(unreadable)?;
    file.by_ref().take(limit as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > limit {
        return Err(too_large(path));
    }
    let after = file.metadata().map_err(unreadable)?;
    Ok((bytes, after))
}

pub(super) fn whole(path: &Path) -> Place {
    Place::whole(path.display().to_string())
}

pub(super) fn directory_problem(directory: &Path, error: &std::io::Error) -> Problem {
    let (text, hint) = match error.kind() {
        ErrorKind::NotFound => ("the directory does not exist".into(), "create it, or name another in `policies`"),
        ErrorKind::NotADirectory => ("this is no directory".into(), "name the directory that holds the policy files"),
        ErrorKind::PermissionDenied => {
            ("the directory may not be read".into(), "give this process the right to read it")
        }
        _ => (format!("the directory cannot be read: {error}"), "it is tried again at every rescan"),
    };
    Problem::error(Code::Unreadable, whole(directory), text).hint(hint)
}

fn file_problem(path: &Path, error: &std::io::Error) -> Box<Problem> {
    let dangling = fs::symlink_metadata(path).is_ok_and(|link| link.is_symlink());
    let (text, hint) = match error.kind() {
        ErrorKind::NotFound if dangling => ("the symlink leads nowhere".into(), "restore its target or remove it"),
        ErrorKind::NotFound => ("the file vanished while it was read".into(), "it is read again at the next change"),
        ErrorKind::PermissionDenied => ("the file may not be read".into(), "give this process the right to read it"),
        _ => (format!("the file cannot be read: {error}"), "repair or remove it"),
    };
    Box::new(Problem::error(Code::Unreadable, whole(path), text).hint(hint))
}

fn not_regular(path: &Path, metadata: &fs::Metadata) -> Box<Problem> {
    let what = if metadata.is_dir() { "a directory" } else { "a FIFO, socket or device" };
    let text = format!("this is {what}, and no regular file");
    Box::new(
        Problem::error(Code::Unreadable, whole(path), text).hint("remove it, or give it a name that is no policy's"),
    )
}

fn too_large(path: &Path) -> Box<Problem> {
    let text = format!("the file is larger than {} MiB, or its directory than {} MiB", mib(MAX_FILE), mib(MAX_SET));
    Box::new(Problem::error(Code::TooLarge, whole(path), text).hint("split the file, or remove what is no policy"))
}

fn too_many(directory: &Path) -> Problem {
    Problem::error(Code::TooLarge, whole(directory), format!("the directory has more than {MAX_FILES} policy files"))
        .hint("put several documents into one file, with `---` between them")
}

fn odd_name(directory: &Path, name: &str) -> Problem {
    let text = format!("the file name `{name}` is not UTF-8 or has a control character");
    Problem::error(Code::Unreadable, whole(directory), text).hint("rename the file")
}

fn mib(bytes: usize) -> usize {
    bytes / (1024 * 1024)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_name_says_whether_it_is_a_policy() {
        for (name, expected) in [
            ("a.yaml", true),
            ("a.yml", true),
            ("a.b.yaml", true),
            ("cases.yaml", true),
            ("a.cases.yaml", false),
            ("a.cases.yml", false),
            (".hidden.yaml", false),
            ("..data", false),
            (".yaml", false),
            ("yaml", false),
            ("a.yaml~", false),
            ("a.yaml.swp", false),
            ("a.json", false),
            ("a.YAML", false),
            ("", false),
        ] {
            assert_eq!(is_policy_name(name), expected, "{name:?}");
        }
    }

    /// What is made in a directory, and the one problem that reading it tells.
    fn refuses(make: impl Fn(&Path), code: Code, part: &str) {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("good.yaml"), "a: 1\n").unwrap();
        make(directory.path());
        let problems = read_source(directory.path()).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].code, code);
        assert!(problems[0].is_error() && problems[0].hint.is_some());
        assert!(problems[0].to_string().contains(part), "{} has no {part:?}", problems[0]);
    }

    #[test]
    fn what_cannot_be_read_refuses_the_source() {
        refuses(
            |d| symlink("loop.yaml", d.join("loop.yaml")).unwrap(),
            Code::Unreadable,
            "loop.yaml: error[unreadable]",
        );
        refuses(|d| symlink("gone", d.join("a.yaml")).unwrap(), Code::Unreadable, "leads nowhere");
        refuses(|d| fs::create_dir(d.join("a.yaml")).unwrap(), Code::Unreadable, "a directory");
        refuses(|d| symlink("/dev/zero", d.join("a.yaml")).unwrap(), Code::Unreadable, "device");
        refuses(|d| fs::write(d.join("a\nb.yaml"), "").unwrap(), Code::Unreadable, r"a\nb.yaml");
        refuses(|d| fs::remove_dir_all(d).unwrap(), Code::Unreadable, "does not exist");
        refuses(|d| sparse(&d.join("a.yaml"), MAX_FILE + 1), Code::TooLarge, "a.yaml");
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
        let problems = read_source(directory.path()).map(|source| source.name).unwrap_err();
        assert_eq!(problems.iter().map(|p| p.code).collect::<Vec<_>>(), [Code::TooLarge]);
        assert!(problems[0].place.file.ends_with("e.yaml"));
    }

    #[test]
    fn too_many_files_refuse_the_source() {
        let directory = tempfile::tempdir().unwrap();
        (0..=MAX_FILES).for_each(|n| fs::write(directory.path().join(format!("{n}.yaml")), "").unwrap());
        assert_eq!(read_source(directory.path()).unwrap_err()[0].code, Code::TooLarge);
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
        assert_eq!(source.files.iter().map(|f| f.name.as_str()).collect::<Vec<_>>(), ["a.yml", "b.yaml", "link.yaml"]);
        assert_eq!(source.files[1].bytes.as_ref(), b"b.yaml");
    }

    #[test]
    fn a_read_counts_only_when_it_repeats() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.yaml");
        let reads = Cell::new(0);
        let known = |_, _: &Outcome| {
            reads.set(reads.get() + 1);
            fs::write(&path, "written after the first read").unwrap();
            false
        };
        let mut stable = read_stable(1, Duration::ZERO, |_| read_source(directory.path()), known);
        assert_eq!(stable.remove(0).unwrap().unwrap().files[0].bytes.as_ref(), b"written after the first read");
        assert_eq!(reads.get(), 1);
    }

    #[test]
    fn a_directory_that_never_rests_gives_no_read() {
        let directory = tempfile::tempdir().unwrap();
        symlink("/proc/uptime", directory.path().join("a.yaml")).unwrap();
        let stable = |known: bool| {
            read_stable(1, Duration::from_millis(40), |_| read_source(directory.path()), |_, _| known).remove(0)
        };
        assert_eq!(stable(false), None);
        assert!(stable(true).is_some());
    }

    #[test]
    fn one_that_changes_does_not_hold_up_the_others() {
        let reads = [const { Cell::new(0) }; 3];
        let read = |index: usize| {
            let count = reads[index].get() + 1;
            reads[index].set(count);
            // The first is known, the second rests after two reads, the third never does.
            if index == 2 { count } else { count.min(2) }
        };
        let stable = read_stable(3, Duration::ZERO, read, |index, _| index == 0);
        assert_eq!(stable, [Some(1), Some(2), None]);
        assert_eq!(reads.each_ref().map(Cell::get), [1, 3, 1 + STABLE_ATTEMPTS]);
    }
}
