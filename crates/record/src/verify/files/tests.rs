//! Files that change while they are read.

use super::*;
use crate::Entry;
use crate::examples::full_decision;
use crate::stream::{Format, ResumePoint, Stream};
use customs_engine::time::UnixNanos;

/// Returns a stream of so many records.
fn stream(id: &str, records: usize) -> Vec<u8> {
    let mut stream = Stream::new(id.into(), "file:x", "all", Format::Json);
    let mut bytes = Vec::new();
    stream.begin(ResumePoint::default(), UnixNanos(1), &mut bytes);
    for _ in 1..records {
        stream.append(&Entry::Decision(full_decision().into()), &mut bytes);
    }
    bytes
}

/// Reads a file to its end; `between` changes it after its beginning was read.
fn read(path: &Path, between: impl FnOnce()) -> Result<usize, LogReadError> {
    let mut source = Source::open(&[path.to_owned()])?;
    between();
    let mut count = 0;
    while source.step()?.is_some() {
        count += 1;
    }
    Ok(count)
}

#[test]
fn a_new_file_with_the_inode_of_the_old_one_is_not_taken_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let write = |bytes: &[u8]| std::fs::write(&path, bytes).unwrap();
    write(&stream("old", 9));
    let inode = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&path).unwrap());
    let before = inode();
    let error = read(&path, || write(&stream("new", 9))).unwrap_err();
    assert_eq!(inode(), before, "the inode is another: nothing was tried");
    assert!(matches!(error, LogReadError::Moved(_)), "{error}");
}

#[test]
fn a_file_that_grows_is_the_same_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.jsonl");
    let whole = stream("one", 9);
    let lines = |count: usize| {
        let ends = whole.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        ends.map(|(at, _)| at + 1).nth(count - 1).unwrap()
    };
    // Whole lines, and a line of which only the beginning is there.
    for there in [lines(2), lines(2) + 7, lines(5)] {
        std::fs::write(&path, &whole[..there]).unwrap();
        let count = read(&path, || std::fs::write(&path, &whole).unwrap()).unwrap();
        assert!(count >= 9, "{there}: {count}");
    }
}
