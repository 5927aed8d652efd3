//! The command, its answers and its exit codes.

use sha2::{Digest, Sha256};

use super::log::{Format, Log, hex, key, public_pem};
use super::{Folder, run};
use customs_record::record_reader::MAX_RECORD;

fn sealed() -> Log {
    let mut log = Log::new(Format::Json, "stream-1");
    log.decisions(10);
    log.checkpoint(false);
    log.decisions(10);
    log.checkpoint(true);
    log
}

#[test]
fn an_intact_log_is_reported_with_its_last_checkpoint() {
    let folder = Folder::of(&sealed());
    let (code, printed, _) = folder.run("a.log --checkpoints checkpoints.jsonl --key key.pem");
    assert_eq!(code, Some(0), "{printed}");
    for line in [
        "intact\n",
        "1 file, 1 stream, 23 records, of which 20 decisions",
        "22 records of stream stream-1, final, key ",
    ] {
        assert!(printed.contains(line), "{line}: {printed}");
    }
    let (code, printed, _) = folder.run("a.log --format json --key key.pem");
    let read: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        (code, &read["outcome"], &read["records"]),
        (Some(0), &"intact".into(), &23.into())
    );
}

#[test]
fn a_record_that_no_tool_reads_is_not_intact() {
    for format in [Format::Json, Format::Protobuf] {
        let log = |bytes: usize| {
            let mut log = Log::new(format, "stream-1");
            log.long_decision(bytes);
            log.checkpoint(true);
            log
        };
        let (code, printed, _) = Folder::of(&log(MAX_RECORD - 1000)).run("a.log");
        assert_eq!(code, Some(0), "{printed}");
        // Its chain is right, but neither the statistics nor a server that continues it can read
        // it.
        let folder = Folder::of(&log(MAX_RECORD + 1));
        let (code, printed, _) = folder.run("a.log");
        assert_eq!(code, Some(1), "{printed}");
        assert!(
            printed.starts_with("bad: edited: ")
                && printed.contains(" 2: ")
                && printed.contains("longer than any record"),
            "{printed}"
        );
    }
}

#[test]
fn what_no_checkpoint_seals_is_an_unsealed_tail() {
    let mut log = Log::new(Format::Json, "stream-1");
    log.decisions(2);
    let folder = Folder::of(&log);
    let (code, printed, _) = folder.run("a.log");
    assert_eq!(code, Some(3));
    assert!(
        printed.starts_with("unsealed tail: 3 records\n")
            && printed.contains("no checkpoint that counts"),
        "{printed}"
    );
    log.checkpoint(false);
    log.decisions(2);
    let folder = Folder::of(&log);
    let (code, printed, _) = folder.run("a.log --key key.pem --checkpoints checkpoints.jsonl");
    assert_eq!(code, Some(3));
    assert!(
        printed.starts_with("unsealed tail: 2 records\n") && !printed.contains("intact"),
        "{printed}"
    );
}

#[test]
fn without_a_key_the_answer_says_what_it_is_worth() {
    let (code, printed, _) = Folder::of(&sealed()).run("a.log");
    assert_eq!(code, Some(0));
    assert!(
        printed.contains("note: signatures were not checked: without --key"),
        "{printed}"
    );
}

#[test]
fn checkpoints_of_no_or_another_key_do_not_count() {
    let mut log = sealed();
    let folder = Folder::of(&log);
    folder.write("other.pem", public_pem(&key(8)).as_bytes());
    let (code, printed, _) = folder.run("a.log --checkpoints checkpoints.jsonl --key other.pem");
    assert_eq!(code, Some(3), "{printed}");
    assert!(
        printed.contains("unsealed tail: 23 records") && printed.contains("not signed by that key"),
        "{printed}"
    );
    let (code, printed, _) =
        folder.run("a.log --checkpoints checkpoints.jsonl --key other.pem --key key.pem");
    assert_eq!(code, Some(0), "{printed}");
    log = Log::new(Format::Json, "stream-1");
    log.key = None;
    log.checkpoint(true);
    let folder = Folder::of(&log);
    assert_eq!(folder.run("a.log --key key.pem").0, Some(3));
    assert_eq!(folder.run("a.log").0, Some(0));
}

/// Lines with a recomputed chain, as an attacker makes them who knows how it is computed.
fn rechained(lines: &[String]) -> Vec<String> {
    let mut head = [0; 32];
    let mut again = |line: &String| {
        let body = line.split(",\"chain\":").next().unwrap();
        head = Sha256::new()
            .chain_update(head)
            .chain_update(body)
            .finalize()
            .into();
        format!("{body},\"chain\":\"{}\"}}\n", hex(&head))
    };
    lines.iter().map(&mut again).collect()
}

