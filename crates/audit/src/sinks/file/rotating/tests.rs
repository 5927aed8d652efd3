//! Tests of a regular file: opening, continuing, rotating, and the stream across files.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::GzDecoder;
use tempfile::TempDir;

use super::RotatingFile;
use crate::config::Rotation;
use crate::sinks::Reopen;
use customs_engine::time::UnixNanos;
use customs_record::chain::Head;
use customs_record::entry::audit_log::Position;
use customs_record::segment_index::{FileStamp, SegmentIndex};
use customs_record::segment_name::{SegmentNames, index_of, is_index};
use customs_record::stream::{Format, ResumePoint, Stream};
use customs_record::{Entry, GapEntry, Loss};

mod place;

const NOON: i128 = 1_795_521_600_000_000_000;
const SIZE: u64 = 16 << 10;

/// This many milliseconds after noon.
pub(super) fn at(millis: i128) -> UnixNanos {
    UnixNanos(NOON + millis * 1_000_000)
}

fn gap(time: UnixNanos) -> Entry {
    Entry::Gap(
        GapEntry {
            time,
            lost: Loss::default(),
            first: time,
            last: time,
        }
        .into(),
    )
}

pub(super) fn by_size() -> Rotation {
    Rotation {
        size: Some(SIZE),
        ..Rotation::default()
    }
}

/// A file in a directory of its own, and its stream, driven as the writer drives both.
pub(super) struct Bench {
    pub(super) directory: TempDir,
    format: Format,
    rotation: Rotation,
    pub(super) reopen: Reopen,
}

pub(super) struct Run {
    pub(super) file: RotatingFile,
    stream: Stream,
}

impl Bench {
    pub(super) fn new(format: Format, rotation: Rotation) -> Bench {
        Bench {
            directory: tempfile::tempdir().unwrap(),
            format,
            rotation,
            reopen: Reopen::default(),
        }
    }

    pub(super) fn path(&self) -> PathBuf {
        self.directory.path().join("audit.log")
    }

    fn open(&self) -> Result<RotatingFile, String> {
        let opened = RotatingFile::open(
            &self.path(),
            self.format,
            self.rotation.clone(),
            self.reopen.clone(),
            at(0),
        );
        opened.map_err(|unfit| format!("{}; {}", unfit.problem, unfit.advice))
    }

    /// Starts as the writer does: what was left, then the first record.
    pub(super) fn start(&self, id: &str) -> (Run, ResumePoint) {
        let mut run = Run {
            file: self.open().unwrap(),
            stream: Stream::new(id.into(), "file:x", "all", self.format),
        };
        let left = run.file.resume_point();
        let mut bytes = Vec::new();
        run.stream.begin(left.clone(), at(0), &mut bytes);
        run.put(&bytes);
        (run, left)
    }

    /// Every file, the closed ones first and in their order.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let segments = SegmentNames::of(&self.path());
        let closed = segments.closed().unwrap().into_iter();
        let closed = closed.map(|(time, forms)| {
            if forms.plain {
                segments.plain(time)
            } else {
                segments.gzip(time)
            }
        });
        closed
            .chain(Some(self.path()).filter(|path| path.exists()))
            .collect()
    }

    /// The content of all files, one after the other.
    fn whole(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for path in self.files() {
            let mut file = File::open(&path).unwrap();
            match path.extension().is_some_and(|ending| ending == "gz") {
                true => GzDecoder::new(file).read_to_end(&mut all).unwrap(),
                false => file.read_to_end(&mut all).unwrap(),
            };
        }
        all
    }
}

impl Run {
    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.file.write(bytes).unwrap()..];
        }
    }

    /// One cycle of the writer: a rotation if due, then records as far as there is room. True if
    /// the file is another one.
    pub(super) fn round(&mut self, now: UnixNanos, records: usize) -> bool {
        let mut bytes = Vec::new();
        let turned = self.file.rotate_if_due(now).unwrap();
        if turned {
            self.stream.continue_in_new_file("", now, &mut bytes);
        }
        for number in 0..records {
            if number > 0 && bytes.len() >= self.file.room() {
                break;
            }
            self.stream.append(&gap(now), &mut bytes);
        }
        self.put(&bytes);
        turned
    }
}

