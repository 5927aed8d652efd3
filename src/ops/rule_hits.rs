//! Counts how often each rule in force is named by a decision, and says which never were.
//!
//! It decides nothing and reads no record. The rules: a check costs a look-up by the address of the
//! rule and an addition, and waits for no other thread; a rule that stays in force keeps its count
//! through a reload, by its id; and what an operator is shown is bounded.
//!
//! A rule is *hit* if a decision names it: as the rule of the verdict or of the dry run, as the
//! exception that opened a deny, or as the AUDIT rule. A rule that matches behind another one is
//! not named, so it is not hit.

mod labels;

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustc_hash::FxHashMap;
use serde::Serialize;

use customs_engine::decision::Decision;
use customs_engine::rule_info::RuleInfo;
use customs_engine::rules::NamedPart;
use customs_engine::snapshot::{Revision, Snapshot};
use customs_engine::time::UnixNanos;
use customs_policy::printable;

pub use labels::{LabelledHits, MAX_LABELS};

/// The most rules that one report lists.
pub const MAX_LISTED: usize = 10_000;

/// How often, and how long each time, a table is looked at that checks may still read.
const MOST_PAUSES: u32 = 200;
const PAUSE: Duration = Duration::from_millis(1);

/// How often each rule in force was hit.
#[derive(Debug)]
pub struct RuleHits {
    table: ArcSwap<HitTable>,
    /// The hits of rules that are no longer in force and had no series of their own.
    retired: AtomicU64,
    /// Held while series are given, and while the table is replaced.
    series: Mutex<()>,
}

/// The rules of one set, in the order of their ids.
#[derive(Debug)]
struct HitTable {
    revision: String,
    rules: Vec<CountedRule>,
    /// The place of each rule by the address of what is known about it. The table holds every rule,
    /// so an address means one rule as long as the table lives.
    places: FxHashMap<usize, u32>,
}

#[derive(Debug)]
struct CountedRule {
    info: Arc<RuleInfo>,
    part: NamedPart,
    /// When it came into force.
    since: u64,
    count: Arc<HitCount>,
}

/// The count of one rule. It outlives the set that the rule was first in.
#[derive(Debug, Default)]
struct HitCount {
    hits: AtomicU64,
    /// When it was last hit, in milliseconds since 1970; 0 for never.
    last: AtomicU64,
    /// What the metrics show it by: [`labels`] says how.
    series: AtomicU8,
}

/// Which rules a report lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listed {
    /// Every rule in force.
    #[default]
    All,
    /// The rules that no check has hit.
    Unused,
}

/// The document of `/rules`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleHitsReport {
    /// The revision whose rules these are; `none` before the first good set.
    pub revision: String,
    /// How many rules are in force, also those that are not listed.
    pub total: usize,
    /// How many of them no check has hit.
    pub unused: usize,
    /// Whether there are more than are listed.
    pub truncated: bool,
    /// The rules, in the order of their ids.
    pub rules: Vec<RuleHitReport>,
}

/// One rule of [`RuleHitsReport`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleHitReport {
    /// Its id, as records name it.
    pub rule: String,
    /// `rule`, `exception` or `isolation`.
    pub kind: &'static str,
    /// `file:line` of its text.
    pub source: String,
    /// How many checks hit it since it came into force.
    pub hits: u64,
    /// When one last did.
    #[schemars(with = "Option<String>")]
    pub last_hit: Option<Timestamp>,
    /// Since when it is in force, in this process.
    #[schemars(with = "Option<String>")]
    pub in_force_since: Option<Timestamp>,
}

impl Default for RuleHits {
    fn default() -> RuleHits {
        RuleHits {
            table: ArcSwap::from_pointee(HitTable {
                revision: Revision::none().to_string(),
                rules: Vec::new(),
                places: FxHashMap::default(),
            }),
            retired: AtomicU64::new(0),
            series: Mutex::default(),
        }
    }
}

