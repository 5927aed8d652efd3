//! What records say of a moment: between changes, across files, after restarts, with gaps.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::entry::audit_log::Position;
use crate::examples;
use crate::stream::{Format, ResumePoint, Stream};
use crate::{DecisionEntry, Entry, StopEntry};
use customs_policy::policy_change::{ChangeOutcome, PolicyChange};

const SECOND: i128 = 1_000_000_000;
/// 2026-11-23T12:00:00Z
const NOON: i128 = 1_795_435_200 * SECOND;

fn at(second: i128) -> UnixNanos {
    UnixNanos(NOON + second * SECOND)
}

fn revision(letter: &str) -> String {
    letter.repeat(32)
}

fn change(second: i128, from: &str, to: &str) -> Entry {
    let outcome = if from == to {
        ChangeOutcome::Refused
    } else {
        ChangeOutcome::Published
    };
    Entry::PolicyChange(
        PolicyChange {
            time: at(second),
            outcome,
            revision: to.to_owned(),
            previous_revision: from.to_owned(),
            refused_sources: Vec::new(),
            problems: Vec::new(),
            counts: customs_engine::rules::RuleCounts::default(),
            sources: Vec::new(),
        }
        .into(),
    )
}

fn stop(second: i128) -> Entry {
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

/// A decision by this revision.
fn decision(second: i128, revision: &str) -> Entry {
    let entry = DecisionEntry {
        time: at(second),
        revision: revision.into(),
        ..examples::full_decision()
    };
    Entry::Decision(Arc::new((&entry).into()))
}

/// A log of one stream, which begins at noon.
struct Log {
    stream: Stream,
    bytes: Vec<u8>,
}

impl Log {
    fn new(id: &str, format: Format) -> Log {
        let mut stream = Stream::new(id.into(), "file:a.jsonl", "all", format);
        let mut bytes = Vec::new();
        stream.begin(ResumePoint::default(), at(0), &mut bytes);
        Log { stream, bytes }
    }

    fn with(mut self, entries: &[Entry]) -> Log {
        for entry in entries {
            self.stream.append(entry, &mut self.bytes);
        }
        self
    }

    /// Begins another file; returns the bytes of the one before.
    fn rotate(&mut self, second: i128) -> Vec<u8> {
        let before = std::mem::take(&mut self.bytes);
        self.stream
            .continue_in_new_file("", at(second), &mut self.bytes);
        before
    }
}

fn written(directory: &Path, files: &[(&str, &[u8])]) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for (name, bytes) in files {
        paths.push(directory.join(name));
        fs::write(directory.join(name), bytes).unwrap();
    }
    paths
}

/// Returns the only stream in these files.
fn ask(files: &[(&str, &[u8])], second: i128) -> StreamAt {
    let directory = tempfile::tempdir().unwrap();
    let mut streams = in_force_at(&written(directory.path(), files), at(second)).unwrap();
    assert_eq!(streams.len(), 1, "{streams:?}");
    streams.remove(0)
}

fn names(stream: &StreamAt) -> Vec<String> {
    match &stream.in_force {
        InForceAt::Revisions(known) => known.iter().map(|known| known.revision.clone()).collect(),
        other => vec![format!("{other:?}")],
    }
}

#[test]
fn a_moment_has_the_revision_of_the_last_change_before_it() {
    let (a, b) = (revision("a"), revision("b"));
    for format in Format::ALL {
        let log = Log::new("s", format).with(&[
            change(10, "none", &a),
            change(20, &a, &a),
            decision(25, &a),
            change(30, &a, &b),
            stop(40),
        ]);
        for (second, expected) in [
            (0, "none"),
            (9, "none"),
            (10, &a),
            (20, &a),
            (29, &a),
            (30, &b),
            (40, &b),
        ] {
            let stream = ask(&[("log", &log.bytes)], second);
            assert_eq!(names(&stream), [expected], "{format} {second}");
        }
        let stream = ask(&[("log", &log.bytes)], 25);
        let InForceAt::Revisions(known) = &stream.in_force else {
            panic!("{stream:?}")
        };
        assert_eq!(
            known[0].since,
            Some(timestamp::text(at(10))),
            "the refusal changed nothing"
        );
        assert_eq!(stream.sink, "file:a.jsonl");
        for second in [-1, 41] {
            let stream = ask(&[("log", &log.bytes)], second);
            assert_eq!(stream.in_force, InForceAt::NotCovered, "{second}");
            assert!(stream.has_stopped);
        }
    }
}

