//! The page of the settings.

use serde_json::Value;

use super::markdown::{cell, code, table, value};
use super::template::Slot;
use crate::app::settings::{SETTINGS, Setting, Settings, TakesEffect, Written};
use crate::app::settings_text::{Key, keys};

pub(super) fn slots() -> Vec<Slot> {
    let head = [
        "setting",
        "flag",
        "default",
        "takes effect at",
        "what it says",
    ];
    let rows: Vec<_> = SETTINGS.iter().map(setting).collect();
    vec![("settings", table(head, &rows)), ("keys", within())]
}

fn setting(setting: &Setting) -> [String; 5] {
    let flag = match (setting.written, setting.flag()) {
        (Written::Flag(value), Some(flag)) => format!("`--{flag} {}`", cell(value)),
        _ => "file only".to_owned(),
    };
    let takes_effect = match setting.takes_effect {
        TakesEffect::Restart => "restart",
        TakesEffect::Reload => "reload",
        TakesEffect::ReloadIfWritten => "reload, must stay written",
    };
    [
        code(setting.name),
        flag,
        value(&setting.default_value()),
        takes_effect.to_owned(),
        cell(setting.doc),
    ]
}

/// Returns the table of the keys within settings.
fn within() -> String {
    let schema = Value::from(schemars::schema_for!(Settings));
    let rows = SETTINGS.iter().flat_map(|setting| {
        let property = schema.pointer(&format!("/properties/{}", setting.name));
        let found = property.map(|property| keys(&schema, property, 0));
        found
            .unwrap_or_default()
            .into_iter()
            .map(|key| row(setting, &key))
            .collect::<Vec<_>>()
    });
    table(
        ["key", "default", "what it says"],
        &rows.collect::<Vec<_>>(),
    )
}

fn row(setting: &Setting, key: &Key<'_>) -> [String; 3] {
    let pointer = key.path.replace('.', "/");
    let default = match (setting.default_value().pointer(&pointer), key.default) {
        (Some(default), _) | (None, Some(default)) => value(default),
        (None, None) => "required".to_owned(),
    };
    let path = format!("{}{}", setting.name, key.path);
    [code(&path), default, cell(key.about)]
}
