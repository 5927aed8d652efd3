//! What joins streams and files: restarts, rotation, and what is missing between them.

use std::io::Write;

use customs_record::verify::report::{Outcome, Report, What};

use super::Folder;
use super::log::{Format, Log, Place};

const FORMATS: [Format; 2] = [Format::Json, Format::Protobuf];

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn what(report: &Report) -> Option<What> {
    report.bad.as_ref().map(|bad| bad.what)
}

/// Three files of one sink: the first two of one process, the third of that process and the next
/// one. The first two are packed.
fn rotated(format: Format) -> (Folder, [Log; 3]) {
    let mut first = Log::new(format, "stream-1");
    first.decisions(20);
    first.checkpoint(false);
    first.decisions(10);
    let mut second = first.rotated();
    second.decisions(30);
    let mut third = second.rotated();
    third.decisions(5);
    third.checkpoint(true);
    third.restart("stream-2");
    third.decisions(5);
    third.checkpoint(true);
    let folder = Folder::new();
    folder.write("a.log.2.gz", &gz(&first.bytes));
    folder.write("a.log.1.gz", &gz(&second.bytes));
    folder.write("a.log", &third.bytes);
    folder.write("checkpoints.jsonl", third.checkpoints.as_bytes());
    (folder, [first, second, third])
}

#[test]
fn rotated_and_packed_files_are_read_in_their_order() {
    for format in FORMATS {
        let (folder, _) = rotated(format);
        for files in [
            ["a.log", "a.log.1.gz", "a.log.2.gz"],
            ["a.log.1.gz", "a.log.2.gz", "a.log"],
        ] {
            let report = folder.ask(&files, true, true);
            assert_eq!(
                (report.outcome, report.streams, report.decisions),
                (Outcome::Intact, 2, 70),
                "{report:?}"
            );
            assert!(
                report.files[0].ends_with(".2.gz") && report.files[2].ends_with("a.log"),
                "{report:?}"
            );
        }
    }
}

#[test]
fn a_missing_file_in_the_middle_is_an_undeclared_gap() {
    for format in FORMATS {
        let (folder, _) = rotated(format);
        let report = folder.ask(&["a.log", "a.log.2.gz"], true, true);
        assert_eq!(what(&report), Some(What::UndeclaredGap), "{report:?}");
        let bad = report.bad.unwrap();
        assert!(
            bad.named.file.ends_with("a.log") && bad.why.contains("is a file missing?"),
            "{bad:?}"
        );
    }
}

#[test]
fn a_first_file_that_continues_another_is_noted() {
    for format in FORMATS {
        let (folder, _) = rotated(format);
        let report = folder.ask(&["a.log.1.gz", "a.log"], true, true);
        assert_eq!(report.outcome, Outcome::Intact, "{report:?}");
        assert!(
            report
                .notes
                .iter()
                .any(|note| note.contains("continues from record 32 of stream stream-1")),
            "{report:?}"
        );
    }
}

#[test]
fn a_missing_last_file_is_a_truncation_where_checkpoints_know_it() {
    for format in FORMATS {
        let (folder, logs) = rotated(format);
        let report = folder.ask(&["a.log.2.gz", "a.log.1.gz"], true, true);
        assert_eq!(what(&report), Some(What::Truncated), "{report:?}");
        // All of the second process is gone.
        let end = logs[2].records[7].start;
        folder.write("a.log", &logs[2].bytes[..end]);
        let report = folder.ask(&["a.log.2.gz", "a.log.1.gz", "a.log"], true, true);
        assert_eq!(what(&report), Some(What::Truncated), "{report:?}");
    }
}

#[test]
fn records_missing_before_a_restart_are_an_undeclared_gap() {
    for format in FORMATS {
        let mut log = Log::new(format, "stream-1");
        log.decisions(10);
        log.restart("stream-2");
        log.decisions(3);
        log.checkpoint(true);
        let cut = |from: usize, to: usize| {
            [
                &log.bytes[..log.records[from].start],
                &log.bytes[log.records[to].start..],
            ]
            .concat()
        };
        let folder = Folder::of(&log);
        for (from, to, expected) in [
            (9, 11, What::UndeclaredGap),
            (11, 12, What::Deleted),
            (9, 13, What::Deleted),
            (3, 5, What::Deleted),
            (0, 1, What::Deleted),
            (0, 12, What::Deleted),
        ] {
            folder.write("a.log", &cut(from, to));
            assert_eq!(folder.found(), Some(expected), "{format:?} {from} to {to}");
        }
    }
}

