"""The faults that the checks of deploy/istio must report, one at a time."""

import copy

from .objects import GATEWAY_API, GATEWAY_NAME, VARIANTS, Pod, the


def faults():
    """(what is broken, how, a piece of the problem that must be reported)"""

    def cluster(kind, change):
        return lambda state: [change(the(state["cluster"][v], kind)) for v in VARIANTS]

    def provider(change):
        return lambda state: [
            change(state["mesh"][v][0]["spec"]["meshConfig"]["extensionProviders"][0]) for v in VARIANTS]

    def grpc(change):
        return provider(lambda p: change(p["envoyExtAuthzGrpc"]))

    def ask(change):
        return lambda state: change(the(state["gateway"], "AuthorizationPolicy"))

    def ask_by_ref(change):
        return lambda state: change(the(state["gateway-api"], "AuthorizationPolicy"))

    def door_by_ref(change):
        return lambda state: change(the(state["gateway-api"], "NetworkPolicy"))

    def scenario(group, kind, change):
        def is_meant(thing):
            return thing["kind"] == kind and thing["apiVersion"].startswith(f"{group}/")
        return lambda state: change(next(t for things in state["scenario"].values() for t in things if is_meant(t)))

    def ref(change):
        return ask_by_ref(lambda a: change(a["spec"]["targetRefs"][0]))

    def given(*things):
        return lambda state: state.__setitem__("given", copy.deepcopy(list(things)))

    def pod(change):
        return cluster("Deployment", lambda d: change(d["spec"]["template"]["spec"]))

    def container(change):
        return pod(lambda spec: change(spec["containers"][0]))

    def policy(text):
        return lambda state: state["policies"][0]["data"].update({"broken.yaml": text})

    def put(key, value):
        return lambda mapping: mapping.__setitem__(key, value)

    def drop(key):
        return lambda mapping: mapping.__delitem__(key)

    def arg(old, new):
        return container(lambda c: c.update(args=[a.replace(old, new) for a in c["args"]]))

    def tls(way, kind, change):
        return lambda state: change(the(state["mutual-tls"][way], kind))

    def rule(way, change):
        return tls(way, "DestinationRule", lambda r: change(r["spec"]["trafficPolicy"]["tls"]))

    def tls_arg(way, old, new):
        def change(deployment):
            container = deployment["spec"]["template"]["spec"]["containers"][0]
            container["args"] = [arg.replace(old, new) for arg in container["args"]]
        return tls(way, "Deployment", change)

    def note(key, value):
        return tls("mesh-certificates", "Deployment", lambda d: put(key, value)(d["spec"]["template"]["metadata"]["annotations"]))

    from_namespace = [{"from": [{"source": {"namespaces": ["demo-frontend"]}}]}]
    return [
        ("a Deployment with an unknown field", cluster("Deployment", lambda d: put("replica", 2)(d["spec"])), "'replica' was unexpected"),
        ("a Deployment with a field of the wrong type", cluster("Deployment", lambda d: put("replicas", "two")(d["spec"])), "is not of type"),
        ("a container with an unknown field", container(put("imagePullPolice", "Always")), "'imagePullPolice' was unexpected"),
        ("a Service port with an unknown field", cluster("Service", lambda s: put("protocl", "TCP")(s["spec"]["ports"][0])), "'protocl' was unexpected"),
        ("a Service that is not gRPC", cluster("Service", lambda s: drop("appProtocol")(s["spec"]["ports"][0])), "appProtocol is not grpc"),
        ("a Service with the admin port", cluster("Service", lambda s: s["spec"]["ports"].append({"name": "admin", "port": 9192})), "more than the one port"),
        ("a Service that selects nothing", cluster("Service", lambda s: put("selector", {"app": "other"})(s["spec"])), "Service's selector"),
        ("a kind that does not exist", cluster("PodDisruptionBudget", put("apiVersion", "policy/v2")), "Couldn't find schema"),
        ("an object in another namespace", cluster("ServiceAccount", lambda s: put("namespace", "default")(s["metadata"])), "is not in customs-system"),
        ("a NetworkPolicy for another gateway", cluster("NetworkPolicy", lambda n: put("podSelector", {"matchLabels": {"istio": "ingressgateway"}})(n["spec"]["ingress"][0]["from"][0])), "exactly the gateway"),
        ("a root file system that can be written", container(lambda c: put("readOnlyRootFilesystem", False)(c["securityContext"])), "readOnlyRootFilesystem"),
        ("policies mounted with subPath", container(lambda c: put("subPath", "demo-frontend.yaml")(c["volumeMounts"][0])), "subPath"),
        ("policies mounted elsewhere", container(lambda c: put("mountPath", "/policies")(c["volumeMounts"][0])), "nothing is mounted at"),
        ("a ConfigMap that is not there", pod(lambda s: put("name", "other")(s["volumes"][0]["configMap"])), "is not in policies/"),
        ("a grace period shorter than the drain", pod(put("terminationGracePeriodSeconds", 10)), "terminationGracePeriodSeconds must be more"),
        ("customs listening on loopback", arg("--listen=0.0.0.0", "--listen=127.0.0.1"), "must be reachable"),
        ("customs listening on another port", arg(":9191", ":9999"), "are not those of --listen"),
        ("a trial that enforces", lambda s: put(-1, "--enforcement=enforce")(Pod(s["cluster"]["trial"]).container["args"]), "not 'report'"),
        ("an enforce that only reports", lambda s: put(-1, "--enforcement=report")(Pod(s["cluster"]["enforce"]).container["args"]), "not 'enforce'"),
        ("a trial with more replicas than enforce", lambda s: put("replicas", 3)(the(s["cluster"]["trial"], "Deployment")["spec"]), "trial and enforce differ in /Deployment/customs/spec/replicas"),
        ("a provider without timeout", grpc(drop("timeout")), "timeout is not set"),
        ("a provider with Istio's default timeout", grpc(put("timeout", "600s")), "timeout '600s'"),
        ("a provider without failOpen", grpc(drop("failOpen")), "failOpen is not set"),
        ("an enforce that fails open", lambda s: put("failOpen", True)(s["mesh"]["enforce"][0]["spec"]["meshConfig"]["extensionProviders"][0]["envoyExtAuthzGrpc"]), "failOpen is True, not False"),
        ("a provider whose failOpen is a string", grpc(put("failOpen", "false")), "failOpen is 'false'"),
        ("a provider without statusOnError", grpc(drop("statusOnError")), "statusOnError is not set"),
        ("a statusOnError that is a number", grpc(put("statusOnError", 503)), 'not the string "503"'),
        ("a provider of another Service", grpc(put("service", "customs.default.svc.cluster.local")), "is not the Service's name"),
        ("a provider with the admin port", grpc(put("port", 9192)), "is not a port of the Service"),
        ("a provider with an unknown field", grpc(put("failOpened", True)), "failOpened: unknown field"),
        ("a provider of another name", provider(put("name", "custom")), "is not the one of trial/mesh-config.yaml"),
        ("a mesh configuration of another kind", lambda s: put("kind", "IstioOperater")(s["mesh"]["trial"][0]), "no schema for IstioOperater"),
        ("a CUSTOM policy that names another provider", ask(lambda a: put("name", "other")(a["spec"]["provider"])), "provider 'other' is not the one"),
        ("a CUSTOM policy without rules", ask(lambda a: drop("rules")(a["spec"])), "rules is not [{}]"),
        ("a CUSTOM policy with an empty list of rules", ask(lambda a: put("rules", [])(a["spec"])), "rules is not [{}]"),
        ("a CUSTOM policy with identity in a rule", ask(lambda a: put("rules", from_namespace)(a["spec"])), "rules is not [{}]"),
        ("a CUSTOM policy without selector", ask(lambda a: drop("selector")(a["spec"])), "no selector"),
        ("a selector with a label that the gateway lacks", ask(lambda a: put("selector", {"matchLabels": {"istio": "egress-gateway"}})(a["spec"])), "selects no gateway"),
        ("a gateway that no selector reaches", ask(lambda a: put("selector", {"matchLabels": {"istio": "egress-gateway"}})(a["spec"])), "no CUSTOM policy reaches it"),
        ("a CUSTOM policy in another namespace than the gateway", ask(lambda a: put("namespace", "istio-egress")(a["metadata"])), "it is in namespace istio-egress"),
        ("targetRefs for pods that are not of the Gateway API", ask(lambda a: (drop("selector")(a["spec"]), put("targetRefs", [{"group": GATEWAY_API, "kind": "Gateway", "name": "istio-egressgateway"}])(a["spec"]))), "its targetRefs apply only to pods with the label"),
        ("a targetRef to another Gateway", ref(put("name", "egres")), "its targetRefs name Gateway egres"),
        ("a targetRef to a GatewayClass", ref(put("kind", "GatewayClass")), "attaches to no gateway"),
        ("a targetRef to a ServiceEntry", ref(lambda r: r.update(group="networking.istio.io", kind="ServiceEntry")), "attaches to no gateway"),
        ("a targetRef to Istio's own Gateway", ref(put("group", "networking.istio.io")), "attaches to no gateway"),
        ("a targetRef without a group", ref(drop("group")), "attaches to no gateway"),
        ("a targetRef without a name", ref(put("name", "")), "has no name"),
        ("a targetRef with a namespace", ref(put("namespace", "istio-egress")), "a targetRef has a namespace"),
        ("targetRefs in another namespace than the Gateway", ask_by_ref(lambda a: put("namespace", "istio-egress")(a["metadata"])), "targetRefs reach only Gateways of their own namespace"),
        ("targetRefs beside a selector", ask_by_ref(lambda a: put("selector", {"matchLabels": {"istio": "egressgateway"}})(a["spec"])), "only one of selector, targetRef and targetRefs"),
        ("two gateway policies with another provider", ask_by_ref(lambda a: put("name", "other")(a["spec"]["provider"])), "gateway/ and gateway-api/ differ in /spec/provider/name"),
        ("two gateway policies of one name", ask_by_ref(lambda a: put("name", "customs")(a["metadata"])), "applying one would replace the other"),
        ("a NetworkPolicy that lets in another Gateway", door_by_ref(lambda n: put("podSelector", {"matchLabels": {GATEWAY_NAME: "ingress"}})(n["spec"]["ingress"][0]["from"][0])), "exactly the gateway that the AuthorizationPolicy names"),
        ("a Gateway of the Gateway API that nothing names", given({**GATEWAY, "metadata": {"name": "out", "namespace": "istio-system"}}), "targetRef `name: out` and namespace istio-system"),
        ("a Gateway of the Gateway API beside a selector only", given(GATEWAY, SELECTING), "it selects pods with istio: egressgateway"),
        ("a policy that selects no gateway of those given", given(GATEWAY, SELECTING), "it selects no gateway of those given"),
        ("a Gateway that uses pods nobody describes", given({**GATEWAY, "spec": {**GATEWAY["spec"], "addresses": [{"type": "Hostname", "value": "out.istio-system.svc.cluster.local"}]}}), "give that Service too"),
        ("a waypoint beside a selector for its label", given({**GATEWAY, "spec": {"gatewayClassName": "istio-waypoint"}}, {**SELECTING, "spec": {**SELECTING["spec"], "selector": {"matchLabels": {GATEWAY_NAME: "egress"}}}}), "waypoints take no selector"),
        ("an Istio Gateway for pods with another label", given({**CLASSIC, "spec": {"selector": {"istio": "outbound"}}}), "of these only istio: outbound is known"),
        ("a gateway Deployment with another label", given(CLASSIC, pods_with({"istio": "egressgateway", "app": "out"}, "egress-system")), "no NetworkPolicy lets it reach customs"),
        ("an injected gateway that nothing selects", given(pods_with({"app": "out"}, "istio-system", {"inject.istio.io/templates": "gateway"})), "these have app: out"),
        ("a gateway with a second provider", given(CLASSIC, SELECTING, {**SELECTING, "metadata": {"name": "opa", "namespace": "istio-system"}, "spec": {**SELECTING["spec"], "provider": {"name": "opa"}}}), "names another provider"),
        ("a given policy that is narrowed", given(CLASSIC, {**SELECTING, "spec": {**SELECTING["spec"], "rules": [{"to": [{"operation": {"hosts": ["www.aliyun.com"]}}]}]}}), "rules is not [{}]"),
        ("files without a gateway", given({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {}}), "there is none"),
        ("a CUSTOM policy with an unknown field", ask(lambda a: put("providers", [])(a["spec"])), "/spec/providers: unknown field"),
        ("a CUSTOM policy with an unknown field deep inside", ask(lambda a: put("rules", [{"to": [{"operation": {"host": ["a"]}}]}])(a["spec"])), "/spec/rules/0/to/0/operation/host: unknown field"),
        ("a CUSTOM policy with an action that does not exist", ask(lambda a: put("action", "CUSTOMS")(a["spec"])), "/spec/action: must be equal to one of"),
        ("a CUSTOM policy with rules of the wrong type", ask(lambda a: put("rules", {})(a["spec"])), "/spec/rules: must be array"),
        ("a DestinationRule with an unknown field", rule("sidecar", put("subjectAltName", "a")), "/spec/trafficPolicy/tls/subjectAltName: unknown field"),
        ("a DestinationRule with a mode that does not exist", rule("sidecar", put("mode", "MTLS")), "/spec/trafficPolicy/tls/mode"),
        ("a DestinationRule for another service", tls("sidecar", "DestinationRule", lambda r: put("host", "customs")(r["spec"])), "not for the service of the provider"),
        ("a DestinationRule without mutual TLS", rule("mesh-certificates", put("mode", "SIMPLE")), "not ISTIO_MUTUAL"),
        ("a DestinationRule that expects another identity", rule("mesh-certificates", put("subjectAltNames", ["spiffe://cluster.local/ns/a/sa/b"])), "not the identity of the pods"),
        ("a sidecar that takes plain text", tls("sidecar", "PeerAuthentication", lambda p: put("mtls", {"mode": "PERMISSIVE"})(p["spec"])), "takes plain text as well"),
        ("a sidecar that ends before customs", tls("sidecar", "Deployment", lambda d: put("proxy.istio.io/config", "terminationDrainDuration: 5s\n")(d["spec"]["template"]["metadata"]["annotations"])), "the sidecar drains for 5 s"),
        ("a PeerAuthentication for other pods", tls("sidecar", "PeerAuthentication", lambda p: put("selector", {"matchLabels": {"app": "x"}})(p["spec"])), "does not select the pods"),
        ("clients that are not the gateway", tls_arg("mesh-certificates", "client_ids=spiffe://cluster.local/ns/istio-system", "client_ids=spiffe://cluster.local/ns/default"), "not the identity of the gateway"),
        ("no list of clients", tls_arg("cert-manager", ",client_ids=", ",client_id="), "client_ids are None"),
        ("certificates that nothing mounts", tls_arg("cert-manager", "/etc/customs/tls/", "/etc/tls/"), "where --tls looks"),
        ("a certificate that the sidecar does not write", tls_arg("mesh-certificates", "cert-chain.pem", "tls.crt"), "the sidecar writes"),
        ("certificates that are written elsewhere", note("proxy.istio.io/config", "proxyMetadata:\n  OUTPUT_CERTS: /tmp\n"), "the sidecar writes"),
        ("a sidecar with another volume", note("sidecar.istio.io/userVolumeMount", '[{"name": "other", "mountPath": "/etc/istio-output-certs"}]'), "do not mount the same volume"),
        ("a sidecar that takes the traffic", note("traffic.sidecar.istio.io/includeInboundPorts", "*"), "would take TLS off before customs"),
        ("a gRPC probe of a port with TLS", tls("cert-manager", "Deployment", lambda d: put("readinessProbe", {"grpc": {"port": 9191, "service": "envoy.service.auth.v3.Authorization"}})(d["spec"]["template"]["spec"]["containers"][0])), "gRPC without TLS"),
        ("a gateway with another Secret", rule("cert-manager", put("credentialName", "customs-tls")), "does not have the id in client_ids"),
        ("a gateway that expects another name", rule("cert-manager", put("subjectAltNames", ["customs"])), "does not expect the name"),
        ("a mutual TLS with more replicas than enforce", tls("cert-manager", "Deployment", lambda d: put("replicas", 3)(d["spec"])), "differs from enforce in /Deployment/customs/spec/replicas"),
        ("a route of the scenario with an unknown field", scenario("networking.istio.io", "VirtualService", lambda t: put("gateway", "a")(t["spec"])), "/spec/gateway: unknown field"),
        ("an object of the scenario whose group nobody knows", scenario("networking.istio.io", "Sidecar", put("apiVersion", "networking.istio.example/v1")), "no schema for Sidecar of networking.istio.example/v1"),
        ("a listener of the scenario with an unknown field", scenario(GATEWAY_API, "Gateway", lambda t: put("tlsMode", "a")(t["spec"]["listeners"][0])), "/spec/listeners/0/tlsMode: unknown field"),
        ("a policy that is not YAML", policy("kind: [EgressPolicy"), "broken.yaml: while parsing"),
        ("a policy with a key twice", policy("kind: EgressPolicy\nkind: EgressPolicy"), "duplicate key 'kind'"),
        ("a policy of another kind", policy("apiVersion: v1\nkind: Secret"), "is no policy"),
        ("an Istio policy with an unknown field", policy("apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: b}\nspec: {rule: []}"), "/spec/rule: unknown field"),
    ]


