//! The settings file of a running server: it is read again when it changes, like policies.

use crate::denying;
use customs_test_support::server::{Plan, Server};

/// Starts a server with this settings file, which denies `x.example`.
fn start(settings: &str) -> Server {
    Plan::with("--config settings.yaml --audit file:out/audit.jsonl")
        .file("settings.yaml", settings)
        .file("policies/a.yaml", &denying("a", "x.example"))
        .start()
}

/// Returns the status of the settings file, once it is in this state.
fn file(server: &Server, state: &str) -> serde_json::Value {
    let file = server.source(1, state);
    assert_eq!(file["name"], "settings.yaml");
    file
}

fn metric(server: &Server, line: &str) {
    let is_logged = || {
        server
            .get("/metrics")
            .unwrap()
            .1
            .lines()
            .any(|logged| logged == line)
    };
    server.until(line, || is_logged().then_some(()));
}

#[test]
fn enforcement_is_turned_off_and_on_under_a_running_server() {
    let mut server = start("enforcement: enforce\n");
    let first = server.revision();
    assert!(!server.check("x.example").allowed);

    server.folder.put("settings.yaml", "enforcement: report\n");
    let second = server.revision_after(&first);
    let answer = server.check("x.example");
    assert_eq!(
        (
            answer.allowed,
            answer.says("verdict"),
            answer.says("revision")
        ),
        (true, "deny", second.as_str())
    );
    assert_eq!(server.status()["enforcement"], "report");
    metric(&server, "customs_enforcement_report 1");

    server.folder.put("settings.yaml", "enforcement: enforce\n");
    assert_eq!(
        server.revision_after(&second),
        first,
        "the same files and settings have the same revision"
    );
    assert!(!server.check("x.example").allowed);
    metric(&server, "customs_enforcement_report 0");
    let ended = server.stop();
    assert!(
        ended
            .stderr
            .contains("`enforcement=Enforce` is now `enforcement=Report`"),
        "{}",
        ended.stderr
    );
    let record = server.folder.text("out/audit.jsonl");
    let changes: Vec<_> = record
        .lines()
        .filter(|line| line.contains("policyChange"))
        .collect();
    assert_eq!(changes.len(), 3, "{changes:#?}");
    assert!(
        changes[1].contains("setting-changed")
            && changes[1].contains(&format!("\"previousRevision\":\"{first}\""))
    );
}

#[test]
fn a_bad_settings_file_is_refused_with_its_place_and_the_server_continues() {
    let mut server = start("default: allow\n");
    let first = server.revision();
    for (text, place, part) in [
        (
            "default: allow\ndefualt: deny\n",
            "settings.yaml:2:1",
            "defualt",
        ),
        (
            "default: deny\nroot_namespace: Root\n",
            "settings.yaml:2:17",
            "invalid root_namespace",
        ),
        ("default: [\n", "settings.yaml:", ""),
    ] {
        server.folder.put("settings.yaml", text);
        let problem = || Some(file(&server, "refused")["problems"][0].clone());
        let at = |problem: &serde_json::Value| {
            problem["place"]
                .as_str()
                .is_some_and(|text| text.starts_with(place))
        };
        let is_it = |problem: &serde_json::Value| {
            at(problem) && problem["text"].as_str().unwrap().contains(part)
        };
        server.until(text, || problem().filter(is_it));
        assert_eq!(
            (server.revision(), server.check("x.example").reason()),
            (first.clone(), "denied_by_rule")
        );
        metric(&server, "customs_sources_refused 1");
    }
    server.folder.remove("settings.yaml");
    server.until("gone", || {
        file(&server, "refused")["problems"][0]["text"]
            .as_str()?
            .contains("vanished")
            .then_some(())
    });
    server
        .folder
        .put("policies/a.yaml", &denying("a", "y.example"));
    server.revision_after(&first);
    assert_eq!(
        server.check("y.example").reason(),
        "denied_by_rule",
        "policies continue to reload"
    );
    server.folder.put("settings.yaml", "default: deny\n");
    file(&server, "good");
    assert_eq!(server.check("z.example").reason(), "default_deny");
    server.stop();
    let record = server.folder.text("out/audit.jsonl");
    let refused = record
        .lines()
        .find(|line| line.contains("\"refused\""))
        .unwrap();
    assert!(
        refused.contains("\"refusedSources\":[\"settings.yaml\"]")
            && refused.contains("\"line\":2"),
        "{refused}"
    );
}

