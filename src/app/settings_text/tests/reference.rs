//! The reference of the settings in docs/OPERATIONS.md: written from the table of settings, and
//! compared with it.

use super::*;
use crate::app::settings::{Setting, TakesEffect, Written};

/// The page, and what encloses the reference in it.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md");
const MARKS: [&str; 2] = ["<!-- settings: begin -->\n", "<!-- settings: end -->"];

/// Formats a value for a cell.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Object(keys) if keys.is_empty() => "none".to_owned(),
        Value::Object(_) => "see below".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

/// Returns a text on one line, escaped so that it cannot end a cell.
fn one_line(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}

fn takes_effect(setting: &Setting) -> &'static str {
    match setting.takes_effect {
        TakesEffect::Restart => "restart",
        TakesEffect::Reload => "reload",
        TakesEffect::ReloadIfWritten => "reload, must stay written",
    }
}

fn setting_row(setting: &Setting) -> String {
    let flag = match (setting.written, setting.flag()) {
        (Written::Flag(value), Some(flag)) => format!("`--{flag} {}`", one_line(value)),
        _ => "file only".to_owned(),
    };
    format!(
        "| `{}` | {flag} | {} | {} | {} |\n",
        setting.name,
        cell(&setting.default_value()),
        takes_effect(setting),
        one_line(setting.doc)
    )
}

fn key_row(setting: &Setting, key: &Key<'_>) -> String {
    let pointer = key.path.replace('.', "/");
    let default = match (setting.default_value().pointer(&pointer), key.default) {
        (Some(value), _) | (None, Some(value)) => cell(value),
        (None, None) => "required".to_owned(),
    };
    let path = format!("{}{}", setting.name, key.path);
    format!("| `{path}` | {default} | {} |\n", one_line(key.about))
}

fn reference() -> String {
    let schema = Value::from(schemars::schema_for!(Settings));
    let mut out = String::from(
        "\n| setting | flag | default | takes effect at | what it says |\n| --- | --- | --- | --- | --- |\n",
    );
    out.extend(SETTINGS.iter().map(setting_row));
    out.push_str(
        "\n### Keys within a setting\n\n| key | default | what it says |\n| --- | --- | --- |\n",
    );
    for setting in SETTINGS {
        let property = schema
            .pointer(&format!("/properties/{}", setting.name))
            .unwrap();
        let keys = keys(&schema, property, 0);
        out.extend(keys.iter().map(|key| key_row(setting, key)));
    }
    out.push('\n');
    out
}

#[test]
fn the_reference_of_the_settings_is_fresh() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(MARKS[0]).unwrap();
    let (shown, after) = rest.split_once(MARKS[1]).unwrap();
    let written = reference();
    if std::env::var_os("CUSTOMS_WRITE_SETTINGS").is_some() {
        let page = [before, MARKS[0], &written, MARKS[1], after].concat();
        return std::fs::write(PAGE, page).unwrap();
    }
    assert_eq!(
        shown, written,
        "write it again: CUSTOMS_WRITE_SETTINGS=1 cargo test --lib the_reference_of_the_settings"
    );
}
