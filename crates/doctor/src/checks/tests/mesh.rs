//! The mesh configuration, the objects and the configuration of Envoys that no dump of ours has.

use super::*;

/// A mesh configuration without a fault.
pub(super) const MESH: &str = "\
extensionProviders:
- name: customs
  envoyExtAuthzGrpc: {service: customs.customs-system.svc.cluster.local, port: 9191, timeout: 0.5s, statusOnError: \"503\"}
";

const POLICY: &str = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: customs, namespace: istio-system}
spec: {selector: {matchLabels: {istio: egressgateway}}, action: CUSTOM, provider: {name: customs}, rules: [{}]}
";

const SERVICE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: customs, namespace: customs-system}
spec: {ports: [{name: grpc, port: 9191, appProtocol: grpc}]}
";

const DEPLOYMENT: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: istio-egressgateway, namespace: istio-system}
spec: {template: {metadata: {labels: {istio: egressgateway}}}}
";

fn with_objects(texts: &[&str]) -> Evidence {
    let mut evidence = evidence(Vec::new());
    for text in texts {
        evidence.objects.read("objects.yaml", text).unwrap();
    }
    evidence.has_objects = true;
    evidence.has_mesh_config = !evidence.objects.mesh_configs.is_empty();
    evidence
}

fn changed(from: &str, to: &str) -> Vec<Code> {
    let all = [MESH, POLICY, SERVICE, DEPLOYMENT];
    assert!(
        from.is_empty() || all.iter().any(|text| text.contains(from)),
        "{from}"
    );
    let texts = all.map(|text| text.replace(from, to));
    codes(&with_objects(&texts.each_ref().map(String::as_str)))
}

#[test]
fn each_change_of_the_objects_is_one_fault() {
    for (from, to, expected) in [
        ("", "", None),
        ("timeout: 0.5s, ", "", Some(Code::TimeoutMissing)),
        ("timeout: 0.5s", "timeout: 2s", Some(Code::TimeoutLong)),
        ("timeout: 0.5s", "timeout: 30s", Some(Code::TimeoutLong)),
        ("timeout: 0.5s", "timeout: 1s", None),
        ("timeout: 0.5s", "timeout: 500ms", None),
        (
            "timeout: 0.5s",
            "timeout: 0.5s, failOpen: true",
            Some(Code::FailOpen),
        ),
        (
            ", statusOnError: \"503\"",
            "",
            Some(Code::StatusOnErrorMissing),
        ),
        ("\"503\"", "\"599\"", Some(Code::StatusOnErrorInvalid)),
        ("\"503\"", "unavailable", Some(Code::StatusOnErrorInvalid)),
        (
            "port: 9191, timeout",
            "port: 9999, timeout",
            Some(Code::ProviderPortUnknown),
        ),
        (
            "service: customs.customs-system",
            "service: guard.customs-system",
            Some(Code::ProviderServiceUnknown),
        ),
        (
            "name: grpc, port: 9191, appProtocol: grpc",
            "name: checks, port: 9191",
            Some(Code::Http2Missing),
        ),
        (
            "provider: {name: customs}",
            "provider: {name: custom}",
            Some(Code::ProviderUnknown),
        ),
        (
            "rules: [{}]",
            "rules: [{to: [{operation: {methods: [GET]}}]}]",
            Some(Code::CustomRuleNarrow),
        ),
        (
            "rules: [{}]",
            "rules: [{to: [{operation: {hosts: [a.b]}}]}, {}]",
            None,
        ),
        ("rules: [{}]", "rules: []", Some(Code::CustomRuleNarrow)),
        (
            "{istio: egressgateway}}, action",
            "{istio: egress}}, action",
            Some(Code::GatewayNotSelected),
        ),
        (
            "extensionProviders:\n",
            "extensionProviders:\n- {name: customs-audit, envoyExtAuthzGrpc: {service: x}}\n",
            Some(Code::ProviderNamePrefix),
        ),
        (
            "extensionProviders:\n",
            "extensionProviders:\n- {name: Guard, envoyExtAuthzGrpc: {service: x}}\n",
            Some(Code::ProviderNameInvalid),
        ),
        (
            "extensionProviders:\n",
            "extensionProviders:\n- {name: customs-tracer, zipkin: {service: x}}\n",
            None,
        ),
    ] {
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(changed(from, to), expected, "{from} -> {to}");
    }
}

#[test]
fn a_mesh_without_the_provider_is_a_fault_by_itself() {
    assert_eq!(
        codes(&with_objects(&["extensionProviders: []\n"])),
        [Code::ProviderMissing]
    );
    let http = "extensionProviders: [{name: customs, envoyExtAuthzHttp: {service: x}}]\n";
    assert_eq!(codes(&with_objects(&[http])), [Code::ProviderMissing]);
}

