//! Tests what is read of configurations that no dump of ours has, and of what is none.

use super::*;

fn read(listener: &str) -> EnvoyConfig {
    let text = format!(
        "{{\"configs\": [{{\"@type\": \"x\", \"bootstrap\": {{\"node\": {{\"id\": \"router~1~a.b~c\"}}}}}},
          {{\"dynamic_listeners\": [{{\"active_state\": {{\"listener\": {listener}}}}}]}}]}}"
    );
    EnvoyConfig::read(text.as_bytes()).unwrap()
}

#[test]
fn what_is_no_configuration_is_refused_with_what_it_is() {
    for (text, expected) in [
        ("", "it is empty"),
        ("<html><body>Sign in</body></html>", "a page of HTML"),
        (
            "{\"configs\": [{\"bootstrap\": {\"no",
            "it ends in the middle",
        ),
        ("{\"version\": \"1\"}", "it is not a configuration of Envoy"),
        ("[]", "it is not a configuration of Envoy"),
        ("{\"configs\": []}", "neither listeners nor clusters"),
        ("invalid path. admin commands are:", "Envoy's admin address"),
    ] {
        let why = EnvoyConfig::read(text.as_bytes()).unwrap_err().to_string();
        assert!(why.contains(expected), "{text}: {why}");
    }
}

#[test]
fn sections_and_fields_of_later_versions_are_passed_over() {
    let config = EnvoyConfig::read(
        br#"{"configs": [{"@type": "future", "things": [{"a": 1}]}, {"bootstrap": {"node": {"id": "x", "user_agent_build_version": {"version": {"major_number": 2}}}, "new": 1}},
            {"static_clusters": [{"cluster": {"name": "a", "http2_protocol_options": {}, "x": []}}]},
            {"dynamic_listeners": [{"name": "warming", "warming_state": {"listener": {"name": "w"}}}]}], "more": {}}"#,
    )
    .unwrap();
    assert_eq!(config.version.unwrap().to_string(), "2.0.0");
    assert_eq!(config.role, Role::Alone);
    let clusters = config.clusters.unwrap();
    assert!(clusters[0].has_http2 && clusters[0].sni.is_none());
    assert!(config.listeners.is_empty());
}

#[test]
fn a_large_dump_keeps_only_what_is_read() {
    let endpoint = format!("{{\"endpoint\": \"{}\"}}", "x".repeat(1000));
    let endpoints = vec![endpoint; 20_000].join(",");
    let text = format!(
        "{{\"configs\": [{{\"dynamic_endpoint_configs\": [{endpoints}]}}, {{\"static_clusters\": [{{\"cluster\": {{\"name\": \"a\"}}}}]}}]}}"
    );
    assert!(text.len() > 20_000_000);
    let config = EnvoyConfig::read(text.as_bytes()).unwrap();
    assert_eq!(config.clusters.map(|all| all.len()), Some(1));
}

#[test]
fn the_role_is_in_the_id_of_the_node() {
    for (id, expected) in [
        ("sidecar~1~a.b~c", Role::Sidecar),
        ("router~1~a.b~c", Role::Gateway),
        ("waypoint~1~a.b~c", Role::Waypoint),
        ("egress-gateway", Role::Alone),
        ("", Role::Alone),
    ] {
        let text = format!(
            "{{\"configs\": [{{\"bootstrap\": {{\"node\": {{\"id\": \"{id}\"}}}}}}, {{\"static_clusters\": []}}]}}"
        );
        assert_eq!(EnvoyConfig::read(text.as_bytes()).unwrap().role, expected);
    }
}

#[test]
fn a_filter_of_a_type_that_its_sender_did_not_know_is_unwrapped() {
    let config = read(
        r#"{"name": "l", "filter_chains": [{"filters": [{"name": "a", "typed_config": {"@type": "x/xds.type.v3.TypedStruct",
            "type_url": "type.googleapis.com/envoy.extensions.filters.network.ext_authz.v3.ExtAuthz",
            "value": {"grpc_service": {"envoy_grpc": {"cluster_name": "c"}, "timeout": "0.250s"}, "failure_mode_allow": true}}},
            {"name": "envoy.filters.network.tcp_proxy", "typed_config": {"cluster": "up"}}]}]}"#,
    );
    let chain = &config.listeners[0].chains[0];
    let ask = &chain.asks[0];
    assert_eq!((ask.timeout, ask.fail_open), (Some(0.25), true));
    assert_eq!(
        (chain.cluster.as_deref(), chain.is_http),
        (Some("up"), false)
    );
}

#[test]
fn a_filter_that_asks_over_http_does_not_ask_customs() {
    let config = read(
        r#"{"name": "l", "filter_chains": [{"filters": [{"name": "hcm", "typed_config": {"@type": "x.HttpConnectionManager",
            "http_filters": [{"name": "envoy.filters.http.ext_authz", "typed_config": {"@type": "x.ExtAuthz", "http_service": {}}}]}}]}]}"#,
    );
    assert!(config.listeners[0].chains[0].asks.is_empty());
    assert!(config.listeners[0].chains[0].is_http);
}

#[test]
fn routes_that_turn_the_filter_off_are_named() {
    let off = r#"{"envoy.filters.http.ext_authz": {"@type": "x", "disabled": true}}"#;
    let text = format!(
        r#"{{"configs": [{{"static_clusters": []}}, {{"dynamic_route_configs": [{{"route_config": {{"name": "r", "virtual_hosts": [
            {{"name": "v", "typed_per_filter_config": {off}}}, {{"name": "w", "routes": [{{}}, {{"typed_per_filter_config": {off}}}, {{"typed_per_filter_config": {{"other": {{"disabled": true}}}}}}]}}]}}}}]}}]}}"#
    );
    let config = EnvoyConfig::read(text.as_bytes()).unwrap();
    assert_eq!(
        config.routes_not_asking,
        [
            "route configuration r, virtual host v",
            "route configuration r, virtual host w, route 2"
        ]
    );
}

#[test]
fn the_parts_of_a_cluster_s_name_are_told_apart() {
    for (name, expected) in [
        ("outbound|9191||a.b.svc", Some(("9191", "", "a.b.svc"))),
        ("outbound|443|wrapped|g.h", Some(("443", "wrapped", "g.h"))),
        ("customs", None),
        ("inbound|80||", None),
        ("outbound|80", None),
    ] {
        assert_eq!(Cluster::parts(name), expected, "{name}");
    }
    assert_eq!(
        provider_of_rule("istio-ext-authz-a-b-ns[x]-policy[y]-rule[0]"),
        Some("a-b")
    );
    assert_eq!(provider_of_rule("ns[x]-policy[y]-rule[0]"), None);
}
