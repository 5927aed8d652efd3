//! Signals: SIGHUP reads now; SIGTERM and SIGINT end in order, with every answer recorded.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tonic_health::pb::health_check_response::ServingStatus;

use crate::denying;
use crate::record::Record;
use customs_test_support::check_client::{self, OTHER, Watch};
use customs_test_support::http;
use customs_test_support::server::{Plan, Server, listens};

fn server(flags: &str) -> Server {
    Plan::with(flags)
        .file("policies/a.yaml", &denying("a", "x.example"))
        .start()
}

#[test]
fn a_hangup_reads_the_policies_at_once() {
    let server = server("--reload-settle 1h --reload-rescan 1h");
    let mut revision = server.revision();
    for host in ["y.example", "z.example"] {
        server.folder.put("policies/a.yaml", &denying("a", host));
        assert_eq!(
            server.revision(),
            revision,
            "nothing is read before it is asked for"
        );
        server.signal("HUP");
        revision = server.revision_after(&revision);
        assert!(!server.check(host).allowed);
    }
}

#[test]
fn an_end_is_announced_and_checks_are_answered_through_the_drain_delay() {
    let mut server = server("--drain-delay 1h");
    let mut watch = Watch::begin(&server.channel);
    assert_eq!(watch.next_status(), Some(ServingStatus::Serving));
    server.signal("TERM");
    assert_eq!(watch.next_status(), Some(ServingStatus::NotServing));
    let ready = server.get("/readyz").unwrap();
    assert_eq!(ready.0, 503);
    assert!(ready.1.contains("shutting down"), "{ready:?}");
    assert_eq!(server.get("/healthz").unwrap().0, 200);
    assert_eq!(server.status()["draining"], true);
    let newcomer = check_client::channel(&format!("http://127.0.0.1:{}", server.port));
    for channel in [&server.channel, &newcomer] {
        let answer = check_client::wait(check_client::check(
            channel,
            check_client::http(OTHER, "x.example"),
        ))
        .unwrap();
        assert!(answer.allowed);
    }
    assert!(server.is_running());

    server.signal("TERM");
    assert_eq!(watch.next_status(), None, "the stream ends");
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!listens(server.port) && !listens(server.admin));
    assert_eq!(Record::of(&ended.stdout).decisions().len(), 2);
}

#[test]
fn the_drain_delay_ends_by_itself() {
    let delay = Duration::from_millis(1500);
    let mut server = server("--drain-delay 1500ms");
    let start = Instant::now();
    server.signal("TERM");
    server.until("announced", || {
        server.get("/readyz").filter(|ready| ready.0 == 503)
    });
    assert!(!server.check("x.example").allowed);
    assert_eq!(server.end().code, Some(0));
    assert!(
        start.elapsed() >= delay,
        "ended after {:?}",
        start.elapsed()
    );
}

#[test]
fn policies_still_follow_their_files_through_the_drain_delay() {
    let mut server = server("--drain-delay 1h");
    let before = server.revision();
    server.signal("TERM");
    server.until("announced", || {
        server.get("/readyz").filter(|ready| ready.0 == 503)
    });
    server
        .folder
        .put("policies/a.yaml", &denying("a", "y.example"));
    server.revision_after(&before);
    assert_eq!(
        server.get("/readyz").unwrap().0,
        503,
        "a good set makes nothing ready again"
    );
    assert!(!server.check("y.example").allowed);
    server.stop();
}

