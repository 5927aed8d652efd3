//! That many threads find what one finds, in whatever state the files are.

use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::decode;
use crate::proto::Record;
use crate::record_reader::MAX_RECORD;
use crate::stream::Format;

/// The records of a part, with where they are.
struct Listed {
    file: usize,
    records: Vec<(usize, u64, Record)>,
}

impl RecordFold for Listed {
    fn take(&mut self, record: &ScannedRecord<'_>) {
        let found = (self.file, record.offset, record.record().into_owned());
        self.records.push(found);
    }

    fn weight(&self) -> usize {
        self.records.len() * 1000
    }
}

type Found = (Vec<(usize, u64, Record)>, Vec<String>);

fn scanned(paths: &[PathBuf], threads: usize, part: u64) -> Found {
    let inputs: Vec<ScanInput> = paths.iter().cloned().map(ScanInput::from).collect();
    let options = ScanOptions {
        threads: NonZero::new(threads),
        part,
        ..ScanOptions::default()
    };
    let make = |file| Listed {
        file,
        records: Vec::new(),
    };
    let mut found = Vec::new();
    let outcome = scan(&inputs, &options, make, |listed| {
        found.extend(listed.records);
        ControlFlow::Continue(())
    });
    assert!(!outcome.is_ended);
    let files = outcome.files.iter().map(|file| format!("{file:?}"));
    (found, files.collect())
}

