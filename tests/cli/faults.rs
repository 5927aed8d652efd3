//! Policies that do not load: they are reported with file, line, column and code. They are fatal
//! only if a policy is required; otherwise everything is denied until they are repaired, without a
//! restart.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::denying;
use customs_test_support::check_client::Watch;
use customs_test_support::server::{Folder, Plan};
use customs_test_support::wait_for;

/// A file beside a good one that keeps the source from loading.
struct Fault {
    what: &'static str,
    text: &'static str,
    line_and_column: &'static str,
    code: &'static str,
    /// Part of the message after the place and the code.
    says: &'static str,
}

const FAULTS: &[Fault] = &[
    Fault {
        what: "a YAML syntax error",
        text: "apiVersion: v1\nkind: [EgressPolicy\n",
        line_and_column: "2:7",
        code: "yaml-syntax",
        says: "unclosed bracket",
    },
    Fault {
        what: "an unknown field",
        text: "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {name: p, namespace: n}\n\
               spec:\n  denny:\n  - {name: e, hosts: [h.example]}\n",
        line_and_column: "5:3",
        code: "unknown-field",
        says: "did you mean `deny`?",
    },
    Fault {
        what: "an unknown kind",
        text: "apiVersion: egress.customs/v1alpha1\nkind: EgressPolice\nmetadata: {name: p, namespace: n}\n",
        line_and_column: "2:7",
        code: "unknown-kind",
        says: "EgressPolicy",
    },
    Fault {
        what: "a wrong type",
        text: "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {name: p, namespace: n}\n\
               spec:\n  deny:\n  - {name: e, hosts: h.example}\n",
        line_and_column: "6:22",
        code: "wrong-type",
        says: "`hosts` is text, and must be a list",
    },
    Fault {
        what: "a duplicate key",
        text: "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nkind: EgressPolicy\n",
        line_and_column: "3:1",
        code: "duplicate-key",
        says: "a key may appear once",
    },
    Fault {
        what: "an empty list",
        text: "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {name: p, namespace: n}\n\
               spec:\n  deny: []\n",
        line_and_column: "5:9",
        code: "empty-value",
        says: "leave the field out",
    },
    Fault {
        what: "a missing DestinationSet",
        text: "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {name: p, namespace: n}\n\
               spec:\n  deny:\n  - {name: e, destinations: [gone]}\n",
        line_and_column: "6:30",
        code: "missing-set",
        says: "it is looked up in `n`",
    },
    Fault {
        what: "a key that a check cannot answer",
        text: "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: n}\n\
              spec:\n  action: DENY\n  rules:\n  - when: [{key: request.auth.principal, values: [x]}]\n",
        line_and_column: "7:18",
        code: "unanswerable",
        says: "request.auth.principal",
    },
];

impl Fault {
    fn plan(&self, flags: &str) -> Plan {
        let good = denying("good", "x.example");
        Plan::with(flags)
            .file("policies/a.yaml", &good)
            .file("policies/bad.yaml", self.text)
    }

    /// Returns `place: error[code]: `, the start of every message.
    fn head(&self) -> String {
        format!(
            "./policies/bad.yaml:{}: error[{}]: ",
            self.line_and_column, self.code
        )
    }
}

/// A directory that is not a source: how that happens and how it is repaired.
struct Ruin {
    what: &'static str,
    make: fn(&Folder),
    repair: fn(&Folder),
    says: &'static [&'static str],
}

fn good(folder: &Folder) {
    folder.put("policies/a.yaml", &denying("good", "x.example"));
}

