//! Every setting has its flag, and flags beat the file.

use clap::{CommandFactory, Parser};

use super::*;
use crate::app::cli::{Cli, Command};
use crate::app::settings::{Enforcement, Written};

fn serve(args: &[&str]) -> LayeredSettings {
    let cli = Cli::try_parse_from(["customs", "serve"].iter().chain(args)).unwrap();
    let Command::Serve(args) = cli.command else {
        panic!("another command than serve")
    };
    args.settings().unwrap()
}

/// Returns the problems of these flags with a file of this text.
fn wrong(args: &[&str], file: &str) -> Vec<String> {
    let cli = Cli::try_parse_from(["customs", "serve"].iter().chain(args)).unwrap();
    let Command::Serve(args) = cli.command else {
        panic!("another command than serve")
    };
    let layered = args.over(SettingsDocument::parse("s.yaml", file).unwrap());
    let wrong = layered.resolve().unwrap_err();
    wrong.errors().iter().map(ToString::to_string).collect()
}

#[test]
fn no_flag_means_the_defaults() {
    assert_eq!(serve(&[]).settings, Settings::default());
}

#[test]
fn flags_beat_the_file_and_the_file_beats_the_defaults() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = "admin: off\nenforcement: report\nlisten: [\"127.0.0.1:1\"]\n";
    std::fs::write(file.path(), text).unwrap();
    let settings = serve(&[
        "--config",
        file.path().to_str().unwrap(),
        "--listen",
        "127.0.0.1:2",
        "--listen",
        "unix:/x",
        "--require-policy",
        "--trust-domains",
        "a.example,b.example",
    ])
    .settings;
    assert_eq!(
        (settings.admin.as_str(), settings.enforcement),
        ("off", Enforcement::Report)
    );
    assert_eq!(settings.listen, ["127.0.0.1:2", "unix:/x"]);
    assert_eq!(settings.trust_domains, ["a.example", "b.example"]);
    assert!(settings.require_policy);
}

/// Parses a setting's flag with a value that is not its default.
fn with_other_value(setting: &Setting) -> Settings {
    let flag = setting.flag().unwrap();
    let tls = "certificate=a,private_key=b";
    let values = [
        "7", "true", "deny", "report", "xfcc", "always", "other", tls,
    ];
    let mut given = values.iter().filter_map(|value| {
        let flag = format!("--{flag}={value}");
        let cli = Cli::try_parse_from(["customs", "serve", &flag]).ok()?;
        let Command::Serve(args) = cli.command else {
            panic!("another command than serve")
        };
        Some(args.settings().unwrap().settings)
    });
    let is_other = |settings: &Settings| !setting.is_same(settings, &Settings::default());
    given.find(is_other).expect(setting.name)
}

#[test]
fn every_setting_has_a_flag_and_a_variable_unless_it_is_a_mapping() {
    let command = Cli::command();
    let command = command.find_subcommand("serve").unwrap();
    for setting in SETTINGS {
        let argument = command
            .get_arguments()
            .find(|argument| argument.get_id() == setting.name);
        if setting.written == Written::FileOnly {
            assert!(argument.is_none(), "{}", setting.name);
            assert!(setting.default_value().is_object(), "{}", setting.name);
            continue;
        }
        let variable = argument.unwrap().get_env().unwrap().to_str().unwrap();
        assert_eq!(variable, format!("CUSTOMS_{}", setting.name.to_uppercase()));
        let settings = with_other_value(setting);
        for other in SETTINGS {
            let is_same = other.is_same(&settings, &Settings::default());
            assert_eq!(
                is_same,
                other.name != setting.name,
                "{}: {}",
                setting.name,
                other.name
            );
        }
    }
}

#[test]
fn the_help_of_a_flag_is_the_first_sentence_and_the_default() {
    let command = Cli::command();
    let serve = command.find_subcommand("serve").unwrap();
    let help = |name: &str| {
        let argument = serve.get_arguments().find(|one| one.get_id() == name);
        argument.unwrap().get_help().unwrap().to_string()
    };
    assert_eq!(
        help("drain_timeout"),
        "How long checks in flight may take to finish after drain_delay [default: 5s]"
    );
    assert_eq!(
        help("accept_trust_domains"),
        "The foreign trust domains whose workloads are accepted; any accepts every one [default: none]"
    );
    assert_eq!(
        help("trusted_hops"),
        "The number of trusted proxies in front of the gateway; undeclared by default"
    );
}

#[test]
fn tools_take_what_can_change_a_verdict() {
    let command = Cli::command();
    for (name, directories) in [("lint", true), ("revision", true), ("diff", false)] {
        let tool = command.find_subcommand(name).unwrap();
        for setting in SETTINGS.iter().filter(|s| s.written != Written::FileOnly) {
            let argument = tool.get_arguments().find(|a| a.get_id() == setting.name);
            let is_taken = setting.changes_verdicts() || directories && setting.name == POLICIES;
            assert_eq!(argument.is_some(), is_taken, "{name}: {}", setting.name);
            let is_flag = argument.is_some_and(|a| a.get_long().is_some());
            assert_eq!(
                is_flag,
                setting.changes_verdicts(),
                "{name}: {}",
                setting.name
            );
        }
    }
}

#[test]
fn a_wrong_setting_is_reported_with_where_it_was_written() {
    let expected = "expected a DNS label such as `istio-system`";
    assert_eq!(
        wrong(&["--root-namespace", "Root"], "root_namespace: a\n"),
        [format!(
            "--root-namespace: invalid root_namespace `Root`: {expected}"
        )]
    );
    assert_eq!(
        wrong(&[], "admin: off\nroot_namespace: Root\n"),
        [format!(
            "s.yaml:2:17: invalid root_namespace `Root`: {expected}"
        )]
    );
    assert_eq!(
        wrong(&[], "gateway:\n  listeners:\n  - {port: 0, host: a}\n"),
        ["s.yaml:3:12: invalid gateway.listeners[0].port `0`: expected 1 to 65535"]
    );
    let streams = wrong(&["--max-concurrent-streams", "30000"], "");
    assert_eq!(streams.len(), 2, "{streams:?}");
    assert!(streams[0].starts_with("--max-concurrent-streams: invalid max_concurrent_streams"));
    assert!(
        streams[1].starts_with("invalid max_pending_resets `120000`"),
        "a default has no place"
    );
}
