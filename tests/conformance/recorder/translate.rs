//! Translates an AuthorizationPolicy into the configuration of Envoy's RBAC filters, as istiod
//! generates it.
//!
//! Written from the description of istiod's generator and deliberately without any code of the
//! engine: if both were wrong in the same place, they would agree. Policies are assumed valid; a
//! key that a check cannot answer is an error.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use super::matchers::{self as m, expand_principal};

/// The `rules` and `shadow_rules` of one filter; absent if no policy has the action.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    rules: Option<Map<String, Value>>,
    shadow: Option<Map<String, Value>>,
}

/// The RBAC filters of a listener in their order.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    audit: Filter,
    deny: Filter,
    allow: Filter,
}

impl Filters {
    /// Returns the filters' configurations, for HTTP or for TCP.
    pub(crate) fn configurations(&self, tcp: bool) -> Vec<Value> {
        let layers = [
            ("LOG", "audit", &self.audit),
            ("DENY", "deny", &self.deny),
            ("ALLOW", "allow", &self.allow),
        ];
        layers
            .into_iter()
            .filter_map(|(action, name, filter)| filter.configuration(action, name, tcp))
            .collect()
    }
}

impl Filter {
    fn configuration(&self, action: &str, name: &str, tcp: bool) -> Option<Value> {
        let part = |policies: &Option<Map<String, Value>>| {
            policies
                .as_ref()
                .map(|policies| json!({"action": action, "policies": policies}))
        };
        let (rules, shadow) = (part(&self.rules), part(&self.shadow));
        if rules.is_none() && shadow.is_none() {
            return None;
        }
        let layer = if tcp { "network" } else { "http" };
        let kind = format!("type.googleapis.com/envoy.extensions.filters.{layer}.rbac.v3.RBAC");
        let mut config = Map::from_iter([("@type".to_owned(), Value::from(kind))]);
        if tcp {
            config.insert("stat_prefix".into(), "tcp.".into());
        }
        if let Some(rules) = rules {
            config.insert("rules".into(), rules);
        }
        if let Some(shadow) = shadow {
            config.insert("shadow_rules".into(), shadow);
            config.insert(
                "shadow_rules_stat_prefix".into(),
                format!("istio_dry_run_{name}_").into(),
            );
        }
        Some(json!({"name": format!("envoy.filters.{layer}.rbac"), "typed_config": config}))
    }
}

/// Returns the filters for the policies of a file. `trust_domains` is the own domain and its
/// aliases.
pub(crate) fn translate(
    policies: &[Value],
    trust_domains: &[String],
    tcp: bool,
) -> Result<Filters> {
    let mut filters = Filters::default();
    for policy in policies {
        let name = policy
            .pointer("/metadata/name")
            .and_then(Value::as_str)
            .context("a policy without a name")?;
        let namespace = policy
            .pointer("/metadata/namespace")
            .and_then(Value::as_str)
            .context("no namespace")?;
        let action = policy
            .pointer("/spec/action")
            .and_then(Value::as_str)
            .unwrap_or("ALLOW");
        let dry = policy
            .pointer("/metadata/annotations/istio.io~1dry-run")
            .is_some_and(|v| v == "true");
        let filter = match action {
            "ALLOW" => &mut filters.allow,
            "DENY" => &mut filters.deny,
            "AUDIT" => &mut filters.audit,
            other => bail!("action {other} is not recorded"),
        };
        let into = if dry {
            &mut filter.shadow
        } else {
            &mut filter.rules
        };
        let into = into.get_or_insert_default();
        let rules = policy
            .pointer("/spec/rules")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if rules.is_empty() {
            // istiod writes a rule that never matches, so that an ALLOW policy without rules lets
            // nothing through.
            let never = json!({"permissions": [{"not_rule": {"any": true}}], "principals": [{"not_id": {"any": true}}]});
            into.insert(format!("ns[{namespace}]-policy[{name}]-rule[0]"), never);
        }
        let context = Scope {
            namespace,
            trust_domains,
            tcp,
            allow: action == "ALLOW",
        };
        for (index, rule) in rules.iter().enumerate() {
            if let Some(policy) = context
                .rule(rule)
                .with_context(|| format!("{namespace}/{name}#{index}"))?
            {
                into.insert(
                    format!("ns[{namespace}]-policy[{name}]-rule[{index}]"),
                    policy,
                );
            }
        }
    }
    Ok(filters)
}

struct Scope<'a> {
    namespace: &'a str,
    trust_domains: &'a [String],
    tcp: bool,
    allow: bool,
}

/// One attribute with its values: the matchers of both lists, not yet combined.
struct Test {
    permission: bool,
    values: Vec<Value>,
    not_values: Vec<Value>,
}

/// A rule that is left out altogether: an ALLOW rule that requires of TCP what only HTTP has.
struct Dropped;

