//! A server that is given little: few descriptors, and the memory of the deployment. It survives,
//! and a client that is served stays served.

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use customs_test_support::audited_server::{Server, check, mixed, run};
use customs_test_support::load::Load;

use crate::connection::Connection;

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
    let (log, code) = (server.log(), server.stop());
    assert_eq!(code, Some(0), "{log}");
}

#[test]
fn a_server_without_descriptors_serves_whom_it_serves_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        "--audit=file:audit.jsonl?rotate_size=1MiB",
        "--reload-rescan=1s",
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
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        assert_eq!(ask(&mut kept, "api.example"), Some(0), "{}", server.log());
        assert_eq!(
            ask(&mut kept, "www.aliyun.com"),
            Some(7),
            "{}",
            server.log()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(server.is_running(), "{}", server.log());

    // Each problem is told once a minute, and not with each connection.
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
