//! Settings: the printed defaults, and which layer overrides which.

use std::path::Path;

use crate::denying;
use customs_test_support::server::{Plan, command, run};

fn printed() -> String {
    let ended = run(Path::new("."), &["settings"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    ended.stdout
}

#[test]
fn the_printed_defaults_are_those_of_a_server_without_arguments() {
    let printed = printed();
    for line in [
        "policies: [\"./policies\"]",
        "listen: [\"127.0.0.1:9191\"]",
        "threads: null",
        "admin: \"127.0.0.1:9192\"",
        "audit: [\"stdout\"]",
        "trust_domains: [\"cluster.local\"]",
        "accept_trust_domains: []",
        "default: \"allow\"",
        "enforcement: \"enforce\"",
        "request_validation: \"enforce\"",
        "root_namespace: \"istio-system\"",
        "reload_settle: \"250ms\"",
        "reload_rescan: \"10s\"",
        "max_concurrent_streams: 1024",
        "max_pending_resets: null",
        "max_message_size: \"4MiB\"",
        "max_queued_checks: 1024",
        "drain_delay: \"2s\"",
        "drain_timeout: \"5s\"",
        "require_policy: false",
    ] {
        let at = printed
            .lines()
            .position(|printed| printed == line)
            .unwrap_or_else(|| panic!("no {line} in {printed}"));
        let before = printed.lines().nth(at - 1).unwrap();
        assert!(before.starts_with("# "), "{line} is not explained");
    }
}

#[test]
fn the_printed_settings_are_accepted_as_they_are() {
    let plan = Plan::new()
        .file("settings.yaml", &printed())
        .file("policies/a.yaml", &denying("a", "x.example"));
    let server = plan.flags("--config settings.yaml").start();
    assert_eq!(server.check("x.example").reason(), "denied_by_rule");
}

#[test]
fn without_any_flag_it_serves_the_policies_folder_and_records_on_stdout() {
    let mut server = Plan::new()
        .file("policies/a.yaml", &denying("a", "x.example"))
        .start();
    assert!(!server.check("x.example").allowed);
    assert!(server.check("y.example").allowed);
    let status = server.status();
    for (name, value) in [
        ("enforcement", "enforce"),
        ("requestValidation", "enforce"),
        ("default", "allow"),
    ] {
        assert_eq!(status[name], value);
    }
    assert_eq!(status["sources"][0]["name"], "./policies");
    assert_eq!(status["sources"][0]["files"][0], "a.yaml");
    assert_eq!(status["rules"]["egressDeny"], 1);
    let ended = server.stop();
    assert_eq!(
        ended
            .stdout
            .lines()
            .filter(|line| line.contains("\"kind\":\"decision\""))
            .count(),
        2
    );
    assert!(
        !ended.stderr.contains("\"kind\""),
        "logs and record are kept apart: {}",
        ended.stderr
    );
}

#[test]
fn a_flag_beats_the_environment_and_that_beats_the_file() {
    let server = Plan::new()
        .file("policies/a.yaml", &denying("a", "x.example"))
        .file(
            "settings.yaml",
            "enforcement: enforce\nrequest_validation: enforce\ndefault: deny\n",
        )
        .environment("CUSTOMS_CONFIG", "settings.yaml")
        .environment("CUSTOMS_ENFORCEMENT", "enforce")
        .environment("CUSTOMS_REQUEST_VALIDATION", "report")
        .flags("--enforcement report")
        .start();
    let status = server.status();
    assert_eq!(status["default"], "deny", "the file beats the default");
    assert_eq!(
        status["requestValidation"], "report",
        "the environment overrides the file"
    );
    assert_eq!(
        status["enforcement"], "report",
        "the flag overrides the environment"
    );
}

#[test]
fn lists_in_the_environment_have_commas_and_an_empty_trust_domain_is_the_default() {
    let server = Plan::new()
        .file("a/a.yaml", &denying("a", "x.example"))
        .file("b/b.yaml", &denying("b", "y.example"))
        .environment("CUSTOMS_POLICIES", "a,b")
        .environment("CUSTOMS_TRUST_DOMAINS", "")
        .environment("CUSTOMS_ACCEPT_TRUST_DOMAINS", "")
        .start();
    for host in ["x.example", "y.example"] {
        assert_eq!(server.check(host).reason(), "denied_by_rule");
    }
}

#[test]
fn the_help_names_a_variable_and_never_its_value() {
    let secret = "c2VjcmV0LXRva2Vu";
    let sink = format!("otlp:https://collector.example:4317?header=authorization:{secret}");
    let output = command()
        .args(["serve", "--help"])
        .env("CUSTOMS_AUDIT", sink)
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("[env: CUSTOMS_AUDIT]"), "{help}");
    assert!(!help.contains(secret), "{help}");
}
