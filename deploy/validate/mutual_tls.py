"""Mutual TLS between the gateway and customs: each way changes what it needs and no more, and both sides fit."""

import json
import re

from .objects import Pod, covers, differing, name_of, seconds, the

MUTUAL_TLS = ("sidecar", "mesh-certificates", "cert-manager")  # in mutual-tls/; enforce with TLS, at most one is applied
OUTPUT_CERTS = ("cert-chain.pem", "key.pem", "root-cert.pem")  # what istio-proxy writes where OUTPUT_CERTS says
SECRET_OF_CERTIFICATE = ("tls.crt", "tls.key", "ca.crt")  # what cert-manager writes into a Secret
ANNOTATIONS_OF_SIDECAR = (
    "proxy.istio.io/config", "sidecar.istio.io/userVolumeMount",
    "traffic.sidecar.istio.io/includeInboundPorts", "traffic.sidecar.istio.io/includeOutboundIPRanges",
)


def mutual_tls_changes_only_as_said(way, things, state):
    """The objects of enforce are there, changed where TLS needs it and nowhere else."""
    pod = Pod(state["cluster"]["enforce"])
    at = "/Deployment/customs/spec/template"
    # A list that got longer differs as a whole.
    by_customs = {f"{at}/spec/containers/0/args", f"{at}/spec/containers/0/volumeMounts", f"{at}/spec/volumes",
                  f"{at}/spec/containers/0/readinessProbe/grpc", f"{at}/spec/containers/0/readinessProbe/httpGet"}
    by_sidecar = {"/Namespace/customs-system/metadata/labels/istio-injection", "/NetworkPolicy/customs/spec/egress"}
    notes = {f"{at}/metadata/annotations/{key}" for key in ANNOTATIONS_OF_SIDECAR}
    said = {
        "sidecar": by_sidecar | {f"{at}/metadata/annotations/proxy.istio.io/config"},
        "mesh-certificates": by_sidecar | by_customs | notes,
        "cert-manager": by_customs | {f"{at}/spec/securityContext/fsGroup"},
    }[way]
    enforce = {name_of(t): t for t in state["cluster"]["enforce"]}
    own = {name_of(t): t for t in things if name_of(t) in enforce}
    found = set(differing(enforce, own))
    yield from (f"differs from enforce in {place}" for place in sorted(found - said))
    yield from (f"does not change {place}" for place in sorted(said - found))
    args = Pod(things).container["args"]
    if args[:len(pod.container["args"])] != pod.container["args"]:
        yield "an argument of enforce is missing"


def options_of(text):
    """The keys of --tls, each with its values."""
    found = {}
    for key, _, value in (part.partition("=") for part in text.split(",")):
        found.setdefault(key, []).append(value)
    return found


def mutual_tls_fits(way, things, state):
    """What the gateway presents is what customs expects, and the other way round."""
    pod, rule = Pod(things), the(things, "DestinationRule")
    [provider] = state["mesh"]["enforce"][0]["spec"]["meshConfig"]["extensionProviders"]
    tls = rule["spec"]["trafficPolicy"]["tls"]
    if rule["spec"]["host"] != provider["envoyExtAuthzGrpc"]["service"]:
        yield "the DestinationRule is not for the service of the provider"
    if rule["metadata"]["namespace"] != pod.namespace:
        yield "the DestinationRule is not in the namespace of the service"
    for mount in pod.container["volumeMounts"]:
        if "subPath" in mount or "subPathExpr" in mount:
            yield f"volume {mount['name']} is mounted with subPath, which the kubelet never updates"

    allow = [t for t in state["mutual-tls"]["sidecar"] if t["kind"] == "AuthorizationPolicy"]
    [gateway] = [p for t in allow for rule in t["spec"]["rules"] for f in rule["from"] for p in f["source"].get("principals", [])]
    if way == "sidecar":
        yield from sidecar_fits(pod, things)
    elif "grpc" in pod.container["readinessProbe"]:
        yield "the readiness probe is gRPC without TLS, which customs does not take any more"
    if way != "sidecar":
        options = options_of(pod.flag("tls"))
        files = [options[key][0].rpartition("/") for key in ("certificate", "private_key", "client_ca")]
        folders, names = {folder for folder, _, _ in files}, tuple(name for _, _, name in files)
        if options.get("client_ids") != [f"spiffe://{gateway}"]:
            yield f"client_ids are {options.get('client_ids')}, not the identity of the gateway, spiffe://{gateway}"
        if len(folders) != 1 or not folders <= {m["mountPath"] for m in pod.container["volumeMounts"]}:
            yield f"nothing is mounted at {sorted(folders)}, where --tls looks"
    if way == "cert-manager":
        yield from cert_manager_fits(pod, things, tls, options, names)
        return
    if tls.get("mode") != "ISTIO_MUTUAL":
        yield f"the DestinationRule has the mode {tls.get('mode')}, not ISTIO_MUTUAL"
    wanted = [f"spiffe://cluster.local/ns/{pod.namespace}/sa/{pod.spec['serviceAccountName']}"]
    if tls.get("subjectAltNames") != wanted:
        yield f"the DestinationRule expects {tls.get('subjectAltNames')}, not the identity of the pods, {wanted}"
    if way == "mesh-certificates":
        yield from output_certs_fit(pod, folders, names)


