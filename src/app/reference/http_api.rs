//! The pages of the admin address and of the gRPC services.

use serde_json::Value;

use super::markdown::{cell, code, codes, table};
use super::template::Slot;
use crate::app::settings_text::keys;
use crate::ops::admin::StatusReport;
use crate::ops::admin::endpoints::{ENDPOINTS, Endpoint};
use crate::ops::health;
use crate::ops::questions::QuestionKind;
use crate::ops::rule_hits::RuleHitsReport;
use customs_extauthz::{SERVICES, attributes, response::metadata};

pub(super) fn slots() -> Vec<Slot> {
    let rows = ENDPOINTS.map(|endpoint| {
        let Endpoint {
            method,
            path,
            summary,
            content,
            ..
        } = endpoint;
        [
            code(&format!("{method} {path}")),
            cell(summary),
            cell(content),
        ]
    });
    let of = |path: &str| {
        let found = ENDPOINTS.iter().find(|endpoint| endpoint.path == path);
        found.map(statuses).unwrap_or_default()
    };
    vec![
        ("paths", table(["path", "answer", "content"], &rows)),
        ("ready", of("/readyz")),
        (
            "status",
            fields(&schemars::schema_for!(StatusReport).into()),
        ),
        (
            "rules",
            fields(&schemars::schema_for!(RuleHitsReport).into()),
        ),
        ("rules-statuses", of("/rules")),
        ("questions", of(QuestionKind::Explain.path())),
    ]
}

pub(super) fn grpc_slots() -> Vec<Slot> {
    let services = SERVICES.map(|service| format!("- `{service}`\n"));
    let names = health::SERVICES.map(|name| format!("`\"{name}\"`"));
    let read = attributes::READ.map(|(field, meaning)| [code(field), cell(meaning)]);
    vec![
        ("services", services.concat()),
        (
            "health",
            format!("The service names are {}.", names.join(" and ")),
        ),
        ("attributes", table(["field", "what it is read for"], &read)),
        (
            "metadata",
            format!(
                "The fields are {}. By default, customs sends {}.",
                codes(metadata::NAMES),
                codes(metadata::DEFAULT)
            ),
        ),
    ]
}

fn statuses(endpoint: &Endpoint) -> String {
    let rows: Vec<_> = endpoint
        .statuses
        .iter()
        .map(|(status, cause)| [status.to_string(), cell(cause)])
        .collect();
    table(["status", "when"], &rows)
}

/// Returns the fields of a document at any depth.
fn fields(schema: &Value) -> String {
    let rows: Vec<_> = keys(schema, schema, 0)
        .iter()
        .map(|key| [code(key.path.trim_start_matches('.')), cell(key.about)])
        .collect();
    table(["field", "meaning"], &rows)
}
