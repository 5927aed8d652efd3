//! `customs lint --fix`: what it changes, what it leaves alone, and that it changes no decision.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::{Folder, policy};

const EGRESS: &str = "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\n\
                      metadata: {name: egress, namespace: shop}\n";
const ISTIO: &str = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                     metadata: {name: p, namespace: istio-system}\n";

/// Returns the file after `lint --fix`.
fn fixed(text: &str) -> String {
    let folder = Folder::with(&[("policies/a.yaml", text)]);
    let ended = folder.run("lint --fix");
    assert!(ended.stderr.is_empty(), "{}", ended.stderr);
    fs::read_to_string(folder.path().join("policies/a.yaml")).unwrap()
}

/// What is certain, before and after. Comments, quotes and layout stay.
#[test]
fn what_is_certain_is_fixed() {
    for (head, before, after) in [
        (
            EGRESS,
            "spec:\n  deny:\n  - name: a   # why\n    hosts: [ 'WWW.Example.com.',  B.example ] # both\n",
            "spec:\n  deny:\n  - name: a   # why\n    hosts: [ 'www.example.com',  b.example ] # both\n",
        ),
        (
            EGRESS,
            "spec: {deny: [{name: a, hosts: [\"b\u{fc}cher.example\"]}]}\n",
            "spec: {deny: [{name: a, hosts: [\"xn--bcher-kva.example\"]}]}\n",
        ),
        (
            EGRESS,
            "spec: {deny: [{name: a, hosts: [\"a.example:\"]}]}\n",
            "spec: {deny: [{name: a, hosts: [\"a.example\"]}]}\n",
        ),
        (
            EGRESS,
            "spec: {deny: [{name: a, hosts: [a.example], methods: [post, 'Get']}]}\n",
            "spec: {deny: [{name: a, hosts: [a.example], methods: [POST, 'GET']}]}\n",
        ),
        (
            EGRESS,
            "spec: {deny: [{name: a, \"hots\": [a.example], method: [put]}]}\n",
            "spec: {deny: [{name: a, \"hosts\": [a.example], methods: [PUT]}]}\n",
        ),
        (
            EGRESS,
            "spec: {mode: report, deny: [{name: 7, hosts: [a.example], mode: ENFORCE}]}\n",
            "spec: {mode: Report, deny: [{name: \"7\", hosts: [a.example], mode: Enforce}]}\n",
        ),
        (
            EGRESS,
            "spec: {deny: [{name: norway, hosts: [no, \"on\"]}]}\n",
            "spec: {deny: [{name: norway, hosts: [\"no\", \"on\"]}]}\n",
        ),
        (
            ISTIO,
            "spec: {action: deny, rules: [{to: [{operation: {ports: [8443, '80']}}]}]}\n",
            "spec: {action: DENY, rules: [{to: [{operation: {ports: [\"8443\", '80']}}]}]}\n",
        ),
        (
            ISTIO,
            "spec:\n  action: DENY\n  rules:\n  - to:\n    - operation:\n        hosts:\n        - A.example # x\n        - b.example\n        - b.example\n        paths: [/a, /b, /a]\n",
            "spec:\n  action: DENY\n  rules:\n  - to:\n    - operation:\n        hosts:\n        - a.example # x\n        - b.example\n        paths: [/a, /b]\n",
        ),
        // A byte order mark and the line ends of Windows.
        (
            "",
            "\u{feff}apiVersion: egress.customs/v1alpha1\r\nkind: EgressPolicy\r\nmetadata: {name: e, namespace: n}\r\nspec: {deny: [{name: a, hosts: [A.example]}]}",
            "\u{feff}apiVersion: egress.customs/v1alpha1\r\nkind: EgressPolicy\r\nmetadata: {name: e, namespace: n}\r\nspec: {deny: [{name: a, hosts: [a.example]}]}",
        ),
    ] {
        assert_eq!(fixed(&format!("{head}{before}")), format!("{head}{after}"));
    }
}

/// What could mean several things, or would change what Istio or customs decides.
#[test]
fn what_is_not_certain_is_left_alone() {
    for (head, text) in [
        (
            EGRESS,
            "spec: {deny: [{name: a, hosts: [\"*example.com\"]}]}\n",
        ),
        (
            EGRESS,
            "spec: {deny: [{name: a, hosts: [\"https://a.example/\"]}]}\n",
        ),
        (EGRESS, "spec: {deny: [{name: a, domains: [a.example]}]}\n"),
        (
            EGRESS,
            "spec: {deny: [{name: a, hosts: [a.example], methods: [psot]}]}\n",
        ),
        (
            EGRESS,
            "spec: {deny: [{name: a, hosts: [a.example], host: [b.example]}]}\n",
        ),
        (EGRESS, "spec: {deny: [{name: a, hosts: [&x A.example]}]}\n"),
        (
            EGRESS,
            "spec: {deny: [{name: a, hosts: [\"A\\u002eexample\"]}]}\n",
        ),
        (
            EGRESS,
            "spec: {deny: [{name: a, hosts: [a.example]}, {name: a, hosts: [a.example]}]}\n",
        ),
        (EGRESS, "spec: {deny: [\n"),
        (
            ISTIO,
            "spec: {action: DENY, rules: [{to: [{operation: {hosts: [\"a.example.\"]}}]}]}\n",
        ),
        (
            ISTIO,
            "spec: {rules: [{to: [{operation: {methods: [post]}}]}]}\n",
        ),
        (ISTIO, "spec: {action: DENIES, rules: [{}]}\n"),
    ] {
        let text = format!("{head}{text}");
        assert_eq!(fixed(&text), text);
    }
}