#[test]
fn an_edit_with_a_recomputed_chain_is_found_by_a_signed_checkpoint() {
    let honest = sealed();
    let folder = Folder::of(&honest);
    let mut lines: Vec<String> = str::from_utf8(&honest.bytes)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    lines[15] = lines[15].replace("\"reason\":\"allow\"", "\"reason\":\"other\"");
    let mut lines = rechained(&lines);
    folder.write("a.log", lines.concat().as_bytes());
    for arguments in [
        "a.log --key key.pem",
        "a.log",
        "a.log --key key.pem --checkpoints checkpoints.jsonl",
    ] {
        let (code, printed, _) = folder.run(arguments);
        assert_eq!(code, Some(1), "{printed}");
        assert!(
            printed.starts_with("bad: checkpoint mismatch: a.log, line 2"),
            "{printed}"
        );
        assert!(
            printed.contains("records 12 to 22 of stream stream-1"),
            "{printed}"
        );
    }
    // And the checkpoint rewritten too, except for its signature.
    let new: serde_json::Value = serde_json::from_str(&lines[21]).unwrap();
    lines[22] = lines[22].replace(
        &hex(&honest.places[21].head),
        new["chain"].as_str().unwrap(),
    );
    folder.write("a.log", rechained(&lines).concat().as_bytes());
    assert_eq!(
        folder.run("a.log").0,
        Some(0),
        "without a key it cannot be seen"
    );
    let (code, printed, _) = folder.run("a.log --key key.pem");
    assert_eq!(code, Some(1));
    assert!(
        printed.starts_with("bad: bad signature: a.log, line 23: record 23 of stream stream-1"),
        "{printed}"
    );
}

#[test]
fn a_checkpoint_file_with_a_wrong_signature_is_bad() {
    let log = sealed();
    let folder = Folder::of(&log);
    let changed = log.checkpoints.replace("\"final\":true,", "");
    folder.write("checkpoints.jsonl", changed.as_bytes());
    let (code, printed, _) = folder.run("a.log --key key.pem --checkpoints checkpoints.jsonl");
    assert_eq!(code, Some(1));
    assert!(
        printed.starts_with("bad: bad signature: checkpoints.jsonl, line 2"),
        "{printed}"
    );
}

#[test]
fn declared_losses_are_counted() {
    let mut log = Log::new(Format::Json, "stream-1");
    log.decisions(2);
    log.gap(7, 2);
    log.gap(1, 0);
    log.checkpoint(true);
    let (code, printed, _) = Folder::of(&log).run("a.log --key key.pem");
    assert_eq!(code, Some(0));
    assert!(
        printed.contains("declared losses: 10 records (8 decisions) in 2 gap records"),
        "{printed}"
    );
}

#[test]
fn a_file_that_is_not_a_log_is_an_error_and_not_a_verdict() {
    let log = sealed();
    let folder = Folder::of(&log);
    folder.write("text", b"hello\nworld\n");
    folder.write("b.log", &log.bytes);
    for (arguments, expected) in [
        ("text", "`text` is not an audit log"),
        (".", "`.` is a directory; name the files in it"),
        ("missing", "cannot read `missing`"),
        (
            "checkpoints.jsonl",
            "`checkpoints.jsonl` is a checkpoint file; give it with --checkpoints",
        ),
        (
            "a.log --checkpoints key.pem",
            "`key.pem` is not a checkpoint file",
        ),
        ("a.log b.log", "begin with the same record"),
        ("a.log --checkpoints missing", "cannot read `missing`"),
        ("a.log --key missing", "cannot read the key `missing`"),
        (
            "a.log --key text",
            "`text` is not an Ed25519 public key in PEM: it holds no key in PEM",
        ),
        ("", "required"),
    ] {
        let (code, printed, why) = run(&folder.path(""), arguments);
        assert_eq!((code, printed.as_str()), (Some(2), ""), "{arguments}");
        assert!(why.contains(expected), "{arguments}: {why}");
    }
}

#[test]
fn an_empty_file_is_never_intact() {
    let folder = Folder::of(&sealed());
    folder.write("a.log", b"");
    let (code, printed, _) = folder.run("a.log");
    assert_eq!(code, Some(3));
    assert!(printed.contains("note: a.log is empty"), "{printed}");
    let (code, printed, _) = folder.run("a.log --checkpoints checkpoints.jsonl --key key.pem");
    assert_eq!(code, Some(1));
    assert!(printed.starts_with("bad: truncated: "), "{printed}");
}

#[test]
fn a_record_may_come_on_the_standard_input() {
    let folder = Folder::of(&sealed());
    let run = |input: std::process::Stdio| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_customs"));
        let output = command
            .args(["audit", "verify", "-"])
            .stdin(input)
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let (code, printed) = run(std::fs::File::open(folder.path("a.log")).unwrap().into());
    assert!(code == Some(0) && printed.contains(", in -\n"), "{printed}");
    let mut cat = std::process::Command::new("cat");
    let mut cat = cat
        .arg(folder.path("a.log"))
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let (code, printed) = run(cat.stdout.take().unwrap().into());
    assert!(
        cat.wait().unwrap().success() && code == Some(0) && printed.starts_with("intact\n"),
        "{printed}"
    );
}

#[test]
fn a_record_of_some_decisions_is_not_taken_for_one_of_all() {
    let mut log = Log::new(Format::Json, "stream-1");
    log.decisions(2);
    log.checkpoint(true);
    let folder = Folder::of(&log);
    let lines: Vec<String> = str::from_utf8(&log.bytes)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect();
    assert!(!folder.run("a.log").1.contains("filter"));
    let lines = rechained(&[
        lines[0].replace("\"filter\":\"all\"", "\"filter\":\"denies\""),
        lines[1].clone(),
    ]);
    folder.write("a.log", lines.concat().as_bytes());
    let (code, printed, _) = folder.run("a.log");
    assert_eq!(code, Some(3), "{printed}");
    assert!(
        printed.contains("note: the audit log holds only what the filter `denies` lets through"),
        "{printed}"
    );
}
