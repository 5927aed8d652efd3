//! Where a range begins and ends, over files, restarts, gaps and clocks that were set back.

use std::fs;

use super::*;
use crate::checkpoint;
use crate::stream::{Format, ResumePoint, Stream};
use crate::verify::report::{Outcome, What};
use crate::{Entry, StopEntry};

const SECOND: i128 = 1_000_000_000;
/// 2026-11-23T12:00:00Z
const NOON: i128 = 1_795_435_200 * SECOND;

fn at(second: i128) -> UnixNanos {
    UnixNanos(NOON + second * SECOND)
}

/// Any record of that second.
fn event(second: i128) -> Entry {
    Entry::Stop(
        StopEntry {
            time: at(second),
            cause: "SIGTERM".into(),
            decisions: 0,
            revision: "none".into(),
        }
        .into(),
    )
}

struct Log {
    stream: Stream,
    bytes: Vec<u8>,
}

impl Log {
    fn new(id: &str, format: Format) -> Log {
        let mut stream = Stream::new(id.into(), "file:a", "all", format);
        let mut bytes = Vec::new();
        stream.begin(ResumePoint::default(), at(0), &mut bytes);
        Log { stream, bytes }
    }

    fn events(mut self, seconds: &[i128]) -> Log {
        for second in seconds {
            self.stream.append(&event(*second), &mut self.bytes);
        }
        self
    }

    fn seal(mut self, second: i128) -> Log {
        let entry = checkpoint::checkpoint(self.stream.position(), false, at(second), None);
        self.stream
            .append(&Entry::Checkpoint(entry.into()), &mut self.bytes);
        self
    }

    fn rotate(&mut self, second: i128) -> Vec<u8> {
        let before = std::mem::take(&mut self.bytes);
        self.stream
            .continue_in_new_file("", at(second), &mut self.bytes);
        before
    }
}

fn window(since: Option<i128>, until: Option<i128>) -> Window {
    Window {
        since: since.map(at),
        until: until.map(at),
    }
}

/// Files in a directory.
struct Files {
    _directory: tempfile::TempDir,
    paths: Vec<PathBuf>,
}

impl Files {
    fn of(files: &[&[u8]]) -> Files {
        let directory = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        for (number, bytes) in files.iter().enumerate() {
            paths.push(directory.path().join(format!("{number}.log")));
            fs::write(&paths[number], bytes).unwrap();
        }
        Files {
            _directory: directory,
            paths,
        }
    }

    /// Returns the numbers of the records in the range of each log, and what was found.
    fn ranges(&self, window: Window) -> Vec<(Vec<u64>, RangeReport)> {
        let ranges = find(&self.paths, window, &[], &AtomicU64::new(0)).unwrap();
        let read = |range: &LogRange| {
            let mut numbers = Vec::new();
            let report = range.read(&[], |seen| {
                numbers.push(seen.sequence);
                true
            });
            (numbers, report.unwrap())
        };
        ranges.iter().map(read).collect()
    }

    fn only(&self, window: Window) -> (Vec<u64>, RangeReport) {
        let mut ranges = self.ranges(window);
        assert_eq!(ranges.len(), 1, "{ranges:?}");
        ranges.remove(0)
    }
}

fn numbers(from: u64, to: u64) -> Vec<u64> {
    (from..=to).collect()
}

