//! Tests that the mesh configuration is found in each of its forms.

use super::*;
use crate::istio_objects::IstioObjects;

const PROVIDER: &str = "{name: customs, envoyExtAuthzGrpc: {service: customs-system/customs.customs-system.svc.cluster.local, port: 9191, timeout: 0.5s, statusOnError: \"503\"}}";

fn found(text: &str) -> Vec<MeshConfig> {
    let mut objects = IstioObjects::default();
    objects.read("mesh.yaml", text).unwrap();
    objects.mesh_configs
}

#[test]
fn each_form_of_the_mesh_configuration_is_read() {
    for text in [
        format!("extensionProviders: [{PROVIDER}]\n"),
        format!("meshConfig: {{extensionProviders: [{PROVIDER}]}}\n"),
        format!(
            "kind: IstioOperator\nspec: {{meshConfig: {{extensionProviders: [{PROVIDER}]}}}}\n"
        ),
        format!(
            "kind: IstioOperator\nspec: {{values: {{meshConfig: {{extensionProviders: [{PROVIDER}]}}}}}}\n"
        ),
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio}}\ndata:\n  mesh: |-\n    extensionProviders:\n    - {PROVIDER}\n"
        ),
        format!(
            "kind: List\nitems:\n- kind: ConfigMap\n  data:\n    mesh: |\n      extensionProviders: [{PROVIDER}]\n"
        ),
    ] {
        let all = found(&text);
        assert_eq!(all.len(), 1, "{text}");
        let [provider] = &all[0].providers[..] else {
            panic!("{text}");
        };
        assert_eq!(provider.name, "customs");
        let expected = GrpcProvider {
            service: "customs.customs-system.svc.cluster.local".into(),
            port: "9191".into(),
            timeout: Some(0.5),
            fail_open: false,
            status_on_error: Some("503".into()),
        };
        assert_eq!(provider.kind, ProviderKind::Grpc(expected), "{text}");
        assert!(all[0].place.starts_with("mesh.yaml:"), "{}", all[0].place);
    }
}

#[test]
fn other_documents_are_no_mesh_configuration() {
    for text in [
        "kind: ConfigMap\ndata: {other: x}\n",
        "kind: Service\nspec: {ports: []}\n",
        "a: b\n",
        "kind: Policy\nrootNamespace: x\n",
    ] {
        assert_eq!(found(text), [], "{text}");
    }
}

#[test]
fn durations_are_read_as_istio_writes_them() {
    for (text, expected) in [
        ("0.5s", Some(0.5)),
        ("500ms", Some(0.5)),
        ("1m30s", Some(90.0)),
        ("600s", Some(600.0)),
        ("", None),
        ("5", None),
        ("s", None),
        ("fast", None),
    ] {
        assert_eq!(seconds(text), expected, "{text}");
    }
}
