//! The answers that a policy set gives to recorded requests, each worked out once.
//!
//! A week of traffic has few different requests. The rule: two records share an answer only if they
//! agree in every field that the set may ask for, and in the period between two ends of grants, so
//! that sharing changes no answer. Memory is bounded.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use customs_engine::decision::Answer;
use customs_engine::effect::Effect;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_record::fields::DecisionFields;
use customs_record::recorded_request::{
    MissingInput, RecordedInputs, RecordedPolicies, ReplayedDecision, RequestInput,
};

/// How many tables share the answers, so that threads seldom wait for each other.
const SHARDS: usize = 16;

/// The most answers of one table; a full one is emptied.
const MAX_ANSWERS: usize = 8_192;

/// Answers by everything that they may depend on.
type Answers = HashMap<Box<[u8]>, Arc<NewAnswer>>;

/// The answers of a set.
#[derive(Debug)]
pub(in crate::app::commands) struct AnswerCache {
    policies: RecordedPolicies,
    hasher: RandomState,
    shards: [Mutex<Answers>; SHARDS],
}

/// What the new set answers to a request.
#[derive(Debug)]
pub(in crate::app::commands) enum NewAnswer {
    /// These answers.
    Decided(Box<NewDecision>),
    /// The record lacks what the answer depends on.
    Unanswerable(Vec<MissingInput>),
}

/// The answers of a decision, with what they name.
#[derive(Debug)]
pub(in crate::app::commands) struct NewDecision {
    /// What Envoy would get.
    pub effect: Effect,
    /// The verdict.
    pub verdict: NamedAnswer,
    /// The answer of the dry run.
    pub dry_run: NamedAnswer,
    /// Whether reasons and rules are known. If not, they are the strictest possible.
    pub is_exact: bool,
}

/// An answer with its reason and rule.
#[derive(Debug)]
pub(in crate::app::commands) struct NamedAnswer {
    /// Allow or deny.
    pub effect: Effect,
    /// The reason.
    pub reason: &'static str,
    /// The rule.
    pub rule: String,
    /// The exception that opened a deny, if one did.
    pub exception: Option<String>,
}

impl NamedAnswer {
    fn of(answer: &Answer) -> NamedAnswer {
        NamedAnswer {
            effect: answer.effect(),
            reason: answer.reason.as_str(),
            rule: answer.rule.to_string(),
            exception: answer.exception.as_ref().map(|info| info.id.to_string()),
        }
    }
}

impl AnswerCache {
    /// Creates an empty cache for a set.
    pub(in crate::app::commands) fn new(policies: RecordedPolicies) -> AnswerCache {
        AnswerCache {
            policies,
            hasher: RandomState::new(),
            shards: Default::default(),
        }
    }

    /// Returns the set.
    pub(in crate::app::commands) fn snapshot(&self) -> &Snapshot {
        self.policies.snapshot()
    }

    /// Returns the revision of the set.
    pub(in crate::app::commands) fn revision(&self) -> &str {
        self.policies.snapshot().revision().as_str()
    }

    /// Returns the answer to a record at its time. `key` is a buffer.
    pub(in crate::app::commands) fn answer(
        &self,
        record: &DecisionFields<'_>,
        now: UnixNanos,
        key: &mut Vec<u8>,
    ) -> Arc<NewAnswer> {
        let inputs = RecordedInputs::of(record);
        key.clear();
        self.write_key(&inputs, &record.revision, now, key);
        let shard = usize::try_from(self.hasher.hash_one(&*key)).unwrap_or_default() % SHARDS;
        let Some(shard) = self.shards.get(shard) else {
            return Arc::new(self.decide(&inputs, record, now));
        };
        let lock = || shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = lock().get(key.as_slice()) {
            return known.clone();
        }
        let answer = Arc::new(self.decide(&inputs, record, now));
        let mut answers = lock();
        if answers.len() >= MAX_ANSWERS {
            answers.clear();
        }
        answers.insert(key.as_slice().into(), answer.clone());
        answer
    }

    fn decide(
        &self,
        inputs: &RecordedInputs<'_>,
        record: &DecisionFields<'_>,
        now: UnixNanos,
    ) -> NewAnswer {
        let replayed = match self.policies.decide(inputs, &record.revision, now) {
            Ok(replayed) => replayed,
            Err(why) => return NewAnswer::Unanswerable(why.missing),
        };
        let decision = replayed.decision();
        NewAnswer::Decided(Box::new(NewDecision {
            effect: decision.outcome.effect(),
            verdict: NamedAnswer::of(&decision.verdict),
            dry_run: NamedAnswer::of(&decision.dry_run),
            is_exact: matches!(replayed, ReplayedDecision::Exact(_)),
        }))
    }

    /// Writes everything that the answer may depend on.
    fn write_key(
        &self,
        inputs: &RecordedInputs<'_>,
        revision: &str,
        now: UnixNanos,
        key: &mut Vec<u8>,
    ) {
        // Destructured completely, so that a new input stops the build until it is part of the key.
        let RecordedInputs {
            protocol,
            identity,
            identity_detail,
            principal,
            trust_domain,
            namespace,
            certificate_uris,
            source_address,
            remote_address,
            destination_address,
            address_unreadable,
            listener_port,
            raw_host,
            authority_header,
            sni,
            sni_absent,
            method,
            path,
            headers,
            truncated,
            redacted,
        } = inputs;
        let asked = self.policies.asked();
        let if_asked = |input, text| if asked.asks(&input) { text } else { "" };
        let mut put = |bytes: &[u8]| {
            key.extend_from_slice(&bytes.len().to_le_bytes());
            key.extend_from_slice(bytes);
        };
        put(&self.policies.period(now).to_le_bytes());
        put(&[
            u8::from(revision == self.revision()),
            u8::from(*address_unreadable),
            u8::from(*sni_absent),
            u8::from(authority_header.is_some()),
            u8::from(listener_port.is_some()),
            // Whether an address is there says whether the request is empty.
            u8::from(source_address.is_empty()),
            u8::from(destination_address.is_empty()),
        ]);
        put(&listener_port.unwrap_or_default().to_le_bytes());
        for text in [
            protocol,
            identity,
            identity_detail,
            principal,
            trust_domain,
            namespace,
            raw_host,
            sni,
            authority_header.unwrap_or_default(),
            remote_address,
            if_asked(RequestInput::SourceAddress, source_address),
            if_asked(RequestInput::DestinationAddress, destination_address),
            // A method says whether an absent path is known to be none.
            method,
            if_asked(RequestInput::Path, path),
        ] {
            put(text.as_bytes());
        }
        for list in [certificate_uris, truncated, redacted] {
            put(&list.len().to_le_bytes());
            list.iter().for_each(|text| put(text.as_bytes()));
        }
        for header in headers {
            put(header.name.as_bytes());
            put(header.value.as_bytes());
            put(&[u8::from(header.present), u8::from(header.value_unknown)]);
        }
    }
}
