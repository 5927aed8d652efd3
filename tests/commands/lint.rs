//! `customs lint`: every problem at once, in four formats, with an exit code for CI.

use std::collections::BTreeSet;

use super::{Folder, command, ended, policy};

/// One file with ten mistakes of ten kinds, and the output for it.
const TEN: &str = include_str!("ten-mistakes.yaml");
const TOLD: &str = include_str!("ten-mistakes.txt");

fn clean() -> String {
    policy("shop", "{deny: [{name: a, hosts: [a.example]}]}")
}

#[test]
fn nothing_wrong_is_reported_in_one_line() {
    let folder = Folder::with(&[("policies/a.yaml", &clean())]);
    let ended = folder.run("lint");
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (Some(0), "0 errors, 0 warnings, 0 notes in 1 file\n")
    );
}

#[test]
fn ten_mistakes_are_ten_findings_with_place_and_remedy() {
    let remedies = TOLD.matches("= help: ").count();
    assert_eq!((TOLD.matches("error[").count(), remedies), (10, 10));
    let folder = Folder::with(&[("policies/ten.yaml", TEN)]);
    let human = folder.run("lint policies");
    assert_eq!((human.code, human.stdout.as_str()), (Some(1), TOLD));
    let report = folder.run("lint policies --format json").json();
    let problems = report["problems"].as_array().unwrap();
    let codes: BTreeSet<_> = problems
        .iter()
        .map(|p| p["code"].as_str().unwrap())
        .collect();
    assert_eq!((problems.len(), codes.len()), (10, 10), "{codes:?}");
    for problem in problems {
        assert!(
            problem["line"].as_u64() > Some(0) && problem["column"].as_u64() > Some(0),
            "{problem}"
        );
        assert!(
            problem["endColumn"].as_u64() > problem["column"].as_u64(),
            "{problem}"
        );
    }
    assert_eq!(
        (&report["errors"], &report["files"]),
        (&10.into(), &1.into())
    );
}

#[test]
fn nothing_is_coloured_without_a_terminal() {
    let folder = Folder::with(&[("policies/ten.yaml", TEN)]);
    assert!(!folder.run("lint").stdout.contains('\u{1b}'));
}

#[test]
fn warnings_fail_only_where_they_are_denied() {
    let istio = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: b}\n\
                 spec: {action: DENY, rules: [{to: [{operation: {hosts: [A.example]}}]}]}\n";
    let folder = Folder::with(&[("policies/a.yaml", istio)]);
    let ended = folder.run("lint");
    assert_eq!(ended.code, Some(0));
    assert!(
        ended
            .stdout
            .contains("\n0 errors, 1 warning, 0 notes in 1 file\n"),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stdout.starts_with("warning[host-spelling]"),
        "{}",
        ended.stdout
    );
    assert_eq!(folder.run("lint --deny-warnings").code, Some(1));
}

#[test]
fn expirations_of_grants_are_reported_for_any_time() {
    let grant =
        "{isolate: false, allow: [{name: a, hosts: [a.example], expires: '2026-12-31T00:00:00Z'}]}";
    let folder = Folder::with(&[("policies/a.yaml", &policy("shop", grant))]);
    for (flags, code) in [
        ("--now 2026-12-01T00:00:00Z", None),
        ("--now 2026-12-20T00:00:00Z", Some("expires-soon")),
        ("--now 2026-12-20T00:00:00Z --expiry-days 7", None),
        (
            "--now 2026-12-01T00:00:00Z --expiry-days 31",
            Some("expires-soon"),
        ),
        (
            "--now 2026-12-31T00:00:00Z --expiry-days 0",
            Some("expired"),
        ),
    ] {
        let ended = folder.run(&format!("lint --deny-warnings {flags}"));
        assert_eq!(ended.code, Some(i32::from(code.is_some())), "{flags}");
        assert!(
            code.is_none_or(|code| ended.stdout.starts_with(&format!("warning[{code}]"))),
            "{}",
            ended.stdout
        );
    }
}

/// Every field of every kind exists since the first version. `crates/policy/src/language/tests.rs`
/// shows what is reported of a field that came later.
#[test]
fn the_examples_load_in_every_version_of_the_language() {
    let version = concat!(
        env!("CARGO_PKG_VERSION_MAJOR"),
        ".",
        env!("CARGO_PKG_VERSION_MINOR")
    );
    let examples = super::repository().join("policies/examples");
    for target in ["0.1", version, env!("CARGO_PKG_VERSION")] {
        for example in std::fs::read_dir(&examples).unwrap() {
            let example = example.unwrap().path();
            if !example.is_dir() {
                continue;
            }
            let lint = |flags: &[&str]| ended(command(&example).arg("lint").args(flags).arg("."));
            let (with, without) = (lint(&["--target", target]), lint(&[]));
            let shown = example.display();
            assert_eq!(
                (with.code, &with.stdout),
                (without.code, &without.stdout),
                "{shown}"
            );
        }
    }
}

#[test]
fn a_version_that_is_not_known_is_refused_with_those_that_are() {
    let folder = Folder::with(&[("policies/a.yaml", &clean())]);
    assert_eq!(folder.run("lint --target 0.1").code, Some(0));
    for version in ["9.9", "latest", "v0.1"] {
        let ended = folder.run(&format!("lint --target {version}"));
        assert_eq!(ended.code, Some(2), "{version}");
        let said =
            format!("unknown version `{version}`: this customs knows the policy languages of 0.1");
        assert!(ended.stderr.contains(&said), "{}", ended.stderr);
    }
}

