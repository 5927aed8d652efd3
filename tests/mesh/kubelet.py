"""Plays the only node: takes every pod, runs a program in place of its containers, and reports its status.

Is: a pod of customs is the real customs with the pod's arguments and volumes; a pod of the gateway is an Envoy; a pod in a
namespace with sidecar injection has an Envoy as its sidecar, and client.py asks in place of the application. Readiness
comes from the probes, so rolling updates and EndpointSlices follow it.

Is not: a scheduler or a container runtime. Images, resources and security contexts are admitted by the API server and then
ignored; a program that ends is not started again.
"""

import threading
import time
from dataclasses import dataclass

from . import output_certs
from .customs import Customs
from .envoys import Envoy
from .kubernetes import KubernetesError
from .volumes import Volumes

NODE = "node-1"
GATEWAY_NAME = "gateway.networking.k8s.io/gateway-name"
GATEWAY_CLASS = "gateway.networking.k8s.io/gateway-class-name"


@dataclass
class Pod:
    """A pod on the node, and the programs in its place."""

    namespace: str
    name: str
    uid: str
    ip: str
    labels: dict
    annotations: dict
    service_account: str
    envoy: Envoy | None = None
    customs: Customs | None = None
    volumes: Volumes | None = None
    reported: tuple = ()
    probe: "Probe | None" = None
    ending: float | None = None  # since when it ends

    def programs(self):
        return [part for part in (self.customs, self.envoy) if part]

    def ready(self):
        """The state that the probes lead to."""
        if self.probe is None:
            self.probe = Probe(self.customs.probe if self.customs else {})
        return self.probe.ready(lambda: all(part.ready() for part in self.programs()))


class Probe:
    """A readiness probe: asked at every round until the pod is ready, then at its period; some failures make it unready."""

    def __init__(self, spec):
        self._period, self._threshold = spec.get("periodSeconds", 10), spec.get("failureThreshold", 3)
        self._ready, self._failures, self._next = False, 0, 0.0

    def ready(self, ask):
        if self._ready and time.monotonic() < self._next:
            return True
        self._next = time.monotonic() + self._period
        if ask():
            self._ready, self._failures = True, 0
        else:
            self._failures += 1
            self._ready = self._ready and self._failures < self._threshold
        return self._ready


