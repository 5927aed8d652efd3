//! `customs audit tail` and `customs audit stats`.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::pin::Pin;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

use customs_audit::tail::proto::audit_service_server::{AuditService, AuditServiceServer};
use customs_record::proto::{Record, TailRequest, TailResponse};
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::{Folder, command, ended};

/// Returns a decision's line.
fn decision(sequence: u64, effect: &str, host: &str) -> String {
    format!(
        "{{\"time\":\"2026-11-23T12:00:0{sequence}Z\",\"kind\":\"decision\",\"stream\":\"s\",\"sequence\":\"{sequence}\",\
         \"effect\":\"{effect}\",\"verdict\":\"{effect}\",\"dryRun\":\"{effect}\",\"reason\":\"denied_by_rule\",\
         \"namespace\":\"shop\",\"host\":\"{host}\",\"chain\":\"00\"}}\n"
    )
}

fn record(sequence: u64) -> Record {
    let text = str::to_owned;
    let (kind, stream, host) = (text("decision"), text("s"), format!("h{sequence}.example"));
    Record {
        kind,
        stream,
        sequence,
        host,
        effect: text("deny"),
        ..Record::default()
    }
}

/// A running tail, and the lines that it prints.
struct Tail {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Tail {
    fn start(folder: &Path, arguments: &str) -> Tail {
        let mut command: Command = command(folder);
        command
            .args(["audit", "tail"])
            .args(arguments.split_whitespace());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Tail { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    /// Returns its stderr, once it has ended by itself.
    fn end(mut self) -> String {
        let mut text = String::new();
        self.child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert!(self.child.wait().unwrap().success(), "{text}");
        text
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_file_is_printed_with_the_selected_records() {
    let text = [
        decision(1, "deny", "a.example"),
        decision(2, "allow", "b.a.example"),
        decision(4, "deny", "c.example"),
    ];
    let text = format!("{}a log line\n{{\"torn", text.concat());
    let folder = Folder::with(&[("a.jsonl", &text)]);
    let all = folder.run("audit tail a.jsonl");
    assert_eq!(
        (all.code, all.stdout.lines().count()),
        (Some(0), 3),
        "{all:?}"
    );
    assert!(
        all.stdout
            .starts_with("2026-11-23T12:00:01.000Z deny         shop/- -> a.example "),
        "{}",
        all.stdout
    );
    for text in [
        "a line is not a record",
        "the last record is unfinished (6 bytes)",
        "the records 3 to 3 of stream s are missing",
    ] {
        assert!(all.stderr.contains(text), "{text}: {}", all.stderr);
    }
    for (flags, expected) in [
        ("--effect deny", 2),
        ("--host *.a.example", 1),
        ("--host a.example --host c.example --effect allow", 0),
        ("--namespace shop --count 2", 2),
        ("--kind policyChange", 0),
    ] {
        assert_eq!(
            folder
                .run(&format!("audit tail a.jsonl {flags}"))
                .stdout
                .lines()
                .count(),
            expected,
            "{flags}"
        );
    }
    let json = folder
        .run("audit tail a.jsonl --format json --count 1")
        .stdout;
    assert_eq!(
        json,
        decision(1, "deny", "a.example"),
        "the line as it was written"
    );
}

#[test]
fn colours_are_for_terminals_or_on_request() {
    let folder = Folder::with(&[("a.jsonl", &decision(1, "deny", "a.example"))]);
    let coloured = |arguments: &str| {
        folder
            .run(&format!("audit tail a.jsonl {arguments}"))
            .stdout
            .contains('\x1b')
    };
    assert!(!coloured("") && !coloured("--color never") && coloured("--color always"));
    let hostile = decision(1, "deny", "a\\u001b[2J\\u202e");
    let folder = Folder::with(&[("a.jsonl", &hostile)]);
    let shown = folder.run("audit tail a.jsonl").stdout;
    assert!(shown.contains("-> a\\u{1b}[2J\\u{202e} "), "{shown:?}");
}

#[test]
fn a_file_is_followed_over_its_rotation() {
    let folder = Folder::with(&[("a.jsonl", &decision(1, "deny", "a.example"))]);
    let path = folder.path().join("a.jsonl");
    let append = |text: &str| {
        OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap()
    };
    let mut tail = Tail::start(folder.path(), "a.jsonl --follow --format json --count 5");
    assert_eq!(tail.line(), decision(1, "deny", "a.example"));
    let second = decision(2, "deny", "a.example");
    let (head, rest) = second.split_at(20);
    append(head);
    std::thread::sleep(std::time::Duration::from_millis(250));
    append(rest);
    assert_eq!(tail.line(), second, "an unfinished line is waited for");
    append(&decision(3, "deny", "a.example"));
    std::fs::rename(&path, folder.path().join("a.jsonl.1")).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(250));
    append(&decision(4, "deny", "a.example"));
    append(&decision(5, "deny", "a.example"));
    for sequence in 3..=5 {
        assert_eq!(tail.line(), decision(sequence, "deny", "a.example"));
    }
    assert_eq!(tail.end(), "", "nothing is missing");
}

/// A service that sends two records and then fails, for each subscription.
#[derive(Clone, Default)]
struct FailingTail {
    asked: Arc<Mutex<Vec<TailRequest>>>,
    /// Records that it does not know.
    is_forgetful: bool,
}

type Responses = Pin<Box<dyn Stream<Item = Result<TailResponse, Status>> + Send>>;

#[tonic::async_trait]
impl AuditService for FailingTail {
    type TailStream = Responses;

    async fn tail(&self, request: Request<TailRequest>) -> Result<Response<Responses>, Status> {
        let request = request.into_inner();
        let after = request.after_sequence;
        let is_unknown = self.is_forgetful && !request.stream.is_empty();
        self.asked.lock().unwrap().push(request);
        if is_unknown {
            return Err(Status::out_of_range("the stream is not known"));
        }
        let sent = [after + 1, after + 2].map(|sequence| {
            Ok(TailResponse {
                record: Some(record(sequence)),
            })
        });
        let broken = Err(Status::unavailable("the server stops"));
        Ok(Response::new(Box::pin(tokio_stream::iter(
            sent.into_iter().chain([broken]),
        ))))
    }
}

/// Serves while `run` runs, and passes it the address.
fn served(service: FailingTail, run: impl FnOnce(String)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let service = AuditServiceServer::new(service);
    let serving = runtime.spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    run(address);
    serving.abort();
}

fn hosts(shown: &str) -> Vec<String> {
    shown
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["host"]
                .as_str()
                .unwrap()
                .into()
        })
        .collect()
}

#[test]
fn a_subscription_resumes_after_a_server_went_away() {
    let service = FailingTail::default();
    let folder = Folder::with(&[]);
    served(service.clone(), |address| {
        let flags = "--count 3 --format json --from-start --host h1.example --effect deny";
        let ended = folder.run(&format!("audit tail --server {address} {flags}"));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(
            hosts(&ended.stdout),
            ["h1.example", "h2.example", "h3.example"]
        );
        assert!(
            ended
                .stderr
                .contains("is gone (the server stops); reconnecting in 200ms"),
            "{}",
            ended.stderr
        );
    });
    let asked = service.asked.lock().unwrap().clone();
    let filter = asked[0].filter.clone().unwrap();
    assert_eq!(
        (filter.hosts, filter.effect.as_str()),
        (vec!["h1.example".to_owned()], "deny")
    );
    assert!(asked[0].from_start && asked[0].stream.is_empty());
    assert_eq!(
        (
            asked[1].stream.as_str(),
            asked[1].after_sequence,
            asked[1].from_start
        ),
        ("s", 2, false)
    );
    assert_eq!(asked[1].filter, asked[0].filter);
}

#[test]
fn a_place_that_a_server_forgot_is_reported_and_everything_printed() {
    let service = FailingTail {
        is_forgetful: true,
        ..FailingTail::default()
    };
    let folder = Folder::with(&[]);
    served(service.clone(), |address| {
        let ended = folder.run(&format!(
            "audit tail --server {address} --resume old:7 --count 1 --format json"
        ));
        assert_eq!(
            (ended.code, hosts(&ended.stdout)),
            (Some(0), vec!["h1.example".to_owned()]),
            "{ended:?}"
        );
        assert!(
            ended
                .stderr
                .contains("cannot resume after 7 of stream old (the stream is not known)"),
            "{}",
            ended.stderr
        );
    });
    let asked = service.asked.lock().unwrap().clone();
    assert_eq!(
        (asked[0].stream.as_str(), asked[0].after_sequence),
        ("old", 7)
    );
    assert!(asked[1].from_start && asked[1].stream.is_empty());
}

#[test]
fn what_cannot_be_printed_is_reported_with_what_to_do() {
    let folder = Folder::with(&[]);
    for (arguments, code, text) in [
        ("tail", 2, "--server"),
        ("tail a.jsonl", 1, "cannot read a.jsonl"),
        (
            "tail --server 127.0.0.1:1",
            1,
            "is `customs serve` running with --audit tail:127.0.0.1:1?",
        ),
        (
            "tail --server unix:none.sock",
            1,
            "cannot reach unix:none.sock",
        ),
        (
            "tail --server nowhere",
            1,
            "expected HOST:PORT, https://HOST:PORT or unix:PATH",
        ),
        (
            "tail --server 127.0.0.1:1 --resume x",
            2,
            "separated by a colon",
        ),
        ("tail - --follow", 1, "cannot be followed"),
        ("stats", 2, "<RECORD>"),
        ("stats none.jsonl", 1, "cannot read none.jsonl"),
        ("stats x --since tomorrow", 2, "--since"),
        ("stats x --since today --until yesterday", 2, "no record"),
    ] {
        let ended = folder.run(&format!("audit {arguments}"));
        assert_eq!(ended.code, Some(code), "{arguments}: {ended:?}");
        assert!(ended.stderr.contains(text), "{arguments}: {}", ended.stderr);
    }
}

#[test]
fn several_files_are_counted_together() {
    let folder = Folder::with(&[
        (
            "a.jsonl",
            &[
                decision(1, "deny", "a.example"),
                decision(2, "allow", "b.example"),
            ]
            .concat(),
        ),
        ("b.jsonl", &decision(3, "deny", "a.example")),
    ]);
    let json = folder
        .run("audit stats a.jsonl b.jsonl --format json")
        .json();
    assert_eq!(
        (&json["records"], &json["decisions"]),
        (&3.into(), &3.into())
    );
    assert_eq!(
        json["denied"]["rows"],
        serde_json::json!([{"caller": "shop/-", "host": "a.example", "count": 2}])
    );
    let mut stats = command(folder.path());
    let input = std::fs::File::open(folder.path().join("b.jsonl")).unwrap();
    let human = ended(stats.args(["audit", "stats", "-"]).stdin(input));
    assert!(
        human
            .stdout
            .starts_with("1 record, 1 decision, from 2026-11-23T12:00:03.000Z"),
        "{human:?}"
    );
    let ranged = folder
        .run("audit stats a.jsonl b.jsonl --format json --since 2026-11-23T12:00:03Z")
        .json();
    assert_eq!(ranged["records"], 1);
}
