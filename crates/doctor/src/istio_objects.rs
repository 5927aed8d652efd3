//! The objects of Istio and Kubernetes that decide whether a gateway asks customs.
//!
//! It reads documents of any kind and keeps what matters of those that it knows. The rule: an
//! object is kept as it was written; whether it fits the others is for the checks.

mod large_list;

use std::collections::BTreeMap;

use customs_policy::document::{self, Node};
use customs_policy::problem::Problem;

use crate::mesh_config::{self, MeshConfig};
use crate::narrowing::Narrowing;
use crate::yaml::{at, get, is_empty_map, list, pairs, scalar, text, texts};

/// Labels, or what a selector wants of them.
pub type Labels = BTreeMap<String, String>;

/// What was read of all documents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IstioObjects {
    /// The mesh configurations among them.
    pub mesh_configs: Vec<MeshConfig>,
    /// The AuthorizationPolicies with the action CUSTOM.
    pub custom_policies: Vec<CustomPolicy>,
    /// The DestinationRules.
    pub destination_rules: Vec<DestinationRule>,
    /// The routes of TLS of VirtualServices.
    pub tls_routes: Vec<TlsRoute>,
    /// The Services, and the ServiceEntries of hosts in the mesh.
    pub services: Vec<Service>,
    /// The labels of Pods, and of the Pods that workloads make.
    pub pods: Vec<PodLabels>,
}

/// An AuthorizationPolicy with the action CUSTOM.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CustomPolicy {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The provider that it names.
    pub provider: String,
    /// The labels that it wants.
    pub selector: Labels,
    /// Whether it names its gateway in place of labels.
    pub has_targets: bool,
    /// In what each of its rules is narrower than every request.
    pub rules: Vec<Vec<Narrowing>>,
}

impl CustomPolicy {
    /// Returns its name in sentences.
    pub fn described(&self) -> String {
        format!("AuthorizationPolicy {}/{}", self.namespace, self.name)
    }

    /// Returns whether it asks about every request.
    pub fn asks_about_everything(&self) -> bool {
        self.rules.iter().any(Vec::is_empty)
    }
}

/// A DestinationRule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DestinationRule {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The host whose clients it changes, whole.
    pub host: String,
    /// What holds for every subset.
    pub tls: TrafficTls,
    /// What holds for one subset.
    pub subsets: BTreeMap<String, TrafficTls>,
}

/// The TLS of clients, as a traffic policy says it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrafficTls {
    /// For every port.
    pub any: Option<ClientTls>,
    /// For one port.
    pub ports: BTreeMap<String, ClientTls>,
}

impl TrafficTls {
    /// Returns what holds for a port.
    pub fn of(&self, port: &str) -> Option<&ClientTls> {
        self.ports.get(port).or(self.any.as_ref())
    }
}

/// The TLS of a client.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientTls {
    /// `ISTIO_MUTUAL`, `SIMPLE` and so on.
    pub mode: String,
    /// The name that the client sends.
    pub sni: Option<String>,
}

/// A destination to which a VirtualService sends TLS as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TlsRoute {
    /// The VirtualService.
    pub of: String,
    /// The host, whole.
    pub host: String,
    /// The subset, empty if there is none.
    pub subset: String,
    /// The port, empty if there is none.
    pub port: String,
    /// The names that it is for.
    pub sni_hosts: Vec<String>,
}

/// A host of the mesh and its ports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Service {
    /// Its host, whole.
    pub host: String,
    /// How to name it in sentences.
    pub described: String,
    /// Its ports.
    pub ports: Vec<ServicePort>,
}

/// A port of a service.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ServicePort {
    /// Its number.
    pub number: String,
    /// Whether the mesh uses HTTP/2 there.
    pub is_http2: bool,
}

/// The labels of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodLabels {
    /// Its namespace.
    pub namespace: String,
    /// What it is, in sentences.
    pub described: String,
    /// Its labels.
    pub labels: Labels,
}

impl IstioObjects {
    /// Reads every document of a text.
    ///
    /// # Errors
    /// The first document that is not YAML; those before it are kept.
    pub fn read(&mut self, name: &str, text: &str) -> Result<usize, Box<Problem>> {
        let before = self.known();
        match large_list::items(text) {
            Some(items) => {
                for (number, item) in items.iter().enumerate() {
                    self.parse(&format!("{name}, item {}", number + 1), item)?;
                }
            }
            None => self.parse(name, text)?,
        }
        Ok(self.known() - before)
    }

