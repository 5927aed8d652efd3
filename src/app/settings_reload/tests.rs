//! What a settings file means to a server that runs.

use clap::Parser;

use super::*;
use crate::app::cli::{Cli, Command};
use customs_engine::enforcement::Enforcement;
use customs_engine::settings::DefaultEffect;

fn args(flags: &[&str]) -> ServeArgs {
    let cli = Cli::try_parse_from(["customs", "serve"].iter().chain(flags)).unwrap();
    let Command::Serve(args) = cli.command else {
        panic!("not serve")
    };
    *args
}

/// Rereads a text in a server that was started with these flags and an empty file.
fn read(flags: &[&str], text: &str) -> Result<ParsedSettings, Vec<Problem>> {
    reread(flags, "", text)
}

/// Rereads a text in a server that was started with another one.
fn reread(flags: &[&str], before: &str, text: &str) -> Result<ParsedSettings, Vec<Problem>> {
    let args = args(flags);
    let started = args.over(SettingsDocument::parse("s.yaml", before).unwrap());
    let in_force = started.resolve().unwrap().engine;
    let started = started.settings;
    parse_settings(&args, &started, ("s.yaml", text), &in_force)
}

/// The ways in which a file can hold nothing.
const NOTHING: [&str; 10] = [
    "",
    " \n\t\n",
    "# default: deny\n",
    "{}",
    "{ }\n",
    "null\n",
    "~",
    "---\n",
    "---\n...\n",
    "\u{feff}# a\n{}\n",
];

#[test]
fn a_settings_file_with_nothing_in_it_is_refused_at_a_reload() {
    for text in NOTHING {
        for before in [
            "default: deny\n",
            "trust_domains: [corp.example]\n",
            "admin: off\n",
            "default: allow\nhelp_url: x\n",
        ] {
            let problems = reread(&[], before, text).unwrap_err();
            assert!(
                problems[0].code == Code::BadSetting && problems[0].text.contains("is empty"),
                "{problems:?}"
            );
        }
        assert!(
            read(&[], text).is_ok(),
            "there was a file like that at the start: {text:?}"
        );
        assert!(
            read(&["--default", "deny"], text).is_ok(),
            "a flag holds whatever the file says: {text:?}"
        );
    }
}

#[test]
fn a_setting_that_falls_away_opens_nothing() {
    for (before, after, expected) in [
        (
            "default: deny\nadmin: off\n",
            "admin: off\n",
            &["default"][..],
        ),
        (
            "default: deny\nadmin: off\n",
            "default: allow\nadmin: off\n",
            &[],
        ),
        (
            "require_sni_host_match: true\nadmin: off\n",
            "admin: off\n",
            &["require_sni_host_match"],
        ),
        (
            "gateway: {namespace: a}\nadmin: off\n",
            "admin: off\n",
            &["gateway"],
        ),
        (
            "gateway: {listeners: [{port: 1, host: a.example}]}\nadmin: off\n",
            "admin: off\n",
            &["gateway"],
        ),
        (
            "cluster_domains: [corp.internal]\ngateway: {hosts: [gw.example]}\n",
            "admin: off\n",
            &["cluster_domains", "gateway"],
        ),
        (
            "root_namespace: root\ntrusted_hops: 1\nadmin: off\n",
            "admin: off\n",
            &["trusted_hops", "root_namespace"],
        ),
        (
            "trust_domains: [a.example]\nidentity_source: xfcc\n",
            "admin: off\n",
            &["trust_domains", "identity_source"],
        ),
        (
            "enforcement: report\nrequest_validation: report\naccept_trust_domains: [a.example]\nadmin: off\n",
            "admin: off\n",
            &[],
        ),
    ] {
        let problems = reread(&[], before, after).err().unwrap_or_default();
        let settings: Vec<_> = problems
            .iter()
            .map(|p| p.text.split('`').nth(1).unwrap())
            .collect();
        assert_eq!(settings, expected, "{before} -> {after}");
    }
}

#[test]
fn a_key_of_the_gateway_that_falls_away_is_refused_with_its_path() {
    let all = "gateway:\n  namespace: a\n  labels: {x: y}\n  name: n\n  service_entries: {psp: [api.psp.example]}\n  \
               hosts: [gw.example]\n  listeners: [{port: 1, host: a.example}]\n";
    assert!(reread(&[], all, all).is_ok());
    for (key, default) in [
        ("labels", "{}"),
        ("name", ""),
        ("service_entries", "{}"),
        ("hosts", "[]"),
        ("listeners", "[]"),
    ] {
        let line = all
            .lines()
            .find(|line| line.trim_start().starts_with(&format!("{key}:")))
            .unwrap();
        let problems = reread(&[], all, &all.replace(&format!("{line}\n"), "")).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0]
                .text
                .starts_with(&format!("`gateway.{key}` is no longer in the file")),
            "{}",
            problems[0]
        );
        assert_eq!(problems[0].place.to_string(), "s.yaml:1:1");
        let written = reread(&[], all, &all.replace(line, &format!("  {key}: {default}")));
        assert!(written.is_ok(), "{key} is written: {:?}", written.err());
    }
    let before = "gateway: {namespace: a, hosts: [gw.example]}\n";
    let problems = reread(&[], before, "gateway: {hosts: [gw.example]}\n").unwrap_err();
    assert!(
        problems[0].text.starts_with("`gateway.namespace`"),
        "{}",
        problems[0]
    );
    assert!(
        reread(
            &[],
            before,
            "gateway: {namespace: b, hosts: [other.example]}\n"
        )
        .is_ok()
    );
}

