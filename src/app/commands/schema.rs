//! `customs schema`: prints the JSON Schema of documents, made from the declarations that the
//! readers use.

use std::process::ExitCode;

use serde_json::{Map, Value, json};

use super::cases::PolicyTest;
use super::print_json;
use crate::app::cli::SchemaKind;
use crate::app::explain::read::Shorthand;
use customs_policy::reader::Mapping;
use customs_policy::spec::{
    AUTHORIZATION_POLICY, DESTINATION_SET, EGRESS_POLICY, MappingSpec, POLICY_GUARD, json_schema,
};

/// Every kind.
const KINDS: [SchemaKind; 5] = [
    SchemaKind::EgressPolicy,
    SchemaKind::DestinationSet,
    SchemaKind::AuthorizationPolicy,
    SchemaKind::PolicyGuard,
    SchemaKind::PolicyTest,
];

/// Prints the schema of one kind of document, or of all.
pub(super) fn run(kind: Option<SchemaKind>) -> ExitCode {
    print_json(&schema(kind));
    ExitCode::SUCCESS
}

fn schema(kind: Option<SchemaKind>) -> Value {
    let documents: Vec<&MappingSpec> = match kind {
        Some(kind) => vec![document(kind)],
        None => KINDS.map(document).into(),
    };
    let mut schema = json_schema(&documents);
    if let Some(Value::Object(case)) = schema.pointer_mut("/definitions/Case") {
        case.insert("anyOf".into(), shorthand_or_request());
    }
    schema
}

fn document(kind: SchemaKind) -> &'static MappingSpec {
    match kind {
        SchemaKind::EgressPolicy => EGRESS_POLICY.document,
        SchemaKind::DestinationSet => DESTINATION_SET.document,
        SchemaKind::AuthorizationPolicy => AUTHORIZATION_POLICY.document,
        SchemaKind::PolicyGuard => POLICY_GUARD.document,
        SchemaKind::PolicyTest => PolicyTest::SPEC,
    }
}

/// Requires that a case has either shorthand fields or a whole check.
fn shorthand_or_request() -> Value {
    let words = Shorthand::SPEC.fields();
    let none: Map<String, Value> = words
        .iter()
        .map(|field| (field.name.to_owned(), false.into()))
        .collect();
    json!([
        {"required": ["from", "to"], "properties": {"request": false}},
        {"required": ["request"], "properties": none},
    ])
}

#[cfg(test)]
mod tests;
