//! What a record of each kind says: which field has which value, in the order of the fields' numbers.
//!
//! It spells nothing: a [`Form`] does, and there are two, [`json`](super::json) and [`binary`](super::binary). Both are
//! filled by the same walk, so that a line and a message of one entry say the same. The rules: what is empty is left out,
//! as protobuf leaves it out; every entry is destructured completely, so that a new field stops the build until it is
//! thought of.

use super::fields::{
    Field, file as of_file, header as of_header, loss, problem as of_problem, record as of, refusal as of_refusal,
    source as of_source,
};
use crate::entry::packed::Span;
use crate::entry::trail::Position;
use crate::{
    AnswerEntry, CallerGoneEntry, CheckpointEntry, DecisionEntry, Entry, GapEntry, GrantExpiredEntry, HeaderEntry,
    LagEntry, Loss, PackedDecision, QuestionEntry, RareInputs, RefusalCount, RefusalsEntry, StartEntry, StopEntry,
    StreamEntry, WithheldEntry,
};
use customs_engine::rules::RuleCounts;
use customs_engine::time::UnixNanos;
use customs_policy::policy_change::{PolicyChange, PublishedFile, PublishedSource};
use customs_policy::problem::{Place, Problem};

/// The most problems that one record lists; the number of the others is told.
pub const MAX_PROBLEMS: usize = 50;

/// The most files that one record lists; the number of the others is told. The revision covers all of them.
pub const MAX_FILES: usize = 500;

/// The most bytes of a problem's text, or of its hint, that are told.
const MAX_PROBLEM_TEXT: usize = 1024;

/// A way to spell a record: what `put_..` is called with is written, in the order of the calls.
// All of it is inlined where fields are literals: what stands before a value is then a few stores and no call.
pub(super) trait Form {
    /// Whether texts are spelt as they are. Asked once of many, it need not be asked of each.
    fn is_plain(texts: &str) -> bool;

    /// Writes a text that is plain, or may not be.
    fn put_text(&mut self, field: Field, value: &str, is_plain: bool);

    /// Writes a number of 32 bits.
    fn put_number(&mut self, field: Field, value: u32);

    /// Writes a number of 64 bits.
    fn put_long(&mut self, field: Field, value: u64);

    /// Writes that something is so.
    fn put_true(&mut self, field: Field);

    /// Writes a moment.
    fn put_time(&mut self, field: Field, value: UnixNanos);

    /// Writes a list of texts that has some.
    fn put_texts<T: AsRef<str>>(&mut self, field: Field, values: &[T]);

    /// Writes a message, which is filled by `fill`.
    fn put_message(&mut self, field: Field, fill: impl FnOnce(&mut Self));

    /// Writes a list of messages that has some.
    fn put_messages<T>(&mut self, field: Field, values: &[T], fill: impl FnMut(&mut Self, &T));

    /// A text, where there is one.
    #[inline(always)]
    fn text(&mut self, field: Field, value: &str) {
        if !value.is_empty() {
            self.put_text(field, value, false);
        }
    }

    /// A word of this project's own, where there is one.
    #[inline(always)]
    fn word(&mut self, field: Field, value: &'static str) {
        if !value.is_empty() {
            self.put_text(field, value, true);
        }
    }

    /// A number, unless it is nought.
    #[inline(always)]
    fn number(&mut self, field: Field, value: u32) {
        if value > 0 {
            self.put_number(field, value);
        }
    }

    /// A number that may be absent, and may be nought.
    #[inline(always)]
    fn optional_number(&mut self, field: Field, value: Option<impl Into<u32>>) {
        if let Some(value) = value {
            self.put_number(field, value.into());
        }
    }

    /// A number, unless it is nought.
    #[inline(always)]
    fn long(&mut self, field: Field, value: u64) {
        if value > 0 {
            self.put_long(field, value);
        }
    }

