//! One entry as one line of JSON.
//!
//! It chooses and escapes; it adds no fact and judges none. The rule: a line is ASCII, has exactly one line feed (its
//! last byte), and reads back to the very text that went in, whatever a client put there. So no text can begin a line
//! of its own, colour a terminal or turn the direction of writing.
//!
//! The names and types are those of a protobuf message in its JSON mapping: lowerCamelCase, numbers up to 32 bits as
//! numbers, 64-bit numbers as text, no empty text, no empty list, flags only where true. The order of the fields is
//! fixed.

use crate::engine::policy::problem::{Place, Problem};
use crate::engine::record::{AnswerEntry, DecisionEntry, Entry, GrantEndEntry, PolicyChangeEntry, QuestionEntry};
use crate::engine::rules::RuleCounts;
use crate::engine::time::UnixNanos;

/// The fields of a decision's line, in their order.
#[rustfmt::skip]
pub const DECISION_FIELDS: &[&str] = &[
    "time", "kind", "sequence", "decisionId", "effect", "verdict", "would", "reason", "rule", "wouldReason",
    "wouldRule", "gate", "openGate", "identityDecided", "identity", "identityDetail", "principal", "trustDomain",
    "namespace", "serviceAccount", "sourceAddress", "protocol", "host", "rawHost", "port", "listenerPort", "sni",
    "method", "path", "gateway", "requestId", "traceparent", "streamId", "origin", "owner", "ticket", "ruleReason",
    "expires", "expired", "wouldOrigin", "wouldOwner", "auditRule", "enforcement", "revision", "durationMicros", "truncated",
];

/// The fields of a policy change's line, in their order.
#[rustfmt::skip]
pub const POLICY_CHANGE_FIELDS: &[&str] = &[
    "time", "kind", "sequence", "outcome", "revision", "previousRevision", "refusedSources", "problems",
    "problemsLeftOut", "policies", "istioDenyRules", "istioAllowRules", "egressDenyRules", "egressAllowRules",
];

/// The fields of a question's line, in their order. `answer` has those of a decision, without what only a check has.
pub const QUESTION_FIELDS: &[&str] = &["time", "kind", "sequence", "askedBy", "now", "answer"];

/// The fields of the line of a grant's end, in their order.
pub const GRANT_END_FIELDS: &[&str] =
    &["time", "kind", "sequence", "rule", "origin", "owner", "ticket", "ruleReason", "expires", "revision"];

/// The fields of each of the `problems`, in their order.
pub const PROBLEM_FIELDS: &[&str] = &["code", "severity", "file", "line", "column", "text", "hint"];

/// The most problems that one line lists; the number of the others is told.
pub const MAX_PROBLEMS: usize = 50;

/// The most bytes of a problem's text, or of its hint, that are told.
const MAX_PROBLEM_TEXT: usize = 1024;

/// Appends the line of an entry, with its line feed. `sequence` is the record's number in this process, from 1.
pub fn render(entry: &Entry, sequence: u64, out: &mut Vec<u8>) {
    out.push(b'{');
    let mut object = Object { out, first: true };
    match entry {
        Entry::Decision(entry) => decision(&mut object, entry, sequence),
        Entry::PolicyChange(entry) => policy_change(&mut object, entry, sequence),
        Entry::Question(entry) => question(&mut object, entry, sequence),
        Entry::GrantEnd(entry) => grant_end(&mut object, entry, sequence),
    }
    out.extend_from_slice(b"}\n");
}

fn head(object: &mut Object<'_>, time: UnixNanos, kind: &str, sequence: u64) {
    object.name("time", &rfc3339(time));
    object.name("kind", kind);
    object.name("sequence", &sequence.to_string());
}

fn decision(object: &mut Object<'_>, entry: &DecisionEntry, sequence: u64) {
    head(object, entry.time, "decision", sequence);
    object.text("decisionId", &entry.decision_id);
    decided(object, entry);
    object.number("durationMicros", entry.duration_micros);
    object.texts("truncated", entry.truncated.iter().copied());
}

/// What was asked and answered stands in an object of its own, so that nobody counts it among the decisions.
fn question(object: &mut Object<'_>, entry: &QuestionEntry, sequence: u64) {
    let QuestionEntry { time, asked_by, now, answer } = entry;
    head(object, *time, "question", sequence);
    object.name("askedBy", asked_by);
    object.name("now", &rfc3339(*now));
    object.object("answer", |object| {
        decided(object, answer);
        object.texts("truncated", answer.truncated.iter().copied());
    });
}

