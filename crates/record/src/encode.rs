//! What a record of each kind holds: the fields of its entry, in the order of their numbers.
//!
//! It does not say how a field is written: a [`RecordEncoder`] does. There are two,
//! [`json`](super::json) and [`binary`](super::binary). The same code fills both, so a line and a
//! message of one entry have the same fields. The tables of [`fields`](super::fields) say which
//! fields an entry has. Here are the entries whose shape differs from that of their record. They
//! are destructured completely, so that a new field breaks the build until it is handled.

use std::borrow::Cow;

use super::fields::decision::{self, Parts};
use super::fields::events::{
    CheckpointFields, FileFields, PolicyChangeFields, ProblemFields, RecordHead, SourceFields,
    StreamFields,
};
use super::fields::value::Writer;
use super::fields::{FieldSpec, Message};
use super::record_encoder::RecordEncoder;
use crate::entry::audit_log::Position;
use crate::{CheckpointEntry, DecisionRecord, Entry, StreamEntry};
use customs_engine::rules::RuleCounts;
use customs_policy::policy_change::{PolicyChange, PublishedFile, PublishedSource};
use customs_policy::problem::{Place, Problem};

/// The most problems that one record lists; it counts the others.
pub const MAX_PROBLEMS: usize = 50;

/// The most files that one record lists; it counts the others. The revision covers all of them.
pub const MAX_FILES: usize = 500;

/// The most bytes of a problem's text, or of its hint, that a record has.
const MAX_PROBLEM_TEXT: usize = 1024;

/// Writes everything of a record but the chain.
pub(super) fn fill<E: RecordEncoder>(out: &mut E, entry: &Entry, stream: &str, sequence: u64) {
    let out = &mut Writer::new(out);
    let head = RecordHead {
        time: entry.time(),
        kind: entry.kind(),
        stream: stream.into(),
        sequence,
    };
    head.put_fields(out);
    match entry {
        Entry::Decision(entry) => decision(out.out, entry),
        Entry::PolicyChange(entry) => PolicyChangeFields::of(entry).put_fields(out),
        Entry::Question(entry) => entry.put_fields(out),
        Entry::GrantExpired(entry) => entry.put_fields(out),
        Entry::Start(entry) => entry.put_fields(out),
        Entry::Stop(entry) => entry.put_fields(out),
        Entry::Withheld(entry) => entry.put_fields(out),
        Entry::CallerGone(entry) => entry.put_fields(out),
        Entry::Refusals(entry) => entry.put_fields(out),
        Entry::Stream(entry) => StreamFields::of(entry).put_fields(out),
        Entry::Gap(entry) => entry.put_fields(out),
        Entry::Lag(entry) => entry.put_fields(out),
        Entry::Checkpoint(entry) => CheckpointFields::of(entry).put_fields(out),
    }
}

// A function of its own: inlined next to the other kinds, less of this one would be inlined.
#[inline(never)]
fn decision<E: RecordEncoder>(out: &mut E, entry: &DecisionRecord) {
    decision::put_fields(&Parts::of(entry, true), &mut Writer::of(out, entry));
}

/// The answer of a question. It is a message of its own, so that it is never counted as a decision.
impl Message for DecisionRecord {
    const NAME: &'static str = "Record";
    const FIELDS: &'static [FieldSpec] = decision::DECISION;

    fn put_fields<E: RecordEncoder>(&self, out: &mut Writer<'_, E>) {
        decision::put_fields(&Parts::of(self, false), &mut Writer::of(out.out, self));
    }
}

impl<'e> PolicyChangeFields<'e> {
    fn of(entry: &'e PolicyChange) -> Self {
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
        let RuleCounts {
            istio_deny,
            istio_allow,
            egress_deny,
            egress_allow,
            policies,
        } = *counts;
        let listed = problems.get(..MAX_PROBLEMS).unwrap_or(problems);
        let mut room = MAX_FILES;
        PolicyChangeFields {
            revision: revision.into(),
            outcome: *outcome,
            previous_revision: previous_revision.into(),
            refused_sources,
            problems: listed,
            problems_left_out: number(problems.len() - listed.len()),
            policies: number(policies),
            istio_deny_rules: number(istio_deny),
            istio_allow_rules: number(istio_allow),
            egress_deny_rules: number(egress_deny),
            egress_allow_rules: number(egress_allow),
            sources: sources
                .iter()
                .map(|source| SourceFields::of(source, &mut room))
                .collect(),
        }
    }
}

impl<'e> SourceFields<'e> {
    /// Lists as many files as `room` allows.
    fn of(source: &'e PublishedSource, room: &mut usize) -> Self {
        let PublishedSource {
            name,
            namespace,
            files,
        } = source;
        let listed = files.get(..*room).unwrap_or(files);
        *room -= listed.len();
        SourceFields {
            name: name.into(),
            namespace: namespace.into(),
            files: listed,
            files_left_out: number(files.len() - listed.len()),
        }
    }
}

impl Message for PublishedFile {
    const NAME: &'static str = FileFields::NAME;
    const FIELDS: &'static [FieldSpec] = FileFields::FIELDS;

    fn put_fields<E: RecordEncoder>(&self, out: &mut Writer<'_, E>) {
        let PublishedFile { name, digest: _ } = self;
        let fields = FileFields {
            name: name.into(),
            sha256: self.sha256(),
        };
        fields.put_fields(out);
    }
}

impl Message for Problem {
    const NAME: &'static str = ProblemFields::NAME;
    const FIELDS: &'static [FieldSpec] = ProblemFields::FIELDS;

    fn put_fields<E: RecordEncoder>(&self, out: &mut Writer<'_, E>) {
        let Problem {
            code,
            severity,
            place: Place { file, line, column },
            text,
            hint,
            fix: _,
        } = self;
        let fields = ProblemFields {
            code: *code,
            severity: *severity,
            file: Cow::Borrowed(file),
            line: *line,
            column: *column,
            text: shortened(text),
            hint: shortened(hint.as_deref().unwrap_or_default()),
        };
        fields.put_fields(out);
    }
}

impl<'e> StreamFields<'e> {
    fn of(entry: &'e StreamEntry) -> Self {
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
        let previous = previous.as_ref();
        StreamFields {
            sink: sink.into(),
            filter: filter.into(),
            format,
            hash,
            previous_stream: previous.map_or("", |place| &place.stream).into(),
            previous_sequence: previous.map_or(0, |place| place.sequence),
            previous_chain: previous.map_or("", |place| &place.chain).into(),
            torn_bytes: *torn_bytes,
            previous_file,
        }
    }
}

impl<'e> CheckpointFields<'e> {
    fn of(entry: &'e CheckpointEntry) -> Self {
        let CheckpointEntry {
            time: _,
            sealed:
                Position {
                    stream,
                    sequence,
                    chain,
                },
            last,
            key,
            signature,
        } = entry;
        CheckpointFields {
            sealed_stream: stream.into(),
            records: *sequence,
            head: chain.into(),
            is_final: *last,
            key: key.into(),
            signature: signature.into(),
        }
    }
}

/// Cuts a text to at most [`MAX_PROBLEM_TEXT`] bytes; three dots at the end mark a cut.
fn shortened(text: &str) -> Cow<'_, str> {
    match text.get(..text.floor_char_boundary(MAX_PROBLEM_TEXT)) {
        Some(head) if head.len() < text.len() => format!("{head}...").into(),
        _ => text.into(),
    }
}

/// Converts a count to 32 bits. No count here comes near the limit.
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