impl RuleHits {
    /// Counts the rules that a decision names.
    pub fn count(&self, decision: &Decision, time: UnixNanos) {
        let mut named = decision.named_rules().peekable();
        if named.peek().is_none() {
            return;
        }
        let (table, now) = (self.table.load(), milliseconds(time));
        for info in named {
            match table.find(info) {
                Some(rule) => rule.count.hit(now),
                // It is of a set that was replaced while the check was decided.
                None => {
                    self.retired.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Counts the rules of this set from now on. Those that were counted before keep their counts.
    /// Call it before the set is in force; checks that are decided by the set before are counted
    /// too.
    pub fn prepare(&self, snapshot: &Snapshot, now: UnixNanos) {
        let mut named: Vec<_> = snapshot.rules().named_parts().collect();
        named.sort_by(|(_, a), (_, b)| a.id.cmp(&b.id));
        let before = self.table.load_full();
        let mut known = before.rules.iter().peekable();
        let mut rules: Vec<CountedRule> = Vec::with_capacity(named.len());
        let mut places = FxHashMap::with_capacity_and_hasher(named.len(), Default::default());
        let since = milliseconds(now);
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        for (part, info) in named {
            // One id is one rule, wherever its text is.
            if rules.last().is_none_or(|last| last.info.id != info.id) {
                while let Some(gone) = known.next_if(|rule| rule.info.id < info.id) {
                    self.retire(gone);
                }
                let kept = known.next_if(|rule| rule.info.id == info.id);
                let (since, count) = match kept {
                    Some(rule) => (rule.since, rule.count.clone()),
                    None => (since, Arc::default()),
                };
                let info = info.clone();
                rules.push(CountedRule {
                    info,
                    part,
                    since,
                    count,
                });
            }
            let place = u32::try_from(rules.len().saturating_sub(1)).unwrap_or(u32::MAX);
            places.insert(address(info), place);
        }
        known.by_ref().for_each(|gone| self.retire(gone));
        let revision = snapshot.revision().to_string();
        let table = HitTable {
            revision,
            rules,
            places,
        };
        let replaced = self.table.swap(Arc::new(table));
        drop((known, series));
        drop(before);
        drop_when_unshared(replaced);
    }

    /// Returns how many rules in force no check has hit. Isolations are not rules.
    pub fn unused(&self) -> usize {
        self.table.load().unused()
    }

    /// Returns what operators see.
    pub fn report(&self, listed: Listed) -> RuleHitsReport {
        let table = self.table.load_full();
        let is_listed = |rule: &&CountedRule| listed == Listed::All || rule.is_unused();
        let mut wanted = table.rules.iter().filter(is_listed);
        let rules = wanted
            .by_ref()
            .take(MAX_LISTED)
            .map(CountedRule::report)
            .collect();
        RuleHitsReport {
            revision: table.revision.clone(),
            total: table.rules.len(),
            unused: table.unused(),
            truncated: wanted.next().is_some(),
            rules,
        }
    }
}

impl HitTable {
    /// Returns how many rules no check has hit.
    fn unused(&self) -> usize {
        self.rules.iter().filter(|rule| rule.is_unused()).count()
    }

    /// Returns a rule by its address; by its id if it is a rule of the set before, or of a set whose
    /// text was read again.
    fn find(&self, info: &Arc<RuleInfo>) -> Option<&CountedRule> {
        let known = self.places.get(&address(info)).copied();
        let place = known.map(|place| place as usize).or_else(|| {
            let by_id = |rule: &CountedRule| rule.info.id.cmp(&info.id);
            self.rules.binary_search_by(by_id).ok()
        });
        self.rules.get(place?)
    }
}

impl CountedRule {
    /// Returns whether it is a rule or an exception that no check has hit.
    fn is_unused(&self) -> bool {
        self.part != NamedPart::Isolation && self.count.hits() == 0
    }

    fn report(&self) -> RuleHitReport {
        RuleHitReport {
            rule: self.label(),
            kind: self.part.as_str(),
            source: printable::line(&self.info.origin()).into_owned(),
            hits: self.count.hits(),
            last_hit: timestamp(self.count.last.load(Ordering::Relaxed)),
            in_force_since: timestamp(self.since),
        }
    }

    fn label(&self) -> String {
        printable::line(&self.info.id.to_string()).into_owned()
    }
}

impl HitCount {
    fn hit(&self, now: u64) {
        self.hits.fetch_add(1, Ordering::Relaxed);
        // A clock that is set back leaves the latest time that is known.
        if self.last.load(Ordering::Relaxed) < now {
            self.last.store(now, Ordering::Relaxed);
        }
    }

    fn hits(&self) -> u64 {
        self.hits.load(Ordering::Relaxed)
    }
}

/// Drops a table that checks may still read. They hold it for less than a microsecond, and the
/// last to drop a large one takes milliseconds for it, so that must not be a check.
fn drop_when_unshared(table: Arc<HitTable>) {
    for _ in 0..MOST_PAUSES {
        if Arc::strong_count(&table) == 1 {
            break;
        }
        thread::sleep(PAUSE);
    }
}

/// Returns what identifies a rule as long as it lives.
fn address(info: &Arc<RuleInfo>) -> usize {
    Arc::as_ptr(info).addr()
}

fn milliseconds(time: UnixNanos) -> u64 {
    u64::try_from(time.0 / 1_000_000).unwrap_or_default()
}

fn timestamp(milliseconds: u64) -> Option<Timestamp> {
    let time = i64::try_from(milliseconds).ok().filter(|time| *time > 0)?;
    Timestamp::from_millisecond(time).ok()
}

#[cfg(test)]
mod tests;
