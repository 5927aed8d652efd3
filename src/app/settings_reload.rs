//! Rereads the settings file of a running server, under the same flags and environment as at the
//! start.
//!
//! The table of settings says what a reload can change: a setting that can change a verdict takes
//! effect. Every other setting is used only at the start; if it differs, the value at the start
//! stays, and a warning says that a restart is needed.
//!
//! The rule: **a setting that is left out never allows more.** An empty file is rejected, because
//! it was probably truncated, or a mount failed. A file is also rejected if it no longer has a
//! setting whose default would widen verdicts: to return to that default, write it. A setting whose
//! default is the stricter value may be left out.

use super::cli::ServeArgs;
use super::settings::{
    Origin, SETTINGS, Setting, SettingError, SettingPlaces, Settings, SettingsDocument, TakesEffect,
};
use customs_engine::settings::{self as engine, GatewayIdentity};
use customs_policy::policy_set::ParsedSettings;
use customs_policy::problem::{Code, Place, Problem};
use customs_sources::SettingsFile;

/// Returns the settings file of a server that was started with these settings, if it has one that
/// can be read again.
pub(super) fn settings_file(args: ServeArgs, started: Settings) -> Option<SettingsFile> {
    let path = args.config()?.to_owned();
    if !path.is_file() {
        // A pipe cannot be read twice.
        return None;
    }
    let name = path.display().to_string();
    Some(SettingsFile::new(path, move |text, in_force| {
        parse_settings(&args, &started, (&name, text), in_force)
    }))
}

/// Parses the text of a settings file.
fn parse_settings(
    args: &ServeArgs,
    started: &Settings,
    (file, text): (&str, &str),
    in_force: &engine::Settings,
) -> Result<ParsedSettings, Vec<Problem>> {
    let places = SettingPlaces::read(file, text).map_err(|problem| vec![problem])?;
    // Flags and the environment override the file.
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

/// Returns the engine's settings, each with the path of the setting that it is made from and a text
/// to compare.
fn by_path(settings: &engine::Settings) -> Vec<(&'static str, String)> {
    // Destructured completely, so that a new setting of the engine must name its setting here.
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
        // The namespace cannot be left out alone: without it the other keys have no meaning.
        ("gateway.namespace", declared.to_string()),
        ("gateway.labels", format!("{labels:?}")),
        ("gateway.name", format!("{name:?}")),
        ("gateway.service_entries", format!("{service_entries:?}")),
        ("gateway.hosts", format!("{gateway_hosts:?}")),
        ("gateway.listeners", format!("{listeners:?}")),
    ]
}

/// Returns the settings that would widen or change verdicts because the file no longer has them.
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
        // If a whole mapping is gone, the mapping is named and not each of its keys.
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
    let what = "the settings file is empty; the settings in force stay";
    Problem::error(Code::BadSetting, Place::whole(file), what)
        .hint("restore the file; to use every default on purpose, write `default: allow`, or restart without the file")
}

fn left_out(file: &str, places: &SettingPlaces, path: &str) -> Problem {
    let what = format!(
        "`{path}` is no longer in the file, and its default could allow requests that are denied now"
    );
    Problem::error(Code::BadSetting, key(file, places, path), what)
        .hint("the settings in force stay; write the setting, even with its default (`customs settings` prints it)")
}

/// Returns a warning for each setting that differs from the start and cannot take effect.
fn kept(started: &Settings, now: &Settings, file: &str, places: &SettingPlaces) -> Vec<Problem> {
    let differs =
        |setting: &&Setting| !setting.changes_verdicts() && !setting.is_same(started, now);
    let warning = |setting: &Setting| {
        let name = setting.name;
        let what = format!("`{name}` differs from its value at the start, which stays in force");
        Problem::warning(Code::SettingChanged, key(file, places, name), what)
            .hint("restart the server to apply it")
    };
    SETTINGS.iter().filter(differs).map(warning).collect()
}

/// Returns the problem of a setting, at its place.
fn bad_setting(file: &str, error: &SettingError) -> Problem {
    let (place, what) = match error.origin() {
        Origin::File(place) => (place.clone(), error.sentence()),
        _ => (Place::whole(file), error.to_string()),
    };
    Problem::error(Code::BadSetting, place, what).hint(
        "the settings in force stay; `customs settings` prints every setting with its default",
    )
}

/// Returns the place of a setting's key, or of the mapping in which it is missing, or the whole
/// file.
fn key(file: &str, places: &SettingPlaces, path: &str) -> Place {
    let outer = Setting::of(path).and_then(|setting| places.key(setting.name));
    let place = places.key(path).or(outer);
    place.cloned().unwrap_or_else(|| Place::whole(file))
}

#[cfg(test)]
mod tests;
