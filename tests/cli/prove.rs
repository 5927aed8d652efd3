//! Seeded holes: policies that look right and are not. `prove` finds a request that breaks the
//! guard, the real server answers it as the command says, over gRPC and from the whole CheckRequest,
//! and the mended policies are proved. The server itself refuses the hole when it is a change.

use std::process::Command;

use serde_json::Value;

use crate::record::Record;
use customs_test_support::server::{Ended, Folder, Plan, Server, run};
use customs_test_support::tools;

const CHECK: &str = "envoy.service.auth.v3.Authorization/Check";

/// A policy of the root namespace, about every caller unless `subjects` says otherwise.
fn root(name: &str, subjects: &str, spec: &str) -> String {
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: {name}, namespace: istio-system}}\n\
         spec:\n  subjects: [{subjects}]\n  {spec}\n"
    )
}

fn guard(claim: &str) -> String {
    format!(
        "apiVersion: egress.customs/v1alpha1\nkind: PolicyGuard\nmetadata: {{name: g, namespace: istio-system}}\n\
         spec: {{owner: security, guards: [{{name: it, {claim}}}]}}\n"
    )
}

/// A hole: what is wrong, the guard, the policy with the hole, and the mended one.
struct Hole {
    what: &'static str,
    guard: String,
    broken: String,
    mended: String,
}

fn holes() -> Vec<Hole> {
    let everyone = "{namespaces: ['**']}";
    let hole = |what, claim: &str, broken: String, mended: String| Hole {
        what,
        guard: guard(claim),
        broken,
        mended,
    };
    vec![
        hole(
            "a deny that misses a port",
            "never: {from: [{namespaces: [pci]}], to: {hosts: [files.example]}}",
            root(
                "p",
                everyone,
                "deny: [{name: files, hosts: ['files.example:443']}]",
            ),
            root(
                "p",
                everyone,
                "deny: [{name: files, hosts: [files.example]}]",
            ),
        ),
        hole(
            "a suffix that should cover its apex",
            "never: {to: {hosts: [bad.example, '*.bad.example']}}",
            root(
                "p",
                everyone,
                "deny: [{name: bad, hosts: ['*.bad.example']}]",
            ),
            root(
                "p",
                everyone,
                "deny: [{name: bad, hosts: [bad.example, '*.bad.example']}]",
            ),
        ),
        hole(
            "an exception that is too wide",
            "only: {from: [{serviceAccounts: [demo-frontend/ir-bot]}], to: {hosts: [www.aliyun.com]}}",
            root(
                "p",
                everyone,
                "deny: [{name: aliyun, hosts: [www.aliyun.com], except: [{subjects: [{namespaces: [demo-frontend]}], methods: [GET]}]}]",
            ),
            root(
                "p",
                everyone,
                "deny: [{name: aliyun, hosts: [www.aliyun.com], except: [{subjects: [{serviceAccounts: [demo-frontend/ir-bot]}], methods: [GET]}]}]",
            ),
        ),
        hole(
            "a dry run that is taken for enforced",
            "never: {from: [{namespaces: [pci]}], to: {hosts: ['*.upload.example']}}",
            root(
                "p",
                "{namespaces: [pci]}",
                "mode: Report\n  deny: [{name: upload, hosts: ['*.upload.example']}]",
            ),
            root(
                "p",
                "{namespaces: [pci]}",
                "deny: [{name: upload, hosts: ['*.upload.example']}]",
            ),
        ),
        hole(
            "an isolation that a grant opens for a neighbour",
            "never: {from: [{namespaces: [pci]}], to: {hosts: ['**']}, except: [{to: {hosts: [api.psp.example]}}]}",
            root(
                "p",
                "{namespaces: ['pci*']}, {namespaces: [pci]}, {unauthenticated: true}",
                "isolate: true\n  allow: [{name: psp, hosts: ['*.psp.example', api.psp.example]}]",
            ),
            root(
                "p",
                "{namespaces: ['pci*']}, {namespaces: [pci]}",
                "isolate: true\n  allow: [{name: psp, hosts: [api.psp.example]}]",
            ),
        ),
        hole(
            "a path without what is below it",
            "never: {to: {hosts: [vault.example], paths: ['/keys', '/keys/*']}}",
            root(
                "p",
                everyone,
                "deny: [{name: keys, hosts: [vault.example], paths: [/keys]}]",
            ),
            root(
                "p",
                everyone,
                "deny: [{name: keys, hosts: [vault.example], paths: [/keys, '/keys/*']}]",
            ),
        ),
    ]
}

