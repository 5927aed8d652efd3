//! `customs mesh istio`: the provider, the CUSTOM policy, and the way of a host through the gateway.

use super::{object_name, seconds};
use crate::app::cli::{HttpsWay, IstioArgs, ProviderArgs};

/// Returns the YAML documents.
pub(super) fn snippets(args: &IstioArgs) -> String {
    let mut documents = vec![mesh_config(args), authorization_policy(args)];
    if let Some(host) = &args.host {
        documents.push(service_entry(args, host));
        documents.push(gateway(args));
        documents.push(through_the_gateway(args, host));
        documents.push(match args.https {
            HttpsWay::Wrapped => wrapped(args, host),
            HttpsWay::Originated => originated(args, host),
        });
    }
    documents.join("---\n")
}

fn mesh_config(args: &IstioArgs) -> String {
    let ProviderArgs {
        service,
        port,
        timeout,
        fail_open,
    } = &args.provider;
    let (name, timeout) = (&args.provider_name, seconds(*timeout));
    format!(
        r#"# Part of the mesh configuration; kubectl does not take it. Add the entry to those that are there,
# by `istioctl install -f`, the Helm value `meshConfig`, or the ConfigMap of istiod. Do this first.
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
spec:
  meshConfig:
    extensionProviders:
    - name: {name}
      envoyExtAuthzGrpc:
        service: {service}
        port: {port}
        timeout: {timeout}
        failOpen: {fail_open}
        statusOnError: "503"
"#
    )
}

fn authorization_policy(args: &IstioArgs) -> String {
    let (name, namespace) = (&args.provider_name, &args.gateway_namespace);
    let (key, value) = &args.gateway_label;
    format!(
        r#"# Makes the gateway ask. Apply it once istiod knows the provider: until then the gateway denies
# everything. One empty rule asks about every request; a narrower one can be bypassed.
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: customs
  namespace: {namespace}
  labels:
    app.kubernetes.io/name: customs
spec:
  selector:
    matchLabels:
      {key}: {value}
  action: CUSTOM
  provider:
    name: {name}
  rules:
  - {{}}
"#
    )
}

fn service_entry(args: &IstioArgs, host: &str) -> String {
    let (namespace, name) = (&args.gateway_namespace, object_name(host));
    let (https_name, https) = match args.https {
        HttpsWay::Wrapped => ("tls", "TLS"),
        HttpsWay::Originated => ("https", "HTTPS"),
    };
    format!(
        r#"# Lets the mesh know the host.
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: {name}
  namespace: {namespace}
spec:
  hosts:
  - {host}
  location: MESH_EXTERNAL
  ports:
  - number: 80
    name: http
    protocol: HTTP
  - number: 443
    name: {https_name}
    protocol: {https}
  resolution: DNS
"#
    )
}

/// Returns what every host over http has in common; it is the same for the next host.
fn gateway(args: &IstioArgs) -> String {
    let (namespace, service) = (&args.gateway_namespace, &args.gateway_service);
    let (key, value) = &args.gateway_label;
    format!(
        r#"# The gateway's listener for http inside the mesh's mutual TLS, which proves the caller.
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: {service}
  namespace: {namespace}
spec:
  selector:
    {key}: {value}
  servers:
  - port:
      number: 80
      name: http
      protocol: HTTPS
    tls:
      mode: ISTIO_MUTUAL
    hosts:
    - "*"
---
# Makes the sidecars use mutual TLS to it.
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: egress-gateway
  namespace: {namespace}
spec:
  host: {service}.{namespace}.svc.cluster.local
  subsets:
  - name: http
    trafficPolicy:
      tls:
        mode: ISTIO_MUTUAL
"#
    )
}

fn through_the_gateway(args: &IstioArgs, host: &str) -> String {
    let (namespace, service, name) = (
        &args.gateway_namespace,
        &args.gateway_service,
        object_name(host),
    );
    let port = match args.https {
        HttpsWay::Wrapped => 80,
        HttpsWay::Originated => 443,
    };
    format!(
        r#"# Sends http for the host from the sidecars to the gateway, and from there on.
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: {name}
  namespace: {namespace}
spec:
  exportTo:
  - "*"
  hosts:
  - {host}
  gateways:
  - mesh
  - {service}
  http:
  - match:
    - gateways: [mesh]
      port: 80
    route:
    - destination:
        host: {service}.{namespace}.svc.cluster.local
        subset: http
        port:
          number: 80
  - match:
    - gateways: [{service}]
      port: 80
    route:
    - destination:
        host: {host}
        port:
          number: {port}
"#
    )
}

fn wrapped(args: &IstioArgs, host: &str) -> String {
    let (namespace, service, name) = (
        &args.gateway_namespace,
        &args.gateway_service,
        object_name(host),
    );
    let (key, value) = &args.gateway_label;
    format!(
        r#"# The gateway's listener for the application's own TLS inside the mesh's mutual TLS.
apiVersion: networking.istio.io/v1
kind: Gateway
metadata:
  name: {service}-{name}
  namespace: {namespace}
spec:
  selector:
    {key}: {value}
  servers:
  - port:
      number: 443
      name: tls
      protocol: TLS
    tls:
      mode: ISTIO_MUTUAL
    hosts:
    - {host}
---
# Without `sni` the gateway sees its own name, and customs does not know the host.
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: egress-gateway-{name}
  namespace: {namespace}
spec:
  host: {service}.{namespace}.svc.cluster.local
  subsets:
  - name: {name}
    trafficPolicy:
      portLevelSettings:
      - port:
          number: 443
        tls:
          mode: ISTIO_MUTUAL
          sni: {host}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: {name}-tls
  namespace: {namespace}
spec:
  exportTo:
  - "*"
  hosts:
  - {host}
  gateways:
  - mesh
  - {service}-{name}
  tls:
  - match:
    - gateways: [mesh]
      port: 443
      sniHosts: [{host}]
    route:
    - destination:
        host: {service}.{namespace}.svc.cluster.local
        subset: {name}
        port:
          number: 443
  tcp:
  - match:
    - gateways: [{service}-{name}]
      port: 443
    route:
    - destination:
        host: {host}
        port:
          number: 443
"#
    )
}

fn originated(args: &IstioArgs, host: &str) -> String {
    let (namespace, name) = (&args.gateway_namespace, object_name(host));
    format!(
        r#"# Makes the gateway use https to the host, and check its certificate.
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: {name}
  namespace: {namespace}
spec:
  exportTo:
  - "."
  host: {host}
  trafficPolicy:
    portLevelSettings:
    - port:
        number: 443
      tls:
        mode: SIMPLE
        sni: {host}
        subjectAltNames:
        - {host}
"#
    )
}
