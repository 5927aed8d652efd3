//! `customs at`: the answer of the past is the answer that was given then.

use std::fs;

use serde_json::Value;

use super::{archived, customs, denying, plan, records};

/// Returns the time of the record before which `kind` comes for the `n`th time.
fn time_of(records: &[Value], kind: &str, n: usize) -> String {
    let of_kind = records.iter().filter(|record| record["kind"] == kind);
    of_kind
        .map(|record| record["time"].as_str().unwrap().to_owned())
        .nth(n)
        .unwrap()
}

#[test]
fn the_answer_of_a_moment_is_that_of_the_policies_and_settings_of_then() {
    let mut server = plan()
        .file("settings.yaml", "default: deny\n")
        .flags("--config settings.yaml")
        .start();
    archived(&server);
    let first = server.revision();
    assert_eq!(server.check("a.example").reason(), "denied_by_rule");
    assert_eq!(server.check("c.example").reason(), "default_deny");
    server.folder.put("policies/a.yaml", &denying("b.example"));
    let second = server.revision_after(&first);
    server.folder.put("settings.yaml", "default: allow\n");
    let third = server.revision_after(&second);
    archived(&server);
    assert_eq!(server.check("a.example").reason(), "default_allow");
    let ended = server.stop();
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let root = server.folder.at("");
    let written = records(server.folder.at("out/audit.jsonl"));
    let at = |time: &str, host: &str, more: &str| {
        let ask = format!(
            "at {time} --from demo-frontend/sleep --to http://{host}/ --records out/audit.jsonl --policy-archive out/archive {more}"
        );
        customs(&root, &ask)
    };
    let decided = time_of(&written, "decision", 0);
    let (then, now) = (
        at(&decided, "a.example", ""),
        at(&time_of(&written, "decision", 2), "a.example", ""),
    );
    assert_eq!(
        (then.code, now.code),
        (Some(1), Some(0)),
        "{then:?} {now:?}"
    );
    for (ended, revision, verdict) in [
        (
            &then,
            &first,
            "verdict      deny: denied_by_rule by ep:demo-frontend/own#no-host",
        ),
        (&now, &third, "verdict      allow: default_allow"),
    ] {
        assert!(
            ended.stdout.contains(&format!("revision     {revision}\n")),
            "{ended:?}"
        );
        assert!(ended.stdout.contains(verdict), "{ended:?}");
        assert!(
            ended
                .stdout
                .contains(" of file:out/audit.jsonl (out/audit.jsonl)"),
            "{ended:?}"
        );
    }
    let json = at(&decided, "c.example", "--format json");
    let json: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(
        json["answers"][0]["explanation"]["verdict"]["reason"],
        "default_deny"
    );
    assert_eq!(json["answers"][0]["revision"], first.as_str());

    // Before the first set nothing was in force, and before the first record nothing is known.
    let started = at(&time_of(&written, "start", 0), "a.example", "");
    assert!(
        started.code == Some(1)
            && started
                .stdout
                .contains("every check was denied with no_policy"),
        "{started:?}"
    );
    for (time, expected) in [
        ("2020-01-01T00:00:00Z", "begins at"),
        ("2099-01-01T00:00:00Z", "where its server stopped"),
    ] {
        let ended = at(time, "a.example", "");
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(
            ended.stderr.contains("no record covers") && ended.stderr.contains(expected),
            "{ended:?}"
        );
    }

    // What the archive lacks, or holds damaged, is no answer.
    let manifest = server
        .folder
        .at(&format!("out/archive/revisions/{first}.json"));
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(
        &manifest,
        text.replace("\"default\": \"deny\"", "\"default\": \"allow\""),
    )
    .unwrap();
    let damaged = at(&decided, "c.example", "");
    assert!(
        damaged.code == Some(2)
            && damaged
                .stderr
                .contains("its part `settings` is not what the revision hashes"),
        "{damaged:?}"
    );
    fs::remove_file(&manifest).unwrap();
    let lacking = at(&decided, "c.example", "");
    assert!(
        lacking.code == Some(2)
            && lacking
                .stderr
                .contains(&format!("does not have the revision {first}")),
        "{lacking:?}"
    );
    let not = at(&decided, "c.example", "--records policies/a.yaml");
    assert!(
        not.code == Some(2) && not.stderr.contains("is not an audit log"),
        "{not:?}"
    );
}

#[test]
fn replicas_that_differ_each_have_their_answer() {
    let mut one = plan().start();
    let mut other = plan()
        .file("policies/a.yaml", &denying("b.example"))
        .start();
    let revisions = [archived(&one), archived(&other)];
    // Each has a record after this moment.
    let time = jiff::Timestamp::now();
    for server in [&one, &other] {
        server.check("c.example");
    }
    one.stop();
    other.stop();
    let root = one.folder.at("");
    for path in ["audit.jsonl", "archive"] {
        let from = other.folder.at(&format!("out/{path}"));
        let to = one.folder.at(&format!("other-{path}"));
        fs::rename(from, to).unwrap();
    }
    // One archive may hold the revisions of both.
    let manifest = format!("revisions/{}.json", revisions[1]);
    fs::copy(
        one.folder.at(&format!("other-archive/{manifest}")),
        one.folder.at(&format!("out/archive/{manifest}")),
    )
    .unwrap();
    for entry in fs::read_dir(one.folder.at("other-archive/objects/sha256")).unwrap() {
        let entry = entry.unwrap();
        let to = one
            .folder
            .at("out/archive/objects/sha256")
            .join(entry.file_name());
        fs::copy(entry.path(), to).unwrap();
    }
    let at = |host: &str, records: &str| {
        customs(
            &root,
            &format!(
                "at {time} --from demo-frontend/sleep --to http://{host}/ --policy-archive out/archive --records {records}"
            ),
        )
    };
    let both = "out/audit.jsonl other-audit.jsonl";
    let differing = at("a.example", both);
    assert_eq!(differing.code, Some(3), "{differing:?}");
    for text in [
        revisions[0].as_str(),
        &revisions[1],
        "(out/audit.jsonl)",
        "(other-audit.jsonl)",
        "verdict      deny",
        "verdict      allow",
        "2 revisions were in force at this moment",
    ] {
        assert!(differing.stdout.contains(text), "{text}: {differing:?}");
    }
    assert_eq!(at("c.example", both).code, Some(0), "both allow it");
    assert_eq!(at("a.example", "out/audit.jsonl").code, Some(1));
}
