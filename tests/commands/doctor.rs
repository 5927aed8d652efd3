//! `customs doctor` with files: what it says, its exit code, its JSON, and what it does with files
//! that are none.

use std::path::PathBuf;

use serde_json::Value;

use crate::{Ended, Folder, command, ended, repository};

/// Runs it in a folder, with arguments in one text; `DUMPS` is the folder of dumps of real Envoys.
fn doctor(folder: &Folder, arguments: &str) -> Ended {
    let dumps = repository().join("crates/doctor/tests/dumps");
    let arguments = arguments.replace("DUMPS", &dumps.display().to_string());
    let mut command = command(folder.path());
    ended(command.arg("doctor").args(arguments.split_whitespace()))
}

fn codes(ended: &Ended) -> Vec<String> {
    let document = ended.json();
    assert_eq!(document["version"], 1);
    let findings = document["findings"].as_array().unwrap();
    findings
        .iter()
        .map(|finding| finding["code"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_healthy_set_up_says_so_and_what_was_checked() {
    let folder = Folder::with(&[]);
    let files = "--envoy DUMPS/good/gateway.json --mesh-config DUMPS/good/mesh.yaml --objects DUMPS/good/objects.yaml";
    let ended = doctor(&folder, files);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.last_line(), "Nothing is wrong in what was checked.");
    for line in [
        "Checked:",
        "  every filter chain of the gateway asks customs:",
        "Not checked:",
        "  replicas of customs: give --admin ADDR[,ADDR..]",
    ] {
        assert!(ended.stdout.contains(line), "{line}: {}", ended.stdout);
    }
}

#[test]
fn a_fault_is_told_with_its_meaning_and_remedy() {
    let folder = Folder::with(&[]);
    let files = "--envoy DUMPS/no-timeout/gateway.json --mesh-config DUMPS/no-timeout/mesh.yaml";
    let text = doctor(&folder, files);
    assert_eq!(text.code, Some(1), "{text:?}");
    // Where a line breaks depends on the length of the paths.
    let words: Vec<&str> = text.stdout.split_whitespace().collect();
    let joined = words.join(" ");
    for part in [
        "error: timeout-missing: provider `customs`",
        "no `timeout`",
        "the filter waits 600 s, which is Istio's default",
        "timeout: 0.5s",
    ] {
        assert!(joined.contains(part), "{part}: {}", text.stdout);
    }
    assert_eq!(text.last_line(), "1 error.");
    let json = doctor(&folder, &format!("{files} --format json"));
    assert_eq!(
        (json.code, codes(&json)),
        (Some(1), vec!["timeout-missing".to_owned()])
    );
    let finding = &json.json()["findings"][0];
    assert_eq!(finding["severity"], "error");
    assert_eq!(finding["evidence"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_evidence_of_an_envoy_may_be_a_folder() {
    let certificates = r#"{"certificates": [{"cert_chain": [{"subject_alt_names": [{"uri": "spiffe://a"}],
        "valid_from": "2020-01-01T00:00:00Z", "expiration_time": "2020-01-02T00:00:00Z"}]}]}"#;
    let info = r#"{"version": "abc/1.38.2/Clean/RELEASE/BoringSSL", "state": "LIVE"}"#;
    let folder = Folder::with(&[
        ("gateway/certs", certificates),
        ("gateway/server_info.json", info),
        (
            "gateway/stats.txt",
            "http.a.ext_authz.ok: 1\nhttp.a.ext_authz.error: 4\n",
        ),
    ]);
    let ended = doctor(&folder, "--envoy gateway --format json");
    assert_eq!(
        codes(&ended),
        ["certificate-expired", "checks-failed", "envoy-outdated"]
    );
}

#[test]
fn each_form_of_the_mesh_configuration_and_stdin_are_taken() {
    let provider = "extensionProviders: [{name: customs, envoyExtAuthzGrpc: {service: a.b, port: 1, timeout: 0.5s, failOpen: true}}]";
    let config_map =
        format!("kind: ConfigMap\napiVersion: v1\ndata:\n  mesh: |-\n    {provider}\n");
    let operator =
        std::fs::read_to_string(repository().join("deploy/istio/trial/mesh-config.yaml"));
    let folder = Folder::with(&[
        ("alone.yaml", provider),
        ("config-map.yaml", config_map.as_str()),
        ("operator.yaml", operator.unwrap().as_str()),
        (
            "values.yaml",
            format!("meshConfig: {{{provider}}}\n").as_str(),
        ),
    ]);
    for file in ["alone", "config-map", "operator", "values"] {
        let ended = doctor(&folder, &format!("--mesh-config {file}.yaml --format json"));
        assert_eq!(codes(&ended), ["fail-open"], "{file}");
    }
    let mut command = command(folder.path());
    command.args(["doctor", "--objects", "-", "--format", "json"]);
    let narrow = repository().join("crates/doctor/tests/dumps/narrow-hosts/objects.yaml");
    command.stdin(std::fs::File::open(narrow).unwrap());
    assert_eq!(codes(&ended(&mut command)), ["custom-rule-narrow"]);
}

