//! Counts the decisions of an audit log by what another policy set answers to them.
//!
//! Every decision in the window is in exactly one count. Losses that the log declares are counted
//! beside them: crossings that the record does not hold.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::answer_cache::{AnswerCache, NewAnswer, NewDecision};
use super::flips::{FlipRow, Flips, kind_of};
use crate::app::commands::audit::format::timestamp;
use crate::app::commands::recorded::{RecordWindow, RecordedItem};
use customs_engine::effect::Effect;
use customs_engine::reason::Reason;
use customs_engine::time::UnixNanos;
use customs_record::proto::{Loss, Record};
use customs_record::recorded_request::MissingCause;

/// The most names that are kept of streams, versions and filters.
const MAX_NAMES: usize = 1_000;

/// Denials that no policy made: there was none, or the server was in trouble.
const OUTAGES: [Reason; 3] = [
    Reason::NoPolicy,
    Reason::AuditUnavailable,
    Reason::InternalError,
];

/// The counts while records are read.
pub(super) struct ReplayCounts<'a> {
    answers: &'a AnswerCache,
    window: RecordWindow,
    totals: ReplayTotals,
    key: Vec<u8>,
}

/// All counts.
#[derive(Debug, Default)]
pub(super) struct ReplayTotals {
    /// The decisions in the window.
    pub decisions: u64,
    /// The time of the first and the last of them.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The times of the decisions outside of the window.
    outside: Option<(Timestamp, Timestamp)>,
    /// Those with the same answers, reasons and rules.
    pub same: u64,
    /// Those with the same answers for another reason or by another rule.
    pub other_reason: u64,
    /// Those with the same answers whose reason or rule depends on what the record lacks.
    pub unknown_reason: u64,
    /// Those whose answers change.
    pub flips: Flips,
    /// Those that are unanswerable.
    pub unanswerable: u64,
    /// What they lack, and why; a decision may lack several inputs.
    pub missing: BTreeMap<(&'static str, String), u64>,
    /// Denials that no policy made, which are not replayed.
    pub outages: u64,
    /// Questions, which are not replayed.
    pub questions: u64,
    /// Other records.
    pub others: u64,
    /// Declared losses in the window.
    pub gaps: u64,
    /// How many records they lost.
    pub lost: Loss,
    /// Lines or messages that are not records.
    pub no_records: u64,
    /// Unfinished records.
    pub torn: u64,
    /// The streams of the decisions.
    pub streams: BTreeSet<String>,
    /// The versions that wrote the log.
    pub versions: BTreeSet<String>,
    /// The filters of sinks that do not take every decision.
    pub filters: BTreeSet<String>,
}

impl ReplayTotals {
    /// Returns whether every decision of the window is known to be decided again.
    pub(super) fn is_complete(&self) -> bool {
        self.unanswerable == 0 && self.lost_decisions() == 0
    }

