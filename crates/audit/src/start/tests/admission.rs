//! Admission that never waits, on a thread without a runtime: a decision with room is recorded, one
//! without is withheld at once and counted.

use std::thread;
use std::time::{Duration, Instant};

use super::super::*;
use super::{BOUND, FULL, SMALL, allow, audit_log, decision, file, lost, of_kind, one};
use crate::config::OnFull;
use crate::sinks::doubles::Memory;
use customs_engine::effect::Effect;
use customs_record::{DecisionEntry, DecisionRecord};

/// Decides as a host does that must not wait; true if the answer is given.
fn check(recorder: &Recorder, entry: DecisionEntry) -> bool {
    let packed = Arc::new(DecisionRecord::from(&entry));
    match recorder.try_admit(&packed) {
        Some(reservation) => drop(reservation.record(packed)),
        None => {
            recorder.withhold(packed);
            return false;
        }
    }
    true
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < BOUND, "still waiting until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_has_room_is_recorded_in_every_sink() {
    assert!(
        tokio::runtime::Handle::try_current().is_err(),
        "there must be no runtime"
    );
    let (first, second) = (Memory::default(), Memory::default());
    let sinks = [
        (&first, file("a", OnFull::Block)),
        (&second, file("b", OnFull::Deny)),
    ];
    let AuditLog {
        recorder, writers, ..
    } = audit_log(&sinks, Limits::default(), Durability::None);
    assert!((1..=200).all(|number| check(&recorder, allow(number))));
    let gone = DecisionRecord::from(&allow(200));
    recorder.record_caller_gone(&gone);
    writers.finish_blocking(BOUND).unwrap();
    for memory in [first, second] {
        let text = memory.text();
        assert_eq!(
            (
                of_kind(&text, "decision").len(),
                of_kind(&text, "callerGone").len()
            ),
            (200, 1)
        );
    }
}

#[test]
fn a_sink_that_blocks_and_has_no_room_gives_none_at_once() {
    for way in [OnFull::Block, OnFull::Deny] {
        let memory = Memory::default();
        memory.answers(FULL);
        // Long enough that a check which waits would show.
        let limits = Limits {
            deadline: BOUND,
            ..SMALL
        };
        let AuditLog {
            recorder, writers, ..
        } = audit_log(&[(&memory, file("a", way))], limits, Durability::None);
        until("the sink fails", || !recorder.readings()[0].healthy);
        let begun = Instant::now();
        let answered = (1..=200)
            .filter(|number| check(&recorder, allow(*number)))
            .count();
        assert!(begun.elapsed() < BOUND / 2);
        assert_eq!(answered, 0, "{way:?}");
        memory.answers(None);
        writers.finish_blocking(BOUND).unwrap();
        let text = memory.text();
        assert_eq!(
            of_kind(&text, "decision").len() as u64 + lost(&text),
            200,
            "{way:?}"
        );
    }
}

#[test]
fn a_full_queue_keeps_its_last_quarter_for_denials() {
    let memory = Memory::default();
    let limits = Limits {
        deadline: BOUND,
        ..SMALL
    };
    let AuditLog {
        recorder, writers, ..
    } = audit_log(
        &[(&memory, file("a", OnFull::Block))],
        limits,
        Durability::None,
    );
    let packed = |effect, number| DecisionRecord::from(&decision(effect, number));
    // Room that is reserved and not used yet.
    let reservations: Vec<_> = (1..=100)
        .map_while(|number| recorder.try_admit(&packed(Effect::Allow, number)))
        .collect();
    assert_eq!(reservations.len(), 75);
    assert!(recorder.try_admit(&packed(Effect::Deny, 101)).is_some());
    drop(reservations);
    assert!(
        recorder.try_admit(&packed(Effect::Allow, 102)).is_some(),
        "room that was given back"
    );
    writers.finish_blocking(BOUND).unwrap();
    // A reservation that is never used counts as withheld.
    assert_eq!(
        (
            of_kind(&memory.text(), "decision").len(),
            recorder.readings()[0].lost.withheld
        ),
        (0, 77)
    );
}

#[test]
fn a_sink_that_drops_lets_the_answer_pass_and_counts() {
    let memory = Memory::default();
    let AuditLog {
        recorder, writers, ..
    } = one(&memory, OnFull::Drop);
    let reservations: Vec<_> = (1..=75)
        .map_while(|number| recorder.try_admit(&DecisionRecord::from(&allow(number))))
        .collect();
    assert!(check(&recorder, allow(76)), "its answer is given");
    assert_eq!(recorder.readings()[0].lost.allows, 1);
    drop(reservations);
    writers.finish_blocking(BOUND).unwrap();
}
