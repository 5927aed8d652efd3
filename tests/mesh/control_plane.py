"""istiod, reading from the API server, with its validating webhook.

Is: pilot-discovery as a cluster runs it, with Istio's and the Gateway API's CRDs, the ConfigMap `istio` as its mesh
configuration, and a webhook that refuses what istiod refuses.

Is not: an installation. No sidecar injection and no managed gateway pods: kubelet.py decides which pods have an Envoy.
"""

import base64
import urllib.request

import yaml

from .ports import LOOPBACK
from .processes import wait_until

ROOT_NAMESPACE = "istio-system"
CONFIG_MAP = {"name": "istio", "namespace": ROOT_NAMESPACE}
# What an installation sets by itself; extensionProviders and outboundTrafficPolicy come from the files under test.
MESH_CONFIG = {"rootNamespace": ROOT_NAMESPACE, "trustDomain": "cluster.local", "accessLogFile": "/dev/stdout"}
VALIDATED = ["security.istio.io", "networking.istio.io", "telemetry.istio.io", "extensions.istio.io"]


class ControlPlane:
    """istiod of one mesh."""

    def __init__(self, programs, processes, ports, authority, kubernetes, features):
        self._kubernetes = kubernetes
        for crds in ("istio-crds", "gateway-api-crds"):
            kubernetes.must("apply", "--server-side", "-f", programs[crds])
        kubernetes.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ROOT_NAMESPACE}})
        self.configure({})
        self.grpc_port, http_port, hook_port = ports.take(), ports.take(), ports.take()
        chain, key = authority.issue("istiod", names=["istiod.istio-system.svc"], addresses=[LOOPBACK])
        environment = {
            "PILOT_CERT_PROVIDER": "none",
            "ENABLE_CA_SERVER": "false",
            "POD_NAME": "istiod-1",
            "POD_NAMESPACE": ROOT_NAMESPACE,
            **features,
        }
        istiod = processes.start("istiod", [
            programs["pilot-discovery"], "discovery", "--registries", "Kubernetes", "--kubeconfig", kubernetes.kubeconfig,
            "--meshConfig", processes.folder / "no-file", "--networksConfig", processes.folder / "no-file",
            "--httpAddr", f"{LOOPBACK}:{http_port}", "--grpcAddr", f"{LOOPBACK}:{self.grpc_port}",
            "--secureGRPCAddr", "", "--httpsAddr", f"{LOOPBACK}:{hook_port}",
            "--monitoringAddr", f"{LOOPBACK}:{ports.take()}", "--ctrlz_port", "0", "--clusterID", "Kubernetes",
            "--tlsCertFile", chain, "--tlsKeyFile", key, "--caCertFile", authority.root,
            "-n", ROOT_NAMESPACE, "--shutdownDuration", "0s",
        ], environment)  # fmt: skip
        ready = f"http://{LOOPBACK}:{http_port}/ready"
        wait_until("istiod", lambda: urllib.request.urlopen(ready, timeout=5).status == 200, 180, [istiod])
        kubernetes.apply(self._webhook(hook_port, authority))

    def configure(self, overlay):
        """Merges a part of `meshConfig` into the ConfigMap, as `istioctl install -f` does: lists are replaced."""
        mesh = self.mesh_config() or dict(MESH_CONFIG)
        _merge(mesh, overlay)
        data = {"mesh": yaml.safe_dump(mesh), "meshNetworks": "networks: {}"}
        self._kubernetes.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": CONFIG_MAP, "data": data})

    def mesh_config(self):
        """Returns the mesh configuration in force."""
        stored = self._kubernetes.call("GET", f"/api/v1/namespaces/{ROOT_NAMESPACE}/configmaps/istio")
        return yaml.safe_load(stored["data"]["mesh"]) if stored else None

    @staticmethod
    def _webhook(port, authority):
        rule = {"operations": ["CREATE", "UPDATE"], "apiGroups": VALIDATED, "apiVersions": ["*"], "resources": ["*"]}
        authority = base64.b64encode(authority.root.read_bytes()).decode()
        return {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {"name": "istiod-default-validator"},
            "webhooks": [{
                "name": "validation.istio.io",
                "clientConfig": {"url": f"https://{LOOPBACK}:{port}/validate", "caBundle": authority},
                "rules": [rule],
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
            }],
        }  # fmt: skip


def _merge(target, overlay):
    for key, value in overlay.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value