impl Scope<'_> {
    fn rule(&self, rule: &Value) -> Result<Option<Value>> {
        let list = |key: &str| {
            rule.get(key)
                .and_then(Value::as_array)
                .cloned()
                .unwrap_or_default()
        };
        let (mut common, mut dropped) = (Vec::new(), false);
        for condition in list("when") {
            let key = condition["key"]
                .as_str()
                .context("a condition without a key")?;
            match self.test(key, &condition["values"], &condition["notValues"])? {
                Ok(Some(test)) => common.push(test),
                Ok(None) => {}
                Err(Dropped) => dropped = true,
            }
        }
        let mut side = |name: &str, inner: &str, permission: bool| -> Result<Vec<Value>> {
            let mut out = Vec::new();
            let elements = list(name);
            let elements = if elements.is_empty() {
                vec![json!({})]
            } else {
                elements.iter().map(|e| e[inner].clone()).collect()
            };
            for element in elements {
                let mut all = Vec::new();
                for (field, key) in FIELDS
                    .iter()
                    .filter(|(_, key)| is_permission(key) == permission)
                {
                    let (values, not_values) = (&element[*field], &element[not(field)]);
                    match self.test(key, values, not_values)? {
                        Ok(Some(test)) => all.extend(test.combined()),
                        Ok(None) => {}
                        Err(Dropped) => dropped = true,
                    }
                }
                all.extend(
                    common
                        .iter()
                        .filter(|t| t.permission == permission)
                        .flat_map(Test::combined),
                );
                if all.is_empty() {
                    all.push(json!({"any": true}));
                }
                out.push(m::and(all, permission));
            }
            Ok(out)
        };
        let (principals, permissions) = (
            side("from", "source", false)?,
            side("to", "operation", true)?,
        );
        Ok((!dropped).then(|| json!({"permissions": permissions, "principals": principals})))
    }

    fn test(
        &self,
        key: &str,
        values: &Value,
        not_values: &Value,
    ) -> Result<Result<Option<Test>, Dropped>> {
        let texts = |list: &Value| -> Vec<String> {
            list.as_array()
                .into_iter()
                .flatten()
                .filter_map(|v| v.as_str().map(str::to_owned))
                .collect()
        };
        let (values, not_values) = (texts(values), texts(not_values));
        if values.is_empty() && not_values.is_empty() {
            return Ok(Ok(None));
        }
        if self.tcp && is_http_only(key) {
            // A DENY loses the condition and gets wider; an ALLOW loses the rule.
            return Ok(if self.allow { Err(Dropped) } else { Ok(None) });
        }
        let (values, not_values) = (
            self.matchers(key, &values)?,
            self.matchers(key, &not_values)?,
        );
        Ok(Ok(Some(Test {
            permission: is_permission(key),
            values,
            not_values,
        })))
    }

    fn matchers(&self, key: &str, values: &[String]) -> Result<Vec<Value>> {
        let mut out = Vec::new();
        for value in values {
            match key {
                "source.principal" => {
                    out.extend(
                        expand_principal(value, self.trust_domains)
                            .iter()
                            .map(|p| m::principal(p)),
                    );
                }
                "source.trustDomain" => {
                    let known = self.trust_domains.contains(value);
                    let domains = if known {
                        self.trust_domains
                    } else {
                        std::slice::from_ref(value)
                    };
                    out.extend(
                        domains
                            .iter()
                            .collect::<BTreeSet<_>>()
                            .into_iter()
                            .map(|td| m::trust_domain(td)),
                    );
                }
                "source.namespace" => out.push(m::namespace(value)),
                "source.serviceAccount" => out.push(m::service_account(self.namespace, value)),
                "source.ip" => out.push(m::address("direct_remote_ip", value)?),
                "remote.ip" => out.push(m::address("remote_ip", value)?),
                "destination.ip" => out.push(m::address("destination_ip", value)?),
                "destination.port" => out.push(json!({"destination_port": value.parse::<u16>()?})),
                "connection.sni" => {
                    out.push(json!({"requested_server_name": m::text(value, false)}))
                }
                "host" => out.push(m::header(":authority", value, true)),
                "method" => out.push(m::header(":method", value, false)),
                "path" => out.push(m::path(value)),
                other => {
                    let name = other
                        .strip_prefix("request.headers[")
                        .and_then(|n| n.strip_suffix(']'));
                    out.push(m::header(
                        name.with_context(|| format!("{other} is not a key to record"))?,
                        value,
                        false,
                    ));
                }
            }
        }
        ensure!(out.len() >= values.len(), "a value of {key} got lost");
        Ok(out)
    }
}

impl Test {
    fn combined(&self) -> Vec<Value> {
        let mut out = Vec::new();
        if !self.values.is_empty() {
            out.push(m::or(self.values.clone(), self.permission));
        }
        if !self.not_values.is_empty() {
            out.push(m::not(
                m::or(self.not_values.clone(), self.permission),
                self.permission,
            ));
        }
        out
    }
}

/// The fields of `source` and `operation`, and the attribute of each, in istiod's order.
const FIELDS: [(&str, &str); 10] = [
    ("principals", "source.principal"),
    ("namespaces", "source.namespace"),
    ("serviceAccounts", "source.serviceAccount"),
    ("trustDomains", "source.trustDomain"),
    ("remoteIpBlocks", "remote.ip"),
    ("ipBlocks", "source.ip"),
    ("hosts", "host"),
    ("methods", "method"),
    ("paths", "path"),
    ("ports", "destination.port"),
];

/// Converts `principals` into `notPrincipals`.
fn not(field: &str) -> String {
    let (first, rest) = field.split_at(1);
    format!("not{}{rest}", first.to_ascii_uppercase())
}

fn is_permission(key: &str) -> bool {
    key.starts_with("destination.")
        || key == "connection.sni"
        || matches!(key, "host" | "method" | "path")
}

fn is_http_only(key: &str) -> bool {
    matches!(key, "host" | "method" | "path") || key.starts_with("request.headers[")
}
