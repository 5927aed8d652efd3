//! Tests that no path holds up its reader.

use std::fs;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

#[test]
fn a_regular_file_is_read_whole_through_links() {
    let folder = tempfile::tempdir().unwrap();
    let (file, link) = (folder.path().join("a"), folder.path().join("b"));
    fs::write(&file, vec![7; MAX_BYTES as usize]).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert_eq!(read(&link).unwrap().len() as u64, MAX_BYTES);
}

#[test]
fn a_path_to_anything_else_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (pipe, large) = (folder.path().join("pipe"), folder.path().join("large"));
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    fs::write(&large, vec![7; MAX_BYTES as usize + 1]).unwrap();
    for (path, expected) in [
        (pipe.as_path(), "is not a regular file"),
        (folder.path(), "is not a regular file"),
        (Path::new("/dev/zero"), "is not a regular file"),
        (large.as_path(), "has more than 1048576 bytes"),
        (
            Path::new("/does/not/exist"),
            "cannot read `/does/not/exist`",
        ),
    ] {
        let why = read(path).unwrap_err().to_string();
        assert!(why.contains(expected), "{}: {why}", path.display());
    }
}
