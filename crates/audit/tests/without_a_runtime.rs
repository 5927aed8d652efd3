//! A host without an async runtime: a plain thread opens a file, admits decisions, waits for the
//! disk, ends the audit log and verifies it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use customs_audit::checkpoint::Every;
use customs_audit::config::SinkConfig;
use customs_audit::redact::RedactConfig;
use customs_audit::sink_queue::Limits;
use customs_audit::start::{AuditLog, AuditLogConfig, start};
use customs_audit::writer::Durability;
use customs_record::examples::{full_change, full_decision};
use customs_record::verify::report::Outcome;
use customs_record::verify::{VerifyOptions, verify};
use customs_record::{DecisionRecord, Entry};

/// How many decisions are admitted.
const DECISIONS: u64 = 100;

const BOUND: Duration = Duration::from_secs(20);

fn config(file: &Path, durability: Durability) -> AuditLogConfig {
    let sink: SinkConfig = format!("file:{}", file.display()).parse().unwrap();
    AuditLogConfig {
        sinks: vec![sink],
        durability,
        limits: Limits::default(),
        checkpoints: Every::default(),
        redact: RedactConfig::default(),
        checkpoint_file: None,
        signing_key: None,
    }
}

#[test]
fn a_record_is_written_and_ended_without_a_runtime() {
    let folder = tempfile::tempdir().unwrap();
    for durability in [Durability::None, Durability::Always] {
        let file = folder.path().join(format!("{durability:?}.jsonl"));
        let AuditLog {
            recorder, writers, ..
        } = start(&config(&file, durability)).unwrap();
        assert!(recorder.try_record(&Entry::PolicyChange(full_change().into())));
        for number in 1..=DECISIONS {
            let mut decision = full_decision();
            decision.decision_number = number;
            let decision = Arc::new(DecisionRecord::from(&decision));
            let reservation = recorder.try_admit(&decision).unwrap();
            let ack = reservation.record(decision.clone());
            assert!(ack.wait_durable_blocking(&decision, "audit_unavailable"));
            let is_promised = durability == Durability::Always;
            assert!(!is_promised || recorder.readings()[0].written >= number);
        }
        writers.finish_blocking(BOUND).unwrap();
        assert!(
            tokio::runtime::Handle::try_current().is_err(),
            "the thread has a runtime"
        );
        let report = verify(&VerifyOptions {
            files: vec![file],
            checkpoints: None,
            keys: Vec::new(),
        })
        .unwrap();
        assert_eq!(
            (report.outcome, report.decisions),
            (Outcome::Intact, DECISIONS),
            "{report:?}"
        );
    }
}
