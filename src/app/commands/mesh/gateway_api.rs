//! `customs mesh gateway-api`: what a gateway of the Kubernetes Gateway API needs.

use crate::app::cli::GatewayApiArgs;

/// Returns the YAML documents.
pub(super) fn snippets(args: &GatewayApiArgs) -> String {
    let GatewayApiArgs {
        provider_name,
        gateway_namespace: namespace,
        gateway,
        customs_namespace,
    } = args;
    format!(
        r#"# Makes the gateway ask; `customs mesh istio` prints the provider, which has to be there first.
# targetRefs, because the pods that istiod makes for a Gateway lack the label of other gateways.
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: customs-gateway-api
  namespace: {namespace}
  labels:
    app.kubernetes.io/name: customs
spec:
  targetRefs:
  - group: gateway.networking.k8s.io
    kind: Gateway
    name: {gateway}
  action: CUSTOM
  provider:
    name: {provider_name}
  rules:
  - {{}}
---
# Admits the gateway's pods to customs.
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: customs-gateway-api
  namespace: {customs_namespace}
  labels:
    app.kubernetes.io/name: customs
spec:
  podSelector:
    matchLabels:
      app.kubernetes.io/name: customs
  policyTypes: [Ingress]
  ingress:
  - from:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {namespace}
      podSelector:
        matchLabels:
          gateway.networking.k8s.io/gateway-name: {gateway}
    ports:
    - port: 9191
      protocol: TCP
"#
    )
}
