//! `deploy/local` is what istiod writes. `istiod.json` holds parts of the configuration of a
//! gateway and a sidecar that istiod 1.31 configured: with `deploy/istio` (enforce), and with the
//! ServiceEntry, Gateway, DestinationRule and VirtualService of `www.aliyun.com`. The demo's Envoys
//! must hold the same.
//!
//! The file leaves out what the demo cannot have: the sources of endpoints and certificates, DNS,
//! the access log, tracing, and the filters of Istio's own build of Envoy.

use anyhow::{Context, Result};
use serde_json::Value;

use customs_test_support::rig::{Rig, Routes};
use customs_test_support::tools;

/// Returns the value at a JSON pointer, without these fields.
fn part(value: &Value, pointer: &str, without: &[&str]) -> Result<Value> {
    let mut found = value
        .pointer(pointer)
        .with_context(|| format!("no {pointer} in {value:#}"))?
        .clone();
    if let Some(fields) = found.as_object_mut() {
        fields.retain(|name, _| !without.contains(&name.as_str()));
    }
    Ok(found)
}

/// Returns the listener or cluster of this name in a dump of an Envoy's configuration.
fn named(dump: &Value, list: &str, kind: &str, name: &str) -> Result<Value> {
    let configs = dump
        .pointer("/configs")
        .and_then(Value::as_array)
        .context("no configs")?;
    let entries = configs
        .iter()
        .filter_map(|config| config.get(list)?.as_array())
        .flatten();
    let mut found = entries.filter_map(|entry| entry.get(kind));
    let found = found.find(|it| it.get("name").and_then(Value::as_str) == Some(name));
    found.cloned().with_context(|| format!("no {kind} {name}"))
}

/// Panics with the first place where two values differ.
fn same(place: &str, ours: &Value, istiods: &Value) {
    match (ours, istiods) {
        (Value::Object(left), Value::Object(right)) => {
            let names =
                |of: &serde_json::Map<String, Value>| of.keys().cloned().collect::<Vec<_>>();
            assert_eq!(names(left), names(right), "fields at {place}");
            for ((name, left), right) in left.iter().zip(right.values()) {
                same(&format!("{place}/{name}"), left, right);
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            assert_eq!(
                left.len(),
                right.len(),
                "entries at {place}: ours {ours:#}, istiod's {istiods:#}"
            );
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                same(&format!("{place}/{index}"), left, right);
            }
        }
        _ => assert_eq!(ours, istiods, "at {place}"),
    }
}

const MANAGER: &str = "/filter_chains/0/filters/0/typed_config";
const HOP: &str =
    "outbound|80|target-egress-gateway-mTLS|istio-egressgateway.istio-system.svc.cluster.local";

#[test]
fn gateway_and_sidecar_hold_what_istiod_writes() -> Result<()> {
    let istiod: Value = serde_json::from_str(include_str!("istiod.json"))?;
    let rig = Rig::start(
        env!("CARGO_BIN_EXE_customs").as_ref(),
        &tools::envoy()?,
        Routes::OneHost,
    )?;

    let dump = rig.gateway.config()?;
    let http = named(&dump, "static_listeners", "listener", "0.0.0.0_8080")?;
    let tls = named(&dump, "static_listeners", "listener", "0.0.0.0_8443")?;
    let cluster = |name: &str| named(&dump, "static_clusters", "cluster", name);
    let mut passthrough = part(&tls, "/filter_chains/0/filters", &[])?;
    for filter in passthrough.as_array_mut().into_iter().flatten() {
        if let Some(config) = filter
            .get_mut("typed_config")
            .and_then(Value::as_object_mut)
        {
            config.remove("access_log");
        }
    }
    let mut gateway = vec![
        (
            "connectionManager",
            part(&http, MANAGER, &["access_log", "route_config"])?,
        ),
        (
            "routes",
            part(&http, &format!("{MANAGER}/route_config"), &[])?,
        ),
        ("passthrough", passthrough),
        (
            "passthroughMatch",
            part(&tls, "/filter_chains/0/filter_chain_match", &[])?,
        ),
    ];
    for (name, cluster_name) in [
        (
            "customs",
            "outbound|9191||customs.customs-system.svc.cluster.local",
        ),
        ("site", "outbound|80||www.aliyun.com"),
    ] {
        gateway.push((
            name,
            part(
                &cluster(cluster_name)?,
                "",
                &["@type", "type", "load_assignment"],
            )?,
        ));
    }

    let dump = rig.demo_frontend.envoy.config()?;
    let http = named(&dump, "static_listeners", "listener", "0.0.0.0_80")?;
    let hop = named(&dump, "static_clusters", "cluster", HOP)?;
    let sidecar = vec![
        (
            "connectionManager",
            part(&http, MANAGER, &["access_log", "route_config"])?,
        ),
        (
            "routes",
            part(&http, &format!("{MANAGER}/route_config"), &[])?,
        ),
        (
            "hop",
            part(
                &hop,
                "",
                &["@type", "type", "load_assignment", "transport_socket"],
            )?,
        ),
        (
            "sni",
            part(&hop, "/transport_socket/typed_config/sni", &[])?,
        ),
        (
            "alpn",
            part(
                &hop,
                "/transport_socket/typed_config/common_tls_context/alpn_protocols",
                &[],
            )?,
        ),
    ];

    for (envoy, parts) in [("gateway", gateway), ("sidecar", sidecar)] {
        let istiods = istiod
            .get(envoy)
            .and_then(Value::as_object)
            .context("no such part")?;
        assert_eq!(parts.len(), istiods.len(), "parts of the {envoy}");
        for (name, ours) in parts {
            same(
                &format!("{envoy}/{name}"),
                &ours,
                istiods
                    .get(name)
                    .with_context(|| format!("no {envoy}/{name}"))?,
            );
        }
    }
    Ok(())
}