fn grant_end(object: &mut Object<'_>, entry: &GrantEndEntry, sequence: u64) {
    // Destructured completely: a new field must be thought of here.
    let GrantEndEntry { time, rule, origin, owner, ticket, rule_reason, expires, revision } = entry;
    head(object, *time, "grantEnd", sequence);
    object.text("rule", rule);
    object.text("origin", origin);
    object.text("owner", owner);
    object.text("ticket", ticket);
    object.text("ruleReason", rule_reason);
    object.name("expires", &rfc3339(*expires));
    object.name("revision", revision);
}

/// The three answers, the inputs, and the rules.
fn decided(object: &mut Object<'_>, entry: &DecisionEntry) {
    // Destructured completely: a new field must be thought of here, or where a decision's line is begun and ended.
    let DecisionEntry {
        time: _,
        duration_micros: _,
        decision_id: _,
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
        truncated: _,
        audit_rule,
    } = entry;
    object.name("effect", effect.as_str());
    answers(object, verdict, would);
    object.name("identity", identity.as_str());
    object.text("identityDetail", identity_detail.unwrap_or_default());
    object.text("principal", principal);
    object.text("trustDomain", trust_domain);
    object.text("namespace", namespace);
    object.text("serviceAccount", service_account);
    object.text("sourceAddress", source_address);
    object.name("protocol", protocol);
    object.text("host", host);
    object.text("rawHost", raw_host);
    object.optional_number("port", *port);
    object.optional_number("listenerPort", *listener_port);
    object.text("sni", sni);
    object.text("method", method);
    object.text("path", path);
    object.text("gateway", gateway);
    object.text("requestId", request_id);
    object.text("traceparent", traceparent);
    object.text("streamId", stream_id);
    rules(object, verdict, would);
    object.text("auditRule", audit_rule);
    object.name("enforcement", enforcement.as_str());
    object.name("revision", revision);
}

/// The three answers with their reasons and rules, and the gates of the verdict.
fn answers(object: &mut Object<'_>, verdict: &AnswerEntry, would: &AnswerEntry) {
    object.name("verdict", verdict.effect.as_str());
    object.name("would", would.effect.as_str());
    object.name("reason", verdict.reason);
    object.text("rule", &verdict.rule);
    object.name("wouldReason", would.reason);
    object.text("wouldRule", &would.rule);
    object.text("gate", verdict.gate);
    object.text("openGate", verdict.open_gate);
    object.flag("identityDecided", verdict.by_identity);
}

/// What is told of the verdict's rule; of the other one, only where it is another.
fn rules(object: &mut Object<'_>, verdict: &AnswerEntry, would: &AnswerEntry) {
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
    } = verdict;
    object.text("origin", origin);
    object.text("owner", owner);
    object.text("ticket", ticket);
    object.text("ruleReason", rule_reason);
    object.text("expires", &expires.map(rfc3339).unwrap_or_default());
    object.text("expired", expired);
    if would.rule != *rule {
        object.text("wouldOrigin", &would.origin);
        object.text("wouldOwner", &would.owner);
    }
}

fn policy_change(object: &mut Object<'_>, entry: &PolicyChangeEntry, sequence: u64) {
    // Destructured completely: a new field must be thought of here.
    let PolicyChangeEntry { time, outcome, revision, previous_revision, refused_sources, problems, counts } = entry;
    head(object, *time, "policyChange", sequence);
    object.name("outcome", outcome.as_str());
    object.name("revision", revision);
    object.name("previousRevision", previous_revision);
    object.texts("refusedSources", refused_sources.iter().map(String::as_str));
    object.objects("problems", problems.iter().take(MAX_PROBLEMS), problem);
    let left_out = problems.len().saturating_sub(MAX_PROBLEMS);
    object.optional_number("problemsLeftOut", (left_out > 0).then(|| number(left_out)));
    let RuleCounts { istio_deny, istio_allow, egress_deny, egress_allow, policies } = *counts;
    object.number("policies", number(policies));
    object.number("istioDenyRules", number(istio_deny));
    object.number("istioAllowRules", number(istio_allow));
    object.number("egressDenyRules", number(egress_deny));
    object.number("egressAllowRules", number(egress_allow));
}

