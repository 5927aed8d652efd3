//! `customs mesh envoy-gateway`: the SecurityPolicy of Envoy Gateway, and the permission that it
//! needs to name a Service of another namespace.

use crate::app::cli::EnvoyGatewayArgs;

/// Returns the YAML documents.
pub(super) fn snippets(args: &EnvoyGatewayArgs) -> String {
    let EnvoyGatewayArgs {
        service_name,
        customs_namespace,
        port,
        timeout,
        fail_open,
        gateway_namespace,
        gateway,
    } = args;
    let timeout = format!("{}ms", timeout.as_millis());
    format!(
        r#"# Makes the gateway ask about every request of its routes.
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: SecurityPolicy
metadata:
  name: customs
  namespace: {gateway_namespace}
spec:
  targetRefs:
  - group: gateway.networking.k8s.io
    kind: Gateway
    name: {gateway}
  extAuth:
    failOpen: {fail_open}
    timeout: {timeout}
    grpc:
      backendRefs:
      - name: {service_name}
        namespace: {customs_namespace}
        port: {port}
---
# Lets it name the Service of another namespace.
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata:
  name: customs
  namespace: {customs_namespace}
spec:
  from:
  - group: gateway.envoyproxy.io
    kind: SecurityPolicy
    namespace: {gateway_namespace}
  to:
  - group: ""
    kind: Service
    name: {service_name}
"#
    )
}
