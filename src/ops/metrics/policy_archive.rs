//! The metrics of the policy archive, read at each scrape.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use super::{Metrics, signed};
use customs_sources::policy_archive::archiver::ArchiverReading;

impl Metrics {
    /// Sets the source of the metrics about the policy archive. Only the first call has an effect.
    pub fn watch_policy_archive(&self, read: impl Fn() -> ArchiverReading + Send + Sync + 'static) {
        self.scraped.policy_archive.get_or_init(|| Box::new(read));
    }
}

/// Encodes the metrics; without an archive they are 0.
pub(super) fn encode(
    encoder: &mut DescriptorEncoder<'_>,
    reading: &ArchiverReading,
) -> fmt::Result {
    let (waiting, failures) = (Gauge::<i64>::default(), Counter::<u64>::default());
    waiting.set(signed(reading.waiting));
    failures.inc_by(reading.failures);
    let mut put = |name, help, metric: &dyn EncodeMetric| {
        metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
    };
    put(
        "customs_policy_archive_waiting",
        "Revisions that are not in the policy archive yet",
        &waiting,
    )?;
    put(
        "customs_policy_archive_failures",
        "Attempts to write the policy archive that failed",
        &failures,
    )
}
