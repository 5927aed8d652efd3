//! customs itself fails on one check in a hundred, in any of its parts: exactly those are denied, and
//! the audit log and the metrics account for every check.
//!
//! The decision log is the program's own. In front of it is one that panics now and then, which to
//! the service is a bug; the program has no switch for that.

use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use customs::app::decision_log::AuditedDecisionLog;
use customs::ops::exposition::Exposition;
use customs::ops::metrics::{InFlight, Metrics};
use customs_audit::checkpoint::Every;
use customs_audit::config::SinkConfig;
use customs_audit::recorder::Reservation;
use customs_audit::redact::RedactConfig;
use customs_audit::sink_queue::Limits;
use customs_audit::start::{AuditLog, AuditLogConfig, start};
use customs_audit::writer::Durability;
use customs_engine::decision::Decision;
use customs_engine::settings::Settings;
use customs_engine::snapshot::Snapshot;
use customs_engine::time::UnixNanos;
use customs_extauthz::response::{self, Options};
use customs_extauthz::{CallTrace, Checks, Commit, Deadline, DecisionLog, PeerIdentity, Untraced};
use customs_policy::compile::compile;
use customs_policy::source::{self, PolicyFile, Source};
use customs_policy::store;
use customs_record::clock::now;
use customs_record::{DecisionRecord, PeerAddress, RefusalCause, TraceContext};
use customs_test_support::audited_server::{Count, mixed, verify};
use prost::Message;
use tempfile::TempDir;

/// How many checks there are, and how many of them are between two that fail.
const CHECKS: u64 = 2_000;
const EVERY: u64 = 100;

/// The functions that panic in turn. A check that waits for the disk has been recorded once it is
/// committed.
const FUNCTIONS: [&str; 5] = ["next_number", "count_rules", "reserve", "commit", "record"];

/// Panics in the function that is due, once, and passes everything on.
struct FailingLog {
    log: AuditedDecisionLog,
    due: Mutex<Option<&'static str>>,
}

impl FailingLog {
    fn may_panic(&self, function: &str) {
        let is_due = self.due.lock().unwrap().take_if(|due| *due == function);
        assert!(is_due.is_none(), "a bug in {function}");
    }
}

impl DecisionLog for FailingLog {
    type Reservation = Reservation;
    type InFlight<'l> = InFlight<'l>;
    type Trace = Untraced;

    fn begin(&self) -> InFlight<'_> {
        self.log.begin()
    }

    fn next_number(&self) -> u64 {
        self.may_panic("next_number");
        self.log.next_number()
    }

    fn may_trace(&self) -> bool {
        false
    }

    fn begin_trace(
        &self,
        _parent: impl FnOnce() -> Option<TraceContext>,
        _time: UnixNanos,
        _started: Instant,
    ) -> Option<Untraced> {
        None
    }

    fn end_trace(&self, trace: Untraced, _record: &DecisionRecord, _is_answered: bool) {
        match trace {}
    }

    fn count_rules(&self, decision: &Decision, time: UnixNanos) {
        self.may_panic("count_rules");
        self.log.count_rules(decision, time);
    }

    async fn reserve(&self, record: &DecisionRecord) -> Option<Reservation> {
        self.may_panic("reserve");
        self.log.reserve(record).await
    }

    async fn commit(
        &self,
        reservation: Reservation,
        record: &Arc<DecisionRecord>,
    ) -> Commit<Reservation> {
        self.may_panic("commit");
        self.log.commit(reservation, record).await
    }

    fn record(&self, reservation: Reservation, record: Arc<DecisionRecord>) {
        self.may_panic("record");
        self.log.record(reservation, record);
    }

    fn withhold(&self, record: Arc<DecisionRecord>) -> bool {
        self.log.withhold(record)
    }

    fn caller_gone(&self, record: Option<&DecisionRecord>) {
        self.log.caller_gone(record);
    }

    fn count_panic(&self) {
        self.log.count_panic();
    }

    fn refuse(&self, peer: PeerAddress, cause: RefusalCause, example: &dyn Display) {
        self.log.refuse(peer, cause, example);
    }

    fn shed(&self, peer: PeerAddress, checks: u64) {
        self.log.shed(peer, checks);
    }
}