#[test]
fn a_stream_may_begin_in_a_file_that_is_not_given() {
    let (a, b) = (revision("a"), revision("b"));
    let mut log = Log::new("s", Format::Json).with(&[change(10, "none", &a)]);
    let first = log.rotate(20);
    log = log.with(&[decision(30, &a), change(40, &a, &b), stop(50)]);
    let second = log.bytes;
    let both: &[(&str, &[u8])] = &[("2", &second), ("1", &first)];
    for (moment, expected) in [(15, &a), (25, &a), (45, &b)] {
        assert_eq!(names(&ask(both, moment)), [expected.as_str()], "{moment}");
    }
    for (moment, expected) in [(25, &a), (30, &a), (45, &b)] {
        let alone = ask(&[("2", &second)], moment);
        assert_eq!(names(&alone), [expected.as_str()], "{moment}");
    }
    assert_eq!(ask(&[("1", &first)], 15).in_force, InForceAt::NotCovered);
    let twice: &[(&str, &[u8])] = &[("1", &first), ("1.copy", &first), ("2", &second)];
    assert_eq!(names(&ask(twice, 15)), [a.as_str()]);
}

#[test]
fn a_file_that_is_missing_in_between_is_said() {
    let a = revision("a");
    let mut log = Log::new("s", Format::Json).with(&[change(10, "none", &a)]);
    let first = log.rotate(20);
    log.rotate(30);
    let last = log.with(&[stop(40)]).bytes;
    let files: &[(&str, &[u8])] = &[("1", &first), ("3", &last)];
    assert_eq!(ask(files, 25).in_force, InForceAt::Missing);
    let after = ask(files, 35);
    assert_eq!(
        after.in_force,
        InForceAt::Unknown,
        "a change may be missing"
    );
}

#[test]
fn a_clock_that_was_set_back_gives_both() {
    let (a, b) = (revision("a"), revision("b"));
    let log = Log::new("s", Format::Json).with(&[
        change(10, "none", &a),
        decision(30, &a),
        change(15, &a, &b),
        stop(40),
    ]);
    assert_eq!(names(&ask(&[("log", &log.bytes)], 20)), [a.clone(), b]);
    assert_eq!(names(&ask(&[("log", &log.bytes)], 12)), [a]);
}

#[test]
fn each_stream_answers_for_itself() {
    let (a, b) = (revision("a"), revision("b"));
    let one = Log::new("one", Format::Json).with(&[change(10, "none", &a), stop(40)]);
    let other = Log::new("other", Format::Protobuf).with(&[change(5, "none", &b), stop(50)]);
    // A restart in the same file.
    let previous = Position {
        stream: "one".into(),
        sequence: 3,
        chain: one.stream.position().chain,
    };
    let mut restarted = Stream::new("two".into(), "file:a.jsonl", "all", Format::Json);
    let mut bytes = one.bytes.clone();
    let resume = ResumePoint {
        previous: Some(previous),
        torn_bytes: 0,
    };
    restarted.begin(resume, at(60), &mut bytes);
    restarted.append(&change(70, "none", &b), &mut bytes);
    restarted.append(&stop(80), &mut bytes);
    let directory = tempfile::tempdir().unwrap();
    let files = written(
        directory.path(),
        &[("one", &bytes), ("other", &other.bytes)],
    );
    let said = |second| -> Vec<(String, Vec<String>)> {
        let streams = in_force_at(&files, at(second)).unwrap();
        let covering = |stream: &&StreamAt| stream.in_force != InForceAt::NotCovered;
        let mut said: Vec<_> = streams
            .iter()
            .filter(covering)
            .map(|stream| (stream.stream.clone(), names(stream)))
            .collect();
        said.sort();
        said
    };
    let is = |stream: &str, revision: &str| (stream.to_owned(), vec![revision.to_owned()]);
    assert_eq!(said(7), [is("one", "none"), is("other", &b)]);
    assert_eq!(said(20), [is("one", &a), is("other", &b)]);
    assert_eq!(said(55), [], "nothing was running");
    assert_eq!(said(75), [is("two", &b)]);
}

#[test]
fn a_torn_tail_and_foreign_lines_say_nothing() {
    let a = revision("a");
    let log = Log::new("s", Format::Json).with(&[change(10, "none", &a), decision(20, &a)]);
    let mut bytes = log.bytes;
    bytes.extend_from_slice(b"not a record\n{\"time\":\"2026");
    assert_eq!(names(&ask(&[("log", &bytes)], 15)), [a]);
}
