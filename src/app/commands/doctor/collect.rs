//! Gathers the evidence that the flags name: from replicas and Envoys over the network, and from
//! files.
//!
//! It judges nothing. The rule: what cannot be had is a trouble or a replica that was not heard, so
//! that one address that does not answer hides nothing.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::envoys::{self, EnvoyPlace};
use super::{files, records};
use crate::app::cli::DoctorArgs;
use crate::app::fetch::{self, FetchError, Fetched};
use crate::app::replicas::{self, ReplicaAddress};
use crate::app::server_connection::{ServerAddress, ServerAddressError};
use customs_doctor::customs_metrics::CustomsMetrics;
use customs_doctor::evidence::{ClockReading, Evidence, PolicyEvidence, ReplicaEvidence};
use customs_doctor::replica::Replica;
use customs_doctor::rule_hits::RuleHits;

/// The size of the largest document of a replica that is accepted, in bytes.
const MAX_DOCUMENT: usize = 64 * 1024 * 1024;

/// Gathers everything that the flags name.
///
/// # Errors
/// Why an address is invalid.
pub(super) async fn collect(
    args: &DoctorArgs,
    policies: Option<PolicyEvidence>,
) -> Result<Evidence, ServerAddressError> {
    let replicas = replicas::open(&args.admin, &args.tls).await?;
    let replicas: Vec<_> = replicas.into_iter().map(Arc::new).collect();
    let mut places = Vec::new();
    for text in &args.envoy {
        places.push(Arc::new(envoys::open(text, &args.tls)?));
    }
    let mut evidence = Evidence {
        now: Some(Timestamp::now()),
        provider: args.provider_name.clone(),
        policies,
        ..Evidence::default()
    };
    if let Some(time) = args.watch {
        let metrics = all(&replicas, |replica| async move {
            metrics_of(&replica.server).await
        });
        let metrics = metrics.await;
        let stats = all(&places, |place| async move {
            envoys::stats_before(&place).await
        });
        let stats = stats.await;
        sleep(time).await;
        gather(&replicas, &places, &mut evidence).await;
        // In the order in which they were opened.
        for (found, before) in evidence.replicas.iter_mut().zip(metrics) {
            found.metrics_before = before;
        }
        for (found, before) in evidence.proxies.iter_mut().zip(stats) {
            found.stats_before = before;
        }
    } else {
        gather(&replicas, &places, &mut evidence).await;
    }
    files::objects(&args.mesh_config, files::Kind::MeshConfig, &mut evidence);
    files::objects(&args.objects, files::Kind::Objects, &mut evidence);
    evidence.has_mesh_config =
        !args.mesh_config.is_empty() || !evidence.objects.mesh_configs.is_empty();
    evidence.has_objects = !args.objects.is_empty();
    evidence.records = records::count(&args.audit, &mut evidence.troubles);
    note_filters(&mut evidence);
    Ok(evidence)
}

/// Asks all of them at once; the answers are in their order. One that hangs delays no other.
async fn all<P, A, F>(places: &[Arc<P>], ask: impl Fn(Arc<P>) -> F) -> Vec<A>
where
    A: Send + 'static,
    F: Future<Output = A> + Send + 'static,
{
    let mut asking = JoinSet::new();
    for (number, place) in places.iter().enumerate() {
        let asked = ask(Arc::clone(place));
        asking.spawn(async move { (number, asked.await) });
    }
    let mut answers = asking.join_all().await;
    answers.sort_by_key(|(number, _)| *number);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Asks the Envoys directly after the replicas, so that their counters are of about the same time.
async fn gather(
    replicas: &[Arc<ReplicaAddress>],
    places: &[Arc<EnvoyPlace>],
    evidence: &mut Evidence,
) {
    evidence.replicas = all(
        replicas,
        |replica| async move { of_replica(&replica).await },
    )
    .await;
    let found = all(places, |place| async move { envoys::collect(&place).await });
    for (proxy, troubles) in found.await {
        evidence.proxies.push(proxy);
        evidence.troubles.extend(troubles);
    }
}

async fn of_replica(replica: &ReplicaAddress) -> ReplicaEvidence {
    let fetched = fetch::get(&replica.server, "/status", MAX_DOCUMENT).await;
    let status = replicas::status(fetched.as_ref());
    let is_heard = status.is_ok();
    let (mut metrics, mut rules) = (None, None);
    if is_heard {
        metrics = metrics_of(&replica.server).await;
        let fetched = fetch::get(&replica.server, "/rules", MAX_DOCUMENT).await;
        rules = document(&fetched).and_then(|body| RuleHits::read(body).ok());
    }
    ReplicaEvidence {
        replica: Replica {
            address: replica.name.clone(),
            status,
        },
        metrics,
        metrics_before: None,
        rules,
        clock: fetched.as_ref().ok().filter(|_| is_heard).and_then(clock),
    }
}

async fn metrics_of(server: &ServerAddress) -> Option<CustomsMetrics> {
    let fetched = fetch::get(server, "/metrics", MAX_DOCUMENT).await;
    let body = String::from_utf8_lossy(document(&fetched)?).into_owned();
    CustomsMetrics::read(&body).ok()
}

fn document(fetched: &Result<Fetched, FetchError>) -> Option<&[u8]> {
    let fetched = fetched.as_ref().ok()?;
    fetched.status.is_success().then_some(fetched.body.as_ref())
}

/// Returns the clock of a server, from an answer of it.
pub(super) fn clock(fetched: &Fetched) -> Option<ClockReading> {
    ClockReading::of_date(fetched.date.as_deref()?, fetched.at)
}

/// Notes whether a filter of a sink keeps decisions out of the files.
fn note_filters(evidence: &mut Evidence) {
    let sinks = evidence
        .replicas
        .iter()
        .filter_map(|found| found.replica.status.as_ref().ok());
    let mut sinks = sinks.flat_map(|status| &status.audit);
    let is_filtered = sinks.any(|sink| sink.sink.contains("filter="));
    if let Some(records) = &mut evidence.records {
        records.is_filtered = is_filtered;
    }
}
