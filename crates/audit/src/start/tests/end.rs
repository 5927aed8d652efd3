//! What is on the disk before an answer is given, and how the audit log ends.

use std::time::{Duration, Instant};

use super::super::*;
use super::{BOUND, FULL, SMALL, allow, audit_log, check, file, futures_now, of_kind, one, until};
use crate::config::OnFull;
use crate::sinks::doubles::{Memory, Step};
use customs_record::examples::full_change;
use customs_record::{DecisionRecord, Entry};

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_after_the_sync_that_covers_its_record() {
    let memory = Memory::default();
    *memory.sync_time.lock().unwrap() = Duration::from_millis(1);
    let sinks = [(&memory, file("a", OnFull::Block))];
    let AuditLog {
        recorder, writers, ..
    } = audit_log(&sinks, Limits::default(), Durability::Always);
    let checks: Vec<_> = (0..8)
        .map(|_| {
            let (recorder, memory) = (recorder.clone(), memory.clone());
            tokio::spawn(async move {
                for _ in 0..50 {
                    let entry = allow(recorder.number());
                    let id = entry.decision_id.clone();
                    assert!(check(&recorder, entry).await);
                    // What is on the disk at the moment at which the answer is given.
                    assert!(
                        memory
                            .on_disk()
                            .contains(&format!("\"decisionId\":\"{id}\"")),
                        "{id} is not on the disk"
                    );
                }
            })
        })
        .collect();
    for check in checks {
        check.await.unwrap();
    }
    writers.finish(BOUND).await.unwrap();
}

#[tokio::test]
async fn an_answer_whose_record_does_not_reach_the_disk_is_withheld() {
    let memory = Memory::default();
    let sinks = [(&memory, file("a", OnFull::Block))];
    let AuditLog {
        recorder, writers, ..
    } = audit_log(&sinks, Limits::default(), Durability::Always);
    assert!(check(&recorder, allow(1)).await);
    *memory.unsynced.lock().unwrap() = true;
    assert!(!check(&recorder, allow(2)).await);
    *memory.unsynced.lock().unwrap() = false;
    assert!(check(&recorder, allow(3)).await);
    *memory.sync_time.lock().unwrap() = 2 * DURABLE_WITHIN;
    assert!(!check(&recorder, allow(4)).await, "too late is not in time");
    writers.finish(BOUND).await.unwrap();
    let withheld: Vec<_> = of_kind(&memory.text(), "withheld");
    let ids: Vec<_> = withheld
        .iter()
        .map(|record| record["decisionId"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["id-2", "id-4"], "and that is on record");
}

#[tokio::test]
async fn records_that_cannot_be_written_in_time_are_reported() {
    let memory = Memory::default();
    memory.answers(FULL);
    let AuditLog {
        recorder, writers, ..
    } = one(&memory, OnFull::Drop);
    for number in 1..=3 {
        check(&recorder, allow(number)).await;
    }
    let end = writers.finish(Duration::from_millis(50)).await;
    assert_eq!(
        end,
        Err(AuditFlushError::Lost {
            sink: "file:a".into(),
            lost: 3
        })
    );
    assert!(
        !check(&recorder, allow(4)).await || recorder.readings()[0].lost.allows == 1,
        "nothing is accepted any more"
    );
}

#[tokio::test]
async fn room_that_is_never_used_does_not_hold_the_end() {
    let memory = Memory::default();
    let AuditLog {
        recorder, writers, ..
    } = one(&memory, OnFull::Block);
    let entry: DecisionRecord = allow(1).into();
    let reservation = recorder.admit(&entry).await.unwrap();
    let start = Instant::now();
    writers.finish(Duration::from_millis(50)).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(5));
    drop(reservation);
}

