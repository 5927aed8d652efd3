//! The single matchers that istiod writes for a value, and how they are combined.

use anyhow::{Context, Result};
use serde_json::{Value, json};

pub(super) fn and(all: Vec<Value>, permission: bool) -> Value {
    if permission {
        json!({"and_rules": {"rules": all}})
    } else {
        json!({"and_ids": {"ids": all}})
    }
}

pub(super) fn or(any: Vec<Value>, permission: bool) -> Value {
    if permission {
        json!({"or_rules": {"rules": any}})
    } else {
        json!({"or_ids": {"ids": any}})
    }
}

pub(super) fn not(one: Value, permission: bool) -> Value {
    if permission {
        json!({"not_rule": one})
    } else {
        json!({"not_id": one})
    }
}

/// Matches exactly, `prefix*`, `*suffix`, or with `*` any text that is not empty.
pub(super) fn text(value: &str, ignore_case: bool) -> Value {
    let mut matcher = if value == "*" {
        regex(".+".into())
    } else if let Some(suffix) = value.strip_prefix('*') {
        json!({"suffix": suffix})
    } else if let Some(prefix) = value.strip_suffix('*') {
        json!({"prefix": prefix})
    } else {
        json!({"exact": value})
    };
    if ignore_case && let Some(fields) = matcher.as_object_mut() {
        fields.insert("ignore_case".into(), true.into());
    }
    matcher
}

fn regex(regex: String) -> Value {
    json!({"safe_regex": {"regex": regex}})
}

/// Go's `regexp.QuoteMeta`.
fn quote(text: &str) -> String {
    let special = |c: char| r"\.+*?()|[]{}^$".contains(c);
    text.chars()
        .flat_map(|c| special(c).then_some('\\').into_iter().chain([c]))
        .collect()
}

fn authenticated(name: Value) -> Value {
    json!({"authenticated": {"principal_name": name}})
}

pub(super) fn principal(value: &str) -> Value {
    authenticated(if value == "*" {
        regex(".+".into())
    } else if let Some(suffix) = value.strip_prefix('*') {
        regex(format!("spiffe://.*{}", quote(suffix)))
    } else {
        text(&format!("spiffe://{value}"), false)
    })
}

/// Returns `principals` with the trust domain and each of its aliases substituted for one another.
pub(super) fn expand_principal(value: &str, trust_domains: &[String]) -> Vec<String> {
    let parts: Vec<&str> = value.split('/').collect();
    let [domain, rest @ ..] = parts.as_slice() else {
        return vec![value.to_owned()];
    };
    if parts.len() != 5 || *domain == "*" {
        return vec![value.to_owned()];
    }
    let ends = |known: &str| {
        domain
            .strip_prefix('*')
            .is_some_and(|suffix| known.ends_with(suffix))
    };
    let begins = |known: &str| {
        domain
            .strip_suffix('*')
            .is_some_and(|prefix| known.starts_with(prefix))
    };
    let is_own = trust_domains
        .iter()
        .any(|known| known == domain || ends(known) || begins(known));
    if !is_own && *domain != "cluster.local" {
        return vec![value.to_owned()];
    }
    let mut out: Vec<String> = Vec::new();
    for known in trust_domains {
        let one = if ends(known) {
            value.to_owned()
        } else {
            format!("{known}/{}", rest.join("/"))
        };
        if !out.contains(&one) {
            out.push(one);
        }
    }
    out
}

pub(super) fn namespace(value: &str) -> Value {
    authenticated(regex(format!(
        ".*/ns/{}/.*",
        quote(value).replace("\\*", ".*")
    )))
}

pub(super) fn service_account(policy_namespace: &str, value: &str) -> Value {
    let (namespace, account) = value.split_once('/').unwrap_or((policy_namespace, value));
    authenticated(regex(format!(
        "spiffe://.+/ns/{}/(.+/|)sa/{}(/.+)?",
        quote(namespace),
        quote(account)
    )))
}

pub(super) fn trust_domain(value: &str) -> Value {
    authenticated(if value == "*" {
        json!({"prefix": "spiffe://"})
    } else if let Some(suffix) = value.strip_prefix('*') {
        regex(format!("spiffe://[^/]*{}/.*", quote(suffix)))
    } else if let Some(prefix) = value.strip_suffix('*') {
        regex(format!("spiffe://{}[^/]*/.*", quote(prefix)))
    } else {
        json!({"prefix": format!("spiffe://{value}/")})
    })
}

pub(super) fn address(field: &str, value: &str) -> Result<Value> {
    let whole = if value.contains(':') { 128 } else { 32 };
    let (address, length) = match value.split_once('/') {
        Some((address, length)) => (
            address,
            length.parse::<u8>().with_context(|| value.to_owned())?,
        ),
        None => (value, whole),
    };
    Ok(json!({field: {"address_prefix": address, "prefix_len": length}}))
}

pub(super) fn header(name: &str, value: &str, ignore_case: bool) -> Value {
    if value == "*" {
        return json!({"header": {"name": name, "present_match": true}});
    }
    json!({"header": {"name": name, "string_match": text(value, ignore_case)}})
}

pub(super) fn path(value: &str) -> Value {
    if !value.contains('{') {
        return json!({"url_path": {"path": text(value, false)}});
    }
    let template = value.replace("{**}", "**").replace("{*}", "*");
    let kind =
        "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig";
    json!({"uri_template": {"name": "uri-template", "typed_config": {"@type": kind, "path_template": template}}})
}
