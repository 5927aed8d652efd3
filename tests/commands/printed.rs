//! Foreign text as it is printed: every command with hostile text in each field of a policy, in
//! names of files, in settings, flags, variables and records. None of it may control a terminal,
//! hide or reverse text, or begin a line.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{Ended, Folder, command, ended};

/// A colour, a title, a C1 control, reversed text, line ends of all kinds, invisible characters,
/// and tags.
const HOSTILE: &str = "\u{1b}[31m\u{1b}]0;x\u{7}\u{9b}8m\u{202e}\u{2066}\u{200f}\u{61c}\n\r\u{85}\u{2028}\u{2029}\t\u{200b}\u{feff}\u{ad}\u{7f}\u{e0041}\u{fe0f}\u{e000}forged: line";

/// The same for names of files, without line ends: a file with one in its name is rejected.
const HOSTILE_NAME: &str = "\u{202e}\u{2028}\u{e0041}\u{200b}";

fn is_ink(c: char) -> bool {
    let hidden = [
        0x7f..=0xa0,
        0xad..=0xad,
        0x61c..=0x61c,
        0x2000..=0x200f,
        0x2028..=0x202f,
        0x205f..=0x206f,
        0xe000..=0xf8ff,
        0xfe00..=0xfe0f,
        0xfeff..=0xfeff,
        0xe0000..=0x10ffff,
    ];
    c == '\n'
        || (c >= ' '
            && !hidden
                .iter()
                .any(|range: &std::ops::RangeInclusive<u32>| range.contains(&u32::from(c))))
}

/// Asserts that the hostile text does not appear unescaped.
fn is_clean(what: &str, text: &str) {
    let bad = text.chars().find(|c| !is_ink(*c));
    assert_eq!(bad, None, "{what}: {text:?}");
    // The text after the line ends of the hostile text never begins a line.
    let forged = text.lines().find(|line| line.starts_with("forged"));
    assert_eq!(forged, None, "{what}: {text}");
}

fn clean(what: &str, ended: &Ended) {
    is_clean(&format!("{what}, stdout"), &ended.stdout);
    is_clean(&format!("{what}, stderr"), &ended.stderr);
}

/// Returns the document with hostile text in one place: each text and each field name in turn.
fn spoilt(document: &Value) -> Vec<Value> {
    match document {
        Value::String(text) => vec![json!(format!("{text}{HOSTILE}")), json!(HOSTILE)],
        Value::Array(items) => {
            let at = |(at, item): (usize, &Value)| -> Vec<Value> {
                let put = |new| {
                    let mut items = items.clone();
                    items[at] = new;
                    Value::Array(items)
                };
                spoilt(item).into_iter().map(put).collect()
            };
            items.iter().enumerate().flat_map(at).collect()
        }
        Value::Object(fields) => {
            let of = |(name, value): (&String, &Value)| -> Vec<Value> {
                let put = |new| {
                    let mut fields = fields.clone();
                    fields[name] = new;
                    Value::Object(fields)
                };
                let mut renamed = fields.clone();
                renamed.remove(name);
                renamed.insert(format!("{name}{HOSTILE}"), value.clone());
                spoilt(value)
                    .into_iter()
                    .map(put)
                    .chain([Value::Object(renamed)])
                    .collect()
            };
            fields.iter().flat_map(of).collect()
        }
        other => vec![other.clone()],
    }
}

fn documents() -> [Value; 3] {
    let entry = |name: &str| {
        json!({"name": name, "hosts": ["a.example"], "methods": ["GET"], "paths": ["/x"], "ports": [443],
               "reason": "r", "ticket": "T-1", "destinations": ["set"], "mode": "Enforce", "expires": "2030-01-01T00:00:00Z",
               "subjects": [{"serviceAccounts": ["web"], "namespaces": ["shop"], "trustDomains": ["cluster.local"]}],
               "except": [{"hosts": ["b.a.example"], "reason": "r", "ticket": "T-2"}]})
    };
    [
        json!({"apiVersion": "egress.customs/v1alpha1", "kind": "EgressPolicy",
               "metadata": {"name": "ep", "namespace": "shop", "labels": {"a": "b"}, "annotations": {"c": "d"}},
               "spec": {"mode": "Enforce", "owner": "o", "isolate": true, "subjects": [{"serviceAccounts": ["web"]}],
                        "deny": [entry("d")], "allow": [entry("a")]}}),
        json!({"apiVersion": "egress.customs/v1alpha1", "kind": "DestinationSet",
               "metadata": {"name": "set", "namespace": "shop"}, "spec": {"hosts": ["a.example"], "owner": "o"}}),
        json!({"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
               "metadata": {"name": "ap", "namespace": "istio-system", "annotations": {"istio.io/dry-run": "true"}},
               "spec": {"action": "DENY", "selector": {"matchLabels": {"app": "x"}}, "targetRefs": [{"kind": "Gateway", "name": "g"}],
                        "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/a/sa/b"], "namespaces": ["a"],
                                                        "serviceAccounts": ["a/b"], "ipBlocks": ["10.0.0.0/8"]}}],
                                   "to": [{"operation": {"hosts": ["a.example"], "ports": ["80"], "methods": ["GET"], "paths": ["/x"]}}],
                                   "when": [{"key": "request.headers[x]", "values": ["y"]}]}]}}),
    ]
}

