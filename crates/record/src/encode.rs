//! What a record of each kind says: which field has which value, in the order of the fields' numbers.
//!
//! It spells nothing: a [`RecordEncoder`] does, and there are two, [`json`](super::json) and [`binary`](super::binary). Both are
//! filled by the same walk, so that a line and a message of one entry say the same. The rules: what is empty is left out,
//! as protobuf leaves it out; every entry is destructured completely, so that a new field stops the build until it is
//! thought of.

use super::fields::{
    Field, file as of_file, header as of_header, loss, problem as of_problem, record as of,
    refusal as of_refusal, source as of_source,
};
use super::record_encoder::RecordEncoder;
use crate::entry::decision_record::Span;
use crate::entry::trail::Position;
use crate::{
    AnswerEntry, CallerGoneEntry, CheckpointEntry, DecisionEntry, DecisionRecord, Entry, GapEntry,
    GrantExpiredEntry, HeaderEntry, LagEntry, Loss, OptionalFields, QuestionEntry, RefusalCount,
    RefusalsEntry, StartEntry, StopEntry, StreamEntry, WithheldEntry,
};
use customs_engine::rules::RuleCounts;
use customs_policy::policy_change::{PolicyChange, PublishedFile, PublishedSource};
use customs_policy::problem::{Place, Problem};

/// The most problems that one record lists; the number of the others is told.
pub const MAX_PROBLEMS: usize = 50;

/// The most files that one record lists; the number of the others is told. The revision covers all of them.
pub const MAX_FILES: usize = 500;

/// The most bytes of a problem's text, or of its hint, that are told.
const MAX_PROBLEM_TEXT: usize = 1024;

/// Writes everything of a record but the chain.
pub(super) fn fill<E: RecordEncoder>(out: &mut E, entry: &Entry, stream: &str, sequence: u64) {
    out.put_time(of::TIME, entry.time());
    out.word(of::KIND, entry.kind());
    out.text(of::STREAM, stream);
    out.long(of::SEQUENCE, sequence);
    match entry {
        Entry::Decision(entry) => decision(out, entry),
        Entry::PolicyChange(entry) => policy_change(out, entry),
        Entry::Question(entry) => question(out, entry),
        Entry::GrantExpired(entry) => grant_expired(out, entry),
        Entry::Start(entry) => start(out, entry),
        Entry::Stop(entry) => stop(out, entry),
        Entry::Withheld(entry) => withheld(out, entry),
        Entry::CallerGone(entry) => caller_gone(out, entry),
        Entry::Refusals(entry) => refusals(out, entry),
        Entry::Stream(entry) => begin(out, entry),
        Entry::Gap(entry) => gap(out, entry),
        Entry::Lag(entry) => lag(out, entry),
        Entry::Checkpoint(entry) => checkpoint(out, entry),
    }
}

/// Writes the texts of a decision, which are looked at once and not one by one.
struct TextWriter<'d, E> {
    out: &'d mut E,
    decision: &'d DecisionRecord,
    is_plain: bool,
}

impl<'d, E: RecordEncoder> TextWriter<'d, E> {
    fn new(out: &'d mut E, decision: &'d DecisionRecord) -> Self {
        TextWriter {
            out,
            decision,
            is_plain: E::is_plain(decision.texts()),
        }
    }

    #[inline(always)]
    fn text(&mut self, field: Field, place: Span) {
        let value = self.decision.text(place);
        if !value.is_empty() {
            self.out.put_text(field, value, self.is_plain);
        }
    }
}

fn decision<E: RecordEncoder>(out: &mut E, entry: &DecisionRecord) {
    let facts = entry.facts();
    let mut texts = TextWriter::new(out, entry);
    texts.text(of::DECISION_ID, facts.decision_id);
    texts.out.long(of::DECISION_NUMBER, facts.decision_number);
    decided(texts, facts, Some(facts.duration_micros));
}

/// What was asked and answered stands in a message of its own, so that nobody counts it among the decisions.
fn question<E: RecordEncoder>(out: &mut E, entry: &QuestionEntry) {
    let QuestionEntry {
        time: _,
        asked_by,
        now,
        answer,
    } = entry;
    out.text(of::ASKED_BY, asked_by);
    out.put_time(of::NOW, *now);
    out.put_message(of::ANSWER, |out| {
        decided(TextWriter::new(out, answer), answer.facts(), None)
    });
}

