//! The counts of an audit log: how many records there are, of what, and what was lost.
//!
//! Every number is a count of records; nothing is decided or looked up. The rules: input that is
//! not a record is counted and reported; lost records are reported next to those that exist; memory
//! does not grow with the length of the audit log. [`stats_report`](super::stats_report) formats
//! the counts as text.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::format::{caller, host, or_dash, timestamp};
use super::read::{self, FileContent, LogFileError, LogItem};
use super::top_k::TopK;
use customs_record::proto::{Loss, Record};

/// All counts.
#[derive(Debug)]
pub(super) struct Stats {
    since: Option<Timestamp>,
    until: Option<Timestamp>,
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
    pub(super) fn new(since: Option<Timestamp>, until: Option<Timestamp>) -> Stats {
        Stats {
            since,
            until,
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

    pub(super) fn read(&mut self, file: &Path) -> Result<(), LogFileError> {
        let mut content = FileContent::default();
        let mut take = |item: LogItem<'_>| {
            content.take(&item);
            self.take(item);
            true
        };
        let partial = |why| LogFileError::Partial {
            path: file.display().to_string(),
            why,
        };
        let mut reader = read::open(file)?;
        read::each(&mut reader, &mut take).map_err(partial)?;
        read::last(&mut reader).map(take);
        content.is_log(file)
    }

    fn take(&mut self, item: LogItem<'_>) {
        match item {
            LogItem::Record(record, _) => self.add(&record),
            LogItem::NoRecord(_) => self.no_records += 1,
            LogItem::Torn(_) => self.torn += 1,
        }
    }

    fn add(&mut self, record: &Record) {
        let time = timestamp(record.time);
        // A record without a time is outside of every period.
        let is_late = self
            .since
            .is_none_or(|since| time.is_some_and(|time| time >= since));
        let is_early = self
            .until
            .is_none_or(|until| time.is_some_and(|time| time < until));
        if !is_late || !is_early {
            return;
        }
        self.records += 1;
        if let Some(time) = time {
            let (first, last) = self.span.unwrap_or((time, time));
            self.span = Some((first.min(time), last.max(time)));
        }
        self.kinds.add([or_dash(&record.kind)]);
        match record.kind.as_str() {
            "decision" => self.decide(record),
            "gap" => self.lose(record.lost.unwrap_or_default()),
            "lag" => {
                let missed = record
                    .missed_to
                    .saturating_sub(record.missed_from)
                    .saturating_add(1);
                self.missed = self.missed.saturating_add(missed);
            }
            "withheld" => self.withheld += 1,
            "callerGone" => self.callers_gone += 1,
            _ => {}
        }
    }

    fn lose(&mut self, more: Loss) {
        self.gaps += 1;
        let Loss {
            allows,
            denials,
            differing,
            withheld,
            events,
        } = &mut self.lost;
        for (sum, lost) in [
            (allows, more.allows),
            (denials, more.denials),
            (differing, more.differing),
            (withheld, more.withheld),
            (events, more.events),
        ] {
            *sum = sum.saturating_add(lost);
        }
    }

    fn decide(&mut self, record: &Record) {
        self.decisions += 1;
        self.callers_gone += u64::from(record.caller_gone);
        self.answers
            .add([&record.effect, &record.verdict, &record.dry_run].map(|answer| or_dash(answer)));
        self.reasons
            .add([or_dash(&record.verdict), or_dash(&record.reason)]);
        self.revisions.add([or_dash(&record.revision)]);
        if !record.rule.is_empty() {
            self.rules
                .add([&record.verdict, &record.rule, &record.owner].map(|text| or_dash(text)));
        }
        if record.verdict == "deny" {
            self.denied.add([caller(record), host(record)]);
        }
        if record.effect == "allow" && record.dry_run == "deny" {
            let namespace = if record.namespace.is_empty() {
                &record.identity
            } else {
                &record.namespace
            };
            // The owner of the dry run's rule is recorded only if it differs.
            let is_same = record.dry_run_rule == record.rule;
            let owner = if is_same {
                &record.owner
            } else {
                &record.dry_run_owner
            };
            self.dry_run_denies.add([
                or_dash(namespace),
                host(record),
                or_dash(&record.dry_run_rule),
                or_dash(owner),
            ]);
        }
        if record.verdict == "allow" {
            for (grant, expires) in [
                (&record.rule, record.expires),
                (&record.exception, record.exception_expires),
            ] {
                if let Some(expires) = timestamp(expires) {
                    self.ending
                        .add([or_dash(grant), expires.to_string(), or_dash(&record.owner)]);
                }
            }
        }
    }

    pub(super) fn json(&self, top: usize) -> Value {
        let Loss {
            allows,
            denials,
            differing,
            withheld,
            events,
        } = self.lost;
        let span = self
            .span
            .map(|(first, last)| json!({"first": first.to_string(), "last": last.to_string()}));
        let mut document = json!({
            "records": self.records,
            "decisions": self.decisions,
            "span": span,
            "gaps": self.gaps,
            "lost": {
                "allows": allows, "denials": denials, "differing": differing, "withheld": withheld, "events": events,
            },
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

#[cfg(test)]
mod tests;
