//! Counts the decisions of an audit log by what another policy set answers to them.
//!
//! Every decision in the window is in exactly one count. Losses that the log declares are counted
//! beside them: crossings that the record does not hold.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::answer_cache::{AnswerCache, NewAnswer, NewDecision};
use super::flips::{FlipRow, Flips, kind_of};
use crate::app::cli::Period;
use crate::app::commands::recorded::{LogFacts, LogFold};
use customs_engine::effect::Effect;
use customs_engine::reason::Reason;
use customs_engine::time::UnixNanos;
use customs_record::fields::DecisionFields;
use customs_record::recorded_request::MissingCause;
use customs_record::scan::{RecordFold, ScannedRecord};

/// Denials that no policy made: there was none, or the server was in trouble.
const OUTAGES: [Reason; 3] = [
    Reason::NoPolicy,
    Reason::AuditUnavailable,
    Reason::InternalError,
];

/// The counts while records are read.
pub(super) struct ReplayCounts<'a> {
    answers: &'a AnswerCache,
    period: Period,
    totals: ReplayTotals,
    key: Vec<u8>,
}

/// All counts.
#[derive(Debug, Default)]
pub(super) struct ReplayTotals {
    /// What the log says besides its decisions.
    pub log: LogFacts,
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
}

impl ReplayTotals {
    /// Returns whether every decision of the period is known to be decided again.
    pub(super) fn is_complete(&self) -> bool {
        self.unanswerable == 0 && self.log.lost_decisions() == 0
    }

    fn miss(&mut self, cause: &'static str, input: String) {
        *self.missing.entry((cause, input)).or_default() += 1;
    }

    fn merge(&mut self, next: ReplayTotals) {
        self.log.merge(next.log);
        self.same += next.same;
        self.other_reason += next.other_reason;
        self.unknown_reason += next.unknown_reason;
        self.flips.merge(next.flips);
        self.unanswerable += next.unanswerable;
        for (lack, count) in next.missing {
            *self.missing.entry(lack).or_default() += count;
        }
        self.outages += next.outages;
    }
}

impl LogFold for ReplayCounts<'_> {
    fn facts(&mut self) -> &mut LogFacts {
        &mut self.totals.log
    }

    fn merge(&mut self, next: Self) {
        self.totals.merge(next.totals);
    }
}

impl RecordFold for ReplayCounts<'_> {
    fn take(&mut self, record: &ScannedRecord<'_>) {
        if let Some((decision, time)) = self.totals.log.note(record, self.period) {
            self.decision(decision, time);
        }
    }

    fn weight(&self) -> usize {
        self.totals.flips.weight()
    }
}

impl<'a> ReplayCounts<'a> {
    /// Creates empty counts.
    pub(super) fn new(answers: &'a AnswerCache, period: Period) -> ReplayCounts<'a> {
        ReplayCounts {
            answers,
            period,
            totals: ReplayTotals::default(),
            key: Vec::new(),
        }
    }

    /// Returns the counts.
    pub(super) fn finish(self) -> ReplayTotals {
        self.totals
    }

    fn decision(&mut self, record: &DecisionFields<'_>, time: Option<Timestamp>) {
        let totals = &mut self.totals;
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

    fn compare(&mut self, record: &DecisionFields<'_>, new: &NewDecision, time: Timestamp) {
        let trust_domains = &self.answers.snapshot().settings().trust_domains;
        let totals = &mut self.totals;
        if let Some(kind) = kind_of(record, new) {
            totals
                .flips
                .add(FlipRow::of(kind, record, new, trust_domains), Some(time));
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
fn unknown_answer(record: &DecisionFields<'_>) -> Option<&'static str> {
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
