//! The commands of docs/EVIDENCE.md, run as they are written.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use customs_test_support::server::Plan;
use ed25519_dalek::pkcs8::EncodePrivateKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use serde_json::Value;

use super::scene::{key, public, python};
use super::{archived, denying, records};

/// Returns the blocks of a language, without their fences.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let open = format!("```{language}\n");
    let blocks = page.split(&open).skip(1);
    blocks
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// Runs a command as a shell does; `customs` and `python3` are in its path.
fn shell(folder: &Path, command: &str) -> (i32, String) {
    let path = format!("{}:/usr/bin:/bin", folder.join("bin").display());
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[test]
fn every_command_of_the_page_does_what_it_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/EVIDENCE.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut commands = blocks(&page, "sh").into_iter();
    let serve = commands.next().unwrap();
    assert_eq!(serve, "customs serve --config settings.yaml\n");
    let private = key(7).to_pkcs8_pem(LineEnding::LF).unwrap();
    let mut server = Plan::with("--config settings.yaml")
        .file("settings.yaml", &blocks(&page, "yaml")[0])
        .file("policies/a.yaml", &denying("www.aliyun.com"))
        .file("audit-key.pem", &private)
        .file("audit-key.pub", &public(&key(7)))
        .file("log/README", "")
        .file("sealed/README", "")
        .start();
    archived(&server);
    for _ in 0..4 {
        assert_eq!(server.check("www.aliyun.com").reason(), "denied_by_rule");
    }
    server.stop();
    let folder = server.folder.at("");
    std::fs::create_dir(folder.join("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_customs"), folder.join("bin/customs")).unwrap();
    symlink(python(), folder.join("bin/python3")).unwrap();
    let decided: Vec<Value> = records(server.folder.at("log/audit.jsonl"))
        .into_iter()
        .filter(|record| record["kind"] == "decision")
        .collect();
    let time = |n: usize| decided[n]["time"].as_str().unwrap();
    let revision = decided[0]["revision"].as_str().unwrap();
    let expected = [
        ("customs revision", 0, revision),
        ("customs at", 1, "verdict      deny: denied_by_rule"),
        ("customs audit extract", 0, "intact\n"),
        ("python3 bundle/verify.py", 0, "intact\n"),
        ("customs audit verify --bundle", 0, "intact\n"),
        ("customs audit extract", 3, "a filter was used"),
        ("tar czf", 0, ""),
    ];
    for (begin, code, text) in expected {
        let command = commands.next().unwrap_or_else(|| panic!("no {begin}"));
        assert!(command.starts_with(begin), "{command}");
        let command = command
            .replace("2026-11-24T10:00:00Z", time(1))
            .replace("2026-11-24T00:00:00Z", time(1))
            .replace("2026-11-25T00:00:00Z", time(3));
        let (ended, output) = shell(&folder, &command);
        assert_eq!(ended, code, "{command}: {output}");
        assert!(output.contains(text), "{command}: {output}");
    }
    assert_eq!(commands.next(), None, "every command is run");
    assert!(folder.join("bundle.tar.gz").is_file());
}
