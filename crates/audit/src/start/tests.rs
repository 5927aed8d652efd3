//! The audit log as a whole, with sinks in memory whose failures a test chooses: what is recorded,
//! what is withheld, what is counted as lost, and what is on the disk before an answer is given.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::*;
use crate::config::OnFull;
use crate::sinks::doubles::{Memory, Step};
use customs_engine::effect::Effect;
use customs_engine::reason::Reason;
use customs_record::chain::Head;
use customs_record::examples::{full_change, full_decision};
use customs_record::{DecisionEntry, DecisionRecord, Entry};

mod admission;
mod end;
mod waiting;
mod withholding;

pub(super) const BOUND: Duration = Duration::from_secs(20);
pub(super) const FULL: io::ErrorKind = io::ErrorKind::StorageFull;
pub(super) const BUSY: io::ErrorKind = io::ErrorKind::WouldBlock;

/// A small queue: a hundred records, of which allows may take seventy-five.
pub(super) const SMALL: Limits = Limits {
    records: 100,
    bytes: 1 << 30,
    waiting: 8,
    deadline: Duration::from_millis(60),
};

pub(super) fn file(name: &str, on_full: OnFull) -> SinkConfig {
    SinkConfig {
        on_full,
        ..SinkConfig::to(Target::File(name.into()))
    }
}

/// An audit log with these sinks; the files of the settings are never opened.
pub(super) fn audit_log(
    sinks: &[(&Memory, SinkConfig)],
    limits: Limits,
    durability: Durability,
) -> AuditLog {
    let config = AuditLogConfig {
        sinks: sinks.iter().map(|(_, config)| config.clone()).collect(),
        durability,
        limits,
        checkpoints: Every::default(),
        redact: RedactConfig::default(),
        checkpoint_file: None,
        signing_key: None,
    };
    start_with(
        &config,
        sinks.iter().map(|(memory, _)| memory.boxed()).collect(),
        Reopen::default(),
    )
    .unwrap()
}

pub(super) fn one(memory: &Memory, on_full: OnFull) -> AuditLog {
    audit_log(&[(memory, file("a", on_full))], SMALL, Durability::None)
}

pub(super) fn decision(effect: Effect, number: u64) -> DecisionEntry {
    let mut entry = full_decision();
    (entry.effect, entry.verdict.effect, entry.dry_run.effect) = (effect, effect, effect);
    entry.decision_number = number;
    entry.decision_id = format!("id-{number}");
    entry
}

pub(super) fn allow(number: u64) -> DecisionEntry {
    decision(Effect::Allow, number)
}

/// Decides as a check does; true if it got the answer of its decision.
pub(super) async fn check(recorder: &Recorder, mut entry: DecisionEntry) -> bool {
    let packed = Arc::new(DecisionRecord::from(&entry));
    let Some(reservation) = recorder.admit(&packed).await else {
        (entry.effect, entry.verdict.effect) = (Effect::Deny, Effect::Deny);
        recorder.withhold(entry.into());
        return false;
    };
    reservation
        .record(packed.clone())
        .wait_durable(&packed, Reason::AuditUnavailable.as_str())
        .await
}

/// The records in a text, whose sequence must have no gap and whose chain must hold.
fn records(text: &str) -> Vec<Value> {
    let mut head = Head::START;
    text.lines()
        .zip(1..)
        .map(|(line, number)| {
            let record: Value = serde_json::from_str(line).unwrap();
            assert_eq!(
                record["sequence"],
                Value::from(format!("{number}")),
                "{line}"
            );
            head = head.then(line.split_once(",\"chain\"").unwrap().0.as_bytes());
            assert_eq!(record["chain"], head.hex().as_str(), "{line}");
            record
        })
        .collect()
}

pub(super) fn of_kind(text: &str, kind: &str) -> Vec<Value> {
    records(text)
        .into_iter()
        .filter(|record| record["kind"] == kind)
        .collect()
}

/// The decisions that a text's gaps count.
pub(super) fn lost(text: &str) -> u64 {
    let count = |gap: &Value, class: &str| {
        gap["lost"][class]
            .as_str()
            .map_or(0, |text| text.parse().unwrap())
    };
    let classes = ["allows", "denials", "differing", "withheld"];
    of_kind(text, "gap")
        .iter()
        .flat_map(|gap| classes.map(|class| count(gap, class)))
        .sum()
}

