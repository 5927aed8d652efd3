//! Tests that a status of any version is read, and that other answers are distinguished.

use super::*;

#[test]
fn a_status_is_read_whatever_other_fields_it_has() {
    let status = CustomsStatus::read(
        br#"{"version": "9.9.9", "ready": true, "revision": "abc", "enforcement": "report",
            "loadedAt": "2030-01-02T03:04:05Z", "somethingNew": {"a": [1]},
            "sources": [{"name": "p", "state": "refused", "problems": [{"place": "a.yaml:1:2", "text": "bad", "code": "x"}]}],
            "audit": [{"sink": "stdout", "healthy": false, "problem": "closed"}],
            "tls": [{"address": "listen", "notAfter": "2031-01-01T00:00:00Z"}]}"#,
    )
    .unwrap();
    assert_eq!(status.version, "9.9.9");
    assert!(!status.sources[0].is_good());
    assert_eq!(status.sources[0].problems[0].place, "a.yaml:1:2");
    assert!(!status.audit[0].healthy && !status.audit[0].withholding);
    assert_eq!(status.tls[0].not_after.to_string(), "2031-01-01T00:00:00Z");
}

#[test]
fn an_answer_of_another_program_is_named() {
    for (body, expected, is_envoy) in [
        (
            "invalid path. admin commands are:\n /certs",
            "Envoy's admin address answers there",
            true,
        ),
        ("<html>", "a page of HTML", false),
        ("", "it is empty", false),
        (
            "{\"version\": \"1\", \"ready\"",
            "it ends in the middle",
            false,
        ),
        ("{\"version\": \"1\"}", "is it the --admin address", false),
        ("[]", "is it the --admin address", false),
    ] {
        let why = CustomsStatus::read(body.as_bytes()).unwrap_err();
        assert!(why.to_string().contains(expected), "{body}: {why}");
        assert_eq!(why.is_envoy(), is_envoy, "{body}");
    }
}
