//! Checks that wait for room: how many may, and what happens to one that is abandoned.

use std::time::Duration;

use super::super::*;
use super::{BOUND, BUSY, SMALL, allow, audit_log, check, file, futures_now, lost, of_kind};
use crate::config::OnFull;
use crate::sinks::doubles::Memory;
use customs_record::DecisionRecord;

#[tokio::test]
async fn only_so_many_checks_wait() {
    let memory = Memory::default();
    memory.answers(BUSY);
    let limits = Limits {
        waiting: 2,
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
    for number in 1..=75 {
        assert!(check(&recorder, allow(number)).await);
    }
    let waiting: Vec<_> = (0..2)
        .map(|number| {
            let recorder = recorder.clone();
            tokio::spawn(async move { check(&recorder, allow(100 + number)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(
        !check(&recorder, allow(200)).await,
        "the third is denied at once"
    );
    memory.answers(None);
    for waiting in waiting {
        assert!(waiting.await.unwrap());
    }
    writers.finish(BOUND).await.unwrap();
}

#[tokio::test]
async fn a_check_that_is_given_up_while_it_waits_for_one_sink_is_on_record_or_counted_in_every_sink()
 {
    let (first, second) = (Memory::default(), Memory::default());
    first.answers(BUSY);
    let sinks = [
        (&first, file("a", OnFull::Block)),
        (&second, file("b", OnFull::Block)),
    ];
    let AuditLog {
        recorder, writers, ..
    } = audit_log(&sinks, SMALL, Durability::None);
    for number in 1..=75 {
        assert!(check(&recorder, allow(number)).await);
    }
    let mut entry: DecisionRecord = allow(76).into();
    assert!(
        futures_now(recorder.admit(&entry)).is_none(),
        "it waits, and is dropped"
    );
    drop(recorder.admit(&entry));
    entry.mark_caller_gone();
    recorder.withhold(entry.into());
    first.answers(None);
    writers.finish(BOUND).await.unwrap();
    for memory in [first, second] {
        let (decisions, lost) = (of_kind(&memory.text(), "decision"), lost(&memory.text()));
        assert_eq!(decisions.len() as u64 + lost, 76);
    }
}