#[test]
fn a_fix_that_would_make_a_new_error_is_not_written() {
    // With its action spelt right, the first policy has a conflict that was hidden before.
    let text = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                metadata: {name: p, namespace: istio-system, annotations: {istio.io/dry-run: \"true\"}}\n\
                spec: {action: audit, rules: [{to: [{operation: {hosts: [a.example]}}]}]}\n---\n";
    let text = format!("{text}{EGRESS}spec: {{deny: [{{name: a, hosts: [A.example]}}]}}\n");
    assert_eq!(fixed(&text), text.replace("A.example", "a.example"));
}

#[test]
fn policies_that_load_decide_as_before() {
    let istio = format!(
        "{ISTIO}spec:\n  action: DENY\n  rules:\n  - to:\n    - operation: {{hosts: [A.Example, b.example, b.example, no, 'X.*']}}\n\
         ---\n{ISTIO}spec:\n  rules:\n  - to:\n    - operation: {{hosts: ['*.EXAMPLE:8443', \"c.example\", c.example]}}\n"
    )
    .replacen("name: p,", "name: q,", 1);
    let egress = policy("shop", "{isolate: false, allow: [{name: a, hosts: [no]}]}");
    let folder = Folder::with(&[
        ("before/i.yaml", &istio),
        ("before/e.yaml", &egress),
        ("after/i.yaml", &istio),
        ("after/e.yaml", &egress),
    ]);
    assert_eq!(folder.run("lint before").code, Some(0));
    let report = folder.run("lint after --fix --format json").json();
    let fixes = report["fixed"].as_array().unwrap();
    assert!(fixes.len() >= 6, "{report}");
    let diff = folder.run("diff before after");
    assert_eq!(diff.code, Some(0), "{}{}", diff.stdout, diff.stderr);
}

#[test]
fn what_was_fixed_is_printed_and_what_is_left_decides_the_exit_code() {
    let text = format!(
        "{EGRESS}spec:\n  deny:\n  - {{name: a, hosts: [A.example]}}\n  - {{name: b, hosts: [x y]}}\n"
    );
    let folder = Folder::with(&[("policies/a.yaml", &text)]);
    let before = folder.run("lint policies");
    assert!(
        before
            .stdout
            .contains("\n1 problem can be fixed with --fix\n"),
        "{}",
        before.stdout
    );
    let ended = folder.run("lint --fix policies");
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.starts_with(
            "fixed[host-spelling]: policies/a.yaml:6:23: `A.example` is now `a.example`\nerror[bad-host]: "
        ),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.contains("\n1 problem fixed in 1 file\n"),
        "{}",
        ended.stdout
    );
    let again = folder.run("lint --fix");
    assert!(
        again.stdout.contains("\n0 problems fixed in 0 files\n"),
        "{}",
        again.stdout
    );
}

#[test]
fn a_diff_is_printed_and_nothing_is_written() {
    let text = format!("{EGRESS}spec:\n  deny:\n  - {{name: a, hosts: [A.example]}}\n");
    let folder = Folder::with(&[("policies/a.yaml", &text)]);
    let expected = "--- policies/a.yaml\n+++ policies/a.yaml\n@@ -3,4 +3,4 @@\n \
                    metadata: {name: egress, namespace: shop}\n spec:\n   deny:\n\
                    -  - {name: a, hosts: [A.example]}\n+  - {name: a, hosts: [a.example]}\n";
    let ended = folder.run("lint policies --fix --diff");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), expected));
    let path = folder.path().join("policies/a.yaml");
    assert_eq!(fs::read_to_string(path).unwrap(), text);
    for arguments in ["lint --diff", "lint --fix -"] {
        assert_eq!(folder.run(arguments).code, Some(2), "{arguments}");
    }
}

#[test]
fn a_file_keeps_its_permissions_and_a_link_stays_a_link() {
    let text = format!("{EGRESS}spec: {{deny: [{{name: a, hosts: [A.example]}}]}}\n");
    let folder = Folder::with(&[("real/a.yaml", &text), ("policies/README.md", "")]);
    let real = folder.path().join("real/a.yaml");
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    let link = folder.path().join("policies/a.yaml");
    symlink("../real/a.yaml", &link).unwrap();
    assert_eq!(folder.run("lint --fix").code, Some(0));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(
        fs::metadata(&real).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert_eq!(
        fs::read_to_string(&real).unwrap(),
        text.replace("A.example", "a.example")
    );
    let files = fs::read_dir(folder.path().join("real")).unwrap();
    assert_eq!(files.count(), 1, "no file is left behind");
}
