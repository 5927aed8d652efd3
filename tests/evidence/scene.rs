//! A server's audit log with two changes of policy, a restart, signed checkpoints and an archive; and
//! bundles that are cut out of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use customs_test_support::server::{Ended, Folder, Plan};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{EncodePrivateKey, EncodePublicKey};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{archived, customs, denying, records};

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub(crate) fn public(key: &SigningKey) -> String {
    key.verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap()
}

const SETTINGS: &str = "audit: [\"file:out/audit.jsonl\"]\npolicy_archive: out/archive\n\
    audit_log: {signing_key: key.pem, checkpoint_file: out/checkpoints.jsonl, checkpoint_records: 5}\n";

/// The past of a server. The folder is never changed.
pub(crate) struct Past {
    pub(crate) folder: Folder,
    pub(crate) records: Vec<Value>,
}

/// Returns the past, which is made once.
pub(crate) fn past() -> &'static Past {
    static PAST: OnceLock<Past> = OnceLock::new();
    PAST.get_or_init(|| {
        let private = key(7).to_pkcs8_pem(LineEnding::LF).unwrap();
        let plan = || {
            Plan::with("--config settings.yaml")
                .file("settings.yaml", SETTINGS)
                .file("key.pem", &private)
                .file("key.pub", &public(&key(7)))
                .file("policies/a.yaml", &denying("a.example"))
                .file("out/README", "")
        };
        let mut server = plan().start();
        let check = |server: &customs_test_support::server::Server| {
            for n in 0..4 {
                server.check(&format!("{}.example", ["a", "b", "c"][n % 3]));
            }
        };
        let first = archived(&server);
        check(&server);
        server.folder.put("policies/a.yaml", &denying("b.example"));
        let second = server.revision_after(&first);
        archived(&server);
        check(&server);
        server.folder.put(
            "policies/b.yaml",
            &denying("c.example").replace("own", "more"),
        );
        server.revision_after(&second);
        archived(&server);
        check(&server);
        assert_eq!(server.stop().code, Some(0));
        // A second process continues the file and the chain.
        let mut again = plan();
        for name in ["out", "policies"] {
            copy(&server.folder.at(name), &again.folder.at(name));
        }
        again = again.file("policies/a.yaml", &denying("b.example"));
        let mut server = again.start();
        archived(&server);
        check(&server);
        assert_eq!(server.stop().code, Some(0));
        let records = records(server.folder.at("out/audit.jsonl"));
        let folder = std::mem::replace(&mut server.folder, Plan::new().folder);
        Past { folder, records }
    })
}

impl Past {
    /// Returns the time of the `n`th decision.
    pub(crate) fn decision(&self, n: usize) -> &str {
        let decisions = self
            .records
            .iter()
            .filter(|record| record["kind"] == "decision");
        decisions
            .map(|record| record["time"].as_str().unwrap())
            .nth(n)
            .unwrap()
    }

    /// Extracts a bundle with these flags.
    pub(crate) fn extract(&self, output: &Path, flags: &str) -> Ended {
        let arguments = format!(
            "audit extract out/audit.jsonl --output {} {flags}",
            output.display()
        );
        customs(&self.folder.at(""), &arguments)
    }

    /// The flags of a bundle with everything.
    pub(crate) const WHOLE: &str =
        "--key key.pub --checkpoints out/checkpoints.jsonl --policy-archive out/archive";

    /// The window from the third decision of the first process up to the second of the second.
    pub(crate) fn window(&self) -> String {
        format!("--since {} --until {}", self.decision(2), self.decision(13))
    }
}

/// Copies a directory.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A bundle in a directory of its own.
pub(crate) struct Bundle {
    _directory: tempfile::TempDir,
    pub(crate) root: PathBuf,
}

impl Bundle {
    /// Extracts one.
    pub(crate) fn extracted(flags: &str) -> (Bundle, Ended) {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("bundle");
        let ended = past().extract(&root, flags);
        let bundle = Bundle {
            _directory: directory,
            root,
        };
        (bundle, ended)
    }