#[test]
fn a_range_is_the_window_with_the_record_before_it_and_the_seal_behind_it() {
    for format in Format::ALL {
        // Records 1 to 11: the stream, six events, a checkpoint, two events, a checkpoint.
        let log = Log::new("s", format)
            .events(&[10, 20, 30, 40, 50, 60])
            .seal(65)
            .events(&[70, 80])
            .seal(90);
        let files = Files::of(&[&log.bytes]);
        for (since, until, expected) in [
            (Some(20), Some(40), (2, 8)),
            (Some(21), Some(40), (3, 8)),
            (Some(0), Some(40), (1, 8)),
            (None, Some(40), (1, 8)),
            (Some(60), Some(70), (6, 11)),
            (Some(70), Some(71), (8, 11)),
            (Some(20), Some(65), (2, 8)),
            (Some(20), None, (2, 11)),
            (None, None, (1, 11)),
        ] {
            let window = window(since, until);
            let (found, report) = files.only(window);
            assert_eq!(
                found,
                numbers(expected.0, expected.1),
                "{since:?} {until:?}"
            );
            assert_eq!(
                report.report.outcome,
                Outcome::Intact,
                "{since:?} {until:?}"
            );
            assert!(report.covers(window), "{since:?} {until:?}");
            assert_eq!(report.start.is_some(), expected.0 > 1);
        }
        let (found, report) = files.only(window(Some(80), Some(200)));
        assert_eq!(found, numbers(9, 11));
        assert!(
            !report.covers(window(Some(80), Some(200))),
            "nothing is after the window"
        );
    }
}

#[test]
fn what_nothing_seals_is_unsealed_and_ends_behind_the_window() {
    let log = Log::new("s", Format::Json).events(&[10, 20, 30, 40, 50]);
    let files = Files::of(&[&log.bytes]);
    let (found, report) = files.only(window(Some(20), Some(30)));
    assert_eq!(found, numbers(2, 4));
    assert_eq!(report.report.outcome, Outcome::Unsealed);
    assert!(report.covers(window(Some(20), Some(30))));
}

#[test]
fn a_range_goes_over_files_in_any_order() {
    let mut log = Log::new("s", Format::Json).events(&[10, 20]);
    let one = log.rotate(25);
    log = log.events(&[30, 40]);
    let two = log.rotate(45);
    let three = log.events(&[50]).seal(60).bytes;
    // Records 1 to 3, 4 to 6, and 7 to 9.
    let files = Files::of(&[&three, &one, &two]);
    for (since, until, expected) in [
        (15, 35, (2, 9)),
        (25, 35, (3, 9)),
        (30, 35, (4, 9)),
        (45, 55, (6, 9)),
    ] {
        let (found, report) = files.only(window(Some(since), Some(until)));
        assert_eq!(found, numbers(expected.0, expected.1), "{since} {until}");
        assert_eq!(
            report.report.outcome,
            Outcome::Intact,
            "{:?}",
            report.report.bad
        );
    }
    // The record before the window is in a file that is not given.
    let files = Files::of(&[&three, &two]);
    let (found, report) = files.only(window(Some(25), Some(35)));
    assert_eq!(found, numbers(4, 9));
    assert!(!report.covers(window(Some(25), Some(35))));
    // A file in the middle is missing.
    let files = Files::of(&[&three, &one]);
    let (_, report) = files.only(window(Some(15), Some(55)));
    assert_eq!(report.report.bad.unwrap().what, What::UndeclaredGap);
}

#[test]
fn another_process_continues_the_range() {
    let mut log = Log::new("one", Format::Json).events(&[10, 20]);
    let mut next = Stream::new("two".into(), "file:a", "all", Format::Json);
    let left = ResumePoint {
        previous: Some(log.stream.position()),
        torn_bytes: 0,
    };
    next.begin(left, at(30), &mut log.bytes);
    log.stream = next;
    let log = log.events(&[40]).seal(50);
    let files = Files::of(&[&log.bytes]);
    let (found, report) = files.only(window(Some(15), Some(45)));
    assert_eq!(found, [2, 3, 1, 2, 3]);
    assert_eq!(report.streams.len(), 2);
    assert_eq!(
        report.report.outcome,
        Outcome::Intact,
        "its seal covers what was before it"
    );
}

#[test]
fn logs_are_kept_apart_and_those_without_the_window_are_left_out() {
    let one = Log::new("one", Format::Json).events(&[10, 20]).seal(30);
    let other = Log::new("other", Format::Protobuf).events(&[15]).seal(40);
    let late = Log::new("late", Format::Json).events(&[100]).seal(110);
    let files = Files::of(&[&one.bytes, &other.bytes, &late.bytes]);
    let found = files.ranges(window(Some(5), Some(25)));
    let found: Vec<Vec<u64>> = found.into_iter().map(|(numbers, _)| numbers).collect();
    assert_eq!(found, [numbers(1, 4), numbers(1, 3)]);
}