fn snapshot() -> Snapshot {
    let policy = b"apiVersion: egress.customs/v1alpha1
kind: EgressPolicy
metadata: {name: no-aliyun, namespace: demo-frontend}
spec:
  deny: [{name: www, hosts: [www.aliyun.com]}]
";
    let settings = Settings::default();
    let file = PolicyFile {
        name: "a.yaml".into(),
        bytes: policy.as_slice().into(),
    };
    let source = Source {
        name: "policies".into(),
        files: vec![file],
        ..Source::default()
    };
    compile(&[source::load(&source, &settings)], &settings)
        .unwrap()
        .snapshot
}

fn audit_log(file: &Path, durability: Durability) -> AuditLog {
    let sink: SinkConfig = format!("file:{}", file.display()).parse().unwrap();
    let config = AuditLogConfig {
        sinks: vec![sink],
        durability,
        limits: Limits::default(),
        checkpoints: Every::default(),
        redact: RedactConfig::default(),
        checkpoint_file: None,
        signing_key: None,
    };
    start(&config).unwrap()
}

/// Returns a folder in memory, where there is one. On a disk that other programs keep busy a sync may
/// take longer than an answer waits for it; such a check is denied, as it must be, and is not the
/// subject here.
fn folder_in_memory() -> TempDir {
    let in_memory = tempfile::tempdir_in("/dev/shm");
    in_memory.or_else(|_| tempfile::tempdir()).unwrap()
}

#[tokio::test]
async fn exactly_the_checks_that_fail_are_denied_and_all_are_accounted_for() {
    for (durability, functions) in [
        (Durability::None, &FUNCTIONS[..]),
        (Durability::Always, &FUNCTIONS[..4]),
    ] {
        let folder = folder_in_memory();
        let file = folder.path().join("audit.jsonl");
        let AuditLog {
            recorder, writers, ..
        } = audit_log(&file, durability);
        let metrics = Arc::new(Metrics::new());
        let log = Arc::new(FailingLog {
            log: AuditedDecisionLog {
                recorder,
                metrics: metrics.clone(),
                refusals: Arc::default(),
                spans: None,
            },
            due: Mutex::default(),
        });
        let (_publisher, reader) = store::cell(snapshot());
        let checks = Checks::new(reader, log.clone(), Options::default(), Vec::new());
        let asked: Vec<_> = mixed().iter().map(Message::encode_to_vec).collect();
        let mut due = functions.iter().cycle();
        let (mut failed, mut by_gap) = (0, 0);
        for number in 0..CHECKS {
            let place = usize::try_from(number).unwrap() % asked.len();
            let fails = (number % EVERY == EVERY / 2).then(|| *due.next().unwrap());
            *log.due.lock().unwrap() = fails;
            let (deadline, peer) = (Deadline::default(), PeerIdentity::default());
            let answered = checks
                .answer(&asked[place], deadline, &peer, CallTrace::default())
                .await;
            let (framed, pending) = answered.unwrap().expect("an answer");
            let framed = checks.sent(pending).unwrap_or(framed);
            assert_eq!(*log.due.lock().unwrap(), None, "{fails:?} was called");
            let status = response::read(&framed).unwrap().status.unwrap();
            let expected = match (fails, place) {
                (Some(_), _) => (7, "internal_error"),
                (None, 0) => (7, "denied_by_rule"),
                (None, _) => (0, ""),
            };
            assert_eq!((status.code, status.message.as_str()), expected, "{number}");
            failed += u64::from(fails.is_some());
            by_gap += u64::from(matches!(fails, Some("commit" | "record")));
        }
        drop((checks, log));
        writers.finish(Duration::from_secs(20)).await.unwrap();
        assert_eq!(failed, CHECKS / EVERY);
        let numbers = metrics.encode(now(), Exposition::Classic);
        for line in [
            format!("customs_check_panics_total {failed}"),
            "customs_checks_in_flight 0".to_owned(),
        ] {
            assert!(
                numbers.contains(&format!("\n{line}\n")),
                "{line}: {numbers}"
            );
        }
        // A reservation that a panic dropped is a gap; every other check has its record.
        let count = Count::of(std::slice::from_ref(&file));
        assert_eq!(count.lost, (by_gap, 0), "{durability:?}");
        assert_eq!(count.decisions(), CHECKS - by_gap, "{durability:?}");
        let text = std::fs::read_to_string(&file).unwrap();
        let recorded = text.matches("\"reason\":\"internal_error\"").count();
        assert_eq!(recorded as u64, failed - by_gap, "{durability:?}");
        let (code, said) = verify(&[file]);
        assert_eq!(code, 0, "{said}");
        println!(
            "{durability:?}: {CHECKS} checks, {failed} of them failed and were denied, 0 others; \
             {by_gap} by a gap, the others by a record"
        );
    }
}