# Gateways and a policy as people have them, for what is said of given files.
GATEWAY = {"apiVersion": f"{GATEWAY_API}/v1", "kind": "Gateway", "metadata": {"name": "egress", "namespace": "istio-system"},
           "spec": {"gatewayClassName": "istio", "listeners": []}}
CLASSIC = {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "out", "namespace": "istio-system"},
           "spec": {"selector": {"istio": "egressgateway"}, "servers": []}}
SELECTING = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": {"name": "ours", "namespace": "istio-system"},
             "spec": {"action": "CUSTOM", "provider": {"name": "customs"}, "rules": [{}], "selector": {"matchLabels": {"istio": "egressgateway"}}}}


def pods_with(labels, namespace, annotations=None):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "out", "namespace": namespace},
            "spec": {"template": {"metadata": {"labels": labels, "annotations": annotations or {}}}}}


def reached():
    """Given gateways that a policy reaches: nothing may be said of these."""
    by_host = [{"type": "Hostname", "value": "out.istio-system.svc.cluster.local"}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "out", "namespace": "istio-system"},
               "spec": {"selector": {"istio": "egressgateway"}}}
    return [
        ("the Gateway that gateway-api/ names", [GATEWAY]),
        ("an Istio Gateway with the label that gateway/ selects", [CLASSIC]),
        ("an Istio Gateway and its Deployment", [CLASSIC, pods_with({"istio": "egressgateway", "app": "out"}, "istio-system")]),
        ("a Gateway that hands the selected label to its pods", [
            {**GATEWAY, "metadata": {"name": "out", "namespace": "istio-system"},
             "spec": {"gatewayClassName": "istio", "infrastructure": {"labels": {"istio": "egressgateway"}}}}]),
        ("a Gateway that uses the pods of a Service with the selected label", [{**GATEWAY, "spec": {**GATEWAY["spec"], "addresses": by_host}}, service]),
        ("a Gateway beside a given policy that names it", [GATEWAY, {**SELECTING, "spec": {
            **{k: v for k, v in SELECTING["spec"].items() if k != "selector"},
            "targetRefs": [{"group": GATEWAY_API, "kind": "Gateway", "name": "egress"}]}}]),
    ]


# The unknown-field check must not call a known field unknown.
EVERY_FIELD = {
    "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
    "metadata": {"name": "a", "namespace": "b", "labels": {"x.example/y": "z"}, "annotations": {"istio.io/dry-run": "true"}},
    "spec": {
        "selector": {"matchLabels": {"istio": "egressgateway"}}, "action": "DENY",
        "rules": [{
            "from": [{"source": {field: ["v"] for name in ("principals", "requestPrincipals", "namespaces", "ipBlocks",
                                                          "remoteIpBlocks") for field in (name, f"not{name[0].upper()}{name[1:]}")}}],
            "to": [{"operation": {field: ["v"] for name in ("hosts", "ports", "methods", "paths")
                                  for field in (name, f"not{name[0].upper()}{name[1:]}")}}],
            "when": [{"key": "source.ip", "values": ["v"], "notValues": ["w"]}],
        }],
    },
}