#[test]
fn a_file_that_is_something_else_is_a_finding_that_says_what_it_is() {
    let good = std::fs::read_to_string(dump("good/gateway.json")).unwrap();
    let half = good.get(..good.len() / 2).unwrap().to_owned();
    let folder = Folder::with(&[
        ("half.json", half.as_str()),
        ("page.html", "<!DOCTYPE html><title>Sign in</title>"),
        ("empty", ""),
        ("wrong.json", "{\"kind\": \"Pod\"}"),
        ("bad.yaml", "a: [\n"),
        ("other.yaml", "kind: ConfigMap\napiVersion: v1\n"),
        ("dump.json", good.as_str()),
    ]);
    for (arguments, expected) in [
        ("--envoy half.json", "it ends in the middle"),
        ("--envoy page.html", "a page of HTML"),
        ("--envoy empty", "it is empty"),
        ("--envoy wrong.json", "not a configuration of Envoy"),
        ("--envoy nowhere.json", "cannot be read"),
        ("--mesh-config page.html", "a page of HTML"),
        ("--mesh-config bad.yaml", "bad.yaml:"),
        ("--mesh-config other.yaml", "no mesh configuration"),
        ("--mesh-config dump.json", "no mesh configuration"),
        ("--objects other.yaml", "no object that matters"),
        ("--objects nowhere.yaml", "cannot be read"),
        ("--audit page.html", "not an audit log"),
        ("--audit nowhere.jsonl", "cannot be read"),
    ] {
        let ended = doctor(&folder, &format!("{arguments} --format json"));
        assert_eq!(
            (ended.code, codes(&ended)),
            (Some(1), vec!["unreadable-evidence".to_owned()]),
            "{arguments}"
        );
        let seen = &ended.json()["findings"][0]["evidence"][0];
        assert!(
            seen.as_str().unwrap().contains(expected),
            "{arguments}: {seen}"
        );
    }
    // What can be read is examined all the same.
    let ended = doctor(
        &folder,
        "--envoy half.json --mesh-config DUMPS/no-timeout/mesh.yaml --format json",
    );
    assert_eq!(codes(&ended), ["unreadable-evidence", "timeout-missing"]);
}

fn dump(path: &str) -> PathBuf {
    repository().join("crates/doctor/tests/dumps").join(path)
}

#[test]
fn a_dump_of_fifty_megabytes_is_read() {
    let endpoint = format!("{{\"endpoint\": {{\"name\": \"{}\"}}}}", "x".repeat(2_000));
    let many = vec![endpoint; 26_000].join(",");
    let good = std::fs::read_to_string(dump("no-timeout/gateway.json")).unwrap();
    let large = good.replacen(
        "\"configs\": [",
        &format!("\"configs\": [{{\"@type\": \"x\", \"dynamic_endpoint_configs\": [{many}]}},"),
        1,
    );
    assert!(large.len() > 50_000_000);
    let folder = Folder::with(&[("large.json", large.as_str())]);
    let ended = doctor(&folder, "--envoy large.json --format json");
    assert_eq!(codes(&ended), ["timeout-missing"]);
}

#[test]
fn the_audit_log_is_counted_and_shows_tls_without_its_host() {
    let record = |host: &str, sni: &str| {
        format!(
            "{{\"time\": \"2030-01-01T00:00:00Z\", \"kind\": \"decision\", \"stream\": \"s\", \"sequence\": \"1\", \"effect\": \"deny\", \"protocol\": \"tcp\"{host}, \"rawHost\": \"{sni}\"}}\n"
        )
    };
    let wrapper = "outbound_.443_.out_.gw.istio-system.svc.cluster.local";
    let log = record("", wrapper) + &record(", \"host\": \"a.example\"", "a.example");
    let folder = Folder::with(&[("audit.jsonl", log.as_str())]);
    let ended = doctor(&folder, "--audit audit.jsonl --format json");
    assert_eq!(codes(&ended), ["sni-missing"], "{ended:?}");
    let counts: Value = ended.json()["counts"].clone();
    assert_eq!(counts[0]["number"], 2, "{counts}");
}

#[test]
fn flags_that_make_no_sense_are_refused() {
    let folder = Folder::with(&[]);
    for (arguments, expected) in [
        ("", "--admin"),
        ("--format json", "--envoy"),
        ("--admin nowhere", "invalid address"),
        ("--envoy http://a:1/config_dump", "invalid address"),
        ("--envoy DUMPS/good/gateway.json --watch 5s", "--admin"),
        ("--admin 127.0.0.1:1 --ca x", "needs TLS"),
        ("--policies nowhere --default maybe", "maybe"),
    ] {
        let ended = doctor(&folder, arguments);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{arguments}: {ended:?}"
        );
        assert!(
            ended.stderr.contains(expected),
            "{arguments}: {}",
            ended.stderr
        );
    }
}

#[test]
fn text_of_others_cannot_write_to_the_terminal() {
    let mesh = "extensionProviders: [{name: \"a\\u001b[31mb\\nerror: x\", envoyExtAuthzGrpc: {service: x, port: 1}}]\n";
    let folder = Folder::with(&[("mesh.yaml", mesh)]);
    let ended = doctor(&folder, "--mesh-config mesh.yaml");
    assert!(
        ended.stdout.chars().all(|c| c == '\n' || !c.is_control()),
        "{ended:?}"
    );
    assert!(
        !ended.stdout.lines().any(|line| line == "error: x"),
        "{ended:?}"
    );
    let json = doctor(&folder, "--mesh-config mesh.yaml --format json");
    assert!(
        json.stdout.chars().all(|c| c == '\n' || !c.is_control()),
        "{json:?}"
    );
}
