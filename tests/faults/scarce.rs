//! A server that is given little: few descriptors, and the memory of the deployment. It survives,
//! and a client that is served stays served.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use customs_test_support::audited_server::{Server, check, mixed, run};
use customs_test_support::load::Load;
use customs_test_support::server::Plan;

use crate::connection::Connection;

/// A policy of the caller of the tests.
const POLICY: &str = "apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: no-aliyun, namespace: demo-frontend}
spec:
  owner: team-network
  deny: [{name: www, hosts: [www.aliyun.com]}]
";

/// The memory limit of the deployment, in kibibytes.
const MEMORY: u64 = 256 << 10;

#[test]
fn a_server_lives_within_the_memory_of_the_deployment() {
    let folder = tempfile::tempdir().unwrap();
    // What a process may map for its own data: the nearest to a container's limit that needs no
    // privilege. A failed allocation would abort the process.
    let limit = format!("ulimit -d {MEMORY}");
    let mut server = Server::start_under(&limit, folder.path(), &["--audit=file:audit.jsonl"]);
    let load = Load {
        connections: 16,
        in_flight: 64,
        ..Load::new(server.port, 8_000, mixed())
    };
    let result = run(&load);
    assert_eq!(
        (result.failed, result.withheld, result.answered()),
        (0, 0, 8_000),
        "{}",
        server.log()
    );
    assert_eq!(result.denied, 800);
    assert!(server.is_running());
    assert!(server.memory() < 256, "{} MiB", server.memory());
    println!(
        "{} checks over 16 connections within {} MiB, 0 failed",
        result.answered(),
        server.memory()
    );
    let (log, code) = (server.log(), server.stop());
    assert_eq!(code, Some(0), "{log}");
}

/// Starts a server that may open so few files that it ends by itself; returns its last message.
fn refused(limit: u32) -> String {
    let plan = Plan::with("--threads 2 --audit file:out/audit.jsonl").open_files(limit);
    let ended = plan.file("policies/a.yaml", POLICY).fails();
    assert_eq!(ended.code, Some(1), "{limit}: {ended:?}");
    ended.stderr
}

#[test]
fn a_server_that_may_open_too_few_files_says_how_many_it_needs_and_lives_with_them() {
    let said = refused(12);
    let needed = said.split("needs at least ").nth(1).unwrap();
    let needed: u32 = needed.split(':').next().unwrap().parse().unwrap();
    for limit in [8, 16, 24, needed - 1] {
        let said = refused(limit);
        let expected = format!("may open {limit} files, and this server needs at least {needed}: ");
        assert!(said.contains(&expected), "{limit}: {said}");
        assert_eq!(said.lines().count(), 1, "{limit}: {said}");
    }
    // With as many as it asked for it answers, reloads, records and ends.
    let plan = Plan::with("--threads 2 --audit file:out/audit.jsonl").open_files(needed);
    let mut server = plan.file("policies/a.yaml", POLICY).start();
    assert_eq!(server.check("www.aliyun.com").reason(), "denied_by_rule");
    assert!(server.check("api.example").allowed);
    let before = server.revision();
    let changed = POLICY.replace("www.aliyun.com", "api.example");
    server.folder.put("policies/a.yaml", &changed);
    server.revision_after(&before);
    assert_eq!(server.check("api.example").reason(), "denied_by_rule");
    let ended = server.stop();
    assert!(
        !ended.stderr.contains("Too many open files"),
        "{}",
        ended.stderr
    );
    let log = server.folder.text("out/audit.jsonl");
    let decisions = log
        .lines()
        .filter(|line| line.contains(r#""kind":"decision""#));
    assert_eq!(decisions.count(), 3, "{log}");
}

#[test]
fn a_server_without_descriptors_serves_whom_it_serves_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        "--audit=file:audit.jsonl?rotate_size=1MiB",
        "--reload-rescan=1s",
        // Each thread needs some descriptors, and machines have more processors than 64 suffice for.
        "--threads=2",
    ];
    let mut server = Server::start_under("ulimit -n 64", folder.path(), &flags);
    let mut kept = Connection::open(server.port).unwrap();
    let ask = |kept: &mut Connection, host: &str| kept.check(&check(host)).unwrap().code();
    assert_eq!(ask(&mut kept, "api.example"), Some(0));

    // More connections than there are descriptors; those beyond wait in the system's queue.
    let hoard: Vec<_> = (0..100)
        .filter_map(|_| TcpStream::connect(("127.0.0.1", server.port)).ok())
        .collect();
    assert!(hoard.len() > 60, "{}", hoard.len());
    let (begun, mut asked) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(2) {
        assert_eq!(ask(&mut kept, "api.example"), Some(0), "{}", server.log());
        assert_eq!(
            ask(&mut kept, "www.aliyun.com"),
            Some(7),
            "{}",
            server.log()
        );
        asked += 2;
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(server.is_running(), "{}", server.log());
    println!(
        "64 descriptors and {} idle clients: {asked} checks of a kept connection, 0 failed",
        hoard.len()
    );

    // The log has each problem once a minute, and not once a connection.
    let lines = server.log().lines().count();
    assert!(lines < 40, "{lines} lines in the log: {}", server.log());

    drop(hoard);
    server.until("new connections are answered again", || {
        Connection::open(server.port)
            .and_then(|mut fresh| fresh.check(&check("api.example")))
            .is_ok_and(|answer| answer.code() == Some(0))
    });
    // What could not be read meanwhile is read.
    let policy = folder.path().join("policies/a.yaml");
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, text.replace("www.aliyun.com", "api.example")).unwrap();
    server.until("the policies are read again", || {
        ask(&mut kept, "api.example") == Some(7)
    });
    // A client that stays would be waited for.
    drop(kept);
    let (log, code) = (server.log(), server.stop());
    assert_eq!(code, Some(0), "{log}");
}
