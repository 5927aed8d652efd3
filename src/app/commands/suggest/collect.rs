//! Collects what crossed from the records of an audit log.
//!
//! A request is rebuilt from its record as `replay` rebuilds it, so that both read a host and a
//! caller alike.

use jiff::Timestamp;

use crate::app::cli::{CrossedBy, Period, SuggestArgs};
use crate::app::commands::recorded::{LogFacts, LogFold};
use customs_analysis::least_privilege::{Crossing, Crossings, LeftOutCause, LeftOutRow};
use customs_engine::effect::Effect;
use customs_engine::settings::Settings;
use customs_engine::time::UnixNanos;
use customs_record::fields::DecisionFields;
use customs_record::recorded_request::{RecordedInputs, RecordedRequest, RequestInput};
use customs_record::scan::{RecordFold, ScannedRecord};

/// What crossed, and what the log says about itself.
pub(super) struct Collected<'s> {
    settings: &'s Settings,
    period: Period,
    by: CrossedBy,
    namespaces: &'s [String],
    crossings: Crossings,
    /// The decisions in the period that crossed.
    pub crossed: u64,
    /// Those that were denied.
    pub denied: u64,
    /// What the log says besides its decisions.
    pub log: LogFacts,
}

impl LogFold for Collected<'_> {
    fn facts(&mut self) -> &mut LogFacts {
        &mut self.log
    }

    fn merge(&mut self, next: Self) {
        self.crossings.merge(next.crossings);
        self.crossed += next.crossed;
        self.denied += next.denied;
        self.log.merge(next.log);
    }
}

impl RecordFold for Collected<'_> {
    fn take(&mut self, record: &ScannedRecord<'_>) {
        if let Some((decision, time)) = self.log.note(record, self.period) {
            self.decision(decision, time);
        }
    }

    fn weight(&self) -> usize {
        self.crossings.weight()
    }
}

impl<'s> Collected<'s> {
    /// Creates an empty collection.
    pub(super) fn new(
        args: &'s SuggestArgs,
        settings: &'s Settings,
        period: Period,
    ) -> Collected<'s> {
        Collected {
            settings,
            period,
            by: args.by,
            namespaces: &args.namespaces,
            crossings: Crossings::default(),
            crossed: 0,
            denied: 0,
            log: LogFacts::default(),
        }
    }

    /// Returns what crossed.
    pub(super) fn crossings(&self) -> &Crossings {
        &self.crossings
    }

    /// Says why there is nothing.
    pub(super) fn nothing_found(&self) -> String {
        match self.log.decisions {
            0 => self.log.nothing_found(self.period),
            _ => "every decision that was looked at is a denial".to_owned(),
        }
    }

    fn decision(&mut self, record: &DecisionFields<'_>, time: Option<Timestamp>) {
        if !self.namespaces.is_empty()
            && !self.namespaces.iter().any(|name| *name == record.namespace)
        {
            return;
        }
        let answer = match self.by {
            CrossedBy::Effect => &record.effect,
            CrossedBy::Verdict => &record.verdict,
            CrossedBy::DryRun => &record.dry_run,
        };
        let is_allowed = **answer == *Effect::Allow.as_str();
        let time = UnixNanos(time.map_or(0, Timestamp::as_nanosecond));
        if is_allowed {
            self.crossed += 1;
        } else {
            self.denied += 1;
        }
        let inputs = RecordedInputs::of(record);
        let request = match RecordedRequest::rebuild(&inputs, self.settings, false) {
            Ok(request) => request,
            Err(_) if !is_allowed => return,
            Err(_) => {
                let row = LeftOutRow {
                    cause: LeftOutCause::Unanswerable,
                    namespace: record.namespace.to_string(),
                    caller: match record.service_account.is_empty() {
                        true => record.identity.to_string(),
                        false => record.service_account.to_string(),
                    },
                    host: match record.host.is_empty() {
                        true => record.raw_host.to_string(),
                        false => record.host.to_string(),
                    },
                };
                return self.crossings.leave_out_record(row, time);
            }
        };
        let crossings = &mut self.crossings;
        let trust_domains = &self.settings.trust_domains;
        request.with_request(self.settings, |read| {
            let crossing = Crossing {
                time,
                caller: trust_domains.classify(read.principal),
                is_account_known: !request.lacks(&RequestInput::Account),
                request: read,
                is_path_known: !request.lacks(&RequestInput::Path),
                is_method_known: !request.lacks(&RequestInput::Method),
            };
            match is_allowed {
                true => crossings.add(&crossing),
                false => crossings.deny(&crossing),
            }
        });
    }
}
