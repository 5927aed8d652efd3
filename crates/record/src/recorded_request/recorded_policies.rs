//! A policy set that decides recorded requests again.
//!
//! It decides with the engine itself, at the recorded time. If inputs are missing, it decides with
//! the two sets that bound the answer ([`bounding_rules`](super::bounding_rules)), which are made
//! once for each combination of missing inputs.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::RecordedRequest;
use super::asked_inputs::AskedInputs;
use super::bounding_rules::{Bound, bound};
use super::missing::{MissingInput, RequestInput, UnanswerableError};
use super::recorded_inputs::RecordedInputs;
use customs_engine::decision::Decision;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;

/// The most combinations of missing inputs whose bounding sets are kept at a time.
const MAX_BOUNDS: usize = 16;

/// The stricter and the looser set.
type BoundingSets = Arc<[Snapshot; 2]>;

/// A policy set, prepared to decide recorded requests.
#[derive(Debug)]
pub struct RecordedPolicies {
    snapshot: Snapshot,
    asked: AskedInputs,
    /// The moments at which grants and exceptions end, in order.
    ends: Vec<UnixNanos>,
    bounds: Mutex<HashMap<BTreeSet<RequestInput>, BoundingSets>>,
}

/// What a set answers to a recorded request.
#[derive(Debug, PartialEq, Eq)]
pub enum ReplayedDecision {
    /// This decision.
    Exact(Box<Decision>),
    /// The effects of these two decisions, which are the same. Which rule decides, and for what
    /// reason, depends on inputs that the record lacks.
    EffectsOnly {
        /// If every rule in doubt denied.
        strictest: Box<Decision>,
        /// If every rule in doubt allowed.
        loosest: Box<Decision>,
        /// The inputs that the record lacks.
        missing: Vec<MissingInput>,
    },
}

impl ReplayedDecision {
    /// Returns a decision whose effects are right.
    pub fn decision(&self) -> &Decision {
        match self {
            ReplayedDecision::Exact(decision) => decision,
            ReplayedDecision::EffectsOnly { strictest, .. } => strictest,
        }
    }
}

impl RecordedPolicies {
    /// Prepares a set.
    pub fn new(snapshot: Snapshot) -> RecordedPolicies {
        let rules = snapshot.rules();
        let exceptions = rules.denies.iter().flat_map(|deny| &deny.except);
        let infos = exceptions
            .map(|exception| &exception.info)
            .chain(rules.grants.iter().map(|grant| &grant.info));
        let ends: BTreeSet<UnixNanos> = infos.filter_map(|info| info.expires()).collect();
        RecordedPolicies {
            asked: AskedInputs::of(rules),
            ends: ends.into_iter().collect(),
            bounds: Mutex::default(),
            snapshot,
        }
    }

    /// Returns the set.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Returns what its rules ask for.
    pub fn asked(&self) -> &AskedInputs {
        &self.asked
    }

    /// Returns the number of the period between two ends of grants that holds a moment. Within a
    /// period, equal requests get equal answers.
    pub fn period(&self, now: UnixNanos) -> usize {
        self.ends.partition_point(|end| *end <= now)
    }

    /// Decides a recorded request at a moment. `revision` is the recorded one.
    ///
    /// # Errors
    /// If the answer depends on what the record lacks.
    pub fn decide(
        &self,
        inputs: &RecordedInputs<'_>,
        revision: &str,
        now: UnixNanos,
    ) -> Result<ReplayedDecision, UnanswerableError> {
        let settings = self.snapshot.settings();
        // Equal revisions have equal settings.
        let are_settings_known = revision == self.snapshot.revision().as_str();
        let request = RecordedRequest::rebuild(inputs, settings, are_settings_known)?;
        self.decide_request(&request, now)
    }

    /// Decides a request at a moment.
    ///
    /// # Errors
    /// If the answer depends on what the record lacks.
    pub fn decide_request(
        &self,
        request: &RecordedRequest<'_>,
        now: UnixNanos,
    ) -> Result<ReplayedDecision, UnanswerableError> {
        let settings = self.snapshot.settings();
        let ask = |set: &Snapshot| {
            Box::new(request.with_request(settings, |request| set.decide(request, now)))
        };
        let missing = request.missing(&self.asked);
        if missing.is_empty() {
            return Ok(ReplayedDecision::Exact(ask(&self.snapshot)));
        }
        let bounds = self.bounds(&missing);
        let [strictest, loosest] = &*bounds;
        let (strictest, loosest) = (ask(strictest), ask(loosest));
        if effects(&strictest) != effects(&loosest) {
            return Err(UnanswerableError { missing });
        }
        Ok(if strictest == loosest {
            ReplayedDecision::Exact(strictest)
        } else {
            ReplayedDecision::EffectsOnly {
                strictest,
                loosest,
                missing,
            }
        })
    }

    fn bounds(&self, missing: &[MissingInput]) -> BoundingSets {
        let inputs: BTreeSet<RequestInput> = missing
            .iter()
            .map(|missing| missing.input.clone())
            .collect();
        let mut bounds = self.bounds.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = bounds.get(&inputs) {
            return known.clone();
        }
        if bounds.len() >= MAX_BOUNDS {
            bounds.clear();
        }
        let made =
            [Bound::Strictest, Bound::Loosest].map(|which| bound(&self.snapshot, &inputs, which));
        let made = Arc::new(made);
        bounds.insert(inputs, made.clone());
        made
    }
}

fn effects(decision: &Decision) -> [customs_engine::effect::Effect; 3] {
    [
        decision.outcome.effect(),
        decision.verdict.effect(),
        decision.dry_run.effect(),
    ]
}