/// The three answers, the inputs, and the rules.
#[inline(always)]
fn decided<E: RecordEncoder>(
    mut texts: TextWriter<'_, E>,
    entry: &DecisionEntry<Span>,
    duration_micros: Option<u32>,
) {
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
        dry_run,
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
        optional: _,
    } = entry;
    let OptionalFields {
        sni_absent,
        address_unreadable,
        authority_header,
        certificate_uris,
        headers,
        truncated,
        redacted,
    } = entry.optional();
    texts.out.word(of::EFFECT, effect.as_str());
    answers(&mut texts, verdict, dry_run);
    texts.out.word(of::IDENTITY, identity.as_str());
    texts
        .out
        .word(of::IDENTITY_DETAIL, identity_detail.unwrap_or_default());
    texts.text(of::PRINCIPAL, *principal);
    texts.text(of::TRUST_DOMAIN, *trust_domain);
    texts.text(of::NAMESPACE, *namespace);
    texts.text(of::SERVICE_ACCOUNT, *service_account);
    texts.text(of::SOURCE_ADDRESS, *source_address);
    texts.text(of::REMOTE_ADDRESS, *remote_address);
    texts.text(of::DESTINATION_ADDRESS, *destination_address);
    texts.out.word(of::PROTOCOL, protocol);
    texts.text(of::HOST, *host);
    texts.text(of::RAW_HOST, *raw_host);
    texts.out.optional_number(of::PORT, *port);
    texts.out.optional_number(of::LISTENER_PORT, *listener_port);
    texts.text(of::SNI, *sni);
    texts.text(of::METHOD, *method);
    texts.text(of::PATH, *path);
    texts.out.messages(of::HEADERS, headers, header);
    texts.text(of::GATEWAY, *gateway);
    texts.text(of::REQUEST_ID, *request_id);
    texts.text(of::TRACEPARENT, *traceparent);
    texts.text(of::STREAM_ID, *stream_id);
    rules(&mut texts, verdict, dry_run);
    texts.text(of::AUDIT_RULE, *audit_rule);
    texts.out.word(of::ENFORCEMENT, enforcement.as_str());
    texts.text(of::REVISION, *revision);
    texts
        .out
        .optional_number(of::DURATION_MICROS, duration_micros);
    texts.out.texts(of::TRUNCATED, truncated);
    texts.out.texts(of::REDACTED, redacted);
    texts.out.flag(of::SNI_ABSENT, *sni_absent);
    texts.out.flag(of::ADDRESS_UNREADABLE, *address_unreadable);
    authority_header
        .iter()
        .for_each(|value| texts.out.put_text(of::AUTHORITY_HEADER, value, false));
    texts.out.texts(of::CERTIFICATE_URIS, certificate_uris);
    texts
        .out
        .flag(of::CALLER_GONE, *caller_gone && duration_micros.is_some());
}

/// The answers with their reasons and rules, and the gates of the verdict.
#[inline(always)]
fn answers<E: RecordEncoder>(
    texts: &mut TextWriter<'_, E>,
    verdict: &AnswerEntry<Span>,
    dry_run: &AnswerEntry<Span>,
) {
    texts.out.word(of::VERDICT, verdict.effect.as_str());
    texts.out.word(of::DRY_RUN, dry_run.effect.as_str());
    texts.out.word(of::REASON, verdict.reason.as_str());
    texts.text(of::RULE, verdict.rule);
    texts.out.word(of::DRY_RUN_REASON, dry_run.reason.as_str());
    texts.text(of::DRY_RUN_RULE, dry_run.rule);
    texts.out.word(of::GATE, verdict.gate);
    texts.out.word(of::OPEN_GATE, verdict.open_gate);
    texts.out.flag(of::IDENTITY_DECIDED, verdict.by_identity);
}

/// What is told of the verdict's rule; of the other one, only where it is another.
#[inline(always)]
fn rules<E: RecordEncoder>(
    texts: &mut TextWriter<'_, E>,
    verdict: &AnswerEntry<Span>,
    dry_run: &AnswerEntry<Span>,
) {
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
    texts.out.optional_time(of::EXPIRES, *expires);
    texts.text(of::EXPIRED, *expired);
    texts.text(of::EXCEPTION, *exception);
    texts
        .out
        .optional_time(of::EXCEPTION_EXPIRES, *exception_expires);
    if texts.decision.text(dry_run.rule) != texts.decision.text(*rule) {
        texts.text(of::DRY_RUN_ORIGIN, dry_run.origin);
        texts.text(of::DRY_RUN_OWNER, dry_run.owner);
    }
}

