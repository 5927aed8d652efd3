//! The files of a real server, rotated, packed, and continued after a stop, after `kill -9` and
//! after a torn end. They verify after each, and whatever is then done to any of them is found.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use customs_record::signing::Verifier;
use customs_record::verify::report::{Outcome, Report, What};
use customs_record::verify::{VerifyOptions, verify};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{EncodePrivateKey, EncodePublicKey};

use customs_test_support::audited_server::{
    Server, bytes_of, check, files, mixed, run, size, verify_with,
};
use customs_test_support::load::Load;

const NAME: &str = "audit.jsonl";
const SETTINGS: &str = "audit_log: {signing_key: private.pem, checkpoint_file: checkpoints.jsonl, checkpoint_records: 200}\n";

/// Where a server writes, and its settings.
struct Place {
    directory: tempfile::TempDir,
    sink: String,
    is_json: bool,
}

impl Place {
    fn of(format: &str) -> Place {
        let directory = tempfile::tempdir().unwrap();
        let key = SigningKey::from_bytes(&[7; 32]);
        let put = |name: &str, text: &str| fs::write(directory.path().join(name), text).unwrap();
        put("private.pem", &key.to_pkcs8_pem(LineEnding::LF).unwrap());
        put(
            "public.pem",
            &key.verifying_key()
                .to_public_key_pem(LineEnding::LF)
                .unwrap(),
        );
        put("settings.yaml", SETTINGS);
        let sink = format!("file:{NAME}?rotate_size=64KiB&gzip=true&format={format}");
        Place {
            directory,
            sink,
            is_json: format == "json",
        }
    }

    fn start(&self) -> Server {
        Server::start(
            self.directory.path(),
            &["--config", "settings.yaml", "--audit", &self.sink],
        )
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn files(&self) -> Vec<PathBuf> {
        files(self.directory.path(), NAME)
    }

    /// Returns what the command says about its files, with the checkpoint file and the key.
    fn verify(&self) -> (i32, String) {
        let (checkpoints, key) = (self.path("checkpoints.jsonl"), self.path("public.pem"));
        verify_with(
            &[
                "--checkpoints".as_ref(),
                checkpoints.as_os_str(),
                "--key".as_ref(),
                key.as_os_str(),
            ],
            &self.files(),
        )
    }

    /// Returns what the library says about these files.
    fn ask(&self, files: Vec<PathBuf>) -> Report {
        let keys = vec![Verifier::read(&self.path("public.pem")).unwrap()];
        verify(&VerifyOptions {
            files,
            checkpoints: Some(self.path("checkpoints.jsonl")),
            keys,
        })
        .unwrap()
    }

    /// Returns the records of a file as they are written.
    fn records(&self, file: &Path) -> Vec<Vec<u8>> {
        let bytes = bytes_of(file);
        if self.is_json {
            return bytes
                .split_inclusive(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect();
        }
        let (mut records, mut rest) = (Vec::new(), bytes.as_slice());
        while !rest.is_empty() {
            let mut after = rest;
            let length = prost::decode_length_delimiter(&mut after).unwrap();
            let (record, next) = rest.split_at(rest.len() - after.len() + length);
            records.push(record.to_vec());
            rest = next;
        }
        records
    }
}

fn load(server: &Server, checks: u64) {
    assert_eq!(
        run(&Load::new(server.port, checks, mixed())).answered(),
        checks
    );
}

/// Sends checks that no checkpoint covers, one at a time, and kills the server.
fn unsealed_and_killed(server: Server) {
    for _ in 0..2 {
        let before = server.metric("customs_audit_records_total", "");
        run(&Load {
            connections: 1,
            in_flight: 1,
            ..Load::new(server.port, 1, vec![check("api.example")])
        });
        server.until("it is written", || {
            server.metric("customs_audit_records_total", "") > before
        });
    }
    server.kill();
}

/// Writes the audit log of three processes: the first was stopped, the second was killed in the
/// middle of a record.
fn lived_through(place: &Place) {
    let server = place.start();
    load(&server, 1_000);
    assert_eq!(server.stop(), Some(0));
    let (code, words) = place.verify();
    assert!(
        code == 0 && words.starts_with("intact\n"),
        "stopped: {words}"
    );

    let server = place.start();
    load(&server, 500);
    unsealed_and_killed(server);
    let (code, words) = place.verify();
    assert!(
        code == 3 && words.starts_with("unsealed tail: "),
        "killed: {words}"
    );
    assert!(!words.starts_with("unsealed tail: 0 "), "killed: {words}");

    let open = place.path(NAME);
    let last = place.records(&open).pop().unwrap();
    let mut file = fs::File::options().append(true).open(&open).unwrap();
    file.write_all(&last[..last.len() / 2]).unwrap();
    let (code, words) = place.verify();
    assert!(
        code == 3 && words.contains("ends in an unfinished record"),
        "torn: {words}"
    );

    let server = place.start();
    load(&server, 500);
    assert_eq!(server.stop(), Some(0));
    let (code, words) = place.verify();
    assert!(
        code == 0 && words.starts_with("intact\n") && words.contains("3 streams"),
        "recovered: {words}"
    );
    println!("{}: {}", place.sink, words.trim().replace('\n', "; "));
}

/// Random numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % limit as u64) as usize
    }
}

