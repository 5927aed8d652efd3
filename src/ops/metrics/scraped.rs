//! The metrics that are read or computed at each scrape.

use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;

use super::namespaces::NamespaceDecisions;
use super::{Labels, certificates, policy_archive, rules, signed, sinks};
use crate::ops::certificates::CertificatesReading;
use crate::ops::rule_hits::RuleHits;
use customs_audit::recorder::Reading;
use customs_engine::expirations::Expirations;
use customs_engine::time::UnixNanos;
use customs_sources::policy_archive::archiver::ArchiverReading;

/// What is asked at each scrape.
type Source<T> = Box<dyn Fn() -> Vec<T> + Send + Sync>;

/// The metrics that are read or computed at each scrape.
#[derive(Default)]
pub(super) struct Scraped {
    revision: Mutex<Option<String>>,
    expirations: Mutex<Expirations>,
    reads: Mutex<Vec<(String, UnixNanos)>>,
    pub(super) rule_hits: RuleHits,
    pub(super) namespaces: NamespaceDecisions,
    pub(super) audit: OnceLock<Source<Reading>>,
    pub(super) connections: OnceLock<Source<(&'static str, usize)>>,
    pub(super) spans_dropped: OnceLock<Box<dyn Fn() -> u64 + Send + Sync>>,
    pub(super) certificates: OnceLock<Source<CertificatesReading>>,
    pub(super) policy_archive: OnceLock<Box<dyn Fn() -> ArchiverReading + Send + Sync>>,
}

impl Scraped {
    pub(super) fn revision(&self) -> MutexGuard<'_, Option<String>> {
        self.revision.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn expirations(&self) -> MutexGuard<'_, Expirations> {
        self.expirations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reads(&self) -> MutexGuard<'_, Vec<(String, UnixNanos)>> {
        self.reads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Scraped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scraped")
            .field("revision", &self.revision)
            .finish_non_exhaustive()
    }
}

impl Collector for Scraped {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut put = |name, help, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        let revision = self.revision().clone().unwrap_or_else(|| "none".into());
        put(
            "customs_policy_revision",
            "The revision in force",
            &Info::new(vec![("revision", revision)]),
        )?;
        let connections = Family::<Labels, Gauge>::default();
        let open = self.connections.get().map(|read| read());
        for (port, count) in open.unwrap_or_default() {
            connections
                .get_or_create_owned(&vec![("port", port)])
                .set(signed(count));
        }
        put(
            "customs_connections",
            "Open connections by port",
            &connections,
        )?;
        let spans: Counter = Counter::default();
        spans.inc_by(self.spans_dropped.get().map_or(0, |read| read()));
        put(
            "customs_spans_dropped",
            "Spans of checks that no collector took, or that had no room",
            &spans,
        )?;
        rules::encode(&mut encoder, &self.rule_hits)?;
        self.namespaces.encode(&mut encoder)?;
        let readings = self.certificates.get().map(|read| read());
        certificates::encode(&mut encoder, &readings.unwrap_or_default())?;
        let archive = self.policy_archive.get().map(|read| read());
        policy_archive::encode(&mut encoder, &archive.unwrap_or_default())?;
        let readings = self.audit.get().map(|read| read()).unwrap_or_default();
        sinks::encode(&mut encoder, &readings)
    }
}