fn cases() -> Value {
    json!({"apiVersion": "egress.customs/v1alpha1", "kind": "PolicyTest", "metadata": {"name": "t"},
           "cases": [{"name": "c", "from": "shop/web", "to": "http://a.example/", "method": "GET", "headers": {"x": "y"},
                      "sni": "s", "sourceIp": "10.0.0.1", "now": "2026-01-01T00:00:00Z",
                      "expect": "Allow", "reason": "default_allow", "rule": "ep:a/b#c", "gate": "istio", "expired": "x"}]})
}

/// Returns a value as ASCII YAML, because a file may contain these characters only escaped.
fn yaml(value: &Value) -> String {
    let escaped = |c: char| match c {
        ' '..='~' => c.to_string(),
        c => format!("\\U{:08x}", u32::from(c)),
    };
    value.to_string().chars().map(escaped).collect()
}

/// Returns a set that loads, with hostile text wherever a policy may contain it.
fn good() -> String {
    let text = yaml(&json!(HOSTILE));
    format!(
        "{{apiVersion: egress.customs/v1alpha1, kind: EgressPolicy, metadata: {{name: ep, namespace: shop,\n\
         labels: {{a: {text}}}, annotations: {{b: {text}}}}},\n\
         spec: {{owner: {text}, isolate: true, deny: [{{name: d, hosts: [d.example], reason: {text}, ticket: {text},\n\
         except: [{{hosts: [d.example], paths: [/x], reason: {text}, ticket: {text}}}]}}],\n\
         allow: [{{name: a, hosts: [a.example], reason: {text}, ticket: {text}, expires: '2026-12-01T00:00:00Z'}}]}}}}\n"
    )
}

const READERS: [&str; 13] = [
    "lint DIR",
    "lint DIR --format json",
    "lint DIR --format sarif",
    "lint DIR --format github",
    "check --from shop/web --to http://d.example/ DIR",
    "check --from shop/web --to http://d.example/x DIR",
    "check --from shop/web --to http://x.example/ --format json DIR",
    "revision DIR",
    "diff DIR other",
    "diff other DIR --format json",
    "test DIR",
    "test DIR --format json",
    "test DIR --format junit",
];

/// Runs every command that reads policies on a directory.
fn read_by_all(folder: &Folder, directory: &str) -> String {
    let run = |line: &str| {
        let arguments = line
            .split_whitespace()
            .map(|word| if word == "DIR" { directory } else { word });
        let ended = ended(command(folder.path()).args(arguments));
        clean(line, &ended);
        for format in ["json", "sarif"] {
            if line.ends_with(&format!("--format {format}")) {
                ended.json();
            }
        }
        ended.stdout + &ended.stderr
    };
    READERS.iter().map(|line| run(line)).collect()
}

#[test]
fn no_command_prints_what_a_field_of_a_policy_or_case_says_as_it_is() {
    let folder = Folder::with(&[("other/a.yaml", &crate::policy("shop", "{isolate: true}"))]);
    let put = |name: String, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    for (at, document) in documents().iter().flat_map(spoilt).enumerate() {
        put(format!("bad/{at:03}.yaml"), &yaml(&document));
    }
    for (at, document) in spoilt(&cases()).iter().enumerate() {
        put(format!("bad/{at:03}.cases.yaml"), &yaml(document));
        put(format!("good/{at:03}.cases.yaml"), &yaml(document));
    }
    put("good/a.yaml".into(), &good());
    put(
        "raw/a.yaml".into(),
        &format!("kind: {HOSTILE}\n{HOSTILE}: [\n"),
    );
    put(format!("named/{HOSTILE_NAME}.yaml"), &good());
    put(
        format!("named/{HOSTILE_NAME}.cases.yaml"),
        &cases().to_string(),
    );
    put("ended/a\n\u{1b}[2J.yaml".into(), &good());
    put(format!("{HOSTILE_NAME}\u{1b}[2J/a.yaml"), &good());
    for directory in [
        "bad",
        "good",
        "raw",
        "named",
        "ended",
        &format!("{HOSTILE_NAME}\u{1b}[2J"),
        HOSTILE,
    ] {
        let output = read_by_all(&folder, directory);
        let is_escaped = ["\\u{202e}", "\\u202e"]
            .iter()
            .all(|text| output.contains(text))
            || ["ended", "raw"].contains(&directory);
        assert!(
            is_escaped,
            "{directory:?}: the hostile text shows, and its escapes: {output}"
        );
    }
}