/// Files of records.
type Log = Vec<Vec<Vec<u8>>>;

/// Tampers with the log, and returns what was done and the findings that report it.
fn tamper(log: &mut Log, way: usize, dice: &mut Dice) -> (String, &'static [What]) {
    let file = dice.below(log.len());
    let at = dice.below(log[file].len());
    let is_last = file + 1 == log.len() && at + 1 == log[file].len();
    // What is missing at the very beginning may have been deleted with its file in good order.
    let is_first = file == 0 && at == 0;
    match way {
        0 => {
            let (record, flip) = (&mut log[file][at], 1 + dice.below(255) as u8);
            let byte = dice.below(record.len());
            record[byte] ^= flip;
            (
                format!("byte {byte} of record {at} of file {file} ^ {flip}"),
                &[What::Edited],
            )
        }
        1 if !is_first => {
            log[file].remove(at);
            let words: &[What] = if is_last {
                &[What::Truncated]
            } else {
                &[What::Deleted, What::UndeclaredGap]
            };
            (format!("record {at} of file {file} deleted"), words)
        }
        2 => {
            let to = dice.below(log.len());
            let there = dice.below(log[to].len());
            let first = std::mem::take(&mut log[file][at]);
            let second = std::mem::replace(&mut log[to][there], first);
            let is_same = (file, at) == (to, there);
            log[file][at] = second;
            if is_same {
                return (String::new(), &[]);
            }
            (
                format!("record {at} of file {file} and {there} of {to} swapped"),
                &[What::Reordered],
            )
        }
        3 => {
            let copy = log[file][at].clone();
            let to = dice.below(log.len());
            let there = dice.below(log[to].len() + 1);
            log[to].insert(there, copy);
            (
                format!("record {at} of file {file} copied to {there} of {to}"),
                &[What::Inserted],
            )
        }
        4 if !is_first => {
            log.truncate(file + 1);
            log[file].truncate(at);
            (
                format!("cut before record {at} of file {file}"),
                &[What::Truncated],
            )
        }
        5 if file > 0 => {
            log.remove(file);
            let is_end = file == log.len();
            (
                format!("file {file} is gone"),
                if is_end {
                    &[What::Truncated]
                } else {
                    &[What::UndeclaredGap]
                },
            )
        }
        _ => (String::new(), &[]),
    }
}

#[test]
fn whatever_is_done_to_real_files_is_found() {
    for format in ["json", "protobuf"] {
        let place = Place::of(format);
        lived_through(&place);
        let paths = place.files();
        let honest: Log = paths.iter().map(|path| place.records(path)).collect();
        assert!(
            honest.len() > 3
                && paths
                    .iter()
                    .any(|path| path.extension().is_some_and(|end| end == "gz"))
        );
        let (mut dice, mut found) = (Dice(42), [0; 6]);
        for turn in 0..size("CUSTOMS_DURABILITY_CHANGES", 60) as usize {
            let (mut log, way) = (honest.clone(), turn % found.len());
            let (story, words) = tamper(&mut log, way, &mut dice);
            if story.is_empty() {
                continue;
            }
            let there = tempfile::tempdir().unwrap();
            let files = log
                .iter()
                .enumerate()
                .filter(|(_, records)| !records.is_empty())
                .map(|(number, records)| {
                    let path = there.path().join(number.to_string());
                    fs::write(&path, records.concat()).unwrap();
                    path
                });
            let report = place.ask(files.collect());
            let bad = report
                .bad
                .unwrap_or_else(|| panic!("{format}: {story}: not found"));
            assert!(words.contains(&bad.what), "{format}: {story}: {bad:?}");
            found[way] += 1;
        }
        assert_eq!(place.ask(paths).outcome, Outcome::Intact);
        println!(
            "{format}: edited, deleted, swapped, copied, cut, file gone: all found: {found:?}"
        );
    }
}
