"""Which gateways are made to ask. Istio does not report a policy that reaches nothing; this does."""

from .objects import GATEWAY_API, GATEWAY_FOLDERS, GATEWAY_NAME, Pod, covers, place_of, the, words
from .provider import policy_always_asks, targets

ROOT_NAMESPACE = "istio-system"  # Istio's default; policies in it apply to every namespace


class Gateway:
    """The pods of a gateway, as far as policies tell pods apart."""

    def __init__(self, what, namespace, labels, whole=True, waypoint=False):
        self.what, self.namespace, self.labels = what, namespace, labels
        self.whole = whole  # these are all the labels; else the pods have these and perhaps more
        self.waypoint = waypoint
        self.name = labels.get(GATEWAY_NAME)


def why_unattached(ask, gateway):
    """Why istiod does not attach the policy to the gateway; None if it does. istiod decides as told here and says nothing."""
    spec, namespace = ask["spec"], ask["metadata"].get("namespace", "default")
    refs = targets(spec)
    if refs:
        if gateway.name is None and gateway.whole:
            return f"its targetRefs apply only to pods with the label {GATEWAY_NAME}, which these do not have"
        if namespace != gateway.namespace:
            return f"it is in namespace {namespace}; targetRefs reach only Gateways of their own namespace"
        wanted = (GATEWAY_API, "Gateway", gateway.name)
        if wanted not in [(r.get("group"), r.get("kind"), r.get("name")) for r in refs if not r.get("namespace")]:
            return f"its targetRefs name {', '.join(str(r.get('kind')) + ' ' + str(r.get('name')) for r in refs)}"
        return None
    if gateway.waypoint:
        return "it has no targetRefs, and waypoints take no selector"
    if namespace not in (gateway.namespace, ROOT_NAMESPACE):
        return f"it is in namespace {namespace}, the pods are in {gateway.namespace}"
    labels = (spec.get("selector") or {}).get("matchLabels") or {}
    missing = {key: value for key, value in labels.items() if gateway.labels.get(key) != value}
    if missing and gateway.whole:
        return f"it selects pods with {words(missing)}; these have {words(gateway.labels)}"
    if missing:
        return f"it selects pods with {words(missing)}; of these only {words(gateway.labels)} is known, so give their Deployment too"
    return None


def gateways_in(things):
    """(gateways, problems) of these objects."""
    gateways, problems = [], []
    workloads = [(t, t["spec"]["template"]["metadata"]) for t in things if t["kind"] in ("Deployment", "DaemonSet", "StatefulSet")]

    def namespace(thing):
        return thing["metadata"].get("namespace", "default")

    def pods(what, selector, where=None):
        """The gateways whose pods a selector finds: exactly where their workload is among the objects, else as far as it tells."""
        found = [(t, meta.get("labels") or {}) for t, meta in workloads
                 if where in (None, namespace(t)) and covers(selector, meta.get("labels") or {})]
        return [Gateway(f"{what}, {place_of(t)}", namespace(t), labels) for t, labels in found]

    for thing in things:
        group, spec, what = thing.get("apiVersion", "").rpartition("/")[0], thing.get("spec") or {}, place_of(thing)
        if (group, thing["kind"]) == ("networking.istio.io", "Gateway"):
            selector = spec.get("selector") or {}
            if not selector:
                problems.append(f"{what} has no selector, so it is for every pod; give the Deployment of the egress gateway instead")
                continue
            gateways += pods(what, selector) or [Gateway(what, namespace(thing), selector, whole=False)]
        elif (group, thing["kind"]) == (GATEWAY_API, "Gateway"):
            addresses = spec.get("addresses") or []
            if not addresses or (len(addresses) == 1 and addresses[0].get("type", "IPAddress") == "IPAddress"):
                # istiod makes the pods. They get the labels of `infrastructure`, else the Gateway's own.
                infrastructure = (spec.get("infrastructure") or {}).get("labels")
                own = thing["metadata"].get("labels") if infrastructure is None else infrastructure
                own = {k: v for k, v in (own or {}).items() if infrastructure is None or not k.startswith(f"{GATEWAY_API}/")}
                labels = {**own, GATEWAY_NAME: thing["metadata"]["name"],
                          f"{GATEWAY_API}/gateway-class-name": spec.get("gatewayClassName", "")}
                gateways.append(Gateway(what, namespace(thing), labels, waypoint="waypoint" in spec.get("gatewayClassName", "")))
                continue
            # With a host name as its address it uses pods that are there: those of that Service.
            for address in addresses:
                name, _, rest = str(address.get("value", "")).partition(".")
                where = rest.split(".")[0] or namespace(thing)
                services = [t for t in things if t["kind"] == "Service" and (t["metadata"]["name"], namespace(t)) == (name, where)]
                if not services:
                    problems.append(f"{what} uses the pods of Service {where}/{name}; give that Service too")
                for service in services:
                    selector = service["spec"].get("selector") or {}
                    gateways += pods(what, selector, where) or [Gateway(f"{what}, {place_of(service)}", where, selector, whole=False)]
    for thing, meta in workloads:
        labels = meta.get("labels") or {}
        injected = (meta.get("annotations") or {}).get("inject.istio.io/templates") == "gateway"
        if injected or GATEWAY_NAME in labels:
            gateways.append(Gateway(place_of(thing), namespace(thing), labels))
    once = {}
    for gateway in gateways:
        once.setdefault((gateway.namespace, tuple(sorted(gateway.labels.items()))), gateway)
    return list(once.values()), problems


