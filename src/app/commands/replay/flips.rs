//! The decisions that change, grouped by caller, host and rules.
//!
//! The rule: memory is bounded. Once there are as many rows as fit, further ones are counted
//! without their texts, and reported as such.

use std::collections::HashMap;

use jiff::Timestamp;

use super::answer_cache::{NamedAnswer, NewDecision};
use customs_engine::effect::Effect;
use customs_engine::identity::TrustDomains;
use customs_record::fields::DecisionFields;

/// About how many bytes a row takes.
const ROW_BYTES: usize = 512;

/// The most rows.
const MAX_ROWS: usize = 100_000;

/// What changes. In this order: the verdict, and only if it stays the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::app::commands) enum FlipKind {
    /// The verdict becomes an allow.
    Allowed,
    /// The verdict becomes a denial.
    Denied,
    /// Only the answer of the dry run changes.
    DryRun,
    /// Only the answer that Envoy gets changes: the server enforces, or stops to.
    Effect,
}

impl FlipKind {
    /// Every kind, in the order of reports.
    pub(in crate::app::commands) const ALL: [FlipKind; 4] = [
        FlipKind::Allowed,
        FlipKind::Denied,
        FlipKind::DryRun,
        FlipKind::Effect,
    ];

    /// Returns whether the verdict changes.
    pub(in crate::app::commands) fn is_verdict(self) -> bool {
        matches!(self, FlipKind::Allowed | FlipKind::Denied)
    }

    /// Returns the name in JSON.
    pub(in crate::app::commands) fn as_str(self) -> &'static str {
        match self {
            FlipKind::Allowed => "newlyAllowed",
            FlipKind::Denied => "newlyDenied",
            FlipKind::DryRun => "dryRun",
            FlipKind::Effect => "effect",
        }
    }

    /// Returns the heading in text.
    pub(in crate::app::commands) fn title(self) -> &'static str {
        match self {
            FlipKind::Allowed => "newly allowed",
            FlipKind::Denied => "newly denied",
            FlipKind::DryRun => "same verdict, different dry run",
            FlipKind::Effect => "same answers, different effect (enforcement)",
        }
    }
}

/// What the flips of one row have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::app::commands) struct FlipRow {
    /// What changes.
    pub kind: FlipKind,
    /// The trust domain of the caller, if it is foreign.
    pub foreign_domain: String,
    /// The namespace of the caller, if it is well-formed.
    pub namespace: String,
    /// Its account.
    pub account: String,
    /// The state of its identity.
    pub identity: String,
    /// The canonical host; empty if it is not known.
    pub host: String,
    /// The host as it was sent.
    pub raw_host: String,
    /// The port that belongs to the host.
    pub port: Option<u32>,
    /// The answer that becomes; the recorded one is the other.
    pub becomes: &'static str,
    /// The rule that decided.
    pub old_rule: String,
    /// The rule that decides now; empty if it depends on what the record lacks.
    pub new_rule: String,
    /// Its reason; empty likewise.
    pub new_reason: &'static str,
}

/// How often, and when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::app::commands) struct Occurrences {
    /// How often.
    pub count: u64,
    /// When first and last, if the records say.
    pub span: Option<(Timestamp, Timestamp)>,
}

impl Occurrences {
    /// Counts one more.
    pub(in crate::app::commands) fn add(&mut self, time: Option<Timestamp>) {
        self.count += 1;
        if let Some(time) = time {
            self.widen((time, time));
        }
    }

    /// Adds others.
    pub(in crate::app::commands) fn merge(&mut self, other: Occurrences) {
        self.count += other.count;
        if let Some(span) = other.span {
            self.widen(span);
        }
    }

    fn widen(&mut self, (from, to): (Timestamp, Timestamp)) {
        let (first, last) = self.span.unwrap_or((from, to));
        self.span = Some((first.min(from), last.max(to)));
    }
}

/// All flips.
#[derive(Debug, Default)]
pub(in crate::app::commands) struct Flips {
    rows: HashMap<FlipRow, Occurrences>,
    /// The flips whose row did not fit, by kind.
    others: HashMap<FlipKind, Occurrences>,
}