/// The position of every line; each chain must follow from the one before.
pub(super) fn verified(bytes: &[u8]) -> Vec<Position> {
    let mut head = Head::START;
    let mut positions = Vec::new();
    for line in std::str::from_utf8(bytes).unwrap().lines() {
        let (covered, _) = line.split_once(",\"chain\":\"").unwrap();
        head = head.then(covered.as_bytes());
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        let (stream, chain) = (text("stream"), text("chain"));
        assert_eq!(chain, head.hex().as_str(), "record {}", positions.len());
        positions.push(Position {
            stream,
            sequence: text("sequence").parse().unwrap(),
            chain,
        });
    }
    positions
}

pub(super) fn sequences(positions: &[Position]) -> Vec<u64> {
    positions.iter().map(|position| position.sequence).collect()
}

#[test]
fn a_file_is_made_for_its_owner_and_group() {
    let bench = Bench::new(Format::Json, Rotation::default());
    let mut file = bench.open().unwrap();
    assert_eq!(
        (file.resume_point(), file.room()),
        (ResumePoint::default(), usize::MAX)
    );
    assert_eq!(
        bench.path().metadata().unwrap().permissions().mode() & 0o777,
        0o640
    );
    file.sync().unwrap();
}

#[test]
fn a_file_that_cannot_be_used_says_why() {
    let bench = Bench::new(Format::Json, Rotation::default());
    let wrong = |path: &Path| {
        let opened = RotatingFile::open(
            path,
            Format::Json,
            Rotation::default(),
            Reopen::default(),
            at(0),
        );
        opened
            .map(|_| ())
            .map_err(|unfit| format!("{}; {}", unfit.problem, unfit.advice))
            .unwrap_err()
    };
    assert!(wrong(&bench.path().join("x")).contains("create its directory first"));
    fs::write(bench.path(), "hello\n").unwrap();
    assert!(wrong(&bench.path()).contains("lines of JSON"));
    assert!(wrong(&bench.path().join("x")).contains("a part of the path is a file"));
    assert_eq!(fs::read(bench.path()).unwrap(), b"hello\n");
}

#[test]
fn a_file_that_another_process_writes_to_is_refused() {
    let bench = Bench::new(Format::Json, Rotation::default());
    let first = bench.open().unwrap();
    let wrong = bench.open().unwrap_err();
    assert_eq!(
        wrong,
        "another process writes to it; give each its own file"
    );
    drop(first);
    bench.open().unwrap();
}

#[test]
fn a_stream_continues_from_the_last_whole_record() {
    for format in Format::ALL {
        let bench = Bench::new(format, Rotation::default());
        let (mut run, _) = bench.start("one");
        run.round(at(0), 5);
        let position = run.stream.position();
        drop(run);
        let mut torn = Vec::new();
        Stream::new("one".into(), "x", "all", format).append(&gap(at(0)), &mut torn);
        let whole = fs::metadata(bench.path()).unwrap().len();
        let mut file = File::options().append(true).open(bench.path()).unwrap();
        file.write_all(&torn[..torn.len() - 1]).unwrap();
        let (_run, left) = bench.start("two");
        assert_eq!(
            left,
            ResumePoint {
                previous: Some(position),
                torn_bytes: torn.len() as u64 - 1
            },
            "{format}"
        );
        assert!(fs::metadata(bench.path()).unwrap().len() > whole);
    }
}

