//! The setting `gateway`: the description of the gateway, and its conversion to the engine's types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::{SettingValueError, SettingsError};
use customs_engine::host::{Authority, Host};
use customs_engine::identity::is_dns_label;
use customs_engine::settings::{GatewayIdentity, Listener};
use customs_policy::targets;

/// The description of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Gateway {
    /// The namespace of the gateway's pods; with it, AuthorizationPolicies apply as istiod would
    /// apply them.
    pub(crate) namespace: Option<String>,
    /// The labels of its pods, for selectors.
    pub(crate) labels: BTreeMap<String, String>,
    /// The name of its Gateway, if it is one of the Gateway API, for `targetRefs`.
    pub(crate) name: Option<String>,
    /// Hosts of ServiceEntries that are in no policy directory, for policies that target them:
    /// `{psp: ["api.psp.example"]}`.
    pub(crate) service_entries: BTreeMap<String, Vec<String>>,
    /// Other names by which the mesh reaches the gateway, outside `cluster_domains`. In Istio's
    /// wrapper of an SNI, these names describe the route of a connection and not its destination.
    pub(crate) hosts: Vec<String>,
    /// TCP listeners with one fixed destination each, for databases and the like:
    /// `[{port: 5432, host: db.example, target_port: 5432}]`.
    pub(crate) listeners: Vec<GatewayListener>,
}

/// A TCP listener with one fixed destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayListener {
    /// The gateway's listener port; each port may appear once.
    pub(crate) port: u16,
    /// The destination's name or address, without a port. It applies whatever SNI a client sends.
    pub(crate) host: String,
    /// The destination's port, which `host:port` of a policy is compared with; unknown if left out.
    pub(crate) target_port: Option<u16>,
}

impl Gateway {
    /// Returns the gateway that Istio's selectors and targets are compared with.
    pub(super) fn identity(&self, wrong: &mut SettingsError) -> Option<GatewayIdentity> {
        let Gateway {
            namespace,
            labels,
            name,
            service_entries,
            hosts: _,
            listeners: _,
        } = self;
        let Some(namespace) = namespace else {
            if name.is_some() || !labels.is_empty() || !service_entries.is_empty() {
                let what = "`labels`, `name` and `service_entries` need `namespace`";
                wrong.add_whole("gateway", SettingValueError::Conflict(what.into()));
            }
            return None;
        };
        if !is_dns_label(namespace) {
            wrong.add("gateway.namespace", namespace, SettingValueError::Namespace);
        }
        let mut hosts = Vec::new();
        let service_entries = targets::declared(namespace, service_entries, &mut hosts);
        for error in hosts {
            let path = format!("gateway.service_entries.{}[{}]", error.entry, error.index);
            let host = error.host.clone();
            wrong.add(path, host, SettingValueError::ServiceEntryHost(error));
        }
        Some(GatewayIdentity {
            namespace: namespace.clone(),
            labels: labels.clone(),
            name: name.clone(),
            service_entries,
        })
    }

    /// Returns the names by which the mesh reaches the gateway.
    pub(super) fn own_hosts(&self, wrong: &mut SettingsError) -> Vec<Host<'static>> {
        let hosts = self.hosts.iter().enumerate();
        let read = |(at, text): (usize, &String)| {
            own_host(text)
                .map_err(|problem| wrong.add(format!("gateway.hosts[{at}]"), text, problem))
                .ok()
        };
        hosts.filter_map(read).collect()
    }

    /// Returns the listeners in the engine's types.
    pub(super) fn fixed_listeners(&self, wrong: &mut SettingsError) -> Vec<Listener> {
        let mut read = Vec::new();
        for (at, one) in self.listeners.iter().enumerate() {
            let path = |key: &str| format!("gateway.listeners[{at}].{key}");
            let no_port = || SettingValueError::OutOfRange("1 to 65535".into());
            if one.port == 0 {
                wrong.add(path("port"), one.port, no_port());
            }
            if one.target_port == Some(0) {
                wrong.add(path("target_port"), 0, no_port());
            }
            // A second listener on the port would hide a destination.
            let is_same = |other: &GatewayListener| other.port == one.port;
            let earlier = self.listeners.iter().take(at).position(is_same);
            if let Some(first) = earlier {
                let what =
                    format!("gateway.listeners[{first}] has this port; remove one of the two");
                wrong.add(path("port"), one.port, SettingValueError::Conflict(what));
            }
            match listener(one) {
                Ok(listener) => read.push(listener),
                Err(problem) => wrong.add(path("host"), &one.host, problem),
            }
        }
        read
    }
}

fn own_host(text: &str) -> Result<Host<'static>, SettingValueError> {
    match Authority::parse(text).map_err(SettingValueError::Host)? {
        Authority { host, port: None } => Ok(host.into_owned()),
        Authority { port: Some(_), .. } => Err(SettingValueError::HostWithPort("")),
    }
}

fn listener(listener: &GatewayListener) -> Result<Listener, SettingValueError> {
    let GatewayListener {
        port,
        host,
        target_port,
    } = listener;
    match Authority::parse(host).map_err(SettingValueError::Host)? {
        Authority { host, port: None } => Ok(Listener {
            port: *port,
            host: host.into_owned(),
            target_port: *target_port,
        }),
        Authority { port: Some(_), .. } => Err(SettingValueError::HostWithPort(
            "; write the port as `target_port`",
        )),
    }
}