fn problem(object: &mut Object<'_>, problem: &Problem) {
    let Problem { code, severity, place: Place { file, line, column }, text, hint } = problem;
    object.name("code", code.as_str());
    object.name("severity", severity.as_str());
    object.text("file", file);
    object.optional_number("line", (*line > 0).then_some(*line));
    object.optional_number("column", (*column > 0).then_some(*column));
    object.text("text", &shortened(text));
    object.text("hint", &shortened(hint.as_deref().unwrap_or_default()));
}

/// A text of at most [`MAX_PROBLEM_TEXT`] bytes; three dots say that it was cut.
fn shortened(text: &str) -> std::borrow::Cow<'_, str> {
    match text.get(..text.floor_char_boundary(MAX_PROBLEM_TEXT)) {
        Some(head) if head.len() < text.len() => format!("{head}...").into(),
        _ => text.into(),
    }
}

/// A count as a number of 32 bits; nothing that is counted here comes near the limit.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// UTC with nanoseconds, always 30 characters. Moments outside of the calendar are told as its ends.
fn rfc3339(time: UnixNanos) -> String {
    const PRINTER: jiff::fmt::temporal::DateTimePrinter =
        jiff::fmt::temporal::DateTimePrinter::new().precision(Some(9));
    const EARLIEST: jiff::Timestamp = jiff::Timestamp::constant(-62_135_596_800, 0);
    let end = if time.0 < 0 { EARLIEST } else { jiff::Timestamp::MAX };
    PRINTER.timestamp_to_string(&jiff::Timestamp::from_nanosecond(time.0).unwrap_or(end).max(EARLIEST))
}

/// A JSON object that is being written. Names are written as they are: they are this module's own.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl Object<'_> {
    fn key(&mut self, key: &str) {
        separate(self.out, &mut self.first);
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// Text that is always there.
    fn name(&mut self, key: &str, value: &str) {
        self.key(key);
        quote(self.out, value);
    }

    /// Text that is left out where it is empty.
    fn text(&mut self, key: &str, value: &str) {
        if !value.is_empty() {
            self.name(key, value);
        }
    }

    fn number(&mut self, key: &str, value: impl Into<u32>) {
        self.key(key);
        self.out.extend_from_slice(value.into().to_string().as_bytes());
    }

    fn optional_number(&mut self, key: &str, value: Option<impl Into<u32>>) {
        if let Some(value) = value {
            self.number(key, value);
        }
    }

    fn flag(&mut self, key: &str, value: bool) {
        if value {
            self.key(key);
            self.out.extend_from_slice(b"true");
        }
    }

    fn object(&mut self, key: &str, fill: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        self.out.push(b'{');
        fill(&mut Object { out: &mut *self.out, first: true });
        self.out.push(b'}');
    }

    /// A list of texts, left out where it is empty.
    fn texts<'v>(&mut self, key: &str, values: impl Iterator<Item = &'v str>) {
        self.list(key, values, quote);
    }

    /// A list of objects, left out where it is empty.
    fn objects<T>(&mut self, key: &str, values: impl Iterator<Item = T>, mut fill: impl FnMut(&mut Object<'_>, T)) {
        self.list(key, values, |out, value| {
            out.push(b'{');
            fill(&mut Object { out: &mut *out, first: true }, value);
            out.push(b'}');
        });
    }

    fn list<T>(&mut self, key: &str, values: impl Iterator<Item = T>, mut write: impl FnMut(&mut Vec<u8>, T)) {
        let mut values = values.peekable();
        if values.peek().is_none() {
            return;
        }
        self.key(key);
        self.out.push(b'[');
        let mut first = true;
        for value in values {
            separate(self.out, &mut first);
            write(self.out, value);
        }
        self.out.push(b']');
    }
}

fn separate(out: &mut Vec<u8>, first: &mut bool) {
    if !std::mem::replace(first, false) {
        out.push(b',');
    }
}

/// Whether a byte stands for itself inside JSON text: printable ASCII but the quote and the backslash.
fn is_plain(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) & (byte != b'"') & (byte != b'\\')
}

/// A JSON text of ASCII characters only.
fn quote(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    // Nearly every text is plain; looking at all of it without a branch is several times faster than byte by byte.
    if text.bytes().fold(true, |plain, byte| plain & is_plain(byte)) {
        out.extend_from_slice(text.as_bytes());
    } else {
        text.chars().for_each(|character| escape(out, character));
    }
    out.push(b'"');
}

fn escape(out: &mut Vec<u8>, character: char) {
    match character {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        ' '..='~' => out.extend(u8::try_from(character)),
        _ => {
            for unit in character.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
    }
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