#[test]
fn a_chain_that_begins_in_the_middle_is_bad() {
    for format in FORMATS {
        let mut log = Log::new(format, "stream-1");
        log.decisions(4);
        log.begin("stream-2", &Place::start(), 0);
        log.decisions(4);
        log.checkpoint(true);
        let report = Folder::of(&log).ask(&["a.log"], true, true);
        assert_eq!(what(&report), Some(What::NewChain));
        assert!(
            report
                .bad
                .unwrap()
                .why
                .starts_with("starts a new chain: records of another sink, or")
        );
    }
}

#[test]
fn the_unfinished_record_of_a_killed_process_is_torn_and_then_declared() {
    for format in FORMATS {
        let mut log = Log::new(format, "stream-1");
        log.decisions(4);
        log.checkpoint(false);
        log.decisions(4);
        let torn = log.bytes.len() - 7;
        let folder = Folder::of(&log);
        folder.write("a.log", &log.bytes[..torn]);
        let report = folder.ask(&["a.log"], true, true);
        assert_eq!(
            (report.outcome, report.unsealed_records),
            (Outcome::Unsealed, 3),
            "{report:?}"
        );
        assert!(report.torn.is_some_and(|torn| torn.bytes > 20));

        // The next process cuts it off and records that.
        let whole = log.records.len() - 2;
        let mut next = log.clone();
        next.bytes.truncate(next.records[whole].end);
        let previous = next.places[whole].clone();
        next.begin("stream-2", &previous, 77);
        next.checkpoint(true);
        let folder = Folder::of(&next);
        assert_eq!(folder.ask(&["a.log"], true, true).outcome, Outcome::Intact);

        // A file that stays unfinished, while another continues.
        let mut other = next.rotated();
        other.decisions(1);
        folder.write("b.log", &other.bytes);
        folder.write(
            "a.log",
            &[next.bytes.as_slice(), &log.record(3)[..50]].concat(),
        );
        assert_eq!(
            what(&folder.ask(&["a.log", "b.log"], false, true)),
            Some(What::Torn)
        );
    }
}

#[test]
fn a_damaged_packed_file_is_bad() {
    let (folder, logs) = rotated(Format::Json);
    let files = ["a.log", "a.log.1.gz", "a.log.2.gz"];
    let packed = gz(&logs[0].bytes);
    folder.write("a.log.2.gz", &packed[..packed.len() - 9]);
    assert_eq!(what(&folder.ask(&files, true, true)), Some(What::Truncated));
    let mut packed = gz(&logs[0].bytes);
    let end = packed.len();
    packed[end - 6] ^= 1;
    folder.write("a.log.2.gz", &packed);
    let report = folder.ask(&files, true, true);
    assert_eq!(what(&report), Some(What::Edited), "{report:?}");
}

#[test]
fn a_file_that_is_being_packed_is_read_once() {
    let (folder, [first, ..]) = rotated(Format::Json);
    let packed = gz(&first.bytes);
    folder.write("a.log.2", &first.bytes);
    folder.write("a.log.2.gz.part", &packed[..packed.len() / 2]);
    for files in [
        ["a.log", "a.log.1.gz", "a.log.2", "a.log.2.gz.part"],
        ["a.log.2.gz", "a.log.2", "a.log.1.gz", "a.log"],
        ["a.log.2", "a.log.2.gz", "a.log.1.gz", "a.log"],
    ] {
        let report = folder.ask(&files, true, true);
        assert_eq!(
            (report.outcome, report.files.len(), report.decisions),
            (Outcome::Intact, 3, 70),
            "{report:?}"
        );
        assert!(
            report
                .notes
                .iter()
                .any(|note| note.contains("is left out: it was being packed")),
            "{report:?}"
        );
    }
    // On its own it is damaged.
    assert_eq!(
        what(&folder.ask(&["a.log.2.gz.part"], false, true)),
        Some(What::Truncated)
    );
}

#[test]
fn a_strange_record_at_its_beginning_moves_no_file() {
    for format in FORMATS {
        let (folder, [first, second, third]) = rotated(format);
        for strange in [third.record(0), third.record(5), first.record(0)] {
            folder.write("a.log.1", &[strange, &second.bytes].concat());
            let report = folder.ask(&["a.log", "a.log.1", "a.log.2.gz"], true, true);
            let bad = report.bad.unwrap();
            assert_eq!(bad.what, What::Inserted, "{format:?}: {bad:?}");
            assert!(
                bad.named.file.ends_with("a.log.1") && bad.named.number == 1,
                "{bad:?}"
            );
        }
    }
}
