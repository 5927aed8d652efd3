//! What Envoy is told. Every CheckResponse is built here, through one function, with its status set.
//!
//! Envoy takes an empty response for an allow, so none is ever built by default. An allow takes the engine's
//! [`Permit`](crate::engine::snapshot::Permit); everything else is a denial with status 7 and, on HTTP, a
//! `application/problem+json` body of bounded size (RFC 9457). A caller without a valid identity learns the reason, the
//! host and the decision id, and nothing of the policy.

use std::collections::HashMap;

use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use envoy_types::pb::envoy::service::auth::v3::{CheckResponse, DeniedHttpResponse, OkHttpResponse};
use envoy_types::pb::envoy::r#type::v3::HttpStatus;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use envoy_types::pb::google::rpc::Status;
use serde_json::json;

use crate::engine::decision::{Decision, Outcome};
use crate::engine::identity::IdentityState;
use crate::engine::reason::Reason;
use crate::engine::record::{AnswerEntry, DecisionEntry};

const OK: i32 = 0;
const PERMISSION_DENIED: i32 = 7;
const FORBIDDEN: i32 = 403;
const SERVICE_UNAVAILABLE: i32 = 503;

/// The longest text from a policy in a body, in characters.
const MAX_TEXT: usize = 512;

/// Builds the response to a decision. `help` is a URL for people who were denied, if there is one.
pub fn build(decision: &Decision, entry: &DecisionEntry, help: Option<&str>) -> CheckResponse {
    let (code, message, http_response) = match &decision.outcome {
        Outcome::Allow(_permit) => (OK, String::new(), HttpResponse::OkResponse(unchanged())),
        Outcome::Deny => {
            let denied = denied_response(&decision.verdict.reason, entry, help);
            (PERMISSION_DENIED, entry.verdict.reason.to_owned(), HttpResponse::DeniedResponse(denied))
        }
    };
    CheckResponse {
        status: Some(Status { code, message, details: Vec::new() }),
        dynamic_metadata: Some(metadata(entry)),
        http_response: Some(http_response),
    }
}

/// An OK response that changes nothing of the request.
fn unchanged() -> OkHttpResponse {
    OkHttpResponse::default()
}

fn denied_response(reason: &Reason, entry: &DecisionEntry, help: Option<&str>) -> DeniedHttpResponse {
    let code = match reason {
        Reason::NoPolicy | Reason::AuditUnavailable => SERVICE_UNAVAILABLE,
        _ => FORBIDDEN,
    };
    DeniedHttpResponse {
        status: Some(HttpStatus { code }),
        headers: vec![
            header("content-type", "application/problem+json"),
            header("x-customs-reason", entry.verdict.reason),
            header("x-customs-decision-id", &entry.decision_id),
        ],
        body: problem(code, entry, help),
    }
}

fn header(key: &str, value: &str) -> HeaderValueOption {
    HeaderValueOption {
        header: Some(HeaderValue { key: key.into(), value: value.into(), raw_value: Vec::new() }),
        ..Default::default()
    }
}

/// The body: what was denied, by what, and whom to ask.
fn problem(status: i32, entry: &DecisionEntry, help: Option<&str>) -> String {
    let title = if status == FORBIDDEN { "Denied by egress policy" } else { "No decision could be given" };
    let mut body = json!({
        "type": "about:blank",
        "title": title,
        "status": status,
        "reason": entry.verdict.reason,
        "decisionId": entry.decision_id.as_str(),
    });
    let mut put = |name: &str, text: &str| {
        if let (Some(object), false) = (body.as_object_mut(), text.is_empty()) {
            object.insert(name.to_owned(), text.chars().take(MAX_TEXT).collect::<String>().into());
        }
    };
    put("host", &entry.host);
    if entry.identity == IdentityState::Valid {
        let AnswerEntry { rule, gate, owner, ticket, rule_reason, .. } = &entry.verdict;
        put("detail", rule_reason);
        put("gate", gate);
        put("rule", rule);
        put("owner", owner);
        put("ticket", ticket);
        put("caller", &format!("{}/{}", entry.namespace, entry.service_account));
        put("revision", &entry.revision);
        put("port", &entry.port.map(|port| port.to_string()).unwrap_or_default());
        put("help", help.unwrap_or_default());
    }
    body.to_string()
}

/// What access logs and later filters can read, all of it text.
fn metadata(entry: &DecisionEntry) -> Struct {
    // Whoever reads a namespace here may not look at the identity's state, so an unproven one is not told.
    let (namespace, service_account): (&str, &str) = match entry.identity {
        IdentityState::Valid => (&entry.namespace, &entry.service_account),
        _ => ("", ""),
    };
    let fields: [(&str, &str); 15] = [
        ("decision_id", &entry.decision_id),
        ("effect", entry.effect.as_str()),
        ("verdict", entry.verdict.effect.as_str()),
        ("would", entry.would.effect.as_str()),
        ("reason", entry.verdict.reason),
        ("rule", &entry.verdict.rule),
        ("would_reason", entry.would.reason),
        ("would_rule", &entry.would.rule),
        ("gate", entry.verdict.gate),
        ("identity", entry.identity.as_str()),
        ("namespace", namespace),
        ("service_account", service_account),
        ("host", &entry.host),
        ("owner", &entry.verdict.owner),
        ("revision", &entry.revision),
    ];
    let text = |value: &str| Value { kind: Some(Kind::StringValue(value.to_owned())) };
    Struct { fields: fields.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect::<HashMap<_, _>>() }
}