#[test]
fn an_interrupt_ends_it_at_once() {
    let mut server = server("--drain-delay 1h");
    server.signal("INT");
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn proxies_have_two_seconds_to_learn_of_an_end() {
    let plan = Plan::with("")
        .without("CUSTOMS_DRAIN_DELAY")
        .file("policies/a.yaml", &denying("a", "x.example"));
    let mut server = plan.start();
    let start = Instant::now();
    server.signal("TERM");
    server.until("announced", || {
        server.get("/readyz").filter(|ready| ready.0 == 503)
    });
    let newcomer = check_client::channel(&format!("http://127.0.0.1:{}", server.port));
    while start.elapsed() < Duration::from_millis(1500) {
        let answer = check_client::wait(check_client::check(
            &newcomer,
            check_client::http(OTHER, "y.example"),
        ))
        .unwrap();
        assert!(answer.allowed);
    }
    let ended = server.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(
        start.elapsed() >= Duration::from_secs(2),
        "ended after {:?}",
        start.elapsed()
    );
}

#[test]
fn connections_that_stay_open_do_not_keep_the_process() {
    let mut server = server("--drain-timeout 15s");
    let open = |port| TcpStream::connect(("127.0.0.1", port)).unwrap();
    let silent = (open(server.port), open(server.admin));
    let mut half = open(server.admin);
    half.write_all(b"GET /status HTTP/1.1\r\nho").unwrap();
    // An idle gRPC connection, which this answer proves to be open, and an idle stream.
    assert!(!server.check("x.example").allowed);
    let mut watch = Watch::begin(&server.channel);
    watch.next_status();
    assert_eq!(
        http::get(server.admin, "localhost", "/healthz")
            .unwrap()
            .status,
        200
    );
    let start = Instant::now();
    let ended = server.stop();
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "it took {:?}: {}",
        start.elapsed(),
        ended.stderr
    );
    drop((silent, half));
}

#[test]
fn clients_that_stop_in_the_middle_of_a_word_are_waited_for_no_longer_than_the_bound() {
    for word in [
        &b"PRI * HTTP/2.0\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    ] {
        let mut server = server("--drain-timeout 500ms");
        let mut client = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        client.write_all(word).unwrap();
        assert!(!server.check("x.example").allowed);
        let start = Instant::now();
        server.signal("TERM");
        server.end();
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "it took {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn a_check_that_never_ends_is_cut_off_at_the_bound_and_that_is_reported() {
    let mut server = server("--drain-timeout 2s --audit file:out/audit.jsonl");
    check_client::wait(check_client::begin_endless(&server.channel));
    let start = Instant::now();
    server.signal("TERM");
    server.until("the listener closed", || {
        (!listens(server.port)).then_some(())
    });
    assert!(server.is_running(), "it waits for the check in flight");
    assert_eq!(
        server.get("/readyz").unwrap().0,
        503,
        "operators can still look in"
    );
    let ended = server.end();
    assert!(start.elapsed() >= Duration::from_secs(2));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("drain timeout"), "{}", ended.stderr);
    assert_eq!(
        Record::of(&server.folder.text("out/audit.jsonl"))
            .decisions()
            .len(),
        1
    );
}

/// Asks until the server is gone, and returns the ids of all answers.
async fn ask_to_the_end(channel: tonic::transport::Channel) -> Vec<String> {
    let mut ids = Vec::new();
    while let Ok(answer) =
        check_client::check(&channel, check_client::http(OTHER, "x.example")).await
    {
        ids.push(answer.says("decision_id").to_owned());
    }
    ids
}

#[test]
fn every_answer_up_to_the_last_is_on_record() {
    let mut server = server("--audit file:out/audit.jsonl");
    let clients: Vec<_> = (0..3)
        .map(|_| {
            check_client::spawn(ask_to_the_end(check_client::channel(&format!(
                "http://127.0.0.1:{}",
                server.port
            ))))
        })
        .collect();
    let audited = || server.folder.text("out/audit.jsonl").lines().count();
    server.until("some checks", || (audited() > 300).then_some(()));
    server.stop();
    let answered: Vec<String> = clients
        .into_iter()
        .flat_map(|client| check_client::wait(client).unwrap())
        .collect();
    assert!(answered.len() > 300 - 3);
    let record = Record::of(&server.folder.text("out/audit.jsonl"));
    let recorded: Vec<String> = record
        .decisions()
        .iter()
        .map(|line| line["decisionId"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(recorded.len(), answered.len(), "one record for each answer");
    assert_eq!(
        recorded.into_iter().collect::<BTreeSet<_>>(),
        answered.into_iter().collect()
    );
    assert_eq!(record.changes().len(), 1);
}
