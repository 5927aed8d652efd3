//! One entry as one line of JSON.
//!
//! It chooses and escapes; it adds no fact and judges none. The rule: a line is ASCII, has exactly one line feed (its
//! last byte), and reads back to the very text that went in, whatever a client put there. So no text can begin a line
//! of its own, colour a terminal or turn the direction of writing.
//!
//! The names and types are those of [`proto::Record`](super::proto::Record) in protobuf's JSON mapping, in the order of its
//! numbers: lowerCamelCase, numbers up to 32 bits as numbers, 64-bit numbers as text, moments with nine digits behind the
//! point, nothing that is empty, flags only where true. [`fields`](super::fields) lists them by kind.

mod object;

use self::object::Object;
pub(crate) use self::object::seconds_and_nanos;
use crate::engine::policy::problem::{Place, Problem};
use crate::engine::record::trail::Position;
use crate::engine::record::{
    AnswerEntry, CheckpointEntry, DecisionEntry, Entry, GapEntry, GrantEndEntry, HeaderEntry, LagEntry, Loss,
    PolicyChangeEntry, QuestionEntry, RareInputs, StartEntry, StopEntry, StreamEntry, WithheldEntry,
};
use crate::engine::rules::RuleCounts;
use crate::engine::time::UnixNanos;

/// The most problems that one line lists; the number of the others is told.
pub const MAX_PROBLEMS: usize = 50;

/// The most bytes of a problem's text, or of its hint, that are told.
const MAX_PROBLEM_TEXT: usize = 1024;

/// Appends the line of an entry up to its chain: everything but [`close`]. These are the bytes that the chain covers.
pub fn open(entry: &Entry, stream: &str, sequence: u64, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    let object = &mut object;
    object.time("time", entry.time());
    object.text("kind", entry.kind());
    object.text("stream", stream);
    object.long("sequence", sequence);
    match entry {
        Entry::Decision(entry) => decision(object, &entry.told()),
        Entry::PolicyChange(entry) => policy_change(object, entry),
        Entry::Question(entry) => question(object, entry),
        Entry::GrantEnd(entry) => grant_end(object, entry),
        Entry::Start(entry) => start(object, entry),
        Entry::Stop(entry) => stop(object, entry),
        Entry::Withheld(entry) => withheld(object, entry),
        Entry::Stream(entry) => begin(object, entry),
        Entry::Gap(entry) => gap(object, entry),
        Entry::Lag(entry) => lag(object, entry),
        Entry::Checkpoint(entry) => checkpoint(object, entry),
    }
}

/// Ends the line: the chain, the brace and the line feed.
pub fn close(chain: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"chain\":\"");
    out.extend_from_slice(chain.as_bytes());
    out.extend_from_slice(b"\"}\n");
}

/// Ends a line that has no chain, as in a checkpoint file: the sink that it is about, the brace and the line feed.
pub fn close_plain(sink: &str, out: &mut Vec<u8>) {
    Object::go_on(out).text("sink", sink);
    out.extend_from_slice(b"}\n");
}

/// A moment as records spell it.
pub(crate) fn rfc3339(time: UnixNanos) -> String {
    let mut out = Vec::with_capacity(30);
    object::rfc3339(&mut out, time);
    // Only digits and marks are in it.
    String::from_utf8(out).unwrap_or_default()
}

fn decision(object: &mut Object<'_>, entry: &DecisionEntry<&str>) {
    object.text("decisionId", entry.decision_id);
    object.long("decisionNumber", entry.decision_number);
    decided(object, entry, Some(entry.duration_micros));
}

/// What was asked and answered stands in an object of its own, so that nobody counts it among the decisions.
fn question(object: &mut Object<'_>, entry: &QuestionEntry) {
    let QuestionEntry { time: _, asked_by, now, answer } = entry;
    object.text("askedBy", asked_by);
    object.time("now", *now);
    object.object("answer", |object| decided(object, &answer.told(), None));
}

