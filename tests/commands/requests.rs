//! Whole checks as JSON: `check --request`, and `request:` in files of cases.

use std::io::Write;
use std::process::Stdio;

use super::{Ended, Folder, command, ended, policy, repository};

/// A policy that denies one host of the captures, and isolates one caller.
fn folder(files: &[(&str, &str)]) -> Folder {
    let denies = policy(
        "demo-frontend",
        "{deny: [{name: no-api, hosts: [api.example.com, db.example]}], allow: [{name: other, hosts: [other.example]}]}",
    );
    let policy = ("policies/a.yaml", denies.as_str());
    Folder::with(&[&[policy], files].concat())
}

const CHECK: &str = r#"{"attributes": {
  "source": {"principal": "spiffe://cluster.local/ns/demo-frontend/sa/sleep"},
  "request": {"http": {"method": "POST", "host": "api.example.com", "path": "/x"}}
}}"#;

#[test]
fn every_capture_can_be_explained() {
    let folder = folder(&[]);
    let mut asked = 0;
    for entry in std::fs::read_dir(repository().join("tests/captures")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        asked += 1;
        let request = path.display();
        let ended = folder.run(&format!("check --request {request} --format json policies"));
        assert!(matches!(ended.code, Some(0 | 1)), "{request}: {ended:?}");
        let answer = ended.json();
        assert_eq!(answer.get("notes"), None, "{request}: {answer}");
        let text = std::fs::read_to_string(&path).unwrap();
        let caller = "spiffe://cluster.local/ns/demo-frontend/sa/sleep";
        let expected = if text.contains(&format!("\"principal\": \"{caller}\"")) {
            caller
        } else {
            "unauthenticated"
        };
        assert_eq!(answer["from"], expected, "{request}");
        let scheme = if text.contains("\"http\": {") {
            "http://"
        } else {
            "tcp://"
        };
        assert!(
            answer["to"].as_str().unwrap().starts_with(scheme),
            "{request}: {answer}"
        );
    }
    assert!(asked >= 8, "{asked} captures");
}

#[test]
fn a_check_is_answered_as_the_same_question_in_words() {
    let folder = folder(&[("check.json", CHECK)]);
    let request = folder.run("check --request check.json policies");
    let words = folder.run(
        "check --from spiffe://cluster.local/ns/demo-frontend/sa/sleep --to http://api.example.com/x --method POST policies",
    );
    assert_eq!((request.code, &request.stdout), (Some(1), &words.stdout));
    assert!(
        request
            .stdout
            .contains("to           POST http://api.example.com/x\n"),
        "{}",
        request.stdout
    );
}

fn by_stdin(folder: &Folder, text: &str) -> Ended {
    let mut command = command(folder.path());
    command.args(["check", "--request", "-", "policies"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

#[test]
fn a_check_comes_from_the_standard_input_too() {
    let folder = folder(&[]);
    assert_eq!(by_stdin(&folder, CHECK).code, Some(1));
    let broken = by_stdin(&folder, "{\"attributes\": [\n");
    assert_eq!((broken.code, broken.stdout.as_str()), (Some(2), ""));
    assert!(
        broken.stderr.contains("stdin:1:16: error"),
        "{}",
        broken.stderr
    );
}

#[test]
fn what_is_not_a_check_is_reported_with_its_place() {
    let folder = folder(&[
        (
            "type.json",
            "{\"attributes\": {\n  \"source\": {\"principal\": 7}}}",
        ),
        ("list.json", "[]"),
        ("empty.json", ""),
    ]);
    for (arguments, why) in [
        (
            "--request type.json",
            "type.json:2:27: error[bad-value]: invalid CheckRequest in JSON: invalid type",
        ),
        ("--request list.json", "list.json:1:1: error[bad-value]"),
        (
            "--request empty.json",
            "empty.json: error[empty-value]: the file is empty",
        ),
        (
            "--request gone.json",
            "gone.json: error[unreadable]: the request cannot be read",
        ),
        ("--request type.json --from a/b", "cannot be used with"),
        ("--request type.json --sni a", "cannot be used with"),
        ("--from a/b", "--to"),
    ] {
        let ended = folder.run(&format!("check {arguments} policies"));
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{arguments}"
        );
        assert!(ended.stderr.contains(why), "{arguments}: {}", ended.stderr);
    }
}

#[test]
fn unknown_fields_are_ignored_and_noted() {
    let folder = folder(&[(
        "new.json",
        &CHECK.replace("\"method\"", "\"fromTheFuture\": {}, \"method\""),
    )]);
    let ended = folder.run("check --request new.json policies");
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stdout
            .starts_with("new.json:3:24: note[unknown-field]: unknown field `fromTheFuture`"),
        "{}",
        ended.stdout
    );
}

#[test]
fn nothing_of_a_client_steers_the_terminal() {
    let folder = folder(&[("odd.json", &CHECK.replace("\"/x\"", "\"/\\u001b[31m\\n\""))]);
    let ended = ended(command(folder.path()).args(["check", "--request", "odd.json", "policies"]));
    assert!(
        ended
            .stdout
            .contains("to           POST http://api.example.com/\\u{1b}[31m\\u{a}\n"),
        "{}",
        ended.stdout
    );
}

const HEAD: &str =
    "apiVersion: egress.customs/v1alpha1\nkind: PolicyTest\nmetadata: {name: t}\ncases:\n";

fn case(request: &str) -> String {
    format!(
        "{HEAD}- name: whole\n  expect: Deny\n  rule: ep:demo-frontend/egress#no-api\n  request:{request}\n"
    )
}

#[test]
fn a_case_may_hold_a_whole_check() {
    let yaml = "\n    attributes:\n      source: {principal: spiffe://cluster.local/ns/demo-frontend/sa/sleep}\n      \
                destination: {service: db.example, address: {socketAddress: {address: 192.0.2.1, portValue: 5432}}}";
    for request in [
        format!(" {}", CHECK.replace('\n', "\n    ")),
        yaml.to_owned(),
    ] {
        let ended = folder(&[("policies/a.cases.yaml", &case(&request))]).run("test");
        assert_eq!(
            (ended.code, ended.last_line()),
            (
                Some(0),
                "1 case: 1 passed, 0 failed; 1 of 3 rules exercised"
            )
        );
    }
}

#[test]
fn problems_inside_a_check_have_their_place_and_notes_do_not_fail() {
    let wrong = case(" {attributes: {source: {principal: [x]}}}");
    let ended = folder(&[("policies/a.cases.yaml", &wrong)]).run("test");
    assert_eq!(ended.code, Some(1));
    let place = "\n --> ./policies/a.cases.yaml:8:46\n";
    assert!(
        ended.stdout.starts_with("error[bad-value]") && ended.stdout.contains(place),
        "{}",
        ended.stdout
    );
    let noted = case(&format!(
        " {}",
        CHECK
            .replace('\n', "\n    ")
            .replace("\"method\"", "\"metod\"")
    ));
    let ended = folder(&[("policies/a.cases.yaml", &noted)]).run("test");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        ended
            .stdout
            .starts_with("note[unknown-field]: unknown field `metod`: it is ignored"),
        "{}",
        ended.stdout
    );
    let answer = folder(&[("policies/a.cases.yaml", &noted)])
        .run("test --format json")
        .json();
    assert_eq!(answer["suites"][0]["notes"][0]["code"], "unknown-field");
}
