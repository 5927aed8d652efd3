//! What is written is what was recorded: rows are read back and compared with the lines of the
//! audit log.

use customs_record::decode;
use customs_record::examples::of_every_kind;
use customs_record::fields;
use customs_record::proto::{Header, Loss, Refusal};
use customs_record::stream::{Format, Stream};
use proptest::prelude::*;
use prost_types::Timestamp;
use serde_json::{Map, Value};

use super::*;
use crate::file::RecordFile;
use crate::read_back;

fn schema() -> Arc<RecordSchema> {
    Arc::new(RecordSchema::new().unwrap())
}

fn written(rows: RecordRows) -> Vec<u8> {
    let mut file = RecordFile::begin(Vec::new(), &schema()).unwrap();
    file.write(rows).unwrap();
    file.end(&[]).unwrap()
}

/// Returns a line of the audit log for each kind of record, with a value in every field, and its
/// record.
fn examples() -> Vec<(Map<String, Value>, Record)> {
    let mut stream = Stream::new("s".into(), "file:a", "all", Format::Json);
    let example = |entry| {
        let mut line = Vec::new();
        stream.append(&entry, &mut line);
        let record = decode::record(Format::Json, line.trim_ascii_end()).unwrap();
        (serde_json::from_slice(&line).unwrap(), record)
    };
    of_every_kind().into_iter().map(example).collect()
}

/// Takes out what a row says and a line leaves out: zeros.
fn without_zeros(
    row: &mut Map<String, Value>,
    line: &Map<String, Value>,
    has_field: &dyn Fn(&str) -> bool,
) {
    row.retain(|name, value| {
        let is_zero = *value == false || *value == 0 || *value == "0";
        let is_left_out = is_zero && !line.contains_key(name);
        assert!(!is_left_out || has_field(name), "{name}");
        !is_left_out
    });
    for (name, value) in row {
        match (value, line.get(name)) {
            (Value::Object(row), Some(Value::Object(line))) => without_zeros(row, line, &|_| true),
            (Value::Array(rows), Some(Value::Array(lines))) => {
                for (row, line) in rows.iter_mut().zip(lines) {
                    if let (Value::Object(row), Value::Object(line)) = (row, line) {
                        without_zeros(row, line, &|_| true);
                    }
                }
            }
            _ => {}
        }
    }
}

fn is_line(mut row: Map<String, Value>, line: &Map<String, Value>) {
    let kind = line["kind"].as_str().unwrap();
    without_zeros(&mut row, line, &|name| fields::of(kind).contains(&name));
    assert_eq!(row, *line);
}

#[test]
fn every_field_of_every_kind_is_read_back_as_it_was_written() {
    let examples = examples();
    let mut rows = RecordRows::new(schema());
    examples.iter().for_each(|(_, record)| rows.append(record));
    assert_eq!((rows.len(), rows.unheld_times()), (fields::KINDS.len(), 0));
    let file = written(rows);
    let read = read_back::rows(&file);
    assert_eq!(read.len(), examples.len());
    for (row, (line, _)) in read.into_iter().zip(&examples) {
        is_line(row, line);
    }
}

#[test]
fn what_a_record_leaves_out_is_null_or_zero_by_its_kind() {
    let mut rows = RecordRows::new(schema());
    for kind in ["decision", "stop", "a kind of a later version"] {
        rows.append(&Record {
            kind: kind.into(),
            ..Record::default()
        });
    }
    let read = read_back::rows(&written(rows));
    let names = |row: &Map<String, Value>| {
        // Their order follows from what else is built.
        let mut names: Vec<String> = row.keys().cloned().collect();
        names.sort();
        names
    };
    assert_eq!(read[0]["callerGone"], false);
    assert_eq!(read[0]["decisionNumber"], "0");
    assert_eq!(
        names(&read[0]),
        [
            "addressUnreadable",
            "callerGone",
            "decisionNumber",
            "identityDecided",
            "kind",
            "sequence",
            "sniAbsent"
        ]
    );
    assert_eq!(names(&read[1]), ["kind", "sequence"]);
    assert_eq!(names(&read[2]), ["kind"]);
}

