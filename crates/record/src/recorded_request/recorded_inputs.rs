//! The fields of a record that are inputs of its decision, as they are written.
//!
//! Nothing is interpreted here. A reader that does not make a [`Record`] of every line can make
//! these fields of what it has.

use super::missing::MissingCause;
use crate::proto::Record;

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
    pub fn of(record: &'r Record) -> RecordedInputs<'r> {
        fn texts(list: &[String]) -> Vec<&str> {
            list.iter().map(String::as_str).collect()
        }
        let headers = record.headers.iter().map(|header| RecordedHeader {
            name: &header.name,
            present: header.present,
            value: &header.value,
            value_unknown: header.value_unknown,
        });
        RecordedInputs {
            protocol: &record.protocol,
            identity: &record.identity,
            identity_detail: &record.identity_detail,
            principal: &record.principal,
            trust_domain: &record.trust_domain,
            namespace: &record.namespace,
            certificate_uris: texts(&record.certificate_uris),
            source_address: &record.source_address,
            remote_address: &record.remote_address,
            destination_address: &record.destination_address,
            address_unreadable: record.address_unreadable,
            listener_port: record.listener_port,
            raw_host: &record.raw_host,
            authority_header: record.authority_header.as_deref(),
            sni: &record.sni,
            sni_absent: record.sni_absent,
            method: &record.method,
            path: &record.path,
            headers: headers.collect(),
            truncated: texts(&record.truncated),
            redacted: texts(&record.redacted),
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