def sidecar_fits(pod, things):
    selects = [(t, t["spec"]["selector"]["matchLabels"]) for t in things if t["kind"] in ("PeerAuthentication", "AuthorizationPolicy")]
    for thing, labels in selects:
        if thing["metadata"]["namespace"] != pod.namespace or not covers(labels, pod.labels):
            yield f"{name_of(thing)} does not select the pods"
    if the(things, "PeerAuthentication")["spec"]["mtls"] != {"mode": "STRICT"}:
        yield "the sidecar takes plain text as well"
    note = pod.deployment["spec"]["template"]["metadata"]["annotations"]["proxy.istio.io/config"]
    drain = seconds(pod.flag("drain-delay")) + seconds(pod.flag("drain-timeout"))
    sidecar = seconds(note.partition("terminationDrainDuration: ")[2].strip()) or 0
    if not drain < sidecar < pod.spec["terminationGracePeriodSeconds"]:
        yield (f"the sidecar drains for {sidecar:g} s, which is not between the {drain:g} s of customs and "
               "terminationGracePeriodSeconds")
    rules = the(things, "AuthorizationPolicy")["spec"]["rules"]
    ports = {port for rule in rules for to in rule["to"] for port in to["operation"]["ports"]}
    if ports != {str(port) for port in pod.ports.values()}:
        yield f"the AuthorizationPolicy opens the ports {sorted(ports)}, not {sorted(pod.ports.values())}"
    if any(arg.startswith("--tls=") for arg in pod.container["args"]):
        yield "customs takes TLS itself, which the sidecar has taken off"


def output_certs_fit(pod, folders, names):
    notes = pod.deployment["spec"]["template"]["metadata"]["annotations"]
    [written] = re.findall(r"^  OUTPUT_CERTS: (\S+)$", notes["proxy.istio.io/config"], re.MULTILINE)
    if folders != {written} or names != OUTPUT_CERTS:
        yield f"the sidecar writes {', '.join(OUTPUT_CERTS)} to {written}, and --tls looks for {', '.join(names)} in {sorted(folders)}"
    mounts = {m["mountPath"]: m["name"] for m in pod.container["volumeMounts"]}
    theirs = {m["mountPath"]: m["name"] for m in json.loads(notes["sidecar.istio.io/userVolumeMount"])}
    if theirs.get(written) is None or theirs.get(written) != mounts.get(written):
        yield f"the sidecar and customs do not mount the same volume at {written}"
    if {"name": mounts.get(written), "emptyDir": {"medium": "Memory"}} not in pod.spec["volumes"]:
        yield "the keys are not on a volume in memory"
    for direction in ("includeInboundPorts", "includeOutboundIPRanges"):
        if notes[f"traffic.sidecar.istio.io/{direction}"] != "":
            yield f"{direction} is not empty: the sidecar would take TLS off before customs"


def cert_manager_fits(pod, things, tls, options, names):
    """The certificates have the names and ids that both sides of the connection expect."""
    certificates = {t["spec"]["secretName"]: t for t in things if t["kind"] == "Certificate"}
    secrets = [v["secret"]["secretName"] for v in pod.spec["volumes"] if "secret" in v]
    server = next((certificates[s] for s in secrets if s in certificates), None)
    client = certificates.get(tls.get("credentialName"))
    if server is None or server["metadata"]["namespace"] != pod.namespace:
        yield f"no Certificate in {pod.namespace} makes the Secret {secrets}"
    elif tls.get("subjectAltNames") != server["spec"].get("dnsNames") or server["spec"].get("usages") != ["server auth"]:
        yield "the DestinationRule does not expect the name in the certificate of customs"
    if client is None or client["spec"].get("uris") != options.get("client_ids") or client["spec"].get("usages") != ["client auth"]:
        yield "the certificate of the gateway does not have the id in client_ids"
    elif client["spec"]["issuerRef"] != (server or client)["spec"]["issuerRef"]:
        yield "the two certificates are of different issuers"
    if tls.get("mode") != "MUTUAL" or names != SECRET_OF_CERTIFICATE:
        yield f"mode MUTUAL and the files {', '.join(SECRET_OF_CERTIFICATE)} expected, not {tls.get('mode')} and {', '.join(names)}"
