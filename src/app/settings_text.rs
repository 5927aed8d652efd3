//! The output of `customs settings`: YAML that `--config` accepts, each key with its documentation
//! and its default.
//!
//! It is made from the table of settings, and the keys within a setting from its type, so none can
//! be missing.

use serde_json::Value;

use super::settings::{SETTINGS, Settings};

/// Returns every setting with its default and its documentation. The comment of a setting describes
/// the keys within it.
pub(super) fn commented_defaults() -> String {
    let schema = Value::from(schemars::schema_for!(Settings));
    let mut out = String::from("# Every setting of customs with its default.\n");
    for setting in SETTINGS {
        out.push_str(&format!("\n{}", comment(0, setting.doc)));
        let property = schema.pointer(&format!("/properties/{}", setting.name));
        for Key {
            depth, name, about, ..
        } in property
            .map(|property| keys(&schema, property, 0))
            .unwrap_or_default()
        {
            out.push_str(&comment(depth, &format!("{name}: {about}")));
        }
        // JSON is YAML, so every default can be printed on one line.
        out.push_str(&format!("{}: {}\n", setting.name, setting.default_value()));
    }
    out
}

fn comment(depth: usize, text: &str) -> String {
    text.lines()
        .map(|line| format!("# {}{}\n", "  ".repeat(depth), line.trim()))
        .collect()
}

/// A key within a setting.
pub(super) struct Key<'s> {
    depth: usize,
    name: &'s str,
    /// What it says.
    pub(super) about: &'s str,
    /// Its path within the setting: `.listeners[].port`.
    pub(super) path: String,
    /// Its default in an item of a list; a key without one is required.
    pub(super) default: Option<&'s Value>,
}

/// Returns the keys within a setting; the keys of a mapping follow the key that holds it.
pub(super) fn keys<'s>(schema: &'s Value, of: &'s Value, depth: usize) -> Vec<Key<'s>> {
    let mut found = Vec::new();
    for (mapping, is_item) in mappings(schema, of, false) {
        for (name, property) in properties(mapping) {
            let below = keys(schema, property, depth + 1);
            let prefix = if is_item { "[]." } else { "." };
            let path = format!("{prefix}{name}");
            let inner = below
                .into_iter()
                .map(|key| Key {
                    path: format!("{path}{}", key.path),
                    ..key
                })
                .collect::<Vec<_>>();
            found.push(Key {
                depth: depth + 1,
                name,
                about: about(property),
                path,
                default: default(mapping, name, property),
            });
            found.extend(inner);
        }
    }
    found
}

fn default<'s>(mapping: &'s Value, name: &str, property: &'s Value) -> Option<&'s Value> {
    let required = mapping.get("required").and_then(Value::as_array);
    let is_required = required.is_some_and(|all| all.iter().any(|one| one == name));
    (!is_required).then(|| property.get("default").unwrap_or(&Value::Null))
}

/// Returns the mappings that a value may be, and whether each is an item of a list.
fn mappings<'s>(schema: &'s Value, of: &'s Value, is_item: bool) -> Vec<(&'s Value, bool)> {
    let mut found = Vec::new();
    if let Some(definition) = of
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|name| name.strip_prefix('#'))
    {
        found.extend(
            schema
                .pointer(definition)
                .map(|of| mappings(schema, of, is_item))
                .unwrap_or_default(),
        );
    }
    if properties(of).next().is_some() {
        found.push((of, is_item));
    }
    for list in ["anyOf", "oneOf", "allOf"]
        .iter()
        .filter_map(|name| of.get(*name)?.as_array())
    {
        found.extend(list.iter().flat_map(|of| mappings(schema, of, is_item)));
    }
    found.extend(
        of.get("items")
            .map(|of| mappings(schema, of, true))
            .unwrap_or_default(),
    );
    found
}

fn properties(of: &Value) -> impl Iterator<Item = (&String, &Value)> {
    of.get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn about(property: &Value) -> &str {
    property
        .get("description")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