#[test]
fn a_policy_of_another_provider_or_gateway_is_not_ours_to_judge() {
    let other = POLICY
        .replace("namespace: istio-system", "namespace: shop")
        .replace("name: customs", "name: oauth");
    let mesh = format!("{MESH}- name: oauth\n  envoyExtAuthzHttp: {{service: x}}\n");
    assert_eq!(
        codes(&with_objects(&[&mesh, POLICY, SERVICE, DEPLOYMENT, &other])),
        []
    );
}

/// A configuration of Envoy by hand, with these changes.
fn envoy(changes: &[(&str, &str)]) -> Evidence {
    let mut text = r#"{"configs": [
        {"bootstrap": {"node": {"id": "egress", "user_agent_build_version": {"version": {"major_number": 1, "minor_number": 40}}}}},
        {"static_listeners": [{"listener": {"name": "http", "filter_chains": [{"transport_socket": {"typed_config": {"@type": "a.DownstreamTlsContext", "require_client_certificate": true}},
            "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": {"@type": "a.HttpConnectionManager", "http_filters": [
            {"name": "envoy.filters.http.ext_authz", "typed_config": {"@type": "a.ExtAuthz", "status_on_error": {"code": "ServiceUnavailable"},
             "grpc_service": {"timeout": "0.5s", "envoy_grpc": {"cluster_name": "customs", "authority": "customs"}}}}]}}]}]}}]},
        {"static_clusters": [{"cluster": {"name": "customs", "typed_extension_protocol_options": {"x": {"explicit_http_config": {"http2_protocol_options": {}}}}}}]}]}"#
        .to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let mut evidence = evidence(Vec::new());
    evidence.proxies.push(ProxyEvidence {
        name: "gateway.json".into(),
        config: Some(EnvoyConfig::read(text.as_bytes()).unwrap()),
        ..ProxyEvidence::default()
    });
    evidence
}

#[test]
fn each_change_of_an_envoy_without_a_control_plane_is_one_fault() {
    let silent = r#""static_listeners": [{"listener": {"name": "open", "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": {"cluster": "x"}}]}]}}, "#;
    let passing = r#""static_listeners": [{"listener": {"name": "open", "filter_chains": [{"filters": [{"name": "envoy.filters.network.sni_cluster"}]}]}}, "#;
    for (from, to, expected) in [
        ("\"id\"", "\"id\"", None),
        ("\"timeout\": \"0.5s\", ", "", None),
        ("\"0.5s\"", "\"30s\"", Some(Code::TimeoutLong)),
        ("\"0.5s\"", "\"600s\"", Some(Code::TimeoutMissing)),
        (
            "\"@type\": \"a.ExtAuthz\", ",
            "\"failure_mode_allow\": true, ",
            Some(Code::FailOpen),
        ),
        (
            "\"status_on_error\": {\"code\": \"ServiceUnavailable\"},",
            "",
            Some(Code::StatusOnErrorMissing),
        ),
        (
            "\"http2_protocol_options\"",
            "\"http_protocol_options\"",
            Some(Code::Http2Missing),
        ),
        (
            "\"cluster_name\": \"customs\"",
            "\"cluster_name\": \"guard\"",
            Some(Code::ProviderServiceUnknown),
        ),
        (
            "ext_authz\", \"typed_config\": {\"@type\": \"a.ExtAuthz\"",
            "cors\", \"typed_config\": {\"@type\": \"a.Cors\"",
            Some(Code::GatewayNotSelected),
        ),
        (
            "\"static_listeners\": [",
            silent,
            Some(Code::ChainNotAsking),
        ),
        (
            "\"static_listeners\": [",
            passing,
            Some(Code::AutoPassthrough),
        ),
        (
            "\"minor_number\": 40",
            "\"minor_number\": 38",
            Some(Code::EnvoyOutdated),
        ),
        (
            "{\"static_clusters\"",
            "{\"dynamic_route_configs\": [{\"route_config\": {\"virtual_hosts\": [{\"typed_per_filter_config\": {\"ext_authz\": {\"disabled\": true}}}]}}]}, {\"static_clusters\"",
            Some(Code::RouteNotAsking),
        ),
    ] {
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(codes(&envoy(&[(from, to)])), expected, "{from} -> {to}");
    }
}

#[test]
fn a_listener_that_answers_by_itself_need_not_ask() {
    for (action, expected) in [
        ("\"direct_response\": {\"status\": 200}", vec![]),
        ("\"redirect\": {}", vec![]),
        (
            "\"route\": {\"cluster\": \"x\"}",
            vec![Code::ChainNotAsking],
        ),
    ] {
        let listener = format!(
            r#""static_listeners": [{{"listener": {{"name": "health", "filter_chains": [{{"filters": [{{"name": "hcm", "typed_config":
                {{"@type": "a.HttpConnectionManager", "route_config": {{"virtual_hosts": [{{"routes": [{{{action}}}]}}]}}}}}}]}}]}}}}, "#
        );
        let evidence = envoy(&[("\"static_listeners\": [", &listener)]);
        assert_eq!(codes(&evidence), expected, "{action}");
    }
}

