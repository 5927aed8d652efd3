//! What was collected, read. The checks look at nothing else.
//!
//! It collects nothing: its owner fetches documents and files, and gives their texts. The rule: what
//! was not collected is absent, and what could not be read is a trouble with its reason.

use jiff::Timestamp;

use crate::customs_metrics::CustomsMetrics;
use crate::envoy_certificates::EnvoyCertificate;
use crate::envoy_config::{EnvoyConfig, EnvoyVersion};
use crate::envoy_stats::EnvoyStats;
use crate::istio_objects::IstioObjects;
use crate::replica::Replica;
use crate::rule_hits::RuleHits;

/// Everything that was collected.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// The time of the examination; `None` leaves certificates out.
    pub now: Option<Timestamp>,
    /// The name of customs' provider in the mesh configuration.
    pub provider: String,
    /// The replicas of customs.
    pub replicas: Vec<ReplicaEvidence>,
    /// The Envoys.
    pub proxies: Vec<ProxyEvidence>,
    /// The objects and mesh configurations.
    pub objects: IstioObjects,
    /// Whether a mesh configuration was given.
    pub has_mesh_config: bool,
    /// Whether objects were given.
    pub has_objects: bool,
    /// What the loaded policy files mean, if any were given.
    pub policies: Option<PolicyEvidence>,
    /// What was counted in files of the audit log, if any were given.
    pub records: Option<RecordCounts>,
    /// What could not be read.
    pub troubles: Vec<Trouble>,
}

/// What was collected of one replica.
#[derive(Clone, Debug)]
pub struct ReplicaEvidence {
    /// Its address and its status.
    pub replica: Replica,
    /// Its metrics.
    pub metrics: Option<CustomsMetrics>,
    /// Its metrics at the beginning of a watch.
    pub metrics_before: Option<CustomsMetrics>,
    /// How often each rule was hit.
    pub rules: Option<RuleHits>,
    /// Its clock.
    pub clock: Option<ClockReading>,
}

impl ReplicaEvidence {
    /// Returns what it counted: during the watch if there was one and it was not restarted, else
    /// since its start.
    pub fn counted(&self) -> Option<CustomsMetrics> {
        let metrics = self.metrics.as_ref()?;
        let since = self
            .metrics_before
            .as_ref()
            .and_then(|before| metrics.since(before));
        Some(since.unwrap_or_else(|| metrics.clone()))
    }
}

/// What was collected of one Envoy.
#[derive(Clone, Debug, Default)]
pub struct ProxyEvidence {
    /// Its address or file.
    pub name: String,
    /// Its configuration.
    pub config: Option<EnvoyConfig>,
    /// Its version, if the configuration does not say it.
    pub version: Option<EnvoyVersion>,
    /// Its counters.
    pub stats: Option<EnvoyStats>,
    /// Its counters at the beginning of a watch.
    pub stats_before: Option<EnvoyStats>,
    /// Its certificates.
    pub certificates: Option<Vec<EnvoyCertificate>>,
    /// Its clock.
    pub clock: Option<ClockReading>,
}

impl ProxyEvidence {
    /// Returns its name in sentences.
    pub fn described(&self) -> String {
        let node = self.config.as_ref().map(|config| config.node.as_str());
        // `router~10.0.0.7~POD.NAMESPACE~DOMAIN`
        let pod = node.and_then(|node| node.split('~').nth(2));
        match pod {
            Some(pod) => format!("Envoy {pod} ({})", self.name),
            None => format!("Envoy {}", self.name),
        }
    }
}

/// A clock that was read over a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// What it showed, in whole seconds.
    pub theirs: Timestamp,
    /// What the clock of this machine showed then.
    pub here: Timestamp,
}

impl ClockReading {
    /// Reads the header `date` of an answer that arrived `here`.
    pub fn of_date(date: &str, here: Timestamp) -> Option<ClockReading> {
        let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
        Some(ClockReading { theirs, here })
    }

    /// Returns by how many seconds it is ahead of this machine.
    pub fn ahead(&self) -> i64 {
        self.here.duration_until(self.theirs).as_secs()
    }
}

/// What policy files mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyEvidence {
    /// Where they are.
    pub place: String,
    /// The revision that they would have in force, or why they load none.
    pub revision: Result<String, PolicyError>,
}

/// Why policy files do not load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PolicyError(pub String);

/// What was counted in files of the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// The files.
    pub files: Vec<String>,
    /// The records of decisions.
    pub decisions: u64,
    /// The decisions that gap records count in their place.
    pub dropped: u64,
    /// Whether a filter keeps decisions out of the files.
    pub is_filtered: bool,
    /// The TLS connections whose SNI was the wrapper of a mesh, by that SNI.
    pub wrappers: std::collections::BTreeMap<String, u64>,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What was to be read: a file or an address.
    pub what: String,
    /// Why it could not be, and what to do.
    pub why: String,
}