#[test]
fn no_message_about_flags_variables_or_settings_says_a_text_as_it_is() {
    let folder = Folder::with(&[("policies/a.yaml", &good())]);
    let said = |what: &str, command: &mut Command| {
        let ended = ended(command);
        clean(what, &ended);
        assert!(
            (ended.stdout + &ended.stderr).contains("\\u{202e}"),
            "{what}: it is printed"
        );
    };
    for flags in [
        ["--from", HOSTILE, "--to", "http://a/"],
        ["--from", "shop/web", "--to", HOSTILE],
        ["--from", "shop/web", "--to", &format!("http://{HOSTILE}/")],
        ["--from", "shop/web", "--admin", HOSTILE],
        ["--request", HOSTILE, "--format", "json"],
        ["--config", HOSTILE, "--from", "shop/web"],
        ["--from", "shop/web", "--default", HOSTILE],
    ] {
        let extra = if flags.contains(&"--to") || flags.contains(&"--request") {
            &[][..]
        } else {
            &["--to", "http://a/"]
        };
        said(
            &format!("{flags:?}"),
            command(folder.path()).arg("check").args(flags).args(extra),
        );
    }
    let name = HOSTILE.replace('\0', "");
    said(
        "a variable's name",
        command(folder.path())
            .arg("lint")
            .env(format!("CUSTOMS_{name}"), "x"),
    );
    for variable in [
        "CUSTOMS_DEFAULT",
        "CUSTOMS_LOG",
        "CUSTOMS_POLICIES",
        "CUSTOMS_CONFIG",
        "CUSTOMS_LISTEN",
    ] {
        said(
            variable,
            command(folder.path())
                .args(["serve", "--require-policy"])
                .env(variable, HOSTILE),
        );
    }
    said("a command", command(folder.path()).args(["man", HOSTILE]));
    for text in [
        json!({HOSTILE: 1}),
        json!({"listen": [HOSTILE]}),
        json!({"policies": [HOSTILE], "require_policy": true}),
        json!({"default": HOSTILE}),
        json!({"audit": [format!("file:{HOSTILE}/x")]}),
        json!({"gateway": {"listeners": [{"port": 1, "host": HOSTILE}]}}),
        json!({"metadata": [HOSTILE]}),
        json!({"audit_log": {"queue_size": HOSTILE}}),
    ] {
        std::fs::write(folder.path().join("settings.yaml"), yaml(&text)).unwrap();
        said(
            &text.to_string(),
            command(folder.path()).args(["serve", "--config", "settings.yaml"]),
        );
    }
}

#[test]
fn no_record_and_no_name_of_its_file_is_printed_as_it_is() {
    let folder = Folder::with(&[]);
    let record = |sequence: usize, field: &str, value: Value| {
        let mut record = json!({"kind": "decision", "schema": "1", "time": "2026-01-01T00:00:00Z", "stream": "s",
                                "sequence": sequence.to_string(), "effect": "deny", "verdict": "deny", "dryRun": "deny"});
        record[field] = value;
        record.to_string() + "\n"
    };
    let fields = [
        "kind",
        "stream",
        "reason",
        "rule",
        "owner",
        "ticket",
        "ruleReason",
        "host",
        "rawHost",
        "path",
        "method",
        "namespace",
        "serviceAccount",
        "principal",
        "identity",
        "sni",
        "protocol",
        "revision",
        "chain",
        HOSTILE,
    ];
    let lines: String = fields
        .iter()
        .enumerate()
        .map(|(at, field)| record(at + 1, field, json!(HOSTILE)))
        .collect();
    let name = format!("{HOSTILE_NAME}\u{1b}[2J.jsonl");
    std::fs::write(folder.path().join(&name), format!("{lines}{HOSTILE}\n")).unwrap();
    for flags in [
        &["tail"][..],
        &["tail", "--format", "json"],
        &["stats"],
        &["stats", "--format", "json"],
        &["verify"],
        &["verify", "--format", "json"],
    ] {
        let ended = ended(
            command(folder.path())
                .arg("audit")
                .args(flags)
                .arg(&name)
                .stdin(Stdio::null()),
        );
        clean(&format!("{flags:?}"), &ended);
        assert!(
            ended.stdout.len() + ended.stderr.len() > 40,
            "{flags:?}: {ended:?}"
        );
    }
    let gone = ended(command(folder.path()).args(["audit", "tail", HOSTILE]));
    clean("a file that is not there", &gone);
}
