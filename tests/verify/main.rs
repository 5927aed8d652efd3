//! `customs audit verify` against every way of tampering with a log: each is found, and named.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs
)]

mod cases;
mod clocks;
mod links;
mod log;
mod real;
mod tamper;

use std::path::{Path, PathBuf};
use std::process::Command;

use customs_record::examples;
use customs_record::signing::Verifier;
use customs_record::verify::report::{Report, What};
use customs_record::verify::{VerifyOptions, verify};

use log::{Log, key, public_pem};

/// A folder with files to verify.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write("key.pem", public_pem(&key(7)).as_bytes());
        folder
    }

    pub(crate) fn of(log: &Log) -> Folder {
        let folder = Folder::new();
        folder.write("a.log", &log.bytes);
        folder.write("checkpoints.jsonl", log.checkpoints.as_bytes());
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    /// Verifies with the library.
    pub(crate) fn ask(&self, files: &[&str], with_checkpoints: bool, with_key: bool) -> Report {
        let options = VerifyOptions {
            files: files.iter().map(|name| self.path(name)).collect(),
            checkpoints: with_checkpoints.then(|| self.path("checkpoints.jsonl")),
            keys: if with_key {
                vec![Verifier::read(&self.path("key.pem")).unwrap()]
            } else {
                Vec::new()
            },
        };
        verify(&options).unwrap_or_else(|why| panic!("{why}"))
    }

    /// What is wrong with `a.log`, with its checkpoints and the key.
    pub(crate) fn found(&self) -> Option<What> {
        self.ask(&["a.log"], true, true).bad.map(|bad| bad.what)
    }

    /// Runs the binary in the folder.
    pub(crate) fn run(&self, arguments: &str) -> (Option<i32>, String, String) {
        run(self.0.path(), arguments)
    }
}

fn run(folder: &Path, arguments: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customs"));
    let output = command
        .args(["audit", "verify"])
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}
