//! The answer to Envoy. Every CheckResponse is written in this file, with its status set.
//!
//! The response is written directly as the bytes that are sent: a message in between would take
//! some forty allocations, only to be read once. Envoy takes an empty response for an allow, so the
//! status and what follows from it are always present. An allow requires the engine's
//! [`Permit`](customs_engine::decision::Permit). Everything else is a denial with status 7 and, on
//! HTTP, an `application/problem+json` body of bounded size (RFC 9457). A caller without a valid
//! identity learns the reason, the host and the decision id, and nothing about the policy.

use bytes::Bytes;
use envoy_types::pb::envoy::service::auth::v3::CheckResponse;
use prost::Message;
use serde_json::json;
use tonic::Status;

use super::unary;
use customs_engine::decision::{Decision, Outcome};
use customs_engine::identity::IdentityState;
use customs_engine::reason::Reason;
use customs_policy::printable;
use customs_record::protobuf as write;
use customs_record::{AnswerEntry, DecisionEntry, DecisionRecord};

pub mod metadata;

const OK: u64 = 0;
const PERMISSION_DENIED: u64 = 7;
const FORBIDDEN: u64 = 403;
const SERVICE_UNAVAILABLE: u64 = 503;

/// The longest text from a policy or a request in an answer, in characters.
const MAX_TEXT: usize = 512;

/// Fields of `envoy.service.auth.v3.CheckResponse`.
mod check_response {
    pub(super) const STATUS: u32 = 1;
    pub(super) const DENIED: u32 = 2;
    pub(super) const OK: u32 = 3;
    pub(super) const METADATA: u32 = 4;
}

/// Fields of `google.rpc.Status`.
mod status {
    pub(super) const CODE: u32 = 1;
    pub(super) const MESSAGE: u32 = 2;
}

/// Fields of `envoy.service.auth.v3.DeniedHttpResponse`.
mod denied {
    pub(super) const STATUS: u32 = 1;
    pub(super) const HEADERS: u32 = 2;
    pub(super) const BODY: u32 = 3;
    /// `envoy.type.v3.HttpStatus.code`
    pub(super) const STATUS_CODE: u32 = 1;
    /// `envoy.config.core.v3.HeaderValueOption.header`
    pub(super) const HEADER: u32 = 1;
    /// Of `envoy.config.core.v3.HeaderValue`.
    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;
}

/// About how many bytes a response takes besides its texts.
const ABOUT: usize = 768;

/// What the operator configures for responses.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A URL for people whose request was denied.
    pub help: Option<String>,
    /// The fields of the dynamic metadata.
    pub metadata: metadata::Fields,
}

/// Writes the response to a decision, framed.
pub fn build(decision: &Decision, entry: &DecisionRecord, options: &Options) -> Bytes {
    let help = options.help.as_deref();
    unary::framed(ABOUT, |out| {
        match &decision.outcome {
            Outcome::Allow(_permit) => {
                status(OK, "", out);
                // An OK response that changes nothing in the request.
                write::message(check_response::OK, out, |_| {});
            }
            Outcome::Deny => {
                status(PERMISSION_DENIED, decision.verdict.reason.as_str(), out);
                write::message(check_response::DENIED, out, |out| {
                    denied_response(decision.verdict.reason, entry, help, out)
                });
            }
        }
        if !options.metadata.is_empty() {
            write::message(check_response::METADATA, out, |out| {
                options.metadata.write(entry, out)
            });
        }
    })
}

/// Writes a denial that says only that customs failed: the answer if the response to a decision
/// cannot be written, or its record cannot be made.
pub(crate) fn build_internal_error() -> Bytes {
    let reason = Reason::InternalError;
    unary::framed(ABOUT, |out| {
        status(PERMISSION_DENIED, reason.as_str(), out);
        write::message(check_response::DENIED, out, |out| {
            write::message(denied::STATUS, out, |out| {
                write::number(denied::STATUS_CODE, FORBIDDEN, out)
            });
            header("x-customs-reason", reason.as_str(), out);
        });
    })
}

/// Reads a response that was written here.
///
/// # Errors
/// If it cannot be read, which would be a bug of this module. The caller then gets an error and not
/// an allow.
pub fn read(framed: &[u8]) -> Result<CheckResponse, Status> {
    CheckResponse::decode(unary::message(framed)).map_err(|why| Status::internal(why.to_string()))
}

fn status(code: u64, message: &str, out: &mut Vec<u8>) {
    write::message(check_response::STATUS, out, |out| {
        write::number(status::CODE, code, out);
        write::text(status::MESSAGE, message, out);
    });
}

/// Returns the HTTP status of a denial for this reason.
pub fn denial_status(reason: Reason) -> u64 {
    match reason {
        Reason::NoPolicy | Reason::AuditUnavailable => SERVICE_UNAVAILABLE,
        _ => FORBIDDEN,
    }
}

fn denied_response(reason: Reason, entry: &DecisionRecord, help: Option<&str>, out: &mut Vec<u8>) {
    let entry = &entry.to_entry();
    let code = denial_status(reason);
    write::message(denied::STATUS, out, |out| {
        write::number(denied::STATUS_CODE, code, out)
    });
    header("content-type", "application/problem+json", out);
    header("x-customs-reason", reason.as_str(), out);
    header("x-customs-decision-id", entry.decision_id, out);
    write::text(denied::BODY, &problem(code, reason, entry, help), out);
}

fn header(key: &str, value: &str, out: &mut Vec<u8>) {
    write::message(denied::HEADERS, out, |out| {
        write::message(denied::HEADER, out, |out| {
            write::text(denied::KEY, key, out);
            write::text(denied::VALUE, value, out);
        });
    });
}

/// Returns the body: what was denied, by which rule, and the owner to contact.
fn problem(status: u64, reason: Reason, entry: &DecisionEntry<&str>, help: Option<&str>) -> String {
    let title = match reason {
        Reason::NoPolicy | Reason::AuditUnavailable | Reason::InternalError => {
            "No decision could be given"
        }
        _ => "Denied by egress policy",
    };
    let mut body = json!({
        "type": "about:blank",
        "title": title,
        "status": status,
        "reason": reason.as_str(),
        "decisionId": entry.decision_id,
    });
    let mut put = |name: &str, text: &str| {
        if let (Some(object), false) = (body.as_object_mut(), text.is_empty()) {
            object.insert(name.to_owned(), shortened(text).into());
        }
    };
    put("host", entry.host);
    if entry.identity == IdentityState::Valid {
        let AnswerEntry {
            rule,
            gate,
            owner,
            ticket,
            rule_reason,
            ..
        } = &entry.verdict;
        put("detail", rule_reason);
        put("gate", gate);
        put("rule", rule);
        put("owner", owner);
        put("ticket", ticket);
        put(
            "caller",
            &format!("{}/{}", entry.namespace, entry.service_account),
        );
        put("revision", entry.revision);
        put(
            "port",
            &entry.port.map(|port| port.to_string()).unwrap_or_default(),
        );
        put("help", help.unwrap_or_default());
    }
    printable::json(&body.to_string()).into_owned()
}

/// Returns the first [`MAX_TEXT`] characters of a text.
fn shortened(text: &str) -> &str {
    // A text of so many bytes has no more characters.
    if text.len() <= MAX_TEXT {
        return text;
    }
    let end = text.char_indices().nth(MAX_TEXT).map(|(place, _)| place);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests;
