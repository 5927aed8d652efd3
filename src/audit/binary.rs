//! One entry as a protobuf message.
//!
//! It chooses and judges nothing. A decision, of which there is one for every check, is written by [`decision`] straight
//! from its entry; all others, and decisions for those who want a message, are made as [`proto::Record`]. The rule: the
//! bytes are those of [`proto::Record`] with its fields in the order of their numbers, and say exactly what the line of
//! [`json`](super::json) says. Every entry is destructured completely, so that a new field stops the build until it is
//! thought of.

mod decision;

use prost::Message;
use prost_types::Timestamp;

use super::json::{MAX_PROBLEMS, number, seconds_and_nanos, shortened};
use super::proto;
use crate::engine::policy::problem::{Place, Problem};
use crate::engine::record::trail::Position;
use crate::engine::record::{
    AnswerEntry, CheckpointEntry, DecisionEntry, Entry, GapEntry, GrantEndEntry, HeaderEntry, LagEntry, Loss,
    PolicyChangeEntry, QuestionEntry, RareInputs, StartEntry, StopEntry, StreamEntry, WithheldEntry,
};
use crate::engine::rules::RuleCounts;
use crate::engine::time::UnixNanos;
use crate::protobuf;

/// The number of the field `chain`, the last.
const CHAIN: u32 = 2000;

/// Appends the message of an entry up to its chain. These are the bytes that the chain covers.
pub fn open(entry: &Entry, stream: &str, sequence: u64, out: &mut Vec<u8>) {
    if let Entry::Decision(entry) = entry {
        return decision::write(entry, stream, sequence, out);
    }
    // A vector takes everything.
    let _ = record(entry, stream, sequence).encode(out);
}

/// Appends the chain, the message's last field.
pub fn close(chain: &str, out: &mut Vec<u8>) {
    protobuf::text(CHAIN, chain, out);
}

/// An entry as a message without its chain.
pub fn record(entry: &Entry, stream: &str, sequence: u64) -> proto::Record {
    let body = match entry {
        Entry::Decision(entry) => of_decision(&entry.told()),
        Entry::PolicyChange(entry) => policy_change(entry),
        Entry::Question(entry) => question(entry),
        Entry::GrantEnd(entry) => grant_end(entry),
        Entry::Start(entry) => start(entry),
        Entry::Stop(entry) => stop(entry),
        Entry::Withheld(entry) => withheld(entry),
        Entry::Stream(entry) => begin(entry),
        Entry::Gap(entry) => gap(entry),
        Entry::Lag(entry) => lag(entry),
        Entry::Checkpoint(entry) => checkpoint(entry),
    };
    proto::Record {
        time: Some(timestamp(entry.time())),
        kind: entry.kind().to_owned(),
        stream: stream.to_owned(),
        sequence,
        ..body
    }
}

fn of_decision(entry: &DecisionEntry<&str>) -> proto::Record {
    proto::Record {
        decision_id: entry.decision_id.to_string(),
        decision_number: entry.decision_number,
        duration_micros: Some(entry.duration_micros),
        ..decided(entry)
    }
}

fn question(entry: &QuestionEntry) -> proto::Record {
    let QuestionEntry { time: _, asked_by, now, answer } = entry;
    proto::Record {
        asked_by: asked_by.clone(),
        now: Some(timestamp(*now)),
        answer: Some(Box::new(decided(&answer.told()))),
        ..proto::Record::default()
    }
}

