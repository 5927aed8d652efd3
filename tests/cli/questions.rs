//! Questions to a running server: the set in force answers, they are recorded as questions, and
//! only this machine may ask.

use std::io::{Read, Write};

use serde_json::{Value, json};

use crate::denying;
use crate::record::Record;
use customs_test_support::server::{Ended, Plan, Server, run};
use customs_test_support::{http, ports};

const QUESTION: &str = "{\"from\": \"demo-frontend/sleep\", \"to\": \"http://x.example/\"}";

fn started() -> Server {
    Plan::with("--audit stdout")
        .file("policies/a.yaml", &denying("a", "x.example"))
        .start()
}

/// Posts a body with these headers and returns the status and the body of the answer.
fn post(server: &Server, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    send(server, "/explain", headers, body)
}

/// Posts a question to another path than that of explanations.
pub(crate) fn post_to(server: &Server, path: &str, body: &str) -> (u16, String) {
    send(server, path, &[JSON], body)
}

fn send(server: &Server, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut stream = http::connect(server.admin).unwrap();
    let mut head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    headers
        .iter()
        .for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    // A client that is rejected early may find the connection closed.
    let _ = stream.write_all(body.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = http::Response::parse(&answer).unwrap();
    (answer.status, answer.body)
}

const JSON: (&str, &str) = ("content-type", "application/json");

fn explain(server: &Server, question: &str) -> Value {
    let (status, body) = post(server, &[JSON], question);
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// Runs `customs check --admin` against the same server.
fn check(server: &Server, arguments: &str) -> Ended {
    let admin = format!("127.0.0.1:{}", server.admin);
    let arguments = arguments.split_whitespace();
    let all: Vec<&str> = ["check", "--admin", &admin]
        .into_iter()
        .chain(arguments)
        .collect();
    run(&server.folder.at(""), &all)
}

/// Returns the numbers of decisions and of questions in the metrics.
fn numbers(server: &Server) -> (Vec<String>, String) {
    let text = server.get("/metrics").unwrap().1;
    let lines = |name: &str| {
        text.lines()
            .filter(|line| line.starts_with(name))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    (
        lines("customs_decisions_total"),
        lines("customs_questions_total").concat(),
    )
}

#[test]
fn the_set_in_force_answers_also_after_a_reload() {
    let server = started();
    let first = explain(&server, QUESTION);
    assert_eq!(
        (&first["effect"], &first["revision"]),
        (&json!("deny"), &json!(server.revision()))
    );
    server
        .folder
        .put("policies/a.yaml", &denying("a", "y.example"));
    let revision = server.revision_after(first["revision"].as_str().unwrap());
    let second = explain(&server, QUESTION);
    assert_eq!(
        (&second["effect"], &second["revision"]),
        (&json!("allow"), &json!(revision))
    );
}

#[test]
fn a_question_is_on_record_as_a_question_and_in_no_number_of_decisions() {
    let mut server = started();
    server.check("x.example");
    let before = numbers(&server);
    explain(
        &server,
        "{\"from\": \"demo-frontend/sleep\", \"to\": \"http://x.example/p?q\", \"now\": \"2030-01-01T00:00:00Z\"}",
    );
    let after = numbers(&server);
    assert_eq!(before.0, after.0);
    assert_eq!(
        (before.1.as_str(), after.1.as_str()),
        ("customs_questions_total 0", "customs_questions_total 1")
    );

    let record = Record::of(&server.stop().stdout);
    assert_eq!(record.decisions().len(), 1);
    let questions = record.of_kind("question");
    assert_eq!(questions.len(), 1);
    let question = questions[0];
    assert!(
        question["askedBy"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:"),
        "{question}"
    );
    assert_eq!(question["now"], "2030-01-01T00:00:00.000000000Z");
    for (field, expected) in [
        ("effect", "deny"),
        ("verdict", "deny"),
        (
            "principal",
            "spiffe://cluster.local/ns/demo-frontend/sa/sleep",
        ),
        ("rawHost", "x.example"),
        ("path", "/p"),
    ] {
        assert_eq!(question["answer"][field], expected, "{field}");
        assert_eq!(question.get(field), None, "{field}");
    }
}

#[test]
fn the_command_prints_a_server_s_answer_as_its_own() {
    let server = started();
    let capture = format!(
        "{}/tests/captures/http-mtls-spiffe.json",
        env!("CARGO_MANIFEST_DIR")
    );
    for question in [
        "--from demo-frontend/sleep --to http://x.example/ --method POST --header X-A:b --now 2030-01-01T00:00:00Z",
        "--from other/sleep --to tcp://db.example:5432 --source-ip 192.0.2.1 --listener-port 5432 --sni db.example",
        "--from unauthenticated --to http://x.example/ --format json",
        &format!("--request {capture}"),
    ] {
        let live = check(&server, question);
        let arguments = question.split_whitespace();
        let offline: Vec<&str> = ["check"].into_iter().chain(arguments).collect();
        let offline = run(&server.folder.at(""), &offline);
        assert_eq!(
            (live.code, &live.stdout),
            (offline.code, &offline.stdout),
            "{question}: {}",
            live.stderr
        );
        assert!(live.stdout.contains("effect"), "{question}");
    }
}

#[test]
fn an_invalid_question_is_refused_with_what_to_do() {
    let server = started();
    let large = format!("{{\"from\": \"{}\"}}", "x".repeat(256 * 1024));
    for (headers, body, status, words) in [
        (&[][..], QUESTION, 415, "application/json"),
        (
            &[("content-type", "text/plain")],
            QUESTION,
            415,
            "application/json",
        ),
        (
            &[JSON, ("origin", "http://127.0.0.1")],
            QUESTION,
            403,
            "the header origin",
        ),
        (
            &[JSON, ("x-forwarded-for", "192.0.2.1")],
            QUESTION,
            403,
            "the header x-forwarded-for",
        ),
        (&[JSON], &large, 413, "262144 bytes"),
        (
            &[JSON],
            "{",
            400,
            "question:1:1: error[bad-value]: invalid JSON",
        ),
        (&[JSON], "{}", 400, "`to` is missing in the question"),
        (
            &[JSON],
            "{\"from\": \"demo\", \"to\": \"http://x/\"}",
            400,
            "question:1:10: error[bad-identity]: invalid caller `demo`",
        ),
        (
            &[JSON],
            "{\"request\": {\"attributes\": []}}",
            400,
            "question:1:28: error[bad-value]",
        ),
    ] {
        let (got, text) = post(&server, headers, body);
        assert_eq!(got, status, "{headers:?}: {text}");
        assert!(text.contains(words), "{headers:?}: {text}");
    }
    assert_eq!(server.get("/explain").unwrap().0, 405);
    assert_eq!(numbers(&server).1, "customs_questions_total 0");
}

#[test]
fn a_question_that_cannot_be_recorded_is_not_answered() {
    let server = Plan::with("--audit file:/dev/full")
        .file("policies/a.yaml", &denying("a", "x.example"))
        .spawn();
    server.until("a failing audit", || {
        server
            .get("/readyz")
            .filter(|(_, why)| why.contains("no answer can be recorded: file:/dev/full"))
    });
    let (status, text) = post(&server, &[JSON], QUESTION);
    assert_eq!(status, 503);
    assert!(
        text.contains("cannot be recorded") && !text.contains("no-host"),
        "{text}"
    );
    assert_eq!(numbers(&server).1, "customs_questions_total 0");
}

#[test]
fn before_the_first_good_set_the_answer_says_so() {
    let server = Plan::with("").spawn();
    server.until("alive", || server.get("/healthz"));
    let answer = explain(&server, QUESTION);
    assert_eq!(
        (&answer["revision"], &answer["verdict"]["reason"]),
        (&json!("none"), &json!("no_policy"))
    );
    assert!(
        answer["stages"][0]["text"]
            .as_str()
            .unwrap()
            .contains("no policy set was loaded yet"),
        "{answer}"
    );
}

#[test]
fn a_server_that_is_not_running_is_reported_with_what_to_do() {
    let server = started();
    let free = ports::free().unwrap();
    for (admin, words) in [
        (
            format!("127.0.0.1:{free}"),
            "is `customs serve` running with --admin",
        ),
        (
            format!("127.0.0.1:{}", server.port),
            "is it the --admin address of a customs?",
        ),
        (
            "unix:/x".into(),
            "cannot reach unix:/x: No such file or directory",
        ),
        (
            "ftp://x:1".into(),
            "invalid address `ftp://x:1`: expected HOST:PORT, https://HOST:PORT or unix:PATH",
        ),
    ] {
        let arguments = [
            "check",
            "--admin",
            &admin,
            "--from",
            "a/b",
            "--to",
            "http://x.example/",
        ];
        let ended = run(&server.folder.at(""), &arguments);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{admin}: {ended:?}"
        );
        assert!(ended.stderr.contains(words), "{admin}: {}", ended.stderr);
    }
}