    /// Returns how many decisions the log lost.
    pub(super) fn lost_decisions(&self) -> u64 {
        let Loss {
            allows,
            denials,
            differing,
            withheld,
            events: _,
        } = self.lost;
        [allows, denials, differing, withheld]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    /// Returns the first and the last time of all decisions, if none is in the window.
    pub(super) fn span_of_all(&self) -> Option<(Timestamp, Timestamp)> {
        self.span.or(self.outside)
    }

    fn lose(&mut self, more: Loss) {
        self.gaps += 1;
        let lost = &mut self.lost;
        for (sum, more) in [
            (&mut lost.allows, more.allows),
            (&mut lost.denials, more.denials),
            (&mut lost.differing, more.differing),
            (&mut lost.withheld, more.withheld),
            (&mut lost.events, more.events),
        ] {
            *sum = sum.saturating_add(more);
        }
    }

    fn miss(&mut self, cause: &'static str, input: String) {
        *self.missing.entry((cause, input)).or_default() += 1;
    }
}

impl<'a> ReplayCounts<'a> {
    /// Creates empty counts.
    pub(super) fn new(answers: &'a AnswerCache, window: RecordWindow) -> ReplayCounts<'a> {
        ReplayCounts {
            answers,
            window,
            totals: ReplayTotals::default(),
            key: Vec::new(),
        }
    }

    /// Returns the counts.
    pub(super) fn finish(self) -> ReplayTotals {
        self.totals
    }

    /// Counts an item of a file.
    pub(super) fn take(&mut self, item: RecordedItem<'_>) {
        match item {
            RecordedItem::Record(record) => self.record(record),
            RecordedItem::NoRecord => self.totals.no_records += 1,
            RecordedItem::Torn => self.totals.torn += 1,
        }
    }

    fn record(&mut self, record: &Record) {
        let time = timestamp(record.time);
        let totals = &mut self.totals;
        match record.kind.as_str() {
            "decision" if self.window.holds(time) => self.decision(record, time),
            "decision" => {
                if let Some(time) = time {
                    widen(&mut totals.outside, time);
                }
            }
            "gap" => {
                let (first, last) = (timestamp(record.first), timestamp(record.last));
                if self.window.overlaps(first.or(time), last.or(time)) {
                    totals.lose(record.lost.unwrap_or_default());
                }
            }
            // These say how the log was written, whenever that was.
            "start" => note(&mut totals.versions, &record.version),
            "stream" if ["", "all"].contains(&record.filter.as_str()) => {}
            "stream" => note(&mut totals.filters, &record.filter),
            "question" if self.window.holds(time) => totals.questions += 1,
            _ if self.window.holds(time) => totals.others += 1,
            _ => {}
        }
    }

    fn decision(&mut self, record: &Record, time: Option<Timestamp>) {
        let totals = &mut self.totals;
        totals.decisions += 1;
        note(&mut totals.streams, &record.stream);
        if let Some(time) = time {
            widen(&mut totals.span, time);
        }
        if OUTAGES
            .iter()
            .any(|reason| reason.as_str() == record.reason)
        {
            totals.outages += 1;
            return;
        }
        let Some(time) = time else {
            totals.unanswerable += 1;
            totals.miss(MissingCause::Unreadable.as_str(), "time".to_owned());
            return;
        };
        if let Some(field) = unknown_answer(record) {
            totals.unanswerable += 1;
            totals.miss(MissingCause::OtherVersion.as_str(), field.to_owned());
            return;
        }
        let now = UnixNanos(time.as_nanosecond());
        match &*self.answers.answer(record, now, &mut self.key) {
            NewAnswer::Decided(new) => self.compare(record, new, time),
            NewAnswer::Unanswerable(missing) => {
                totals.unanswerable += 1;
                for lack in missing {
                    totals.miss(lack.cause.as_str(), lack.input.to_string());
                }
            }
        }
    }

    fn compare(&mut self, record: &Record, new: &NewDecision, time: Timestamp) {
        let totals = &mut self.totals;
        if let Some(kind) = kind_of(record, new) {
            totals.flips.add(FlipRow::of(kind, record, new), Some(time));
            return;
        }
        let is_same = record.reason == new.verdict.reason
            && record.rule == new.verdict.rule
            && record.dry_run_reason == new.dry_run.reason
            && record.dry_run_rule == new.dry_run.rule;
        *match (new.is_exact, is_same) {
            (false, _) => &mut totals.unknown_reason,
            (true, true) => &mut totals.same,
            (true, false) => &mut totals.other_reason,
        } += 1;
    }
}

/// Returns the field of an answer that is neither an allow nor a denial.
fn unknown_answer(record: &Record) -> Option<&'static str> {
    let is_known = |text: &str| {
        [Effect::Allow, Effect::Deny]
            .iter()
            .any(|e| e.as_str() == text)
    };
    [
        ("effect", &record.effect),
        ("verdict", &record.verdict),
        ("dryRun", &record.dry_run),
    ]
    .into_iter()
    .find(|(_, answer)| !is_known(answer))
    .map(|(field, _)| field)
}

fn widen(span: &mut Option<(Timestamp, Timestamp)>, time: Timestamp) {
    let (first, last) = span.unwrap_or((time, time));
    *span = Some((first.min(time), last.max(time)));
}

fn note(names: &mut BTreeSet<String>, name: &str) {
    if !names.contains(name) && names.len() < MAX_NAMES {
        names.insert(name.to_owned());
    }
}