class Kubelet:
    """The node; a thread of its own until `close`."""

    def __init__(self, mesh):
        self._mesh, self._kubernetes = mesh, mesh.kubernetes
        self._lock, self._pods, self._stop = threading.Lock(), {}, threading.Event()
        self.trouble = None  # what ended the thread, if something did
        self._kubernetes.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self):
        self._stop.set()
        self._thread.join(10)

    def pods(self, namespace=None, **labels):
        """The running pods of a namespace with these labels; `_` and `__` in a name mean `-` and `.`."""
        wanted = {name.replace("__", ".").replace("_", "-"): value for name, value in labels.items()}
        with self._lock:
            pods = list(self._pods.values())
        return [p for p in pods if namespace in (None, p.namespace) and wanted.items() <= p.labels.items()]

    def _run(self):
        try:
            while not self._stop.wait(0.15):
                try:
                    self._round()
                except (KubernetesError, OSError) as error:
                    self._mesh.note(f"kubelet: {error}")
        except BaseException as error:  # the test must see it: without a kubelet nothing comes up
            self.trouble = error
            raise

    def _round(self):
        present = {}
        for document in self._kubernetes.call("GET", "/api/v1/pods")["items"]:
            uid = document["metadata"]["uid"]
            present[uid] = document
            pod = self._pods.get(uid)
            if document["metadata"].get("deletionTimestamp"):
                self._delete(uid, document)
            elif pod is None:
                self._admit(document)
            else:
                self._attend(pod, document)
        for uid in [uid for uid in self._pods if uid not in present]:
            self._forget(uid)

    def _admit(self, document):
        metadata, spec = document["metadata"], document["spec"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if not spec.get("nodeName"):
            target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
            binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": metadata["name"]}, "target": target}
            self._kubernetes.call("POST", f"{path}/binding", binding)
        pod = Pod(
            metadata["namespace"], metadata["name"], metadata["uid"], self._mesh.places.new_pod(),
            metadata.get("labels", {}), metadata.get("annotations", {}), spec.get("serviceAccountName", "default"),
        )  # fmt: skip
        folder = self._mesh.processes.folder / "volumes" / pod.uid[:8]
        pod.volumes = Volumes(self._kubernetes, pod.namespace, spec.get("volumes", []), folder)
        self._attend(pod, document)
        with self._lock:
            self._pods[pod.uid] = pod

    def _attend(self, pod, document):
        missing = pod.volumes.update()
        if missing is None and not pod.reported:
            self._start(pod, document["spec"])
        state = ("Running" if missing is None or pod.reported else "Pending", missing is None and pod.ready())
        if state != pod.reported and (missing is None or pod.reported):
            self._report(pod, document, *state)
            pod.reported = state

    def _start(self, pod, spec):
        namespace = self._kubernetes.call("GET", f"/api/v1/namespaces/{pod.namespace}")["metadata"].get("labels", {})
        for container in spec["containers"]:
            for mount in container.get("volumeMounts", []):
                self._mesh.places.mount(pod.ip, mount["mountPath"], pod.volumes.path(mount["name"]))
        if pod.labels.get(GATEWAY_CLASS) == "istio-waypoint":
            pod.envoy = Envoy(self._mesh, pod, "waypoint")
        elif pod.labels.get("istio") == "egressgateway" or GATEWAY_NAME in pod.labels:
            pod.envoy = Envoy(self._mesh, pod, "router")
        elif namespace.get("istio-injection") == "enabled" and pod.labels.get("sidecar.istio.io/inject") != "false":
            output_certs.write(pod, self._mesh.authority)
            pod.envoy = Envoy(self._mesh, pod, "sidecar")
        for container in spec["containers"]:
            if container["image"].rsplit("/", 1)[-1].split(":")[0].split("@")[0] == "customs" and pod.customs is None:
                pod.customs = Customs(self._mesh, pod, container, pod.volumes)

    def _report(self, pod, document, phase, ready):
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        as_text = str(ready)
        conditions = [{"type": kind, "status": value, "lastTransitionTime": now} for kind, value in (
            ("PodScheduled", "True"), ("Initialized", "True"), ("ContainersReady", as_text), ("Ready", as_text))]  # fmt: skip
        containers = [
            {
                "name": container["name"], "image": container["image"], "imageID": "", "ready": ready, "started": True,
                "restartCount": 0, "state": {"running": {"startedAt": now}},
            }
            for container in document["spec"]["containers"]
        ]  # fmt: skip
        status = {
            "phase": phase, "podIP": pod.ip, "podIPs": [{"ip": pod.ip}], "hostIP": "10.9.9.9", "startTime": now,
            "conditions": conditions, "containerStatuses": containers,
        }  # fmt: skip
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/status"
        self._kubernetes.call("PATCH", path, {"status": status}, kind="application/merge-patch+json")

    def _delete(self, uid, document):
        """Asks the programs to end, and confirms when they have."""
        pod = self._pods.get(uid)
        grace = document["metadata"].get("deletionGracePeriodSeconds", 0)
        running = [part for part in pod.programs() if part.process.running()] if pod else []
        for part in running:
            if pod.ending is None:
                part.process.ask_to_end()
            elif time.monotonic() - pod.ending > grace:
                part.process.end(0)
        if pod and pod.ending is None:
            pod.ending = time.monotonic()
        if not any(part.process.running() for part in running):
            self._forget(uid)
            path = f"/api/v1/namespaces/{document['metadata']['namespace']}/pods/{document['metadata']['name']}"
            options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
            self._kubernetes.call("DELETE", path, options)

    def _forget(self, uid):
        with self._lock:
            pod = self._pods.pop(uid, None)
        for part in pod.programs() if pod else []:
            part.process.end(1)
