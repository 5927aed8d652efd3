//! One record of each kind, pinned: `golden.jsonl` as lines, `golden.hex` as messages.
//!
//! A difference here is a change of the contract. What a consumer of an earlier version has read
//! must still be there with the same meaning; then, and only then, write the files again:
//! `CUSTOMS_WRITE_GOLDEN=1 cargo test --test audit`.

use std::fmt::Write;
use std::path::PathBuf;

use crate::{examples, line, message};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn assert_is_golden(name: &str, rendered: &[String]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/audit")
        .join(name);
    if std::env::var_os("CUSTOMS_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, rendered.concat()).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    for (number, (golden, rendered)) in golden.split_inclusive('\n').zip(rendered).enumerate() {
        assert_eq!(golden, rendered, "{name}:{}", number + 1);
    }
    assert_eq!(golden.lines().count(), rendered.len());
}

#[test]
fn the_lines_are_the_golden_ones() {
    let lines: Vec<_> = examples::of_every_kind().iter().map(line).collect();
    assert_is_golden("golden.jsonl", &lines);
}

#[test]
fn the_messages_are_the_golden_ones() {
    let messages: Vec<_> = examples::of_every_kind()
        .iter()
        .map(|entry| hex(&message(entry)) + "\n")
        .collect();
    assert_is_golden("golden.hex", &messages);
}
