//! The fields of a record that are inputs of its decision, as they are written.
//!
//! Nothing is interpreted here.

use std::borrow::Cow;

use super::missing::MissingCause;
use crate::fields::DecisionFields;

/// The inputs of a decision as its record holds them. An empty text is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedInputs<'r> {
    /// `protocol`
    pub protocol: &'r str,
    /// `identity`
    pub identity: &'r str,
    /// `identityDetail`
    pub identity_detail: &'r str,
    /// `principal`
    pub principal: &'r str,
    /// `trustDomain`
    pub trust_domain: &'r str,
    /// `namespace`
    pub namespace: &'r str,
    /// `certificateUris`
    pub certificate_uris: Vec<&'r str>,
    /// `sourceAddress`
    pub source_address: &'r str,
    /// `remoteAddress`
    pub remote_address: &'r str,
    /// `destinationAddress`
    pub destination_address: &'r str,
    /// `addressUnreadable`
    pub address_unreadable: bool,
    /// `listenerPort`
    pub listener_port: Option<u32>,
    /// `rawHost`
    pub raw_host: &'r str,
    /// `authorityHeader`
    pub authority_header: Option<&'r str>,
    /// `sni`
    pub sni: &'r str,
    /// `sniAbsent`
    pub sni_absent: bool,
    /// `method`
    pub method: &'r str,
    /// `path`
    pub path: &'r str,
    /// `headers`
    pub headers: Vec<RecordedHeader<'r>>,
    /// `truncated`
    pub truncated: Vec<&'r str>,
    /// `redacted`
    pub redacted: Vec<&'r str>,
}

/// What a record holds of a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordedHeader<'r> {
    /// `name`
    pub name: &'r str,
    /// `present`
    pub present: bool,
    /// `value`
    pub value: &'r str,
    /// `valueUnknown`
    pub value_unknown: bool,
}

impl<'r> RecordedInputs<'r> {
    /// Returns the inputs of a decision.
    pub fn of(decision: &'r DecisionFields<'_>) -> RecordedInputs<'r> {
        fn texts<'t>(list: &'t [Cow<'_, str>]) -> Vec<&'t str> {
            list.iter().map(|text| &**text).collect()
        }
        let headers = decision.headers.iter().map(|header| RecordedHeader {
            name: &header.name,
            present: header.present,
            value: &header.value,
            value_unknown: header.value_unknown,
        });
        RecordedInputs {
            protocol: &decision.protocol,
            identity: &decision.identity,
            identity_detail: &decision.identity_detail,
            principal: &decision.principal,
            trust_domain: &decision.trust_domain,
            namespace: &decision.namespace,
            certificate_uris: texts(&decision.certificate_uris),
            source_address: &decision.source_address,
            remote_address: &decision.remote_address,
            destination_address: &decision.destination_address,
            address_unreadable: decision.address_unreadable,
            listener_port: decision.listener_port,
            raw_host: &decision.raw_host,
            authority_header: decision.authority_header.as_deref(),
            sni: &decision.sni,
            sni_absent: decision.sni_absent,
            method: &decision.method,
            path: &decision.path,
            headers: headers.collect(),
            truncated: texts(&decision.truncated),
            redacted: texts(&decision.redacted),
        }
    }

    /// Returns whether a field was cut.
    pub(super) fn is_truncated(&self, field: &str) -> bool {
        self.truncated.contains(&field)
    }

    /// Returns whether a field was hashed or left out.
    pub(super) fn is_redacted(&self, field: &str) -> bool {
        self.redacted.contains(&field)
    }

    /// Returns why the record does not hold a field whole, if it does not.
    pub(super) fn removed(&self, field: &str) -> Option<MissingCause> {
        if self.is_redacted(field) {
            return Some(MissingCause::Redacted);
        }
        self.is_truncated(field).then_some(MissingCause::Truncated)
    }
}
