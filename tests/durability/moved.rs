//! Files that are taken away under load, in every way in which people, tools or the server itself
//! do it: nothing is lost, nothing is there twice, and the chain runs through all of them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use customs_test_support::audited_server::{Count, Server, files, mixed, run, size, verify};
use customs_test_support::load::Load;

const NAME: &str = "audit.jsonl";

/// What is done to the open file.
#[derive(Clone, Copy, Debug)]
enum Way {
    Rename,
    /// As logrotate's `create` does.
    RenameAndCreate,
    RenameAndHangUp,
    /// As logrotate's `create` with a `postrotate` script does.
    RenameCreateAndHangUp,
    /// Another name keeps it, for this test only.
    Delete,
    DeleteAndHangUp,
    /// Nothing was moved.
    HangUp,
}

impl Way {
    const ALL: [Way; 7] = [
        Way::Rename,
        Way::RenameAndHangUp,
        Way::RenameAndCreate,
        Way::RenameCreateAndHangUp,
        Way::Delete,
        Way::HangUp,
        Way::DeleteAndHangUp,
    ];

    /// Does it; the file continues under `kept`. Returns false if there is no other file after
    /// that.
    fn go(self, server: &Server, open: &Path, kept: &Path) -> bool {
        use Way::{
            Delete, DeleteAndHangUp, HangUp, RenameAndCreate, RenameAndHangUp,
            RenameCreateAndHangUp,
        };
        match self {
            HangUp => {}
            Delete | DeleteAndHangUp => {
                fs::hard_link(open, kept).unwrap();
                fs::remove_file(open).unwrap();
            }
            _ => fs::rename(open, kept).unwrap(),
        }
        if matches!(self, RenameAndCreate | RenameCreateAndHangUp) {
            // The server may have been quicker.
            let _ = File::create_new(open);
        }
        if matches!(
            self,
            RenameAndHangUp | RenameCreateAndHangUp | DeleteAndHangUp | HangUp
        ) {
            server.signal("HUP");
        }
        !matches!(self, HangUp)
    }
}

/// Moves the open file away `times` times, and returns where the files are now.
fn move_away(server: &Server, directory: &Path, times: u64) -> Vec<PathBuf> {
    let open = directory.join(NAME);
    let mut kept = Vec::new();
    for (turn, way) in (0..times).zip(Way::ALL.into_iter().cycle()) {
        let (old, aside) = (
            fs::metadata(&open).unwrap().ino(),
            directory.join(format!("kept.{turn}")),
        );
        if way.go(server, &open, &aside) {
            server.until(&format!("another file after {way:?}"), || {
                fs::metadata(&open).is_ok_and(|about| about.ino() != old && about.len() > 0)
            });
            kept.push(aside);
        }
    }
    kept
}

/// Runs a load while `work` is done to the server's files, and returns how many checks were
/// answered.
fn under_load(server: &Server, work: impl FnOnce()) -> u64 {
    let load = Load {
        in_flight: 4,
        ..Load::new(server.port, u64::MAX, mixed())
    };
    let stop = load.stop.clone();
    let asking = std::thread::spawn(move || run(&load));
    server.until("there is a load", || {
        server.metric("customs_decisions_total", "") > 100
    });
    work();
    stop.store(true, Ordering::Relaxed);
    let result = asking.join().unwrap();
    assert_eq!((result.failed, result.withheld), (0, 0));
    result.answered()
}

/// Checks that every decision of one process is there once, and that the chain is whole through all
/// files.
fn whole(files: &[PathBuf], checks: u64) -> String {
    let count = Count::of(files);
    assert_eq!(
        count.numbers,
        (1..=checks).collect::<Vec<_>>(),
        "each decision once"
    );
    assert_eq!((count.kinds.get("gap"), count.kinds["stop"]), (None, 1));
    // In no order at all: the audit log knows its own.
    let mut shuffled = files.to_vec();
    shuffled.sort_by_key(|path| path.to_string_lossy().bytes().rev().collect::<Vec<_>>());
    let (code, words) = verify(&shuffled);
    assert_eq!(code, 0, "{words}");
    words.replace('\n', "; ")
}

#[test]
fn nothing_is_lost_when_files_are_taken_away() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(directory.path(), &["--audit", "file:audit.jsonl"]);
    let mut all = Vec::new();
    let times = size("CUSTOMS_DURABILITY_ROTATIONS", 75);
    let checks = under_load(&server, || {
        all = move_away(&server, directory.path(), times)
    });
    assert_eq!(server.stop(), Some(0));
    all.push(directory.path().join(NAME));
    let words = whole(&all, checks);
    println!(
        "{} files taken away, {checks} checks: {words}",
        all.len() - 1
    );
}

#[test]
fn nothing_is_lost_when_files_are_closed_by_size_and_packed() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(
        directory.path(),
        &["--audit", "file:audit.jsonl?rotate_size=64KiB&gzip=true"],
    );
    let times = size("CUSTOMS_DURABILITY_ROTATIONS", 75) as usize / 2;
    let enough = || files(directory.path(), NAME).len() > times;
    let mut said = BTreeMap::<i32, u64>::new();
    let checks = under_load(&server, || {
        server.until("enough files", || {
            // A reader that verifies them meanwhile may miss the file that was just closed; nothing
            // else looks wrong.
            let (code, words) = verify(&files(directory.path(), NAME));
            assert!(code != 1 || words.contains("is a file missing?"), "{words}");
            said.entry(code)
                .and_modify(|times| *times += 1)
                .or_insert(1);
            enough()
        });
    });
    assert_eq!(server.stop(), Some(0));
    let all = files(directory.path(), NAME);
    let words = whole(&all, checks);
    println!(
        "{} files closed by size, {checks} checks, verified meanwhile {said:?}: {words}",
        all.len() - 1
    );
}
