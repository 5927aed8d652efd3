//! Which files an export makes, and what it leaves alone.

use std::collections::BTreeSet;

use prost_types::Timestamp;

use super::partition::SECONDS_OF_A_DAY;
use super::*;
use crate::file::{CUSTOMS_VERSION_KEY, SCHEMA_VERSION_KEY};
use crate::read_back;
use customs_record::proto::Record;

const NOON: i64 = 1_795_521_600;
const DAY: i64 = SECONDS_OF_A_DAY;

fn record(number: u64, seconds: Option<i64>) -> Record {
    Record {
        kind: "decision".into(),
        sequence: number,
        host: format!("host-{number}.example"),
        time: seconds.map(|seconds| Timestamp { seconds, nanos: 0 }),
        ..Record::default()
    }
}

fn gathered(export: &Export, records: &[Record]) -> GatheredRecords {
    let mut gathered = export.gatherer().begin();
    records.iter().for_each(|record| gathered.add(record));
    gathered
}

/// Returns every path below a directory, relative to it.
fn names(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(
                names(&path)
                    .into_iter()
                    .map(|below| format!("{name}/{below}")),
            );
        } else {
            found.insert(name);
        }
    }
    found
}

fn sequences(path: &Path) -> Vec<u64> {
    let rows = read_back::rows(&fs::read(path).unwrap());
    let sequence = |row: &serde_json::Map<String, serde_json::Value>| {
        row["sequence"].as_str().unwrap().parse().unwrap()
    };
    rows.iter().map(sequence).collect()
}

fn about() -> Vec<(String, String)> {
    vec![("customs.records".into(), "3".into())]
}

#[test]
fn one_file_has_all_records_in_their_order_and_what_was_read_in_its_metadata() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("week.parquet");
    let mut options = ExportOptions::to(ExportTarget::File(path.clone()));
    (options.group_rows, options.file_bytes) = (2, 1);
    let mut export = Export::begin(options).unwrap();
    for number in 1..=5 {
        let more = gathered(&export, &[record(number, Some(NOON))]);
        assert!(more.weight() > 0);
        export.take(more).unwrap();
        assert!(!path.exists());
    }
    assert_eq!((export.records(), export.unheld_times()), (5, 0));
    let files = export.end(&about()).unwrap();
    let bytes = fs::read(&path).unwrap();
    let expected = ExportedFile {
        path: path.clone(),
        records: 5,
        bytes: bytes.len() as u64,
    };
    assert_eq!(files, [expected]);
    assert_eq!(sequences(&path), [1, 2, 3, 4, 5]);
    assert_eq!(read_back::row_groups(&bytes), 3);
    let metadata: BTreeMap<_, _> = read_back::metadata(&bytes).into_iter().collect();
    assert_eq!(metadata[SCHEMA_VERSION_KEY], "1");
    assert_eq!(metadata[CUSTOMS_VERSION_KEY], env!("CARGO_PKG_VERSION"));
    assert_eq!(metadata["customs.records"], "3");
    assert_eq!(names(directory.path()), ["week.parquet".to_owned()].into());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o027, 0);
}

#[test]
fn a_directory_gets_files_of_a_size_and_a_summary() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("made/by/it");
    let mut options = ExportOptions::to(ExportTarget::Directory(path.clone()));
    (options.group_rows, options.file_bytes) = (2, 1);
    let mut export = Export::begin(options).unwrap();
    for number in 1..=5 {
        let more = gathered(&export, &[record(number, None)]);
        export.take(more).unwrap();
    }
    let files = export.end(&about()).unwrap();
    let expected = [
        "_customs_export.json",
        "part-00000.parquet",
        "part-00001.parquet",
        "part-00002.parquet",
    ];
    assert_eq!(names(&path), expected.map(str::to_owned).into());
    assert_eq!(
        files.iter().map(|file| file.records).collect::<Vec<_>>(),
        [2, 2, 1]
    );
    assert_eq!(sequences(&path.join("part-00002.parquet")), [5]);
    let summary = fs::read_to_string(path.join(SUMMARY_FILE)).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(
        (&summary["version"], &summary["schemaVersion"]),
        (&1.into(), &1.into())
    );
    assert_eq!(summary["metadata"]["customs.records"], "3");
    assert_eq!(summary["files"][1]["path"], "part-00001.parquet");
    assert_eq!(summary["files"][1]["records"], 2);
}

#[test]
fn days_have_directories_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let target = ExportTarget::DirectoryByDay(directory.path().to_owned());
    let mut export = Export::begin(ExportOptions::to(target)).unwrap();
    let records = [
        record(1, Some(NOON)),
        record(2, Some(NOON + DAY)),
        record(3, Some(NOON + DAY / 2 - 1)),
        record(4, Some(NOON + DAY / 2)),
        record(5, None),
        record(6, Some(-1)),
    ];
    let more = gathered(&export, &records);
    export.take(more).unwrap();
    export.end(&about()).unwrap();
    let file = |day: &str| {
        directory
            .path()
            .join(format!("date={day}/part-00000.parquet"))
    };
    assert_eq!(sequences(&file("2026-11-24")), [1, 3]);
    assert_eq!(sequences(&file("2026-11-25")), [2, 4]);
    assert_eq!(sequences(&file("1969-12-31")), [6]);
    assert_eq!(sequences(&file("__HIVE_DEFAULT_PARTITION__")), [5]);
    assert_eq!(names(directory.path()).len(), 5);
}

