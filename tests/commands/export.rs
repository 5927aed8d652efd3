//! `customs audit export`: what it makes, what it leaves out and says, and what it leaves alone.

use std::path::Path;

use super::{Folder, run};

/// Returns a decision's line.
fn decision(sequence: u64, host: &str) -> String {
    format!(
        "{{\"time\":\"2026-11-2{sequence}T12:00:00Z\",\"kind\":\"decision\",\"stream\":\"s\",\"sequence\":\"{sequence}\",\
         \"effect\":\"allow\",\"namespace\":\"shop\",\"host\":\"{host}\",\"chain\":\"00\"}}\n"
    )
}

fn log() -> String {
    let gap = "{\"time\":\"2026-11-22T13:00:00Z\",\"kind\":\"gap\",\"stream\":\"s\",\"sequence\":\"3\",\"lost\":{\"allows\":\"5\",\"events\":\"2\"}}\n";
    [
        &decision(1, "a.example"),
        &decision(2, "b.example"),
        gap,
        &decision(4, "a.example"),
    ]
    .concat()
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_build_without_it_says_where_to_get_it() {
    let folder = Folder::with(&[("a.jsonl", &log())]);
    let ended = run(folder.path(), "audit export a.jsonl --parquet out");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("use the customs of a release, or build it with `cargo build --release --features parquet`"), "{}", ended.stderr);
    assert!(!folder.path().join("out").exists());
}

/// Returns the summary of a directory of files.
#[cfg(feature = "parquet")]
fn summary(directory: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(directory.join("_customs_export.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[cfg(not(feature = "parquet"))]
#[test]
fn its_flags_are_checked_all_the_same() {
    let ended = run(Path::new("."), "audit export a.jsonl");
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("--parquet"), "{}", ended.stderr);
}

#[cfg(feature = "parquet")]
#[test]
fn what_a_log_lacks_is_counted_and_said() {
    let text = format!("{}not a record\n{{\"kind\":\"decision\",\"torn", log());
    let folder = Folder::with(&[("a.jsonl", &text)]);
    let ended = run(folder.path(), "audit export a.jsonl --parquet out");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .starts_with("exported 4 records to out (1 file, "),
        "{}",
        ended.stdout
    );
    for line in [
        "customs: records that were lost, by 1 gap: 7",
        "customs: lines or messages that are not records, left out: 1",
        "customs: unfinished records at the end of a file, left out: 1",
    ] {
        assert!(ended.stderr.contains(line), "{line}\n{}", ended.stderr);
    }
    let metadata = &summary(&folder.path().join("out"))["metadata"];
    for (key, value) in [
        ("records", "4"),
        ("gaps", "1"),
        ("no_records", "1"),
        ("torn", "1"),
        ("unread_files", "0"),
        ("missed", "0"),
    ] {
        assert_eq!(metadata[format!("customs.{key}")], value, "{key}");
    }
    let lost: serde_json::Value =
        serde_json::from_str(metadata["customs.lost"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&lost["allows"], &lost["events"], &lost["denials"]),
        (&5.into(), &2.into(), &0.into())
    );
}

#[cfg(feature = "parquet")]
#[test]
fn filters_choose_records_and_never_hide_what_was_lost() {
    let folder = Folder::with(&[("a.jsonl", &log())]);
    for (number, (flags, expected)) in [
        ("--host a.example", "3"),
        ("--host a.example --kind decision", "2"),
        ("--since 2026-11-22 --until 2026-11-23", "2"),
        ("--since 2027-01-01", "0"),
        ("--namespace other --effect allow", "1"),
    ]
    .into_iter()
    .enumerate()
    {
        let ended = run(
            folder.path(),
            &format!("audit export a.jsonl --parquet out{number} {flags}"),
        );
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let summary = summary(&folder.path().join(format!("out{number}")));
        assert_eq!(summary["metadata"]["customs.records"], expected, "{flags}");
    }
    let asked = &summary(&folder.path().join("out2"))["metadata"];
    assert_eq!(asked["customs.since"], "2026-11-22T00:00:00Z");
    assert_eq!(asked["customs.until"], "2026-11-23T00:00:00Z");
}

#[cfg(feature = "parquet")]
#[test]
fn days_are_directories() {
    let folder = Folder::with(&[("a.jsonl", &log())]);
    let ended = run(
        folder.path(),
        "audit export a.jsonl --parquet out --partition day",
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        ended
            .stdout
            .contains("exported 4 records to out (3 files, "),
        "{}",
        ended.stdout
    );
    for day in ["21", "22", "24"] {
        let path = folder
            .path()
            .join(format!("out/date=2026-11-{day}/part-00000.parquet"));
        assert!(path.is_file(), "{}", path.display());
    }
}

#[cfg(feature = "parquet")]
#[test]
fn an_export_that_cannot_be_whole_fails_and_says_so() {
    let folder = Folder::with(&[
        ("a.jsonl", &log()),
        ("other", "no log\n"),
        ("there.parquet", "mine"),
    ]);
    let ended = run(
        folder.path(),
        "audit export a.jsonl missing.jsonl other --parquet out",
    );
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("cannot read missing.jsonl"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("other is not an audit log"),
        "{}",
        ended.stderr
    );
    let metadata = &summary(&folder.path().join("out"))["metadata"];
    assert_eq!(
        (
            &metadata["customs.records"],
            &metadata["customs.unread_files"]
        ),
        (&"4".into(), &"2".into())
    );
    for (arguments, code, expected) in [
        (
            "a.jsonl --parquet there.parquet",
            1,
            "there.parquet exists already; remove it, or name another file",
        ),
        (
            "a.jsonl --parquet out",
            1,
            "exists already; remove it, or name another directory",
        ),
        ("a.jsonl --parquet no/such/a.parquet", 1, "cannot write"),
        (
            "a.jsonl --parquet b.parquet --partition day",
            2,
            "--partition day makes a directory of files",
        ),
        (
            "a.jsonl --parquet b.parquet --since 2026-11-23 --until 2026-11-22",
            2,
            "no record can be in between",
        ),
        (
            "a.jsonl --parquet b.parquet --partition week",
            2,
            "possible values: day",
        ),
    ] {
        let ended = run(folder.path(), &format!("audit export {arguments}"));
        assert_eq!(ended.code, Some(code), "{arguments}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(expected),
            "{arguments}: {}",
            ended.stderr
        );
        assert!(ended.stdout.is_empty(), "{arguments}");
    }
    assert_eq!(
        std::fs::read(folder.path().join("there.parquet")).unwrap(),
        b"mine"
    );
    assert!(!folder.path().join("b.parquet").exists());
}
