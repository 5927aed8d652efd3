//! That an index never hides a record, and is never believed for another file.

use proptest::prelude::*;

use super::*;
use crate::proto::{Loss, Record};
use crate::record_fields::RecordFields;
use crate::record_query::Answer;
use prost_types::Timestamp;

/// Writes records to a file.
fn written(records: &[Record]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    for record in records {
        writeln!(file, "{}", crate::decode::to_line(record).unwrap()).unwrap();
    }
    file
}

fn index(records: &[Record]) -> SegmentIndex {
    SegmentIndex::of(written(records).path(), || true)
        .unwrap()
        .unwrap()
}

fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(texts).prop_map(str::to_owned)
}

const HOSTS: &[&str] = &[
    "",
    "a.example",
    "b.a.example",
    "A.Example",
    ".example",
    "x",
    "c.d.e.",
];
const RULES: &[&str] = &[
    "",
    "ep:s/a#x",
    "ep:s/a#y",
    "ep:s/a#x,ap:t/b#0",
    "ep:s/c",
    "builtin#d",
];
const NAMES: &[&str] = &["", "shop", "bank", "shop/cart", "cart", "hash:00"];
const WORDS: &[&str] = &["", "allow", "deny"];
const KINDS: &[&str] = &["decision", "gap", "later"];
const HIDDEN: &[&str] = &["serviceAccount", "host", "effect", "rule", "path"];

prop_compose! {
    fn record()(
        kind in one_of(KINDS),
        time in prop::option::of(0_i64..9),
        texts in (one_of(HOSTS), one_of(RULES), one_of(RULES), one_of(NAMES), one_of(NAMES)),
        owners in (one_of(NAMES), one_of(NAMES)),
        words in (one_of(WORDS), one_of(WORDS), one_of(WORDS), one_of(NAMES)),
        id in 0_u8..9,
        hidden in prop::option::weighted(0.2, one_of(HIDDEN)),
    ) -> Record {
        let (host, rule, dry_run_rule, namespace, service_account) = texts;
        let (effect, verdict, dry_run, reason) = words;
        Record {
            lost: (kind == "gap").then(|| Loss { allows: 3, ..Loss::default() }),
            kind,
            time: time.map(|seconds| Timestamp { seconds, nanos: 0 }),
            stream: "s".into(),
            sequence: u64::from(id),
            host, rule, dry_run_rule, namespace, service_account,
            owner: owners.0,
            dry_run_owner: owners.1,
            effect, verdict, dry_run, reason,
            revision: format!("rev{id}"),
            decision_id: if id == 0 { String::new() } else { format!("id-{id}") },
            redacted: hidden.into_iter().collect(),
            ..Record::default()
        }
    }
}

fn some(texts: &'static [&'static str]) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(one_of(texts), 0..2)
}