#[test]
fn a_chain_continues_from_the_newest_closed_file() {
    for format in Format::ALL {
        for (gzip, leftover) in [(false, ""), (true, ""), (false, "torn"), (true, "missing")] {
            let bench = Bench::new(format, Rotation { gzip, ..by_size() });
            let (mut run, _) = bench.start("one");
            while !run.file.rotate_if_due(at(0)).unwrap() {
                run.round(at(0), 20);
            }
            run.file.finish();
            let position = run.stream.position();
            drop(run);
            assert_eq!(bench.files().len(), 2);
            let torn = match leftover {
                "torn" => {
                    let mut bytes = Vec::new();
                    Stream::new("one".into(), "x", "all", format).append(&gap(at(0)), &mut bytes);
                    fs::write(bench.path(), &bytes[..40]).unwrap();
                    40
                }
                "missing" => {
                    fs::remove_file(bench.path()).unwrap();
                    0
                }
                _ => 0,
            };
            let (_run, left) = bench.start("two");
            assert_eq!(
                left,
                ResumePoint {
                    previous: Some(position),
                    torn_bytes: torn
                },
                "{format} {gzip} {leftover}"
            );
        }
    }
}

#[test]
fn a_torn_record_in_a_closed_file_is_cut_off_when_it_is_the_last() {
    let bench = Bench::new(Format::Json, Rotation::default());
    let (mut run, _) = bench.start("one");
    run.round(at(0), 3);
    let position = run.stream.position();
    run.put(b"{\"time\":\"2026");
    drop(run);
    let segments = SegmentNames::of(&bench.path());
    fs::rename(bench.path(), segments.plain(segments.next(at(0)).unwrap())).unwrap();
    let (_run, left) = bench.start("two");
    assert_eq!(
        left,
        ResumePoint {
            previous: Some(position),
            torn_bytes: 13
        }
    );
    assert_eq!(verified(&bench.whole()).len(), 5);
}

#[test]
fn a_closed_file_that_cannot_be_read_begins_a_new_chain() {
    let bench = Bench::new(Format::Json, Rotation::default());
    let segments = SegmentNames::of(&bench.path());
    fs::write(segments.gzip(segments.next(at(0)).unwrap()), "no gzip").unwrap();
    assert_eq!(bench.start("one").1, ResumePoint::default());
}