/// A directory with files of these contents, and their paths.
fn written(contents: &[Vec<u8>]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let directory = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = (0..contents.len())
        .map(|number| directory.path().join(number.to_string()))
        .collect();
    for (path, bytes) in paths.iter().zip(contents) {
        fs::write(path, bytes).unwrap();
    }
    (directory, paths)
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn line(number: u64) -> String {
    format!(
        "{{\"time\":\"2026-11-23T12:00:00.000000000Z\",\"kind\":\"decision\",\"stream\":\"s\",\
         \"sequence\":\"{number}\",\"host\":\"h{number}.example\",\"later\":[1]}}"
    )
}

fn messages(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let message = |number| {
        let record = decode::record(Format::Json, line(number).as_bytes());
        record.unwrap().encode_length_delimited_to_vec()
    };
    numbers.flat_map(message).collect()
}

fn lines(numbers: std::ops::Range<u64>) -> Vec<u8> {
    let line = |number| format!("{}\n", line(number)).into_bytes();
    numbers.flat_map(line).collect()
}

/// A file in any state.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        6 => (0_u64..999).prop_map(|number| line(number) + "\n"),
        1 => Just("\n".to_owned()),
        1 => Just("  \n".to_owned()),
        1 => Just("a log line\n".to_owned()),
        1 => Just("{\"level\":\"info\"}\n".to_owned()),
        1 => Just("{\"kind\":\"gap\",\"lost\":{\"allows\":\"3\"}}\n".to_owned()),
        1 => (1_usize..3000).prop_map(|length| "x".repeat(length) + "\n"),
    ];
    let text = prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat().into_bytes());
    let sound = prop_oneof![
        4 => text.clone(),
        1 => text.prop_map(|text| packed(&text)),
        1 => (0_u64..40).prop_map(|count| messages(0..count)),
        1 => (0_u64..40).prop_map(|count| packed(&messages(0..count))),
    ];
    // Every third is cut off somewhere.
    (sound, any::<prop::sample::Index>(), 0..3).prop_map(|(mut bytes, at, cut)| {
        if cut == 0 {
            bytes.truncate(at.index(bytes.len() + 1));
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn threads_and_parts_change_nothing(
        contents in prop::collection::vec(content(), 0..5),
        threads in 2_usize..5,
        part in prop_oneof![1_u64..400, Just(4096)],
    ) {
        let (_directory, paths) = written(&contents);
        let one = scanned(&paths, 1, u64::MAX);
        prop_assert_eq!(scanned(&paths, threads, part), one.clone());
        prop_assert_eq!(scanned(&paths, 1, part), one);
    }
}

#[test]
fn what_is_no_record_is_counted_and_named() {
    let mut torn = lines(0..9);
    torn.truncate(torn.len() - 5);
    let long = [
        lines(0..1),
        vec![b'x'; MAX_RECORD + 1],
        b"\n".to_vec(),
        lines(1..2),
    ]
    .concat();
    let mut cut = packed(&lines(0..5000));
    cut.truncate(cut.len() - 9);
    let whole = lines(0..3);
    let unended = whole.strip_suffix(b"\n").unwrap().to_vec();
    let contents = [
        torn,
        long,
        cut,
        unended,
        b"a log line of another process\n{}\n".to_vec(),
        vec![],
    ];
    let (directory, mut paths) = written(&contents);
    paths.push(directory.path().join("gone"));
    paths.push(directory.path().to_owned());
    for (threads, part) in [(1, u64::MAX), (4, 1000)] {
        let inputs: Vec<ScanInput> = paths.iter().cloned().map(ScanInput::from).collect();
        let options = ScanOptions {
            threads: NonZero::new(threads),
            part,
            ..ScanOptions::default()
        };
        let make = |file| Listed {
            file,
            records: Vec::new(),
        };
        let outcome = scan(&inputs, &options, make, |_| ControlFlow::Continue(()));
        let files = outcome.files;
        let counts = |file: &FileOutcome| (file.records, file.no_records, file.torn);
        assert_eq!(counts(&files[0]), (8, 0, line(8).len() - 4));
        assert_eq!(counts(&files[1]), (2, 1, 0));
        let (at, why) = files[1].first_no_record.as_ref().unwrap();
        assert_eq!(*at, line(0).len() as u64 + 1);
        assert!(why.contains("longer than"), "{why}");
        assert!(files[2].records > 0);
        let cut = files[2].failure.as_ref().unwrap();
        assert!(
            matches!(cut, ScanError::Read(RecordReadError::CutShort(_))),
            "{cut:?}"
        );
        assert_eq!(counts(&files[3]), (3, 0, 0));
        assert_eq!(counts(&files[4]), (0, 2, 0));
        assert!(files[4].is_no_log() && !files[5].is_no_log());
        for file in &files[6..] {
            assert!(matches!(file.failure, Some(ScanError::Open(_))), "{file:?}");
        }
    }
}

#[test]
fn the_caller_ends_the_reading() {
    let (_directory, paths) = written(&[lines(0..2000), lines(0..2000)]);
    let inputs: Vec<ScanInput> = paths.into_iter().map(ScanInput::from).collect();
    for threads in [1, 4] {
        let options = ScanOptions {
            threads: NonZero::new(threads),
            part: 500,
            ..ScanOptions::default()
        };
        let make = |file| Listed {
            file,
            records: Vec::new(),
        };
        let mut first = Vec::new();
        let outcome = scan(&inputs, &options, make, |listed| {
            first.extend(
                listed
                    .records
                    .into_iter()
                    .map(|(_, _, record)| record.sequence),
            );
            match first.len() < 20 {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            }
        });
        assert!(outcome.is_ended);
        assert_eq!(first[..20], (0..20).collect::<Vec<u64>>());
    }
}

/// A value that is as heavy as all that may wait.
struct Heavy(Vec<u64>);

impl RecordFold for Heavy {
    fn take(&mut self, record: &ScannedRecord<'_>) {
        self.0.push(record.fields.head.sequence);
    }

    fn weight(&self) -> usize {
        AHEAD
    }
}

#[test]
fn values_that_are_too_heavy_to_wait_come_in_their_order_all_the_same() {
    let contents: Vec<Vec<u8>> = (0..8)
        .map(|file| packed(&lines(file * 100..file * 100 + 100)))
        .collect();
    let (_directory, paths) = written(&contents);
    let inputs: Vec<ScanInput> = paths.into_iter().map(ScanInput::from).collect();
    let options = ScanOptions {
        threads: NonZero::new(4),
        part: 700,
        ..ScanOptions::default()
    };
    let mut found = Vec::new();
    scan(
        &inputs,
        &options,
        |_| Heavy(Vec::new()),
        |value| {
            found.extend(value.0);
            ControlFlow::Continue(())
        },
    );
    assert_eq!(found, (0..800).collect::<Vec<u64>>());
}

/// A value that panics at a record.
struct Panicking;

impl RecordFold for Panicking {
    fn take(&mut self, record: &ScannedRecord<'_>) {
        assert!(record.fields.head.sequence != 150, "a fold that panics");
    }

    fn weight(&self) -> usize {
        0
    }
}

#[test]
fn a_panic_in_a_thread_ends_the_scan_and_is_not_hidden() {
    let (_directory, paths) = written(&[lines(0..300), lines(0..300)]);
    let inputs: Vec<ScanInput> = paths.into_iter().map(ScanInput::from).collect();
    let options = ScanOptions {
        threads: NonZero::new(3),
        part: 700,
        ..ScanOptions::default()
    };
    let scanning = std::panic::AssertUnwindSafe(|| {
        scan(
            &inputs,
            &options,
            |_| Panicking,
            |_| ControlFlow::Continue(()),
        )
    });
    assert!(std::panic::catch_unwind(scanning).is_err());
}