fn header<E: RecordEncoder>(out: &mut E, header: &HeaderEntry) {
    let HeaderEntry {
        name,
        present,
        value_unknown,
        matched,
        value,
    } = header;
    out.text(of_header::NAME, name);
    out.flag(of_header::PRESENT, *present);
    out.texts(of_header::MATCHED, matched);
    out.text(of_header::VALUE, value);
    out.flag(of_header::VALUE_UNKNOWN, *value_unknown);
}

fn policy_change<E: RecordEncoder>(out: &mut E, entry: &PolicyChange) {
    let PolicyChange {
        time: _,
        outcome,
        revision,
        previous_revision,
        refused_sources,
        problems,
        counts,
        sources,
    } = entry;
    let listed = problems.get(..MAX_PROBLEMS).unwrap_or(problems);
    out.text(of::REVISION, revision);
    out.word(of::OUTCOME, outcome.as_str());
    out.text(of::PREVIOUS_REVISION, previous_revision);
    out.texts(of::REFUSED_SOURCES, refused_sources);
    out.messages(of::PROBLEMS, listed, problem);
    out.number(of::PROBLEMS_LEFT_OUT, number(problems.len() - listed.len()));
    let RuleCounts {
        istio_deny,
        istio_allow,
        egress_deny,
        egress_allow,
        policies,
    } = *counts;
    out.put_number(of::POLICIES, number(policies));
    out.put_number(of::ISTIO_DENY_RULES, number(istio_deny));
    out.put_number(of::ISTIO_ALLOW_RULES, number(istio_allow));
    out.put_number(of::EGRESS_DENY_RULES, number(egress_deny));
    out.put_number(of::EGRESS_ALLOW_RULES, number(egress_allow));
    let mut room = MAX_FILES;
    out.messages(
        of::SOURCES,
        sources,
        |out,
         PublishedSource {
             name,
             namespace,
             files,
         }| {
            let listed = files.get(..room).unwrap_or(files);
            room -= listed.len();
            out.text(of_source::NAME, name);
            out.text(of_source::NAMESPACE, namespace);
            out.messages(of_source::FILES, listed, file);
            out.number(
                of_source::FILES_LEFT_OUT,
                number(files.len() - listed.len()),
            );
        },
    );
}

fn file<E: RecordEncoder>(out: &mut E, file: &PublishedFile) {
    out.text(of_file::NAME, &file.name);
    out.text(of_file::SHA256, &file.sha256());
}

fn problem<E: RecordEncoder>(out: &mut E, problem: &Problem) {
    let Problem {
        code,
        severity,
        place: Place { file, line, column },
        text,
        hint,
    } = problem;
    out.word(of_problem::CODE, code.as_str());
    out.word(of_problem::SEVERITY, severity.as_str());
    out.text(of_problem::FILE, file);
    out.number(of_problem::LINE, *line);
    out.number(of_problem::COLUMN, *column);
    out.text(of_problem::TEXT, &shortened(text));
    out.text(
        of_problem::HINT,
        &shortened(hint.as_deref().unwrap_or_default()),
    );
}

fn grant_expired<E: RecordEncoder>(out: &mut E, entry: &GrantExpiredEntry) {
    let GrantExpiredEntry {
        time: _,
        rule,
        origin,
        owner,
        ticket,
        rule_reason,
        expires,
        revision,
    } = entry;
    out.text(of::RULE, rule);
    out.text(of::ORIGIN, origin);
    out.text(of::OWNER, owner);
    out.text(of::TICKET, ticket);
    out.text(of::RULE_REASON, rule_reason);
    out.put_time(of::EXPIRES, *expires);
    out.text(of::REVISION, revision);
}

fn start<E: RecordEncoder>(out: &mut E, entry: &StartEntry) {
    let StartEntry {
        time: _,
        version,
        listen,
        enforcement,
    } = entry;
    out.word(of::ENFORCEMENT, enforcement.as_str());
    out.text(of::VERSION, version);
    out.texts(of::LISTEN, listen);
}

