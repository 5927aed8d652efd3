//! Tests what is read of each kind of object, and that others are passed over.

use super::*;

fn read(text: &str) -> IstioObjects {
    let mut objects = IstioObjects::default();
    objects.read("a.yaml", text).unwrap();
    objects
}

#[test]
fn a_custom_policy_is_read_with_what_its_rules_leave_out() {
    let objects = read(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: gw}\n\
         spec:\n  selector: {matchLabels: {istio: egress}}\n  action: CUSTOM\n  provider: {name: customs}\n  rules:\n\
         \x20 - {}\n  - to: [{operation: {hosts: [x.example, '*'], paths: [/a, '/*'], methods: [GET], notPorts: ['1']}}]\n\
         \x20 - when: [{key: 'request.headers[x-a]', values: [b]}, {key: source.ip, values: [10.0.0.1]}]\n\
         ---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: b}\nspec: {action: DENY, rules: [{}]}\n",
    );
    let [policy] = &objects.custom_policies[..] else {
        panic!("{objects:?}");
    };
    assert_eq!(policy.described(), "AuthorizationPolicy gw/a");
    assert_eq!(policy.selector["istio"], "egress");
    assert!(policy.asks_about_everything());
    assert_eq!(policy.rules[0], []);
    assert_eq!(
        policy.rules[1],
        [
            Narrowing::Host("x.example".into()),
            Narrowing::Path("/a".into()),
            Narrowing::Method("GET".into()),
            Narrowing::Other("the port of the listener".into())
        ]
    );
    assert_eq!(
        policy.rules[2],
        [
            Narrowing::Header("x-a".into()),
            Narrowing::Other("`source.ip`".into())
        ]
    );
}

#[test]
fn a_port_has_http2_by_its_protocol_or_by_its_name() {
    for (port, expected) in [
        ("{port: 9191, name: x, appProtocol: grpc}", true),
        (
            "{port: 9191, name: x, appProtocol: kubernetes.io/h2c}",
            true,
        ),
        ("{port: 9191, name: grpc}", true),
        ("{port: 9191, name: grpc-checks}", true),
        ("{port: 9191, name: http2-x}", true),
        ("{port: 9191, name: grpc, appProtocol: http}", false),
        ("{port: 9191, name: checks}", false),
        ("{port: 9191}", false),
    ] {
        let text = format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: a, namespace: b}}\nspec: {{ports: [{port}]}}\n"
        );
        let objects = read(&text);
        assert_eq!(objects.services[0].ports[0].is_http2, expected, "{port}");
        assert_eq!(objects.services[0].host, "a.b.svc.cluster.local");
    }
}

#[test]
fn tls_of_a_subset_is_that_of_its_port_or_of_all() {
    let objects = read(
        "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a, namespace: gw}\nspec:\n  host: out\n\
         \x20 subsets:\n  - name: s\n    trafficPolicy:\n      tls: {mode: ISTIO_MUTUAL}\n\
         \x20     portLevelSettings: [{port: {number: 443}, tls: {mode: ISTIO_MUTUAL, sni: x.example}}]\n",
    );
    let rule = &objects.destination_rules[0];
    assert_eq!(rule.host, "out.gw.svc.cluster.local");
    let sni = |port| rule.subsets["s"].of(port).unwrap().sni.as_deref();
    assert_eq!((sni("443"), sni("80")), (Some("x.example"), None));
}

#[test]
fn other_objects_and_documents_are_passed_over() {
    for text in [
        "",
        "a: b\n",
        "[1, 2]\n",
        "kind: Service\n",
        "apiVersion: v1\nkind: Secret\n",
    ] {
        let mut objects = IstioObjects::default();
        assert_eq!(objects.read("a", text).unwrap(), 0, "{text}");
    }
    let mut objects = IstioObjects::default();
    assert!(objects.read("a", "a: [").is_err());
}

#[test]
fn a_list_of_a_large_cluster_is_read_item_by_item() {
    let filler = "x".repeat(4_500);
    let pod = |number: usize| {
        format!(
            "- apiVersion: v1\n  kind: Pod\n  metadata:\n    labels: {{app: a{number}}}\n    name: p\n  spec:\n    note: |\n      - {filler}\n\n      items:\n"
        )
    };
    let pods: String = (0..4_000).map(pod).collect();
    let policy = "- apiVersion: security.istio.io/v1\n  kind: AuthorizationPolicy\n  metadata: {name: a}\n  spec: {action: CUSTOM, rules: [{}]}\n";
    let yaml = format!(
        "apiVersion: v1\nitems:\n{pods}{policy}kind: List\nmetadata:\n  resourceVersion: \"\"\n"
    );
    assert!(yaml.len() > 16 * 1024 * 1024);
    let objects = read(&yaml);
    assert_eq!(
        (objects.pods.len(), objects.custom_policies.len()),
        (4_000, 1)
    );
    assert_eq!(objects.pods[7].labels["app"], "a7");

    let pod = |number: usize| {
        format!(
            "{{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {{\"labels\": {{\"app\": \"a{number}\"}}, \"note\": \"{filler}\"}}}}"
        )
    };
    let pods: Vec<String> = (0..4_000).map(pod).collect();
    let json = format!("{{\"kind\": \"List\", \"items\": [{}]}}", pods.join(","));
    assert_eq!(read(&json).pods.len(), 4_000);
}

#[test]
fn a_large_text_that_is_no_list_stays_whole() {
    let large = "a: b\n".to_owned() + &"# x\n".repeat(400_000);
    assert_eq!(large_list::items(&large), None);
    assert_eq!(large_list::items("items:\n- a\n"), None);
}
