//! What the tools make of every form of the record, whole and broken.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use super::*;

const DENIAL: &str = r#"{"time":"2026-11-23T12:00:00.123456789Z","kind":"decision","stream":"s","sequence":"7","effect":"deny","port":443,"truncated":["path"],"answer":{"host":"a.example"},"chain":"00"}"#;
const CHANGE: &str = r#"{"time":"2026-11-23T12:00:01Z","kind":"policyChange","sequence":"8","added":{"later":[1]},"policies":0}"#;

fn told(bytes: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    let mut tell = |item: LogItem<'_>| {
        out.push(match item {
            LogItem::Record(record, line) => {
                format!("{} {} {}", record.kind, record.sequence, line.is_some())
            }
            LogItem::NoRecord(why) => format!("no record: {why}"),
            LogItem::Torn(bytes) => format!("torn: {bytes}"),
        });
        true
    };
    let mut reader = RecordReader::new(bytes);
    each(&mut reader, &mut tell).unwrap();
    last(&mut reader).map(tell);
    out
}

fn messages() -> Vec<u8> {
    let message = |line: &&str| {
        let record = customs_record::decode::record(Format::Json, line.as_bytes());
        record.unwrap().encode_length_delimited_to_vec()
    };
    [DENIAL, CHANGE].iter().flat_map(message).collect()
}

#[test]
fn lines_and_messages_say_the_same() {
    let lines = format!("{DENIAL}\n\n \n{CHANGE}\n");
    assert_eq!(
        told(lines.as_bytes()),
        ["decision 7 true", "policyChange 8 true"]
    );
    assert_eq!(
        told(&messages()),
        ["decision 7 false", "policyChange 8 false"]
    );
}

#[test]
fn what_is_no_record_is_told_and_read_over() {
    let long = "x".repeat(5 << 20);
    let text = format!(
        "a log line of somebody\n{{\"level\":\"info\"}}\n{{\"kind\":7}}\n{long}\n{DENIAL}\n"
    );
    let told = told(text.as_bytes());
    assert!(
        told[..4].iter().all(|item| item.starts_with("no record: ")),
        "{told:.80?}"
    );
    assert_eq!(told[4..], ["decision 7 true"]);
}

#[test]
fn an_end_without_a_line_feed_is_torn_unless_it_is_whole() {
    let lines = format!("{DENIAL}\n{CHANGE}");
    assert_eq!(
        told(lines.as_bytes()),
        ["decision 7 true", "policyChange 8 true"]
    );
    let torn = lines.strip_suffix("0}").unwrap();
    assert_eq!(
        told(torn.as_bytes()),
        ["decision 7 true", &format!("torn: {}", CHANGE.len() - 2)]
    );
    let messages = messages();
    let torn = &messages[..messages.len() - 1];
    assert!(told(torn)[1].starts_with("torn: "), "{:?}", told(torn));
    assert!(told(b"").is_empty());
    assert_eq!(told(b"{\"kind\":\"x\"}"), ["x 0 true"], "a short file");
}

#[test]
fn messages_without_a_sound_length_end_the_reading() {
    let mut bytes = messages();
    bytes.extend([0xff; 40]);
    let told = told(&bytes);
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
    each(&mut open(file.path()).unwrap(), |item| {
        let LogItem::Record(record, _) = item else {
            panic!("{item:?}")
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
