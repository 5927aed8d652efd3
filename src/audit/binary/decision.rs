//! A decision's record, written field by field straight from its entry.
//!
//! It knows how the fields are numbered and nothing of what they mean. The rule: the bytes are those that
//! [`record`](super::record) encodes to; tests hold it to that on drawn entries.

use crate::audit::json::seconds_and_nanos;
use crate::engine::record::{AnswerEntry, DecisionEntry, HeaderEntry, PackedDecision, RareInputs};
use crate::engine::time::UnixNanos;
use crate::protobuf::{message, number, text, text_unless_empty};

/// Fields of `customs.audit.v1.Record`, as far as a decision has them.
mod field {
    pub(super) const TIME: u32 = 1;
    pub(super) const KIND: u32 = 2;
    pub(super) const STREAM: u32 = 3;
    pub(super) const SEQUENCE: u32 = 4;
    pub(super) const DECISION_ID: u32 = 5;
    pub(super) const DECISION_NUMBER: u32 = 6;
    pub(super) const EFFECT: u32 = 7;
    pub(super) const VERDICT: u32 = 8;
    pub(super) const WOULD: u32 = 9;
    pub(super) const REASON: u32 = 10;
    pub(super) const RULE: u32 = 11;
    pub(super) const WOULD_REASON: u32 = 12;
    pub(super) const WOULD_RULE: u32 = 13;
    pub(super) const GATE: u32 = 14;
    pub(super) const OPEN_GATE: u32 = 15;
    pub(super) const IDENTITY_DECIDED: u32 = 16;
    pub(super) const IDENTITY: u32 = 17;
    pub(super) const IDENTITY_DETAIL: u32 = 18;
    pub(super) const PRINCIPAL: u32 = 19;
    pub(super) const TRUST_DOMAIN: u32 = 20;
    pub(super) const NAMESPACE: u32 = 21;
    pub(super) const SERVICE_ACCOUNT: u32 = 22;
    pub(super) const SOURCE_ADDRESS: u32 = 23;
    pub(super) const REMOTE_ADDRESS: u32 = 24;
    pub(super) const DESTINATION_ADDRESS: u32 = 25;
    pub(super) const PROTOCOL: u32 = 26;
    pub(super) const HOST: u32 = 27;
    pub(super) const RAW_HOST: u32 = 28;
    pub(super) const PORT: u32 = 29;
    pub(super) const LISTENER_PORT: u32 = 30;
    pub(super) const SNI: u32 = 31;
    pub(super) const METHOD: u32 = 32;
    pub(super) const PATH: u32 = 33;
    pub(super) const HEADERS: u32 = 34;
    pub(super) const GATEWAY: u32 = 35;
    pub(super) const REQUEST_ID: u32 = 36;
    pub(super) const TRACEPARENT: u32 = 37;
    pub(super) const STREAM_ID: u32 = 38;
    pub(super) const ORIGIN: u32 = 39;
    pub(super) const OWNER: u32 = 40;
    pub(super) const TICKET: u32 = 41;
    pub(super) const RULE_REASON: u32 = 42;
    pub(super) const EXPIRES: u32 = 43;
    pub(super) const EXPIRED: u32 = 44;
    pub(super) const EXCEPTION: u32 = 45;
    pub(super) const EXCEPTION_EXPIRES: u32 = 46;
    pub(super) const WOULD_ORIGIN: u32 = 47;
    pub(super) const WOULD_OWNER: u32 = 48;
    pub(super) const AUDIT_RULE: u32 = 49;
    pub(super) const ENFORCEMENT: u32 = 50;
    pub(super) const REVISION: u32 = 51;
    pub(super) const DURATION_MICROS: u32 = 52;
    pub(super) const TRUNCATED: u32 = 53;
    pub(super) const REDACTED: u32 = 54;
    pub(super) const SNI_ABSENT: u32 = 55;
    pub(super) const ADDRESS_UNREADABLE: u32 = 56;
    pub(super) const AUTHORITY_HEADER: u32 = 57;
    pub(super) const CERTIFICATE_URIS: u32 = 58;
}

