//! The settings file of a server that runs: what it means now, under the same flags and environment as at the start.
//!
//! What can change a verdict takes effect. Everything else was used up at the start; where it differs, it is kept as it
//! was, and a warning says that a restart is needed.
//!
//! The rule: **what is left out never opens anything.** A file with nothing in it is refused (it was truncated, or a mount
//! failed, more likely than meant), and so is one in which a setting has fallen away that would widen verdicts: to go
//! back to its default it must be written. A setting whose default is the stricter value may just be left out.

use serde_json::{Map, Value};

use super::cli::ServeArgs;
use super::settings::Settings;
use customs_engine::settings as engine;
use customs_policy::document;
use customs_policy::policy_set::ParsedSettings;
use customs_policy::problem::{Code, Place, Problem};
use customs_sources::SettingsFile;

/// The settings that are part of a snapshot.
const LIVE: [&str; 11] = [
    "trust_domains",
    "accept_trust_domains",
    "cluster_domains",
    "trusted_hops",
    "default",
    "enforcement",
    "request_validation",
    "root_namespace",
    "identity_source",
    "require_sni_host_match",
    "gateway",
];

/// The settings file of a server that was started with these settings, if it was told of one that can be read again.
pub fn settings_file(args: ServeArgs, started: Settings) -> Option<SettingsFile> {
    let path = args.config()?.to_owned();
    if !path.is_file() {
        // A pipe has nothing more to say.
        return None;
    }
    let name = path.display().to_string();
    Some(SettingsFile::new(path, move |text, in_force| {
        meaning(&args, &started, (&name, text), in_force)
    }))
}

/// What the text of a settings file means.
fn meaning(
    args: &ServeArgs,
    started: &Settings,
    (file, text): (&str, &str),
    in_force: &engine::Settings,
) -> Result<ParsedSettings, Vec<Problem>> {
    let written = document::keys(file, text).map_err(|problem| vec![problem])?;
    let is_needed = *started != args.clone().over(Settings::default());
    if written.is_empty() && (is_needed || fallen_away(args, &written, in_force).next().is_some()) {
        return Err(vec![nothing(file)]);
    }
    let fallen: Vec<_> = fallen_away(args, &written, in_force)
        .map(|knob| left_out(file, text, knob))
        .collect();
    let read = if written.is_empty() {
        Settings::default()
    } else {
        Settings::parse(file, text).map_err(|p| vec![p])?
    };
    if !fallen.is_empty() {
        return Err(fallen);
    }
    let settings = args.clone().over(read);
    let wrong = |wrong: Vec<String>| {
        wrong
            .into_iter()
            .map(|why| bad_setting(file, text, why))
            .collect::<Vec<_>>()
    };
    let resolved = settings.resolve().map_err(wrong)?;
    Ok(ParsedSettings {
        settings: resolved.engine,
        warnings: kept(started, &settings, file, text),
    })
}