    fn parse(&mut self, name: &str, text: &str) -> Result<(), Box<Problem>> {
        for node in document::parse(name, text) {
            self.add(&node.map_err(Box::new)?);
        }
        Ok(())
    }

    fn known(&self) -> usize {
        self.mesh_configs.len()
            + self.custom_policies.len()
            + self.destination_rules.len()
            + self.tls_routes.len()
            + self.services.len()
            + self.pods.len()
    }

    fn add(&mut self, node: &Node) {
        let items = list(node, "items");
        if text(node, "kind").ends_with("List") || !items.is_empty() {
            items.iter().for_each(|item| self.add(item));
            return;
        }
        if let Some(found) = mesh_config::of(node) {
            self.mesh_configs.push(found);
            return;
        }
        let (group, kind) = (text(node, "apiVersion"), text(node, "kind"));
        let is = |of: &str, what: &str| group.starts_with(of) && kind == what;
        if is("security.istio.io/", "AuthorizationPolicy") {
            self.custom_policies.extend(custom_policy(node));
        } else if is("networking.istio.io/", "DestinationRule") {
            self.destination_rules.push(destination_rule(node));
        } else if is("networking.istio.io/", "VirtualService") {
            self.tls_routes.extend(tls_routes(node));
        } else if is("networking.istio.io/", "ServiceEntry") {
            self.services.extend(service_entry(node));
        } else if is("v1", "Service") {
            self.services.push(service(node));
        } else if is("v1", "Pod") {
            self.pods.push(pod(node, at(node, &["metadata"])));
        } else if group.starts_with("apps/") {
            self.pods
                .push(pod(node, at(node, &["spec", "template", "metadata"])));
        }
    }
}

fn metadata(node: &Node) -> (String, String) {
    let field = |name| at(node, &["metadata", name]).and_then(scalar);
    let namespace = field("namespace").unwrap_or_else(|| "default".to_owned());
    (namespace, field("name").unwrap_or_default())
}

fn custom_policy(node: &Node) -> Option<CustomPolicy> {
    let spec = get(node, "spec")?;
    if text(spec, "action") != "CUSTOM" {
        return None;
    }
    let (namespace, name) = metadata(node);
    Some(CustomPolicy {
        namespace,
        name,
        provider: at(spec, &["provider", "name"])
            .and_then(scalar)
            .unwrap_or_default(),
        selector: pairs(at(spec, &["selector", "matchLabels"])),
        has_targets: get(spec, "targetRefs").or(get(spec, "targetRef")).is_some(),
        rules: list(spec, "rules").iter().map(narrowings).collect(),
    })
}

/// Returns in what a rule is narrower than every request.
fn narrowings(rule: &Node) -> Vec<Narrowing> {
    let mut found = Vec::new();
    if is_empty_map(rule) {
        return found;
    }
    for operation in list(rule, "to")
        .iter()
        .filter_map(|to| get(to, "operation"))
    {
        let hosts = texts(operation, "hosts").into_iter();
        found.extend(hosts.filter(|host| host != "*").map(Narrowing::Host));
        let paths = texts(operation, "paths").into_iter();
        found.extend(
            paths
                .filter(|path| path != "*" && path != "/*")
                .map(Narrowing::Path),
        );
        let methods = texts(operation, "methods").into_iter();
        found.extend(
            methods
                .filter(|method| method != "*")
                .map(Narrowing::Method),
        );
        for (field, what) in [
            ("ports", "the port of the listener"),
            ("notHosts", "the host"),
            ("notPaths", "the path"),
            ("notMethods", "the method"),
            ("notPorts", "the port of the listener"),
        ] {
            if !list(operation, field).is_empty() {
                found.push(Narrowing::Other(what.to_owned()));
            }
        }
    }
    if !list(rule, "from").is_empty() {
        found.push(Narrowing::Other("the caller's address".to_owned()));
    }
    for condition in list(rule, "when") {
        let key = text(condition, "key");
        found.push(match key.strip_prefix("request.headers[") {
            Some(name) => Narrowing::Header(name.trim_end_matches(']').to_owned()),
            None => Narrowing::Other(format!("`{key}`")),
        });
    }
    found
}

