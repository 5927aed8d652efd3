//! The counts of an audit log: how many records there are, of what, and what was lost.
//!
//! Every number is a count of records; nothing is decided or looked up. The rules: input that is
//! not a record is counted and reported; lost records are reported next to those that exist; memory
//! does not grow with the length of the audit log. [`stats_report`](super::stats_report) formats
//! the counts as text.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::losses::{add_losses, losses_json};
use super::top_k::TopK;
use crate::app::cli::Period;
use customs_record::fields::DecisionFields;
use customs_record::pretty::{caller, host, or_dash, timestamp};
use customs_record::proto::Loss;
use customs_record::scan::{FileOutcome, RecordFold, ScannedRecord};

/// All counts.
#[derive(Debug)]
pub(super) struct Stats {
    period: Period,
    /// The number of records.
    pub records: u64,
    /// Decisions.
    pub decisions: u64,
    /// The earliest and the latest time of a record.
    pub span: Option<(Timestamp, Timestamp)>,
    /// The losses that `gap` records declare.
    pub lost: Loss,
    /// The number of `gap` records.
    pub gaps: u64,
    /// Records that a subscriber missed.
    pub missed: u64,
    /// Recorded decisions whose answer was withheld after all.
    pub withheld: u64,
    /// Decisions that were not delivered because the caller had given up.
    pub callers_gone: u64,
    /// Lines or messages that are not records.
    pub no_records: u64,
    /// Incomplete records.
    pub torn: u64,
    kinds: TopK,
    answers: TopK,
    denied: TopK,
    reasons: TopK,
    dry_run_denies: TopK,
    rules: TopK,
    ending: TopK,
    revisions: TopK,
}

impl Stats {
    pub(super) fn new(period: Period) -> Stats {
        Stats {
            period,
            records: 0,
            decisions: 0,
            span: None,
            lost: Loss::default(),
            gaps: 0,
            missed: 0,
            withheld: 0,
            callers_gone: 0,
            no_records: 0,
            torn: 0,
            kinds: TopK::new("kinds", "Records", &["kind"]),
            answers: TopK::new(
                "answers",
                "Decisions by answer",
                &["effect", "verdict", "dryRun"],
            ),
            denied: TopK::new("denied", "Denied most often", &["caller", "host"]),
            reasons: TopK::new("reasons", "Reasons of verdicts", &["verdict", "reason"]),
            dry_run_denies: TopK::new(
                "dryRunDenies",
                "Allowed, and denied in the dry run",
                &["namespace", "host", "rule", "owner"],
            ),
            rules: TopK::new("rules", "Rules that decided", &["verdict", "rule", "owner"]),
            ending: TopK::new(
                "ending",
                "Allowed by a grant that expires",
                &["grant", "expires", "owner"],
            ),
            revisions: TopK::new("revisions", "Decisions by policy set", &["revision"]),
        }
    }

    /// Returns an empty count for a part of the records.
    pub(super) fn of_part(period: Period) -> Stats {
        let mut part = Stats::new(period);
        for table in part.tables_mut() {
            let limited = std::mem::replace(table, TopK::new("", "", &[]));
            *table = limited.of_part();
        }
        part
    }

    /// Returns the tables, in the order in which they are printed.
    pub(super) fn tables(&self) -> [&TopK; 8] {
        let Stats {
            kinds,
            answers,
            denied,
            reasons,
            dry_run_denies,
            rules,
            ending,
            revisions,
            ..
        } = self;
        [
            kinds,
            answers,
            denied,
            reasons,
            dry_run_denies,
            rules,
            ending,
            revisions,
        ]
    }

    fn tables_mut(&mut self) -> [&mut TopK; 8] {
        let Stats {
            kinds,
            answers,
            denied,
            reasons,
            dry_run_denies,
            rules,
            ending,
            revisions,
            ..
        } = self;
        [
            kinds,
            answers,
            denied,
            reasons,
            dry_run_denies,
            rules,
            ending,
            revisions,
        ]
    }