#[test]
fn an_emptied_settings_file_keeps_the_last_good_settings_and_says_so_everywhere() {
    let mut server = start("default: deny\n");
    let first = server.revision();
    for text in [
        "",
        "# default: deny\n",
        "{}\n",
        "null\n",
        "admin: 127.0.0.1:1\n",
    ] {
        server.folder.put("settings.yaml", text);
        let problem = file(&server, "refused")["problems"][0].clone();
        assert_eq!(problem["code"], "bad-setting", "{text:?}: {problem}");
        assert_eq!(
            (server.revision(), server.check("y.example").reason()),
            (first.clone(), "default_deny"),
            "{text:?}"
        );
        assert_eq!(server.status()["default"], "deny");
        metric(&server, "customs_sources_refused 1");
        server.folder.put("settings.yaml", "default: deny\n");
        file(&server, "good");
    }
    server.folder.put("settings.yaml", "default: allow\n");
    server.revision_after(&first);
    assert!(
        server.check("y.example").allowed,
        "what is written is meant"
    );
    let ended = server.stop();
    assert!(
        ended.stderr.contains("the settings file is empty"),
        "{}",
        ended.stderr
    );
    let record = server.folder.text("out/audit.jsonl");
    let refused = record
        .lines()
        .filter(|line| line.contains("\"refusedSources\":[\"settings.yaml\"]"))
        .count();
    assert_eq!(refused, 5, "{record}");
}

#[test]
fn what_cannot_change_while_running_is_kept_with_a_warning() {
    let mut server = start("");
    let first = server.revision();
    server.folder.put(
        "settings.yaml",
        "help_url: https://help.example\ndefault: deny\n",
    );
    server.revision_after(&first);
    let warning = server.status()["warnings"][0].clone();
    assert_eq!(
        (&warning["code"], &warning["place"]),
        (&"setting-changed".into(), &"settings.yaml:1:1".into())
    );
    assert!(
        warning["hint"].as_str().unwrap().contains("restart"),
        "{warning}"
    );
    server.folder.put("settings.yaml", "default: deny\n");
    server.until("no warning", || {
        server.status()["warnings"]
            .as_array()
            .unwrap()
            .is_empty()
            .then_some(())
    });
    server.folder.put(
        "settings.yaml",
        "default: deny\nadmin: off\nhelp_url: https://help.example\n",
    );
    server.until("warned", || {
        (server.status()["warnings"].as_array().unwrap().len() == 1).then_some(())
    });
    let ended = server.stop();
    let logged = ended
        .stderr
        .matches("`help_url` differs from its value at the start")
        .count();
    assert_eq!(
        logged, 2,
        "once each time, even if nothing is published: {}",
        ended.stderr
    );
}

#[test]
fn settings_and_policies_of_one_change_are_judged_together() {
    let partner = denying("a", "x.example").replace(
        "spec:\n",
        "spec:\n  subjects: [{trustDomains: [partner.td]}]\n",
    );
    let mut server = Plan::new()
        .environment("CUSTOMS_RELOAD_SETTLE", "500ms")
        .flags("--config settings.yaml --audit file:out/audit.jsonl")
        .file("settings.yaml", "")
        .file("policies/a.yaml", &denying("a", "x.example"))
        .start();
    let first = server.revision();
    server.folder.put("policies/a.yaml", &partner);
    server
        .folder
        .put("settings.yaml", "accept_trust_domains: [partner.td]\n");
    let second = server.revision_after(&first);
    server
        .folder
        .put("settings.yaml", "accept_trust_domains: []\n");
    server
        .folder
        .put("policies/a.yaml", &denying("a", "x.example"));
    assert_eq!(server.revision_after(&second), first);
    assert_eq!(server.status()["reloads"]["refused"], 0);
    server.stop();
}

#[test]
fn a_hangup_reads_the_settings_now() {
    let plan = Plan::with("--config settings.yaml --reload-settle 1h --reload-rescan 1h");
    let server = plan
        .file("settings.yaml", "")
        .file("policies/a.yaml", &denying("a", "x.example"))
        .start();
    let first = server.revision();
    server.folder.put("settings.yaml", "default: deny\n");
    server.signal("HUP");
    server.revision_after(&first);
    assert_eq!(server.check("y.example").reason(), "default_deny");
}