#[test]
fn a_bad_flag_has_another_exit_code_than_a_bad_policy() {
    let folder = Folder::with(&[("policies/a.yaml", &clean())]);
    for flags in [
        "--format yaml",
        "--nope",
        "--root-namespace Root",
        "--config gone.yaml",
        "policies policies",
    ] {
        let ended = folder.run(&format!("lint {flags}"));
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{flags}"
        );
        assert!(!ended.stderr.is_empty());
    }
}

#[test]
fn what_cannot_be_read_is_a_problem() {
    let folder = Folder::with(&[("empty/README.md", "")]);
    for (arguments, code) in [("lint", "unreadable"), ("lint empty", "no-policy")] {
        let ended = folder.run(arguments);
        assert_eq!(ended.code, Some(1));
        assert!(
            ended.stdout.contains(&format!("error[{code}]")),
            "{}",
            ended.stdout
        );
    }
}

#[test]
fn several_directories_are_the_sources_of_one_set() {
    let set = "apiVersion: egress.customs/v1alpha1\nkind: DestinationSet\n\
               metadata: {name: s, namespace: istio-system}\nspec: {hosts: [a.example]}\n";
    let uses = policy(
        "shop",
        "{isolate: false, allow: [{name: a, destinations: [s]}]}",
    );
    let folder = Folder::with(&[("a/set.yaml", set), ("b/policy.yaml", &uses)]);
    assert_eq!(folder.run("lint a b").code, Some(0));
    let alone = folder.run("lint b");
    assert!(
        alone.stdout.contains("error[missing-set]"),
        "{}",
        alone.stdout
    );
    let by_environment = ended(
        command(folder.path())
            .arg("lint")
            .env("CUSTOMS_POLICIES", "a,b"),
    );
    assert_eq!(
        by_environment.last_line(),
        "0 errors, 0 warnings, 0 notes in 2 files"
    );
}

#[test]
fn the_settings_of_the_server_matter() {
    let theirs = policy(
        "platform",
        "{subjects: [{namespaces: ['**'], trustDomains: [td.example]}], isolate: true}",
    );
    let settings =
        "root_namespace: platform\naccept_trust_domains: [td.example]\npolicies: [rules]\n";
    let folder = Folder::with(&[("rules/a.yaml", &theirs), ("settings.yaml", settings)]);
    assert_eq!(folder.run("lint --config settings.yaml").code, Some(0));
    assert_eq!(
        folder
            .run("lint rules --root-namespace platform --accept-trust-domains td.example")
            .code,
        Some(0)
    );
    let without = folder.run("lint rules");
    for code in ["not-yours", "bad-identity"] {
        assert!(without.stdout.contains(code), "{}", without.stdout);
    }
}

#[test]
fn sarif_names_a_rule_and_a_region_for_each_result() {
    let folder = Folder::with(&[
        ("policies/ten.yaml", TEN),
        ("policies/broken.yaml", "a: [b\n"),
    ]);
    let ended = folder.run("lint --format sarif");
    let log = ended.json();
    assert_eq!((ended.code, &log["version"]), (Some(1), &"2.1.0".into()));
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let ids: BTreeSet<_> = rules
        .iter()
        .map(|rule| rule["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), rules.len());
    let results = run["results"].as_array().unwrap();
    assert!(results.len() >= 2);
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert!(
            place["artifactLocation"]["uri"]
                .as_str()
                .unwrap()
                .starts_with("policies/"),
            "{place}"
        );
        assert!(place["region"]["startLine"].as_u64() > Some(0), "{place}");
    }
}

/// The validator has a binary for x86-64 only.
#[cfg(target_arch = "x86_64")]
#[test]
fn sarif_passes_the_validator_of_its_authors() {
    let tool = customs_test_support::tools::sarif_multitool().unwrap();
    let istio = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: b}\n\
                 spec:\n  action: DENY\n  rules:\n  - to:\n    - operation:\n        hosts:\n        - a.example\n        - a.example\n";
    let folder = Folder::with(&[
        ("policies/ten.yaml", TEN),
        ("policies/istio.yaml", istio),
        ("policies/broken.yaml", "a: [b\n"),
    ]);
    for flags in ["", " --docs-url https://docs.example.com/customs/"] {
        let log = folder
            .run(&format!("lint --format sarif{flags} policies"))
            .stdout;
        assert_eq!(log.contains("\"helpUri\""), !flags.is_empty());
        assert!(log.matches("\"fixes\"").count() >= 5, "{log}");
        std::fs::write(folder.path().join("log.sarif"), log).unwrap();
        let mut validator = std::process::Command::new(&tool.path);
        validator
            .current_dir(folder.path())
            .args(["validate", "log.sarif"]);
        // Its messages are in English, and no library of locales is needed.
        validator.env("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "1");
        let said = ended(&mut validator);
        assert!(
            said.stdout.contains("Done. 1 files scanned.") && !said.stdout.contains(": error "),
            "{said:?}"
        );
    }
}

#[test]
fn github_gets_one_annotation_per_line() {
    let folder = Folder::with(&[("policies/a.yaml", &policy("shop", "{isolat: true}"))]);
    let ended = folder.run("lint --format github");
    let expected = "::error file=policies/a.yaml,line=4,col=8,endColumn=14,title=customs%3A unknown-field::unknown field \
                    `isolat` in `spec`; did you mean `isolate`?\n1 error, 0 warnings, 0 notes in 1 file\n";
    assert_eq!(ended.stdout, expected);
}
