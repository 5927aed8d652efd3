//! `customs schema`: prints the JSON Schema of documents, made from the declarations that the
//! readers use.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::cases::PolicyTest;
use super::print_json;
use crate::app::cli::SchemaKind;
use crate::app::explain::read::Shorthand;
use crate::app::settings_schema;
use customs_engine::reason::Reason;
use customs_policy::reader::Mapping;
use customs_policy::spec::{
    AUTHORIZATION_POLICY, DESTINATION_SET, EGRESS_POLICY, MappingSpec, POLICY_GUARD, json_schema,
};

/// Every kind of document.
pub(in crate::app) const DOCUMENTS: [&MappingSpec; 5] = [
    EGRESS_POLICY.document,
    DESTINATION_SET.document,
    AUTHORIZATION_POLICY.document,
    POLICY_GUARD.document,
    PolicyTest::SPEC,
];

/// The beginning of the `$id` of each schema. It is a name, and no address.
const ID: &str = "urn:customs:schema";

/// Prints the schema of one kind of document, or of all.
pub(super) fn run(kind: Option<SchemaKind>) -> ExitCode {
    print_json(&schema(kind));
    ExitCode::SUCCESS
}

/// Returns the schema of one kind of document, or of all.
pub(in crate::app) fn schema(kind: Option<SchemaKind>) -> Value {
    let of = |document: &'static MappingSpec| {
        let id = format!("{ID}:{}", document.name);
        documents(&id, &[document])
    };
    match kind {
        None => documents(&format!("{ID}:documents"), &DOCUMENTS),
        Some(SchemaKind::EgressPolicy) => of(EGRESS_POLICY.document),
        Some(SchemaKind::DestinationSet) => of(DESTINATION_SET.document),
        Some(SchemaKind::AuthorizationPolicy) => of(AUTHORIZATION_POLICY.document),
        Some(SchemaKind::PolicyGuard) => of(POLICY_GUARD.document),
        Some(SchemaKind::PolicyTest) => of(PolicyTest::SPEC),
        Some(SchemaKind::Settings) => settings_schema::settings(&format!("{ID}:settings")),
    }
}

fn documents(id: &str, documents: &[&MappingSpec]) -> Value {
    let mut schema = json_schema(id, documents);
    if let Some(Value::Object(case)) = schema.pointer_mut("/definitions/Case") {
        case.insert("allOf".into(), json!([shorthand_or_request()]));
    }
    let reasons = Reason::ALL.map(Reason::as_str);
    for name in ["reason", "dryRunReason"] {
        let pointer = format!("/definitions/Case/properties/{name}");
        if let Some(Value::Object(reason)) = schema.pointer_mut(&pointer) {
            reason.insert("enum".into(), json!(reasons));
        }
    }
    schema
}

/// Requires that a case has either shorthand fields or a whole check, and that a connection has
/// nothing of HTTP.
fn shorthand_or_request() -> Value {
    let words = Shorthand::SPEC.fields();
    let none: Map<String, Value> = words
        .iter()
        .map(|field| (field.name.to_owned(), false.into()))
        .collect();
    json!({
        "if": {"required": ["request"]},
        "then": {"properties": none},
        "else": {"required": ["from", "to"]},
    })
}

#[cfg(test)]
mod tests;