#[test]
fn lists_inside_of_lists_keep_their_ends() {
    let header = |name: &str, matched: &[&str]| Header {
        name: name.into(),
        matched: matched.iter().map(|text| (*text).to_owned()).collect(),
        ..Header::default()
    };
    let with = |headers: Vec<Header>| Record {
        kind: "decision".into(),
        headers,
        ..Record::default()
    };
    let records = [
        with(vec![
            header("a", &["1", "2"]),
            header("b", &[]),
            header("c", &["3"]),
        ]),
        with(Vec::new()),
        with(vec![header("d", &["", "4"])]),
    ];
    let mut rows = RecordRows::new(schema());
    records.iter().for_each(|record| rows.append(record));
    let read = read_back::rows(&written(rows));
    let headers = |row: usize| read[row].get("headers").cloned();
    let plain = |name: &str, matched: Value| {
        let mut header = serde_json::json!({"name": name, "present": false, "valueUnknown": false});
        if !matched.is_null() {
            header["matched"] = matched;
        }
        header
    };
    assert_eq!(
        headers(0).unwrap(),
        serde_json::json!([
            plain("a", serde_json::json!(["1", "2"])),
            plain("b", Value::Null),
            plain("c", serde_json::json!(["3"]))
        ])
    );
    assert_eq!(headers(1), None);
    assert_eq!(
        headers(2).unwrap(),
        serde_json::json!([plain("d", serde_json::json!(["", "4"]))])
    );
}

#[test]
fn a_time_that_no_column_can_hold_is_null_and_counted() {
    let at = |seconds| Record {
        kind: "decision".into(),
        time: Some(Timestamp { seconds, nanos: 0 }),
        ..Record::default()
    };
    let mut rows = RecordRows::new(schema());
    for seconds in [253_402_300_799, 0, -62_135_596_800] {
        rows.append(&at(seconds));
    }
    assert_eq!(rows.unheld_times(), 2);
    let read = read_back::rows(&written(rows));
    let times: Vec<Option<&Value>> = read.iter().map(|row| row.get("time")).collect();
    assert_eq!(
        times,
        [
            None,
            Some(&Value::from("1970-01-01T00:00:00.000000000Z")),
            None
        ]
    );
}

#[test]
fn the_largest_numbers_are_themselves() {
    let record = Record {
        kind: "gap".into(),
        sequence: u64::MAX,
        problems_left_out: u32::MAX,
        lost: Some(Loss {
            allows: u64::MAX,
            ..Loss::default()
        }),
        refusals: vec![Refusal {
            count: u64::MAX - 1,
            ..Refusal::default()
        }],
        ..Record::default()
    };
    let mut rows = RecordRows::new(schema());
    rows.append(&record);
    let read = read_back::rows(&written(rows));
    assert_eq!(read[0]["sequence"], u64::MAX.to_string());
    assert_eq!(read[0]["problemsLeftOut"], u32::MAX);
    assert_eq!(read[0]["lost"]["allows"], u64::MAX.to_string());
    assert_eq!(read[0]["refusals"][0]["count"], (u64::MAX - 1).to_string());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Threads gather rows apart, and row groups end anywhere.
    #[test]
    fn rows_that_are_gathered_apart_are_the_same(
        picks in prop::collection::vec((0..13_usize, 0..4_u8), 1..60),
    ) {
        let examples = examples();
        let mut whole = RecordRows::new(schema());
        let (mut joined, mut apart) = (RecordRows::new(schema()), RecordRows::new(schema()));
        for (pick, cut) in &picks {
            whole.append(&examples[*pick].1);
            apart.append(&examples[*pick].1);
            if *cut == 0 {
                joined.absorb(apart.take());
            }
        }
        joined.absorb(apart);
        prop_assert_eq!(whole.len(), joined.len());
        prop_assert_eq!(whole.weight(), joined.weight());
        let (whole, joined) = (written(whole), written(joined));
        prop_assert!(whole == joined);
        for (row, (pick, _)) in read_back::rows(&joined).into_iter().zip(&picks) {
            is_line(row, &examples[*pick].0);
        }
    }
}
