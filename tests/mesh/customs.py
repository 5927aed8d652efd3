"""The process of customs in a pod: the arguments, volumes and probes of the Deployment under test, on ports of this machine.

Is: the container as its manifest writes it. Only places change: `0.0.0.0:9191` becomes a port of 127.0.0.1, and a path in a
volume becomes that volume's directory here, in arguments, variables and mounted settings.

Is not: the image, its user or its limits: nothing of a container's isolation.
"""

import http.client
import json
import os
import re
import shutil
from pathlib import Path

import grpc

from .build import ROOT
from .ports import LOOPBACK


class CustomsError(Exception):
    """The binary of customs is missing."""


def customs_binary():
    """Returns the binary of $CUSTOMS, or the newest of target/release and target/debug."""
    named = os.environ.get("CUSTOMS")
    if named:
        found = shutil.which(named)
        if found:
            return Path(found).absolute()
        raise CustomsError(f"CUSTOMS={named} is not an executable file")
    target = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    built = [target / profile / "customs" for profile in ("release", "debug") if (target / profile / "customs").exists()]
    if not built:
        raise CustomsError("customs is not built: run `cargo build --release --bin customs`, or set CUSTOMS=/path/to/customs")
    return max(built, key=lambda path: path.stat().st_mtime)


class Customs:
    """One replica."""

    def __init__(self, mesh, pod, container, volumes):
        self.pod, self._mesh, self._container = pod, mesh, container
        self._mounts = {mount["mountPath"]: volumes.path(mount["name"]) for mount in container.get("volumeMounts", [])}
        arguments = [self.local(word) for word in [*container.get("command", [])[1:], *container.get("args", [])]]
        variables = {each["name"]: self.local(each["value"]) for each in container.get("env", []) if "value" in each}
        name = f"{pod.namespace}.{pod.name}.{container['name']}"
        self.process = mesh.processes.start(name, [customs_binary(), *self._with_local_settings(arguments)], variables)

    def local(self, text):
        """The text with addresses and paths of the pod in their places on this machine."""
        for mount, folder in self._mounts.items():
            text = re.sub(rf"(?<![\w/.]){re.escape(mount)}(?![\w.-])", str(folder), text)
        port = lambda found: f"{LOOPBACK}:{self._mesh.places.pod_port(self.pod.ip, int(found[1]))}"
        return re.sub(r"(?:\b0\.0\.0\.0|\[::\]):(\d+)", port, text)

    def _with_local_settings(self, arguments):
        """A settings file holds addresses and paths too, so customs reads a copy of it in its places."""
        result = []
        for word in arguments:
            option, _, path = word.partition("=")
            if option == "--config" and path and os.path.exists(path):
                copy = self._mesh.processes.folder / f"{self.pod.namespace}.{self.pod.name}.settings.yaml"
                with open(path, encoding="utf-8") as settings:
                    copy.write_text(self.local(settings.read()), encoding="utf-8")
                word = f"--config={copy}"
            result.append(word)
        return result

    @property
    def probe(self):
        """The readiness probe of the manifest."""
        return self._container.get("readinessProbe", {})

    def ready(self):
        """The answer of the readiness probe."""
        probe = self.probe
        if not self.process.running():
            return False
        if "grpc" in probe:
            return self._serving(probe["grpc"]["port"], probe["grpc"].get("service", ""))
        if "httpGet" in probe:
            return self.get(probe["httpGet"]["path"], self._port(probe["httpGet"]["port"]))[0] == 200
        return True

    def _port(self, name):
        by_name = {each.get("name"): each["containerPort"] for each in self._container.get("ports", [])}
        return by_name.get(name, name)

    def _serving(self, port, service):
        with grpc.insecure_channel(f"{LOOPBACK}:{self._mesh.places.pod_port(self.pod.ip, self._port(port))}") as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check", lambda raw: raw, lambda raw: raw)
            try:  # HealthCheckRequest{service} -> HealthCheckResponse{status: SERVING}
                return check(b"\x0a" + bytes([len(service)]) + service.encode(), timeout=1) == b"\x08\x01"
            except grpc.RpcError:
                return False

    @property
    def admin(self):
        """The address for operators, as HOST:PORT."""
        return f"{LOOPBACK}:{self._mesh.places.pod_port(self.pod.ip, 9192)}"

    def get(self, path, port=9192):
        """What a port of the pod answers over HTTP: the status, and the body as text."""
        connection = http.client.HTTPConnection(LOOPBACK, self._mesh.places.pod_port(self.pod.ip, port), timeout=5)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def status(self):
        """What `/status` says."""
        return json.loads(self.get("/status")[1])

    def records(self):
        """The audit records that this replica has written to its output."""
        return records_in(self.process.log)


def records_in(log):
    """The audit records in a log; the program's own log lines are there too."""
    lines = log.read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, (line for line in lines if line.startswith("{"))) if "kind" in record]
