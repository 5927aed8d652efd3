//! `customs replay`: what changes for recorded requests, what is meant to, and what a record cannot
//! answer.

mod expected;

use std::fmt::Write;

use serde_json::{Value, json};

use super::{Ended, Folder, policy};

/// The fields of a decision that was allowed by default.
pub(crate) fn decision(caller: &str, host: &str, path: &str) -> Value {
    let (namespace, account) = caller.split_once('/').unwrap();
    json!({
        "time": "2026-11-23T12:00:00Z", "kind": "decision", "stream": "s", "sequence": "1",
        "effect": "allow", "verdict": "allow", "dryRun": "allow",
        "reason": "default_allow", "rule": "builtin#default_allow",
        "dryRunReason": "default_allow", "dryRunRule": "builtin#default_allow",
        "identity": "valid", "principal": format!("spiffe://cluster.local/ns/{namespace}/sa/{account}"),
        "trustDomain": "cluster.local", "namespace": namespace, "serviceAccount": account,
        "sourceAddress": "10.1.2.3", "protocol": "http", "host": host, "rawHost": host,
        "listenerPort": 8443, "method": "GET", "path": path, "revision": "old", "chain": "00",
    })
}

pub(crate) fn with(mut record: Value, fields: Value) -> Value {
    record
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    record
}

fn log(records: &[Value]) -> String {
    records.iter().fold(String::new(), |mut log, record| {
        writeln!(log, "{record}").unwrap();
        log
    })
}

/// Replays a log with a policy of the namespace shop.
fn replay(records: &[Value], spec: &str, arguments: &str) -> Ended {
    let (log, policy) = (log(records), policy("shop", spec));
    let files = [("log", log.as_str()), ("new/a.yaml", policy.as_str())];
    Folder::with(&files).run(&format!("replay log --policies new {arguments}"))
}

const ONLY_A: &str = "{allow: [{name: a, hosts: [a.example]}]}";

