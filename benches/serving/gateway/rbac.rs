//! Envoy's own RBAC with many policies, each in the shape that Istio gives a `DENY` policy.
//!
//! No policy names the caller, so Envoy evaluates all of them and allows. The rule: one policy, one
//! namespace.

use serde_json::{Map, Value, json};

use super::config;
use customs_test_support::bench_report::gateway::RbacKind;

/// Returns what a policy with this number permits no caller of its namespace to do.
fn permission(kind: RbacKind, number: usize) -> Value {
    match kind {
        RbacKind::AnyHost => json!({ "any": true }),
        RbacKind::DistinctHosts => {
            let host =
                json!({ "exact": format!("api{number}.elsewhere.example"), "ignore_case": true });
            any_of(
                "rules",
                json!({ "header": { "name": ":authority", "string_match": host } }),
            )
        }
    }
}

/// Returns the filter with `size` policies.
pub(super) fn filter(kind: RbacKind, size: usize) -> Value {
    let named = |number| {
        (
            format!("ns[istio-system]-policy[deny-{number:05}]-rule[0]"),
            policy(kind, number),
        )
    };
    let policies: Map<String, Value> = (0..size).map(named).collect();
    let fields = json!({ "rules": { "action": "DENY", "policies": policies } });
    config::filter(
        "envoy.filters.http.rbac",
        "filters.http.rbac.v3.RBAC",
        fields,
    )
}

fn policy(kind: RbacKind, number: usize) -> Value {
    let namespace = json!({ "safe_regex": { "regex": format!(".*/ns/team-{number}/.*") } });
    let caller = any_of(
        "ids",
        json!({ "authenticated": { "principal_name": namespace } }),
    );
    json!({
        "permissions": [{ "and_rules": { "rules": [permission(kind, number)] } }],
        "principals": [{ "and_ids": { "ids": [caller] } }],
    })
}

/// Returns a list of one element, of which one must hold, as Istio writes every list.
fn any_of(list: &str, one: Value) -> Value {
    json!({ format!("or_{list}"): { list: [one] } })
}
