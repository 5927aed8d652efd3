//! What matters here of an Envoy's configuration, read from its `/config_dump`.
//!
//! [`raw`] has the JSON, and this module what it means: which filter chains ask customs, how, and
//! about what. It judges nothing. The rule: a field that is not known is passed over, because each
//! version of Envoy has more of them.

mod filters;
mod raw;

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use crate::foreign_document::{ForeignDocument, foreign};
use crate::narrowing::Narrowing;

/// The configuration of one Envoy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EnvoyConfig {
    /// The id of its node.
    pub node: String,
    /// What it is in a mesh.
    pub role: Role,
    /// Its version.
    pub version: Option<EnvoyVersion>,
    /// Its listeners that carry requests of applications.
    pub listeners: Vec<Listener>,
    /// Its clusters; `None` if the dump has no section of them.
    pub clusters: Option<Vec<Cluster>>,
    /// The routes that turn the filter off.
    pub routes_not_asking: Vec<String>,
}

/// What an Envoy is in a mesh, by the id of its node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Beside an application.
    Sidecar,
    /// A gateway of Istio.
    Gateway,
    /// A waypoint of the ambient mesh.
    Waypoint,
    /// Not configured by istiod.
    #[default]
    Alone,
}

/// A version of Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EnvoyVersion {
    /// The first number.
    pub major: u64,
    /// The second number.
    pub minor: u64,
    /// The third number.
    pub patch: u64,
}

impl fmt::Display for EnvoyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl EnvoyVersion {
    /// Reads the body of an answer to `GET /server_info`, whose version is
    /// `COMMIT/1.40.0/Clean/RELEASE/BoringSSL`.
    pub fn of_server_info(body: &[u8]) -> Option<EnvoyVersion> {
        let document: Value = serde_json::from_slice(body).ok()?;
        let version = document.get("version")?.as_str()?;
        EnvoyVersion::parse(version.split('/').nth(1)?)
    }

    /// Parses `1.40.0`; a suffix such as `-dev` is left
    /// out.
    pub fn parse(text: &str) -> Option<EnvoyVersion> {
        let mut numbers = text.splitn(3, '.').map(|part| {
            let digits = part.split(|c: char| !c.is_ascii_digit()).next();
            digits.and_then(|digits| digits.parse().ok())
        });
        Some(EnvoyVersion {
            major: numbers.next()??,
            minor: numbers.next()??,
            patch: numbers.next().flatten().unwrap_or(0),
        })
    }
}

/// A listener.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listener {
    /// Its name.
    pub name: String,
    /// Its filter chains.
    pub chains: Vec<Chain>,
}

/// A filter chain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chain {
    /// The names of TLS that it is for.
    pub server_names: Vec<String>,
    /// Whether requests of HTTP are read; otherwise connections are passed on.
    pub is_http: bool,
    /// Whether it answers every request by itself, such as those of probes.
    pub is_local: bool,
    /// Whether it passes connections on to the cluster that their SNI names.
    pub is_auto_passthrough: bool,
    /// What it knows of its clients.
    pub tls: ChainTls,
    /// The filters that ask an authorizer over gRPC.
    pub asks: Vec<AskFilter>,
    /// The rules of CUSTOM policies that say what is asked about.
    pub custom_rules: Vec<CustomRule>,
    /// The CUSTOM policies that Istio turned into denials, as they are named there.
    pub rejected: Vec<String>,
    /// The cluster to which connections are passed on.
    pub cluster: Option<String>,
}

impl Chain {
    /// Returns its name in sentences, with that of its listener.
    pub fn described(&self, listener: &Listener) -> String {
        match self.server_names.is_empty() {
            true => format!("listener {}", listener.name),
            false => format!(
                "listener {} for {}",
                listener.name,
                self.server_names.join(", ")
            ),
        }
    }
}

/// What a filter chain knows of its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChainTls {
    /// Nothing: it takes what comes as it is.
    #[default]
    None,
    /// It terminates TLS, and asks for no certificate.
    Anonymous,
    /// It terminates TLS, and requires a certificate.
    Mutual,
}

