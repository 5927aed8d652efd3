//! The printed defaults are a settings file, and they explain every key.

use super::*;
use customs_policy::document;

#[test]
fn the_printed_defaults_are_a_settings_file() {
    let text = commented_defaults();
    let read: Settings =
        document::parse_typed("printed", &text).unwrap_or_else(|why| panic!("{why}\n{text}"));
    assert_eq!(read, Settings::default());
    let written: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| Some(line.split_once(':')?.0))
        .collect();
    let names: Vec<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(written, names);
    assert!(
        text.contains("# How long policy files must be quiet"),
        "{text}"
    );
}

#[test]
fn every_key_of_every_setting_is_explained() {
    let schema = Value::from(schemars::schema_for!(Settings));
    let printed = commented_defaults();
    let mut paths = Vec::new();
    for (name, property) in properties(&schema) {
        for key in keys(&schema, property, 0) {
            assert!(!key.about.is_empty(), "{name}{}", key.path);
            let first = key.about.lines().next().unwrap();
            let line = format!("# {}{}: {first}", "  ".repeat(key.depth), key.name);
            assert!(printed.contains(&line), "{line} is not printed");
            paths.push(format!("{name}{}", key.path));
        }
    }
    for path in ["gateway.listeners[].target_port", "audit_log.redact.key"] {
        assert!(paths.iter().any(|known| known == path), "{paths:?}");
    }
}
