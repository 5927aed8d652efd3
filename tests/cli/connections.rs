//! Connections that lock nobody out: few descriptors, idle clients, and users of a unix socket.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use customs_test_support::check_client::{self, SLEEP};
use customs_test_support::server::{Ended, Plan, Server, run};
use customs_test_support::wait_for;

use crate::denying;

/// Clients that connect, send this, and stay.
fn idle(port: u16, count: usize, begun: &[u8]) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // A connection that is closed at once may refuse what is written.
        let _ = stream.write_all(begun);
        stream
    };
    (0..count).map(connect).collect()
}

/// Makes a check over a connection of its own.
fn is_answered(port: u16) -> bool {
    let channel = check_client::channel(&format!("http://127.0.0.1:{port}"));
    let check = check_client::check(&channel, check_client::http(SLEEP, "x.example"));
    check_client::wait(check).is_ok_and(|answer| !answer.allowed)
}

fn warnings(server: &Server) -> usize {
    let log = server.folder.text("out/stderr");
    log.lines().filter(|line| line.contains("WARN")).count()
}

#[test]
fn idle_clients_of_the_admin_address_keep_no_check_out() {
    let plan = Plan::new().file("policies/a.yaml", &denying("a", "x.example"));
    let server = plan.open_files(256).start();
    for begun in [
        "",
        "GET /status HTTP/1.1\r\nhost: x\r\n",
        "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n",
    ] {
        let _clients = idle(server.admin, 361, begun.as_bytes());
        assert!((0..5).all(|_| is_answered(server.port)), "{begun:?}");
        assert_eq!(server.get("/healthz").unwrap().0, 200, "{begun:?}");
    }
    let log = server.folder.text("out/stderr");
    let reduced = log.lines().filter(|line| line.contains("too few files"));
    assert_eq!(reduced.count(), 1, "{log}");
}

#[test]
fn a_server_with_few_descriptors_reloads_and_answers_beside_idle_clients() {
    let plan = Plan::with("--threads 2").file("policies/a.yaml", &denying("a", "x.example"));
    let server = plan.open_files(64).start();
    let kept = check_client::channel(&format!("http://127.0.0.1:{}", server.port));
    let ask = || check_client::check(&kept, check_client::http(SLEEP, "x.example"));
    assert!(!check_client::wait(ask()).unwrap().allowed);
    for (number, begun) in ["", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"].iter().enumerate() {
        let before = warnings(&server);
        let _clients = idle(server.port, 300, begun.as_bytes());
        let _operators = idle(server.admin, 100, b"");
        assert!(!check_client::wait(ask()).unwrap().allowed, "{begun:?}");
        assert!(is_answered(server.port), "{begun:?}");
        let old = server.revision();
        server.folder.put(
            "policies/b.yaml",
            &denying("b", &format!("y{number}.example")),
        );
        server.revision_after(&old);
        assert!(
            warnings(&server) <= before + 6,
            "{}",
            server.folder.text("out/stderr")
        );
    }
}

#[test]
fn the_limit_of_descriptors_is_raised_for_the_connections_of_the_settings() {
    let plan = Plan::new().file("policies/a.yaml", &denying("a", "x.example"));
    let server = plan
        .flags("--max-connections 3000")
        .soft_open_files(100)
        .start();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let files = limits
        .lines()
        .find(|line| line.starts_with("Max open files"));
    let soft: usize = files
        .unwrap()
        .split_whitespace()
        .nth(3)
        .unwrap()
        .parse()
        .unwrap();
    assert!(soft > 3000 + 64, "{limits}");
    assert!(!server.folder.text("out/stderr").contains("too few files"));
}

#[test]
fn open_connections_and_refusals_are_in_the_metrics() {
    let plan = Plan::new().file("policies/a.yaml", &denying("a", "x.example"));
    let flags = "--max-connections 4 --max-connections-per-peer 4";
    let server = plan.flags(flags).start();
    let _clients = idle(server.port, 9, b"");
    let shown = |line: &str| {
        let metrics = server.get("/metrics").unwrap().1;
        metrics.lines().any(|found| found == line).then_some(())
    };
    for line in [
        r#"customs_connections{port="checks"} 4"#,
        r#"customs_connections{port="admin"} 1"#,
        r#"customs_connections{port="tail"} 0"#,
        r#"customs_refusals_total{cause="connection_gave_way"} 5"#,
    ] {
        server.until(line, || shown(line));
    }
    let log = server.folder.text("out/stderr");
    let lines = log
        .lines()
        .filter(|line| line.contains("connection_gave_way"));
    assert_eq!(lines.count(), 1, "once a minute for a peer: {log}");
}

#[test]
fn a_unix_socket_has_its_mode_and_refuses_users_that_it_does_not_list() {
    let mine = rustix::process::geteuid().as_raw();
    for (peers, expected) in [(mine, true), (mine + 1, false)] {
        let plan = Plan::new().file("policies/a.yaml", &denying("a", "x.example"));
        let path = plan.folder.at("out/customs.sock");
        let flags = format!("--listen unix:{}?mode=0640&peers={peers}", path.display());
        let server = plan.flags(&flags).start();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o640);
        let channel = check_client::channel(&format!("unix:{}", path.display()));
        let check = check_client::check(&channel, check_client::http(SLEEP, "x.example"));
        assert_eq!(check_client::wait(check).is_ok(), expected);
        let log = server.folder.text("out/stderr");
        let told = log.contains("user_not_allowed") && log.contains(&format!("the user {mine}"));
        assert_eq!(told, !expected, "{log}");
    }
}

