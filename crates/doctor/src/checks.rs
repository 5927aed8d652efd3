//! The checks, a file for each family. Each looks at the evidence and adds what it finds.
//!
//! The rule: a check that has its evidence says that it ran, and one that lacks it says what to
//! give. None of them fails.

mod callers;
mod certificates;
mod clocks;
mod counters;
mod custom_policies;
mod envoy_versions;
mod gateways;
mod policies;
mod provider;
mod provider_cluster;
mod provider_names;
mod replicas;
mod troubles;
mod wrapped_tls;

use crate::diagnosis::Diagnosis;
use crate::evidence::Evidence;

/// Says what is wrong with what was collected.
pub fn examine(evidence: &Evidence) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    for check in [
        troubles::check,
        replicas::check,
        clocks::check,
        certificates::check,
        provider::check,
        provider_names::check,
        provider_cluster::check,
        custom_policies::check,
        gateways::check,
        callers::check,
        wrapped_tls::check,
        envoy_versions::check,
        counters::check,
        policies::check,
    ] {
        check(evidence, &mut diagnosis);
    }
    diagnosis.conclude()
}

/// What to give for evidence of an Envoy.
const GIVE_ENVOY: &str = "give --envoy";
/// What to give for the mesh configuration.
const GIVE_MESH: &str = "give --mesh-config";
/// What to give for objects.
const GIVE_OBJECTS: &str = "give --objects";

/// Returns whether a filter is one of customs' provider.
fn is_ours(evidence: &Evidence, ask: &crate::envoy_config::AskFilter) -> bool {
    let provider = ask.provider.as_deref();
    provider.is_none_or(|provider| provider == evidence.provider)
}

/// Returns the subject of a finding about a filter: the provider, or the Envoy that has none.
fn subject(proxy: &crate::evidence::ProxyEvidence, ask: &crate::envoy_config::AskFilter) -> String {
    match &ask.provider {
        Some(provider) => format!("provider `{provider}`"),
        None => proxy.described(),
    }
}

#[cfg(test)]
mod tests;
