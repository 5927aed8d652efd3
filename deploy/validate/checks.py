"""The list of what is checked of deploy/istio: each entry is (what was checked, its problems)."""

from .gateways import doors_ask, given_gateways
from .mutual_tls import MUTUAL_TLS, mutual_tls_changes_only_as_said, mutual_tls_fits
from .objects import GATEWAY_FOLDERS, VARIANTS, name_of, the
from .pod_security import pod_of, unrestricted
from .pods import labels_and_namespaces_fit, pods_run_as_intended, service_is_grpc
from .policies import policy_documents
from .provider import gateway_api_differs_only_as_said, policy_always_asks, provider_fits, variants_differ_only_as_said
from .tools import IMAGE_VOLUMES_SINCE, KUBERNETES_VERSIONS

KUBERNETES_GROUPS = {"", "apps", "autoscaling", "policy", "networking.k8s.io"}
# Groups of deploy/scenario for which no package has a schema. Policies are read by customs, and its tests load these files.
WITHOUT_SCHEMA = {"egress.customs", "gateway.envoyproxy.io", "istio.alibabacloud.com"}
UNJUDGED = (KeyError, TypeError, ValueError, IndexError, AttributeError)  # what a check raises on objects of another shape


def ask(what, check, *arguments):
    try:
        return what, list(check(*arguments))
    except UNJUDGED as error:
        return what, [f"cannot be judged: {type(error).__name__} {error}"]


def oldest_version(thing):
    found = pod_of(thing)
    has_image = found is not None and any("image" in volume for volume in found[1].get("volumes") or [])
    return IMAGE_VOLUMES_SINCE if has_image else KUBERNETES_VERSIONS[0]


def fitting(tools, everything, restricted=True):
    """Yields each of these (place, object) with the problems that its schemas and the level `restricted` have with it."""
    crds = []
    for place, thing in everything:
        if thing["apiVersion"].rpartition("/")[0] in KUBERNETES_GROUPS:
            for version in (oldest_version(thing), KUBERNETES_VERSIONS[1]):
                yield f"{place} fits Kubernetes {version}", tools.against_kubernetes(thing, version)
            if restricted and pod_of(thing) is not None:
                yield ask(f"{place} makes pods of the level restricted", unrestricted, thing)
        else:
            crds.append((place, thing))
    for (place, thing), problems in zip(crds, tools.against_crds([t for _, t in crds])):
        if thing["kind"] == "IstioOperator":  # its CRD has no schema of spec; provider_fits looks into it
            problems = [p for p in problems if p != "/spec: unknown field"]
        yield f"{place} fits its CRD", problems


def checks(tools, state):
    """Yields (what was checked, list of problems)."""
    everything = [(f"{variant}: {name_of(t)}", t) for variant in VARIANTS for t in state["cluster"][variant]]
    everything += [(f"{part}: {name_of(t)}", t) for part in (*GATEWAY_FOLDERS, "policies") for t in state[part]]
    for variant in VARIANTS:
        everything += [(f"{variant}: {name_of(t)} of mesh-config.yaml", t) for t in state["mesh"][variant]]
    for way in MUTUAL_TLS:  # what they share with enforce is checked there, unless it was patched
        known = state["cluster"]["enforce"]
        everything += [(f"mutual-tls/{way}: {name_of(t)}", t) for t in state["mutual-tls"][way] if t not in known]
    for config_map in state["policies"]:
        documents, problems = policy_documents(tools, config_map)
        yield f"{name_of(config_map)} holds policies in YAML", problems
        everything += [(f"policies: {key}", d) for key, d in documents if d["kind"] == "AuthorizationPolicy"]
    yield from fitting(tools, everything)
    # The workloads of the scenario are of any level.
    scenario = [(f"{place}: {name_of(t)}", t) for place, things in state["scenario"].items() for t in things
                if t["apiVersion"].partition("/")[0] not in WITHOUT_SCHEMA]
    yield from fitting(tools, scenario, restricted=False)

    mesh = {}
    for variant in VARIANTS:
        cluster = state["cluster"][variant]
        mesh[variant] = state["mesh"][variant][0]
        yield ask(f"{variant}: the pods run as intended", pods_run_as_intended, variant, cluster, state["policies"])
        yield ask(f"{variant}: labels, namespaces and doors fit", labels_and_namespaces_fit, variant, cluster, state["gateway"])
        yield ask(f"{variant}: the Service is one gRPC port", service_is_grpc, cluster)
        yield ask(f"{variant}: the provider in mesh-config.yaml fits the Service", provider_fits, variant, mesh[variant], cluster)
    for folder in GATEWAY_FOLDERS:
        yield ask(f"{folder}: the gateway always asks, and asks this provider",
                  lambda: policy_always_asks(the(state[folder], "AuthorizationPolicy"), mesh))
    for way in MUTUAL_TLS:
        things = state["mutual-tls"][way]
        yield ask(f"mutual-tls/{way}: differs from enforce only as said", mutual_tls_changes_only_as_said, way, things, state)
        yield ask(f"mutual-tls/{way}: both sides of the connection fit", mutual_tls_fits, way, things, state)
    yield ask("every gateway that customs lets in is made to ask", doors_ask, state)
    yield ask("gateway and gateway-api differ in selector and targetRefs only", gateway_api_differs_only_as_said, state)
    yield ask("trial and enforce differ in --enforcement and failOpen only", variants_differ_only_as_said, state["cluster"], mesh)
    try:
        yield from given_gateways(state, mesh)
    except UNJUDGED as error:
        yield "the gateways that were given can be judged", [f"cannot be judged: {type(error).__name__} {error}"]
