//! Tests of the handling of closed files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::Retention;
use crate::config::Rotation;
use customs_record::segment_name::SegmentNames;

const FIRST: &str = "a.20261124T120000.000000001Z";
const SECOND: &str = "a.20261124T120000.000000002Z";
const THIRD: &str = "a.20261124T120000.000000003Z";

fn directory(files: &[&str]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in files {
        fs::write(directory.path().join(name), format!("what {name} held\n")).unwrap();
    }
    directory
}

fn tidy(directory: &Path, keep: Option<usize>, gzip: bool) -> BTreeSet<String> {
    let mut retention = Retention::new(&Rotation {
        keep,
        gzip,
        ..Rotation::default()
    });
    retention.tidy(SegmentNames::of(&directory.join("a")));
    retention.finish();
    names(directory)
}

fn names(directory: &Path) -> BTreeSet<String> {
    let name = |entry: Result<fs::DirEntry, _>| entry.unwrap().file_name().into_string().unwrap();
    fs::read_dir(directory).unwrap().map(name).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(ToString::to_string).collect()
}

fn gz(name: &str) -> String {
    format!("{name}.gz")
}

#[test]
fn the_newest_stay_and_nothing_of_others_is_deleted() {
    let others = [
        "a",
        "a.1",
        "a.20261124",
        "a.20261124T120000Z",
        "b.20261124T120000.000000001Z",
        "z",
    ];
    let (second, third, part) = (gz(SECOND), gz(THIRD), format!("{SECOND}.gz.part"));
    for (keep, files, kept) in [
        (None, vec![FIRST, SECOND, THIRD], vec![FIRST, SECOND, THIRD]),
        (
            Some(5),
            vec![FIRST, SECOND, THIRD],
            vec![FIRST, SECOND, THIRD],
        ),
        (Some(2), vec![FIRST, SECOND, THIRD], vec![SECOND, THIRD]),
        (Some(1), vec![FIRST, &second, &third], vec![&third]),
        (Some(1), vec![FIRST, SECOND, &second, THIRD], vec![THIRD]),
        (Some(2), vec![FIRST, &part, THIRD], vec![FIRST, THIRD]),
        (Some(0), vec![FIRST, &second], vec![]),
    ] {
        let directory = directory(&[others.as_slice(), &files].concat());
        let left = tidy(directory.path(), keep, false);
        assert_eq!(
            left,
            set(&[others.as_slice(), &kept].concat()),
            "{keep:?} of {files:?}"
        );
    }
}

#[test]
fn closed_files_are_compressed_whole() {
    let directory = directory(&["a", FIRST, SECOND]);
    assert_eq!(
        tidy(directory.path(), None, true),
        set(&["a", &gz(FIRST), &gz(SECOND)])
    );
    let path = directory.path().join(gz(FIRST));
    let mut text = String::new();
    flate2::read::GzDecoder::new(File::open(&path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    assert_eq!(text, format!("what {FIRST} held\n"));
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn what_a_crash_left_is_done_again() {
    let (part, gzip) = (format!("{FIRST}.gz.part"), gz(SECOND));
    let directory = directory(&[FIRST, &part, SECOND, &gzip]);
    assert_eq!(
        tidy(directory.path(), None, true),
        set(&[&gz(FIRST), &gzip])
    );
    // The compressed file was whole: it stays as it was.
    assert_eq!(
        fs::read_to_string(directory.path().join(&gzip)).unwrap(),
        format!("what {gzip} held\n")
    );
}

#[test]
fn leftovers_go_even_where_nothing_is_compressed() {
    let part = format!("{FIRST}.gz.part");
    let directory = directory(&[FIRST, &part]);
    assert_eq!(tidy(directory.path(), None, false), set(&[FIRST]));
}

#[test]
fn a_file_that_another_process_locks_is_left_alone() {
    let directory = directory(&[FIRST, SECOND]);
    let held = File::open(directory.path().join(FIRST)).unwrap();
    held.lock().unwrap();
    assert_eq!(
        tidy(directory.path(), None, true),
        set(&[FIRST, &gz(SECOND)])
    );
    assert_eq!(tidy(directory.path(), Some(0), true), set(&[FIRST]));
    drop(held);
    assert_eq!(tidy(directory.path(), None, true), set(&[&gz(FIRST)]));
}

#[test]
fn a_failure_loses_nothing() {
    let directory = directory(&[FIRST, SECOND]);
    // The name of the first one's compressed form is taken.
    fs::create_dir(directory.path().join(format!("{FIRST}.gz.part"))).unwrap();
    let left = tidy(directory.path(), None, true);
    assert_eq!(
        left,
        set(&[FIRST, &format!("{FIRST}.gz.part"), &gz(SECOND)])
    );
}

#[test]
fn a_sink_that_ends_does_not_wait_for_the_compression() {
    let directory = directory(&[]);
    let path = directory.path().join(FIRST);
    let big = File::create(&path).unwrap();
    big.set_len(4 << 30).unwrap();
    let mut retention = Retention::new(&Rotation {
        gzip: true,
        ..Rotation::default()
    });
    retention.tidy(SegmentNames::of(&directory.path().join("a")));
    let begun = std::time::Instant::now();
    drop(retention);
    assert!(begun.elapsed() < std::time::Duration::from_millis(500));
    assert_eq!(names(directory.path()), set(&[FIRST]));
}