/// Fields of `customs.audit.v1.Header`.
mod of_header {
    pub(super) const NAME: u32 = 1;
    pub(super) const PRESENT: u32 = 2;
    pub(super) const MATCHED: u32 = 3;
    pub(super) const VALUE: u32 = 4;
}

/// Fields of `google.protobuf.Timestamp`.
mod of_timestamp {
    pub(super) const SECONDS: u32 = 1;
    pub(super) const NANOS: u32 = 2;
}

/// Appends the message of a decision, up to its chain.
pub(super) fn write(entry: &PackedDecision, stream: &str, sequence: u64, out: &mut Vec<u8>) {
    let entry = &entry.told();
    moment(field::TIME, entry.time, out);
    text(field::KIND, "decision", out);
    text_unless_empty(field::STREAM, stream, out);
    number_unless_zero(field::SEQUENCE, sequence, out);
    text_unless_empty(field::DECISION_ID, entry.decision_id, out);
    number_unless_zero(field::DECISION_NUMBER, entry.decision_number, out);
    text(field::EFFECT, entry.effect.as_str(), out);
    answers(&entry.verdict, &entry.would, out);
    inputs(entry, out);
    rules(&entry.verdict, &entry.would, out);
    text_unless_empty(field::AUDIT_RULE, entry.audit_rule, out);
    text(field::ENFORCEMENT, entry.enforcement.as_str(), out);
    text_unless_empty(field::REVISION, entry.revision, out);
    number(field::DURATION_MICROS, entry.duration_micros.into(), out);
    rare(entry.rare(), out);
}

/// The answers with their reasons and rules, and the gates of the verdict.
fn answers(verdict: &AnswerEntry<&str>, would: &AnswerEntry<&str>, out: &mut Vec<u8>) {
    text(field::VERDICT, verdict.effect.as_str(), out);
    text(field::WOULD, would.effect.as_str(), out);
    text(field::REASON, verdict.reason.as_str(), out);
    text_unless_empty(field::RULE, verdict.rule, out);
    text(field::WOULD_REASON, would.reason.as_str(), out);
    text_unless_empty(field::WOULD_RULE, would.rule, out);
    text_unless_empty(field::GATE, verdict.gate, out);
    text_unless_empty(field::OPEN_GATE, verdict.open_gate, out);
    truth(field::IDENTITY_DECIDED, verdict.by_identity, out);
}

fn inputs(entry: &DecisionEntry<&str>, out: &mut Vec<u8>) {
    // Destructured completely: a new field must be thought of, or the build stops.
    let DecisionEntry {
        // Written before these or behind them.
        time: _,
        duration_micros: _,
        decision_id: _,
        decision_number: _,
        revision: _,
        enforcement: _,
        effect: _,
        verdict: _,
        would: _,
        audit_rule: _,
        rare: _,
        identity,
        identity_detail,
        principal,
        trust_domain,
        namespace,
        service_account,
        source_address,
        remote_address,
        destination_address,
        protocol,
        host,
        raw_host,
        port,
        listener_port,
        sni,
        method,
        path,
        gateway,
        request_id,
        traceparent,
        stream_id,
    } = entry;
    text(field::IDENTITY, identity.as_str(), out);
    text_unless_empty(field::IDENTITY_DETAIL, identity_detail.unwrap_or_default(), out);
    text_unless_empty(field::PRINCIPAL, principal, out);
    text_unless_empty(field::TRUST_DOMAIN, trust_domain, out);
    text_unless_empty(field::NAMESPACE, namespace, out);
    text_unless_empty(field::SERVICE_ACCOUNT, service_account, out);
    text_unless_empty(field::SOURCE_ADDRESS, source_address, out);
    text_unless_empty(field::REMOTE_ADDRESS, remote_address, out);
    text_unless_empty(field::DESTINATION_ADDRESS, destination_address, out);
    text_unless_empty(field::PROTOCOL, protocol, out);
    text_unless_empty(field::HOST, host, out);
    text_unless_empty(field::RAW_HOST, raw_host, out);
    port.iter().for_each(|port| number(field::PORT, (*port).into(), out));
    listener_port.iter().for_each(|port| number(field::LISTENER_PORT, (*port).into(), out));
    text_unless_empty(field::SNI, sni, out);
    text_unless_empty(field::METHOD, method, out);
    text_unless_empty(field::PATH, path, out);
    entry.rare().headers.iter().for_each(|header| message(field::HEADERS, out, |out| write_header(header, out)));
    text_unless_empty(field::GATEWAY, gateway, out);
    text_unless_empty(field::REQUEST_ID, request_id, out);
    text_unless_empty(field::TRACEPARENT, traceparent, out);
    text_unless_empty(field::STREAM_ID, stream_id, out);
}

