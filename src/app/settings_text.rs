//! Every setting as `customs settings` prints it: YAML that `--config` accepts, each key with its default and what it means.
//!
//! It is made from the type itself, so a key that the type has cannot be missing, however deep it stands.

use serde_json::Value;

use super::settings::Settings;

/// Every setting with its default and its doc comment. Keys within a setting are told in its comment.
pub fn commented_defaults() -> String {
    let schema = Value::from(schemars::schema_for!(Settings));
    let defaults = serde_json::to_value(Settings::default()).unwrap_or_default();
    let mut out = String::from("# Every setting of customs with its default.\n");
    for (name, property) in properties(&schema) {
        out.push_str(&format!("\n{}", comment(0, about(property))));
        for Key {
            depth, name, about, ..
        } in keys(&schema, property, 0)
        {
            out.push_str(&comment(depth, &format!("{name}: {about}")));
        }
        // JSON is YAML, so every default can be printed on one line.
        let value = defaults.get(name).cloned().unwrap_or_default();
        out.push_str(&format!("{name}: {value}\n"));
    }
    out
}

fn comment(depth: usize, text: &str) -> String {
    text.lines()
        .map(|line| format!("# {}{line}\n", "  ".repeat(depth)))
        .collect()
}

/// A key within a setting.
struct Key<'s> {
    depth: usize,
    name: &'s str,
    about: &'s str,
    /// As it is named in one word: `gateway.listeners[].port`.
    #[cfg_attr(
        not(test),
        allow(dead_code, reason = "the documentation is held to it")
    )]
    path: String,
}

/// The keys within a setting, those of a mapping behind the key that holds it.
fn keys<'s>(schema: &'s Value, of: &'s Value, depth: usize) -> Vec<Key<'s>> {
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
            });
            found.extend(inner);
        }
    }
    found
}

/// The mappings that a value may be, and whether each is an item of a list.
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
mod tests {
    use super::*;
    use customs_policy::document;

    #[test]
    fn the_printed_defaults_are_a_settings_file() {
        let text = commented_defaults();
        let read: Settings =
            document::parse_typed("printed", &text).unwrap_or_else(|why| panic!("{why}\n{text}"));
        assert_eq!(read, Settings::default());
        let knobs = text
            .lines()
            .filter(|l| !l.starts_with('#') && !l.is_empty())
            .count();
        assert_eq!(
            knobs,
            serde_json::to_value(Settings::default())
                .unwrap()
                .as_object()
                .unwrap()
                .len()
        );
        assert!(
            text.contains("# How long policy files must be quiet"),
            "{text}"
        );
    }

    #[test]
    fn every_key_of_every_setting_is_printed_and_documented() {
        let (schema, printed) = (
            Value::from(schemars::schema_for!(Settings)),
            commented_defaults(),
        );
        let page =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/OPERATIONS.md"))
                .unwrap();
        let mut paths = Vec::new();
        for (name, property) in properties(&schema) {
            assert!(
                !about(property).is_empty() && page.contains(&name.replace('_', "-"))
                    || page.contains(name),
                "{name}"
            );
            for key in keys(&schema, property, 0) {
                assert!(
                    !key.about.is_empty(),
                    "{name}{} is explained nowhere",
                    key.path
                );
                let line = format!(
                    "# {}{}: {}",
                    "  ".repeat(key.depth),
                    key.name,
                    key.about.lines().next().unwrap()
                );
                assert!(printed.contains(&line), "{line} is not printed");
                paths.push(format!("{name}{}", key.path));
            }
        }
        for path in &paths {
            assert!(
                page.contains(&format!("\n| `{path}` | ")),
                "`{path}` is not in the reference"
            );
        }
        assert!(
            paths
                .iter()
                .any(|path| path == "gateway.listeners[].target_port"),
            "{paths:?}"
        );
        assert!(
            paths.iter().any(|path| path == "audit_trail.redact.key"),
            "{paths:?}"
        );
    }
}
