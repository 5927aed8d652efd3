//! The extension providers of Istio's mesh configuration.
//!
//! It is read out of each form in which people have it: the ConfigMap of istiod, whose text is YAML
//! in YAML; an IstioOperator; the values of a Helm chart; or alone. [`objects`](crate::istio_objects)
//! finds the documents.

use customs_policy::document::{self, Node, Value};

use crate::yaml::{at, get, list, scalar, text};

/// A mesh configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeshConfig {
    /// Where it was found: a file, and a line.
    pub place: String,
    /// The extension providers.
    pub providers: Vec<Provider>,
    /// The root namespace.
    pub root_namespace: Option<String>,
}

/// An extension provider.
#[derive(Clone, Debug, PartialEq)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ProviderKind,
}

/// What a provider is.
#[derive(Clone, Debug, PartialEq)]
pub enum ProviderKind {
    /// An authorizer over gRPC.
    Grpc(GrpcProvider),
    /// An authorizer over HTTP.
    Http,
    /// Something else, such as a tracer.
    Other,
}

/// An authorizer over gRPC.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GrpcProvider {
    /// Its service, without the namespace that may precede it.
    pub service: String,
    /// Its port.
    pub port: String,
    /// How long the gateway waits, in seconds.
    pub timeout: Option<f64>,
    /// Whether requests pass without an answer.
    pub fail_open: bool,
    /// The status without an answer.
    pub status_on_error: Option<String>,
}

/// The fields that tell that a document is a mesh configuration by itself.
const OWN_FIELDS: [&str; 12] = [
    "extensionProviders",
    "outboundTrafficPolicy",
    "defaultConfig",
    "trustDomain",
    "trustDomainAliases",
    "rootNamespace",
    "accessLogFile",
    "enableTracing",
    "defaultProviders",
    "discoverySelectors",
    "enablePrometheusMerge",
    "pathNormalization",
];

/// Returns the mesh configuration that a document is or holds.
pub(crate) fn of(node: &Node) -> Option<MeshConfig> {
    let in_config_map = at(node, &["data", "mesh"]);
    if let Some((found, embedded)) = in_config_map.and_then(|found| Some((found, scalar(found)?))) {
        let place = found.place.to_string();
        // The places inside count from the beginning of the text, not of the file.
        let parsed = document::parse(&place, &embedded).next()?.ok()?;
        return Some(read(&parsed, place));
    }
    let holders: [&[&str]; 3] = [
        &["spec", "meshConfig"],
        &["meshConfig"],
        &["spec", "values", "meshConfig"],
    ];
    if let Some(found) = holders.iter().find_map(|way| at(node, way)) {
        return Some(read(found, found.place.to_string()));
    }
    let is_object = get(node, "kind").is_some();
    let is_own = OWN_FIELDS.iter().any(|field| get(node, field).is_some());
    (!is_object && is_own).then(|| read(node, node.place.to_string()))
}

fn read(node: &Node, place: String) -> MeshConfig {
    MeshConfig {
        place,
        providers: list(node, "extensionProviders")
            .iter()
            .map(provider)
            .collect(),
        root_namespace: get(node, "rootNamespace").and_then(scalar),
    }
}

fn provider(node: &Node) -> Provider {
    let kind = if let Some(grpc) = get(node, "envoyExtAuthzGrpc") {
        let service = text(grpc, "service");
        let host = service
            .rsplit_once('/')
            .map_or(service.as_str(), |(_, host)| host);
        ProviderKind::Grpc(GrpcProvider {
            service: host.to_owned(),
            port: text(grpc, "port"),
            timeout: get(grpc, "timeout")
                .and_then(scalar)
                .and_then(|text| seconds(&text)),
            fail_open: matches!(
                get(grpc, "failOpen").map(|found| &found.value),
                Some(Value::Bool(true))
            ),
            status_on_error: get(grpc, "statusOnError").and_then(scalar),
        })
    } else if get(node, "envoyExtAuthzHttp").is_some() {
        ProviderKind::Http
    } else {
        ProviderKind::Other
    };
    Provider {
        name: text(node, "name"),
        kind,
    }
}

/// Parses a duration as Istio takes it: `0.5s`, `500ms`, `1m30s`.
fn seconds(text: &str) -> Option<f64> {
    let (mut rest, mut sum, mut any) = (text, 0.0, false);
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, behind) = rest.split_at_checked(end)?;
        let number: f64 = number.parse().ok()?;
        let units = [
            ("ms", 0.001),
            ("us", 0.000_001),
            ("ns", 0.000_000_001),
            ("h", 3_600.0),
            ("m", 60.0),
            ("s", 1.0),
        ];
        let unit = units.iter().find(|(unit, _)| behind.starts_with(unit))?;
        sum += number * unit.1;
        rest = behind.strip_prefix(unit.0)?;
        any = true;
    }
    any.then_some(sum)
}

#[cfg(test)]
mod tests;