/// Sends a whole CheckRequest with the real grpcurl, and returns the code of the answer: 0 allows.
fn check(server: &Server, request: &Value) -> i64 {
    let grpcurl = tools::grpcurl().unwrap();
    let done = Command::new(&grpcurl.path)
        .args(["-plaintext", "-max-time", "10", "-emit-defaults", "-d"])
        .arg(request.to_string())
        .arg(format!("127.0.0.1:{}", server.port))
        .arg(CHECK)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let answer: Value = serde_json::from_str(&said).unwrap();
    answer["status"]["code"].as_i64().unwrap()
}

fn prove(folder: &Folder, more: &[&str]) -> Ended {
    let arguments: Vec<&str> = ["prove", "policies"].iter().chain(more).copied().collect();
    run(&folder.at(""), &arguments)
}

/// Runs a command as a shell does, with this build as `customs`, and returns its exit code.
fn shell(server: &Server, command: &str) -> Option<i32> {
    let binary = customs_test_support::customs_binary();
    let command = command.replace("customs check", &format!("{} check", binary.display()));
    let status = Command::new("sh")
        .args(["-c", &command])
        .current_dir(server.folder.at(""))
        .stdout(std::process::Stdio::null())
        .status();
    status.unwrap().code()
}

#[test]
fn each_seeded_hole_is_found_with_a_request_that_the_server_lets_pass() {
    for Hole {
        what,
        guard,
        broken,
        mended,
    } in holes()
    {
        let server = Plan::with("--policy-guards off --audit stdout")
            .file("policies/p.yaml", &broken)
            .file("policies/guard.yaml", &guard)
            .start();
        let ended = prove(&server.folder, &["--format", "json"]);
        assert_eq!(ended.code, Some(1), "{what}: {ended:?}");
        let report: Value = serde_json::from_str(&ended.stdout).unwrap();
        let proof = &report["guards"][0];
        assert_eq!(report["revision"], server.revision(), "{what}");
        assert_eq!(proof["outcome"], "broken", "{what}: {proof}");
        let example = &proof["counterExample"];
        assert_eq!(example["verdict"]["effect"], "allow", "{what}: {proof}");
        let (request, command) = (&example["request"], example["command"].as_str().unwrap());
        assert_eq!(check(&server, request), 0, "{what}: {request}");
        assert_eq!(shell(&server, command), Some(0), "{what}: {command}");

        let before = server.revision();
        server.folder.put("policies/p.yaml", &mended);
        server.revision_after(&before);
        let ended = prove(&server.folder, &[]);
        assert_eq!(ended.code, Some(0), "{what}: {ended:?}");
        assert!(
            ended.stdout.starts_with("proved     pg:istio-system/g#it "),
            "{what}: {ended:?}"
        );
        assert_eq!(check(&server, request), 7, "{what}: {request}");
        assert_eq!(shell(&server, command), Some(1), "{what}: {command}");
    }
}

#[test]
fn a_change_with_a_hole_is_refused_and_what_is_in_force_stays() {
    for Hole {
        what,
        guard,
        broken,
        mended,
    } in holes()
    {
        let mut server = Plan::with("--audit stdout")
            .file("policies/p.yaml", &mended)
            .file("guards/guard.yaml", &guard)
            .flags("--policies policies,guards")
            .start();
        let before = server.revision();
        server.folder.put("policies/p.yaml", &broken);
        let source = server.source(0, "refused");
        assert_eq!(server.revision(), before, "{what}");
        assert_eq!(
            server.get("/readyz").unwrap().0,
            200,
            "{what}: it still answers"
        );
        let problems = source["problems"].to_string();
        for part in [
            "guard-broken",
            "pg:istio-system/g#it",
            "customs check --from",
            "`guards`",
            "or ask security",
        ] {
            assert!(problems.contains(part), "{what}: no {part}: {problems}");
        }
        server.folder.put("policies/p.yaml", &mended);
        server.source(0, "good");
        let ended = server.stop();
        let record = Record::of(&ended.stdout);
        let refused: Vec<_> = record
            .of_kind("policyChange")
            .into_iter()
            .filter(|change| change["outcome"] == "refused")
            .collect();
        assert_eq!(refused.len(), 1, "{what}");
        let refused = refused[0].to_string();
        assert!(
            refused.contains("pg:istio-system/g#it") && refused.contains("customs check --from"),
            "{what}: {refused}"
        );
        assert!(
            ended.stderr.contains("pg:istio-system/g#it"),
            "{what}: {}",
            ended.stderr
        );
    }
}

