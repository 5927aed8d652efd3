"""The certificates that a sidecar writes to a volume, where OUTPUT_CERTS in its configuration says.

Is: what istio-agent does for a pod with the annotations of deploy/istio/mutual-tls/mesh-certificates: three files, once.

Is not: a rotation; the certificates outlive the test.
"""

import json
import shutil

import yaml

CONFIG, MOUNTS = "proxy.istio.io/config", "sidecar.istio.io/userVolumeMount"


def write(pod, authority):
    """Writes the certificates of a pod's own identity, if the pod asks for them."""
    config = yaml.safe_load(pod.annotations.get(CONFIG, "")) or {}
    folder = config.get("proxyMetadata", {}).get("OUTPUT_CERTS")
    if not folder:
        return
    mounts = {mount["mountPath"]: mount["name"] for mount in json.loads(pod.annotations[MOUNTS])}
    target = pod.volumes.path(mounts[folder])
    uri = f"spiffe://cluster.local/ns/{pod.namespace}/sa/{pod.service_account}"
    chain, key = authority.issue(f"{pod.namespace}.{pod.service_account}", identities=[uri])
    for source, name in ((chain, "cert-chain.pem"), (key, "key.pem"), (authority.root, "root-cert.pem")):
        shutil.copyfile(source, target / name)