#[test]
fn a_verdict_that_changes_fails_with_who_where_and_why() {
    let records = [
        decision("shop/cart", "a.example", "/"),
        decision("shop/cart", "b.example", "/"),
        with(
            decision("shop/cart", "b.example", "/"),
            json!({"time": "2026-11-24T12:00:00Z", "port": 8080}),
        ),
        decision("web/app", "b.example", "/"),
    ];
    let ended = replay(&records, ONLY_A, "");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for line in [
        "4 decisions from 2026-11-23T12:00:00.000Z to 2026-11-24T12:00:00.000Z, decided again by",
        "\n         1  the same\n",
        "\n         1  the same answers, for another reason or by another rule\n",
        "\n         2  newly denied\n",
        "\nnewly denied (2)\n",
        "shop/cart  b.example       builtin#default_allow  ep:shop/egress  2026-11-23T12:00:00Z",
        "shop/cart  b.example:8080  builtin#default_allow  ep:shop/egress  2026-11-24T12:00:00Z",
        "\n0 newly allowed, 2 newly denied, 0 unanswerable\n",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
}

#[test]
fn the_document_has_what_the_text_has() {
    let records = [
        decision("shop/cart", "b.example", "/"),
        decision("shop/cart", "b.example", "/other"),
    ];
    let document = replay(&records, ONLY_A, "--format json").json();
    assert_eq!(
        [
            &document["version"],
            &document["decisions"],
            &document["same"]
        ],
        [&json!(1), &json!(2), &json!(0)]
    );
    let flips = document["flips"].as_array().unwrap();
    let denied = flips.iter().find(|f| f["change"] == "newlyDenied").unwrap();
    let row = &denied["rows"][0];
    assert_eq!(
        [
            &denied["count"],
            &row["count"],
            &row["newReason"],
            &row["host"]
        ],
        [
            &json!(2),
            &json!(2),
            &json!("not_in_allow_list"),
            &json!("b.example")
        ]
    );
}

#[test]
fn the_recorded_time_decides_whether_a_grant_had_ended() {
    let spec = "{allow: [{name: a, hosts: [a.example], expires: 2026-11-24T00:00:00Z}]}";
    let at = |time: &str| {
        with(
            decision("shop/cart", "a.example", "/"),
            json!({ "time": time }),
        )
    };
    let records = [
        at("2026-11-23T23:59:59.999999999Z"),
        at("2026-11-24T00:00:00Z"),
        at("2026-11-23T00:00:00Z"),
    ];
    let document = replay(&records, spec, "--format json").json();
    assert_eq!(document["otherReason"], 2);
    assert_eq!(
        document["flips"][1]["rows"][0]["newReason"],
        "expired_exception"
    );
    assert_eq!(document["flips"][1]["count"], 1);
}

#[test]
fn what_a_record_lacks_is_counted_apart_with_its_cause() {
    let spec = "{isolate: true, allow: [{name: a, hosts: [a.example], paths: [/v1/*]}, {name: b, hosts: [b.example]}]}";
    let redacted = json!({"path": "hash:00", "redacted": ["path"]});
    let records = [
        with(decision("shop/cart", "a.example", ""), redacted.clone()),
        // For these hosts no rule asks for the path.
        with(decision("shop/cart", "b.example", ""), redacted.clone()),
        with(decision("web/app", "a.example", ""), redacted),
        with(
            decision("shop/cart", "a.example", "/"),
            json!({"truncated": ["path"]}),
        ),
        with(
            decision("shop/cart", "a.example", "/"),
            json!({"protocol": "quic"}),
        ),
        with(
            decision("shop/cart", "a.example", "/"),
            json!({"verdict": "maybe"}),
        ),
        with(
            decision("shop/cart", "a.example", "/"),
            json!({"time": null}),
        ),
    ];
    let ended = replay(&records, spec, "");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    for line in [
        "\n         5  unanswerable\n",
        "         1  path (redacted)\n",
        "         1  path (truncated)\n",
        "         1  protocol (otherVersion)\n",
        "         1  verdict (otherVersion)\n",
        "         1  time (unreadable)\n",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
}

#[test]
fn other_records_and_losses_are_counted_beside_the_decisions() {
    let head = |kind: &str| json!({"time": "2026-11-23T12:00:00Z", "kind": kind, "stream": "s"});
    let outage = json!({"verdict": "deny", "effect": "deny", "reason": "no_policy"});
    let records = [
        with(head("start"), json!({"version": "9.9.9"})),
        with(head("stream"), json!({"filter": "denies"})),
        with(
            decision("shop/cart", "a.example", "/"),
            json!({"dryRun": "allow"}),
        ),
        with(decision("shop/cart", "a.example", "/"), outage),
        with(head("question"), json!({"answer": {"verdict": "deny"}})),
        with(
            head("gap"),
            json!({"lost": {"allows": "5", "denials": "2", "events": "1"}}),
        ),
        head("checkpoint"),
    ];
    let mut log = log(&records);
    log.push_str("not a record\n{\"time\":\"2026");
    let policy = policy("shop", ONLY_A);
    let files = [("log", log.as_str()), ("new/a.yaml", policy.as_str())];
    let ended = Folder::with(&files).run("replay log --policies new");
    // Nothing changes, but seven decisions are not in the record.
    assert_eq!(ended.code, Some(3), "{ended:?}");
    for line in [
        "\n         1  not replayed: no policy decided them",
        "\n         7  decisions lost: the record does not hold them\n",
        "\n         1  question skipped: nothing crossed\n",
        "\n         1  line skipped: not a record\n",
        "\n         1  record skipped: incomplete\n",
        "\nnote: a sink of this log takes `denies` only",
        "\nnote: customs 9.9.9 wrote some of it",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
}

#[test]
fn without_decisions_there_is_no_answer() {
    let record = decision("shop/cart", "a.example", "/");
    let start = json!({"time": "2026-11-23T12:00:00Z", "kind": "start", "version": "0.1.0"});
    for (records, arguments, why) in [
        (
            vec![start],
            "",
            "no decision to replay: the records hold none",
        ),
        (
            vec![record.clone()],
            "--since 2026-12-01T00:00:00Z",
            "the records hold none from 2026-12-01T00:00:00Z on; theirs are from 2026-11-23T12:00:00Z",
        ),
        (
            vec![record.clone()],
            "--until 2026-11-23T12:00:00Z",
            "the records hold none before 2026-11-23T12:00:00Z",
        ),
    ] {
        let ended = replay(&records, ONLY_A, arguments);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{ended:?}"
        );
        assert!(ended.stderr.contains(why), "{ended:?}");
    }
    let inside = replay(
        &[record],
        ONLY_A,
        "--since 2026-11-23T12:00:00Z --until 2026-11-23T12:00:01Z",
    );
    assert_eq!(inside.code, Some(0), "{inside:?}");
}

#[test]
fn policies_that_do_not_load_replay_nothing() {
    let ended = replay(
        &[decision("shop/cart", "a.example", "/")],
        "{allow: [{name: a, hosts: [A.example]}]}",
        "",
    );
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stdout.contains("error[host-spelling]"), "{ended:?}");
    let missing =
        Folder::with(&[("new/a.yaml", &policy("shop", ONLY_A))]).run("replay gone --policies new");
    assert_eq!(missing.code, Some(2), "{missing:?}");
    assert!(missing.stderr.contains("cannot read gone"), "{missing:?}");
}

#[test]
fn a_dry_run_or_an_effect_that_changes_does_not_fail() {
    let record = decision("shop/cart", "b.example", "/");
    let trial = replay(
        std::slice::from_ref(&record),
        "{mode: Report, allow: [{name: a, hosts: [a.example]}]}",
        "",
    );
    assert_eq!(trial.code, Some(0), "{trial:?}");
    assert!(
        trial
            .stdout
            .contains("\nsame verdict, different dry run (1)\n"),
        "{trial:?}"
    );
    let denied = with(
        record,
        json!({"verdict": "deny", "dryRun": "deny", "reason": "not_in_allow_list",
            "rule": "ep:shop/egress", "dryRunReason": "not_in_allow_list", "dryRunRule": "ep:shop/egress"}),
    );
    let enforced = replay(std::slice::from_ref(&denied), ONLY_A, "");
    assert_eq!(enforced.code, Some(0), "{enforced:?}");
    assert!(
        enforced
            .stdout
            .contains("\nsame answers, different effect (enforcement) (1)\n"),
        "{enforced:?}"
    );
    let reported = replay(&[denied], ONLY_A, "--enforcement report");
    assert!(
        reported.stdout.contains("\n         1  the same\n"),
        "{reported:?}"
    );
}

#[test]
fn a_directory_of_both_formats_is_one_record() {
    use customs_record::stream::Format;
    use prost::Message;

    let records = [
        decision("shop/cart", "a.example", "/"),
        decision("shop/cart", "b.example", "/"),
    ];
    let text = log(&records);
    let mut messages = Vec::new();
    for line in text.lines() {
        let record = customs_record::decode::record(Format::Json, line.as_bytes()).unwrap();
        record.encode_length_delimited(&mut messages).unwrap();
    }
    let folder = Folder::with(&[
        ("logs/one.jsonl", text.as_str()),
        ("new/a.yaml", &policy("shop", ONLY_A)),
    ]);
    std::fs::write(folder.path().join("logs/two.pb"), messages).unwrap();
    let ended = folder.run("replay logs --policies new --format json");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let document = ended.json();
    assert_eq!(
        [
            &document["decisions"],
            &document["flips"][1]["count"],
            &document["streams"]
        ],
        [&json!(4), &json!(2), &json!(1)]
    );
}

#[test]
fn a_hostile_text_moves_no_cursor() {
    let record = with(
        decision("shop/cart", "", "/"),
        json!({"host": "", "rawHost": "\u{1b}[2J\u{202e}x", "namespace": "shop", "serviceAccount": "a\nb"}),
    );
    let ended = replay(&[record], ONLY_A, "");
    assert!(
        ended
            .stdout
            .chars()
            .all(|c| c == '\n' || matches!(c, ' '..='~')),
        "{ended:?}"
    );
}
