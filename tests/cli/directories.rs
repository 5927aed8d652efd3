//! Policy directories in practice: checkouts, special files, and files that only look like
//! policies.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::denying;
use customs_test_support::server::{Plan, command};

fn lint(folder: &std::path::Path, directory: &str) -> (i32, String) {
    let out = command()
        .args(["lint", directory])
        .current_dir(folder)
        .output()
        .unwrap();
    (
        out.status.code().unwrap(),
        String::from_utf8(out.stdout).unwrap(),
    )
}

#[test]
fn a_checkout_with_files_of_others_loads_and_its_sub_directories_too() {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("git/kustomization.yaml", "resources:\n- base\n"),
        (
            "git/base/deployment.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n",
        ),
        (
            "git/base/auth.yaml",
            "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a}\n",
        ),
        (
            "git/base/deny.YAML",
            &denying("a", "x.example").replace(", namespace: demo-frontend", ""),
        ),
        (
            "git/package.json",
            "{\"name\": \"policies\", \"version\": \"1.0.0\"}",
        ),
        ("git/.github/workflow.yaml", "on: [push]\n"),
    ] {
        fs::create_dir_all(root.path().join(name).parent().unwrap()).unwrap();
        fs::write(root.path().join(name), text).unwrap();
    }
    let (code, output) = lint(
        root.path(),
        "git?recursive=true&default_namespace=demo-frontend",
    );
    assert!(
        code == 0 && output.contains("0 errors, 0 warnings, 4 notes in 5 files"),
        "{output}"
    );
    let (code, output) = lint(root.path(), "git?recursive=true");
    assert!(
        code == 1
            && output.contains("`namespace` is missing")
            && output.contains("default_namespace"),
        "{output}"
    );
    let (_, output) = lint(root.path(), "git");
    assert!(
        output.contains("git/base") && output.contains("warning[not-read]"),
        "{output}"
    );
}

