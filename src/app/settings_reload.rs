//! The settings file of a server that runs: what it means now, under the same flags and environment
//! as at the start.
//!
//! The table of settings says what a reload can change: a setting that can change a verdict takes
//! effect. Everything else was used up at the start; if it differs, the value of the start holds,
//! and a warning says that a restart is needed.
//!
//! The rule: **what is left out never opens anything.** A file with nothing in it is refused (it
//! was truncated, or a mount failed, more likely than meant), and so is one in which a setting has
//! fallen away that would widen verdicts: to go back to its default it must be written. A setting
//! whose default is the stricter value may just be left out.

use super::cli::ServeArgs;
use super::settings::{
    Origin, SETTINGS, Setting, SettingError, SettingPlaces, Settings, SettingsDocument, TakesEffect,
};
use customs_engine::settings::{self as engine, GatewayIdentity};
use customs_policy::policy_set::ParsedSettings;
use customs_policy::problem::{Code, Place, Problem};
use customs_sources::SettingsFile;

/// The settings file of a server that was started with these settings, if it was told of one that
/// can be read again.
pub(super) fn settings_file(args: ServeArgs, started: Settings) -> Option<SettingsFile> {
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
    let places = SettingPlaces::read(file, text).map_err(|problem| vec![problem])?;
    // Flags and the environment hold whatever the file says.
    let without = args.over(SettingsDocument::default());
    let fallen = fallen_away(&without.settings, &places, in_force);
    if places.is_empty() && (*started != without.settings || !fallen.is_empty()) {
        return Err(vec![nothing(file)]);
    }
    let document = if places.is_empty() {
        SettingsDocument::default()
    } else {
        SettingsDocument::parse(file, text).map_err(|problem| vec![problem])?
    };
    if !fallen.is_empty() {
        let problem = |path: &&str| left_out(file, &places, path);
        return Err(fallen.iter().map(problem).collect());
    }
    let now = args.over(document);
    let resolved = now.resolve().map_err(|wrong| {
        let errors = wrong.errors().iter();
        let problems = errors.map(|error| bad_setting(file, error));
        problems.collect::<Vec<_>>()
    })?;
    Ok(ParsedSettings {
        settings: resolved.engine,
        warnings: kept(started, &now.settings, file, &places),
    })
}

/// The engine's settings, each with the path of the setting that it comes from and a text to
/// compare it by.
fn by_path(settings: &engine::Settings) -> Vec<(&'static str, String)> {
    // Destructured completely: of a new setting of the engine, say here which setting it comes from.
    let engine::Settings {
        default_effect,
        enforcement,
        request_validation,
        trust_domains,
        cluster_domains,
        gateway_hosts,
        trusted_hops,
        root_namespace,
        identity_source,
        require_sni_host_match,
        gateway,
        listeners,
    } = settings;
    let customs_engine::identity::TrustDomains {
        own,
        aliases,
        accepted,
    } = trust_domains;
    let declared = gateway.is_some();
    let GatewayIdentity {
        namespace: _,
        labels,
        name,
        service_entries,
    } = &gateway.clone().unwrap_or_default();
    vec![
        ("default", format!("{default_effect:?}")),
        ("enforcement", format!("{enforcement:?}")),
        ("request_validation", format!("{request_validation:?}")),
        ("trust_domains", format!("{own:?} {aliases:?}")),
        ("accept_trust_domains", format!("{accepted:?}")),
        ("cluster_domains", format!("{cluster_domains:?}")),
        ("trusted_hops", format!("{trusted_hops:?}")),
        ("root_namespace", format!("{root_namespace:?}")),
        ("identity_source", format!("{identity_source:?}")),
        ("require_sni_host_match", require_sni_host_match.to_string()),
        // Which namespace it is cannot fall away: without one the others mean nothing.
        ("gateway.namespace", declared.to_string()),
        ("gateway.labels", format!("{labels:?}")),
        ("gateway.name", format!("{name:?}")),
        ("gateway.service_entries", format!("{service_entries:?}")),
        ("gateway.hosts", format!("{gateway_hosts:?}")),
        ("gateway.listeners", format!("{listeners:?}")),
    ]
}

/// The settings that would widen verdicts, or give other ones, because the file does not write them
/// any more.
fn fallen_away(
    without: &Settings,
    places: &SettingPlaces,
    in_force: &engine::Settings,
) -> Vec<&'static str> {
    let without = without.resolve().map(|resolved| resolved.engine);
    let without = by_path(&without.unwrap_or_default());
    let mut fallen = Vec::new();
    for ((path, now), (_, default)) in by_path(in_force).into_iter().zip(without) {
        let Some(setting) = Setting::of(path) else {
            continue;
        };
        let must_be_written = setting.takes_effect == TakesEffect::ReloadIfWritten;
        // If a whole mapping is gone, it is named and not each of its keys.
        let missing = if places.has(setting.name) {
            path
        } else {
            setting.name
        };
        let is_missing = must_be_written && now != default && !places.has(missing);
        if is_missing && fallen.last() != Some(&missing) {
            fallen.push(missing);
        }
    }
    fallen
}

fn nothing(file: &str) -> Problem {
    let what = "the settings file has nothing in it; the settings in force stay";
    Problem::error(Code::BadSetting, Place::whole(file), what)
        .hint("put it back; to have every default on purpose, write `default: allow`, or restart without the file")
}

fn left_out(file: &str, places: &SettingPlaces, path: &str) -> Problem {
    let what = format!(
        "`{path}` is not in the file any more, and without it requests could pass that do not pass now"
    );
    Problem::error(Code::BadSetting, key(file, places, path), what)
        .hint("the settings in force stay; write it, if only with its default (`customs settings` prints it)")
}

/// The warnings of what differs from the start and cannot take effect.
fn kept(started: &Settings, now: &Settings, file: &str, places: &SettingPlaces) -> Vec<Problem> {
    let differs =
        |setting: &&Setting| !setting.changes_verdicts() && !setting.is_same(started, now);
    let warning = |setting: &Setting| {
        let name = setting.name;
        let what = format!("`{name}` is not what the server was started with, and stays as it was");
        Problem::warning(Code::SettingChanged, key(file, places, name), what)
            .hint("restart to have it take effect")
    };
    SETTINGS.iter().filter(differs).map(warning).collect()
}

/// What is wrong with a setting, at its place.
fn bad_setting(file: &str, error: &SettingError) -> Problem {
    let (place, what) = match error.origin() {
        Origin::File(place) => (place.clone(), error.sentence()),
        _ => (Place::whole(file), error.to_string()),
    };
    Problem::error(Code::BadSetting, place, what).hint(
        "the settings in force stay; `customs settings` prints every setting with its default",
    )
}

/// The place of a setting's key, or of the mapping in which it is missed, or the whole file.
fn key(file: &str, places: &SettingPlaces, path: &str) -> Place {
    let outer = Setting::of(path).and_then(|setting| places.key(setting.name));
    let place = places.key(path).or(outer);
    place.cloned().unwrap_or_else(|| Place::whole(file))
}

#[cfg(test)]
mod tests;
