//! Tests the tools for policy authors as users run them: the real binary, its output and its exit
//! code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    missing_docs
)]

mod audit;
mod cases;
mod check;
mod ci_files;
mod diff;
mod doctor;
mod examples;
mod explain;
mod export;
mod hints;
mod json_outputs;
mod junit;
mod lint;
mod lint_files;
mod lint_fix;
mod manual;
mod mesh;
mod near;
mod others;
mod printed;
mod prove;
mod reach;
mod replay;
mod requests;
mod search;
mod shells;
mod suggest;
mod terminal;
mod validator;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|why| panic!("{why}: {self:?}"))
    }

    pub(crate) fn last_line(&self) -> &str {
        self.stdout.lines().last().unwrap_or_default()
    }
}

/// Returns the binary, isolated from the environment in which the tests run.
pub(crate) fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_customs"));
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("CUSTOMS_"))
    {
        command.env_remove(name);
    }
    command.current_dir(folder);
    command
}

/// Runs the binary in a folder, with arguments in one text.
pub(crate) fn run(folder: &Path, arguments: &str) -> Ended {
    ended(command(folder).args(arguments.split_whitespace()))
}

pub(crate) fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A scratch folder with files.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn with(files: &[(&str, &str)]) -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.0.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn run(&self, arguments: &str) -> Ended {
        run(self.path(), arguments)
    }
}

/// Returns a policy of a namespace, with a spec on one line.
pub(crate) fn policy(namespace: &str, spec: &str) -> String {
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n\
         metadata: {{name: egress, namespace: {namespace}}}\nspec: {spec}\n"
    )
}
