//! The application's TLS inside the mesh's mutual TLS, without the name of the host outside.

use std::collections::BTreeSet;

use super::{GIVE_ENVOY, GIVE_OBJECTS};
use crate::diagnosis::Diagnosis;
use crate::envoy_config::{Cluster, Role};
use crate::evidence::Evidence;
use crate::finding::{Code, Finding};
use crate::istio_objects::{DestinationRule, TlsRoute};

const CHECK: &str = "wrapped TLS names its host (`sni`)";

pub(super) fn check(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    let mut any = in_objects(evidence, diagnosis);
    any |= in_sidecars(evidence, diagnosis);
    if let Some(records) = &evidence.records {
        any = true;
        diagnosis.checked(CHECK, records.files.join(", "));
        for (wrapper, count) in &records.wrappers {
            // outbound_.PORT_.SUBSET_.HOST
            let mut parts = wrapper.splitn(4, "_.").skip(2);
            let (subset, host) = (parts.next(), parts.next());
            let seen = format!("{count} records of TCP have the SNI `{wrapper}`");
            diagnosis.add(missing(
                host.unwrap_or(wrapper),
                subset.unwrap_or_default(),
                seen,
            ));
        }
    }
    if !any {
        let needs = format!("{GIVE_OBJECTS}; or {GIVE_ENVOY} of a sidecar; or --audit FILE");
        diagnosis.not_checked(CHECK, &needs);
    }
}

fn missing(host: &str, subset: &str, seen: String) -> Finding {
    let subset = match subset.is_empty() {
        true => String::new(),
        false => format!(", subset {subset}"),
    };
    Finding::new(
        Code::SniMissing,
        format!("TLS to {host}{subset}"),
        seen,
        "The sidecar names the gateway itself, so customs does not know where the connection goes: \
         grants for hosts do not hold, and denials for hosts hold for every host.",
        "Name the host in the DestinationRule, in a subset of its own:\nsubsets:\n- name: \
         www-example-com\n  trafficPolicy:\n    portLevelSettings:\n    - port: {number: 443}\n      \
         tls: {mode: ISTIO_MUTUAL, sni: www.example.com}",
    )
}

/// Looks for routes of TLS to a subset with mutual TLS and no name.
fn in_objects(evidence: &Evidence, diagnosis: &mut Diagnosis) -> bool {
    let objects = &evidence.objects;
    for route in &objects.tls_routes {
        diagnosis.checked(CHECK, route.of.clone());
        let rules = objects.destination_rules.iter();
        for rule in rules.filter(|rule| rule.host == route.host) {
            if lacks_sni(route, rule) {
                let seen = format!(
                    "DestinationRule {}/{} has ISTIO_MUTUAL without `sni`; {} sends {} there",
                    rule.namespace,
                    rule.name,
                    route.of,
                    route.sni_hosts.join(", ")
                );
                diagnosis.add(missing(&route.host, &route.subset, seen));
            }
        }
    }
    if evidence.has_objects && objects.tls_routes.is_empty() {
        diagnosis.checked(CHECK, "no VirtualService among the objects routes TLS");
    }
    evidence.has_objects
}

fn lacks_sni(route: &TlsRoute, rule: &DestinationRule) -> bool {
    let subset = rule.subsets.get(&route.subset);
    let of_subset = subset.and_then(|tls| tls.of(&route.port));
    // A subset of another rule for the same host says nothing about this route.
    let tls = match (of_subset, route.subset.is_empty()) {
        (Some(tls), _) => Some(tls),
        (None, true) => rule.tls.of(&route.port),
        (None, false) => subset.and_then(|_| rule.tls.of(&route.port)),
    };
    tls.is_some_and(|tls| tls.mode == "ISTIO_MUTUAL" && tls.sni.is_none())
}

/// Looks for clusters of sidecars to which TLS is passed on under the mesh's own name.
fn in_sidecars(evidence: &Evidence, diagnosis: &mut Diagnosis) -> bool {
    let mut any = false;
    for proxy in &evidence.proxies {
        let config = proxy.config.as_ref();
        let Some(config) = config.filter(|config| config.role == Role::Sidecar) else {
            continue;
        };
        any = true;
        diagnosis.checked(CHECK, proxy.described());
        let chains = config
            .listeners
            .iter()
            .flat_map(|listener| &listener.chains);
        let used: BTreeSet<&str> = chains
            .filter(|chain| !chain.server_names.is_empty())
            .filter_map(|chain| chain.cluster.as_deref())
            .collect();
        let clusters = config.clusters.iter().flatten();
        for cluster in clusters.filter(|cluster| used.contains(cluster.name.as_str())) {
            let wrapper = cluster
                .sni
                .as_deref()
                .filter(|sni| sni.starts_with("outbound_."));
            if let (Some(sni), Some((_, subset, host))) = (wrapper, Cluster::parts(&cluster.name)) {
                let seen = format!(
                    "{}: cluster `{}` sends the name `{sni}`",
                    proxy.described(),
                    cluster.name
                );
                diagnosis.add(missing(host, subset, seen));
            }
        }
    }
    any
}