prop_compose! {
    fn query()(
        times in (prop::option::of(0_i64..9), prop::option::of(0_i64..9)),
        kinds in some(KINDS),
        ids in some(&["id-1", "id-5", "id-50", ""]),
        rules in some(&["ep:s/a#x", "ep:s/a", "ep:s/c", "ap:t/b#0", "ap:t/b", "builtin", ""]),
        names in (some(NAMES), some(NAMES), some(NAMES), some(NAMES)),
        hosts in some(&["a.example", "*.a.example", "*.example", "*.", "*.e.", "X", "no.example"]),
        revisions in some(&["rev1", "rev", "revision", ""]),
        words in (one_of(WORDS), one_of(WORDS), one_of(WORDS)),
    ) -> RecordQuery {
        let at = |seconds: Option<i64>| seconds.map(|seconds| Timestamp { seconds, nanos: 0 });
        let (owners, namespaces, accounts, reasons) = names;
        let (effect, verdict, dry_run) = words;
        RecordQuery {
            since: at(times.0),
            until: at(times.1),
            kinds, decision_ids: ids, rules, owners, namespaces, accounts, hosts, reasons,
            revisions, effect, verdict, dry_run,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_file_is_left_out_only_if_it_holds_nothing_that_is_meant(
        records in prop::collection::vec(record(), 1..6),
        queries in prop::collection::vec(query(), 20),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = index(&records);
        let (one, two) = records.split_at(cut.index(records.len() + 1));
        let mut joined = IndexBuilder::default();
        for part in [one, two] {
            let mut builder = IndexBuilder::default();
            for record in part {
                let line = crate::decode::to_line(record).unwrap();
                take(&mut builder, &line);
            }
            joined.join(builder);
        }
        prop_assert_eq!(&joined.finish(whole.file), &whole);
        for query in &queries {
            let is_meant = |record: &Record| {
                query.answer(&RecordFields::of(record)) != Answer::Mismatch
            };
            if records.iter().any(is_meant) {
                prop_assert!(whole.may_hold(query), "{:?}", query);
            }
        }
    }
}

fn take(builder: &mut IndexBuilder, line: &str) {
    let raw = crate::record_reader::RawRecord {
        bytes: line.as_bytes(),
        format: crate::stream::Format::Json,
        place: crate::record_reader::RecordPlace {
            number: 1,
            offset: 0,
        },
    };
    raw.scan(|record| builder.take(record)).unwrap();
}

fn decision(host: &str) -> Record {
    Record {
        kind: "decision".into(),
        host: host.into(),
        ..Record::default()
    }
}

#[test]
fn a_file_without_a_name_is_left_out_nearly_always() {
    let records: Vec<Record> = (0..500)
        .map(|n| decision(&format!("h{n}.example")))
        .collect();
    let index = index(&records);
    let holds = |host: String| {
        index.may_hold(&RecordQuery {
            hosts: vec![host],
            ..RecordQuery::default()
        })
    };
    assert!((0..500).all(|n| holds(format!("h{n}.example"))));
    let taken = (0..1000)
        .filter(|n| holds(format!("other{n}.example")))
        .count();
    assert!(taken < 50, "{taken} of 1000");
    assert!(holds("*.example".into()) && !holds("*.h1.example".into()));
}

#[test]
fn an_index_is_read_back_and_believed_for_its_file_only() {
    let file = written(&[decision("a.example")]);
    let other = written(&[decision("b.example"), decision("c.example")]);
    let stamp = |file: &tempfile::NamedTempFile| FileStamp::of(&file.as_file().metadata().unwrap());
    let index = SegmentIndex::of(file.path(), || true).unwrap().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.index");
    assert!(SegmentIndex::read(&path, stamp(&file)).unwrap().is_none());
    index.write(&path).unwrap();
    let read = SegmentIndex::read(&path, stamp(&file)).unwrap();
    assert_eq!(read.as_ref(), Some(&index));
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        1,
        "no part is left"
    );
    let foreign = SegmentIndex::read(&path, stamp(&other)).unwrap_err();
    assert!(matches!(foreign, SegmentIndexError::OtherFile));
    // The same bytes at another time are another file.
    let later = SystemTime::now() - Duration::from_secs(100);
    file.as_file().set_modified(later).unwrap();
    let stale = SegmentIndex::read(&path, stamp(&file)).unwrap_err();
    assert!(matches!(stale, SegmentIndexError::OtherFile));
    assert!(stamp(&file).is_settled() && !stamp(&other).is_settled());
}

#[test]
fn a_damaged_index_and_one_of_another_version_are_refused() {
    let file = written(&[decision("a.example")]);
    let index = SegmentIndex::of(file.path(), || true).unwrap().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.index");
    index.write(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let why = SegmentIndex::parse(&changed).unwrap_err();
        assert!(matches!(why, SegmentIndexError::Damaged), "{at}: {why}");
        assert!(SegmentIndex::parse(&bytes[..at]).is_err(), "{at}");
    }
    let later = SegmentIndex {
        version: VERSION + 1,
        ..index
    };
    later.write(&path).unwrap();
    let why = SegmentIndex::parse(&fs::read(&path).unwrap()).unwrap_err();
    assert!(matches!(why, SegmentIndexError::OtherVersion));
}

#[test]
fn a_file_with_anything_but_whole_records_has_no_index() {
    let line = crate::decode::to_line(&decision("a.example")).unwrap();
    for (text, is_indexed) in [
        (format!("{line}\n"), true),
        (format!("{line}\n{line}"), false),
        (format!("{line}\na log line\n"), false),
        (String::new(), false),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &text).unwrap();
        let index = SegmentIndex::of(file.path(), || true).unwrap();
        assert_eq!(index.is_some(), is_indexed, "{text}");
    }
}

#[test]
fn too_many_values_are_unknown_and_nothing_is_left_out_for_them() {
    let records: Vec<Record> = (0..300)
        .map(|n| Record {
            revision: format!("{n}"),
            ..decision("a.example")
        })
        .collect();
    let index = index(&records);
    assert_eq!(index.revisions, None);
    assert!(index.may_hold(&RecordQuery {
        revisions: vec!["299".into()],
        ..RecordQuery::default()
    }));
}
