//! Starts that fail: each with its exit code, and a message that names the place and what to do.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};

use crate::denying;
use customs_test_support::check_client::{self, OTHER};
use customs_test_support::server::{Ended, Plan};

/// Asserts that it ended with this code, and that one line of stderr contains all parts.
fn refused(ended: &Ended, code: i32, parts: &[&str]) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    let said = |line: &str| parts.iter().all(|part| line.contains(part));
    assert!(
        ended.stderr.lines().any(said) || said(&ended.stderr.replace('\n', " ")),
        "no {parts:?} in {ended:?}"
    );
    assert_eq!(ended.stdout, "", "there is nothing to record");
}

#[test]
fn a_bad_flag_is_reported_before_anything_is_opened() {
    for (flags, parts) in [
        ("--nope", &["unexpected argument", "--nope", "--help"][..]),
        ("--default maybe", &["--default", "maybe", "allow, deny"]),
        (
            "--enforcement off",
            &["--enforcement", "off", "enforce, report"],
        ),
        ("--trusted-hops many", &["--trusted-hops", "many"]),
        (
            "--reload-settle 5x",
            &["--reload-settle: ", "reload_settle `5x`", "250ms"],
        ),
        (
            "--reload-rescan soon",
            &["--reload-rescan: ", "reload_rescan `soon`", "5s"],
        ),
        (
            "--reload-rescan 0",
            &["--reload-rescan: ", "reload_rescan `0`", "10s"],
        ),
        (
            "--drain-delay 5",
            &["--drain-delay: ", "drain_delay `5`", "5s"],
        ),
        (
            "--drain-timeout=-1s",
            &["--drain-timeout: ", "drain_timeout `-1s`", "5s"],
        ),
        (
            "--listen 9191",
            &["--listen: ", "listen[0] `9191`", "127.0.0.1:9191"],
        ),
        (
            "--listen unix:",
            &["--listen: ", "listen[0]", "unix:/run/customs.sock"],
        ),
        (
            "--admin 9192",
            &["--admin: ", "admin `9192`", "HOST:PORT", "unix:PATH", "off"],
        ),
        (
            "--audit syslog",
            &["--audit: ", "audit[0] `syslog`", "file:PATH"],
        ),
        (
            "--audit off --audit stdout",
            &["--audit: ", "audit[0] `off`", "`off` must be alone"],
        ),
        (
            "--policies a --policies a",
            &["--policies: ", "policies[1] `a`", "twice"],
        ),
        (
            "--trust-domains spiffe://x",
            &[
                "--trust-domains: ",
                "trust_domains[0] `spiffe://x`",
                "without `spiffe://`",
            ],
        ),
        (
            "--root-namespace Root",
            &[
                "--root-namespace: ",
                "root_namespace `Root`",
                "istio-system",
            ],
        ),
        ("--config gone.yaml", &["gone.yaml", "No such file"]),
    ] {
        let ended = Plan::new().flags(flags).fails();
        refused(&ended, 2, parts);
    }
}

#[test]
fn everything_wrong_with_the_settings_is_reported_at_once() {
    let ended = Plan::new()
        .flags("--reload-settle 5x --drain-delay 6x --admin nowhere")
        .fails();
    for wrong in ["5x", "6x", "nowhere"] {
        refused(&ended, 2, &[wrong]);
    }
}

#[test]
fn a_bad_variable_is_a_bad_setting() {
    for (name, value) in [
        ("CUSTOMS_DEFAULT", "maybe"),
        ("CUSTOMS_DRAIN_DELAY", "5x"),
        ("CUSTOMS_LOG", "=,="),
    ] {
        refused(&Plan::new().environment(name, value).fails(), 2, &[value]);
    }
    let ended = Plan::new().environment("CUSTOMS_DRAIN_DELAY", "5x").fails();
    refused(&ended, 2, &["CUSTOMS_DRAIN_DELAY: ", "drain_delay `5x`"]);
}

#[test]
fn a_misspelt_variable_ends_the_start_with_the_setting_that_was_meant() {
    for (name, value, parts) in [
        (
            "CUSTOMS_DEFUALT",
            "deny",
            &["`CUSTOMS_DEFUALT`", "did you mean `CUSTOMS_DEFAULT`?"][..],
        ),
        (
            "customs_default",
            "deny",
            &["`customs_default`", "did you mean `CUSTOMS_DEFAULT`?"],
        ),
        (
            "CUSTOMS_ENFORCE",
            "true",
            &["`CUSTOMS_ENFORCE`", "did you mean `CUSTOMS_ENFORCEMENT`?"],
        ),
        (
            "CUSTOMS_LOG",
            "verbose",
            &[
                "invalid CUSTOMS_LOG `verbose`",
                "invalid level `verbose`: write `debug` or `trace`",
            ],
        ),
        (
            "CUSTOMS_LOG",
            "info,custom=debug",
            &["did you mean `customs`?"],
        ),
    ] {
        refused(&Plan::new().environment(name, value).fails(), 2, parts);
    }
}