/// The settings that would widen verdicts, or give other ones, because the file does not write them any more.
fn fallen_away<'a>(
    args: &'a ServeArgs,
    written: &'a [String],
    in_force: &'a engine::Settings,
) -> impl Iterator<Item = &'static str> + 'a {
    let engine::Settings {
        default_effect,
        // Left out, these are enforced, and no foreign domain is accepted.
        enforcement: _,
        request_validation: _,
        trust_domains,
        cluster_domains,
        gateway_hosts,
        trusted_hops,
        root_namespace,
        identity_source,
        require_sni_host_match,
        gateway,
        listeners,
    } = in_force;
    // Flags and the environment hold whatever the file says.
    let without = args
        .clone()
        .over(Settings::default())
        .resolve()
        .map(|resolved| resolved.engine)
        .unwrap_or_default();
    let other_domains = (&trust_domains.own, &trust_domains.aliases)
        != (&without.trust_domains.own, &without.trust_domains.aliases);
    // The gateway stands in the file only.
    let has = |what: fn(&engine::GatewayIdentity) -> bool| gateway.as_ref().is_some_and(what);
    let nested = [
        ("gateway.namespace", gateway.is_some()),
        ("gateway.labels", has(|gateway| !gateway.labels.is_empty())),
        ("gateway.name", has(|gateway| gateway.name.is_some())),
        (
            "gateway.service_entries",
            has(|gateway| !gateway.service_entries.is_empty()),
        ),
        ("gateway.hosts", !gateway_hosts.is_empty()),
        ("gateway.listeners", !listeners.is_empty()),
    ];
    let is_written = |knob: &str| written.iter().any(|key| key == knob);
    let other_gateway = nested.iter().any(|(_, is_set)| *is_set);
    // Where the whole mapping is gone, that is told and not each of its keys.
    let nested = nested.into_iter().filter(move |_| is_written("gateway"));
    let whole = [
        ("default", *default_effect != without.default_effect),
        ("trust_domains", other_domains),
        (
            "cluster_domains",
            *cluster_domains != without.cluster_domains,
        ),
        ("trusted_hops", *trusted_hops != without.trusted_hops),
        ("root_namespace", *root_namespace != without.root_namespace),
        (
            "identity_source",
            *identity_source != without.identity_source,
        ),
        (
            "require_sni_host_match",
            *require_sni_host_match != without.require_sni_host_match,
        ),
        ("gateway", other_gateway),
    ];
    let fallen = move |(knob, differs): &(&'static str, bool)| *differs && !is_written(knob);
    whole
        .into_iter()
        .chain(nested)
        .filter(fallen)
        .map(|(knob, _)| knob)
}

fn nothing(file: &str) -> Problem {
    let what = "the settings file has nothing in it; the settings in force stay";
    Problem::error(Code::BadSetting, Place::whole(file), what)
        .hint("put it back; to have every default on purpose, write `default: allow`, or restart without the file")
}

fn left_out(file: &str, text: &str, knob: &str) -> Problem {
    let what = format!(
        "`{knob}` is not in the file any more, and without it requests could pass that do not pass now"
    );
    // A key inside another is missed where that one stands.
    let outer = knob.split('.').next().unwrap_or_default();
    Problem::error(Code::BadSetting, place(file, text, outer), what)
        .hint("the settings in force stay; write it, if only with its default (`customs settings` prints it)")
}

/// The warnings of what differs from the start and cannot take effect.
fn kept(started: &Settings, now: &Settings, file: &str, text: &str) -> Vec<Problem> {
    let (started, now) = (knobs(started), knobs(now));
    let differing = started
        .iter()
        .filter(|(knob, value)| !LIVE.contains(&knob.as_str()) && now.get(*knob) != Some(value));
    let warning = |(knob, _): (&String, &Value)| {
        let what = format!("`{knob}` is not what the server was started with, and stays as it was");
        Problem::warning(Code::SettingChanged, place(file, text, knob), what)
            .hint("restart to have it take effect")
    };
    differing.map(warning).collect()
}

fn knobs(settings: &Settings) -> Map<String, Value> {
    match serde_json::to_value(settings) {
        Ok(Value::Object(knobs)) => knobs,
        // Settings are always a mapping with text for keys.
        _ => Map::new(),
    }
}

/// What is wrong with a setting, at its line.
fn bad_setting(file: &str, text: &str, why: String) -> Problem {
    let knob = why
        .split([':', '.'])
        .next()
        .unwrap_or_default()
        .replace('-', "_");
    Problem::error(Code::BadSetting, place(file, text, &knob), why).hint(
        "the settings in force stay; `customs settings` prints every setting with its default",
    )
}

/// The line of a setting, or the whole file, where it comes from elsewhere.
fn place(file: &str, text: &str, knob: &str) -> Place {
    let is_it = |line: &str| {
        line.strip_prefix(knob)
            .is_some_and(|rest| rest.trim_start().starts_with(':'))
    };
    match (1..).zip(text.lines()).find(|(_, line)| is_it(line)) {
        Some((line, _)) => Place {
            line,
            column: 1,
            ..Place::whole(file)
        },
        None => Place::whole(file),
    }
}

#[cfg(test)]
mod tests {
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

    /// What a text means to a server that was started with these flags and an empty file.
    fn read(flags: &[&str], text: &str) -> Result<ParsedSettings, Vec<Problem>> {
        reread(flags, "", text)
    }

    /// The same to one that was started with a file.
    fn reread(flags: &[&str], before: &str, text: &str) -> Result<ParsedSettings, Vec<Problem>> {
        let args = args(flags);
        let file = if before.is_empty() {
            Settings::default()
        } else {
            Settings::parse("s.yaml", before).unwrap()
        };
        let started = args.clone().over(file);
        let in_force = started.resolve().unwrap().engine;
        meaning(&args, &started, ("s.yaml", text), &in_force)
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
                    problems[0].code == Code::BadSetting
                        && problems[0].text.contains("nothing in it"),
                    "{problems:?}"
                );
            }
            assert!(
                read(&[], text).is_ok(),
                "there was nothing in it at the start: {text:?}"
            );
            assert!(
                read(&["--default", "deny"], text).is_ok(),
                "a flag holds whatever the file says: {text:?}"
            );
        }
    }

    #[test]
    fn a_setting_that_falls_away_opens_nothing() {
        for (before, after, told) in [
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
            let knobs: Vec<_> = problems
                .iter()
                .map(|p| p.text.split('`').nth(1).unwrap())
                .collect();
            assert_eq!(knobs, told, "{before} -> {after}");
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
                    .starts_with(&format!("`gateway.{key}` is not in the file")),
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
            "a flag beats the file now as then"
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
        let told: Vec<_> = meant
            .warnings
            .iter()
            .map(|w| (w.place.to_string(), w.text.clone()))
            .collect();
        assert_eq!(told.len(), 1, "a flag holds now as then: {told:?}");
        assert!(
            told[0].0 == "s.yaml:2:1" && told[0].1.starts_with("`listen` is not what"),
            "{told:?}"
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, expected) in [
            (
                "admin: off\nroot_namespace: Root\n",
                vec!["s.yaml:2:1: error[bad-setting]: root-namespace: `Root`"],
            ),
            (
                "gateway: {name: x}\nreload_settle: soon\n",
                vec!["s.yaml:1:1", "s.yaml:2:1"],
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
    fn every_setting_is_live_or_not() {
        let knobs = knobs(&Settings::default());
        assert!(LIVE.iter().all(|knob| knobs.contains_key(*knob)));
        let engine = |text: &str| read(&[], text).unwrap().settings.fingerprint();
        for (knob, value) in [
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
            ("gateway", "{namespace: istio-system}"),
            ("gateway", "{hosts: [egress.example]}"),
        ] {
            assert!(
                LIVE.contains(&knob) && engine(&format!("{knob}: {value}\n")) != engine(""),
                "{knob}"
            );
        }
    }
}