/// The three answers, the inputs, and the rules.
fn decided(entry: &DecisionEntry<&str>) -> proto::Record {
    let DecisionEntry {
        // Only a record of a decision has these; a question has none of them.
        time: _,
        decision_id: _,
        decision_number: _,
        duration_micros: _,
        revision,
        enforcement,
        effect,
        verdict,
        would,
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
        audit_rule,
        rare: _,
    } = entry;
    let RareInputs { sni_absent, address_unreadable, authority_header, certificate_uris, headers, truncated, redacted } =
        entry.rare();
    proto::Record {
        effect: effect.as_str().to_owned(),
        identity: identity.as_str().to_owned(),
        identity_detail: identity_detail.unwrap_or_default().to_owned(),
        principal: principal.to_string(),
        trust_domain: trust_domain.to_string(),
        namespace: namespace.to_string(),
        service_account: service_account.to_string(),
        source_address: source_address.to_string(),
        remote_address: remote_address.to_string(),
        destination_address: destination_address.to_string(),
        protocol: (*protocol).to_owned(),
        host: host.to_string(),
        raw_host: raw_host.to_string(),
        port: port.map(u32::from),
        listener_port: listener_port.map(u32::from),
        sni: sni.to_string(),
        method: method.to_string(),
        path: path.to_string(),
        headers: headers.iter().map(header).collect(),
        gateway: gateway.to_string(),
        request_id: request_id.to_string(),
        traceparent: traceparent.to_string(),
        stream_id: stream_id.to_string(),
        audit_rule: audit_rule.to_string(),
        enforcement: enforcement.as_str().to_owned(),
        revision: revision.to_string(),
        truncated: owned(truncated),
        redacted: owned(redacted),
        sni_absent: *sni_absent,
        address_unreadable: *address_unreadable,
        authority_header: authority_header.clone(),
        certificate_uris: certificate_uris.clone(),
        ..answers(verdict, would)
    }
}

/// The answers with their reasons, and what is told of the verdict's rule; of the other one, only where it is another.
fn answers(verdict: &AnswerEntry<&str>, would: &AnswerEntry<&str>) -> proto::Record {
    let AnswerEntry {
        effect,
        reason,
        rule,
        gate,
        open_gate,
        by_identity,
        origin,
        owner,
        ticket,
        rule_reason,
        expires,
        expired,
        exception,
        exception_expires,
    } = verdict;
    let of_would = |text: &str| if would.rule == *rule { String::new() } else { text.to_owned() };
    proto::Record {
        verdict: effect.as_str().to_owned(),
        would: would.effect.as_str().to_owned(),
        reason: reason.as_str().to_owned(),
        rule: rule.to_string(),
        would_reason: would.reason.as_str().to_owned(),
        would_rule: would.rule.to_string(),
        gate: (*gate).to_owned(),
        open_gate: (*open_gate).to_owned(),
        identity_decided: *by_identity,
        origin: origin.to_string(),
        owner: owner.to_string(),
        ticket: ticket.to_string(),
        rule_reason: rule_reason.to_string(),
        expires: expires.map(timestamp),
        expired: expired.to_string(),
        exception: exception.to_string(),
        exception_expires: exception_expires.map(timestamp),
        would_origin: of_would(would.origin),
        would_owner: of_would(would.owner),
        ..proto::Record::default()
    }
}

fn header(header: &HeaderEntry) -> proto::Header {
    let HeaderEntry { name, present, matched, value } = header;
    proto::Header { name: name.clone(), present: *present, matched: matched.clone(), value: value.clone() }
}

fn policy_change(entry: &PolicyChangeEntry) -> proto::Record {
    let PolicyChangeEntry { time: _, outcome, revision, previous_revision, refused_sources, problems, counts } = entry;
    let RuleCounts { istio_deny, istio_allow, egress_deny, egress_allow, policies } = *counts;
    proto::Record {
        revision: revision.clone(),
        outcome: outcome.as_str().to_owned(),
        previous_revision: previous_revision.clone(),
        refused_sources: refused_sources.clone(),
        problems: problems.iter().take(MAX_PROBLEMS).map(problem).collect(),
        problems_left_out: number(problems.len().saturating_sub(MAX_PROBLEMS)),
        policies: Some(number(policies)),
        istio_deny_rules: Some(number(istio_deny)),
        istio_allow_rules: Some(number(istio_allow)),
        egress_deny_rules: Some(number(egress_deny)),
        egress_allow_rules: Some(number(egress_allow)),
        ..proto::Record::default()
    }
}

