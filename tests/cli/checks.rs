//! Checks over gRPC, as Envoy sends them and as it never should.

use envoy_types::pb::envoy::service::auth::v3::CheckRequest;

use crate::denying;
use crate::record::Record;
use customs_test_support::check_client::{self, Answer, OTHER};
use customs_test_support::server::{Plan, Server};

/// Starts a server with a policy that denies `x.example` to `demo-frontend`.
fn server(flags: &str) -> Server {
    Plan::with(flags)
        .file("policies/a.yaml", &denying("a", "x.example"))
        .start()
}

fn ask(server: &Server, check: CheckRequest) -> Answer {
    check_client::wait(check_client::check(&server.channel, check)).unwrap()
}

#[test]
fn the_denied_caller_is_denied_and_the_others_are_not() {
    let server = server("");
    let denied = server.check("x.example");
    assert_eq!(
        (denied.allowed, denied.http, denied.reason()),
        (false, 403, "denied_by_rule")
    );
    assert_eq!(denied.says("rule"), "ep:demo-frontend/a#no-host");
    assert_eq!(denied.says("revision"), server.revision());
    let other = ask(&server, check_client::http(OTHER, "x.example"));
    assert_eq!((other.allowed, other.reason()), (true, "default_allow"));
    assert!(server.check("y.example").allowed);
}

#[test]
fn an_empty_check_is_a_denial_with_a_reason() {
    let server = server("");
    let answer = ask(&server, CheckRequest::default());
    assert_eq!(
        (answer.allowed, answer.http, answer.reason()),
        (false, 403, "empty_request")
    );
}

#[test]
fn garbage_is_a_grpc_error_and_the_server_continues() {
    let mut server = server("");
    for garbage in [
        &b"\xff\xff\xff"[..],
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0b",
        &[0x0a; 5000],
        &[0; 5 * 1024 * 1024],
    ] {
        let error = check_client::wait(check_client::raw(&server.channel, garbage.to_vec()))
            .expect_err("garbage is not a check");
        assert_ne!(error.code(), tonic::Code::Ok);
        assert!(!server.check("x.example").allowed);
    }
    let record = Record::of(&server.stop().stdout);
    assert_eq!(
        record.decisions().len(),
        5,
        "what is not a check is not a decision"
    );
}

#[test]
fn a_server_that_only_reports_allows_and_records_the_verdict() {
    let mut server = server("--enforcement report");
    let answer = server.check("x.example");
    assert_eq!(
        (answer.allowed, answer.says("verdict"), answer.reason()),
        (true, "deny", "denied_by_rule")
    );
    let record = Record::of(&server.stop().stdout);
    let line = record.decisions()[0];
    for (name, value) in [
        ("effect", "allow"),
        ("verdict", "deny"),
        ("reason", "denied_by_rule"),
        ("enforcement", "report"),
    ] {
        assert_eq!(line[name], value);
    }
}

#[test]
fn a_server_that_only_reports_is_ready_without_a_policy() {
    let server = Plan::with("--enforcement report").start();
    let answer = server.check("x.example");
    assert_eq!(
        (answer.allowed, answer.says("verdict"), answer.reason()),
        (true, "deny", "no_policy")
    );
}

#[test]
fn what_nothing_concerns_is_denied_where_that_is_the_default() {
    let server = server("--default deny");
    let answer = server.check("y.example");
    assert_eq!(
        (answer.allowed, answer.http, answer.reason()),
        (false, 403, "default_deny")
    );
}

#[test]
fn request_validation_can_be_a_dry_run_alone() {
    for (flags, allowed, dry_run) in [
        ("", false, "deny"),
        ("--request-validation report", true, "deny"),
    ] {
        let server = server(flags);
        let answer = ask(&server, check_client::http(OTHER, "not a host"));
        assert_eq!(
            (answer.allowed, answer.says("dry_run")),
            (allowed, dry_run),
            "{flags}"
        );
        assert_eq!(answer.says("dry_run_reason"), "malformed_host", "{flags}");
        assert!(
            !server.check("x.example").allowed,
            "rules are enforced with {flags:?}"
        );
    }
}
