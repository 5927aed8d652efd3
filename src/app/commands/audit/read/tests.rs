//! How the tools read both formats of the audit log, intact and broken.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use super::*;

const DENIAL: &str = r#"{"time":"2026-11-23T12:00:00.123456789Z","kind":"decision","stream":"s","sequence":"7","effect":"deny","port":443,"truncated":["path"],"answer":{"host":"a.example"},"chain":"00"}"#;
const CHANGE: &str = r#"{"time":"2026-11-23T12:00:01Z","kind":"policyChange","sequence":"8","added":{"later":[1]},"policies":0}"#;

fn pieces(bytes: &[u8]) -> Vec<String> {
    let mut out = Vec::new();
    let mut push = |item: LogItem<'_>| {
        out.push(match item {
            LogItem::Record(record, line) => {
                format!("{} {} {}", record.kind, record.sequence, line.is_some())
            }
            LogItem::NoRecord(why) => format!("not a record: {why}"),
            LogItem::Torn(bytes) => format!("torn: {bytes}"),
        });
        true
    };
    let mut reader = RecordReader::new(bytes);
    each(&mut reader, &mut push).unwrap();
    last(&mut reader).map(push);
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
        pieces(lines.as_bytes()),
        ["decision 7 true", "policyChange 8 true"]
    );
    assert_eq!(
        pieces(&messages()),
        ["decision 7 false", "policyChange 8 false"]
    );
}

#[test]
fn what_is_not_a_record_is_reported_and_skipped() {
    let long = "x".repeat(5 << 20);
    let text = format!(
        "a log line of another process\n{{\"level\":\"info\"}}\n{{\"kind\":7}}\n{long}\n{DENIAL}\n"
    );
    let found = pieces(text.as_bytes());
    assert!(
        found[..4]
            .iter()
            .all(|item| item.starts_with("not a record: ")),
        "{found:.80?}"
    );
    assert_eq!(found[4..], ["decision 7 true"]);
}

#[test]
fn an_end_without_a_line_feed_is_torn_unless_it_is_whole() {
    let lines = format!("{DENIAL}\n{CHANGE}");
    assert_eq!(
        pieces(lines.as_bytes()),
        ["decision 7 true", "policyChange 8 true"]
    );
    let torn = lines.strip_suffix("0}").unwrap();
    assert_eq!(
        pieces(torn.as_bytes()),
        ["decision 7 true", &format!("torn: {}", CHANGE.len() - 2)]
    );
    let messages = messages();
    let torn = &messages[..messages.len() - 1];
    assert!(pieces(torn)[1].starts_with("torn: "), "{:?}", pieces(torn));
    assert!(pieces(b"").is_empty());
    assert_eq!(pieces(b"{\"kind\":\"x\"}"), ["x 0 true"], "a short file");
}

#[test]
fn messages_without_a_sound_length_end_the_reading() {
    let mut bytes = messages();
    bytes.extend([0xff; 40]);
    let found = pieces(&bytes);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[2].contains("no record begins here"), "{found:?}");
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
