//! A sink that cannot take a record: what happens to what it took, when answers are withheld for
//! it, and that it recovers by itself. The sinks are in memory, and tests choose how they fail.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use serde_json::Value;

use super::super::*;
use super::{BOUND, BUSY, FULL, SMALL, allow, audit_log, check, decision, file, one, until};
use crate::sinks::Place;
use crate::sinks::doubles::Memory;
use customs_engine::effect::Effect;
use customs_record::DecisionRecord;

#[tokio::test]
async fn records_that_went_to_a_deleted_file_are_written_again_in_the_next_one() {
    for durability in [Durability::Always, Durability::None] {
        let memory = Memory::default();
        let AuditLog {
            recorder, writers, ..
        } = audit_log(
            &[(&memory, file("a", OnFull::Block))],
            Limits::default(),
            durability,
        );
        assert!(check(&recorder, allow(1)).await);
        until("the first is written", || memory.text().contains("id-1")).await;
        // From here on records are lost with their file, including those that are written before
        // the loss is noticed.
        *memory.place.lock().unwrap() = Some(Place::Deleted);
        for number in 2..=9 {
            assert!(check(&recorder, allow(number)).await, "{number}");
        }
        writers.finish(BOUND).await.unwrap();
        let text = memory.text();
        let records: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let first = &records[0];
        assert_eq!(
            (&first["kind"], &first["previousFile"]),
            (&"stream".into(), &"deleted".into()),
            "{text}"
        );
        assert_eq!(first["previousStream"], first["stream"]);
        let number =
            |record: &Value, field: &str| record[field].as_str().unwrap().parse::<u64>().unwrap();
        let from = number(first, "previousSequence") + 1;
        let sequences: Vec<u64> = records
            .iter()
            .map(|record| number(record, "sequence"))
            .collect();
        assert_eq!(
            sequences,
            (from..from + records.len() as u64).collect::<Vec<_>>(),
            "no number is missing"
        );
        let decided = records.iter().filter(|record| record["kind"] == "decision");
        assert_eq!(
            decided
                .map(|record| number(record, "decisionNumber"))
                .collect::<Vec<_>>(),
            (2..=9).collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn a_sink_whose_file_lost_its_name_fails_until_it_has_a_place_again() {
    for (on_full, answered) in [
        (OnFull::Deny, false),
        (OnFull::Block, false),
        (OnFull::Drop, true),
    ] {
        let memory = Memory::default();
        let AuditLog {
            recorder, writers, ..
        } = one(&memory, on_full);
        assert!(check(&recorder, allow(1)).await);
        *memory.place.lock().unwrap() = Some(Place::Moved);
        *memory.turns.lock().unwrap() = Some(io::ErrorKind::NotFound);
        // No check arrives: it is noticed all the same.
        until("it is noticed", || !recorder.readings()[0].healthy).await;
        let withholds = || recorder.withholding().is_some();
        if !answered {
            until("it is past its deadline", withholds).await;
        }
        assert_eq!(
            (check(&recorder, allow(2)).await, withholds()),
            (answered, !answered),
            "{on_full:?}"
        );
        assert_eq!(recorder.readings()[0].problem, "entity not found");
        *memory.place.lock().unwrap() = None;
        *memory.turns.lock().unwrap() = None;
        until("it is back", || recorder.readings()[0].healthy).await;
        assert!(check(&recorder, allow(3)).await && !withholds());
        writers.finish(BOUND).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_knows_whether_an_answer_could_be_recorded_without_being_asked() {
    let denies = SinkConfig {
        filter: "denies".parse().unwrap(),
        ..file("a", OnFull::Deny)
    };
    for (config, durability, begin, end, expected) in [
        (
            file("a", OnFull::Block),
            Durability::None,
            Some(FULL),
            "sink fails",
            true,
        ),
        (
            file("a", OnFull::Deny),
            Durability::None,
            Some(FULL),
            "sink fails",
            true,
        ),
        (
            file("a", OnFull::Drop),
            Durability::None,
            Some(FULL),
            "drops: nothing is withheld",
            false,
        ),
        (
            denies,
            Durability::None,
            Some(FULL),
            "has a filter: the other answers are given",
            false,
        ),
        (
            file("a", OnFull::Block),
            Durability::Always,
            None,
            "does not sync",
            true,
        ),
    ] {
        let memory = Memory::default();
        let AuditLog {
            recorder, writers, ..
        } = audit_log(&[(&memory, config)], SMALL, durability);
        assert_eq!(recorder.withholding(), None, "{end}");
        match begin {
            Some(kind) => memory.answers(kind),
            None => *memory.unsynced.lock().unwrap() = true,
        }
        let entry: Arc<DecisionRecord> = decision(Effect::Deny, 1).into();
        if let Some(reservation) = recorder.admit(&entry).await {
            drop(reservation.record(entry));
        }
        until(end, || !recorder.readings()[0].healthy).await;
        if expected {
            until(end, || recorder.withholding().is_some()).await;
        }
        assert_eq!(recorder.withholding().is_some(), expected, "{end}");
        memory.answers(None);
        *memory.unsynced.lock().unwrap() = false;
        until("it is back", || {
            recorder.withholding().is_none() && recorder.readings()[0].healthy
        })
        .await;
        writers.finish(BOUND).await.unwrap();
    }
}

#[tokio::test]
async fn answers_that_no_caller_takes_keep_an_eighth_of_the_queue_and_no_more() {
    let memory = Memory::default();
    let AuditLog {
        recorder, writers, ..
    } = one(&memory, OnFull::Deny);
    let mut kept = Vec::new();
    // As in a service: each answer keeps its room until its caller takes it, unless too many do.
    for number in 1..=60 {
        let entry: Arc<DecisionRecord> = allow(number).into();
        let reservation = recorder.admit(&entry).await.unwrap();
        match recorder.is_pressed() {
            true => drop(reservation.record(entry)),
            false => kept.push((reservation, entry)),
        }
    }
    assert!(kept.len() <= 12, "{} of 100", kept.len());
    kept.into_iter()
        .for_each(|(reservation, entry)| drop(reservation.record(entry)));
    writers.finish(BOUND).await.unwrap();
    assert_eq!(memory.text().matches("\"kind\":\"decision\"").count(), 60);
}

#[tokio::test]
async fn a_full_queue_withholds_once_the_sink_takes_nothing_for_longer_than_the_deadline() {
    let memory = Memory::default();
    memory.answers(BUSY);
    let AuditLog {
        recorder, writers, ..
    } = one(&memory, OnFull::Block);
    for number in 1..=74 {
        assert!(check(&recorder, allow(number)).await);
    }
    tokio::time::sleep(2 * SMALL.deadline).await;
    assert_eq!(recorder.withholding(), None, "there is room for one more");
    assert!(check(&recorder, allow(75)).await);
    until("it is full", || recorder.withholding().is_some()).await;
    memory.answers(None);
    until("it is back", || recorder.withholding().is_none()).await;
    writers.finish(BOUND).await.unwrap();
}

#[tokio::test]
async fn a_disk_that_is_too_slow_is_tried_without_a_check() {
    let memory = Memory::default();
    let AuditLog {
        recorder, writers, ..
    } = audit_log(
        &[(&memory, file("a", OnFull::Block))],
        Limits::default(),
        Durability::Always,
    );
    *memory.sync_time.lock().unwrap() = 2 * DURABLE_WITHIN;
    assert!(!check(&recorder, allow(1)).await);
    until("it is late", || recorder.withholding().is_some()).await;
    *memory.sync_time.lock().unwrap() = Duration::ZERO;
    // A proxy that is denied sends nothing more, so the writer tries by itself.
    until("it is quick again", || recorder.withholding().is_none()).await;
    assert!(check(&recorder, allow(2)).await);
    writers.finish(BOUND).await.unwrap();
}

/// A queue without a writer, whose state a test sets.
fn queue(acknowledges: bool) -> SinkQueue {
    let config = SinkQueueConfig {
        name: "a".into(),
        filter: Filter::All,
        on_full: OnFull::Block,
        limits: SMALL,
        acknowledges,
    };
    SinkQueue::new(config).0
}

fn ago(time: Duration) -> Option<std::time::Instant> {
    std::time::Instant::now().checked_sub(time)
}

#[test]
fn one_late_sync_does_not_say_that_every_answer_is_withheld() {
    for (late, busy, expected) in [
        (0, 2 * DURABLE_WITHIN, false),
        (1, Duration::ZERO, false),
        (1, 2 * DURABLE_WITHIN, false),
        (2, Duration::ZERO, true),
        (0, 5 * DURABLE_WITHIN, true),
    ] {
        let queue = queue(true);
        queue.state.late.store(late, Relaxed);
        queue.state.set_busy(ago(busy));
        assert_eq!(
            queue.withholds().is_some(),
            expected,
            "{late} late batches, busy for {busy:?}"
        );
    }
}

#[test]
fn a_sink_that_hangs_without_an_error_is_not_healthy() {
    for (seconds, problem) in [
        (0, None),
        (
            3,
            Some("it has taken no records for 3 s, without an error: it hangs"),
        ),
    ] {
        let queue = queue(false);
        queue.state.set_busy(ago(Duration::from_secs(seconds)));
        assert_eq!(queue.trouble().as_deref(), problem);
        assert_eq!(
            queue.withholds(),
            None,
            "its queue has room, so answers are given"
        );
    }
}

#[tokio::test]
async fn callers_that_go_away_push_no_denial_out_of_the_record() {
    let memory = Memory::default();
    memory.answers(BUSY);
    let AuditLog {
        recorder, writers, ..
    } = one(&memory, OnFull::Drop);
    for number in 1..=60 {
        assert!(check(&recorder, allow(number)).await);
        recorder.record_caller_gone(&allow(number).into());
    }
    for number in 61..=85 {
        assert!(check(&recorder, decision(Effect::Deny, number)).await);
    }
    let reading = recorder.readings().remove(0);
    assert_eq!(
        (reading.lost.denials, reading.lost.events > 0),
        (0, true),
        "{reading:?}"
    );
    assert!(
        recorder.readings()[0].lost.allows > 0,
        "they share what is left to allows"
    );
    memory.answers(None);
    writers.finish(BOUND).await.unwrap();
}

#[tokio::test]
async fn whether_a_withheld_decision_is_recorded_everywhere_is_returned() {
    let (full, good) = (Memory::default(), Memory::default());
    full.answers(BUSY);
    let sinks = [
        (&full, file("a", OnFull::Deny)),
        (&good, file("b", OnFull::Block)),
    ];
    let AuditLog {
        recorder, writers, ..
    } = audit_log(&sinks, SMALL, Durability::None);
    assert!(recorder.withhold(Arc::new(allow(1).into())));
    for number in 2..=75 {
        assert!(recorder.withhold(Arc::new(allow(number).into())));
        until("the other one has it", || {
            recorder.readings()[1].queued == 0
        })
        .await;
    }
    assert!(!recorder.withhold(Arc::new(allow(76).into())));
    full.answers(None);
    writers.finish(BOUND).await.unwrap();
}