#[tokio::test]
async fn the_end_waits_for_answers_that_are_being_given() {
    let memory = Memory::default();
    let AuditLog {
        recorder, writers, ..
    } = one(&memory, OnFull::Block);
    let entry: DecisionRecord = allow(1).into();
    let reservation = recorder.admit(&entry).await.unwrap();
    let end = tokio::spawn(writers.finish(BOUND));
    until("nothing new is accepted", || {
        futures_now(recorder.admit(&entry)).flatten().is_none()
    })
    .await;
    let _ = reservation.record(entry.into());
    end.await.unwrap().unwrap();
    assert_eq!(of_kind(&memory.text(), "decision").len(), 1);
}

#[tokio::test]
async fn without_a_sink_there_is_always_room() {
    let AuditLog {
        recorder,
        mut writers,
        ..
    } = audit_log(&[], SMALL, Durability::None);
    assert!(check(&recorder, allow(1)).await);
    recorder
        .record(Entry::PolicyChange(full_change().into()))
        .await;
    assert!(futures_now(writers.ended()).is_none());
    writers.finish(BOUND).await.unwrap();
}

#[tokio::test]
async fn checkpoints_of_files_are_copied_to_sinks_that_leave_the_machine() {
    let (near, far) = (Memory::default(), Memory::default());
    let sinks = [
        (&near, file("a", OnFull::Block)),
        (&far, SinkConfig::to(Target::Otlp("http://x:1".into()))),
    ];
    let AuditLog {
        recorder, writers, ..
    } = audit_log(&sinks, SMALL, Durability::None);
    assert!(check(&recorder, allow(1)).await);
    writers.finish(BOUND).await.unwrap();
    let own = |text: &str| of_kind(text, "checkpoint").len();
    assert_eq!((own(&near.text()), own(&far.text())), (1, 2));
}

#[tokio::test]
async fn an_answer_waits_for_every_file_that_keeps_all() {
    let (slow, quick) = (Memory::default(), Memory::default());
    *slow.sync_time.lock().unwrap() = Duration::from_millis(30);
    let sinks = [
        (&slow, file("a", OnFull::Block)),
        (&quick, file("b", OnFull::Block)),
    ];
    let AuditLog {
        recorder, writers, ..
    } = audit_log(&sinks, Limits::default(), Durability::Always);
    assert!(check(&recorder, allow(1)).await);
    for memory in [&slow, &quick] {
        assert!(memory.on_disk().contains("\"decisionId\":\"id-1\""));
    }
    *quick.unsynced.lock().unwrap() = true;
    assert!(!check(&recorder, allow(2)).await);
    *quick.unsynced.lock().unwrap() = false;
    writers.finish(BOUND).await.unwrap();
}

#[tokio::test]
async fn a_writer_that_panics_ends_the_audit_log_and_is_answered_by_nobody() {
    for on_full in [OnFull::Block, OnFull::Deny, OnFull::Drop] {
        let memory = Memory::with([Step::Take(usize::MAX), Step::Panic]);
        let AuditLog {
            recorder,
            mut writers,
            ..
        } = one(&memory, on_full);
        // The first write is the beginning of the stream; the second panics.
        check(&recorder, allow(1)).await;
        tokio::time::timeout(BOUND, writers.ended())
            .await
            .expect("the owner learns that the writer has ended");
        until("nothing has room any more", || {
            !recorder.readings()[0].healthy
        })
        .await;
        assert_eq!(
            check(&recorder, allow(2)).await,
            on_full == OnFull::Drop,
            "{on_full:?}: an answer needs a writer for its record"
        );
        assert_eq!(
            recorder.withholding().is_some(),
            on_full != OnFull::Drop,
            "{on_full:?}: the server is not ready"
        );
        // An event does not wait for a thread that is gone.
        let event = recorder.record(Entry::PolicyChange(full_change().into()));
        tokio::time::timeout(BOUND, event).await.expect("no wait");
        let end = writers.finish(BOUND).await;
        assert_eq!(end, Err(AuditFlushError::Gone("file:a".into())));
    }
}
