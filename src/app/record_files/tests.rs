//! Which files a directory represents, and in which order files are read.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::*;

/// The first record of a file.
fn record(time: &str, stream: &str, sequence: u64) -> String {
    format!(
        "{{\"time\":\"{time}\",\"kind\":\"decision\",\"stream\":\"{stream}\",\
         \"sequence\":\"{sequence}\",\"chain\":\"{stream}{sequence}\"}}\n"
    )
}

fn at(hour: u32, stream: &str, sequence: u64) -> String {
    let time = format!("2026-11-23T{hour:02}:00:00.000000000Z");
    record(&time, stream, sequence)
}

fn packed(text: &str) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

/// The names of the files that the paths represent, and the notes.
fn names(root: &Path, paths: &[&str]) -> (Vec<String>, Vec<String>) {
    let paths: Vec<PathBuf> = paths.iter().map(|path| root.join(path)).collect();
    let found = RecordFiles::find(&paths).unwrap();
    let name = |input: &ScanInput| {
        let path = input.path.strip_prefix(root).unwrap_or(&input.path);
        path.display().to_string()
    };
    let name_of_note = |note: &String| note.replace(&format!("{}/", root.display()), "");
    (
        found.inputs.iter().map(name).collect(),
        found.notes.iter().map(name_of_note).collect(),
    )
}

const FIRST: &str = "a.jsonl.20261123T110000.000000000Z";
const SECOND: &str = "a.jsonl.20261123T120000.000000000Z";

#[test]
fn a_directory_stands_for_every_file_of_every_log_in_it() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(root.path().join(name), bytes).unwrap();
    write("a.jsonl", at(12, "s", 30).as_bytes());
    write(&format!("{FIRST}.gz"), &packed(&at(10, "s", 1)));
    write(SECOND, at(11, "s", 20).as_bytes());
    write(&format!("{SECOND}.gz.part"), b"\x1f\x8b");
    write(&format!(".{SECOND}.index"), b"whatever");
    write("b.jsonl", at(11, "t", 1).as_bytes());
    write("checkpoints", b"{\"time\":\"2026-11-23T10:00:00Z\",\"kind\":\"checkpoint\",\"sealedStream\":\"s\",\"sink\":\"x\"}\n");
    write("empty.jsonl", b"");
    write("README", b"these are the files of the audit log\n");
    fs::create_dir(root.path().join("more")).unwrap();
    let (found, notes) = names(root.path(), &["."]);
    let found: Vec<&str> = found
        .iter()
        .map(|name| name.trim_start_matches("./"))
        .collect();
    let first = format!("{FIRST}.gz");
    assert_eq!(found, [first.as_str(), SECOND, "b.jsonl", "a.jsonl"]);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("README is left out"), "{notes:?}");
}

#[test]
fn files_come_in_the_order_of_time_and_of_their_stream() {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("late", at(12, "u", 1)),
        ("early", at(9, "t", 1)),
        // The clock was set back within this stream.
        ("two", at(8, "s", 20)),
        ("one", at(11, "s", 10)),
        ("none", "a line\n".to_owned()),
    ] {
        fs::write(root.path().join(name), text).unwrap();
    }
    let (found, _) = names(root.path(), &["none", "late", "two", "early", "one"]);
    assert_eq!(found, ["one", "two", "early", "late", "none"]);
}

#[test]
fn each_file_is_read_once() {
    let root = tempfile::tempdir().unwrap();
    let text = at(10, "s", 1);
    fs::write(root.path().join("a"), &text).unwrap();
    fs::write(root.path().join("a.gz"), packed(&text)).unwrap();
    fs::write(root.path().join("b.gz"), packed(&at(11, "s", 9))).unwrap();
    std::os::unix::fs::symlink("a", root.path().join("link")).unwrap();
    let (found, notes) = names(root.path(), &["a.gz", "a", "link", "a", "b.gz"]);
    assert_eq!(found, ["a", "b.gz"]);
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(notes[0].contains("a.gz is left out"), "{notes:?}");
}

#[test]
fn a_directory_without_a_log_is_an_error_and_a_missing_file_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let why = RecordFiles::find(&[root.path().to_owned()]).unwrap_err();
    assert!(why.to_string().contains("holds no audit log"), "{why}");
    let (found, _) = names(root.path(), &["gone"]);
    assert_eq!(found, ["gone"]);
}

#[test]
fn a_rotation_while_files_are_listed_hides_no_record() {
    let root = tempfile::tempdir().unwrap();
    let live = root.path().join("a.jsonl");
    fs::write(&live, at(10, "s", 1)).unwrap();
    let found = RecordFiles::find(&[root.path().to_owned()]).unwrap();
    fs::rename(&live, root.path().join(FIRST)).unwrap();
    fs::write(&live, at(11, "s", 2)).unwrap();
    let mut text = String::new();
    let file = found.inputs[0].open.as_deref().unwrap();
    { file }.read_to_string(&mut text).unwrap();
    assert_eq!(text, at(10, "s", 1));
}
