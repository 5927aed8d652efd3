//! Streams of every kind, read by the one reader: both formats, packed or not, in reads of any
//! size, whole, torn at each byte, with oversized records and with garbage between.

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use super::*;
use crate::encode::{MAX_FILES, MAX_PROBLEMS};
use crate::examples::{full_change, full_decision};
use crate::stream::{ResumePoint, Stream};
use crate::{DecisionEntry, Entry};
use customs_engine::time::UnixNanos;
use customs_policy::policy_change::PublishedSource;
use customs_policy::problem::{Place, Problem};

/// Returns at most this many bytes in one read, as a pipe does.
struct Slow<'b>(&'b [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.1);
        self.0.read(&mut buffer[..most])
    }
}

/// A stream's records as a sink writes them, and where each ends.
fn written(format: Format, count: usize) -> (Vec<u8>, Vec<usize>) {
    let mut stream = Stream::new("one".into(), "file:x", "all", format);
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    stream.begin(ResumePoint::default(), UnixNanos(1), &mut bytes);
    ends.push(bytes.len());
    while ends.len() < count {
        stream.append(&Entry::Decision(full_decision().into()), &mut bytes);
        ends.push(bytes.len());
    }
    (bytes, ends)
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// What a reader returns: each piece in a word, then what is left.
fn pieces<R: Read>(reader: &mut RecordReader<R>) -> Vec<String> {
    let mut out = Vec::new();
    let end = loop {
        match reader.next_piece() {
            Ok(None) => break None,
            Ok(Some(Piece::Record(raw))) => out.push(match raw.decode() {
                Ok(record) => format!("{} {}", record.kind, record.sequence),
                Err(_) => format!("{} bytes", raw.bytes.len()),
            }),
            Ok(Some(Piece::NoRecord(_, why))) => out.push(format!("{why:?}")),
            Err(RecordReadError::System(_)) => break Some("system".to_owned()),
            Err(RecordReadError::CutShort(_)) => break Some("cut short".to_owned()),
            Err(RecordReadError::Damaged(_)) => break Some("damaged".to_owned()),
        }
    };
    out.extend(end);
    let unfinished = reader.unfinished();
    out.extend(unfinished.map(|unfinished| format!("unfinished {}", unfinished.bytes.len())));
    out
}

fn read(bytes: &[u8]) -> Vec<String> {
    pieces(&mut RecordReader::unpack(bytes).unwrap())
}

#[test]
fn every_stream_is_read_in_reads_of_any_size() {
    let expected: Vec<String> = (1..=9)
        .map(|number| match number {
            1 => "stream 1".to_owned(),
            _ => format!("decision {number}"),
        })
        .collect();
    for format in Format::ALL {
        let plain = written(format, 9).0;
        for bytes in [&plain, &packed(&plain)] {
            for step in [1, 2, 7, 1000, 1 << 20] {
                let mut reader = RecordReader::unpack(Slow(bytes, step)).unwrap();
                assert_eq!(reader.is_packed(), *bytes != plain);
                assert_eq!(pieces(&mut reader), expected, "{format} {step}");
            }
        }
    }
}

#[test]
fn each_record_has_its_bytes_and_its_place() {
    for format in Format::ALL {
        let (bytes, ends) = written(format, 3);
        let mut reader = RecordReader::new(bytes.as_slice());
        let mut from = 0;
        for (end, number) in ends.iter().zip(1..) {
            let Some(Piece::Record(raw)) = reader.next_piece().unwrap() else {
                panic!("{format} {number}")
            };
            let offset = from as u64;
            assert_eq!(raw.place, RecordPlace { number, offset });
            let whole = &bytes[from..*end];
            match format {
                Format::Json => assert_eq!(raw.bytes, whole.strip_suffix(b"\n").unwrap()),
                Format::Protobuf => assert_eq!(split_message(whole), Some((raw.bytes, &[][..]))),
            }
            from = *end;
        }
        assert_eq!(reader.next_piece().unwrap(), None);
    }
}

#[test]
fn a_stream_torn_at_any_byte_gives_its_whole_records_and_the_rest() {
    for format in Format::ALL {
        let (bytes, ends) = written(format, 3);
        for torn in 0..bytes.len() {
            let mut reader = RecordReader::new(&bytes[..torn]).with_format(format);
            let whole = ends.iter().filter(|end| **end <= torn).count();
            for _ in 0..whole {
                let piece = reader.next_piece().unwrap();
                assert!(matches!(piece, Some(Piece::Record(_))), "{format} {torn}");
            }
            assert_eq!(reader.next_piece().unwrap(), None, "{format} {torn}");
            let from = whole.checked_sub(1).map_or(0, |last| ends[last]);
            let expected = (from < torn).then(|| UnfinishedRecord {
                bytes: &bytes[from..torn],
                format: Some(format),
                place: RecordPlace {
                    number: whole as u64 + 1,
                    offset: from as u64,
                },
            });
            assert_eq!(reader.unfinished(), expected, "{format} {torn}");
            assert_eq!(reader.unfinished(), None, "it is given once");
        }
    }
}

#[test]
fn packed_bytes_torn_at_any_byte_are_cut_short() {
    for format in Format::ALL {
        let plain = written(format, 3).0;
        let (whole, bytes) = (read(&plain), packed(&plain));
        for torn in 2..bytes.len() {
            let pieces = read(&bytes[..torn]);
            let (end, records) = pieces.split_last().unwrap();
            assert_eq!(end, "cut short", "{format} {torn}");
            assert!(whole.starts_with(records), "{format} {torn}: {records:?}");
        }
        let mut damaged = bytes.clone();
        let checksum = damaged.len() - 8;
        damaged[checksum] ^= 1;
        assert_eq!(read(&damaged).last().unwrap(), "damaged", "{format}");
        let joined = [bytes.clone(), bytes].concat();
        assert_eq!(read(&joined), [whole.clone(), whole].concat(), "{format}");
    }
}

#[test]
fn a_line_has_at_most_so_many_bytes_and_the_next_is_read() {
    let line = |length: usize| "x".repeat(length) + "\n";
    let record = String::from_utf8(written(Format::Json, 1).0).unwrap();
    for (length, expected) in [
        (MAX_RECORD, format!("{MAX_RECORD} bytes")),
        (MAX_RECORD + 1, "LongLine".to_owned()),
        (3 * MAX_RECORD, "LongLine".to_owned()),
    ] {
        let text = [record.clone(), line(length), record.clone()].concat();
        let expected = ["stream 1", expected.as_str(), "stream 1"];
        assert_eq!(read(text.as_bytes()), expected, "{length}");
        assert_eq!(read(&packed(text.as_bytes())), expected, "{length}");
    }
    let endless = [record, "x".repeat(MAX_RECORD + 1)].concat();
    assert_eq!(read(endless.as_bytes()), ["stream 1", "LongLine"]);
}

#[test]
fn a_message_has_at_most_so_many_bytes_and_nothing_behind_one_is_read() {
    let record = written(Format::Protobuf, 1).0;
    let message = |length: usize| {
        let mut bytes = record.clone();
        prost::encode_length_delimiter(length, &mut bytes).unwrap();
        bytes.resize(bytes.len() + length, b'x');
        bytes.extend(&record);
        bytes
    };
    let most = format!("{MAX_RECORD} bytes");
    assert_eq!(
        read(&message(MAX_RECORD)),
        ["stream 1", most.as_str(), "stream 1"]
    );
    assert_eq!(read(&message(MAX_RECORD + 1)), ["stream 1", "NoLength"]);
}

#[test]
fn garbage_between_records_is_reported() {
    let line = String::from_utf8(written(Format::Json, 1).0).unwrap();
    let text = [&line, "\n", "a log line\n", &line, "{\"level\":1}\n", &line].concat();
    assert_eq!(
        read(text.as_bytes()),
        [
            "stream 1", "0 bytes", "10 bytes", "stream 1", "11 bytes", "stream 1"
        ]
    );
    let message = written(Format::Protobuf, 1).0;
    let between = |garbage: &[u8]| [&message, garbage, &message].concat();
    assert_eq!(
        read(&between(&[3, 0xff, 0xff, 0xff, 0])),
        ["stream 1", "3 bytes", "0 bytes", "stream 1"]
    );
    assert_eq!(read(&between(&[0xff; 40])), ["stream 1", "NoLength"]);
    assert_eq!(read(&between(&[0x80; 10])), ["stream 1", "NoLength"]);
}

#[test]
fn a_format_is_recognised_by_its_first_bytes() {
    let kind = || "start".to_owned();
    let plain = Record {
        kind: kind(),
        stream: "a stream".into(),
        ..Record::default()
    };
    let at = |seconds| Record {
        time: Some(prost_types::Timestamp { seconds, nanos: 0 }),
        ..plain.clone()
    };
    for record in [plain.clone(), at(0), at(1), at(-1), at(1_795_435_200)] {
        let bytes = record.encode_length_delimited_to_vec();
        assert_eq!(format_of(&bytes), Format::Protobuf, "{record:?}");
    }
    for text in [
        "\n\n\n{\"time\":\"2026\"}",
        "{\"time\":\"2026-11-23T12:00:00Z\"",
        "a log line of another process",
        "\t\n\t\n a line or two",
    ] {
        assert_eq!(format_of(text.as_bytes()), Format::Json, "{text}");
    }
    let mut short = RecordReader::new(b"{}\n".as_slice());
    assert_eq!(short.next_piece().unwrap(), None);
    assert_eq!(short.unfinished().unwrap().format, None);
}

#[test]
fn a_stream_that_grows_is_read_on() {
    #[derive(Clone, Default)]
    struct Growing(Rc<RefCell<Vec<u8>>>);
    impl Read for Growing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let mut bytes = self.0.borrow_mut();
            let read = bytes.as_slice().read(buffer)?;
            bytes.drain(..read);
            Ok(read)
        }
    }
    for format in Format::ALL {
        let (bytes, ends) = written(format, 4);
        let growing = Growing::default();
        let mut reader = RecordReader::new(growing.clone());
        let mut records = 0;
        for (at, byte) in bytes.iter().enumerate() {
            growing.0.borrow_mut().push(*byte);
            while reader.next_piece().unwrap().is_some() {
                records += 1;
                assert!(ends.contains(&(at + 1)), "{format} {at}");
            }
        }
        assert_eq!(records, 4, "{format}");
    }
}