    /// Returns a copy of the bundle of the window.
    pub(crate) fn of_window() -> Bundle {
        static WHOLE: OnceLock<Bundle> = OnceLock::new();
        let whole = WHOLE.get_or_init(|| {
            let flags = format!("{} {}", past().window(), Past::WHOLE);
            let (bundle, ended) = Bundle::extracted(&flags);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            bundle
        });
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("bundle");
        copy(&whole.root, &root);
        Bundle {
            _directory: directory,
            root,
        }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Returns the paths of all files, inside the bundle.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        list(&self.root, "", &mut found);
        found.sort();
        found
    }

    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.at(name)).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn write_lines(&self, name: &str, lines: &[String]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(self.at(name), text).unwrap();
    }

    pub(crate) fn manifest(&self) -> Value {
        serde_json::from_str(&fs::read_to_string(self.at("bundle.json")).unwrap()).unwrap()
    }

    pub(crate) fn change_manifest(&self, change: impl FnOnce(&mut Value)) {
        let mut manifest = self.manifest();
        change(&mut manifest);
        fs::write(self.at("bundle.json"), manifest.to_string()).unwrap();
    }

    /// Lists what is there now in the manifest, as its forger would.
    pub(crate) fn list_again(&self) {
        let files: Vec<Value> = self
            .files()
            .iter()
            .filter(|name| *name != "bundle.json")
            .map(|name| {
                let bytes = fs::read(self.at(name)).unwrap();
                serde_json::json!({"path": name, "sha256": hex(&Sha256::digest(&bytes)), "size": bytes.len()})
            })
            .collect();
        self.change_manifest(|manifest| manifest["files"] = files.into());
    }

    /// Counts the records again and lists the first and the last.
    pub(crate) fn count_again(&self) {
        let lines = self.lines(RECORDS);
        let parsed: Vec<Value> = lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let edge = |record: &Value| {
            let sequence: u64 = record["sequence"].as_str().unwrap().parse().unwrap();
            serde_json::json!({"stream": record["stream"], "sequence": sequence, "time": record["time"]})
        };
        let decisions = parsed
            .iter()
            .filter(|record| record["kind"] == "decision")
            .count();
        self.change_manifest(|manifest| {
            let log = &mut manifest["logs"][0];
            log["records"] = lines.len().into();
            log["decisions"] = decisions.into();
            log["first"] = edge(parsed.first().unwrap());
            log["last"] = edge(parsed.last().unwrap());
        });
        self.list_again();
    }

    /// Verifies with customs.
    pub(crate) fn customs(&self, flags: &str) -> Ended {
        let root = self.root.parent().unwrap();
        customs(root, &format!("audit verify --bundle bundle {flags}"))
    }

    /// Verifies with the script alone, in an empty directory with nothing but Python.
    pub(crate) fn script(&self, flags: &str) -> Ended {
        let empty = tempfile::tempdir().unwrap();
        let output = Command::new(python())
            .arg("-I")
            .arg(self.at("verify.py"))
            .args(flags.split_whitespace())
            .env_clear()
            .current_dir(empty.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ended {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    /// Both verifiers must end with this code and name each of these texts.
    pub(crate) fn expect(&self, what: &str, code: i32, texts: &[&str]) {
        for (by, ended) in [("customs", self.customs("")), ("script", self.script(""))] {
            assert_eq!(ended.code, Some(code), "{what}, {by}: {ended:?}");
            for text in texts {
                assert!(
                    ended.stdout.contains(text),
                    "{what}, {by}, {text}: {ended:?}"
                );
            }
        }
    }
}

/// The only file of records of the bundle.
pub(crate) const RECORDS: &str = "logs/1/records-1.jsonl";

pub(crate) fn python() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path)
        .map(|folder| folder.join("python3"))
        .find(|path| path.is_file())
        .expect("python3 is installed")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn list(root: &Path, inside: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(inside)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let name = if inside.is_empty() {
            name
        } else {
            format!("{inside}/{name}")
        };
        if entry.file_type().unwrap().is_dir() {
            list(root, &name, found);
        } else {
            found.push(name);
        }
    }
}
