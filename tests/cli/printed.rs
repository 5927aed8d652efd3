//! Foreign text as a running server prints it: in its log, its status, and its answers to questions
//! and to denied clients.

use crate::denying;
use customs_test_support::server::{Plan, run};

/// Terminal controls, bidirectional controls, and line ends, as in JSON.
const HOSTILE: &str = r"\u001b[31m\u009b8m\u202e\u2066\u061c\n\r\u0085\u2028\t\u200b\ufeff\u00ad\u007f\U000e0041forged: line";

fn is_clean(what: &str, text: &str) {
    let hidden = [
        0x7f..=0xa0,
        0xad..=0xad,
        0x61c..=0x61c,
        0x2000..=0x200f,
        0x2028..=0x202f,
        0x205f..=0x206f,
        0xfeff..=0xfeff,
        0xe0000..=0xe0fff,
    ];
    let is_hidden = |c: &char| {
        hidden
            .iter()
            .any(|range: &std::ops::RangeInclusive<u32>| range.contains(&u32::from(*c)))
    };
    let bad = text
        .chars()
        .find(|c| (*c < ' ' && *c != '\n') || is_hidden(c));
    assert_eq!(bad, None, "{what}: {text:?}");
    assert!(
        text.lines().all(|line| !line.starts_with("forged")),
        "{what}: {text}"
    );
    assert!(
        text.contains("\\u{202e}") || text.contains("\\u202e"),
        "{what}: it is printed: {text}"
    );
}

#[test]
fn a_server_prints_nothing_of_a_stranger_as_it_is() {
    let text = format!("\"{HOSTILE}\"");
    let policy = format!(
        "{{apiVersion: egress.customs/v1alpha1, kind: EgressPolicy, metadata: {{name: ep, namespace: demo-frontend}},\n\
         spec: {{owner: {text}, deny: [{{name: d, hosts: [x.example], reason: {text}, ticket: {text}}}]}}}}\n"
    );
    let mut server = Plan::with("--policies good --policies bad")
        .file("good/a.yaml", &policy)
        .file("bad/a.yaml", &denying("a", "y.example"))
        .start();
    server.folder.put(
        "bad/a.yaml",
        &format!("{{apiVersion: egress.customs/v1alpha1, kind: {text}, {text}: 1}}\n"),
    );
    server.source(1, "refused");
    is_clean("status", &server.get("/status").unwrap().1);
    let admin = format!("127.0.0.1:{}", server.admin);
    for flags in [&[][..], &["--format", "json"]] {
        let mut arguments = vec![
            "check",
            "--admin",
            &admin,
            "--from",
            "demo-frontend/sleep",
            "--to",
            "http://x.example/",
        ];
        arguments.extend(flags);
        let ended = run(&server.folder.at(""), &arguments);
        assert_eq!(ended.code, Some(1), "{ended:?}");
        is_clean("check --admin", &ended.stdout);
    }
    let refused = [
        "check",
        "--admin",
        &admin,
        "--from",
        "a\u{1b}\u{202e}/b",
        "--to",
        "http://x.example/",
    ];
    is_clean(
        "a bad question",
        &run(&server.folder.at(""), &refused).stderr,
    );
    is_clean("the log", &server.stop().stderr);
}