#[test]
fn a_look_ahead_takes_nothing_and_keeps_a_failure_for_its_place() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::TimedOut.into())
        }
    }
    let bytes = written(Format::Json, 2).0;
    let mut reader = RecordReader::new(bytes.as_slice().chain(Failing));
    assert_eq!(reader.peek(5), &bytes[..5]);
    assert_eq!(reader.peek(1 << 20), bytes);
    assert_eq!(pieces(&mut reader), ["stream 1", "decision 2", "system"]);
    let mut reader = RecordReader::new(Failing);
    assert!(reader.peek(5).is_empty() && reader.is_failing());
}

/// A text that JSON spells with six times as many bytes.
fn escaped(length: usize) -> String {
    "\u{1}".repeat(length)
}

#[test]
fn the_largest_records_that_are_written_are_shorter_than_any_that_is_refused() {
    let mut change = full_change();
    let place = Place {
        file: escaped(255).into(),
        line: u32::MAX,
        column: u32::MAX,
    };
    let problem = Problem {
        place,
        text: escaped(5000),
        hint: Some(escaped(5000)),
        ..change.problems[0].clone()
    };
    change.problems = vec![problem; 2 * MAX_PROBLEMS];
    let file = change.sources[0].files[0].clone();
    let file = |number: usize| {
        let mut file = file.clone();
        file.name = format!("{number:0255}");
        file
    };
    // As many as a root of namespaces has at most, with the longest names that a file system takes.
    change.sources = (0..2000)
        .map(|number| PublishedSource {
            name: format!("{number:0255}"),
            namespace: "n".repeat(63),
            files: (0..MAX_FILES).map(file).take(number + 1).collect(),
        })
        .collect();
    change.refused_sources = change.sources.iter().map(|s| s.name.clone()).collect();
    let decision = DecisionEntry {
        raw_host: escaped(255),
        sni: escaped(255),
        principal: escaped(2048),
        path: escaped(8192),
        request_id: escaped(255),
        traceparent: escaped(255),
        ..full_decision()
    };
    for format in Format::ALL {
        let mut stream = Stream::new("one".into(), "file:x", "all", format);
        let mut lengths = Vec::new();
        for entry in [
            Entry::PolicyChange(change.clone().into()),
            Entry::Decision(decision.clone().into()),
        ] {
            let mut bytes = Vec::new();
            stream.append(&entry, &mut bytes);
            lengths.push(bytes.len());
        }
        assert!(lengths[0] > 1 << 20, "{format}: {lengths:?}");
        assert!(
            lengths.iter().all(|length| *length < MAX_RECORD),
            "{format}: {lengths:?}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn nothing_that_is_read_panics_and_no_byte_is_lost(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        step in 1..40_usize,
        is_due in proptest::prelude::any::<bool>(),
    ) {
        for format in Format::ALL {
            let mut reader = RecordReader::new(Slow(&bytes, step));
            if is_due {
                reader = reader.with_format(format);
            }
            let (mut whole, mut is_readable) = (0, true);
            while let Some(piece) = reader.next_piece().unwrap() {
                match piece {
                    Piece::Record(raw) => {
                        proptest::prop_assert!(raw.place.offset >= whole, "a byte is read twice");
                        whole = raw.place.offset + raw.bytes.len() as u64;
                    }
                    Piece::NoRecord(..) => is_readable = false,
                }
            }
            let rest = reader.unfinished().map(|rest| rest.place.offset + rest.bytes.len() as u64);
            // A line feed is not a part of a record, nor is the length of a message.
            let end = rest.unwrap_or(reader.place.offset);
            proptest::prop_assert!(whole <= end);
            proptest::prop_assert!(!is_readable || end == bytes.len() as u64, "{end}");
        }
    }
}