#[test]
fn what_changes_verdicts_takes_effect_under_the_same_flags() {
    let text = "enforcement: report\ndefault: deny\n";
    let meant = read(&[], text).unwrap();
    assert_eq!(
        (
            meant.settings.enforcement,
            meant.settings.default_effect,
            meant.warnings.len()
        ),
        (Enforcement::Report, DefaultEffect::Deny, 0)
    );
    let meant = read(&["--enforcement", "enforce"], text).unwrap();
    assert_eq!(
        meant.settings.enforcement,
        Enforcement::Enforce,
        "a flag overrides the file at a reload as at the start"
    );
    assert_eq!(
        read(&["--default", "deny"], "")
            .unwrap()
            .settings
            .default_effect,
        DefaultEffect::Deny
    );
}

#[test]
fn what_was_used_up_at_the_start_is_kept_with_a_warning() {
    let meant = read(
        &["--admin", "off"],
        "admin: 127.0.0.1:1\nlisten: [\"127.0.0.1:2\"]\n",
    )
    .unwrap();
    let warnings: Vec<_> = meant
        .warnings
        .iter()
        .map(|w| (w.place.to_string(), w.text.clone()))
        .collect();
    assert_eq!(warnings.len(), 1, "a flag holds now as then: {warnings:?}");
    assert!(
        warnings[0].0 == "s.yaml:2:1"
            && warnings[0]
                .1
                .starts_with("`listen` differs from its value at the start"),
        "{warnings:?}"
    );
}

#[test]
fn what_is_wrong_is_reported_with_its_line() {
    for (text, expected) in [
        (
            "admin: off\nroot_namespace: Root\n",
            vec!["s.yaml:2:17: error[bad-setting]: invalid root_namespace `Root`: "],
        ),
        (
            "gateway: {name: x}\nreload_settle: soon\n",
            vec!["s.yaml:1:10: ", "s.yaml:2:16: "],
        ),
        ("a: 1\n", vec!["s.yaml:1:1: error[unknown-field]"]),
        ("default: never\n", vec!["s.yaml:1:"]),
    ] {
        let mut problems: Vec<String> = read(&[], text)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect();
        problems.sort();
        assert_eq!(problems.len(), expected.len(), "{problems:?}");
        problems
            .iter()
            .zip(expected)
            .for_each(|(problem, start)| assert!(problem.starts_with(start), "{problem}"));
    }
}

#[test]
fn what_decides_comes_from_the_settings_that_take_effect_at_a_reload() {
    let engine = |text: &str| read(&[], text).unwrap().settings;
    let default = by_path(&engine(""));
    for (path, value) in [
        ("trust_domains", "[a.example]"),
        ("accept_trust_domains", "[a.example]"),
        ("cluster_domains", "[corp.internal]"),
        ("trusted_hops", "1"),
        ("default", "deny"),
        ("enforcement", "report"),
        ("request_validation", "report"),
        ("root_namespace", "root"),
        ("identity_source", "xfcc"),
        ("require_sni_host_match", "true"),
        ("gateway.namespace", "istio-system"),
        ("gateway.hosts", "[egress.example]"),
        ("gateway.listeners", "[{port: 1, host: a.example}]"),
    ] {
        let text = match path.split_once('.') {
            Some((outer, inner)) => format!("{outer}: {{{inner}: {value}}}\n"),
            None => format!("{path}: {value}\n"),
        };
        let (now, before) = (engine(&text), engine(""));
        assert_ne!(now.fingerprint(), before.fingerprint(), "{path}");
        let differs: Vec<&str> = by_path(&now)
            .into_iter()
            .zip(&default)
            .filter(|(now, before)| now != *before)
            .map(|((path, _), _)| path)
            .collect();
        assert_eq!(differs, [path]);
    }
    let named: std::collections::BTreeSet<&str> = default
        .iter()
        .map(|(path, _)| Setting::of(path).unwrap().name)
        .collect();
    let live = SETTINGS.iter().filter(|setting| setting.changes_verdicts());
    assert_eq!(named, live.map(|setting| setting.name).collect());
}
