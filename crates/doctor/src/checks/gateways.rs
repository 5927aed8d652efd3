//! Gateways that do not ask, as a whole or in some of their filter chains.

use super::{GIVE_ENVOY, GIVE_OBJECTS, is_ours};
use crate::diagnosis::Diagnosis;
use crate::envoy_config::{Chain, EnvoyConfig, Listener, Role};
use crate::evidence::{Evidence, ProxyEvidence};
use crate::finding::{Code, Finding};
use crate::istio_objects::{CustomPolicy, PodLabels};

const IN_ENVOY: &str = "every filter chain of the gateway asks customs";
const IN_OBJECTS: &str = "CUSTOM policies select a gateway";

pub(super) fn check(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    let mut any = false;
    for proxy in &evidence.proxies {
        // Istio puts no authorization on the outbound listeners of sidecars.
        let config = proxy.config.as_ref();
        if let Some(config) = config.filter(|config| config.role != Role::Sidecar) {
            any = true;
            in_envoy(evidence, proxy, config, diagnosis);
        }
    }
    if !any {
        diagnosis.not_checked(IN_ENVOY, GIVE_ENVOY);
    }
    in_objects(evidence, diagnosis);
}

fn in_envoy(
    evidence: &Evidence,
    proxy: &ProxyEvidence,
    config: &EnvoyConfig,
    diagnosis: &mut Diagnosis,
) {
    diagnosis.checked(IN_ENVOY, proxy.described());
    let chains = config.listeners.iter().flat_map(|listener| {
        let chains = listener.chains.iter();
        chains.map(move |chain| (listener, chain))
    });
    let (mut asking, mut silent): (usize, Vec<(&Listener, &Chain)>) = (0, Vec::new());
    for (listener, chain) in chains {
        let carries = (chain.is_http && !chain.is_local) || chain.cluster.is_some();
        if chain.is_auto_passthrough {
            diagnosis.add(auto_passthrough(proxy, &chain.described(listener)));
        } else if chain.asks.iter().any(|ask| is_ours(evidence, ask)) {
            asking += 1;
        } else if !chain.rejected.is_empty() {
            // It denies everything, which another check reports.
            asking += 1;
        } else if carries {
            silent.push((listener, chain));
        }
    }
    let names = |silent: &[(&Listener, &Chain)]| {
        let names = silent
            .iter()
            .map(|(listener, chain)| chain.described(listener));
        names.collect::<Vec<_>>().join("; ")
    };
    match (asking, silent.is_empty()) {
        (_, true) => {}
        (0, false) => diagnosis.add(Finding::new(
            Code::GatewayNotSelected,
            proxy.described(),
            format!("no filter chain asks customs: {}", names(&silent)),
            "Everything that goes through this gateway leaves the mesh unchecked and unrecorded.",
            "The selector of the CUSTOM policy must fit the labels of the gateway's pods, in their \
             namespace; a Gateway of the Gateway API needs targetRefs:\nkubectl -n istio-system get \
             pods --show-labels\ncustoms mesh istio --gateway-label KEY=VALUE",
        )),
        (_, false) => diagnosis.add(Finding::new(
            Code::ChainNotAsking,
            proxy.described(),
            format!("these do not ask customs, and others do: {}", names(&silent)),
            "Requests that take these ways leave the mesh unchecked and unrecorded.",
            "Add the filter to these chains; `customs mesh envoy` prints it. Under istiod every \
             chain of a gateway gets it, so look who else changes the listeners:\nkubectl get \
             envoyfilters -A",
        )),
    }
    for place in &config.routes_not_asking {
        diagnosis.add(Finding::new(
            Code::RouteNotAsking,
            proxy.described(),
            format!("{place}: the filter is off"),
            "Requests of this route leave the mesh unchecked and unrecorded.",
            "Remove `typed_per_filter_config` with `disabled: true` of this route; under Istio an \
             EnvoyFilter may have put it there:\nkubectl get envoyfilters -A",
        ));
    }
}

fn auto_passthrough(proxy: &ProxyEvidence, chain: &str) -> Finding {
    Finding::new(
        Code::AutoPassthrough,
        proxy.described(),
        format!("{chain}: connections are passed on by their SNI"),
        "Istio authorizes nothing on a server with AUTO_PASSTHROUGH, so a client reaches every host \
         that the gateway knows, unchecked and unrecorded.",
        "Use another mode in the Gateway, on a gateway for egress:\ntls:\n  mode: ISTIO_MUTUAL",
    )
}

fn in_objects(evidence: &Evidence, diagnosis: &mut Diagnosis) {
    let objects = &evidence.objects;
    let ours = objects.custom_policies.iter();
    let ours: Vec<_> = ours
        .filter(|policy| policy.provider == evidence.provider)
        .collect();
    if objects.pods.is_empty() || ours.is_empty() {
        if !evidence.has_objects {
            diagnosis.not_checked(IN_OBJECTS, GIVE_OBJECTS);
        }
        return;
    }
    let root = objects
        .mesh_configs
        .iter()
        .find_map(|mesh| mesh.root_namespace.as_deref());
    let root = root.unwrap_or("istio-system");
    for policy in ours.iter().filter(|policy| !policy.has_targets) {
        diagnosis.checked(IN_OBJECTS, policy.described());
        let in_reach =
            |pod: &&PodLabels| policy.namespace == root || pod.namespace == policy.namespace;
        let pods: Vec<_> = objects.pods.iter().filter(in_reach).collect();
        if !pods.iter().any(|pod| selects(policy, pod)) {
            let wanted: Vec<_> = policy
                .selector
                .iter()
                .map(|(key, value)| format!("{key}: {value}"))
                .collect();
            diagnosis.add(Finding::new(
                Code::GatewayNotSelected,
                policy.described(),
                format!(
                    "its selector ({}) fits none of {} pods in its reach",
                    wanted.join(", "),
                    pods.len()
                ),
                "No gateway asks customs because of this policy, and no object reports it.",
                "Use labels that the gateway's pods have, in their namespace:\nkubectl get pods -A \
                 --show-labels | grep -i egress",
            ));
        }
    }
}

fn selects(policy: &CustomPolicy, pod: &PodLabels) -> bool {
    let fits = |(key, value): (&String, &String)| pod.labels.get(key) == Some(value);
    policy.selector.iter().all(fits)
}