#[test]
fn a_server_whose_first_policies_have_a_hole_is_not_ready() {
    let Hole {
        guard,
        broken,
        mended,
        ..
    } = holes().remove(0);
    let server = Plan::with("--audit stdout")
        .file("policies/p.yaml", &broken)
        .file("policies/guard.yaml", &guard)
        .spawn();
    server.until("a first round", || {
        let (_, status) = server.get("/status")?;
        status.contains("never_loaded").then_some(())
    });
    let (status, body) = server.get("/readyz").unwrap();
    assert_eq!(status, 503, "{body}");
    assert!(body.contains("guard-broken"), "{body}");
    assert!(!server.check("files.example").allowed);
    server.folder.put("policies/p.yaml", &mended);
    server.until("ready", || {
        server.get("/readyz").filter(|ready| ready.0 == 200)
    });
}

#[test]
fn a_server_answers_for_all_callers_and_all_destinations_and_records_no_decision() {
    let policy = root(
        "p",
        "{namespaces: [shop]}, {unauthenticated: true}",
        "isolate: true\n  allow: [{name: psp, hosts: [api.psp.example]}]",
    );
    let mut server = Plan::with("--audit stdout")
        .file("policies/p.yaml", &policy)
        .start();
    let admin = format!("127.0.0.1:{}", server.admin);
    let ask = |arguments: &[&str]| {
        let all: Vec<&str> = arguments
            .iter()
            .chain(&["--admin", &admin])
            .copied()
            .collect();
        run(&server.folder.at(""), &all)
    };
    let offline = |arguments: &[&str]| {
        let all: Vec<&str> = arguments.iter().chain(&["./policies"]).copied().collect();
        run(&server.folder.at(""), &all)
    };
    for arguments in [
        &[
            "who-can",
            "--to",
            "https://api.psp.example/",
            "--effect",
            "all",
        ][..],
        &[
            "who-can",
            "--to",
            "https://files.example/",
            "--format",
            "json",
        ],
        &["can-reach", "--from", "shop/web"],
        &["can-reach", "--from-namespace", "shop", "--format", "json"],
        &["can-reach", "--from", "unauthenticated"],
        &["can-reach", "--all", "--now", "2030-01-01T00:00:00Z"],
    ] {
        let (asked, read) = (ask(arguments), offline(arguments));
        assert_eq!(asked.code, Some(0), "{arguments:?}: {asked:?}");
        assert_eq!(
            (asked.code, &asked.stdout),
            (read.code, &read.stdout),
            "{arguments:?}"
        );
    }
    let bad = ask(&["can-reach", "--from-namespace", "Shop"]);
    assert_eq!(bad.code, Some(2), "{bad:?}");
    for (path, body, part) in [
        (
            "/who-can",
            "{\"to\": \"https://a.example/\", \"from\": \"shop/web\"}",
            "remove `from`",
        ),
        (
            "/who-can",
            "{\"to\": \"https://a.example/\", \"effect\": \"some\"}",
            "write `allow`, `deny` or `all`",
        ),
        ("/who-can", "{}", "`to` is missing"),
        (
            "/can-reach",
            "{\"from\": \"shop/web\", \"all\": true}",
            "one of `from`, `fromNamespace` and `all`",
        ),
        (
            "/can-reach",
            "{\"frm\": \"shop/web\"}",
            "did you mean `from`?",
        ),
        ("/can-reach", "[]", "must be a mapping"),
    ] {
        let (status, answer) = crate::questions::post_to(&server, path, body);
        assert!(
            status == 400 && answer.contains(part),
            "{path} {body}: {status} {answer}"
        );
    }
    let ended = server.stop();
    let record = Record::of(&ended.stdout);
    assert_eq!(
        record.of_kind("question").len() + record.decisions().len(),
        0
    );
    assert!(
        ended
            .stderr
            .contains("answered a question about the policies"),
        "{}",
        ended.stderr
    );
}

#[test]
fn guards_that_are_only_reported_warn_and_refuse_nothing() {
    let Hole { guard, broken, .. } = holes().remove(0);
    let server = Plan::with("--audit stdout --policy-guards report")
        .file("policies/p.yaml", &broken)
        .file("policies/guard.yaml", &guard)
        .start();
    let warnings = server.status()["warnings"].to_string();
    assert!(
        warnings.contains("guard-broken") && warnings.contains("customs check --from"),
        "{warnings}"
    );
}
