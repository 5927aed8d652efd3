//! Bundles: an untouched one is proven by itself, and whatever is changed in one is named, by customs
//! and by the script.

use std::fs;
use std::process::Command;

use ed25519_dalek::Signer;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::customs;
use super::scene::{Bundle, Past, RECORDS, hex, key, past, public, python};

#[test]
fn an_untouched_bundle_is_proven_by_itself() {
    let bundle = Bundle::of_window();
    let records = bundle.lines(RECORDS);
    let log = fs::read_to_string(past().folder.at("out/audit.jsonl")).unwrap();
    let text = records.join("\n") + "\n";
    assert!(
        log.contains(&text) && log.len() > text.len(),
        "the bytes are those of a part of the log"
    );
    for (by, ended) in [
        ("customs", bundle.customs("")),
        ("script", bundle.script("")),
    ] {
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{by}: {ended:?}"
        );
        assert!(ended.stdout.contains("intact\n"), "{by}: {ended:?}");
        assert!(
            ended
                .stdout
                .contains("policies: 3 revisions computed again"),
            "{by}: {ended:?}"
        );
        let id = bundle.manifest()["keys"][0].as_str().unwrap().to_owned();
        assert!(ended.stdout.contains(&id), "{by}: {ended:?}");
    }
    let decided: Vec<Value> = records
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (since, until) = (past().decision(2), past().decision(13));
    assert!(
        decided[0]["time"].as_str().unwrap() < since,
        "one record is before the window"
    );
    assert!(decided[1]["time"] == since, "and only one");
    assert_eq!(decided.last().unwrap()["kind"], "checkpoint");
    assert!(decided.last().unwrap()["time"].as_str().unwrap() >= until);
    // The bundle's policies are an archive that can be asked.
    let at = customs(
        &bundle.root,
        &format!(
            "at {since} --from demo-frontend/sleep --to http://a.example/ --records {RECORDS} --policy-archive policies"
        ),
    );
    assert_eq!(at.code, Some(1), "{at:?}");
}

#[test]
fn the_keys_that_the_auditor_gives_decide() {
    let bundle = Bundle::of_window();
    let folder = tempfile::tempdir().unwrap();
    for (seed, code) in [(7, 0), (9, 3)] {
        let path = folder.path().join(format!("{seed}.pub"));
        fs::write(&path, public(&key(seed))).unwrap();
        let flag = format!("--key {}", path.display());
        for ended in [bundle.customs(&flag), bundle.script(&flag)] {
            assert_eq!(ended.code, Some(code), "{seed}: {ended:?}");
        }
    }
}

#[test]
fn any_change_of_a_file_names_the_file() {
    let whole = Bundle::of_window();
    for name in whole.files().iter().filter(|name| *name != "bundle.json") {
        let bundle = Bundle::of_window();
        let mut bytes = fs::read(bundle.at(name)).unwrap();
        let middle = bytes.len() / 2;
        // The script must still run.
        let at = if name == "verify.py" { 30 } else { middle };
        bytes[at] ^= 1;
        fs::write(bundle.at(name), bytes).unwrap();
        bundle.expect("a bit", 1, &[name]);
        if name != "verify.py" {
            fs::remove_file(bundle.at(name)).unwrap();
            bundle.expect("removed", 1, &[name]);
        }
    }
    let bundle = Bundle::of_window();
    fs::write(bundle.at("policies/revisions/more.json"), "{}").unwrap();
    bundle.expect(
        "added",
        1,
        &[
            "policies/revisions/more.json",
            "the manifest does not list it",
        ],
    );
}

/// What can be done to the lines of the records.
type Change = fn(&mut Vec<String>, usize);

#[test]
fn any_change_of_a_record_is_named_although_the_manifest_was_made_again() {
    let count = Bundle::of_window().lines(RECORDS).len();
    assert!(count > 15, "{count} records");
    let changes: [(&str, Change); 4] = [
        ("edited", |lines, at| {
            lines[at] = lines[at].replacen("\"time\":\"2", "\"time\":\"3", 1)
        }),
        ("removed", |lines, at| drop(lines.remove(at))),
        ("duplicated", |lines, at| {
            lines.insert(at, lines[at].clone())
        }),
        ("swapped", |lines, at| {
            let other = if at + 1 < lines.len() { at + 1 } else { at - 1 };
            lines.swap(at, other);
        }),
    ];
    for (what, change) in changes {
        for at in 0..count {
            let bundle = Bundle::of_window();
            let mut lines = bundle.lines(RECORDS);
            change(&mut lines, at);
            bundle.write_lines(RECORDS, &lines);
            bundle.count_again();
            let what = format!("{what} {at}");
            // Without the last record, nothing seals the ones before it.
            if what == format!("removed {}", count - 1) {
                bundle.expect(&what, 1, &["checkpoints.jsonl"]);
            } else {
                bundle.expect(&what, 1, &[RECORDS]);
            }
        }
    }
}