#[test]
fn an_authorization_policy_without_a_namespace_is_read_as_kubernetes_reads_it() {
    let root = tempfile::tempdir().unwrap();
    let ads = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: no-ads}\n\
               spec: {action: DENY, rules: [{to: [{operation: {hosts: [\"*.ads.example\"]}}]}]}\n";
    fs::create_dir(root.path().join("git")).unwrap();
    fs::write(root.path().join("git/ads.yaml"), ads).unwrap();
    let (code, output) = lint(root.path(), "git");
    assert!(
        code == 0
            && output.contains("warning[default-namespace]")
            && output.contains("ads.yaml:3:11"),
        "{output}"
    );
    let ask = |more: &[&str]| {
        let question = [
            "check",
            "--from",
            "shop/web",
            "--to",
            "http://x.ads.example/",
        ];
        let out = command()
            .args(question)
            .args(more)
            .arg("git")
            .current_dir(root.path())
            .output()
            .unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    assert!(ask(&[]).contains("ap:default/no-ads#0"), "{}", ask(&[]));
    // Istio would not apply it to a gateway of another namespace, so it is reported as out of
    // scope.
    fs::write(
        root.path().join("s.yaml"),
        "gateway: {namespace: istio-egress, labels: {a: b}}\n",
    )
    .unwrap();
    let out = command()
        .args(["lint", "--config", "s.yaml", "git"])
        .current_dir(root.path())
        .output()
        .unwrap();
    let output = String::from_utf8(out.stdout).unwrap();
    assert!(
        output.contains("warning[out-of-scope]") && output.contains("2 warnings"),
        "{output}"
    );
}

#[test]
fn a_policy_is_bound_to_the_hosts_of_the_service_entry_that_it_targets() {
    let root = tempfile::tempdir().unwrap();
    let policy = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                  metadata: {name: only-pay, namespace: istio-egress}\nspec:\n  \
                  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: psp}]\n  action: DENY\n  \
                  rules: [{from: [{source: {notNamespaces: [\"pay\"]}}]}]\n";
    let entry = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n\
                 metadata: {name: psp, namespace: istio-egress}\nspec: {hosts: [\"api.psp.example\"]}\n";
    fs::create_dir(root.path().join("git")).unwrap();
    fs::write(root.path().join("git/pay.yaml"), policy).unwrap();
    fs::write(
        root.path().join("s.yaml"),
        "gateway: {namespace: istio-egress, name: egress-waypoint}\n",
    )
    .unwrap();
    let run = |arguments: &[&str]| {
        let out = command()
            .args(arguments)
            .args(["--config", "s.yaml", "git"])
            .current_dir(root.path())
            .output()
            .unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    let output = run(&["lint"]);
    assert!(
        output.contains("warning[out-of-scope]") && output.contains("ServiceEntry"),
        "{output}"
    );
    fs::write(root.path().join("git/entry.yaml"), entry).unwrap();
    let output = run(&["lint"]);
    assert!(!output.contains("warning["), "{output}");
    for (from, to, rule) in [
        ("shop/web", "api.psp.example", "ap:istio-egress/only-pay#0"),
        ("pay/web", "api.psp.example", "builtin#default_allow"),
        ("shop/web", "other.example", "builtin#default_allow"),
    ] {
        let output = run(&["check", "--from", from, "--to", &format!("http://{to}/")]);
        assert!(output.contains(rule), "{from} {to}: {output}");
    }
}

#[test]
fn what_looks_like_a_policy_and_is_not_read_is_reported_by_log_status_and_record() {
    let plan = Plan::with("--audit file:out/audit.jsonl")
        .file("policies/a.yaml", &denying("a", "x.example"));
    let mut server = plan.start();
    server
        .folder
        .put("policies/b.yaml.bak", &denying("b", "y.example"));
    let warned = || {
        let warnings = server.status()["warnings"].as_array().unwrap().clone();
        warnings
            .into_iter()
            .find(|warning| warning["code"] == "not-read")
    };
    let warning = server.until("a warning", warned);
    assert_eq!(warning["place"], "./policies/b.yaml.bak");
    server.folder.remove("policies/b.yaml.bak");
    server.until("no warning", || warned().is_none().then_some(()));
    let ended = server.stop();
    assert!(ended.stderr.contains("b.yaml.bak"), "{}", ended.stderr);
    let record = server.folder.text("out/audit.jsonl");
    let output = record
        .lines()
        .filter(|line| line.contains("\"outcome\":\"warned\""))
        .collect::<Vec<_>>();
    assert!(
        output.len() == 2 && output[0].contains("b.yaml.bak"),
        "{output:?}"
    );
}

#[test]
fn a_special_file_blocks_nothing_and_is_reported() {
    let plan = Plan::with("--policies a --policies b --reload-rescan 500ms");
    let mut server = plan
        .file("a/p.yaml", &denying("a", "x.example"))
        .file("b/p.yaml", &denying("b", "y.example"))
        .start();
    let fifo = server.folder.at("a/odd.yaml");
    for (what, part) in [
        ("fifo", "a FIFO"),
        ("/dev/zero", "a FIFO, socket or device"),
        ("/proc/stat", "keeps changing"),
    ] {
        match what {
            "fifo" => assert!(
                Command::new("mkfifo")
                    .arg(&fifo)
                    .status()
                    .unwrap()
                    .success()
            ),
            target => symlink(target, &fifo).unwrap(),
        }
        let host = format!("z{}.example", what.len());
        server.folder.put("b/p.yaml", &denying("b", &host));
        server.until("the other source continues", || {
            (!server.check(&host).allowed).then_some(())
        });
        let refused = server.source(0, "refused");
        let problem = &refused["problems"][0];
        assert!(
            problem["place"].as_str().unwrap().ends_with("a/odd.yaml"),
            "{problem}"
        );
        assert!(
            problem["text"].as_str().unwrap().contains(part),
            "{problem}"
        );
        assert!(!server.check("x.example").allowed && server.get("/readyz").unwrap().0 == 200);
        let age = |name: &str| format!("customs_source_read_age_seconds{{source=\"{name}\"}}");
        let metrics = server.get("/metrics").unwrap().1;
        assert!(
            metrics.contains(&age("a")) && metrics.contains(&age("b")),
            "{metrics}"
        );
        fs::remove_file(&fifo).unwrap();
        server.source(0, "good");
    }
    server.stop();
}

#[test]
fn a_server_that_requires_a_policy_is_not_open_before_it_has_one() {
    let plan = Plan::with("--require-policy").file("policies/a.yaml", "kind: [\n");
    let (port, mut server) = (plan.port, plan.spawn());
    while server.is_running() {
        assert!(
            TcpStream::connect(("127.0.0.1", port)).is_err(),
            "a client could connect and would get no answer"
        );
    }
    assert_eq!(server.end().code, Some(3));
    let server = Plan::with("--require-policy")
        .file("policies/a.yaml", &denying("a", "x.example"))
        .start();
    assert!(!server.check("x.example").allowed);
}
