//! Inputs of a decision that are recorded only if they are out of the ordinary.
//!
//! Nothing is decided here. The rule: every input that a decision may rest on is recorded, so that
//! the decision can be made again from the record alone. What nearly every request has in common
//! takes no space in a record.

use super::capped;
use super::{HeaderEntry, OptionalFields};
use crate::fields::decision::NO_OPTIONAL_FIELDS;
use customs_engine::header_values::AUTHORITY;
use customs_engine::identity::InvalidIdentity;
use customs_engine::identity::forwarded::last_element_uris;
use customs_engine::request::{Attributes, CLIENT_CERTIFICATE, last_value};
use customs_engine::settings::IdentitySource;
use customs_engine::snapshot::Snapshot;

/// The most bytes of an authority that are recorded.
const MAX_AUTHORITY: usize = 255;

/// The most URIs of a certificate that are recorded, and the most bytes of one.
const MAX_URIS: usize = 8;
const MAX_URI: usize = 2048;

impl OptionalFields {
    /// Returns about how many bytes of memory it holds besides itself.
    pub(super) fn weight(&self) -> usize {
        let headers = self
            .headers
            .iter()
            .map(|header| size_of::<HeaderEntry>() + header.name.len() + header.value.len());
        let uris = self
            .certificate_uris
            .iter()
            .map(|uri| size_of::<String>() + uri.len());
        headers.chain(uris).sum()
    }

    /// No optional field.
    pub const NONE: &'static OptionalFields = &NO_OPTIONAL_FIELDS;

    /// Records what is out of the ordinary. `headers` are those that policies ask for; `truncated`
    /// names the fields that were already cut.
    pub fn of(
        attributes: &Attributes<'_>,
        detail: Option<InvalidIdentity>,
        snapshot: &Snapshot,
        headers: Vec<HeaderEntry>,
        mut truncated: Vec<&'static str>,
    ) -> OptionalFields {
        let is_readable = attributes.source_address.is_some()
            || attributes.destination_address.is_some()
            || attributes.listener_port.is_some();
        let source = snapshot.settings().identity_source;
        OptionalFields {
            sni_absent: attributes.tls_sni == Some(""),
            address_unreadable: attributes.has_address && !is_readable,
            authority_header: authority_header(attributes, &mut truncated),
            certificate_uris: certificate_uris(attributes, detail, source, &mut truncated),
            headers,
            truncated,
            redacted: Vec::new(),
        }
    }
}

fn authority_header(
    attributes: &Attributes<'_>,
    truncated: &mut Vec<&'static str>,
) -> Option<String> {
    let http = attributes.http?;
    let mut other = None;
    for name in [AUTHORITY, "host"] {
        http.headers.visit(name, &mut |value| {
            if value != http.host && other.is_none() {
                other = Some(value);
            }
        });
    }
    other.map(|value| capped("authorityHeader", &value, MAX_AUTHORITY, truncated).to_owned())
}

fn certificate_uris(
    attributes: &Attributes<'_>,
    detail: Option<InvalidIdentity>,
    source: IdentitySource,
    truncated: &mut Vec<&'static str>,
) -> Vec<String> {
    let rests_on_them = matches!(
        detail,
        Some(InvalidIdentity::XfccMismatch | InvalidIdentity::XfccUnreadable)
    );
    if source == IdentitySource::Principal && !rests_on_them {
        return Vec::new();
    }
    let header = attributes
        .http
        .and_then(|http| last_value(http.headers, CLIENT_CERTIFICATE))
        .unwrap_or_default();
    let uris = last_element_uris(&header);
    let recorded = uris
        .iter()
        .take(MAX_URIS)
        .map(|uri| capped("certificateUris", uri, MAX_URI, truncated).into())
        .collect();
    if uris.len() > MAX_URIS {
        truncated.push("certificateUris");
    }
    truncated.dedup();
    recorded
}

#[cfg(test)]
mod tests {
    use super::*;
    use customs_engine::request::HttpAttributes;
    use customs_engine::settings::Settings;

    fn optional(
        headers: &Vec<(String, String)>,
        detail: Option<InvalidIdentity>,
        source: IdentitySource,
    ) -> OptionalFields {
        let http = HttpAttributes {
            host: "a.example",
            headers,
            ..HttpAttributes::default()
        };
        let attributes = Attributes {
            http: Some(http),
            ..Attributes::default()
        };
        let settings = Settings {
            identity_source: source,
            ..Settings::default()
        };
        OptionalFields::of(
            &attributes,
            detail,
            &Snapshot::unloaded(settings),
            Vec::new(),
            Vec::new(),
        )
    }

    fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn an_ordinary_request_has_nothing_rare() {
        let headers = pairs(&[
            (":authority", "a.example"),
            (CLIENT_CERTIFICATE, "URI=spiffe://a/ns/b/sa/c"),
        ]);
        assert_eq!(
            optional(&headers, None, IdentitySource::Principal),
            OptionalFields::default()
        );
    }

    #[test]
    fn another_authority_is_recorded_and_an_empty_one_too() {
        for other in ["A.example", ""] {
            let headers = pairs(&[(":authority", "a.example"), (":authority", other)]);
            let optional = optional(&headers, None, IdentitySource::Principal);
            assert_eq!(optional.authority_header.as_deref(), Some(other));
        }
    }

    #[test]
    fn the_uris_of_a_certificate_are_recorded_where_the_identity_rests_on_them() {
        let headers = pairs(&[(
            CLIENT_CERTIFICATE,
            "URI=spiffe://x,Hash=1;URI=spiffe://a;Subject=\"CN=me\";URI=b",
        )]);
        for (detail, source, expected) in [
            (None, IdentitySource::Principal, &[][..]),
            (
                Some(InvalidIdentity::NotAWorkload),
                IdentitySource::Principal,
                &[],
            ),
            (
                Some(InvalidIdentity::XfccMismatch),
                IdentitySource::Principal,
                &["spiffe://a", "b"],
            ),
            (
                Some(InvalidIdentity::XfccMismatch),
                IdentitySource::Xfcc,
                &["spiffe://a", "b"],
            ),
        ] {
            assert_eq!(
                optional(&headers, detail, source).certificate_uris,
                expected,
                "{detail:?} {source:?}"
            );
        }
    }

    #[test]
    fn long_lists_and_long_texts_are_cut_and_said_to_be() {
        let uris: Vec<_> = (0..9)
            .map(|n| format!("URI={n}{}", "x".repeat(MAX_URI)))
            .collect();
        let headers = pairs(&[
            (CLIENT_CERTIFICATE, &uris.join(";")),
            (":authority", &"y".repeat(300)),
        ]);
        let http = HttpAttributes {
            headers: &headers,
            ..HttpAttributes::default()
        };
        let attributes = Attributes {
            http: Some(http),
            ..Attributes::default()
        };
        let settings = Settings {
            identity_source: IdentitySource::Xfcc,
            ..Settings::default()
        };
        let optional = OptionalFields::of(
            &attributes,
            None,
            &Snapshot::unloaded(settings),
            Vec::new(),
            vec!["path"],
        );
        assert_eq!(
            (optional.certificate_uris.len(), optional.truncated),
            (8, vec!["path", "authorityHeader", "certificateUris"])
        );
        assert!(
            optional
                .certificate_uris
                .iter()
                .all(|uri| uri.len() == MAX_URI)
        );
    }
}
