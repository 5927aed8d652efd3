//! The filters of a chain: which ask, about what, and which deny because Istio could not make them
//! ask.
//!
//! It reads the filters of HTTP inside a connection manager and those of the network alike.

use serde_json::Value;

use super::raw;
use super::{AskFilter, Chain, ChainTls, CustomRule, REJECTED, RULE_PREFIX, list, text};
use crate::narrowing::Narrowing;

/// Returns what a chain means.
pub(super) fn of_chain(raw: raw::Chain) -> Chain {
    let mut chain = Chain {
        server_names: raw
            .filter_chain_match
            .map(|found| found.server_names)
            .unwrap_or_default(),
        tls: raw.transport_socket.as_ref().map(tls).unwrap_or_default(),
        ..Chain::default()
    };
    for filter in &raw.filters {
        let (kind, config) = typed(&filter.typed_config);
        add(&mut chain, &filter.name, kind, config);
        for inner in list(config, "http_filters") {
            let (kind, config) = typed(inner.get("typed_config").unwrap_or(&Value::Null));
            add(&mut chain, text(inner, "name"), kind, config);
        }
    }
    chain
}

/// Returns whether a route configuration has a route that leads to a cluster.
fn leads_on(routes: &Value) -> bool {
    let hosts = list(routes, "virtual_hosts").iter();
    let mut all = hosts.flat_map(|host| list(host, "routes"));
    all.any(|route| route.get("route").is_some())
}

/// Returns the type and the value of a filter's configuration, out of the wrapper of a type that its
/// sender did not know.
fn typed(config: &Value) -> (&str, &Value) {
    match (config.get("type_url"), config.get("value")) {
        (Some(kind), Some(value)) => (kind.as_str().unwrap_or_default(), value),
        _ => (text(config, "@type"), config),
    }
}

fn add(chain: &mut Chain, name: &str, kind: &str, config: &Value) {
    let is = |what: &str| kind.ends_with(what) || (kind.is_empty() && name.contains(what));
    if is(".HttpConnectionManager") || name.ends_with("http_connection_manager") {
        chain.is_http = true;
        let routes = config.get("route_config");
        chain.is_local = routes.is_some_and(|routes| !leads_on(routes));
    } else if is(".TcpProxy") || name.ends_with("tcp_proxy") {
        let cluster = text(config, "cluster");
        chain.cluster = (!cluster.is_empty()).then(|| cluster.to_owned());
    } else if name.ends_with("sni_cluster") {
        chain.is_auto_passthrough = true;
    } else if is(".ExtAuthz") || name.ends_with("ext_authz") {
        chain.asks.extend(ask(config));
    } else if is(".RBAC") || name.ends_with("rbac") {
        add_rules(chain, config);
    }
}

/// Reads a filter that asks over gRPC; one that asks over HTTP does not ask customs.
fn ask(config: &Value) -> Option<AskFilter> {
    let service = config.get("grpc_service")?;
    let (envoy, google) = (service.get("envoy_grpc"), service.get("google_grpc"));
    let cluster = match (envoy, google) {
        (Some(envoy), _) => text(envoy, "cluster_name"),
        (None, Some(google)) => text(google, "target_uri"),
        (None, None) => return None,
    };
    let authority = envoy.map(|envoy| text(envoy, "authority"));
    let prefix = config.pointer("/filter_enabled_metadata/value/string_match/prefix");
    let provider = prefix
        .and_then(Value::as_str)
        .and_then(|prefix| prefix.strip_prefix(RULE_PREFIX));
    let status = config.get("status_on_error");
    let status = status.and_then(|status| status.get("code"));
    Some(AskFilter {
        cluster: cluster.to_owned(),
        authority: authority.filter(|text| !text.is_empty()).map(str::to_owned),
        timeout: seconds(text(service, "timeout")),
        fail_open: is_set(config, "failure_mode_allow"),
        status_on_error: status.map(|code| match code.as_str() {
            Some(name) => name.to_owned(),
            None => code.to_string(),
        }),
        provider: provider.map(str::to_owned),
    })
}

/// Parses a duration of protobuf: `0.500s`.
pub(crate) fn seconds(text: &str) -> Option<f64> {
    text.strip_suffix('s')?.parse().ok()
}