#[test]
fn days_in_any_order_take_bounded_memory_and_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let target = ExportTarget::DirectoryByDay(directory.path().to_owned());
    let mut export = Export::begin(ExportOptions::to(target)).unwrap();
    let days = 3 * MAX_OPEN as i64;
    for number in 0..2 * days {
        let more = gathered(
            &export,
            &[record(1 + number as u64, Some(NOON + number % days * DAY))],
        );
        export.take(more).unwrap();
        assert!(export.open.len() <= MAX_OPEN);
    }
    let files = export.end(&about()).unwrap();
    assert_eq!(files.len() as i64, 2 * days, "each day came twice");
    let mut all: Vec<u64> = files
        .iter()
        .flat_map(|file| sequences(&file.path))
        .collect();
    all.sort_unstable();
    assert_eq!(all, (1..=2 * days as u64).collect::<Vec<_>>());

    let heavy = tempfile::tempdir().unwrap();
    let mut options = ExportOptions::to(ExportTarget::DirectoryByDay(heavy.path().to_owned()));
    options.group_bytes = 1;
    let mut export = Export::begin(options).unwrap();
    for number in 0..4 {
        let more = gathered(
            &export,
            &[record(number, Some(NOON)), record(number, Some(NOON + DAY))],
        );
        export.take(more).unwrap();
        assert!(export.weight() < 5_000);
    }
    assert_eq!(
        export
            .end(&[])
            .unwrap()
            .iter()
            .map(|file| file.records)
            .sum::<u64>(),
        8
    );
}

#[test]
fn an_export_of_no_records_has_columns() {
    let directory = tempfile::tempdir().unwrap();
    for (target, expected) in [
        (ExportTarget::File(directory.path().join("a.parquet")), 1),
        (ExportTarget::Directory(directory.path().join("b")), 1),
        (ExportTarget::DirectoryByDay(directory.path().join("c")), 0),
    ] {
        let files = Export::begin(ExportOptions::to(target))
            .unwrap()
            .end(&about())
            .unwrap();
        assert_eq!(files.len(), expected);
        for file in files {
            assert_eq!(file.records, 0);
            assert!(sequences(&file.path).is_empty());
        }
    }
}

#[test]
fn what_is_there_is_never_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let (file, full) = (
        directory.path().join("a.parquet"),
        directory.path().join("full"),
    );
    fs::write(&file, "mine").unwrap();
    fs::create_dir(&full).unwrap();
    fs::write(full.join("part-00000.parquet"), "mine").unwrap();
    std::os::unix::fs::symlink("/nonexistent", directory.path().join("link.parquet")).unwrap();
    for (target, expected) in [
        (
            ExportTarget::File(file.clone()),
            "a.parquet exists already; remove it, or name another file",
        ),
        (
            ExportTarget::File(directory.path().join("link.parquet")),
            "link.parquet exists already",
        ),
        (
            ExportTarget::Directory(full.clone()),
            "part-00000.parquet exists already; remove it, or name another directory",
        ),
        (ExportTarget::DirectoryByDay(full.clone()), "exists already"),
        (ExportTarget::Directory(file.clone()), "cannot write"),
    ] {
        let why = Export::begin(ExportOptions::to(target))
            .unwrap_err()
            .to_string();
        assert!(why.contains(expected), "{why}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn a_file_that_appears_meanwhile_stays_and_the_export_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out");
    let mut options = ExportOptions::to(ExportTarget::Directory(path.clone()));
    (options.group_rows, options.file_bytes) = (1, 1);
    let mut export = Export::begin(options).unwrap();
    for number in 0..3 {
        let more = gathered(&export, &[record(number, None)]);
        export.take(more).unwrap();
    }
    fs::write(path.join("part-00001.parquet"), "another's").unwrap();
    let why = export.end(&about()).unwrap_err().to_string();
    assert!(why.contains("part-00001.parquet exists already"), "{why}");
    assert_eq!(names(&path), ["part-00001.parquet".to_owned()].into());
    assert_eq!(
        fs::read(path.join("part-00001.parquet")).unwrap(),
        b"another's"
    );
}

#[test]
fn an_export_that_is_given_up_leaves_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut options = ExportOptions::to(ExportTarget::File(directory.path().join("a.parquet")));
    options.group_rows = 1;
    let mut export = Export::begin(options).unwrap();
    let more = gathered(&export, &[record(1, None)]);
    export.take(more).unwrap();
    let temporary: Vec<String> = names(directory.path()).into_iter().collect();
    assert!(
        temporary.len() == 1 && temporary[0].starts_with(TEMPORARY),
        "{temporary:?}"
    );
    drop(export);
    assert!(names(directory.path()).is_empty());
}