/// Returns a host whole: a short name is one of the namespace of its object.
fn whole(host: &str, namespace: &str) -> String {
    match host.contains('.') || host.is_empty() {
        true => host.to_owned(),
        false => format!("{host}.{namespace}.svc.cluster.local"),
    }
}

fn traffic_tls(policy: Option<&Node>) -> TrafficTls {
    let tls = |node: &Node| {
        let tls = get(node, "tls")?;
        Some(ClientTls {
            mode: text(tls, "mode"),
            sni: get(tls, "sni").and_then(scalar),
        })
    };
    let Some(policy) = policy else {
        return TrafficTls::default();
    };
    let ports = list(policy, "portLevelSettings").iter();
    let ports = ports.filter_map(|port| {
        let number = at(port, &["port", "number"]).and_then(scalar)?;
        Some((number, tls(port)?))
    });
    TrafficTls {
        any: tls(policy),
        ports: ports.collect(),
    }
}

fn destination_rule(node: &Node) -> DestinationRule {
    let (namespace, name) = metadata(node);
    let spec = get(node, "spec").unwrap_or(node);
    let subsets = list(spec, "subsets").iter();
    let subsets = subsets.map(|subset| {
        let tls = traffic_tls(get(subset, "trafficPolicy"));
        (text(subset, "name"), tls)
    });
    DestinationRule {
        host: whole(&text(spec, "host"), &namespace),
        namespace,
        name,
        tls: traffic_tls(get(spec, "trafficPolicy")),
        subsets: subsets.collect(),
    }
}

fn tls_routes(node: &Node) -> Vec<TlsRoute> {
    let (namespace, name) = metadata(node);
    let spec = get(node, "spec").unwrap_or(node);
    let mut routes = Vec::new();
    for rule in list(spec, "tls") {
        let matches = list(rule, "match").iter();
        let sni_hosts: Vec<String> = matches.flat_map(|found| texts(found, "sniHosts")).collect();
        let destinations = list(rule, "route").iter();
        for destination in destinations.filter_map(|route| get(route, "destination")) {
            let port = at(destination, &["port", "number"]).and_then(scalar);
            routes.push(TlsRoute {
                of: format!("VirtualService {namespace}/{name}"),
                host: whole(&text(destination, "host"), &namespace),
                subset: text(destination, "subset"),
                port: port.unwrap_or_default(),
                sni_hosts: sni_hosts.clone(),
            });
        }
    }
    routes
}

fn service(node: &Node) -> Service {
    let (namespace, name) = metadata(node);
    let ports = get(node, "spec").map(|spec| list(spec, "ports"));
    let ports = ports.unwrap_or_default().iter().map(|port| {
        // The protocol is the one that is declared, else the one at the beginning of the name.
        let declared = get(port, "appProtocol").and_then(scalar);
        let named = text(port, "name");
        let named = named.split('-').next().unwrap_or_default().to_owned();
        ServicePort {
            number: text(port, "port"),
            is_http2: is_http2(&declared.unwrap_or(named)),
        }
    });
    Service {
        host: format!("{name}.{namespace}.svc.cluster.local"),
        described: format!("Service {namespace}/{name}"),
        ports: ports.collect(),
    }
}

fn service_entry(node: &Node) -> Vec<Service> {
    let (namespace, name) = metadata(node);
    let Some(spec) = get(node, "spec") else {
        return Vec::new();
    };
    let ports = list(spec, "ports").iter().map(|port| ServicePort {
        number: text(port, "number"),
        is_http2: is_http2(&text(port, "protocol")),
    });
    let ports: Vec<_> = ports.collect();
    let hosts = texts(spec, "hosts").into_iter();
    let service = |host| Service {
        host,
        described: format!("ServiceEntry {namespace}/{name}"),
        ports: ports.clone(),
    };
    hosts.map(service).collect()
}

fn is_http2(protocol: &str) -> bool {
    let protocol = protocol.to_ascii_lowercase();
    ["grpc", "grpc-web", "http2", "kubernetes.io/h2c"].contains(&protocol.as_str())
}

fn pod(node: &Node, of_pod: Option<&Node>) -> PodLabels {
    let (namespace, name) = metadata(node);
    PodLabels {
        described: format!("{} {namespace}/{name}", text(node, "kind")),
        namespace,
        labels: pairs(of_pod.and_then(|metadata| get(metadata, "labels"))),
    }
}

#[cfg(test)]
mod tests;