#[test]
fn a_tail_has_the_options_of_a_unix_socket() {
    let mine = rustix::process::geteuid().as_raw();
    let plan = Plan::new().file("policies/a.yaml", &denying("a", "x.example"));
    let path = plan.folder.at("out/tail.sock");
    let flags = format!(
        "--audit tail:unix:{}?on_full=drop&mode=0600&peers={}",
        path.display(),
        mine + 1
    );
    let server = plan.flags(&flags).start();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let mut refused = UnixStream::connect(&path).unwrap();
    refused
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    assert_eq!(refused.read(&mut [0; 1]).unwrap_or(0), 0, "it is closed");
    server.until("the log has it", || {
        let log = server.folder.text("out/stderr");
        log.contains("tail: a user that the address does not list")
            .then_some(())
    });
}

#[test]
fn the_record_of_a_check_over_a_unix_socket_names_its_user() {
    let mine = rustix::process::geteuid().as_raw();
    let plan = Plan::new().file("policies/a.yaml", &denying("a", "x.example"));
    let path = plan.folder.at("out/customs.sock");
    let mut server = plan
        .flags(&format!("--listen unix:{}", path.display()))
        .start();
    let channel = check_client::channel(&format!("unix:{}", path.display()));
    let check = check_client::check(&channel, check_client::http(SLEEP, "x.example"));
    assert!(check_client::wait(check).is_ok());
    let record = server.stop().stdout;
    let identity = format!(r#""peerIdentity":"uid:{mine}""#);
    let decisions: Vec<&str> = record
        .lines()
        .filter(|line| line.contains(r#""kind":"decision""#))
        .collect();
    assert!(
        decisions.len() == 1 && decisions[0].contains(&identity),
        "{record}"
    );
}

/// Asks what a check would get, at an address for operators.
fn ask(server: &Server, admin: &str) -> Ended {
    let to = "http://x.example/";
    let from = ["check", "--from", "demo-frontend/sleep", "--to", to];
    run(
        &server.folder.at(""),
        &[&from[..], &["--admin", admin]].concat(),
    )
}

#[test]
fn operators_are_answered_over_a_unix_socket_with_its_options() {
    let mine = rustix::process::geteuid().as_raw();
    let plan = Plan::with("").file("policies/a.yaml", &denying("a", "x.example"));
    let path = plan.folder.at("out/admin.sock");
    let address = format!("unix:{}?mode=0600&peers={mine}", path.display());
    let mut server = plan.environment("CUSTOMS_ADMIN", &address).spawn();
    let answer = wait_for(|| Some(ask(&server, &address)).filter(|ended| ended.code == Some(1)));
    let answer = answer.unwrap_or_else(|| panic!("{}", server.folder.text("out/stderr")));
    assert!(answer.stdout.contains("denied by ep:"), "{answer:?}");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let mut client = UnixStream::connect(&path).unwrap();
    client
        .write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut ready = String::new();
    client.read_to_string(&mut ready).unwrap();
    assert!(
        ready.starts_with("HTTP/1.1 200 ") && ready.ends_with("ready\n"),
        "{ready}"
    );
    let record = server.stop().stdout;
    assert!(
        record.contains(&format!(r#""askedBy":"uid:{mine}""#)),
        "{record}"
    );
    assert!(!path.exists(), "its file is removed at the end");
}

#[test]
fn a_user_that_the_admin_socket_does_not_list_is_refused() {
    let mine = rustix::process::geteuid().as_raw();
    let plan = Plan::with("").file("policies/a.yaml", &denying("a", "x.example"));
    let path = plan.folder.at("out/admin.sock");
    let address = format!("unix:{}?peers={}", path.display(), mine + 1);
    let server = plan.environment("CUSTOMS_ADMIN", &address).spawn();
    let listening = wait_for(|| UnixStream::connect(&path).ok());
    assert!(listening.is_some());
    let refused = ask(&server, &address);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("did not answer"), "{refused:?}");
    let log = wait_for(|| {
        let log = server.folder.text("out/stderr");
        log.contains("admin: a user that the address does not list")
            .then_some(())
    });
    assert!(log.is_some(), "{}", server.folder.text("out/stderr"));
}

#[test]
fn a_wrong_option_of_a_unix_socket_is_refused_at_the_start() {
    for (flag, expected) in [
        ("--admin unix:out/x.sock?mode=rw", "invalid mode `rw`"),
        (
            "--admin unix:out/x.sock --admin-tls certificate=a,private_key=b",
            "a unix socket has no TLS: remove `admin_tls`",
        ),
        ("--listen unix:out/x.sock?mode=rw", "invalid mode `rw`"),
        (
            "--listen unix:out/x.sock?users=1",
            "unknown option `users` of a unix socket",
        ),
        (
            "--audit tail:unix:out/x.sock?owner=root",
            "invalid owner `root`",
        ),
        ("--audit tail:127.0.0.1:1?mode=0600", "mode"),
    ] {
        let ended = Plan::new().flags(flag).fails();
        assert_eq!(ended.code, Some(2), "{flag}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{flag}: {}", ended.stderr);
    }
}
