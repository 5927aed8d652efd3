//! Envoy's own RBAC with many policies, each in the shape that Istio gives a `DENY` policy.
//!
//! No policy names the caller, so Envoy evaluates all of them and allows. The rule: one policy, one
//! namespace.

use serde_json::{Map, Value, json};

use super::config;
use customs_test_support::bench_report::document::count;

/// The numbers of policies.
pub(super) const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

/// What a policy denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A namespace may go nowhere.
    AnyHost,
    /// A namespace may not go to one host, a different one in each policy.
    DistinctHosts,
}

impl Kind {
    pub(super) const ALL: [Kind; 2] = [Kind::AnyHost, Kind::DistinctHosts];

    /// Returns the name in the tables.
    pub(super) fn name(self, size: usize) -> String {
        format!("RBAC, {} policies {}", count(size as f64), self.what())
    }

    /// Returns what the policies deny, in words.
    pub(super) fn what(self) -> &'static str {
        match self {
            Kind::AnyHost => "by namespace",
            Kind::DistinctHosts => "by namespace and host",
        }
    }

    fn permission(self, number: usize) -> Value {
        match self {
            Kind::AnyHost => json!({ "any": true }),
            Kind::DistinctHosts => {
                let host = json!({ "exact": format!("api{number}.elsewhere.example"), "ignore_case": true });
                any_of(
                    "rules",
                    json!({ "header": { "name": ":authority", "string_match": host } }),
                )
            }
        }
    }
}

/// Returns the filter with `size` policies.
pub(super) fn filter(kind: Kind, size: usize) -> Value {
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

fn policy(kind: Kind, number: usize) -> Value {
    let namespace = json!({ "safe_regex": { "regex": format!(".*/ns/team-{number}/.*") } });
    let caller = any_of(
        "ids",
        json!({ "authenticated": { "principal_name": namespace } }),
    );
    json!({
        "permissions": [{ "and_rules": { "rules": [kind.permission(number)] } }],
        "principals": [{ "and_ids": { "ids": [caller] } }],
    })
}

/// Returns a list of one element, of which one must hold, as Istio writes every list.
fn any_of(list: &str, one: Value) -> Value {
    json!({ format!("or_{list}"): { list: [one] } })
}
