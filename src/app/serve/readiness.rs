//! Reports readiness to health and metrics, as long as the server runs.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::app::decision_log::AuditedDecisionLog;
use crate::app::status::Overview;
use crate::ops::health::HealthHandle;
use customs_audit::recorder::Withholding;
use customs_record::clock::now;

/// How often it checks whether answers can be recorded. A sink can hang without any event.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Updates health and metrics with readiness and enforcement whenever policies, settings or the
/// sinks of the audit log change.
pub(super) async fn report_readiness(
    mut overview: Overview,
    health: HealthHandle,
    log: AuditedDecisionLog,
    stop: CancellationToken,
) {
    let mut withholding = None;
    let started = now();
    loop {
        overview.update_metrics(&log.metrics, started);
        let ready = overview.is_ready();
        health.set_ready(ready).await;
        log.metrics.set_ready(ready);
        log_withholding(&mut withholding, log.recorder.withholding());
        log.metrics.set_enforcement(overview.enforcement());
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(POLL_INTERVAL) => {}
            changed = overview.files.changed() => if changed.is_err() { return stop.cancelled().await },
        }
    }
}

/// Logs that no answer can be recorded, and that answers can be recorded again.
fn log_withholding(before: &mut Option<Withholding>, now: Option<Withholding>) {
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
