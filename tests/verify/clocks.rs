//! Clocks that are set back: the order of the chain counts, and times that go back are not an
//! error. Nor do they hide one.

use customs_record::verify::report::{Outcome, What};

use super::Folder;
use super::log::{Format, Log};

/// Three files of two processes. Each file began at an earlier time than the one before; the second
/// has the end of the first process and the beginning of the second one.
fn back_in_time(format: Format) -> (Folder, [Log; 3]) {
    let mut first = Log::new(format, "stream-1");
    first.clock = 50_000;
    first.decisions(20);
    first.checkpoint(false);
    let mut second = first.rotated();
    second.decisions(5);
    second.clock = 30_000;
    second.checkpoint(true);
    second.restart("stream-2");
    second.decisions(5);
    second.clock = 10_000;
    let mut third = second.rotated();
    third.decisions(10);
    third.clock = 5_000;
    third.decisions(10);
    third.checkpoint(true);
    let folder = Folder::new();
    for (name, log) in ["a.log.1", "a.log.2", "a.log"]
        .iter()
        .zip([&first, &second, &third])
    {
        folder.write(name, &log.bytes);
    }
    folder.write("checkpoints.jsonl", third.checkpoints.as_bytes());
    (folder, [first, second, third])
}

#[test]
fn times_going_back_within_a_file_are_not_an_error() {
    for format in [Format::Json, Format::Protobuf] {
        let mut log = Log::new(format, "stream-1");
        for clock in [9_000, 3, 70_000, 0] {
            log.clock = clock;
            log.decisions(3);
        }
        log.checkpoint(true);
        let report = Folder::of(&log).ask(&["a.log"], true, true);
        assert_eq!(
            (report.outcome, report.records),
            (Outcome::Intact, 14),
            "{report:?}"
        );
    }
}

#[test]
fn files_are_read_as_they_are_joined_where_their_times_say_otherwise() {
    for format in [Format::Json, Format::Protobuf] {
        let (folder, _) = back_in_time(format);
        for files in [
            ["a.log", "a.log.1", "a.log.2"],
            ["a.log.2", "a.log.1", "a.log"],
            ["a.log.1", "a.log.2", "a.log"],
        ] {
            let report = folder.ask(&files, true, true);
            assert_eq!(
                (report.outcome, report.streams, report.decisions),
                (Outcome::Intact, 2, 50),
                "{report:?}"
            );
            let names: Vec<&str> = report
                .files
                .iter()
                .map(|file| file.rsplit('/').next().unwrap())
                .collect();
            assert_eq!(names, ["a.log.1", "a.log.2", "a.log"]);
        }
        // Also if the first of them is gone.
        let report = folder.ask(&["a.log", "a.log.2"], true, true);
        assert_eq!(report.outcome, Outcome::Intact, "{report:?}");
        assert!(
            report
                .notes
                .iter()
                .any(|note| note.contains("continues from record 22 of stream stream-1")),
            "{report:?}"
        );
    }
}

#[test]
fn a_clock_that_was_set_back_hides_nothing() {
    for format in [Format::Json, Format::Protobuf] {
        let (folder, [first, second, _]) = back_in_time(format);
        let what = |files: &[&str]| folder.ask(files, true, true).bad.map(|bad| bad.what);
        // The last file, the one in the middle, all of the later process although its checkpoints
        // have earlier times.
        assert_eq!(what(&["a.log.1", "a.log.2"]), Some(What::Truncated));
        assert_eq!(what(&["a.log.1", "a.log"]), Some(What::UndeclaredGap));
        let end = second.records[6].end;
        folder.write("a.log.2", &second.bytes[..end]);
        assert_eq!(what(&["a.log.1", "a.log.2"]), Some(What::Truncated));
        // An edit.
        let mut bytes = first.bytes.clone();
        bytes[first.records[9].start + 60] ^= 1;
        folder.write("a.log.1", &bytes);
        folder.write("a.log.2", &second.bytes);
        assert_eq!(what(&["a.log", "a.log.1", "a.log.2"]), Some(What::Edited));
    }
}

#[test]
fn a_later_stream_of_another_sink_is_not_a_truncation_and_a_later_one_of_this_is() {
    let mut log = Log::new(Format::Json, "stream-1");
    log.checkpoint(true);
    let mut other = Log::new(Format::Json, "stream-9");
    other.checkpoint(true);
    let folder = Folder::of(&log);
    let another_sink = other
        .checkpoints
        .replace("\"sink\":\"file:a\"", "\"sink\":\"file:b\"");
    folder.write(
        "checkpoints.jsonl",
        (log.checkpoints.clone() + &another_sink).as_bytes(),
    );
    assert_eq!(folder.ask(&["a.log"], true, true).outcome, Outcome::Intact);
    // Earlier lines are of earlier streams, whose files need not be given.
    folder.write(
        "checkpoints.jsonl",
        (other.checkpoints.clone() + &log.checkpoints).as_bytes(),
    );
    assert_eq!(folder.ask(&["a.log"], true, true).outcome, Outcome::Intact);
    folder.write(
        "checkpoints.jsonl",
        (log.checkpoints.clone() + &other.checkpoints).as_bytes(),
    );
    assert_eq!(folder.found(), Some(What::Truncated));
}
