//! Every form of the record, whole and broken, in pieces of every size.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

const DENIAL: &str = r#"{"time":"2026-11-23T12:00:00.123456789Z","kind":"decision","stream":"s","sequence":"7","effect":"deny","port":443,"truncated":["path"],"answer":{"host":"a.example"},"chain":"00"}"#;
const CHANGE: &str = r#"{"time":"2026-11-23T12:00:01Z","kind":"policyChange","sequence":"8","added":{"later":[1]},"policies":0}"#;

fn told(bytes: &[u8], step: usize) -> Vec<String> {
    let mut splitter = Splitter::default();
    let mut out = Vec::new();
    let mut tell = |piece: Piece<'_>| {
        out.push(match piece {
            Piece::Record(record, line) => {
                format!("{} {} {}", record.kind, record.sequence, line.is_some())
            }
            Piece::NoRecord(why) => format!("no record: {why}"),
            Piece::Torn(bytes) => format!("torn: {bytes}"),
        });
    };
    for part in bytes.chunks(step) {
        splitter.push(part);
        while let Some(piece) = splitter.next_piece() {
            tell(piece);
        }
    }
    splitter.last().map(tell);
    out
}

fn messages() -> Vec<u8> {
    [DENIAL, CHANGE]
        .iter()
        .flat_map(|line| record(line).unwrap().encode_length_delimited_to_vec())
        .collect()
}

#[test]
fn lines_and_messages_say_the_same_in_pieces_of_any_size() {
    let lines = format!("{DENIAL}\n\n{CHANGE}\n");
    for step in [1, 2, 7, 100, 1 << 20] {
        assert_eq!(
            told(lines.as_bytes(), step),
            ["decision 7 true", "policyChange 8 true"],
            "{step}"
        );
        assert_eq!(
            told(&messages(), step),
            ["decision 7 false", "policyChange 8 false"],
            "{step}"
        );
    }
}

#[test]
fn messages_are_known_by_their_beginning_and_so_is_text() {
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
        assert_eq!(
            form(&record.encode_length_delimited_to_vec()),
            Form::Messages,
            "{record:?}"
        );
    }
    for text in [
        "\n\n\n{\"time\":\"2026\"}",
        DENIAL,
        "a log line of somebody",
        "\t\n\t\n a line or two",
    ] {
        assert_eq!(form(text.as_bytes()), Form::Lines, "{text}");
    }
}

#[test]
fn a_line_is_read_by_the_proto() {
    let read = record(DENIAL).unwrap();
    let time = read.time.unwrap();
    assert_eq!((time.seconds, time.nanos), (1_795_435_200, 123_456_789));
    assert_eq!(
        (read.sequence, read.port, read.effect.as_str()),
        (7, Some(443), "deny")
    );
    assert_eq!(
        (read.truncated, read.answer.unwrap().host),
        (vec!["path".to_owned()], "a.example".to_owned())
    );
    assert_eq!(
        record(CHANGE).unwrap().policies,
        Some(0),
        "a field that is not known is no trouble"
    );
}

#[test]
fn a_record_becomes_the_line_that_it_was() {
    assert_eq!(to_line(&record(DENIAL).unwrap()).unwrap(), DENIAL);
    let odd = Record {
        path: "/\u{202e}\u{1b}[2J\u{7f}\u{1f600}\"\\".into(),
        ..Record::default()
    };
    let line = to_line(&odd).unwrap();
    assert!(
        line.bytes().all(|byte| matches!(byte, b' '..=b'~')),
        "{line}"
    );
    assert_eq!(record(&line).unwrap().path, odd.path);
}

#[test]
fn what_is_no_record_is_told_and_read_over() {
    let long = "x".repeat(MAX_RECORD + 3 * CHUNK);
    let text = format!(
        "a log line of somebody\n{{\"level\":\"info\"}}\n{{\"kind\":7}}\n{long}\n{DENIAL}\n"
    );
    let told = told(text.as_bytes(), CHUNK);
    assert!(
        told[..4]
            .iter()
            .all(|piece| piece.starts_with("no record: ")),
        "{told:.80?}"
    );
    assert_eq!(told[4..], ["decision 7 true"]);
}

#[test]
fn an_end_without_a_line_feed_is_torn_unless_it_is_whole() {
    let lines = format!("{DENIAL}\n{CHANGE}");
    assert_eq!(
        told(lines.as_bytes(), 64),
        ["decision 7 true", "policyChange 8 true"]
    );
    let torn = lines.strip_suffix("0}").unwrap();
    assert_eq!(
        told(torn.as_bytes(), 64),
        ["decision 7 true", &format!("torn: {}", CHANGE.len() - 2)]
    );
    let messages = messages();
    let torn = &messages[..messages.len() - 1];
    assert!(
        told(torn, 64)[1].starts_with("torn: "),
        "{:?}",
        told(torn, 64)
    );
    assert!(told(b"", 1).is_empty());
}

#[test]
fn messages_without_a_sound_length_end_the_reading() {
    let mut bytes = messages();
    bytes.extend([0xff; 40]);
    let told = told(&bytes, 9);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[2].contains("nothing behind it can be read"),
        "{told:?}"
    );
}

#[test]
fn gzip_is_undone_also_where_parts_are_joined() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for line in [DENIAL, CHANGE] {
        let mut gzip = GzEncoder::new(file.as_file(), Compression::default());
        writeln!(gzip, "{line}").unwrap();
        gzip.finish().unwrap();
    }
    let mut kinds = Vec::new();
    each(&mut open(file.path()).unwrap(), |piece| {
        let Piece::Record(record, _) = piece else {
            panic!("{piece:?}")
        };
        kinds.push(record.kind);
        true
    })
    .unwrap();
    assert_eq!(kinds, ["decision", "policyChange"]);
    assert!(
        open("/nowhere".as_ref())
            .err()
            .unwrap()
            .to_string()
            .contains("cannot read /nowhere")
    );
}

proptest::proptest! {
    #[test]
    fn nothing_that_is_read_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300), step in 1..40_usize) {
        told(&bytes, step);
    }
}