    /// Whether something is so.
    #[inline(always)]
    fn flag(&mut self, field: Field, value: bool) {
        if value {
            self.put_true(field);
        }
    }

    /// A moment that may be absent.
    #[inline(always)]
    fn optional_time(&mut self, field: Field, value: Option<UnixNanos>) {
        if let Some(value) = value {
            self.put_time(field, value);
        }
    }

    /// Texts, where there are some.
    #[inline(always)]
    fn texts<T: AsRef<str>>(&mut self, field: Field, values: &[T]) {
        if !values.is_empty() {
            self.put_texts(field, values);
        }
    }

    /// Messages, where there are some.
    #[inline(always)]
    fn messages<T>(&mut self, field: Field, values: &[T], fill: impl FnMut(&mut Self, &T)) {
        if !values.is_empty() {
            self.put_messages(field, values, fill);
        }
    }
}

/// Fills a form with everything but the chain.
pub(super) fn fill<F: Form>(form: &mut F, entry: &Entry, stream: &str, sequence: u64) {
    form.put_time(of::TIME, entry.time());
    form.word(of::KIND, entry.kind());
    form.text(of::STREAM, stream);
    form.long(of::SEQUENCE, sequence);
    match entry {
        Entry::Decision(entry) => decision(form, entry),
        Entry::PolicyChange(entry) => policy_change(form, entry),
        Entry::Question(entry) => question(form, entry),
        Entry::GrantExpired(entry) => grant_expired(form, entry),
        Entry::Start(entry) => start(form, entry),
        Entry::Stop(entry) => stop(form, entry),
        Entry::Withheld(entry) => withheld(form, entry),
        Entry::CallerGone(entry) => caller_gone(form, entry),
        Entry::Refusals(entry) => refusals(form, entry),
        Entry::Stream(entry) => begin(form, entry),
        Entry::Gap(entry) => gap(form, entry),
        Entry::Lag(entry) => lag(form, entry),
        Entry::Checkpoint(entry) => checkpoint(form, entry),
    }
}

/// A form that is filled with the texts of a decision, which are looked at once and not one by one.
struct Decided<'d, F> {
    form: &'d mut F,
    decision: &'d PackedDecision,
    is_plain: bool,
}

impl<'d, F: Form> Decided<'d, F> {
    fn new(form: &'d mut F, decision: &'d PackedDecision) -> Self {
        Decided { form, decision, is_plain: F::is_plain(decision.texts()) }
    }

    #[inline(always)]
    fn text(&mut self, field: Field, place: Span) {
        let value = self.decision.text(place);
        if !value.is_empty() {
            self.form.put_text(field, value, self.is_plain);
        }
    }
}

fn decision<F: Form>(form: &mut F, entry: &PackedDecision) {
    let facts = entry.facts();
    let mut texts = Decided::new(form, entry);
    texts.text(of::DECISION_ID, facts.decision_id);
    texts.form.long(of::DECISION_NUMBER, facts.decision_number);
    decided(texts, facts, Some(facts.duration_micros));
}

/// What was asked and answered stands in a message of its own, so that nobody counts it among the decisions.
fn question<F: Form>(form: &mut F, entry: &QuestionEntry) {
    let QuestionEntry { time: _, asked_by, now, answer } = entry;
    form.text(of::ASKED_BY, asked_by);
    form.put_time(of::NOW, *now);
    form.put_message(of::ANSWER, |form| decided(Decided::new(form, answer), answer.facts(), None));
}

