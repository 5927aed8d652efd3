//! The JSON Schema of the settings file: the types of the settings as serde reads them, and the
//! forms of the texts in them.
//!
//! The schema says less than [`resolve`](super::settings::LayeredSettings::resolve), which decides.
//! It accepts what that accepts.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::settings::Settings;
use customs_extauthz::response::metadata;
use customs_policy::spec::forms::{NAMESPACE, TextForm};
use customs_policy::spec::text;

/// A duration.
const DURATION: TextForm = TextForm {
    name: "duration",
    about: "A duration.",
    pattern: "[0-9]",
    expected: "Expected a duration such as 250ms, 5s or 1m30s.",
    examples: &["250ms", "5s", "1m30s"],
    ..TextForm::PLAIN
};

/// A number of bytes.
const SIZE: TextForm = TextForm {
    name: "size",
    about: "A number of bytes.",
    pattern: "^[^0-9A-Za-z]*[0-9]+[^0-9A-Za-z]*(KiB|MiB|GiB)?$",
    expected: "Expected a size such as 64KiB, 4MiB or 1GiB.",
    examples: &["64KiB", "4MiB", "1GiB"],
    ..TextForm::PLAIN
};

/// An address on which a server listens.
const ADDRESS: TextForm = TextForm {
    name: "address",
    about: "`HOST:PORT`, or `unix:PATH` with options.",
    pattern: "^unix:|:\\+?[0-9]+$",
    expected: "Expected HOST:PORT, such as 127.0.0.1:9191, or unix:PATH.",
    examples: &["127.0.0.1:9191", "unix:/run/customs.sock?mode=0660"],
    ..TextForm::PLAIN
};

/// The address for operators.
const ADMIN_ADDRESS: TextForm = TextForm {
    pattern: "^(unix:|off$)|:\\+?[0-9]+$",
    expected: "Expected HOST:PORT, unix:PATH or off.",
    examples: &["127.0.0.1:9192", "off"],
    ..ADDRESS
};

/// A sink of the audit log.
const SINK: TextForm = TextForm {
    name: "sink",
    about: "A sink of the audit log, with options behind a question mark.",
    pattern: "^(stdout(\\?|$)|off$|file:|otlp:|tail:)",
    expected: "Expected stdout, file:PATH, otlp:URL, tail:ADDRESS or off.",
    examples: &["file:/var/log/customs/audit.jsonl?rotate_size=100MiB"],
    ..TextForm::PLAIN
};

/// A domain; spaces around it are ignored.
const DOMAIN: TextForm = TextForm {
    name: "domain",
    about: "A domain in lower case.",
    pattern: "^[^A-Z/*:@]*$",
    expected: "Expected a domain in lower case, without `spiffe://`.",
    examples: &["cluster.local"],
    ..TextForm::PLAIN
};

/// The SPIFFE id of a client.
const CLIENT_ID: TextForm = TextForm {
    name: "client id",
    about: "A SPIFFE id, or all ids below a path.",
    pattern: "^spiffe://[^*]+(/\\*)?$",
    expected: "Expected a SPIFFE id such as spiffe://cluster.local/ns/istio-system/sa/egress, or one \
               that ends with /*.",
    examples: &["spiffe://cluster.local/ns/istio-system/sa/*"],
    ..TextForm::PLAIN
};

/// The places of texts that have a form. A place is a pointer into the schema.
const FORMS: [(&str, &TextForm); 25] = [
    ("/properties/listen/items", &ADDRESS),
    ("/properties/admin", &ADMIN_ADDRESS),
    ("/properties/audit/items", &SINK),
    ("/properties/max_header_list_size", &SIZE),
    ("/properties/max_message_size", &SIZE),
    ("/properties/max_body_memory", &SIZE),
    ("/properties/handshake_timeout", &DURATION),
    ("/properties/request_timeout", &DURATION),
    ("/properties/idle_timeout", &DURATION),
    ("/properties/max_connection_age", &DURATION),
    ("/properties/reload_settle", &DURATION),
    ("/properties/reload_rescan", &DURATION),
    ("/properties/drain_delay", &DURATION),
    ("/properties/drain_timeout", &DURATION),
    ("/properties/trust_domains/items", &DOMAIN),
    ("/properties/accept_trust_domains/items", &DOMAIN),
    ("/properties/cluster_domains/items", &DOMAIN),
    ("/properties/root_namespace", &NAMESPACE),
    (
        "/definitions/AuditLogSettings/properties/sync_interval",
        &DURATION,
    ),
    ("/definitions/AuditLogSettings/properties/queue_size", &SIZE),
    (
        "/definitions/AuditLogSettings/properties/block_deadline",
        &DURATION,
    ),
    (
        "/definitions/AuditLogSettings/properties/checkpoint_interval",
        &DURATION,
    ),
    ("/definitions/Gateway/properties/namespace", &NAMESPACE),
    (
        "/definitions/DirectoryOptions/properties/default_namespace",
        &NAMESPACE,
    ),
    (
        "/definitions/TlsSettings/properties/client_ids/items",
        &CLIENT_ID,
    ),
];

/// Returns the schema of the settings file.
pub(super) fn settings(id: &str) -> Value {
    let generator = SchemaSettings::draft07().into_generator();
    let mut schema = Value::from(generator.into_root_schema_for::<Settings>());
    tidy(&mut schema);
    for (pointer, form) in FORMS {
        if let Some(Value::Object(property)) = schema.pointer_mut(pointer) {
            add_form(property, form);
        }
    }
    let fields = metadata::NAMES.into_iter().chain(["none"]);
    if let Some(Value::Object(items)) = schema.pointer_mut("/properties/metadata/items") {
        items.insert("enum".into(), fields.collect::<Vec<_>>().into());
    }
    if let Value::Object(root) = &mut schema {
        root.insert("$id".into(), id.into());
        root.insert("title".into(), "customs settings".into());
        root.insert("description".into(), "The settings file of customs.".into());
    }
    schema
}

/// Adds the form of a text. A type that may be null stays so.
fn add_form(property: &mut Map<String, Value>, form: &TextForm) {
    let Value::Object(described) = text(form) else {
        return;
    };
    for key in ["pattern", "patternErrorMessage", "examples"] {
        if let Some(value) = described.get(key) {
            property.insert(key.to_owned(), value.clone());
        }
    }
}

/// Writes each description on one line, and removes the formats of numbers, which are Rust's.
fn tidy(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            fields.remove("format");
            if let Some(Value::String(text)) = fields.get_mut("description") {
                *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            fields.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