fn add_rules(chain: &mut Chain, config: &Value) {
    let policies = |rules: &str| {
        let policies = config.get(rules).and_then(|rules| rules.get("policies"));
        policies.and_then(Value::as_object)
    };
    for (id, rule) in policies("shadow_rules").into_iter().flatten() {
        if id.starts_with(RULE_PREFIX) {
            chain.custom_rules.push(CustomRule {
                id: id.clone(),
                narrowings: narrowings(rule),
            });
        }
    }
    for id in policies("rules").into_iter().flatten().map(|(id, _)| id) {
        if id.ends_with(REJECTED) {
            chain.rejected.push(id.clone());
        }
    }
}

/// Returns in what a rule is narrower than every request. Its permissions are alternatives, and so
/// are its principals; one of each has to match.
fn narrowings(rule: &Value) -> Vec<Narrowing> {
    let mut found = Vec::new();
    for side in ["permissions", "principals"] {
        let alternatives = list(rule, side);
        if !alternatives.iter().any(is_any) {
            let before = found.len();
            alternatives
                .iter()
                .for_each(|value| collect(value, &mut found));
            if found.len() == before {
                found.push(Narrowing::Other(format!("its {side}")));
            }
        }
    }
    found
}

/// Returns whether a permission or principal matches everything.
fn is_any(value: &Value) -> bool {
    let all = |set: &str, items: &str| {
        let set = value.get(set);
        set.is_some_and(|set| !list(set, items).is_empty() && list(set, items).iter().all(is_any))
    };
    let some = |set: &str, items: &str| {
        let set = value.get(set);
        set.is_some_and(|set| list(set, items).iter().any(is_any))
    };
    value.get("any").and_then(Value::as_bool).unwrap_or(false)
        || all("and_rules", "rules")
        || all("and_ids", "ids")
        || some("or_rules", "rules")
        || some("or_ids", "ids")
}

/// Collects the fields that a permission or principal compares.
fn collect(value: &Value, found: &mut Vec<Narrowing>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        Value::Object(fields) => {
            if let Some(header) = fields.get("header") {
                let value = first_text(header, &["exact", "prefix", "suffix"]).unwrap_or("*");
                found.push(match text(header, "name") {
                    ":authority" => Narrowing::Host(value.to_owned()),
                    ":method" => Narrowing::Method(value.to_owned()),
                    ":path" => Narrowing::Path(value.to_owned()),
                    name => Narrowing::Header(name.to_owned()),
                });
                return;
            }
            if let Some(path) = fields.get("url_path").or(fields.get("uri_template")) {
                let value = first_text(path, &["exact", "prefix", "suffix"]).unwrap_or("*");
                found.push(Narrowing::Path(value.to_owned()));
                return;
            }
            for (field, what) in [
                ("destination_port", "the port of the listener"),
                ("requested_server_name", "the SNI"),
                ("direct_remote_ip", "the caller's address"),
                ("remote_ip", "the caller's address"),
                ("destination_ip", "the listener's address"),
                ("authenticated", "the caller"),
                ("metadata", "metadata"),
            ] {
                if fields.contains_key(field) {
                    found.push(Narrowing::Other(what.to_owned()));
                    return;
                }
            }
            fields.values().for_each(|value| collect(value, found));
        }
        _ => {}
    }
}

/// Returns the first text below a value that is in a field of one of these names.
fn first_text<'v>(value: &'v Value, names: &[&str]) -> Option<&'v str> {
    let fields = value.as_object()?;
    let here = names.iter().find_map(|name| fields.get(*name)?.as_str());
    here.or_else(|| fields.values().find_map(|value| first_text(value, names)))
}

fn tls(socket: &Value) -> ChainTls {
    let config = socket.get("typed_config").unwrap_or(&Value::Null);
    let is_tls = text(config, "@type").ends_with("DownstreamTlsContext");
    match (is_tls, is_set(config, "require_client_certificate")) {
        (false, _) => ChainTls::None,
        (true, true) => ChainTls::Mutual,
        (true, false) => ChainTls::Anonymous,
    }
}

/// Returns whether a field is true.
fn is_set(value: &Value, field: &str) -> bool {
    value.get(field).and_then(Value::as_bool).unwrap_or(false)
}

/// Returns whether a virtual host or a route turns the filter off.
pub(super) fn turns_off(place: &Value) -> bool {
    let configs = place
        .get("typed_per_filter_config")
        .and_then(Value::as_object);
    configs
        .into_iter()
        .flatten()
        .any(|(name, config)| name.contains("ext_authz") && is_set(config, "disabled"))
}
