//! `customs status` against real servers: the table, agreement, and the wait of a rollout.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::denying;
use customs_test_support::ports;
use customs_test_support::server::{Ended, Plan, Server, run};

fn started(host: &str) -> Server {
    Plan::with("--audit stdout")
        .file("policies/a.yaml", &denying("a", host))
        .start()
}

fn status(addresses: &[String], more: &[&str]) -> Ended {
    let admin = addresses.join(",");
    let arguments: Vec<&str> = ["status", "--admin", &admin]
        .into_iter()
        .chain(more.iter().copied())
        .collect();
    run(std::path::Path::new("/"), &arguments)
}

/// Returns the part of a revision that the table shows.
fn beginning(server: &Server) -> String {
    server.revision().chars().take(12).collect()
}

fn address(server: &Server) -> String {
    format!("127.0.0.1:{}", server.admin)
}

#[test]
fn replicas_that_agree_are_a_success_and_others_are_named() {
    let (one, same, other) = (
        started("x.example"),
        started("x.example"),
        started("y.example"),
    );
    let ended = status(&[address(&one), address(&same)], &[]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let rows: Vec<&str> = ended.stdout.lines().collect();
    assert!(rows[0].starts_with("REPLICA"), "{}", ended.stdout);
    assert!(rows[1].contains(&beginning(&one)), "{}", ended.stdout);
    assert_eq!(rows.last(), Some(&"2 replicas, ready and in agreement"));

    let ended = status(&[address(&one), address(&other)], &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stdout.contains("the replicas differ in revision"),
        "{}",
        ended.stdout
    );

    let ended = status(&[address(&one), address(&other)], &["--format", "json"]);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(ended.code, Some(1));
    assert_eq!(document["version"], 1);
    assert_eq!(document["readyAndAgree"], false);
    assert_eq!(document["replicas"][1]["revision"], other.revision());
}

#[test]
fn a_replica_that_does_not_answer_does_not_hide_the_others() {
    let one = started("x.example");
    let nobody = format!("127.0.0.1:{}", ports::free().unwrap());
    let ended = status(&[nobody.clone(), address(&one)], &[]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains(&beginning(&one)), "{ended:?}");
    assert!(
        ended
            .stdout
            .contains(&format!("{nobody}: cannot reach {nobody}")),
        "{}",
        ended.stdout
    );
}

#[test]
fn the_address_of_an_envoy_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let there = listener.local_addr().unwrap().to_string();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let body = "invalid path. admin commands are:\n  /certs: print certs\n";
        let head = "HTTP/1.1 404 Not Found\r\ncontent-length";
        let _ = write!(stream, "{head}: {}\r\n\r\n{body}", body.len());
    });
    let ended = status(&[there], &[]);
    answering.join().unwrap();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.contains("Envoy's admin address answers there"),
        "{}",
        ended.stdout
    );
}

#[test]
fn a_rollout_waits_until_every_replica_has_the_revision() {
    let (one, other) = (started("x.example"), started("x.example"));
    let wanted = Plan::new().file("policies/a.yaml", &denying("a", "new.example"));
    let revision = run(&wanted.folder.at(""), &["revision", "policies"]);
    let revision = revision.stdout.trim().to_owned();
    let addresses = [address(&one), address(&other)];

    let ended = status(&addresses, &["--wait", &revision, "--timeout", "1s"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stdout.contains("after 1 s"), "{}", ended.stdout);

    one.folder
        .put("policies/a.yaml", &denying("a", "new.example"));
    let waiting = std::thread::spawn({
        let (addresses, revision) = (addresses.clone(), revision.clone());
        move || {
            let begun = Instant::now();
            let ended = status(&addresses, &["--wait", &revision, "--timeout", "60s"]);
            (ended, begun.elapsed())
        }
    });
    // The second replica gets the files later.
    std::thread::sleep(Duration::from_millis(700));
    other
        .folder
        .put("policies/a.yaml", &denying("a", "new.example"));
    let (ended, took) = waiting.join().unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(
        took >= Duration::from_millis(600),
        "it did not wait: {took:?}"
    );
    assert_eq!(
        (one.revision(), other.revision()),
        (revision.clone(), revision)
    );
}

#[test]
fn a_revision_or_an_address_that_is_none_is_refused() {
    for (more, expected) in [
        (["--wait", "policies"], "customs revision DIR"),
        (["--wait", "abc"], "at least 8 hexadecimal digits"),
        (["--timeout", "5s"], "--wait"),
        (["--ca", "ca.crt"], "needs TLS"),
    ] {
        let ended = status(&["127.0.0.1:1".into()], &more);
        assert_eq!(ended.code, Some(2), "{more:?}: {ended:?}");
        assert!(
            ended.stderr.contains(expected),
            "{more:?}: {}",
            ended.stderr
        );
    }
    let ended = status(&["nowhere".into()], &[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
}
