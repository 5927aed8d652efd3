//! The flip: a thousand reloads between two sets with opposite verdicts, under load. No call fails,
//! and no answer belongs to neither set.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tonic::transport::Channel;

use crate::denying;
use crate::record::Record;
use customs_test_support::check_client::{self, Answer, SLEEP};
use customs_test_support::server::{Plan, Server};

const RELOADS: usize = 1_000;
const CLIENTS: usize = 3;
/// Each denied by one set and allowed by the other.
const HOSTS: [&str; 2] = ["x.example", "y.example"];

/// The index of the requested host in [`HOSTS`], with the answer.
type Answered = (usize, Answer);

/// Asks for both hosts in turn until stopped. A call that fails fails the test.
async fn keep_asking(channel: Channel, stop: Arc<AtomicBool>) -> Vec<Answered> {
    let mut answers = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        for (host, name) in HOSTS.iter().enumerate() {
            let answer = check_client::check(&channel, check_client::http(SLEEP, name))
                .await
                .expect("no call fails");
            answers.push((host, answer));
        }
    }
    answers
}

/// Puts a set in force, waits for it, and returns its revision, which decides the next check.
fn flip(server: &Server, to: usize, old: &str) -> String {
    server
        .folder
        .put("policies/a.yaml", &denying("flip", HOSTS[to]));
    let revision = server.revision_after(old);
    let answer = server.check(HOSTS[to]);
    assert_eq!(
        (answer.says("revision"), answer.allowed),
        (revision.as_str(), false),
        "the status changed too early"
    );
    revision
}

/// Asserts that an answer belongs to the set that its revision names.
fn belongs(asked: &Answered, revisions: &[String; 2]) {
    let (host, answer) = asked;
    let set = revisions
        .iter()
        .position(|revision| revision == answer.says("revision"));
    let set = set.unwrap_or_else(|| panic!("a third revision: {answer:?}"));
    assert_eq!(
        answer.allowed,
        *host != set,
        "an answer of neither set: {answer:?}"
    );
    let reason = if *host == set {
        "denied_by_rule"
    } else {
        "default_allow"
    };
    assert_eq!(answer.reason(), reason);
}

#[test]
fn a_thousand_reloads_under_load_give_no_answer_of_neither_set() {
    let plan = Plan::new().flags("--reload-settle 5ms --audit file:out/audit.jsonl");
    let mut server = plan
        .file("policies/a.yaml", &denying("flip", HOSTS[0]))
        .start();
    let first = server.revision();
    let second = flip(&server, 1, &first);
    let revisions = [first, second];
    let stop = Arc::new(AtomicBool::new(false));
    let target = format!("http://127.0.0.1:{}", server.port);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| check_client::spawn(keep_asking(check_client::channel(&target), stop.clone())))
        .collect();

    let start = Instant::now();
    for round in 0..RELOADS {
        let (old, new) = (&revisions[(round + 1) % 2], &revisions[round % 2]);
        assert_eq!(
            &flip(&server, round % 2, old),
            new,
            "the same files have the same revision"
        );
    }
    let elapsed = start.elapsed();
    stop.store(true, Ordering::Relaxed);
    let answers: Vec<Answered> = clients
        .into_iter()
        .flat_map(|client| check_client::wait(client).unwrap())
        .collect();

    answers.iter().for_each(|asked| belongs(asked, &revisions));
    for revision in &revisions {
        let seen = answers
            .iter()
            .filter(|(_, answer)| answer.says("revision") == revision)
            .count();
        assert!(
            seen > RELOADS / 10,
            "the load hardly saw {revision}: {seen} of {}",
            answers.len()
        );
    }
    let reloads = server.status()["reloads"].clone();
    assert_eq!(
        (&reloads["published"], &reloads["refused"]),
        (&(RELOADS + 2).into(), &0.into()),
        "{reloads}"
    );
    server.stop();
    let record = Record::of(&server.folder.text("out/audit.jsonl"));
    let asked = answers.len() + RELOADS + 1;
    assert_eq!(
        (record.decisions().len(), record.changes().len()),
        (asked, RELOADS + 2)
    );
    println!(
        "{RELOADS} reloads and {} checks by {CLIENTS} clients in {elapsed:.1?}",
        answers.len()
    );
}