def doors_of(things, pod):
    """(namespace, labels) of everything that the NetworkPolicies among these objects let into the gRPC port."""
    for network in (t for t in things if t["kind"] == "NetworkPolicy" and t["metadata"].get("namespace") == pod.namespace):
        for rule in network["spec"].get("ingress") or []:
            if pod.ports["grpc"] in [port.get("port") for port in rule.get("ports") or []]:
                for peer in rule.get("from") or []:
                    yield (((peer.get("namespaceSelector") or {}).get("matchLabels") or {}).get("kubernetes.io/metadata.name"),
                           (peer.get("podSelector") or {}).get("matchLabels") or {})


def unasked(gateway, policies):
    """The problems of a gateway whose requests nobody judges."""
    reasons = [(ask, why_unattached(ask, gateway)) for ask in policies]
    if not policies:
        yield "no policy with action CUSTOM and the provider of mesh-config.yaml is among these objects"
    elif None not in [why for _, why in reasons]:
        yield "no CUSTOM policy reaches it: it asks nobody, and everything passes unjudged and unrecorded"
        for ask, why in reasons:
            yield f"{place_of(ask)} does not: {why}"
        if gateway.name is not None:
            yield (f"apply gateway-api/ with the targetRef `name: {gateway.name}` and namespace {gateway.namespace}, "
                   f"in authorization-policy.yaml and network-policy.yaml")
        else:
            yield "put its namespace and labels into gateway/authorization-policy.yaml and base/network-policy.yaml"


def doors_ask(state):
    """Each gateway that customs lets in must be one that is made to ask. A wrong label or name in a policy shows here."""
    pod = Pod(state["cluster"]["trial"])
    policies = [the(state[folder], "AuthorizationPolicy") for folder in GATEWAY_FOLDERS]
    things = state["cluster"]["trial"] + state["gateway-api"]
    doors = [Gateway(f"the gateway with {words(labels)} in {namespace}", namespace, labels) for namespace, labels in doors_of(things, pod)]
    for gateway in doors:
        yield from (f"{gateway.what}: {problem}" for problem in unasked(gateway, policies))
    for ask in policies:
        if all(why_unattached(ask, gateway) for gateway in doors):
            yield f"{place_of(ask)} selects no gateway: none that a NetworkPolicy lets in is one that it reaches"


def given_gateways(state, mesh):
    """Yields (what was checked, problems) of the gateways that were given."""
    if not state["given"]:
        return
    pod = Pod(state["cluster"]["trial"])
    providers = [p["name"] for p in mesh["enforce"]["spec"]["meshConfig"]["extensionProviders"]]
    custom = [t for t in state["given"] if t["kind"] == "AuthorizationPolicy" and (t.get("spec") or {}).get("action") == "CUSTOM"]
    own = [t for t in custom if (t["spec"].get("provider") or {}).get("name") in providers]
    foreign = [t for t in custom if t not in own]
    policies = own if custom else [the(state[folder], "AuthorizationPolicy") for folder in GATEWAY_FOLDERS]
    doors = list(doors_of(state["cluster"]["trial"] + state["gateway-api"] + state["given"], pod))
    gateways, problems = gateways_in(state["given"])
    if not gateways and not problems:
        problems = ["there is none: give the Gateway objects of your egress gateways, or the Deployments of their pods"]
    yield "the gateways that were given can be judged", problems
    for gateway in gateways:
        found = list(unasked(gateway, policies))
        others = [place_of(t) for t in foreign if why_unattached(t, gateway) is None]
        if others and not found:
            found.append(f"{', '.join(others)} names another provider: with two, istiod denies everything there, unless "
                         "PILOT_ENABLE_MULTIPLE_CUSTOM_AUTHZ_PROVIDERS is set")
        if not found and not any(ns in (None, gateway.namespace) and covers(labels, gateway.labels) for ns, labels in doors):
            found.append("it asks, but no NetworkPolicy lets it reach customs: 503 in enforce, and in trial nothing is judged")
        yield f"{gateway.what}: is made to ask", found
    for ask in own:
        yield f"{place_of(ask)}: always asks", list(policy_always_asks(ask, mesh))
        missed = [why for why in (why_unattached(ask, gateway) for gateway in gateways)]
        yield f"{place_of(ask)}: selects a gateway", (
            [f"it selects no gateway of those given: {why}" for why in dict.fromkeys(missed)] if missed and None not in missed else [])
