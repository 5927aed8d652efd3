//! Entries of every kind, drawn at random, with texts as hostile as a client can make them.

use std::sync::Arc;

use customs_engine::effect::Effect;
use customs_engine::enforcement::Enforcement;
use customs_engine::identity::IdentityState;
use customs_engine::reason::Reason;
use customs_engine::rules::RuleCounts;
use customs_engine::time::UnixNanos;
use customs_policy::policy_change::{ChangeOutcome, PolicyChange, PublishedFile, PublishedSource};
use customs_policy::problem::{Code, Place, Problem};
use customs_record::entry::audit_log::Position;
use customs_record::{
    AnswerEntry, CallerGoneEntry, CheckpointEntry, DecisionEntry, Entry, GapEntry,
    GrantExpiredEntry, HeaderEntry, LagEntry, Loss, OptionalFields, QuestionEntry, RefusalCause,
    RefusalCount, RefusalsEntry, StartEntry, StopEntry, StreamEntry, WithheldEntry,
};
use proptest::prelude::*;

/// Texts: empty, plain, any, control characters, marks that turn the direction of writing, what
/// JSON itself is made of, characters beyond the first plane, and long ones.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z0-9./:-]{1,20}",
        any::<String>(),
        "[\\x00-\\x20\\x7f\\u{80}-\\u{9f}]{1,12}",
        "[\\u{200b}-\\u{200f}\\u{2028}-\\u{202e}\\u{2066}-\\u{2069}\\u{feff}a-z]{1,12}",
        "[\"\\\\{}:,\\[\\]nru0-9]{1,20}",
        "[\\u{1f300}-\\u{1faff}\\u{10000}-\\u{10ffff}]{1,6}",
        Just("ä\n".repeat(750)),
    ]
}

/// A few texts and an endless series of numbers, from which an entry is made.
#[derive(Debug)]
struct Drawn {
    texts: Vec<String>,
    state: u64,
}

impl Drawn {
    fn text(&mut self) -> String {
        let place = usize::try_from(self.number() % 1_000).unwrap() % self.texts.len();
        self.texts[place].clone()
    }

    /// A pseudorandom number (a step of splitmix64).
    fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn flag(&mut self) -> bool {
        self.number().is_multiple_of(2)
    }

    fn small(&mut self) -> u32 {
        u32::try_from(self.number() & 0xffff_ffff).unwrap()
    }

    fn port(&mut self) -> Option<u16> {
        u16::try_from(self.number() & 0x1_ffff).ok()
    }

    /// Inside and outside of the calendar.
    fn time(&mut self) -> UnixNanos {
        let nanos = i128::from(self.number());
        let scale = [1, 1_000, -1, -1_000_000_000, 1_000_000_000_000]
            [usize::try_from(self.number() % 5).unwrap()];
        UnixNanos(nanos * scale)
    }

    fn maybe<T>(&mut self, draw: impl FnOnce(&mut Drawn) -> T) -> Option<T> {
        self.flag().then(|| draw(self))
    }

    fn list<T>(&mut self, mut draw: impl FnMut(&mut Drawn) -> T) -> Vec<T> {
        (0..self.number() % 3).map(|_| draw(self)).collect()
    }