/// Computes the chain again from a line on, as anyone can.
fn chain_again(lines: &mut [String], from: usize) {
    let chain = |line: &str| line[line.len() - 66..line.len() - 2].to_owned();
    for at in from..lines.len() {
        let before = chain(&lines[at - 1]);
        let bytes: Vec<u8> = (0..32)
            .map(|n| u8::from_str_radix(&before[2 * n..2 * n + 2], 16).unwrap())
            .collect();
        let end = lines[at].len() - ",\"chain\":\"\"}".len() - 64;
        let body = lines[at][..end].to_owned();
        let digest = Sha256::digest([bytes.as_slice(), body.as_bytes()].concat());
        lines[at] = format!("{body},\"chain\":\"{}\"}}", hex(&digest));
    }
}

/// The first decision that a checkpoint follows.
fn edit(lines: &mut [String]) -> usize {
    let at = lines
        .iter()
        .position(|line| {
            line.contains("\"kind\":\"decision\"") && line.contains("\"effect\":\"deny\"")
        })
        .unwrap();
    lines[at] = lines[at].replacen("\"effect\":\"deny\"", "\"effect\":\"allow\"", 1);
    at
}

#[test]
fn a_chain_that_was_computed_again_does_not_fit_the_checkpoints() {
    let bundle = Bundle::of_window();
    let mut lines = bundle.lines(RECORDS);
    let at = edit(&mut lines);
    chain_again(&mut lines, at);
    bundle.write_lines(RECORDS, &lines);
    fs::remove_file(bundle.at("logs/1/checkpoints.jsonl")).unwrap();
    bundle.change_manifest(|manifest| {
        drop(
            manifest["logs"][0]
                .as_object_mut()
                .unwrap()
                .remove("checkpointFile"),
        )
    });
    bundle.list_again();
    bundle.expect("chained again", 1, &["bad: checkpoint mismatch", RECORDS]);

    // The checkpoints are made again too: which takes the key.
    for (seed, expected) in [
        (None, "bad: bad signature"),
        (Some(9), "bad: bad signature"),
    ] {
        let mut forged = lines.clone();
        for at in 1..forged.len() {
            if !forged[at].contains("\"kind\":\"checkpoint\"") {
                continue;
            }
            let before = forged[at - 1].clone();
            let head = &before[before.len() - 66..before.len() - 2];
            let mut record: Value = serde_json::from_str(&forged[at]).unwrap();
            let (old, signature) = (record["head"].clone(), record["signature"].clone());
            let mut line = forged[at].replacen(old.as_str().unwrap(), head, 1);
            record["head"] = head.into();
            if let Some(seed) = seed {
                let text = |name: &str| record[name].as_str().unwrap().to_owned();
                let end = if record["final"] == true {
                    "final"
                } else {
                    "open"
                };
                let signed = format!(
                    "customs audit checkpoint v1\n{}\n{}\n{}\n{}\n{end}\n",
                    text("sealedStream"),
                    text("records"),
                    text("head"),
                    text("time")
                );
                let new = hex(&key(seed).sign(signed.as_bytes()).to_bytes());
                line = line.replacen(signature.as_str().unwrap(), &new, 1);
            }
            forged[at] = line;
            chain_again(&mut forged, at);
        }
        bundle.write_lines(RECORDS, &forged);
        bundle.list_again();
        bundle.expect("sealed again", 1, &[expected, RECORDS]);
    }
}

#[test]
fn a_tail_that_was_cut_off_is_not_proven_even_without_a_checkpoint_file() {
    let flags = format!(
        "{} --key key.pub --policy-archive out/archive",
        past().window()
    );
    let (bundle, ended) = Bundle::extracted(&flags);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines = bundle.lines(RECORDS);
    let cut = |count: usize| {
        bundle.write_lines(RECORDS, &lines[..count]);
        bundle.list_again();
    };
    cut(lines.len() - 1);
    bundle.expect(
        "the manifest knows better",
        1,
        &["bad: truncated: logs/1: it has "],
    );
    bundle.count_again();
    bundle.expect(
        "the last checkpoint",
        3,
        &["no checkpoint that counts seals"],
    );
    let earlier = lines
        .iter()
        .take(lines.len() - 1)
        .rposition(|line| line.contains("\"kind\":\"checkpoint\""));
    cut(earlier.unwrap() + 1);
    bundle.count_again();
    bundle.expect("an earlier checkpoint", 3, &["the window is not covered"]);
    fs::write(bundle.at(RECORDS), lines.join("\n")).unwrap();
    bundle.list_again();
    bundle.expect("a line feed", 1, &[RECORDS]);
}