pub(super) async fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < BOUND, "still waiting until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_is_in_every_sink_numbered_and_chained() {
    let (first, second) = (Memory::default(), Memory::default());
    let sinks = [
        (&first, file("a", OnFull::Block)),
        (&second, file("b", OnFull::Drop)),
    ];
    let AuditLog {
        recorder, writers, ..
    } = audit_log(&sinks, Limits::default(), Durability::None);
    let checks: Vec<_> = (0..4)
        .map(|_| {
            let recorder = recorder.clone();
            tokio::spawn(async move {
                for _ in 0..500 {
                    assert!(check(&recorder, allow(recorder.number())).await);
                }
            })
        })
        .collect();
    for check in checks {
        check.await.unwrap();
    }
    recorder
        .record(Entry::PolicyChange(full_change().into()))
        .await;
    writers.finish(BOUND).await.unwrap();
    for memory in [first, second] {
        let text = memory.text();
        let mut numbers: Vec<u64> = of_kind(&text, "decision")
            .iter()
            .map(|record| {
                record["decisionId"]
                    .as_str()
                    .unwrap()
                    .trim_start_matches("id-")
                    .parse()
                    .unwrap()
            })
            .collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=2_000).collect::<Vec<_>>());
        let kinds: Vec<_> = records(&text)
            .iter()
            .map(|record| record["kind"].clone())
            .collect();
        assert_eq!(
            (kinds.first().unwrap(), kinds.last().unwrap()),
            (&"stream".into(), &"checkpoint".into())
        );
        assert_eq!(of_kind(&text, "policyChange").len(), 1);
        assert_eq!(memory.on_disk(), text);
    }
    assert!(
        recorder
            .readings()
            .iter()
            .all(|reading| reading.written == 2_001 && reading.queued == 0)
    );
}

#[tokio::test]
async fn a_torn_record_is_continued_and_not_repeated() {
    let failures = [
        Step::Take(10),
        Step::Fail(FULL),
        Step::Take(1),
        Step::Take(0),
    ];
    let harmless = [
        Step::Fail(io::ErrorKind::Interrupted),
        Step::Fail(BUSY),
        Step::Take(7),
    ];
    let memory = Memory::with(failures.into_iter().chain(harmless));
    let AuditLog {
        recorder, writers, ..
    } = one(&memory, OnFull::Drop);
    for number in 1..=3 {
        assert!(check(&recorder, allow(number)).await);
    }
    writers.finish(BOUND).await.unwrap();
    assert_eq!(of_kind(&memory.text(), "decision").len(), 3);
    assert_eq!(recorder.readings()[0].failures, 2);
}

#[tokio::test]
async fn a_failing_sink_withholds_at_once_where_it_denies() {
    let (full, good) = (Memory::default(), Memory::default());
    let sinks = [
        (&full, file("a", OnFull::Deny)),
        (&good, file("b", OnFull::Block)),
    ];
    let AuditLog {
        recorder, writers, ..
    } = audit_log(&sinks, SMALL, Durability::None);
    assert!(check(&recorder, allow(1)).await);
    until("it is written", || {
        of_kind(&full.text(), "decision").len() == 1
    })
    .await;
    full.answers(FULL);
    assert!(
        check(&recorder, allow(2)).await,
        "nothing shows that it fails before something is written"
    );
    until("it fails", || !recorder.readings()[0].healthy).await;
    for number in 3..=5 {
        assert!(!check(&recorder, allow(number)).await);
    }
    full.answers(None);
    until("it is written again", || recorder.readings()[0].healthy).await;
    assert!(check(&recorder, allow(6)).await);
    writers.finish(BOUND).await.unwrap();
    for memory in [full, good] {
        let text = memory.text();
        assert_eq!(of_kind(&text, "decision").len() as u64 + lost(&text), 6);
        let denied = of_kind(&text, "decision")
            .iter()
            .filter(|record| record["effect"] == "deny")
            .count();
        assert_eq!(
            denied, 3,
            "a withheld answer is on record as the denial that it was"
        );
    }
}

#[tokio::test]
async fn a_full_queue_drops_and_counts_where_it_drops() {
    let memory = Memory::default();
    memory.answers(BUSY);
    let AuditLog {
        recorder, writers, ..
    } = one(&memory, OnFull::Drop);
    for number in 1..=200 {
        assert!(check(&recorder, allow(number)).await, "a check never waits");
    }
    for number in 201..=240 {
        assert!(check(&recorder, decision(Effect::Deny, number)).await);
    }
    recorder
        .record(Entry::PolicyChange(full_change().into()))
        .await;
    let dropped = recorder.readings()[0].lost;
    assert_eq!(
        (dropped.allows, dropped.denials, dropped.events),
        (125, 15, 1),
        "the last quarter is for denials"
    );
    memory.answers(None);
    writers.finish(BOUND).await.unwrap();
    let text = memory.text();
    assert_eq!(of_kind(&text, "decision").len(), 100);
    assert_eq!((of_kind(&text, "gap").len(), lost(&text)), (1, 140));
    assert_eq!(of_kind(&text, "gap")[0]["lost"]["events"], "1");
}