#[test]
fn twenty_files_hold_one_chain_without_a_gap() {
    for gzip in [false, true] {
        let bench = Bench::new(Format::Json, Rotation { gzip, ..by_size() });
        let (mut run, _) = bench.start("one");
        let (mut turned, mut now) = (0, 0);
        while turned < 20 {
            now += 1;
            turned += usize::from(run.round(at(now), 17));
        }
        run.file.finish();
        assert_eq!(bench.files().len(), 21);
        let positions = verified(&bench.whole());
        assert_eq!(positions.last(), Some(&run.stream.position()));
        assert_eq!(
            sequences(&positions),
            (1..=run.stream.position().sequence).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_file_ends_at_the_first_record_that_reaches_the_size() {
    let bench = Bench::new(Format::Json, by_size());
    let (mut run, _) = bench.start("one");
    let one = run.file.room();
    run.round(at(0), 1);
    let record = (one - run.file.room()) as u64;
    while !run.round(at(0), 1000) {}
    let closed = fs::metadata(&bench.files()[0]).unwrap().len();
    assert!((SIZE..SIZE + record + 2).contains(&closed), "{closed}");
}

#[test]
fn a_size_too_small_for_records_makes_no_flood_of_files() {
    let bench = Bench::new(
        Format::Json,
        Rotation {
            size: Some(1),
            ..Rotation::default()
        },
    );
    let (mut run, _) = bench.start("one");
    assert!((0..50).all(|now| !run.round(at(now * 300), 0)));
}

#[test]
fn a_file_ends_at_its_age_counted_from_its_first_record() {
    let rotation = Rotation {
        age: Some(Duration::from_secs(3600)),
        ..Rotation::default()
    };
    let bench = Bench::new(Format::Json, rotation);
    // An hour less ten seconds before the process starts.
    let mut old = Vec::new();
    Stream::new("old".into(), "x", "all", Format::Json).begin(
        ResumePoint::default(),
        at(-3_590_000),
        &mut old,
    );
    fs::write(bench.path(), old).unwrap();
    let (mut run, _) = bench.start("one");
    assert!(!run.round(at(9_999), 1));
    assert!(run.round(at(10_000), 1));
    assert!(!run.round(at(20_000), 1));
    assert!(run.round(at(3_610_000), 1));
    // A clock that is set back closes nothing.
    assert!(!run.round(at(-10_000_000), 1));
    assert_eq!(bench.files().len(), 3);
}

#[test]
fn only_the_newest_closed_files_stay() {
    let bench = Bench::new(
        Format::Json,
        Rotation {
            keep: Some(2),
            gzip: true,
            ..by_size()
        },
    );
    fs::write(bench.directory.path().join("audit.log.1"), "not ours").unwrap();
    let (mut run, _) = bench.start("one");
    let mut turned = 0;
    while turned < 6 {
        turned += usize::from(run.round(at(turned as i128), 50));
    }
    run.file.finish();
    let files = bench.files();
    assert_eq!(files.len(), 3, "{files:?}");
    assert!(bench.directory.path().join("audit.log.1").exists());
    // Each closed file has its index, and no index is left of those that were deleted.
    let names = fs::read_dir(bench.directory.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().path());
    let indices: BTreeSet<PathBuf> = names.filter(|path| is_index(path)).collect();
    let closed = files.iter().filter_map(|path| index_of(path));
    assert_eq!(indices, closed.collect());
    for path in &files[..2] {
        let stamp = FileStamp::of(&fs::metadata(path).unwrap());
        let index = SegmentIndex::read(&index_of(path).unwrap(), stamp);
        assert!(index.unwrap().unwrap().survey.records > 50, "{path:?}");
    }
}

#[test]
fn a_closed_file_that_cannot_be_indexed_is_closed_all_the_same() {
    let bench = Bench::new(Format::Json, by_size());
    let (mut run, _) = bench.start("one");
    while !run.round(at(0), 50) {}
    run.file.finish();
    let closed = bench.files().remove(0);
    fs::remove_file(index_of(&closed).unwrap()).unwrap();
    // The place of the next index is taken.
    fs::create_dir(index_of(&closed).unwrap()).unwrap();
    while !run.round(at(1), 50) {}
    run.file.finish();
    assert_eq!(bench.files().len(), 3);
    assert!(index_of(&bench.files()[1]).unwrap().is_file());
}

#[test]
fn a_file_that_was_cut_says_what_it_continues() {
    let bench = Bench::new(Format::Json, Rotation::default());
    let (mut run, _) = bench.start("one");
    run.round(at(0), 3);
    let copied = fs::read(bench.path()).unwrap();
    File::options()
        .write(true)
        .open(bench.path())
        .unwrap()
        .set_len(0)
        .unwrap();
    assert!(run.round(at(250), 1));
    assert!(!run.round(at(500), 1));
    let whole = [copied, fs::read(bench.path()).unwrap()].concat();
    assert_eq!(sequences(&verified(&whole)), (1..=7).collect::<Vec<_>>());
}

#[test]
fn a_link_is_followed_to_where_the_file_is() {
    let bench = Bench::new(Format::Json, by_size());
    let elsewhere = tempfile::tempdir().unwrap();
    let real = elsewhere.path().join("real.log");
    std::os::unix::fs::symlink(&real, bench.path()).unwrap();
    let (mut run, _) = bench.start("one");
    while !run.round(at(0), 50) {}
    assert!(fs::symlink_metadata(bench.path()).unwrap().is_symlink());
    run.file.finish();
    let names = fs::read_dir(elsewhere.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name());
    let (indices, files): (Vec<_>, Vec<_>) =
        names.partition(|name| name.to_string_lossy().ends_with(".index"));
    assert_eq!(
        (files.len(), indices.len()),
        (2, 1),
        "{files:?} {indices:?}"
    );
    assert!(real.is_file());
}
