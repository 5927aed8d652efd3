//! The JSON of a configuration dump, with the fields that are read. It means nothing yet.
//!
//! The rule: every field may be missing, and what has several forms stays a value.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Deserialize)]
pub(super) struct Dump {
    pub configs: Vec<Section>,
}

/// A section of any kind; the fields of others are passed over while it is parsed, so that the many
/// endpoints of a large mesh cost no memory.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Section {
    pub bootstrap: Option<Bootstrap>,
    pub static_listeners: Option<Vec<StaticListener>>,
    pub dynamic_listeners: Option<Vec<DynamicListener>>,
    pub static_clusters: Option<Vec<ClusterState>>,
    pub dynamic_active_clusters: Option<Vec<ClusterState>>,
    pub static_route_configs: Option<Vec<RouteState>>,
    pub dynamic_route_configs: Option<Vec<RouteState>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Bootstrap {
    pub node: Node,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Node {
    pub id: String,
    pub user_agent_build_version: Option<BuildVersion>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct BuildVersion {
    pub version: Version,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Version {
    pub major_number: u64,
    pub minor_number: u64,
    pub patch: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct StaticListener {
    pub listener: Listener,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DynamicListener {
    pub active_state: Option<StaticListener>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Listener {
    pub name: String,
    pub filter_chains: Vec<Chain>,
    pub default_filter_chain: Option<Chain>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chain {
    pub filter_chain_match: Option<ChainMatch>,
    pub transport_socket: Option<Value>,
    pub filters: Vec<Filter>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ChainMatch {
    pub server_names: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filter {
    pub name: String,
    pub typed_config: Value,
}

#[derive(Debug, Deserialize)]
pub(super) struct ClusterState {
    pub cluster: Cluster,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Cluster {
    pub name: String,
    pub typed_extension_protocol_options: BTreeMap<String, Value>,
    pub http2_protocol_options: Option<Value>,
    pub transport_socket: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RouteState {
    pub route_config: Value,
}