#[test]
fn fail_open_is_right_for_a_trial() {
    let open = MESH.replace("timeout: 0.5s", "timeout: 0.5s, failOpen: true");
    for (modes, expected) in [
        (vec!["report", "report"], vec![Code::NotEnforced]),
        (vec!["enforce"], vec![Code::FailOpen]),
        (
            vec!["enforce", "report"],
            vec![Code::ModesDiffer, Code::NotEnforced, Code::FailOpen],
        ),
        (vec![], vec![Code::FailOpen]),
    ] {
        let mut evidence = with_objects(&[&open]);
        for (number, mode) in modes.iter().enumerate() {
            let address = format!("a{number}:1");
            let replica = replica(&address, |status| status.enforcement = (*mode).into());
            evidence.replicas.push(replica);
        }
        assert_eq!(codes(&evidence), expected, "{modes:?}");
    }
}

#[test]
fn an_authority_that_is_none_is_a_note() {
    let evidence = envoy(&[
        (
            "\"cluster_name\": \"customs\", \"authority\": \"customs\"",
            "\"cluster_name\": \"outbound|9191||customs\"",
        ),
        (
            "\"cluster\": {\"name\": \"customs\"",
            "\"cluster\": {\"name\": \"outbound|9191||customs\"",
        ),
    ]);
    let diagnosis = examine(&evidence);
    assert!(
        diagnosis.has(Code::AuthorityMissing) && diagnosis.is_healthy(),
        "{diagnosis:#?}"
    );
}

/// Adds a replica that decided for callers with these states of their identity.
fn deciding(mut evidence: Evidence, valid: u64, unknown: u64, other: (&str, u64)) -> Evidence {
    let mut replica = replica("a:1", |_| {});
    let (state, count) = other;
    let text = format!(
        "customs_decisions_total{{effect=\"deny\",identity=\"valid\"}} {valid}\n\
         customs_decisions_total{{effect=\"deny\",identity=\"unauthenticated\"}} {unknown}\n\
         customs_decisions_total{{effect=\"deny\",identity=\"{state}\"}} {count}\n"
    );
    replica.metrics = Some(CustomsMetrics::read(&text).unwrap());
    evidence.replicas.push(replica);
    evidence
}

#[test]
fn callers_that_are_not_known_have_a_cause() {
    let mutual = (
        "\"require_client_certificate\": true",
        "\"require_client_certificate\": true",
    );
    let anonymous = ("\"require_client_certificate\": true", "\"x\": 1");
    let plain = ("a.DownstreamTlsContext", "a.Other");
    let waypoint = ("\"id\": \"egress\"", "\"id\": \"waypoint~1~w.shop~x\"");
    let invalid = ("invalid_identity", 0);
    for (evidence, expected) in [
        (deciding(envoy(&[mutual]), 5, 0, invalid), None),
        // Some callers beside others may be meant.
        (deciding(envoy(&[mutual]), 5, 2, invalid), None),
        (
            deciding(envoy(&[mutual]), 0, 2, invalid),
            Some(Code::NoPrincipal),
        ),
        (
            deciding(envoy(&[plain]), 0, 2, invalid),
            Some(Code::NoPrincipalPlaintext),
        ),
        (
            deciding(envoy(&[anonymous]), 5, 2, invalid),
            Some(Code::NoPrincipalPlaintext),
        ),
        (
            deciding(evidence(Vec::new()), 0, 2, invalid),
            Some(Code::NoPrincipal),
        ),
        (
            deciding(evidence(Vec::new()), 5, 0, ("invalid_identity", 1)),
            Some(Code::IdentityNotAccepted),
        ),
        (
            deciding(evidence(Vec::new()), 5, 0, ("untrusted_domain", 1)),
            Some(Code::IdentityNotAccepted),
        ),
        (deciding(envoy(&[plain]), 0, 0, invalid), None),
        (
            deciding(envoy(&[waypoint]), 0, 2, invalid),
            Some(Code::NoPrincipalWaypoint),
        ),
    ] {
        let expected: Vec<_> = expected.into_iter().collect();
        let mut found = codes(&evidence);
        // A waypoint has no static listeners, so this one has none that asks.
        found.retain(|code| *code != Code::GatewayNotSelected);
        assert_eq!(found, expected);
    }
}

#[test]
fn tls_under_the_gateway_s_own_name_is_found_on_record() {
    let mut evidence = evidence(Vec::new());
    evidence.records = Some(RecordCounts {
        files: vec!["audit.jsonl".into()],
        decisions: 3,
        wrappers: [(
            "outbound_.443_.wrapped_.gw.istio-system.svc.cluster.local".to_owned(),
            3,
        )]
        .into(),
        ..RecordCounts::default()
    });
    let diagnosis = examine(&evidence);
    assert_eq!(codes(&evidence), [Code::SniMissing]);
    assert_eq!(
        diagnosis.findings[0].subject,
        "TLS to gw.istio-system.svc.cluster.local, subset wrapped"
    );
}