/// The three answers, the inputs, and the rules.
#[inline(always)]
fn decided<F: Form>(mut texts: Decided<'_, F>, entry: &DecisionEntry<Span>, duration_micros: Option<u32>) {
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
        // A question has none, as it has no duration.
        caller_gone,
        rare: _,
    } = entry;
    let RareInputs { sni_absent, address_unreadable, authority_header, certificate_uris, headers, truncated, redacted } =
        entry.rare();
    texts.form.word(of::EFFECT, effect.as_str());
    answers(&mut texts, verdict, would);
    texts.form.word(of::IDENTITY, identity.as_str());
    texts.form.word(of::IDENTITY_DETAIL, identity_detail.unwrap_or_default());
    texts.text(of::PRINCIPAL, *principal);
    texts.text(of::TRUST_DOMAIN, *trust_domain);
    texts.text(of::NAMESPACE, *namespace);
    texts.text(of::SERVICE_ACCOUNT, *service_account);
    texts.text(of::SOURCE_ADDRESS, *source_address);
    texts.text(of::REMOTE_ADDRESS, *remote_address);
    texts.text(of::DESTINATION_ADDRESS, *destination_address);
    texts.form.word(of::PROTOCOL, protocol);
    texts.text(of::HOST, *host);
    texts.text(of::RAW_HOST, *raw_host);
    texts.form.optional_number(of::PORT, *port);
    texts.form.optional_number(of::LISTENER_PORT, *listener_port);
    texts.text(of::SNI, *sni);
    texts.text(of::METHOD, *method);
    texts.text(of::PATH, *path);
    texts.form.messages(of::HEADERS, headers, header);
    texts.text(of::GATEWAY, *gateway);
    texts.text(of::REQUEST_ID, *request_id);
    texts.text(of::TRACEPARENT, *traceparent);
    texts.text(of::STREAM_ID, *stream_id);
    rules(&mut texts, verdict, would);
    texts.text(of::AUDIT_RULE, *audit_rule);
    texts.form.word(of::ENFORCEMENT, enforcement.as_str());
    texts.text(of::REVISION, *revision);
    texts.form.optional_number(of::DURATION_MICROS, duration_micros);
    texts.form.texts(of::TRUNCATED, truncated);
    texts.form.texts(of::REDACTED, redacted);
    texts.form.flag(of::SNI_ABSENT, *sni_absent);
    texts.form.flag(of::ADDRESS_UNREADABLE, *address_unreadable);
    authority_header.iter().for_each(|value| texts.form.put_text(of::AUTHORITY_HEADER, value, false));
    texts.form.texts(of::CERTIFICATE_URIS, certificate_uris);
    texts.form.flag(of::CALLER_GONE, *caller_gone && duration_micros.is_some());
}

/// The answers with their reasons and rules, and the gates of the verdict.
#[inline(always)]
fn answers<F: Form>(texts: &mut Decided<'_, F>, verdict: &AnswerEntry<Span>, would: &AnswerEntry<Span>) {
    texts.form.word(of::VERDICT, verdict.effect.as_str());
    texts.form.word(of::WOULD, would.effect.as_str());
    texts.form.word(of::REASON, verdict.reason.as_str());
    texts.text(of::RULE, verdict.rule);
    texts.form.word(of::WOULD_REASON, would.reason.as_str());
    texts.text(of::WOULD_RULE, would.rule);
    texts.form.word(of::GATE, verdict.gate);
    texts.form.word(of::OPEN_GATE, verdict.open_gate);
    texts.form.flag(of::IDENTITY_DECIDED, verdict.by_identity);
}

/// What is told of the verdict's rule; of the other one, only where it is another.
#[inline(always)]
fn rules<F: Form>(texts: &mut Decided<'_, F>, verdict: &AnswerEntry<Span>, would: &AnswerEntry<Span>) {
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
    texts.text(of::ORIGIN, *origin);
    texts.text(of::OWNER, *owner);
    texts.text(of::TICKET, *ticket);
    texts.text(of::RULE_REASON, *rule_reason);
    texts.form.optional_time(of::EXPIRES, *expires);
    texts.text(of::EXPIRED, *expired);
    texts.text(of::EXCEPTION, *exception);
    texts.form.optional_time(of::EXCEPTION_EXPIRES, *exception_expires);
    if texts.decision.text(would.rule) != texts.decision.text(*rule) {
        texts.text(of::WOULD_ORIGIN, would.origin);
        texts.text(of::WOULD_OWNER, would.owner);
    }
}