#[tokio::test]
async fn a_full_queue_denies_where_it_denies() {
    let memory = Memory::default();
    memory.answers(BUSY);
    let AuditLog {
        recorder, writers, ..
    } = one(&memory, OnFull::Deny);
    let mut answered = 0;
    for number in 1..=120 {
        answered += u64::from(check(&recorder, allow(number)).await);
    }
    assert_eq!(answered, 75);
    assert!(
        check(&recorder, decision(Effect::Deny, 121)).await,
        "a denial still has its quarter"
    );
    memory.answers(None);
    writers.finish(BOUND).await.unwrap();
    let text = memory.text();
    assert_eq!(
        (of_kind(&text, "decision").len() as u64, lost(&text)),
        (76, 45)
    );
    assert_eq!(of_kind(&text, "gap")[0]["lost"]["withheld"], "45");
}

#[tokio::test]
async fn a_full_queue_blocks_and_loses_nothing_where_it_blocks() {
    let memory = Memory::default();
    memory.answers(BUSY);
    let AuditLog {
        recorder, writers, ..
    } = one(&memory, OnFull::Block);
    for number in 1..=75 {
        assert!(check(&recorder, allow(number)).await);
    }
    let waiting = tokio::spawn({
        let recorder = recorder.clone();
        async move { check(&recorder, allow(76)).await }
    });
    tokio::time::sleep(SMALL.deadline / 3).await;
    assert!(!waiting.is_finished(), "it waits");
    memory.answers(None);
    assert!(
        waiting.await.unwrap(),
        "and gets its answer once there is room"
    );
    memory.answers(BUSY);
    until("the queue is full", || {
        let filled = (0..75)
            .filter(|_| recorder.readings()[0].queued < 75)
            .count();
        filled == 0 || futures_now(check(&recorder, allow(100))).is_none()
    })
    .await;
    let start = Instant::now();
    assert!(
        !check(&recorder, allow(77)).await,
        "after the deadline it is denied"
    );
    assert!(start.elapsed() >= SMALL.deadline);
    memory.answers(None);
    writers.finish(BOUND).await.unwrap();
    let text = memory.text();
    assert!(
        of_kind(&text, "decision")
            .iter()
            .any(|record| record["decisionId"] == "id-76")
    );
}

/// The result of a future that is ready now.
fn futures_now<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    match future
        .as_mut()
        .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    {
        std::task::Poll::Ready(value) => Some(value),
        std::task::Poll::Pending => None,
    }
}

#[tokio::test]
async fn memory_is_bounded_by_bytes_too() {
    let memory = Memory::default();
    memory.answers(BUSY);
    let limits = Limits {
        records: 1_000_000,
        bytes: 100_000,
        ..SMALL
    };
    let AuditLog {
        recorder, writers, ..
    } = audit_log(
        &[(&memory, file("a", OnFull::Drop))],
        limits,
        Durability::None,
    );
    for number in 1..=1_000 {
        check(&recorder, allow(number)).await;
    }
    let reading = recorder.readings().remove(0);
    assert!(
        reading.queued_bytes <= 75_000 && reading.queued > 10,
        "{reading:?}"
    );
    assert_eq!(reading.queued + reading.lost.allows, 1_000);
    memory.answers(None);
    writers.finish(BOUND).await.unwrap();
}

#[tokio::test]
async fn each_sink_has_its_own_filter_and_its_own_numbers() {
    let (all, denies) = (Memory::default(), Memory::default());
    let filtered = SinkConfig {
        filter: Filter::Denies,
        ..file("b", OnFull::Block)
    };
    let sinks = [(&all, file("a", OnFull::Block)), (&denies, filtered)];
    let AuditLog {
        recorder, writers, ..
    } = audit_log(&sinks, SMALL, Durability::None);
    for number in 1..=20 {
        let effect = if number % 5 == 0 {
            Effect::Deny
        } else {
            Effect::Allow
        };
        assert!(check(&recorder, decision(effect, number)).await);
    }
    writers.finish(BOUND).await.unwrap();
    assert_eq!(of_kind(&all.text(), "decision").len(), 20);
    assert_eq!(of_kind(&denies.text(), "decision").len(), 4);
    assert_ne!(
        records(&all.text())[0]["stream"],
        records(&denies.text())[0]["stream"]
    );
}
