"""The pods, the Service and the doors of customs: they run as intended, and labels, ports and namespaces fit together."""

from .objects import VARIANTS, Pod, name_of, seconds, the
from .provider import door_for


def pods_run_as_intended(variant, cluster, policies):
    pod = Pod(cluster)
    enforcement, _ = VARIANTS[variant]
    if pod.flag("enforcement") != enforcement:
        yield f"--enforcement is {pod.flag('enforcement')!r}, not {enforcement!r}"
    if pod.ports != {"grpc": pod.flag_port("listen"), "admin": pod.flag_port("admin")}:
        yield f"the container ports {pod.ports} are not those of --listen and --admin"
    for name in ("listen", "admin"):
        if not pod.flag(name).startswith("0.0.0.0:"):
            yield f"--{name} must be reachable from outside the pod (0.0.0.0)"
    drain = seconds(pod.flag("drain-delay")) + seconds(pod.flag("drain-timeout"))
    if not pod.spec["terminationGracePeriodSeconds"] > drain:
        yield f"terminationGracePeriodSeconds must be more than the {drain:g} s of --drain-delay and --drain-timeout"
    ready, alive = pod.container["readinessProbe"], pod.container["livenessProbe"]
    if ready.get("grpc") != {"port": pod.ports["grpc"], "service": "envoy.service.auth.v3.Authorization"}:
        yield "the readiness probe does not ask the service that Envoy calls"
    if alive.get("httpGet") != {"path": "/healthz", "port": "admin"}:
        yield "the liveness probe is not /healthz on the admin port"

    keys = {spread["topologyKey"] for spread in pod.spec["topologySpreadConstraints"]}
    if keys != {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}:
        yield f"the pods are spread over {sorted(keys)}, not over zones and nodes"

    secure = {**pod.spec["securityContext"], **pod.container["securityContext"]}
    wanted = {"runAsNonRoot": True, "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False,
              "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}
    for field, value in wanted.items():
        if secure.get(field) != value:
            yield f"securityContext.{field} is not {value}"
    if pod.spec.get("automountServiceAccountToken") is not False:
        yield "the pod gets a service account token that it does not need"
    if pod.spec["serviceAccountName"] != the(cluster, "ServiceAccount")["metadata"]["name"]:
        yield "serviceAccountName names no ServiceAccount of the set"

    volumes = {v["name"]: v for v in pod.spec["volumes"]}
    for mount in pod.container["volumeMounts"]:
        if "subPath" in mount or "subPathExpr" in mount:
            yield f"volume {mount['name']} is mounted with subPath, which the kubelet never updates"
    [mount] = [m for m in pod.container["volumeMounts"] if m["mountPath"] == pod.flag("policies")] or [None]
    if mount is None:
        yield f"nothing is mounted at {pod.flag('policies')}, where --policies looks"
    else:
        wanted = (volumes[mount["name"]]["configMap"]["name"], pod.namespace)
        if wanted not in [(c["metadata"]["name"], c["metadata"]["namespace"]) for c in policies]:
            yield f"the ConfigMap {wanted[0]} of {wanted[1]} is not in policies/"


def labels_and_namespaces_fit(variant, cluster, gateway):
    pod = Pod(cluster)
    if the(cluster, "Namespace")["metadata"]["name"] != pod.namespace:
        yield f"the set creates no namespace {pod.namespace}"
    for thing in cluster:
        if thing["kind"] != "Namespace" and thing["metadata"].get("namespace") != pod.namespace:
            yield f"{name_of(thing)} is not in {pod.namespace}"
    network = the(cluster, "NetworkPolicy")["spec"]
    selectors = {
        "Deployment": pod.deployment["spec"]["selector"]["matchLabels"],
        "Service": the(cluster, "Service")["spec"]["selector"],
        "PodDisruptionBudget": the(cluster, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        "NetworkPolicy": network["podSelector"]["matchLabels"],
        **{f"{spread['topologyKey']} spread": spread["labelSelector"]["matchLabels"]
           for spread in pod.spec["topologySpreadConstraints"]},
    }
    for kind, selector in selectors.items():
        if not selector or not selector.items() <= pod.labels.items():
            yield f"the {kind}'s selector does not select the pods"

    doors = {door["port"]: rule["from"] for rule in network["ingress"] for door in rule["ports"]}
    if doors.keys() != set(pod.ports.values()):
        yield f"the NetworkPolicy opens the ports {sorted(doors)}, not {sorted(pod.ports.values())}"
    elif doors[pod.ports["grpc"]] != [door_for(the(gateway, "AuthorizationPolicy"))]:
        yield "the NetworkPolicy does not let in exactly the gateway that the AuthorizationPolicy selects"


def service_is_grpc(cluster):
    pod, service = Pod(cluster), the(cluster, "Service")
    [port] = service["spec"]["ports"] if len(service["spec"]["ports"]) == 1 else [None]
    if port is None:
        return ["the Service has more than the one port that Envoy calls"]
    problems = []
    if port.get("appProtocol") != "grpc":
        problems.append("appProtocol is not grpc")
    if pod.ports.get(port["targetPort"], port["targetPort"]) != pod.flag_port("listen"):
        problems.append("targetPort is not the port of --listen")
    return problems

