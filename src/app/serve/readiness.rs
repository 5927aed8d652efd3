//! Readiness: health and metrics say whether checks are wanted, as long as the server runs.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::app::decision_log::AuditedDecisionLog;
use crate::app::status::Overview;
use crate::ops::health::HealthHandle;
use customs_audit::recorder::Withholding;
use customs_record::clock::now;

/// How often it is looked whether answers can be recorded. A sink can hang without telling anybody.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// Tells health and metrics whether checks are wanted and verdicts enforced, whenever policies,
/// settings or the sinks of the record change.
pub(super) async fn tell_readiness(
    mut overview: Overview,
    health: HealthHandle,
    log: AuditedDecisionLog,
    stop: CancellationToken,
) {
    let mut withholding = None;
    let started = now();
    loop {
        overview.tell_files(&log.metrics, started);
        let ready = overview.is_ready();
        health.set_ready(ready).await;
        log.metrics.set_ready(ready);
        tell_withholding(&mut withholding, log.recorder.withholding());
        log.metrics.set_enforcement(overview.enforcement());
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(LOOK_PAUSE) => {}
            changed = overview.files.changed() => if changed.is_err() { return stop.cancelled().await },
        }
    }
}

/// Says in the log that no answer can be recorded, and that answers can be again.
fn tell_withholding(before: &mut Option<Withholding>, now: Option<Withholding>) {
    match (&before, &now) {
        (None, Some(Withholding { sink, problem })) => {
            tracing::error!(
                sink,
                problem,
                "not ready: no answer can be recorded, so every check is denied"
            );
        }
        (Some(_), None) => tracing::info!("ready again: answers can be recorded"),
        _ => {}
    }
    *before = now;
}