/// A filter that asks an authorizer over gRPC.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AskFilter {
    /// The cluster that it asks.
    pub cluster: String,
    /// The authority of its calls.
    pub authority: Option<String>,
    /// How long it waits, in seconds; Envoy's own default is a fifth of a second.
    pub timeout: Option<f64>,
    /// Whether requests pass without an answer.
    pub fail_open: bool,
    /// The status without an answer.
    pub status_on_error: Option<String>,
    /// The provider whose policies turn it on; `None` if it is always on.
    pub provider: Option<String>,
}

/// A rule that says what is asked about.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomRule {
    /// Its name: `istio-ext-authz-PROVIDER-ns[..]-policy[..]-rule[..]`.
    pub id: String,
    /// In what it is narrower than every request; empty if it is not.
    pub narrowings: Vec<Narrowing>,
}

/// A cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// Whether it uses HTTP/2 whatever its clients use.
    pub has_http2: bool,
    /// The name that it sends in TLS.
    pub sni: Option<String>,
}

impl Cluster {
    /// Returns the port, the subset and the host of a name that istiod makes:
    /// `outbound|9191||customs.customs-system.svc.cluster.local`.
    pub fn parts(name: &str) -> Option<(&str, &str, &str)> {
        let mut parts = name.strip_prefix("outbound|")?.splitn(3, '|');
        Some((parts.next()?, parts.next()?, parts.next()?))
    }
}

/// Returns the provider in the id of a CUSTOM rule.
pub fn provider_of_rule(id: &str) -> Option<&str> {
    let rest = id.strip_prefix(RULE_PREFIX)?;
    rest.split_once("-ns[").map(|(provider, _)| provider)
}

/// The listeners of Istio's tunnels.
const TUNNELS: [&str; 4] = [
    "connect_terminate",
    "connect_originate",
    "inner_connect_originate",
    "outer_connect_originate",
];
const RULE_PREFIX: &str = "istio-ext-authz-";
/// How the name of a CUSTOM policy ends that Istio turned into a denial.
const REJECTED: &str = "-deny-due-to-bad-CUSTOM-action";

/// Why a text is not a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnvoyConfigError {
    /// It is something else.
    #[error("{0}")]
    Foreign(ForeignDocument),
    /// It is JSON of something else.
    #[error("it is not a configuration of Envoy ({0}): give the answer to `GET /config_dump`")]
    Document(#[source] serde_json::Error),
    /// It has no section that is known.
    #[error(
        "it has neither listeners nor clusters: give the whole answer to `GET /config_dump`, \
         without `resource` or `mask`"
    )]
    Nothing,
}

impl EnvoyConfig {
    /// Reads the body of an answer to `GET /config_dump`.
    ///
    /// # Errors
    /// What it is instead.
    pub fn read(body: &[u8]) -> Result<EnvoyConfig, EnvoyConfigError> {
        let dump: raw::Dump = serde_json::from_slice(body).map_err(|why| match foreign(body) {
            Some(foreign) => EnvoyConfigError::Foreign(foreign),
            None => EnvoyConfigError::Document(why),
        })?;
        let mut config = EnvoyConfig::default();
        let mut has_listeners = false;
        for section in dump.configs {
            config.add(section, &mut has_listeners);
        }
        match has_listeners || config.clusters.is_some() {
            true => Ok(config),
            false => Err(EnvoyConfigError::Nothing),
        }
    }