#[test]
fn a_clock_that_was_set_back_makes_the_range_longer_and_not_wrong() {
    let log = Log::new("s", Format::Json)
        .events(&[10, 20, 90, 30, 40, 50])
        .seal(60);
    let files = Files::of(&[&log.bytes]);
    let (found, report) = files.only(window(Some(30), Some(45)));
    assert_eq!(
        found,
        numbers(4, 8),
        "from the record before the first in it"
    );
    assert!(report.report.bad.is_none());
    let (found, _) = files.only(window(Some(80), Some(95)));
    assert_eq!(found, numbers(3, 8));
}

#[test]
fn a_window_without_records_names_the_nearest() {
    let log = Log::new("s", Format::Json).events(&[10, 50]);
    let files = Files::of(&[&log.bytes]);
    let why = find(
        &files.paths,
        window(Some(20), Some(30)),
        &[],
        &AtomicU64::new(0),
    )
    .unwrap_err()
    .to_string();
    assert_eq!(
        why,
        "no record is in the window: the last record before it is of 2026-11-23T12:00:10.000000000Z, and the first after it is of \
         2026-11-23T12:00:50.000000000Z"
    );
}

#[test]
fn a_torn_tail_and_a_broken_line_are_found_where_they_are() {
    let log = Log::new("s", Format::Json).events(&[10, 20, 30]).seal(40);
    let mut torn = log.bytes.clone();
    torn.extend_from_slice(b"{\"time\":\"2026");
    let files = Files::of(&[&torn]);
    let (found, report) = files.only(window(Some(15), Some(25)));
    assert_eq!(
        (found, report.report.outcome),
        (numbers(2, 5), Outcome::Intact)
    );
    let lines: Vec<&[u8]> = log.bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let broken = [
        lines[0],
        lines[1],
        b"no record\n",
        lines[2],
        lines[3],
        lines[4],
    ]
    .concat();
    let files = Files::of(&[&broken]);
    let (_, report) = files.only(window(Some(5), Some(35)));
    let bad = report.report.bad.unwrap();
    assert_eq!((bad.what, bad.named.number), (What::Inserted, 3));
    let (_, report) = files.only(window(Some(25), Some(35)));
    assert!(report.report.bad.is_none(), "it is before the range");
}

#[test]
fn a_range_that_was_cut_out_is_verified_from_its_start() {
    for format in Format::ALL {
        let log = Log::new("s", format).events(&[10, 20, 30]).seal(40);
        let files = Files::of(&[&log.bytes]);
        let ranges = find(
            &files.paths,
            window(Some(15), Some(25)),
            &[],
            &AtomicU64::new(0),
        )
        .unwrap();
        let mut bytes = Vec::new();
        let report = ranges[0]
            .read(&[], |seen| {
                seen.write(&mut bytes);
                true
            })
            .unwrap();
        assert!(
            log.bytes.ends_with(&bytes),
            "{format}: as they were written"
        );
        let cut = Files::of(&[&bytes]);
        let options = VerifyOptions {
            files: cut.paths.clone(),
            ..VerifyOptions::default()
        };
        let again = verify_range(&options, report.start.as_ref(), |_| true).unwrap();
        assert_eq!(again.report.outcome, Outcome::Intact);
        assert_eq!((again.first, again.last), (report.first, report.last));
        let without = verify_range(&options, None, |_| true).unwrap();
        assert!(
            without.report.bad.is_some(),
            "{format}: it begins in the middle"
        );
        let other = Position {
            chain: "0".repeat(64),
            ..report.start.unwrap()
        };
        let other = verify_range(&options, Some(&other), |_| true).unwrap();
        assert_eq!(other.report.bad.unwrap().what, What::Edited);
    }
}