const RUINS: &[Ruin] = &[
    Ruin {
        what: "a missing directory",
        make: |_| {},
        repair: good,
        says: &[
            "./policies: error[unreadable]: ",
            "does not exist",
            "create it",
        ],
    },
    Ruin {
        what: "an empty directory",
        make: |folder| fs::create_dir(folder.at("policies")).unwrap(),
        repair: good,
        says: &["./policies: error[no-policy]: ", "add one"],
    },
    Ruin {
        what: "a file in place of the directory",
        make: |folder| folder.put("policies", "kind: EgressPolicy\n"),
        repair: |folder| {
            folder.remove("policies");
            good(folder);
        },
        says: &[
            "./policies: error[unreadable]: ",
            "not a directory",
            "name the directory",
        ],
    },
    Ruin {
        what: "a policy file that cannot be read",
        make: |folder| {
            good(folder);
            symlink("gone", folder.at("policies/bad.yaml")).unwrap();
        },
        repair: |folder| folder.remove("policies/bad.yaml"),
        says: &[
            "./policies/bad.yaml: error[unreadable]: ",
            "leads nowhere",
            "remove it",
        ],
    },
];

/// Refuses to start with code 3; the message is on stderr, and the refusal is recorded.
fn is_fatal(what: &str, plan: Plan, says: &[&str]) {
    let ended = plan.flags("--require-policy").fails();
    assert_eq!(ended.code, Some(3), "{what}: {}", ended.stderr);
    let is_reported =
        |line: &str| line.starts_with("customs: ") && says.iter().all(|part| line.contains(part));
    assert!(
        ended.stderr.lines().any(is_reported),
        "{what}: no {says:?} in {}",
        ended.stderr
    );
    let records: Vec<Value> = ended
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let kinds: Vec<_> = records
        .iter()
        .map(|record| record["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["stream", "start", "policyChange", "stop", "checkpoint"],
        "{what}"
    );
    assert_eq!(records[2]["outcome"], "refused", "{what}");
}

/// Serves, denies everything, reports why, and is ready as soon as the fault is repaired.
fn is_survived(what: &str, plan: Plan, repair: impl Fn(&Folder), says: &[&str]) {
    let mut server = plan.spawn();
    let ready = server.until("an answer", || server.get("/readyz"));
    assert_eq!(ready.0, 503, "{what}");
    assert!(
        says.iter().all(|part| ready.1.contains(part)),
        "{what}: no {says:?} in {}",
        ready.1
    );
    assert_eq!(server.get("/healthz").unwrap().0, 200, "{what}");
    assert_eq!(server.revision(), "none", "{what}");
    for host in ["x.example", "y.example"] {
        let answer = server.check(host);
        assert_eq!(
            (answer.allowed, answer.http, answer.reason()),
            (false, 503, "no_policy"),
            "{what}"
        );
    }
    let mut watch = Watch::begin(&server.channel);
    assert_eq!(
        watch.next_status(),
        Some(ServingStatus::NotServing),
        "{what}"
    );
    repair(&server.folder);
    assert!(
        wait_for(|| server.get("/readyz").filter(|ready| ready.0 == 200)).is_some(),
        "{what}: never repaired"
    );
    assert_eq!(watch.next_status(), Some(ServingStatus::Serving), "{what}");
    assert_eq!(
        server.check("x.example").reason(),
        "denied_by_rule",
        "{what}"
    );
    assert!(server.check("y.example").allowed, "{what}");
    server.stop();
}

#[test]
fn a_required_policy_that_does_not_load_ends_the_start() {
    for fault in FAULTS {
        is_fatal(fault.what, fault.plan(""), &[&fault.head(), fault.says]);
    }
}

#[test]
fn required_directories_that_cannot_be_read_end_the_start() {
    for ruin in RUINS {
        let plan = Plan::with("");
        (ruin.make)(&plan.folder);
        is_fatal(ruin.what, plan, ruin.says);
    }
}

#[test]
fn a_policy_that_does_not_load_denies_everything_until_it_is_repaired() {
    for fault in FAULTS {
        is_survived(
            fault.what,
            fault.plan(""),
            |folder| folder.remove("policies/bad.yaml"),
            &[&fault.head(), fault.says],
        );
    }
    println!(
        "{} faults of a file: each denies until it is repaired",
        FAULTS.len()
    );
}

#[test]
fn directories_that_cannot_be_read_deny_everything_until_they_are_repaired() {
    for ruin in RUINS {
        let plan = Plan::with("");
        (ruin.make)(&plan.folder);
        is_survived(ruin.what, plan, ruin.repair, ruin.says);
    }
}