    fn word(&mut self) -> &'static str {
        ["", "path", "xfcc_mismatch", "istio,isolation"]
            [usize::try_from(self.number() % 4).unwrap()]
    }

    fn effect(&mut self) -> Effect {
        if self.flag() {
            Effect::Allow
        } else {
            Effect::Deny
        }
    }

    fn enforcement(&mut self) -> Enforcement {
        if self.flag() {
            Enforcement::Enforce
        } else {
            Enforcement::Report
        }
    }

    fn position(&mut self) -> Position {
        Position {
            stream: self.text(),
            sequence: self.number(),
            chain: self.text(),
        }
    }

    fn answer(&mut self) -> AnswerEntry {
        AnswerEntry {
            effect: self.effect(),
            reason: Reason::ALL
                [usize::try_from(self.number()).unwrap_or_default() % Reason::ALL.len()],
            rule: self.text(),
            gate: self.word(),
            open_gate: self.word(),
            by_identity: self.flag(),
            origin: self.text(),
            owner: self.text(),
            ticket: self.text(),
            rule_reason: self.text(),
            expires: self.maybe(Drawn::time),
            expired: self.text(),
            exception: self.text(),
            exception_expires: self.maybe(Drawn::time),
        }
    }

    fn header(&mut self) -> HeaderEntry {
        HeaderEntry {
            name: self.text(),
            present: self.flag(),
            value_unknown: self.flag(),
            matched: self.list(Drawn::text),
            value: self.text(),
        }
    }

    fn optional(&mut self) -> OptionalFields {
        OptionalFields {
            sni_absent: self.flag(),
            address_unreadable: self.flag(),
            authority_header: self.maybe(Drawn::text),
            certificate_uris: self.list(Drawn::text),
            headers: self.list(Drawn::header),
            truncated: self.list(Drawn::word),
            redacted: self.list(Drawn::word),
        }
    }

    fn decision(&mut self) -> DecisionEntry {
        let verdict = self.answer();
        let dry_run = self.maybe(Drawn::answer).unwrap_or_else(|| verdict.clone());
        DecisionEntry {
            time: self.time(),
            duration_micros: self.small(),
            decision_id: self.text(),
            decision_number: self.number(),
            revision: self.text(),
            enforcement: self.enforcement(),
            effect: self.effect(),
            verdict,
            dry_run,
            audit_rule: self.text(),
            identity: IdentityState::ALL[usize::try_from(self.number() % 4).unwrap()],
            identity_detail: self.maybe(Drawn::word),
            principal: self.text(),
            trust_domain: self.text(),
            namespace: self.text(),
            service_account: self.text(),
            source_address: self.text(),
            remote_address: self.text(),
            destination_address: self.text(),
            protocol: self.word(),
            host: self.text(),
            raw_host: self.text(),
            port: self.port(),
            listener_port: self.port(),
            sni: self.text(),
            method: self.text(),
            path: self.text(),
            gateway: self.text(),
            request_id: self.text(),
            traceparent: self.text(),
            stream_id: self.text(),
            caller_gone: self.flag(),
            peer_identity: self.text(),
            optional: self.maybe(Drawn::optional).map(Arc::new),
        }
    }

    fn problem(&mut self) -> Problem {
        let place = Place {
            file: self.text().into(),
            line: self.small() % 3,
            column: self.small() % 3,
        };
        let problem = match self.flag() {
            true => Problem::error(Code::BadHost, place, self.text()),
            false => Problem::warning(Code::EmptyPolicy, place, self.text()),
        };
        match self.maybe(Drawn::text) {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }

    fn change(&mut self) -> PolicyChange {
        let mut count = || usize::try_from(self.number() % 5_000_000_000).unwrap();
        let counts = RuleCounts {
            istio_deny: count(),
            istio_allow: count(),
            egress_deny: count(),
            egress_allow: count(),
            policies: count(),
        };
        let mut problems = self.list(Drawn::problem);
        if self.flag() {
            problems = std::iter::repeat_n(problems, 30).flatten().collect();
        }
        PolicyChange {
            time: self.time(),
            outcome: ChangeOutcome::ALL[usize::try_from(self.number() % 5).unwrap()],
            revision: self.text(),
            previous_revision: self.text(),
            refused_sources: self.list(Drawn::text),
            problems,
            counts,
            sources: self.list(Drawn::source),
        }
    }

    fn source(&mut self) -> PublishedSource {
        let file = |drawn: &mut Drawn| PublishedFile {
            name: drawn.text(),
            digest: [7; 32],
        };
        let mut files = self.list(file);
        if self.flag() {
            files = std::iter::repeat_n(files, 300).flatten().collect();
        }
        PublishedSource {
            name: self.text(),
            namespace: self.text(),
            files,
        }
    }

    fn grant_expired(&mut self) -> GrantExpiredEntry {
        GrantExpiredEntry {
            time: self.time(),
            rule: self.text(),
            origin: self.text(),
            owner: self.text(),
            ticket: self.text(),
            rule_reason: self.text(),
            expires: self.time(),
            revision: self.text(),
        }
    }

    fn stream(&mut self) -> StreamEntry {
        StreamEntry {
            time: self.time(),
            sink: self.text(),
            filter: self.text(),
            format: self.word(),
            hash: self.word(),
            previous: self.maybe(Drawn::position),
            torn_bytes: self.number() % 3,
            previous_file: self.word(),
        }
    }

    fn gap(&mut self) -> GapEntry {
        let mut count = || if self.flag() { self.number() } else { 0 };
        let lost = Loss {
            allows: count(),
            denials: count(),
            differing: count(),
            withheld: count(),
            events: count(),
        };
        GapEntry {
            time: self.time(),
            lost,
            first: self.time(),
            last: self.time(),
        }
    }

    fn refusals(&mut self) -> RefusalsEntry {
        let (time, first, last) = (self.time(), self.time(), self.time());
        let refusals = self.list(|drawn| RefusalCount {
            peer: drawn.text(),
            cause: RefusalCause::ALL[usize::try_from(drawn.number() % 14).unwrap()],
            count: drawn.number(),
            example: drawn.text(),
        });
        RefusalsEntry {
            time,
            first,
            last,
            refusals,
            redacted: self.list(Drawn::word),
        }
    }

    fn checkpoint(&mut self) -> CheckpointEntry {
        CheckpointEntry {
            time: self.time(),
            sealed: self.position(),
            last: self.flag(),
            key: self.text(),
            signature: self.text(),
        }
    }

    fn entry(&mut self, kind: usize) -> Entry {
        let time = self.time();
        match kind {
            0 => Entry::Decision(self.decision().into()),
            1 => Entry::PolicyChange(self.change().into()),
            2 => {
                let (asked_by, now) = (self.text(), self.time());
                Entry::Question(
                    QuestionEntry {
                        time,
                        asked_by,
                        now,
                        answer: self.decision().into(),
                    }
                    .into(),
                )
            }
            3 => Entry::GrantExpired(self.grant_expired().into()),
            4 => {
                let (version, listen) = (self.word(), self.list(Drawn::text));
                Entry::Start(
                    StartEntry {
                        time,
                        version,
                        listen,
                        enforcement: self.enforcement(),
                    }
                    .into(),
                )
            }
            5 => {
                let (cause, decisions) = (self.text(), self.number() % 3);
                Entry::Stop(
                    StopEntry {
                        time,
                        cause,
                        decisions,
                        revision: self.text(),
                    }
                    .into(),
                )
            }
            6 => {
                let (decision_id, decision_number) = (self.text(), self.number());
                Entry::Withheld(
                    WithheldEntry {
                        time,
                        decision_id,
                        decision_number,
                        reason: self.word(),
                    }
                    .into(),
                )
            }
            10 => {
                let (decision_id, decision_number) = (self.text(), self.number());
                Entry::CallerGone(
                    CallerGoneEntry {
                        time,
                        decision_id,
                        decision_number,
                    }
                    .into(),
                )
            }
            7 => Entry::Stream(self.stream().into()),
            11 => Entry::Refusals(self.refusals().into()),
            8 => Entry::Gap(self.gap().into()),
            9 => Entry::Lag(
                LagEntry {
                    time,
                    missed_from: self.number(),
                    missed_to: self.number(),
                }
                .into(),
            ),
            _ => Entry::Checkpoint(self.checkpoint().into()),
        }
    }
}

/// An entry of any kind; every kind as often as any other.
pub(crate) fn entry() -> impl Strategy<Value = Entry> {
    (0..13_usize, prop::collection::vec(text(), 8), any::<u64>())
        .prop_map(|(kind, texts, state)| Drawn { texts, state }.entry(kind))
}
