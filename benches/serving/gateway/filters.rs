//! The two filters that Istio gives a workload with a `CUSTOM` policy without conditions: one marks
//! the request, the other asks about what is marked.

use serde_json::{Value, json};

use super::config::{AUTHORIZER, filter};

/// The prefix of the mark, for a provider called `customs`.
const MARK: &str = "istio-ext-authz-customs";

/// Returns both, in order.
pub(crate) fn asking() -> Vec<Value> {
    vec![marking(), asking_about_the_marked()]
}

/// Returns an RBAC filter that enforces nothing: its shadow rules match everything and leave the
/// policy's name behind.
fn marking() -> Value {
    let policy = format!("{MARK}-ns[istio-system]-policy[customs]-rule[0]");
    let any = json!({
        "permissions": [{ "and_rules": { "rules": [{ "any": true }] } }],
        "principals": [{ "and_ids": { "ids": [{ "any": true }] } }],
    });
    let fields = json!({
        "shadow_rules": { "action": "DENY", "policies": { policy: any } },
        "shadow_rules_stat_prefix": "istio_ext_authz_",
    });
    filter(
        "envoy.filters.http.rbac",
        "filters.http.rbac.v3.RBAC",
        fields,
    )
}

fn asking_about_the_marked() -> Value {
    let fields = json!({
        "transport_api_version": "V3",
        "failure_mode_allow": false,
        "status_on_error": { "code": "ServiceUnavailable" },
        "grpc_service": { "timeout": "0.5s", "envoy_grpc": { "cluster_name": AUTHORIZER } },
        "filter_enabled_metadata": {
            "filter": "envoy.filters.http.rbac",
            "path": [{ "key": "istio_ext_authz_shadow_effective_policy_id" }],
            "value": { "string_match": { "prefix": MARK } },
        },
    });
    filter(
        "envoy.filters.http.ext_authz",
        "filters.http.ext_authz.v3.ExtAuthz",
        fields,
    )
}