#[test]
fn a_foreign_variable_is_reported_and_does_not_stop_the_start() {
    let plan = Plan::new()
        .file("policies/a.yaml", &denying("a", "x.example"))
        .environment("CUSTOMS_VERSION", "1.2");
    let mut server = plan.start();
    assert_eq!(server.check("x.example").reason(), "denied_by_rule");
    let ended = server.stop();
    let expected =
        "customs: warning: unknown setting `CUSTOMS_VERSION` in the environment is ignored";
    assert_eq!(
        ended
            .stderr
            .lines()
            .filter(|line| *line == expected)
            .count(),
        1,
        "{}",
        ended.stderr
    );
}

#[test]
fn the_links_of_a_kubernetes_service_do_not_stop_the_start() {
    let mut plan = Plan::new().file("policies/a.yaml", &denying("a", "x.example"));
    for (name, value) in [
        ("CUSTOMS_SERVICE_HOST", "10.96.0.7"),
        ("CUSTOMS_SERVICE_PORT", "9191"),
        ("CUSTOMS_SERVICE_PORT_GRPC", "9191"),
        ("CUSTOMS_PORT", "tcp://10.96.0.7:9191"),
        ("CUSTOMS_PORT_9191_TCP", "tcp://10.96.0.7:9191"),
        ("CUSTOMS_PORT_9191_TCP_ADDR", "10.96.0.7"),
    ] {
        plan = plan.environment(name, value);
    }
    assert_eq!(plan.start().check("x.example").reason(), "denied_by_rule");
}

#[test]
fn a_bad_settings_file_is_reported_with_file_line_and_column() {
    for (text, parts) in [
        (
            "default: deny\nlissten: [x]\n",
            &["settings.yaml:2:1", "lissten", "customs settings"][..],
        ),
        (
            "default: deny\n\nlisten: [x\n",
            &["settings.yaml:3:9", "unclosed", "customs settings"],
        ),
        (
            "default: deny\ndefault: allow\n",
            &["settings.yaml:2:1", "default"],
        ),
        (
            "policies:\n- a\nlisten: {a: b}\n",
            &["settings.yaml:3:9", "customs settings"],
        ),
        ("default: perhaps\n", &["settings.yaml:1:10", "perhaps"]),
        ("trusted_hops: -1\n", &["settings.yaml:1:15"]),
        (
            "reload_settle: 5x\n",
            &["settings.yaml:1:16: ", "reload_settle `5x`"],
        ),
    ] {
        let ended = Plan::new()
            .file("settings.yaml", text)
            .flags("--config settings.yaml")
            .fails();
        refused(&ended, 2, parts);
    }
}

#[test]
fn a_port_in_use_is_named_with_its_flag() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (flag, code) in [("--listen", 1), ("--admin", 1)] {
        let ended = Plan::new().flags(&format!("{flag} {address}")).fails();
        refused(&ended, code, &[&address, "in use", "another address", flag]);
    }
}

#[test]
fn an_audit_file_in_a_missing_directory_is_reported() {
    let ended = Plan::new().flags("--audit file:gone/audit.jsonl").fails();
    refused(
        &ended,
        1,
        &["gone/audit.jsonl", "No such file", "create its directory"],
    );
}

#[test]
fn a_stale_socket_file_is_replaced_and_removed_at_the_end() {
    let plan = Plan::new().file("policies/a.yaml", &denying("a", "x.example"));
    let path = plan.folder.at("out/customs.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a socket file outlives its listener");
    let flags = format!(
        "--listen unix:{} --listen 127.0.0.1:{}",
        path.display(),
        plan.port
    );
    let mut server = plan.flags(&flags).start();
    let channel = check_client::channel(&format!("unix:{}", path.display()));
    let answer = check_client::wait(check_client::check(
        &channel,
        check_client::http(OTHER, "x.example"),
    ))
    .unwrap();
    assert!(answer.allowed);
    assert!(
        !server.check("x.example").allowed,
        "both addresses are served"
    );
    server.stop();
    assert!(!path.exists());
}

#[test]
fn a_socket_in_use_is_left_alone() {
    let plan = Plan::new();
    let path = plan.folder.at("out/customs.sock");
    let live = UnixListener::bind(&path).unwrap();
    // The folder is removed with the server, so it is checked before that.
    let mut server = plan.flags("--listen unix:out/customs.sock").spawn();
    refused(
        &server.end(),
        1,
        &["unix:out/customs.sock", "in use", "another address"],
    );
    UnixStream::connect(&path).unwrap();
    drop(live);
}

#[test]
fn a_file_that_is_not_a_socket_is_left_alone() {
    let plan = Plan::new().file("out/notes.txt", "mine");
    let mut server = plan.flags("--listen unix:out/notes.txt").spawn();
    refused(
        &server.end(),
        1,
        &["unix:out/notes.txt", "not a socket", "another path"],
    );
    assert_eq!(
        fs::read_to_string(server.folder.at("out/notes.txt")).unwrap(),
        "mine"
    );
}
