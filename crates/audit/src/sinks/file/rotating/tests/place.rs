//! Tests of a file that another process renames, deletes or moves away: that it takes nothing more,
//! why, and how the audit log continues.

use std::fs::{self, File};
use std::path::Path;

use super::{Bench, at, by_size, sequences, verified};
use crate::config::Rotation;
use crate::sinks::file::rotating::RotatingFile;
use crate::sinks::{Place, Reopen};
use customs_record::segment_name::SegmentNames;
use customs_record::stream::Format;

/// What another process does to a file, what happens to its place, the advice, and what the next
/// file says.
type Way = (&'static str, fn(&Path), Place, &'static str, &'static str);

#[test]
fn a_file_that_lost_its_name_takes_nothing_until_another_one_can_be_opened() {
    let ways: [Way; 6] = [
        (
            "its directory was removed",
            |path| fs::remove_dir_all(path.parent().unwrap()).unwrap(),
            Place::Deleted,
            "create its directory first",
            "deleted",
        ),
        (
            "its directory was renamed",
            |path| {
                fs::rename(
                    path.parent().unwrap(),
                    path.parent().unwrap().with_extension("old"),
                )
                .unwrap()
            },
            Place::Moved,
            "create its directory first",
            "moved",
        ),
        (
            "a directory is in its place",
            |path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            Place::Deleted,
            "name a file in that directory",
            "deleted",
        ),
        (
            "a pipe is in its place",
            |path| {
                fs::remove_file(path).unwrap();
                rustix::fs::mkfifoat(
                    rustix::fs::CWD,
                    path,
                    rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
                )
                .unwrap();
            },
            Place::Deleted,
            "name a file that can be appended to",
            "deleted",
        ),
        (
            "a link to a device is in its place",
            |path| {
                fs::rename(path, path.with_extension("moved")).unwrap();
                std::os::unix::fs::symlink("/dev/null", path).unwrap();
            },
            Place::Moved,
            "it is not a regular file any more",
            "moved",
        ),
        (
            "a file that holds something else is in its place",
            |path| {
                fs::remove_file(path).unwrap();
                fs::write(path, "hello\n").unwrap();
            },
            Place::Deleted,
            "name another file",
            "deleted",
        ),
    ];
    for (what, take_away, place, advice, word) in ways {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("d/audit.log");
        let make = || fs::create_dir_all(path.parent().unwrap()).unwrap();
        make();
        let mut file = RotatingFile::open(
            &path,
            Format::Json,
            Rotation::default(),
            Reopen::default(),
            at(0),
        )
        .unwrap();
        assert_eq!(file.place(), Place::Unchanged, "{what}");
        take_away(&path);
        assert_eq!(file.place(), place, "{what}");
        // Each call is a try: nothing may be written in the meantime.
        for now in [1, 2, 3] {
            let problem = file.rotate_if_due(at(now)).unwrap_err().to_string();
            assert!(problem.contains(advice), "{what}: {problem}");
            assert_eq!(file.place(), place, "{what}");
        }
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir(&path);
        make();
        assert!(file.rotate_if_due(at(4)).unwrap(), "{what}");
        assert_eq!(
            (file.place(), file.previous_file()),
            (Place::Unchanged, word),
            "{what}"
        );
        assert!(!file.rotate_if_due(at(300)).unwrap(), "{what}");
    }
}

#[test]
fn a_file_that_has_its_name_again_continues_unchanged() {
    let bench = Bench::new(Format::Json, Rotation::default());
    let (mut run, _) = bench.start("one");
    let moved = bench.directory.path().join("moved");
    fs::rename(bench.path(), &moved).unwrap();
    fs::create_dir(bench.path()).unwrap();
    assert!(run.file.rotate_if_due(at(250)).is_err());
    fs::remove_dir(bench.path()).unwrap();
    fs::rename(&moved, bench.path()).unwrap();
    assert!(!run.round(at(260), 2));
    assert_eq!(run.file.place(), Place::Unchanged);
    assert_eq!(
        sequences(&verified(&fs::read(bench.path()).unwrap())),
        [1, 2, 3]
    );
}

#[test]
fn a_full_file_that_cannot_be_closed_continues() {
    let bench = Bench::new(Format::Json, by_size());
    let (mut run, _) = bench.start("one");
    while run.file.room() > 0 {
        run.round(at(0), 50);
    }
    // The name under which it would be closed is taken by something that cannot be replaced.
    let segments = SegmentNames::of(&bench.path());
    let closed = segments.plain(segments.next(at(1)).unwrap());
    fs::create_dir(&closed).unwrap();
    fs::write(closed.join("x"), "").unwrap();
    if run.file.rotate_if_due(at(1)).is_err() {
        assert_eq!(
            run.file.place(),
            Place::Unchanged,
            "it has its name, so it continues"
        );
        assert!(!run.round(at(500), 1));
    }
}

#[test]
fn a_rename_is_followed_and_the_chain_continues() {
    for (what, make) in [("rename", false), ("rename and create", true)] {
        let bench = Bench::new(Format::Json, Rotation::default());
        let (mut run, _) = bench.start("one");
        run.round(at(0), 3);
        let renamed = bench.directory.path().join("audit.log.1");
        fs::rename(bench.path(), &renamed).unwrap();
        if make {
            File::create(bench.path()).unwrap();
        }
        assert!(!run.round(at(249), 1), "{what}");
        assert!(run.round(at(250), 3), "{what}");
        let whole = [fs::read(renamed).unwrap(), fs::read(bench.path()).unwrap()].concat();
        assert_eq!(
            sequences(&verified(&whole)),
            (1..=9).collect::<Vec<_>>(),
            "{what}"
        );
    }
}

#[test]
fn a_deleted_file_is_made_again() {
    let bench = Bench::new(Format::Json, Rotation::default());
    let (mut run, _) = bench.start("one");
    fs::remove_file(bench.path()).unwrap();
    assert!(run.round(at(250), 1));
    assert_eq!(fs::read_to_string(bench.path()).unwrap().lines().count(), 2);
    assert!(!run.round(at(500), 1));
}

#[test]
fn a_file_that_was_deleted_on_a_full_disk_gives_its_room_back() {
    let bench = Bench::new(Format::Json, Rotation::default());
    let (mut run, _) = bench.start("one");
    let length = fs::metadata(bench.path()).unwrap().len();
    assert_eq!(run.file.on_full_disk(), length, "it has its name still");
    fs::remove_file(bench.path()).unwrap();
    assert_eq!(run.file.on_full_disk(), 0);
    assert!(run.round(at(250), 1));
    assert_eq!(fs::read_to_string(bench.path()).unwrap().lines().count(), 2);
}

#[test]
fn a_signal_has_the_name_looked_up_at_once() {
    let bench = Bench::new(Format::Json, Rotation::default());
    let (mut run, _) = bench.start("one");
    bench.reopen.request();
    assert!(!run.round(at(1), 1), "it is the same file");
    fs::rename(bench.path(), bench.directory.path().join("moved")).unwrap();
    assert!(!run.round(at(2), 1));
    bench.reopen.request();
    assert!(run.round(at(3), 1));
}

#[test]
fn a_file_that_was_renamed_meanwhile_is_not_taken_for_ours() {
    let bench = Bench::new(Format::Json, by_size());
    let (mut run, _) = bench.start("one");
    while run.file.room() > 0 {
        run.round(at(0), 50);
    }
    fs::rename(bench.path(), bench.directory.path().join("audit.log.1")).unwrap();
    File::create(bench.path()).unwrap();
    assert!(run.round(at(1), 1));
    // The new file was opened, and no file was closed under a name of customs.
    assert_eq!(bench.files(), [bench.path()]);
}

#[test]
fn a_name_that_another_process_writes_under_is_not_shared() {
    let bench = Bench::new(Format::Json, Rotation::default());
    let (mut run, _) = bench.start("one");
    fs::rename(bench.path(), bench.directory.path().join("moved")).unwrap();
    let other = File::create(bench.path()).unwrap();
    other.lock().unwrap();
    let problem = run.file.rotate_if_due(at(250)).unwrap_err();
    assert!(
        problem.to_string().contains("another process writes to it"),
        "{problem}"
    );
}
