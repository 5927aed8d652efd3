//! `customs revision` and `completions`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::{Folder, command, policy, run};

fn two_sources() -> Folder {
    Folder::with(&[
        (
            "a/a.yaml",
            &policy("shop", "{deny: [{name: a, hosts: [a.example]}]}"),
        ),
        ("b/b.yaml", &policy("batch", "{isolate: true}")),
    ])
}

/// Returns the revision that a server with these flags puts in force, from its audit log.
fn served(folder: &Folder, flags: &str) -> String {
    let mut command = command(folder.path());
    command.arg("serve").args(flags.split_whitespace()).args([
        "--admin",
        "off",
        "--listen",
        "unix:customs.sock",
    ]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let records =
        lines.map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
    let revision = records
        .filter_map(|record| Some(record["revision"].as_str()?.to_owned()))
        .next();
    child.kill().unwrap();
    child.wait().unwrap();
    revision.expect("a record of the first set")
}

#[test]
fn the_revision_is_the_one_of_a_server() {
    let folder = two_sources();
    let revision = |arguments: &str| {
        run(folder.path(), &format!("revision {arguments}"))
            .stdout
            .trim()
            .to_owned()
    };
    let plain = revision("a b");
    assert_eq!(plain, served(&folder, "--policies a --policies b"));
    let strict = revision("a b --default deny --trust-domains x.example");
    assert_eq!(
        strict,
        served(
            &folder,
            "--policies a --policies b --default deny --trust-domains x.example"
        )
    );
    assert_ne!(
        plain, strict,
        "a setting that changes verdicts changes the revision"
    );
}

#[test]
fn broken_policies_have_no_revision() {
    let folder = Folder::with(&[("policies/a.yaml", "kind: [\n")]);
    let ended = folder.run("revision");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(
        ended
            .stderr
            .contains("policies/a.yaml:1:7: error[yaml-syntax]"),
        "{}",
        ended.stderr
    );
}

#[test]
fn every_shell_gets_completions() {
    let folder = Folder::with(&[]);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = folder.run(&format!("completions {shell}"));
        assert_eq!(ended.code, Some(0));
        assert!(
            ended.stdout.contains("deny-warnings") && ended.stdout.contains("revision"),
            "{shell}"
        );
    }
    assert_eq!(folder.run("completions tcsh").code, Some(2));
}
