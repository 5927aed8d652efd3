//! Tests of finding the last whole record.

use std::fs::File;
use std::io::{Seek, Write};

use super::{Found, look, look_compressed};
use customs_engine::time::UnixNanos;
use customs_record::entry::audit_log::Position;
use customs_record::stream::{Format, ResumePoint, Stream};
use customs_record::{Entry, GapEntry, Loss};

const NOON: UnixNanos = UnixNanos(1_795_521_600_000_000_000);

fn gap() -> Entry {
    Entry::Gap(
        GapEntry {
            time: NOON,
            lost: Loss::default(),
            first: NOON,
            last: NOON,
        }
        .into(),
    )
}

/// Records of a stream; the end of each, and the position behind it.
fn records(format: Format, count: usize) -> (Vec<u8>, Vec<(usize, Position)>) {
    let mut stream = Stream::new("one".into(), "file:x", "all", format);
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    stream.begin(ResumePoint::default(), NOON, &mut bytes);
    for _ in 1..count {
        ends.push((bytes.len(), stream.position()));
        stream.append(&gap(), &mut bytes);
    }
    ends.push((bytes.len(), stream.position()));
    (bytes, ends)
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn looked(bytes: &[u8], format: Format) -> Result<Found, String> {
    look(&file(bytes), bytes.len() as u64, format)
        .map_err(|unfit| format!("{}; {}", unfit.problem, unfit.advice))
}

/// The time of the first record, if the format of the test's records has it.
fn begun(format: Format, bytes: &[u8]) -> Option<UnixNanos> {
    looked(bytes, format).unwrap().begun
}

#[test]
fn a_whole_file_ends_in_its_last_record() {
    for format in Format::ALL {
        for count in [1, 2, 3, 400] {
            let (bytes, ends) = records(format, count);
            let (whole, position) = ends.last().cloned().unwrap();
            let found = looked(&bytes, format).unwrap();
            assert_eq!(
                (found.position, found.whole),
                (Some(position), whole as u64),
                "{format} {count}"
            );
        }
    }
    assert_eq!(begun(Format::Json, &records(Format::Json, 2).0), Some(NOON));
}

#[test]
fn a_record_torn_at_any_byte_is_cut_off() {
    for format in Format::ALL {
        let (bytes, ends) = records(format, 3);
        let [.., (before, position), (end, _)] = ends.as_slice() else {
            panic!()
        };
        for torn in *before..*end {
            let found = looked(&bytes[..torn], format).unwrap();
            assert_eq!(
                (found.position.as_ref(), found.whole),
                (Some(position), *before as u64),
                "{format} {torn}"
            );
            // The same with the zero bytes that a disk leaves.
            for zeros in [1, end - torn, 5000] {
                let mut bytes = bytes[..torn].to_vec();
                bytes.resize(torn + zeros, 0);
                let found = looked(&bytes, format).unwrap();
                let expected = (Some(position), *before as u64);
                assert_eq!(
                    (found.position.as_ref(), found.whole),
                    expected,
                    "{format} {torn} {zeros}"
                );
            }
        }
    }
}

#[test]
fn a_first_record_torn_at_any_byte_leaves_nothing() {
    for format in Format::ALL {
        let (bytes, _) = records(format, 1);
        for torn in 0..bytes.len() {
            for zeros in [0, 1, bytes.len() - torn, 5000] {
                let mut torn = bytes[..torn].to_vec();
                torn.resize(torn.len() + zeros, 0);
                assert_eq!(
                    looked(&torn, format).unwrap(),
                    Found::default(),
                    "{format} {} {zeros}",
                    torn.len()
                );
            }
        }
        assert_eq!(
            looked(&[0; 9000], format).unwrap(),
            Found::default(),
            "{format}"
        );
    }
}

#[test]
fn records_that_are_not_ours_are_gone_on_behind() {
    for text in [
        "{\"level\":\"info\"}\n",
        "{}\n{}\n",
        "{\"time\":\"2026-01-01T00:00:00Z\",\"kind\":\"decision\",\"sequence\":\"7\"}\n",
        "{\"stream\":\"x\",\"sequence\":\"7\",\"chain\":\"short\"}\n",
        "{\"a\":1}\nno JSON at all\n",
    ] {
        let found = looked(text.as_bytes(), Format::Json).unwrap();
        assert_eq!(
            (found.position, found.whole),
            (None, text.len() as u64),
            "{text}"
        );
    }
}

#[test]
fn a_file_of_something_else_is_refused_with_what_to_do() {
    let json = records(Format::Json, 2).0;
    let protobuf = records(Format::Protobuf, 2).0;
    let mut broken = records(Format::Protobuf, 3).0;
    let second = records(Format::Protobuf, 1).0.len();
    broken[second] = 0xff;
    let mut zero_inside = records(Format::Protobuf, 3).0;
    zero_inside[second] = 0;
    let long = vec![b'x'; 5 << 20];
    for (bytes, format, expected) in [
        (protobuf.as_slice(), Format::Json, "say `format=protobuf`"),
        (b"hello", Format::Json, "lines of JSON"),
        (b"hello\n", Format::Json, "lines of JSON"),
        (b"{\"a\":1}\nhello", Format::Json, "in the middle of a line"),
        (
            b"{\"a\":1}\n{\"a\":",
            Format::Json,
            "in the middle of a line",
        ),
        (b"[1]\n", Format::Json, "lines of JSON"),
        (&long, Format::Json, "lines of JSON"),
        (&json, Format::Protobuf, "say `format=json`"),
        (b"{}\n", Format::Protobuf, "say `format=json`"),
        (b"\x05hello", Format::Protobuf, "records in protobuf"),
        (&[0xff; 40], Format::Protobuf, "records in protobuf"),
        (&long, Format::Protobuf, "records in protobuf"),
        (
            &broken,
            Format::Protobuf,
            &format!("no record begins at byte {second}"),
        ),
        (
            &zero_inside,
            Format::Protobuf,
            &format!("no record begins at byte {second}"),
        ),
    ] {
        let wrong = looked(bytes, format).unwrap_err();
        assert!(
            wrong.contains(expected),
            "{format}: {wrong}, not {expected}"
        );
    }
}

#[test]
fn a_last_line_longer_than_any_of_ours_is_gone_on_behind() {
    let text = format!("{{}}\n{}\n", "x".repeat(5 << 20));
    let found = looked(text.as_bytes(), Format::Json).unwrap();
    assert_eq!((found.position, found.whole), (None, text.len() as u64));
}

#[test]
fn a_compressed_file_says_its_last_record() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.gz");
    for format in Format::ALL {
        let (bytes, ends) = records(format, 300);
        let mut gzip = flate2::write::GzEncoder::new(
            File::create(&path).unwrap(),
            flate2::Compression::fast(),
        );
        gzip.write_all(&bytes).unwrap();
        gzip.finish().unwrap();
        assert_eq!(
            look_compressed(&path, format).unwrap(),
            ends.last().map(|(_, position)| position.clone())
        );
    }
    std::fs::write(&path, "no gzip").unwrap();
    assert!(look_compressed(&path, Format::Json).is_err());
}
