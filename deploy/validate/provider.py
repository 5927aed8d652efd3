"""The two objects that make a gateway ask: the provider in the mesh configuration, and the AuthorizationPolicy."""

import re

from .objects import GATEWAY_API, GATEWAY_FOLDERS, GATEWAY_NAME, VARIANTS, Pod, differing, name_of, seconds, the

# The fields of istio.mesh.v1alpha1.MeshConfig.ExtensionProvider.EnvoyExternalAuthorizationGrpcProvider. The mesh
# configuration has no schema in any package (the IstioOperator CRD leaves `spec` open), so they are listed here.
GRPC_PROVIDER_FIELDS = {
    "service", "port", "timeout", "failOpen", "statusOnError", "includeRequestBodyInCheck", "clearRouteCache",
}


def provider_fits(variant, mesh, cluster):
    providers = mesh["spec"]["meshConfig"]["extensionProviders"]
    if mesh["spec"].keys() != {"meshConfig"} or mesh["spec"]["meshConfig"].keys() != {"extensionProviders"}:
        yield "the fragment holds more than meshConfig.extensionProviders"
    if len(providers) != 1 or providers[0].keys() != {"name", "envoyExtAuthzGrpc"}:
        yield "one provider with name and envoyExtAuthzGrpc expected"
        return
    name, grpc = providers[0]["name"], providers[0]["envoyExtAuthzGrpc"]
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name):
        yield f"provider name {name!r} is not a DNS label"
    for field in sorted(grpc.keys() - GRPC_PROVIDER_FIELDS):
        yield f"{field}: unknown field"
    for field in ("service", "port", "timeout", "failOpen", "statusOnError"):
        if field not in grpc:
            yield f"{field} is not set"

    service = the(cluster, "Service")
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.cluster.local"
    if grpc.get("service") != host:
        yield f"service {grpc.get('service')!r} is not the Service's name, {host!r}"
    if grpc.get("port") not in [p["port"] for p in service["spec"]["ports"]] or isinstance(grpc["port"], bool):
        yield f"port {grpc.get('port')!r} is not a port of the Service"
    timeout = seconds(grpc.get("timeout"))
    if timeout is None or not 0 < timeout <= 1:
        yield f"timeout {grpc.get('timeout')!r} is not a duration of more than 0s and at most 1s"
    _, fail_open = VARIANTS[variant]
    if grpc.get("failOpen") is not fail_open:
        yield f"failOpen is {grpc.get('failOpen')!r}, not {fail_open}"
    if grpc.get("statusOnError") != "503":
        yield f'statusOnError is {grpc.get("statusOnError")!r}, not the string "503"'


def door_for(ask):
    """The entry of a NetworkPolicy that lets in exactly the gateways that this policy is for."""
    spec = ask["spec"]
    labels = (spec.get("selector") or {}).get("matchLabels") or {GATEWAY_NAME: targets(spec)[0]["name"]}
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ask["metadata"]["namespace"]}},
        "podSelector": {"matchLabels": labels},
    }


def targets(spec):
    """The targetRefs of a policy; the older targetRef is a list of one."""
    return spec.get("targetRefs") or ([spec["targetRef"]] if spec.get("targetRef") else [])


def policy_always_asks(ask, mesh):
    spec = ask["spec"]
    if spec.get("action") != "CUSTOM":
        yield f"action is {spec.get('action')!r}, not CUSTOM"
    if spec.get("rules") != [{}]:
        yield "rules is not [{}]: without it Istio never asks, or refuses the object"
    if "istio.io/dry-run" in (ask["metadata"].get("annotations") or {}):
        yield "Istio has no dry run for CUSTOM"
    for variant, fragment in mesh.items():
        names = [p.get("name") for p in fragment["spec"]["meshConfig"]["extensionProviders"]]
        if (spec.get("provider") or {}).get("name") not in names:
            yield f"provider {(spec.get('provider') or {}).get('name')!r} is not the one of {variant}/mesh-config.yaml, {names}"

    labels = (spec.get("selector") or {}).get("matchLabels")
    if not targets(spec):
        if not labels:
            yield "no selector and no targetRefs: in the mesh's root namespace it would apply to every workload"
        return
    if "selector" in spec or ("targetRef" in spec and "targetRefs" in spec):
        yield "only one of selector, targetRef and targetRefs may be set: Istio refuses the object"
    for ref in targets(spec):
        kind = f"{ref.get('kind')} of the group {ref.get('group', '')!r}"
        if (ref.get("group"), ref.get("kind")) != (GATEWAY_API, "Gateway"):
            yield f"a targetRef names a {kind}, which attaches to no gateway; write group {GATEWAY_API}, kind Gateway"
        if not ref.get("name"):
            yield "a targetRef has no name: Istio refuses the object"
        if ref.get("namespace"):
            yield "a targetRef has a namespace: Istio refuses the object; put the policy into the Gateway's namespace"


def gateway_api_differs_only_as_said(state):
    """The policy for the Gateway API is the other one with targetRefs, and its NetworkPolicy is the other one's gRPC door."""
    classic, new = (the(state[folder], "AuthorizationPolicy") for folder in GATEWAY_FOLDERS)
    said = {"/metadata/name", "/spec/selector", "/spec/targetRefs"}
    for place in set(differing(classic, new)) - said:
        yield f"gateway/ and gateway-api/ differ in {place}"
    if classic["metadata"]["name"] == new["metadata"]["name"]:
        yield "gateway/ and gateway-api/ have a policy of the same name: applying one would replace the other"

    pod = Pod(state["cluster"]["trial"])
    base, more = (the(things, "NetworkPolicy") for things in (state["cluster"]["trial"], state["gateway-api"]))
    if more["metadata"]["namespace"] != pod.namespace or more["spec"]["podSelector"] != base["spec"]["podSelector"]:
        yield "the NetworkPolicy of gateway-api/ is not for the pods of customs"
    if more["metadata"]["name"] == base["metadata"]["name"]:
        yield "the two NetworkPolicies have the same name: applying one would replace the other"
    if more["spec"]["policyTypes"] != ["Ingress"] or len(more["spec"]["ingress"]) != 1:
        yield "the NetworkPolicy of gateway-api/ is more than one door"
    [door] = more["spec"]["ingress"]
    if [port["port"] for port in door["ports"]] != [pod.ports["grpc"]]:
        yield "the NetworkPolicy of gateway-api/ does not open the gRPC port only"
    if door["from"] != [door_for(new)]:
        yield "the NetworkPolicy of gateway-api/ does not let in exactly the gateway that the AuthorizationPolicy names"


def variants_differ_only_as_said(cluster, mesh):
    trial, enforce = ({name_of(t): t for t in cluster[v]} for v in VARIANTS)
    index = len(Pod(cluster["trial"]).container["args"]) - 1
    said = {f"/Deployment/customs/spec/template/spec/containers/0/args/{index}"}
    for place in set(differing(trial, enforce)) - said:
        yield f"trial and enforce differ in {place}"
    said = {"/spec/meshConfig/extensionProviders/0/envoyExtAuthzGrpc/failOpen"}
    for place in set(differing(mesh["trial"], mesh["enforce"])) - said:
        yield f"the two mesh-config.yaml differ in {place}"