    /// Adds the counts of the part of the records that comes next.
    pub(super) fn merge(&mut self, mut next: Stats) {
        self.records += next.records;
        self.decisions += next.decisions;
        if let Some((first, last)) = next.span {
            self.extend(first);
            self.extend(last);
        }
        self.gaps += next.gaps;
        add_losses(&mut self.lost, next.lost);
        self.missed = self.missed.saturating_add(next.missed);
        self.withheld += next.withheld;
        self.callers_gone += next.callers_gone;
        for (table, next) in self.tables_mut().into_iter().zip(next.tables_mut()) {
            table.merge(std::mem::replace(next, TopK::new("", "", &[])));
        }
    }

    /// Adds what a file had besides records.
    pub(super) fn add_file(&mut self, file: &FileOutcome) {
        self.no_records += file.no_records;
        self.torn += u64::from(file.torn > 0);
    }

    fn extend(&mut self, time: Timestamp) {
        let (first, last) = self.span.unwrap_or((time, time));
        self.span = Some((first.min(time), last.max(time)));
    }

    fn decide(&mut self, decision: &DecisionFields<'_>) {
        let DecisionFields {
            effect,
            verdict,
            dry_run,
            rule,
            owner,
            ..
        } = decision;
        let to = || host(&decision.host, &decision.raw_host, &decision.sni);
        self.decisions += 1;
        self.callers_gone += u64::from(decision.caller_gone);
        self.answers
            .add([effect, verdict, dry_run].map(|answer| or_dash(answer)));
        self.reasons
            .add([or_dash(verdict), or_dash(&decision.reason)]);
        self.revisions.add([or_dash(&decision.revision)]);
        if !rule.is_empty() {
            self.rules
                .add([verdict, rule, owner].map(|text| or_dash(text)));
        }
        if verdict == "deny" {
            let from = caller(
                &decision.namespace,
                &decision.service_account,
                &decision.identity,
            );
            self.denied.add([from, to()]);
        }
        if effect == "allow" && dry_run == "deny" {
            let namespace = match &*decision.namespace {
                "" => &decision.identity,
                _ => &decision.namespace,
            };
            // The owner of the dry run's rule is recorded only if it differs.
            let owner = match decision.dry_run_rule == *rule {
                true => owner,
                false => &decision.dry_run_owner,
            };
            self.dry_run_denies.add([
                or_dash(namespace),
                to(),
                or_dash(&decision.dry_run_rule),
                or_dash(owner),
            ]);
        }
        if verdict == "allow" {
            for (grant, expires) in [
                (rule, decision.expires),
                (&decision.exception, decision.exception_expires),
            ] {
                if let Some(expires) = timestamp(expires) {
                    self.ending
                        .add([or_dash(grant), expires.to_string().into(), or_dash(owner)]);
                }
            }
        }
    }

    pub(super) fn json(&self, top: usize) -> Value {
        let span = self
            .span
            .map(|(first, last)| json!({"first": first.to_string(), "last": last.to_string()}));
        let mut document = json!({
            "version": 1,
            "records": self.records,
            "decisions": self.decisions,
            "span": span,
            "gaps": self.gaps,
            "lost": losses_json(self.lost),
            "missed": self.missed,
            "withheld": self.withheld,
            "callersGone": self.callers_gone,
            "noRecords": self.no_records,
            "torn": self.torn,
        });
        if let Some(document) = document.as_object_mut() {
            document.extend(
                self.tables()
                    .map(|table| (table.name.to_owned(), table.json(top))),
            );
        }
        document
    }
}

impl RecordFold for Stats {
    fn take(&mut self, record: &ScannedRecord<'_>) {
        let fields = record.fields;
        let time = timestamp(fields.head.time);
        if !self.period.contains(time) {
            return;
        }
        self.records += 1;
        time.into_iter().for_each(|time| self.extend(time));
        self.kinds.add([or_dash(&fields.head.kind)]);
        match &*fields.head.kind {
            "decision" => self.decide(&fields.decision),
            "gap" => {
                self.gaps += 1;
                let lost = record.whole().and_then(|gap| gap.lost);
                add_losses(&mut self.lost, lost.unwrap_or_default());
            }
            "lag" => {
                let missed = record
                    .whole()
                    .map_or(0, |lag| lag.missed_to.saturating_sub(lag.missed_from));
                self.missed = self.missed.saturating_add(missed).saturating_add(1);
            }
            "withheld" => self.withheld += 1,
            "callerGone" => self.callers_gone += 1,
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        self.tables().iter().map(|table| table.weight()).sum()
    }
}

#[cfg(test)]
mod tests;
