//! The archive of the policies, as a part of the server.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use crate::ops::metrics::Metrics;
use customs_sources::policy_archive::PolicyArchive;
use customs_sources::policy_archive::archiver::{self, Archiver, ArchiverStatus};

/// Starts the archive of the settings, if there is one.
pub(super) fn start(
    directory: Option<&Path>,
    metrics: &Metrics,
) -> anyhow::Result<Option<Archiver>> {
    let Some(directory) = directory else {
        return Ok(None);
    };
    let archiver = archiver::start(PolicyArchive::new(directory))
        .context("cannot start the thread of the policy archive")?;
    let status = archiver.status();
    metrics.watch_policy_archive(move || status.reading());
    Ok(Some(archiver))
}

/// Waits until everything is in the archive; logs if it is not within this time.
pub(super) async fn finish(status: Option<ArchiverStatus>, bound: Duration) {
    let Some(status) = status else { return };
    let waited = tokio::task::spawn_blocking(move || status.wait_blocking(bound)).await;
    if let Ok(reading) = waited
        && reading.waiting > 0
    {
        let (waiting, problem) = (reading.waiting, reading.problem.unwrap_or_default());
        tracing::error!(waiting, problem, "revisions are not in the policy archive");
    }
}