#[test]
fn policies_that_were_swapped_are_named_although_the_manifests_were_made_again() {
    let objects = |bundle: &Bundle| -> Vec<String> {
        let is_object = |name: &&String| name.starts_with("policies/objects/");
        bundle.files().iter().filter(is_object).cloned().collect()
    };
    let bundle = Bundle::of_window();
    let both = objects(&bundle);
    assert!(both.len() >= 3, "{both:?}");
    // The bytes of another policy under this name.
    fs::copy(bundle.at(&both[1]), bundle.at(&both[0])).unwrap();
    bundle.list_again();
    bundle.expect("other bytes", 1, &["bad: policy", &both[0]]);

    // Another policy, which the manifest of the revision names.
    let bundle = Bundle::of_window();
    let revision = bundle.manifest()["revisions"][0]
        .as_str()
        .unwrap()
        .to_owned();
    let name = format!("policies/revisions/{revision}.json");
    let text = fs::read_to_string(bundle.at(&name)).unwrap();
    let digest = |name: &str| name.rsplit('/').next().unwrap().to_owned();
    let used = both
        .iter()
        .find(|object| text.contains(&digest(object)))
        .unwrap();
    let other = both
        .iter()
        .find(|object| !text.contains(&digest(object)))
        .unwrap();
    fs::write(
        bundle.at(&name),
        text.replace(&digest(used), &digest(other)),
    )
    .unwrap();
    bundle.list_again();
    bundle.expect("another file", 1, &["bad: policy", &name]);

    // The settings.
    fs::write(
        bundle.at(&name),
        text.replacen("default=Allow", "default=Deny", 1),
    )
    .unwrap();
    bundle.list_again();
    bundle.expect("another setting", 1, &["bad: policy", &name]);

    // The manifest of another revision.
    let second = bundle.manifest()["revisions"][1]
        .as_str()
        .unwrap()
        .to_owned();
    fs::copy(
        bundle.at(&format!("policies/revisions/{second}.json")),
        bundle.at(&name),
    )
    .unwrap();
    bundle.list_again();
    bundle.expect("another manifest", 1, &["bad: policy", &name]);

    // Without the revision, although records name it.
    fs::remove_file(bundle.at(&name)).unwrap();
    bundle.change_manifest(|manifest| {
        manifest["revisions"].as_array_mut().unwrap().remove(0);
    });
    bundle.list_again();
    bundle.expect("not listed", 1, &["records name it", &revision]);
}

#[test]
fn a_key_or_a_manifest_that_was_replaced_proves_nothing() {
    let bundle = Bundle::of_window();
    let id = bundle.manifest()["keys"][0].as_str().unwrap().to_owned();
    let name = format!("keys/{id}.pem");
    fs::write(bundle.at(&name), public(&key(9))).unwrap();
    bundle.list_again();
    bundle.expect("another key under the name", 1, &["bad: changed", &name]);
    fs::write(bundle.at(&name), "-----BEGIN CERTIFICATE-----").unwrap();
    bundle.list_again();
    bundle.expect("no key", 1, &["bad: changed", &name]);
    fs::remove_file(bundle.at(&name)).unwrap();
    bundle.change_manifest(|manifest| manifest["keys"] = Value::Array(Vec::new()));
    bundle.list_again();
    bundle.expect("without keys", 3, &["signatures were not checked"]);

    let bundle = Bundle::of_window();
    let original = fs::read_to_string(bundle.at("bundle.json")).unwrap();
    for (from, to) in [
        ("\"records\": ", "\"records\": 1"),
        ("\"decisions\": ", "\"decisions\": 1"),
        ("\"sequence\": ", "\"sequence\": 1"),
        ("\"version\": 1", "\"version\": \"one\""),
        ("\"logs\"", "\"log\""),
        ("{", "["),
    ] {
        fs::write(bundle.at("bundle.json"), original.replacen(from, to, 1)).unwrap();
        bundle.expect(to, 1, &["bad: "]);
    }
    // A longer window than the records cover.
    for (name, time) in [
        ("since", "2020-01-01T00:00:00Z"),
        ("until", "2099-01-01T00:00:00Z"),
    ] {
        fs::write(bundle.at("bundle.json"), &original).unwrap();
        bundle.change_manifest(|manifest| manifest[name] = time.into());
        bundle.expect(name, 3, &["the window is not covered"]);
    }
    fs::write(
        bundle.at("bundle.json"),
        original.replacen("\"version\": 1", "\"version\": 2", 1),
    )
    .unwrap();
    let (by_customs, by_script) = (bundle.customs(""), bundle.script(""));
    assert!(
        by_customs.code == Some(2) && by_customs.stderr.contains("version 2"),
        "{by_customs:?}"
    );
    assert!(by_script.stderr.contains("version 2"), "{by_script:?}");
    fs::remove_file(bundle.at("bundle.json")).unwrap();
    assert_eq!(
        (bundle.customs("").code, bundle.script("").code),
        (Some(2), Some(2))
    );
}

