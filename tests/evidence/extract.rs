//! `customs audit extract`: what it refuses, what it says of a bundle that proves less, and logs of
//! several sinks.

use std::fs;
use std::process::Command;

use super::customs;
use super::scene::{Bundle, Past, copy, past, python};

#[test]
fn what_cannot_be_proven_is_said_when_the_bundle_is_made() {
    let window = past().window();
    let until_later = format!("--since {} {}", past().decision(2), Past::WHOLE);
    let cases: [(String, i32, &str); 9] = [
        (until_later, 0, "intact"),
        (Past::WHOLE.to_owned(), 0, "intact"),
        (window.clone(), 3, "signatures were not checked"),
        (
            format!("{window} --key key.pub"),
            0,
            "are not in the bundle",
        ),
        (
            "--since 2099-01-01T00:00:00Z".into(),
            2,
            "no record is in the window: the last record before it is of 20",
        ),
        (
            "--until 2020-01-01T00:00:00Z".into(),
            2,
            "the first after it is of 20",
        ),
        (
            format!("{window} --key policies/a.yaml"),
            2,
            "is not an Ed25519 public key",
        ),
        (
            format!("{window} --policy-archive policies"),
            2,
            "is not a policy archive",
        ),
        (
            format!("{window} --checkpoints policies/a.yaml"),
            2,
            "is not a checkpoint file",
        ),
    ];
    for (flags, code, text) in cases {
        let (bundle, ended) = Bundle::extracted(&flags);
        assert_eq!(ended.code, Some(code), "{flags}: {ended:?}");
        assert!(
            format!("{}{}", ended.stdout, ended.stderr).contains(text),
            "{flags}: {ended:?}"
        );
        assert_eq!(
            bundle.root.exists(),
            code != 2,
            "{flags}: half a bundle is removed"
        );
    }
    let (bundle, _) = Bundle::extracted(Past::WHOLE);
    let again = past().extract(&bundle.root, Past::WHOLE);
    assert!(
        again.code == Some(2) && again.stderr.contains("is there already"),
        "{again:?}"
    );

    // An archive without one of the revisions.
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive");
    copy(&past().folder.at("out/archive"), &archive);
    let revision = bundle.manifest()["revisions"][0]
        .as_str()
        .unwrap()
        .to_owned();
    fs::remove_file(archive.join(format!("revisions/{revision}.json"))).unwrap();
    let flags = format!(
        "{window} --key key.pub --policy-archive {}",
        archive.display()
    );
    let (_, ended) = Bundle::extracted(&flags);
    assert!(
        ended.code == Some(2) && ended.stderr.contains(&revision),
        "{ended:?}"
    );
    let (bundle, ended) = Bundle::extracted(&format!("{flags} --allow-missing-policies"));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    bundle.expect("missing", 0, &["are not in the bundle", &revision]);
}

#[test]
fn no_bundle_is_made_of_a_log_that_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    copy(&past().folder.at("out"), folder.path());
    let log = fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    let time = past().decision(4);
    let line = 1 + log.lines().position(|line| line.contains(time)).unwrap();
    let changed = log.replacen(
        &format!("{{\"time\":\"{time}\""),
        &format!("{{\"time\":\"{}9Z\"", &time[..time.len() - 2]),
        1,
    );
    assert_ne!(changed, log);
    fs::write(folder.path().join("audit.jsonl"), changed).unwrap();
    let ended = customs(
        folder.path(),
        &format!(
            "audit extract audit.jsonl --output bundle --since {} --until {}",
            past().decision(2),
            past().decision(6)
        ),
    );
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended
            .stderr
            .contains(&format!("edited: audit.jsonl, line {line}:")),
        "{ended:?}"
    );
    assert!(!folder.path().join("bundle").exists());
    // A day before the change is right by itself.
    let ended = customs(
        folder.path(),
        &format!(
            "audit extract audit.jsonl --output bundle --since {} --until {}",
            past().decision(0),
            past().decision(1)
        ),
    );
    assert!(ended.code == Some(3), "{ended:?}");
}

#[test]
fn logs_of_several_sinks_and_replicas_are_kept_apart() {
    let folder = tempfile::tempdir().unwrap();
    copy(&past().folder.at("out"), &folder.path().join("one"));
    // Another replica: its own log, key and format.
    let server = super::plan()
        .flags("--audit file:out/other.binpb?format=protobuf")
        .start();
    server.check("a.example");
    let other = server.folder.at("out");
    super::archived(&server);
    server.signal("TERM");
    server.until("it stops", || {
        let verified = customs(&other, "audit verify other.binpb");
        (verified.code == Some(0)).then_some(())
    });
    copy(&other, &folder.path().join("two"));
    let ended = customs(
        folder.path(),
        "audit extract two/other.binpb one/audit.jsonl two/audit.jsonl --output bundle",
    );
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let sinks = ["file:out/audit.jsonl", "file:out/other.binpb"];
    for (sink, count) in sinks.into_iter().zip([2, 1]) {
        let found = ended.stdout.matches(&format!(" ({sink}): ")).count();
        assert_eq!(found, count, "{sink}: {ended:?}");
    }
    let binary = (1..=3)
        .map(|number| format!("logs/{number}/records-1.binpb"))
        .find(|name| folder.path().join("bundle").join(name).exists())
        .unwrap();
    let script = Command::new(python())
        .args(["-I", "bundle/verify.py"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8(script.stdout).unwrap();
    assert_eq!(script.status.code(), Some(3), "{text}");
    assert!(text.contains("(file:out/other.binpb)"), "{text}");
    let bytes = fs::read(folder.path().join("bundle").join(&binary)).unwrap();
    assert_eq!(
        bytes,
        fs::read(folder.path().join("two/other.binpb")).unwrap(),
        "as it was written"
    );
    // A changed message is found by both.
    let mut changed = bytes.clone();
    let at = changed.len() / 2;
    changed[at] ^= 1;
    fs::write(folder.path().join("bundle").join(&binary), changed).unwrap();
    let verified = customs(folder.path(), "audit verify --bundle bundle");
    assert!(
        verified.code == Some(1) && verified.stdout.contains(&format!("{binary}, record")),
        "{verified:?}"
    );
    let script = Command::new(python())
        .args(["-I", "bundle/verify.py"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8(script.stdout).unwrap();
    assert!(
        script.status.code() == Some(1) && text.contains(&format!("{binary}, record")),
        "{text}"
    );
}