fn problem(problem: &Problem) -> proto::Problem {
    let Problem { code, severity, place: Place { file, line, column }, text, hint } = problem;
    proto::Problem {
        code: code.as_str().to_owned(),
        severity: severity.as_str().to_owned(),
        file: file.to_string(),
        line: *line,
        column: *column,
        text: shortened(text).into_owned(),
        hint: shortened(hint.as_deref().unwrap_or_default()).into_owned(),
    }
}

fn grant_end(entry: &GrantEndEntry) -> proto::Record {
    let GrantEndEntry { time: _, rule, origin, owner, ticket, rule_reason, expires, revision } = entry;
    proto::Record {
        rule: rule.clone(),
        origin: origin.clone(),
        owner: owner.clone(),
        ticket: ticket.clone(),
        rule_reason: rule_reason.clone(),
        expires: Some(timestamp(*expires)),
        revision: revision.clone(),
        ..proto::Record::default()
    }
}

fn start(entry: &StartEntry) -> proto::Record {
    let StartEntry { time: _, version, listen, enforcement } = entry;
    proto::Record {
        enforcement: enforcement.as_str().to_owned(),
        version: (*version).to_owned(),
        listen: listen.clone(),
        ..proto::Record::default()
    }
}

fn stop(entry: &StopEntry) -> proto::Record {
    let StopEntry { time: _, cause, decisions, revision } = entry;
    proto::Record {
        revision: revision.clone(),
        cause: cause.clone(),
        decisions: Some(*decisions),
        ..proto::Record::default()
    }
}

fn withheld(entry: &WithheldEntry) -> proto::Record {
    let WithheldEntry { time: _, decision_id, decision_number, reason } = entry;
    proto::Record {
        decision_id: decision_id.clone(),
        decision_number: *decision_number,
        reason: (*reason).to_owned(),
        ..proto::Record::default()
    }
}

fn begin(entry: &StreamEntry) -> proto::Record {
    let StreamEntry { time: _, sink, filter, format, hash, previous, torn_bytes } = entry;
    let mut record = proto::Record {
        sink: sink.clone(),
        filter: filter.clone(),
        format: (*format).to_owned(),
        hash: (*hash).to_owned(),
        torn_bytes: *torn_bytes,
        ..proto::Record::default()
    };
    if let Some(Position { stream, sequence, chain }) = previous {
        record.previous_stream.clone_from(stream);
        record.previous_sequence = *sequence;
        record.previous_chain.clone_from(chain);
    }
    record
}

fn gap(entry: &GapEntry) -> proto::Record {
    let GapEntry { time: _, lost, first, last } = entry;
    let Loss { allows, denials, differing, withheld, events } = *lost;
    proto::Record {
        lost: Some(proto::Loss { allows, denials, differing, withheld, events }),
        first: Some(timestamp(*first)),
        last: Some(timestamp(*last)),
        ..proto::Record::default()
    }
}

fn lag(entry: &LagEntry) -> proto::Record {
    let LagEntry { time: _, missed_from, missed_to } = entry;
    proto::Record { missed_from: *missed_from, missed_to: *missed_to, ..proto::Record::default() }
}

fn checkpoint(entry: &CheckpointEntry) -> proto::Record {
    let CheckpointEntry { time: _, sealed: Position { stream, sequence, chain }, last, key, signature } = entry;
    proto::Record {
        sealed_stream: stream.clone(),
        records: *sequence,
        head: chain.clone(),
        r#final: *last,
        key: key.clone(),
        signature: signature.clone(),
        ..proto::Record::default()
    }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn timestamp(time: UnixNanos) -> Timestamp {
    let (seconds, nanos) = seconds_and_nanos(time);
    // Less than a billion.
    Timestamp { seconds, nanos: i32::try_from(nanos).unwrap_or_default() }
}