#[test]
fn a_bundle_with_a_filter_says_what_it_proves_and_what_not() {
    let flags = format!("{} {} --host a.example", past().window(), Past::WHOLE);
    let (bundle, ended) = Bundle::extracted(&flags);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    bundle.expect(
        "filtered",
        3,
        &["a filter was used", "only host a.example", "omitted"],
    );
    let lines = bundle.lines(RECORDS);
    let hosts: Vec<Value> = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let decisions: Vec<&Value> = hosts
        .iter()
        .filter(|record| record["kind"] == "decision")
        .collect();
    assert!(!decisions.is_empty() && decisions.iter().all(|record| record["host"] == "a.example"));
    assert!(
        hosts.iter().any(|record| record["kind"] == "policyChange"),
        "what was in force is kept"
    );
    for at in 0..lines.len() {
        for is_edit in [true, false] {
            let mut changed = lines.clone();
            if is_edit {
                changed[at] = changed[at].replacen("\"time\":\"2", "\"time\":\"3", 1);
            } else {
                changed.remove(at);
            }
            bundle.write_lines(RECORDS, &changed);
            bundle.count_again();
            bundle.expect(&format!("edit {is_edit} of {at}"), 1, &["bad: "]);
        }
    }
    bundle.write_lines(RECORDS, &lines);
    bundle.count_again();
    let omitted = bundle.lines("logs/1/omitted.jsonl");
    for at in 0..omitted.len() {
        let mut changed = omitted.clone();
        changed.remove(at);
        bundle.write_lines("logs/1/omitted.jsonl", &changed);
        bundle.list_again();
        bundle.expect(&format!("run {at}"), 1, &["bad: "]);
    }
}

#[test]
fn a_filter_may_be_used_on_a_log_from_its_beginning() {
    let (bundle, ended) = Bundle::extracted(&format!("{} --host a.example", Past::WHOLE));
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(!bundle.lines("logs/1/omitted.jsonl").is_empty());
    bundle.expect("filtered", 3, &["a filter was used"]);
}

#[test]
fn the_script_verifies_signatures_as_the_rfc_says() {
    let script = "
import sys; sys.dont_write_bytecode = True; sys.path.insert(0, sys.argv[1])
from verify import is_signed, L
h = bytes.fromhex
vectors = [
 ('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', '',
  'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b'),
 ('3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c', '72',
  '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'),
 ('fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025', 'af82',
  '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a'),
]
for key, text, signature in vectors:
    key, text, signature = h(key), h(text), h(signature)
    assert is_signed(key, text, signature)
    assert not is_signed(key, text + b'x', signature)
    for at in (0, 31, 32, 63):
        bad = bytearray(signature); bad[at] ^= 1
        assert not is_signed(key, text, bytes(bad)), at
    s = int.from_bytes(signature[32:], 'little') + L
    assert not is_signed(key, text, signature[:32] + s.to_bytes(32, 'little')), 'a second form'
    assert not is_signed(key, text, signature[:63])
small = h('0100000000000000000000000000000000000000000000000000000000000000')
assert not is_signed(small, b'x', small + bytes(32)), 'a key of small order fits everything'
assert not is_signed(bytes([255]) * 32, b'x', bytes(64))
print('ok')
";
    let bundle = Bundle::of_window();
    let output = Command::new(python())
        .args(["-I", "-c", script])
        .arg(&bundle.root)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "ok\n", "{text}");
}