/// The three answers, the inputs, and the rules.
fn decided(object: &mut Object<'_>, entry: &DecisionEntry<&str>, duration_micros: Option<u32>) {
    // Everything here is destructured completely: a new field must be thought of, or the build stops.
    let DecisionEntry {
        // Told where a record of a decision begins, or as an argument: a question has none of them.
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
    object.text("effect", effect.as_str());
    answers(object, verdict, would);
    object.text("identity", identity.as_str());
    object.text("identityDetail", identity_detail.unwrap_or_default());
    object.text("principal", principal);
    object.text("trustDomain", trust_domain);
    object.text("namespace", namespace);
    object.text("serviceAccount", service_account);
    object.text("sourceAddress", source_address);
    object.text("remoteAddress", remote_address);
    object.text("destinationAddress", destination_address);
    object.text("protocol", protocol);
    object.text("host", host);
    object.text("rawHost", raw_host);
    object.optional_number("port", *port);
    object.optional_number("listenerPort", *listener_port);
    object.text("sni", sni);
    object.text("method", method);
    object.text("path", path);
    object.objects("headers", headers.iter(), header);
    object.text("gateway", gateway);
    object.text("requestId", request_id);
    object.text("traceparent", traceparent);
    object.text("streamId", stream_id);
    rules(object, verdict, would);
    object.text("auditRule", audit_rule);
    object.text("enforcement", enforcement.as_str());
    object.text("revision", revision);
    object.optional_number("durationMicros", duration_micros);
    object.texts("truncated", truncated.iter().copied());
    object.texts("redacted", redacted.iter().copied());
    object.flag("sniAbsent", *sni_absent);
    object.flag("addressUnreadable", *address_unreadable);
    object.optional_text("authorityHeader", authority_header.as_deref());
    object.texts("certificateUris", certificate_uris.iter().map(String::as_str));
}

/// The three answers with their reasons and rules, and the gates of the verdict.
fn answers(object: &mut Object<'_>, verdict: &AnswerEntry<&str>, would: &AnswerEntry<&str>) {
    object.text("verdict", verdict.effect.as_str());
    object.text("would", would.effect.as_str());
    object.text("reason", verdict.reason.as_str());
    object.text("rule", verdict.rule);
    object.text("wouldReason", would.reason.as_str());
    object.text("wouldRule", would.rule);
    object.text("gate", verdict.gate);
    object.text("openGate", verdict.open_gate);
    object.flag("identityDecided", verdict.by_identity);
}

/// What is told of the verdict's rule; of the other one, only where it is another.
fn rules(object: &mut Object<'_>, verdict: &AnswerEntry<&str>, would: &AnswerEntry<&str>) {
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
    object.text("origin", origin);
    object.text("owner", owner);
    object.text("ticket", ticket);
    object.text("ruleReason", rule_reason);
    object.optional_time("expires", *expires);
    object.text("expired", expired);
    object.text("exception", exception);
    object.optional_time("exceptionExpires", *exception_expires);
    if would.rule != *rule {
        object.text("wouldOrigin", would.origin);
        object.text("wouldOwner", would.owner);
    }
}

fn header(object: &mut Object<'_>, header: &HeaderEntry) {
    let HeaderEntry { name, present, matched, value } = header;
    object.text("name", name);
    object.flag("present", *present);
    object.texts("matched", matched.iter().map(String::as_str));
    object.text("value", value);
}

fn policy_change(object: &mut Object<'_>, entry: &PolicyChangeEntry) {
    let PolicyChangeEntry { time: _, outcome, revision, previous_revision, refused_sources, problems, counts } = entry;
    object.text("revision", revision);
    object.text("outcome", outcome.as_str());
    object.text("previousRevision", previous_revision);
    object.texts("refusedSources", refused_sources.iter().map(String::as_str));
    object.objects("problems", problems.iter().take(MAX_PROBLEMS), problem);
    object.number("problemsLeftOut", number(problems.len().saturating_sub(MAX_PROBLEMS)));
    let RuleCounts { istio_deny, istio_allow, egress_deny, egress_allow, policies } = *counts;
    object.optional_number("policies", Some(number(policies)));
    object.optional_number("istioDenyRules", Some(number(istio_deny)));
    object.optional_number("istioAllowRules", Some(number(istio_allow)));
    object.optional_number("egressDenyRules", Some(number(egress_deny)));
    object.optional_number("egressAllowRules", Some(number(egress_allow)));
}

fn grant_end(object: &mut Object<'_>, entry: &GrantEndEntry) {
    let GrantEndEntry { time: _, rule, origin, owner, ticket, rule_reason, expires, revision } = entry;
    object.text("rule", rule);
    object.text("origin", origin);
    object.text("owner", owner);
    object.text("ticket", ticket);
    object.text("ruleReason", rule_reason);
    object.time("expires", *expires);
    object.text("revision", revision);
}

fn start(object: &mut Object<'_>, entry: &StartEntry) {
    let StartEntry { time: _, version, listen, enforcement } = entry;
    object.text("enforcement", enforcement.as_str());
    object.text("version", version);
    object.texts("listen", listen.iter().map(String::as_str));
}

fn stop(object: &mut Object<'_>, entry: &StopEntry) {
    let StopEntry { time: _, cause, decisions, revision } = entry;
    object.text("revision", revision);
    object.text("cause", cause);
    object.optional_long("decisions", Some(*decisions));
}

fn withheld(object: &mut Object<'_>, entry: &WithheldEntry) {
    let WithheldEntry { time: _, decision_id, decision_number, reason } = entry;
    object.text("decisionId", decision_id);
    object.long("decisionNumber", *decision_number);
    object.text("reason", reason);
}

fn begin(object: &mut Object<'_>, entry: &StreamEntry) {
    let StreamEntry { time: _, sink, filter, format, hash, previous, torn_bytes } = entry;
    object.text("sink", sink);
    object.text("filter", filter);
    object.text("format", format);
    object.text("hash", hash);
    if let Some(Position { stream, sequence, chain }) = previous {
        object.text("previousStream", stream);
        object.long("previousSequence", *sequence);
        object.text("previousChain", chain);
    }
    object.long("tornBytes", *torn_bytes);
}

fn gap(object: &mut Object<'_>, entry: &GapEntry) {
    let GapEntry { time: _, lost, first, last } = entry;
    let Loss { allows, denials, differing, withheld, events } = *lost;
    object.object("lost", |object| {
        object.long("allows", allows);
        object.long("denials", denials);
        object.long("differing", differing);
        object.long("withheld", withheld);
        object.long("events", events);
    });
    object.time("first", *first);
    object.time("last", *last);
}

fn lag(object: &mut Object<'_>, entry: &LagEntry) {
    let LagEntry { time: _, missed_from, missed_to } = entry;
    object.long("missedFrom", *missed_from);
    object.long("missedTo", *missed_to);
}

fn checkpoint(object: &mut Object<'_>, entry: &CheckpointEntry) {
    let CheckpointEntry { time: _, sealed: Position { stream, sequence, chain }, last, key, signature } = entry;
    object.text("sealedStream", stream);
    object.long("records", *sequence);
    object.text("head", chain);
    object.flag("final", *last);
    object.text("key", key);
    object.text("signature", signature);
}

fn problem(object: &mut Object<'_>, problem: &Problem) {
    let Problem { code, severity, place: Place { file, line, column }, text, hint } = problem;
    object.text("code", code.as_str());
    object.text("severity", severity.as_str());
    object.text("file", file);
    object.number("line", *line);
    object.number("column", *column);
    object.text("text", &shortened(text));
    object.text("hint", &shortened(hint.as_deref().unwrap_or_default()));
}

/// A text of at most [`MAX_PROBLEM_TEXT`] bytes; three dots say that it was cut.
pub(super) fn shortened(text: &str) -> std::borrow::Cow<'_, str> {
    match text.get(..text.floor_char_boundary(MAX_PROBLEM_TEXT)) {
        Some(head) if head.len() < text.len() => format!("{head}...").into(),
        _ => text.into(),
    }
}

/// A count as a number of 32 bits; nothing that is counted here comes near the limit.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
