//! Describes the findings of request validation.

use customs_engine::host::{Authority, HostParseError, parse_server_name};
use customs_engine::request;
use customs_engine::{Attributes, Reason, Request};

/// Returns the cause of a finding of request validation: what in the host or the SNI cannot be
/// read, or which attributes differ.
pub fn problem(attributes: &Attributes<'_>, request: &Request<'_>) -> Option<String> {
    let sni = attributes
        .tls_sni
        .filter(|sni| !sni.is_empty())
        .unwrap_or(attributes.service);
    let unreadable =
        |text: &str, why: Option<HostParseError>| why.map(|why| format!("`{text}`: {why}"));
    match (request.finding?, &attributes.http) {
        (Reason::MalformedHost, Some(http)) => {
            unreadable(http.host, Authority::parse(http.host).err())
        }
        (Reason::MalformedHost | Reason::MalformedSni, _) => [sni, attributes.service]
            .into_iter()
            .find_map(|text| unreadable(text, parse_server_name(text).err())),
        (Reason::ContradictoryAttributes, Some(http)) => {
            let sent = request::last_value(http.headers, ":authority")?;
            Some(format!(
                "the host is `{}`, and `:authority` is `{sent}`",
                http.host
            ))
        }
        (Reason::ContradictoryAttributes, None) => Some(format!(
            "the SNI is `{sni}`, and `destination.service` is `{}`",
            attributes.service
        )),
        (Reason::SniHostMismatch, Some(http)) => Some(format!(
            "the SNI is `{sni}`, and the host is `{}`",
            http.host
        )),
        _ => None,
    }
}

/// Describes a finding of request validation.
pub(super) fn in_words(finding: Reason) -> &'static str {
    match finding {
        Reason::EmptyRequest => "the check says neither an HTTP request nor an address",
        Reason::MalformedHost => "the host cannot be read",
        Reason::MalformedSni => "the SNI cannot be read",
        Reason::ContradictoryAttributes => "attributes that must agree do not",
        Reason::SniHostMismatch => "the SNI is not the host",
        _ => "the request cannot be read safely",
    }
}