/// Returns what changes between the recorded answer and the new one.
pub(in crate::app::commands) fn kind_of(
    record: &DecisionFields<'_>,
    new: &NewDecision,
) -> Option<FlipKind> {
    let differs = |text: &str, effect: Effect| text != effect.as_str();
    if differs(&record.verdict, new.verdict.effect) {
        return Some(match new.verdict.effect {
            Effect::Allow => FlipKind::Allowed,
            Effect::Deny => FlipKind::Denied,
        });
    }
    if differs(&record.dry_run, new.dry_run.effect) {
        return Some(FlipKind::DryRun);
    }
    differs(&record.effect, new.effect).then_some(FlipKind::Effect)
}

impl FlipRow {
    /// Returns the row of a flip.
    pub(in crate::app::commands) fn of(
        kind: FlipKind,
        record: &DecisionFields<'_>,
        new: &NewDecision,
        trust_domains: &TrustDomains,
    ) -> FlipRow {
        let (answer, old_rule): (&NamedAnswer, &str) = match kind {
            FlipKind::DryRun => (&new.dry_run, &record.dry_run_rule),
            _ => (&new.verdict, &record.rule),
        };
        let becomes = match kind {
            FlipKind::Effect => new.effect,
            _ => answer.effect,
        };
        FlipRow {
            kind,
            foreign_domain: match trust_domains.is_own(&record.trust_domain) {
                true => String::new(),
                false => record.trust_domain.to_string(),
            },
            namespace: record.namespace.to_string(),
            account: record.service_account.to_string(),
            identity: record.identity.to_string(),
            host: record.host.to_string(),
            raw_host: match record.host.is_empty() {
                true => record.raw_host.to_string(),
                false => String::new(),
            },
            port: record.port,
            becomes: becomes.as_str(),
            old_rule: old_rule.to_owned(),
            new_rule: if new.is_exact {
                answer.rule.clone()
            } else {
                String::new()
            },
            new_reason: if new.is_exact { answer.reason } else { "" },
        }
    }
}

impl Flips {
    /// Counts a flip.
    pub(in crate::app::commands) fn add(&mut self, row: FlipRow, time: Option<Timestamp>) {
        let mut one = Occurrences::default();
        one.add(time);
        self.put(row, one);
    }

    fn put(&mut self, row: FlipRow, occurrences: Occurrences) {
        if let Some(known) = self.rows.get_mut(&row) {
            known.merge(occurrences);
        } else if self.rows.len() < MAX_ROWS {
            self.rows.insert(row, occurrences);
        } else {
            self.others.entry(row.kind).or_default().merge(occurrences);
        }
    }

    /// Adds the flips of another part.
    pub(in crate::app::commands) fn merge(&mut self, next: Flips) {
        for (row, occurrences) in next.rows {
            self.put(row, occurrences);
        }
        for (kind, occurrences) in next.others {
            self.others.entry(kind).or_default().merge(occurrences);
        }
    }

    /// Returns about how many bytes it takes.
    pub(in crate::app::commands) fn weight(&self) -> usize {
        self.rows.len() * ROW_BYTES
    }

    /// Returns the rows of a kind, the most frequent first.
    pub(in crate::app::commands) fn rows(&self, kind: FlipKind) -> Vec<(&FlipRow, Occurrences)> {
        let mut rows: Vec<_> = self
            .rows
            .iter()
            .filter(|(row, _)| row.kind == kind)
            .map(|(row, occurrences)| (row, *occurrences))
            .collect();
        rows.sort_unstable_by(|(row, a), (other, b)| b.count.cmp(&a.count).then(row.cmp(other)));
        rows
    }

    /// Returns the flips of a kind whose row did not fit.
    pub(in crate::app::commands) fn others(&self, kind: FlipKind) -> Occurrences {
        self.others.get(&kind).copied().unwrap_or_default()
    }

    /// Returns the number of flips of a kind.
    pub(in crate::app::commands) fn count(&self, kind: FlipKind) -> u64 {
        let rows = self.rows.iter().filter(|(row, _)| row.kind == kind);
        let listed: u64 = rows.map(|(_, occurrences)| occurrences.count).sum();
        listed + self.others(kind).count
    }
}