fn header<F: Form>(form: &mut F, header: &HeaderEntry) {
    let HeaderEntry { name, present, value_unknown, matched, value } = header;
    form.text(of_header::NAME, name);
    form.flag(of_header::PRESENT, *present);
    form.texts(of_header::MATCHED, matched);
    form.text(of_header::VALUE, value);
    form.flag(of_header::VALUE_UNKNOWN, *value_unknown);
}

fn policy_change<F: Form>(form: &mut F, entry: &PolicyChange) {
    let PolicyChange { time: _, outcome, revision, previous_revision, refused_sources, problems, counts, sources } =
        entry;
    let listed = problems.get(..MAX_PROBLEMS).unwrap_or(problems);
    form.text(of::REVISION, revision);
    form.word(of::OUTCOME, outcome.as_str());
    form.text(of::PREVIOUS_REVISION, previous_revision);
    form.texts(of::REFUSED_SOURCES, refused_sources);
    form.messages(of::PROBLEMS, listed, problem);
    form.number(of::PROBLEMS_LEFT_OUT, number(problems.len() - listed.len()));
    let RuleCounts { istio_deny, istio_allow, egress_deny, egress_allow, policies } = *counts;
    form.put_number(of::POLICIES, number(policies));
    form.put_number(of::ISTIO_DENY_RULES, number(istio_deny));
    form.put_number(of::ISTIO_ALLOW_RULES, number(istio_allow));
    form.put_number(of::EGRESS_DENY_RULES, number(egress_deny));
    form.put_number(of::EGRESS_ALLOW_RULES, number(egress_allow));
    let mut room = MAX_FILES;
    form.messages(of::SOURCES, sources, |form, PublishedSource { name, namespace, files }| {
        let listed = files.get(..room).unwrap_or(files);
        room -= listed.len();
        form.text(of_source::NAME, name);
        form.text(of_source::NAMESPACE, namespace);
        form.messages(of_source::FILES, listed, file);
        form.number(of_source::FILES_LEFT_OUT, number(files.len() - listed.len()));
    });
}

fn file<F: Form>(form: &mut F, file: &PublishedFile) {
    form.text(of_file::NAME, &file.name);
    form.text(of_file::SHA256, &file.sha256());
}

fn problem<F: Form>(form: &mut F, problem: &Problem) {
    let Problem { code, severity, place: Place { file, line, column }, text, hint } = problem;
    form.word(of_problem::CODE, code.as_str());
    form.word(of_problem::SEVERITY, severity.as_str());
    form.text(of_problem::FILE, file);
    form.number(of_problem::LINE, *line);
    form.number(of_problem::COLUMN, *column);
    form.text(of_problem::TEXT, &shortened(text));
    form.text(of_problem::HINT, &shortened(hint.as_deref().unwrap_or_default()));
}

fn grant_expired<F: Form>(form: &mut F, entry: &GrantExpiredEntry) {
    let GrantExpiredEntry { time: _, rule, origin, owner, ticket, rule_reason, expires, revision } = entry;
    form.text(of::RULE, rule);
    form.text(of::ORIGIN, origin);
    form.text(of::OWNER, owner);
    form.text(of::TICKET, ticket);
    form.text(of::RULE_REASON, rule_reason);
    form.put_time(of::EXPIRES, *expires);
    form.text(of::REVISION, revision);
}

fn start<F: Form>(form: &mut F, entry: &StartEntry) {
    let StartEntry { time: _, version, listen, enforcement } = entry;
    form.word(of::ENFORCEMENT, enforcement.as_str());
    form.text(of::VERSION, version);
    form.texts(of::LISTEN, listen);
}

