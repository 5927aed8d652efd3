//! `customs mesh`: what it prints equals the shipped manifests for their names, loads where it is
//! meant for, and takes no name that would become something else.

use std::process::Command;

use serde_json::{Value, json};

use crate::{Folder, command, ended, repository};
use customs_test_support::tools;

/// Prints with arguments in one text, and returns the documents as values.
fn documents(arguments: &str) -> Vec<Value> {
    let mut command = command(&repository());
    let ended = ended(command.arg("mesh").args(arguments.split_whitespace()));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_saphyr::from_multiple(&ended.stdout).unwrap()
}

fn shipped(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(repository().join(path)).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

fn kinds(documents: &[Value]) -> Vec<&str> {
    let kinds = documents.iter().map(|document| document["kind"].as_str());
    kinds.map(Option::unwrap).collect()
}

#[test]
fn the_provider_and_the_policies_equal_the_shipped_files() {
    let istio = documents("istio");
    assert_eq!(
        istio[..1],
        shipped("deploy/istio/enforce/mesh-config.yaml")[..]
    );
    assert_eq!(
        istio[1..],
        shipped("deploy/istio/gateway/authorization-policy.yaml")[..]
    );
    let trial = documents("istio --fail-open");
    assert_eq!(
        trial[..1],
        shipped("deploy/istio/trial/mesh-config.yaml")[..]
    );
    let gateway_api = documents("gateway-api");
    let files = ["authorization-policy.yaml", "network-policy.yaml"];
    for (document, file) in gateway_api.iter().zip(files) {
        assert_eq!(
            *document,
            shipped(&format!("deploy/istio/gateway-api/{file}"))[0]
        );
    }
    assert_eq!(gateway_api.len(), 2);
}

#[test]
fn each_name_that_is_given_is_in_its_place() {
    let all = documents(
        "istio --provider-name egress-guard --service guard.security.svc.example.org --port 9443 \
         --timeout 250ms --gateway-namespace egress --gateway-label app=out --gateway-service out \
         --host api.partner.example",
    );
    let provider = &all[0]["spec"]["meshConfig"]["extensionProviders"][0];
    assert_eq!(
        *provider,
        json!({"name": "egress-guard", "envoyExtAuthzGrpc": {
            "service": "guard.security.svc.example.org", "port": 9443, "timeout": "0.25s",
            "failOpen": false, "statusOnError": "503"}})
    );
    assert_eq!(all[1]["spec"]["provider"]["name"], "egress-guard");
    assert_eq!(
        all[1]["spec"]["selector"]["matchLabels"],
        json!({"app": "out"})
    );
    assert_eq!(
        kinds(&all[2..]),
        [
            "ServiceEntry",
            "Gateway",
            "DestinationRule",
            "VirtualService",
            "Gateway",
            "DestinationRule",
            "VirtualService"
        ]
    );
    for document in &all[1..] {
        assert_eq!(document["metadata"]["namespace"], "egress", "{document}");
    }
    let rule = &all[7]["spec"];
    assert_eq!(rule["host"], "out.egress.svc.cluster.local");
    let tls = &rule["subsets"][0]["trafficPolicy"]["portLevelSettings"][0]["tls"];
    assert_eq!(
        *tls,
        json!({"mode": "ISTIO_MUTUAL", "sni": "api.partner.example"})
    );
    let names: Vec<_> = all
        .iter()
        .map(|document| &document["metadata"]["name"])
        .collect();
    let tls_gateway = json!(["mesh", names[6]]);
    assert_eq!(all[8]["spec"]["gateways"], tls_gateway);
}

#[test]
fn a_host_may_get_its_tls_from_the_gateway() {
    let all = documents("istio --host www.example.com --https originated");
    let kinds = kinds(&all);
    assert_eq!(
        kinds[2..],
        [
            "ServiceEntry",
            "Gateway",
            "DestinationRule",
            "VirtualService",
            "DestinationRule"
        ]
    );
    let tls = &all[6]["spec"]["trafficPolicy"]["portLevelSettings"][0]["tls"];
    assert_eq!(
        (&tls["mode"], &tls["sni"]),
        (&json!("SIMPLE"), &json!("www.example.com"))
    );
    let route = &all[5]["spec"]["http"][1]["route"][0]["destination"]["port"]["number"];
    assert_eq!(*route, 443);
}

#[test]
fn envoy_gateway_names_the_service_of_another_namespace_with_leave() {
    let all = documents("envoy-gateway --gateway out --gateway-namespace edge --timeout 200ms");
    let backend = &all[0]["spec"]["extAuth"]["grpc"]["backendRefs"][0];
    assert_eq!(
        *backend,
        json!({"name": "customs", "namespace": "customs-system", "port": 9191})
    );
    assert_eq!(all[0]["spec"]["extAuth"]["timeout"], "200ms");
    assert_eq!(all[0]["spec"]["targetRefs"][0]["name"], "out");
    assert_eq!(all[1]["metadata"]["namespace"], backend["namespace"]);
    assert_eq!(
        all[1]["spec"]["from"][0]["namespace"],
        all[0]["metadata"]["namespace"]
    );
}

#[test]
fn envoy_takes_the_filters_and_the_cluster() {
    let envoy = tools::envoy().unwrap();
    for flags in [
        "",
        "--fail-open --timeout 1s --service guard.example.org --port 443",
    ] {
        let [parts] = &documents(&format!("envoy {flags}"))[..] else {
            panic!("one document");
        };
        let part = |name: &str| parts[name].as_array().unwrap().clone();
        let (http, network) = (
            "envoy.extensions.filters.http",
            "envoy.extensions.filters.network",
        );
        let typed = |kind: &str| json!(format!("type.googleapis.com/{kind}"));
        let mut http_filters = part("http_filters");
        http_filters.push(json!({"name": "router", "typed_config": {
            "@type": typed(&format!("{http}.router.v3.Router"))}}));
        let manager = json!({"name": "http", "typed_config": {
            "@type": typed(&format!("{network}.http_connection_manager.v3.HttpConnectionManager")),
            "stat_prefix": "a", "http_filters": http_filters,
            "route_config": {"virtual_hosts": [{"name": "a", "domains": ["*"], "routes": [
                {"match": {"prefix": "/"}, "route": {"cluster": "customs"}}]}]}}});
        let mut network_filters = part("network_filters");
        network_filters.push(json!({"name": "tcp", "typed_config": {
            "@type": typed(&format!("{network}.tcp_proxy.v3.TcpProxy")),
            "stat_prefix": "b", "cluster": "customs"}}));
        let listener = |name: &str, filters: Vec<Value>| {
            json!({"name": name, "filter_chains": [{"filters": filters}],
                "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}})
        };
        let bootstrap = json!({"static_resources": {
            "clusters": part("clusters"),
            "listeners": [listener("http", vec![manager]), listener("tcp", network_filters)]}});
        let folder = Folder::with(&[("envoy.json", &bootstrap.to_string())]);
        let mut envoy = Command::new(&envoy.path);
        let arguments = [
            "--mode",
            "validate",
            "--config-path",
            "envoy.json",
            "--log-level",
            "error",
        ];
        let ended = ended(envoy.current_dir(folder.path()).args(arguments));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        // The validation would be worth nothing if it took everything.
        let wrong = bootstrap
            .to_string()
            .replace("failure_mode_allow", "failure_mode_alow");
        let folder = Folder::with(&[("envoy.json", &wrong)]);
        let ended = crate::ended(
            Command::new(&tools::envoy().unwrap().path)
                .current_dir(folder.path())
                .args(arguments),
        );
        assert_ne!(ended.code, Some(0), "{ended:?}");
    }
}

#[test]
fn a_name_that_would_become_something_else_is_refused() {
    for arguments in [
        ["istio", "--provider-name", "Customs"],
        ["istio", "--gateway-label", "istio"],
        ["istio", "--host", "www.example.com:443"],
        ["istio", "--host", "*.example.com"],
        ["istio", "--timeout", "600s"],
        ["istio", "--service", "customs\nx: y"],
        ["istio", "--port", "0"],
        ["gateway-api", "--gateway", "a: b"],
        ["envoy", "--service", "10.0.0.1"],
        ["envoy-gateway", "--customs-namespace", "a.b"],
    ] {
        let mut command = command(&repository());
        let ended = ended(command.arg("mesh").args(arguments));
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(2), ""),
            "{arguments:?}"
        );
        assert!(
            ended.stderr.contains(arguments[1]),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    let mut alone = command(&repository());
    let ended = ended(alone.args(["mesh", "istio", "--https", "originated"]));
    assert_eq!(ended.code, Some(2), "{ended:?}");
}

/// Returns the specs of documents, with the gateway of wrapped TLS under the name that is printed.
fn specs(documents: &[Value]) -> Vec<(&str, Value)> {
    let spec = |document: &Value| {
        let text = document["spec"].to_string();
        let text = text.replace(
            "istio-egressgateway-tls",
            "istio-egressgateway-www-aliyun-com",
        );
        serde_json::from_str(&text).unwrap()
    };
    let all = documents.iter();
    all.map(|document| (document["kind"].as_str().unwrap(), spec(document)))
        .collect()
}

#[test]
fn the_way_of_a_host_equals_the_files_of_the_scenario() {
    let wrapped = documents("istio --host www.aliyun.com");
    let files = ["2-service-entry", "4-gateway", "5-https-wrapped"];
    let expected: Vec<Value> = files
        .iter()
        .flat_map(|file| shipped(&format!("deploy/scenario/{file}.yaml")))
        .collect();
    assert_eq!(specs(&wrapped[2..]), specs(&expected));

    let originated = documents("istio --host www.alibabacloud.com --https originated");
    let expected = shipped("deploy/scenario/6-https-originated.yaml");
    let printed = specs(&originated[2..]);
    for (kind, spec) in specs(&expected) {
        assert!(printed.contains(&(kind, spec.clone())), "{kind}: {spec:#}");
    }
}