    fn add(&mut self, section: raw::Section, has_listeners: &mut bool) {
        if let Some(bootstrap) = section.bootstrap {
            self.node = bootstrap.node.id;
            self.role = match self.node.split('~').next() {
                Some("sidecar") => Role::Sidecar,
                Some("router") => Role::Gateway,
                Some("waypoint") => Role::Waypoint,
                _ => Role::Alone,
            };
            self.version = bootstrap.node.user_agent_build_version.map(|build| {
                let raw::Version {
                    major_number,
                    minor_number,
                    patch,
                } = build.version;
                EnvoyVersion {
                    major: major_number,
                    minor: minor_number,
                    patch,
                }
            });
        }
        let dynamic = section.dynamic_listeners.into_iter().flatten();
        let dynamic = dynamic.filter_map(|listener| Some(listener.active_state?.listener));
        // A proxy of Istio has static listeners for its probes and metrics only.
        let is_alone = self.role == Role::Alone;
        let fixed = section.static_listeners.into_iter().flatten();
        let fixed = fixed.map(|listener| listener.listener).filter(|_| is_alone);
        for listener in dynamic.chain(fixed) {
            *has_listeners = true;
            // The tunnels of the ambient mesh carry what another listener has let pass.
            if is_alone || !TUNNELS.contains(&listener.name.as_str()) {
                self.add_listener(listener);
            }
        }
        let clusters = [section.static_clusters, section.dynamic_active_clusters];
        for cluster in clusters.into_iter().flatten() {
            let known = self.clusters.get_or_insert_with(Vec::new);
            known.extend(cluster.into_iter().map(|state| of_cluster(state.cluster)));
        }
        let routes = [section.static_route_configs, section.dynamic_route_configs];
        for route in routes.into_iter().flatten().flatten() {
            self.add_routes(&route.route_config);
        }
    }

    fn add_listener(&mut self, listener: raw::Listener) {
        let raw::Listener {
            name,
            filter_chains,
            default_filter_chain,
        } = listener;
        let chains = filter_chains.into_iter().chain(default_filter_chain);
        let mut known = Vec::new();
        for chain in chains {
            for filter in &chain.filters {
                let routes = filter.typed_config.get("route_config");
                if let Some(routes) = routes {
                    self.add_routes(routes);
                }
            }
            known.push(filters::of_chain(chain));
        }
        self.listeners.push(Listener {
            name,
            chains: known,
        });
    }

    /// Adds the routes of a route configuration that turn the filter off.
    fn add_routes(&mut self, routes: &Value) {
        let name = text(routes, "name");
        for host in list(routes, "virtual_hosts") {
            let host_name = text(host, "name");
            if filters::turns_off(host) {
                let place = format!("route configuration {name}, virtual host {host_name}");
                self.routes_not_asking.push(place);
            }
            for (number, route) in list(host, "routes").iter().enumerate() {
                if filters::turns_off(route) {
                    let place = format!("virtual host {host_name}, route {}", number + 1);
                    self.routes_not_asking
                        .push(format!("route configuration {name}, {place}"));
                }
            }
        }
    }

    /// Returns the filters that ask an authorizer, each with the places of its chains.
    pub fn asks(&self) -> impl Iterator<Item = (&Listener, &Chain, &AskFilter)> {
        let chains = self.listeners.iter().flat_map(|listener| {
            let chains = listener.chains.iter();
            chains.map(move |chain| (listener, chain))
        });
        chains.flat_map(|(listener, chain)| {
            let asks = chain.asks.iter();
            asks.map(move |ask| (listener, chain, ask))
        })
    }

    /// Returns the providers of the CUSTOM policies that Istio turned into denials.
    pub fn rejected_providers(&self) -> BTreeSet<&str> {
        let chains = self.listeners.iter().flat_map(|listener| &listener.chains);
        let rejected = chains.flat_map(|chain| &chain.rejected);
        rejected.filter_map(|id| provider_of_rule(id)).collect()
    }
}

fn of_cluster(cluster: raw::Cluster) -> Cluster {
    let raw::Cluster {
        name,
        typed_extension_protocol_options: options,
        http2_protocol_options,
        transport_socket,
    } = cluster;
    let has_explicit = options.values().any(|options| {
        options
            .pointer("/explicit_http_config/http2_protocol_options")
            .is_some()
    });
    let sni = transport_socket
        .as_ref()
        .and_then(|socket| socket.pointer("/typed_config/sni")?.as_str())
        .filter(|sni| !sni.is_empty());
    Cluster {
        name,
        has_http2: has_explicit || http2_protocol_options.is_some(),
        sni: sni.map(str::to_owned),
    }
}

/// Returns the text of a field, empty if there is none.
fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Returns the items of a field, none if it is not a list.
fn list<'v>(value: &'v Value, field: &str) -> &'v [Value] {
    let items = value.get(field).and_then(Value::as_array);
    items.map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests;