fn stop<F: Form>(form: &mut F, entry: &StopEntry) {
    let StopEntry { time: _, cause, decisions, revision } = entry;
    form.text(of::REVISION, revision);
    form.text(of::CAUSE, cause);
    form.put_long(of::DECISIONS, *decisions);
}

fn withheld<F: Form>(form: &mut F, entry: &WithheldEntry) {
    let WithheldEntry { time: _, decision_id, decision_number, reason } = entry;
    form.text(of::DECISION_ID, decision_id);
    form.long(of::DECISION_NUMBER, *decision_number);
    form.word(of::REASON, reason);
}

fn caller_gone<F: Form>(form: &mut F, entry: &CallerGoneEntry) {
    let CallerGoneEntry { time: _, decision_id, decision_number } = entry;
    form.text(of::DECISION_ID, decision_id);
    form.long(of::DECISION_NUMBER, *decision_number);
}

fn refusals<F: Form>(form: &mut F, entry: &RefusalsEntry) {
    let RefusalsEntry { time: _, first, last, refusals, redacted } = entry;
    form.texts(of::REDACTED, redacted);
    form.put_time(of::FIRST, *first);
    form.put_time(of::LAST, *last);
    form.messages(of::REFUSALS, refusals, refusal);
}

fn refusal<F: Form>(form: &mut F, refusal: &RefusalCount) {
    let RefusalCount { peer, cause, count, example } = refusal;
    form.text(of_refusal::PEER, peer);
    form.word(of_refusal::CAUSE, cause.as_str());
    form.long(of_refusal::COUNT, *count);
    form.text(of_refusal::EXAMPLE, example);
}

fn begin<F: Form>(form: &mut F, entry: &StreamEntry) {
    let StreamEntry { time: _, sink, filter, format, hash, previous, torn_bytes, previous_file } = entry;
    form.text(of::SINK, sink);
    form.text(of::FILTER, filter);
    form.word(of::FORMAT, format);
    form.word(of::HASH, hash);
    if let Some(Position { stream, sequence, chain }) = previous {
        form.text(of::PREVIOUS_STREAM, stream);
        form.long(of::PREVIOUS_SEQUENCE, *sequence);
        form.text(of::PREVIOUS_CHAIN, chain);
    }
    form.long(of::TORN_BYTES, *torn_bytes);
    form.word(of::PREVIOUS_FILE, previous_file);
}

fn gap<F: Form>(form: &mut F, entry: &GapEntry) {
    let GapEntry { time: _, lost, first, last } = entry;
    let Loss { allows, denials, differing, withheld, events } = *lost;
    form.put_message(of::LOST, |form| {
        form.long(loss::ALLOWS, allows);
        form.long(loss::DENIALS, denials);
        form.long(loss::DIFFERING, differing);
        form.long(loss::WITHHELD, withheld);
        form.long(loss::EVENTS, events);
    });
    form.put_time(of::FIRST, *first);
    form.put_time(of::LAST, *last);
}

fn lag<F: Form>(form: &mut F, entry: &LagEntry) {
    let LagEntry { time: _, missed_from, missed_to } = entry;
    form.long(of::MISSED_FROM, *missed_from);
    form.long(of::MISSED_TO, *missed_to);
}

fn checkpoint<F: Form>(form: &mut F, entry: &CheckpointEntry) {
    let CheckpointEntry { time: _, sealed: Position { stream, sequence, chain }, last, key, signature } = entry;
    form.text(of::SEALED_STREAM, stream);
    form.long(of::RECORDS, *sequence);
    form.text(of::HEAD, chain);
    form.flag(of::FINAL, *last);
    form.text(of::KEY, key);
    form.text(of::SIGNATURE, signature);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_problem_is_cut_between_characters() {
        let long = "ä".repeat(MAX_PROBLEM_TEXT);
        assert_eq!(shortened(&long), "ä".repeat(MAX_PROBLEM_TEXT / 2) + "...");
        assert_eq!(shortened("short"), "short");
    }
}