fn write_header(header: &HeaderEntry, out: &mut Vec<u8>) {
    let HeaderEntry { name, present, matched, value } = header;
    text_unless_empty(of_header::NAME, name, out);
    truth(of_header::PRESENT, *present, out);
    matched.iter().for_each(|matched| text(of_header::MATCHED, matched, out));
    text_unless_empty(of_header::VALUE, value, out);
}

/// What is told of the verdict's rule; of the other one, only where it is another.
fn rules(verdict: &AnswerEntry<&str>, would: &AnswerEntry<&str>, out: &mut Vec<u8>) {
    let AnswerEntry {
        effect: _,
        reason: _,
        rule,
        gate: _,
        open_gate: _,
        by_identity: _,
        origin,
        owner,
        ticket,
        rule_reason,
        expires,
        expired,
        exception,
        exception_expires,
    } = verdict;
    text_unless_empty(field::ORIGIN, origin, out);
    text_unless_empty(field::OWNER, owner, out);
    text_unless_empty(field::TICKET, ticket, out);
    text_unless_empty(field::RULE_REASON, rule_reason, out);
    expires.iter().for_each(|time| moment(field::EXPIRES, *time, out));
    text_unless_empty(field::EXPIRED, expired, out);
    text_unless_empty(field::EXCEPTION, exception, out);
    exception_expires.iter().for_each(|time| moment(field::EXCEPTION_EXPIRES, *time, out));
    if would.rule != *rule {
        text_unless_empty(field::WOULD_ORIGIN, would.origin, out);
        text_unless_empty(field::WOULD_OWNER, would.owner, out);
    }
}

fn rare(rare: &RareInputs, out: &mut Vec<u8>) {
    let RareInputs {
        // It stands among the inputs.
        headers: _,
        sni_absent,
        address_unreadable,
        authority_header,
        certificate_uris,
        truncated,
        redacted,
    } = rare;
    truncated.iter().for_each(|name| text(field::TRUNCATED, name, out));
    redacted.iter().for_each(|name| text(field::REDACTED, name, out));
    truth(field::SNI_ABSENT, *sni_absent, out);
    truth(field::ADDRESS_UNREADABLE, *address_unreadable, out);
    authority_header.iter().for_each(|header| text(field::AUTHORITY_HEADER, header, out));
    certificate_uris.iter().for_each(|uri| text(field::CERTIFICATE_URIS, uri, out));
}

fn moment(field: u32, time: UnixNanos, out: &mut Vec<u8>) {
    let (seconds, nanos) = seconds_and_nanos(time);
    message(field, out, |out| {
        // Moments before 1970 are negative, and written as protobuf writes such numbers.
        number_unless_zero(of_timestamp::SECONDS, seconds.cast_unsigned(), out);
        number_unless_zero(of_timestamp::NANOS, nanos.into(), out);
    });
}

fn number_unless_zero(field: u32, value: u64, out: &mut Vec<u8>) {
    if value > 0 {
        number(field, value, out);
    }
}

fn truth(field: u32, value: bool, out: &mut Vec<u8>) {
    number_unless_zero(field, value.into(), out);
}