fn stop<E: RecordEncoder>(out: &mut E, entry: &StopEntry) {
    let StopEntry {
        time: _,
        cause,
        decisions,
        revision,
    } = entry;
    out.text(of::REVISION, revision);
    out.text(of::CAUSE, cause);
    out.put_long(of::DECISIONS, *decisions);
}

fn withheld<E: RecordEncoder>(out: &mut E, entry: &WithheldEntry) {
    let WithheldEntry {
        time: _,
        decision_id,
        decision_number,
        reason,
    } = entry;
    out.text(of::DECISION_ID, decision_id);
    out.long(of::DECISION_NUMBER, *decision_number);
    out.word(of::REASON, reason);
}

fn caller_gone<E: RecordEncoder>(out: &mut E, entry: &CallerGoneEntry) {
    let CallerGoneEntry {
        time: _,
        decision_id,
        decision_number,
    } = entry;
    out.text(of::DECISION_ID, decision_id);
    out.long(of::DECISION_NUMBER, *decision_number);
}

fn refusals<E: RecordEncoder>(out: &mut E, entry: &RefusalsEntry) {
    let RefusalsEntry {
        time: _,
        first,
        last,
        refusals,
        redacted,
    } = entry;
    out.texts(of::REDACTED, redacted);
    out.put_time(of::FIRST, *first);
    out.put_time(of::LAST, *last);
    out.messages(of::REFUSALS, refusals, refusal);
}

fn refusal<E: RecordEncoder>(out: &mut E, refusal: &RefusalCount) {
    let RefusalCount {
        peer,
        cause,
        count,
        example,
    } = refusal;
    out.text(of_refusal::PEER, peer);
    out.word(of_refusal::CAUSE, cause.as_str());
    out.long(of_refusal::COUNT, *count);
    out.text(of_refusal::EXAMPLE, example);
}

fn begin<E: RecordEncoder>(out: &mut E, entry: &StreamEntry) {
    let StreamEntry {
        time: _,
        sink,
        filter,
        format,
        hash,
        previous,
        torn_bytes,
        previous_file,
    } = entry;
    out.text(of::SINK, sink);
    out.text(of::FILTER, filter);
    out.word(of::FORMAT, format);
    out.word(of::HASH, hash);
    if let Some(Position {
        stream,
        sequence,
        chain,
    }) = previous
    {
        out.text(of::PREVIOUS_STREAM, stream);
        out.long(of::PREVIOUS_SEQUENCE, *sequence);
        out.text(of::PREVIOUS_CHAIN, chain);
    }
    out.long(of::TORN_BYTES, *torn_bytes);
    out.word(of::PREVIOUS_FILE, previous_file);
}

fn gap<E: RecordEncoder>(out: &mut E, entry: &GapEntry) {
    let GapEntry {
        time: _,
        lost,
        first,
        last,
    } = entry;
    let Loss {
        allows,
        denials,
        differing,
        withheld,
        events,
    } = *lost;
    out.put_message(of::LOST, |out| {
        out.long(loss::ALLOWS, allows);
        out.long(loss::DENIALS, denials);
        out.long(loss::DIFFERING, differing);
        out.long(loss::WITHHELD, withheld);
        out.long(loss::EVENTS, events);
    });
    out.put_time(of::FIRST, *first);
    out.put_time(of::LAST, *last);
}

fn lag<E: RecordEncoder>(out: &mut E, entry: &LagEntry) {
    let LagEntry {
        time: _,
        missed_from,
        missed_to,
    } = entry;
    out.long(of::MISSED_FROM, *missed_from);
    out.long(of::MISSED_TO, *missed_to);
}

fn checkpoint<E: RecordEncoder>(out: &mut E, entry: &CheckpointEntry) {
    let CheckpointEntry {
        time: _,
        sealed: Position {
            stream,
            sequence,
            chain,
        },
        last,
        key,
        signature,
    } = entry;
    out.text(of::SEALED_STREAM, stream);
    out.long(of::RECORDS, *sequence);
    out.text(of::HEAD, chain);
    out.flag(of::FINAL, *last);
    out.text(of::KEY, key);
    out.text(of::SIGNATURE, signature);
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
