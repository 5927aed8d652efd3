"""Answers what a kubelet and an installer would answer: `kubectl exec`, `kubectl logs`, `istioctl install`.

Is: a unix socket for the commands in commands/, so that the command lines of documents run as they are written. `exec` runs
curl, and `pilot-agent request GET` of a gateway; `logs` prints what customs or an Envoy wrote; `install` merges the
`meshConfig` of each file that exists.

Is not: a container: any other program in `exec` is refused.
"""

import argparse
import json
import os
import socketserver
import subprocess
import tempfile
import threading
from pathlib import Path

from .customs import customs_binary

COMMANDS = Path(__file__).parent / "commands"


class Refused(Exception):
    """A command that the rig does not play."""


class Control:
    """The socket of one mesh."""

    def __init__(self, mesh):
        self._mesh = mesh
        # A socket's path is short, and the mesh's folder may not be.
        self._socket = tempfile.TemporaryDirectory(prefix="mesh-")
        self.path = f"{self._socket.name}/control"
        # Where commands run: what they write is the test's, what they read the repository's.
        self.folder = mesh.folder / "checkout"
        self._programs = mesh.folder / "programs"
        for folder in (self.folder, self._programs):
            folder.mkdir()
        for name in ("deploy", "docs", "policies", "tests"):
            (self.folder / name).symlink_to(mesh.root / name)
        (self._programs / "customs").symlink_to(customs_binary())
        control = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    result = control.run(json.loads(self.rfile.readline()))
                except (Refused, SystemExit, Exception) as error:  # the command must end, whatever happened
                    result = 1, "", f"mesh: {error}\n"
                self.wfile.write(json.dumps(result).encode())

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True

        self._server = Server(self.path, Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._socket.cleanup()

    def run(self, words):
        """Runs one command; returns its exit code, stdout and stderr."""
        program, *words = words
        if program == "istioctl":
            return self._install(words)
        namespace, words = _namespace(words)
        if words[0] == "exec":
            return self._exec(namespace, words[1:])
        return self._logs(namespace, words[1:])

    def _install(self, words):
        if words[:1] != ["install"]:
            raise Refused("only `istioctl install -f FILE` is played here")
        options = argparse.ArgumentParser(prog="istioctl install")
        options.add_argument("-f", "--filename", action="append", default=[])
        options.add_argument("-y", action="store_true")
        for file in options.parse_args(words[1:]).filename:
            path = Path(self.folder, file)
            if path.exists():  # yours.yaml, with which Istio was installed, is the reader's own
                self._mesh.configure(path)
        self._mesh.settle()
        return 0, "", ""

    def _pods(self, namespace, target, selector):
        pods = self._mesh.pods(namespace)
        if selector:
            wanted = dict(pair.split("=", 1) for pair in selector.split(","))
            return [pod for pod in pods if wanted.items() <= pod.labels.items()]
        kind, _, name = target.rpartition("/")
        return [pod for pod in pods if pod.name == name or (kind.startswith("deploy") and pod.name.startswith(f"{name}-"))]

    def _exec(self, namespace, words):
        at = words.index("--")
        before, command = words[:at], words[at + 1 :]
        target = next(word for word in before if not word.startswith("-") and word != "istio-proxy")
        pods = [pod for pod in self._pods(namespace, target, None) if pod.envoy and pod.envoy.ready()]
        if not pods:
            raise Refused(f"no running pod of {target} in {namespace}")
        envoy = pods[0].envoy
        if command[:3] == ["pilot-agent", "request", "GET"]:
            status, body = envoy.get("/" + command[3].lstrip("/"))
            return int(status != 200), body, ""
        if command[0] != "curl":
            raise Refused(f"`{command[0]}` is not played in a pod; curl and `pilot-agent request GET` are")
        connect = []
        for port in (80, 443):
            connect += ["--connect-to", f":{port}:127.0.0.1:{envoy.listener_port(port)}"]
        # A proxy of the machine is not the mesh's way out, and its authorities are not those of the site.
        options = ["--noproxy", "*", "--max-time", "30", "--cacert", str(self._mesh.authority.root), *connect]
        done = subprocess.run(["curl", *options, *command[1:]], capture_output=True, text=True, check=False)
        # As kubectl reports it.
        ended = f"command terminated with exit code {done.returncode}\n" if done.returncode else ""
        return done.returncode, done.stdout, done.stderr + ended

    def _logs(self, namespace, words):
        options = argparse.ArgumentParser(prog="kubectl logs")
        options.add_argument("-l", "--selector")
        options.add_argument("-c", "--container")
        options.add_argument("--tail", type=int, default=None)
        options.add_argument("--prefix", action="store_true")
        options.add_argument("target", nargs="?", default="")
        chosen = options.parse_args(words)
        out = []
        for pod in self._pods(namespace, chosen.target, chosen.selector):
            part = pod.envoy if chosen.container == "istio-proxy" else pod.customs or pod.envoy
            if part:
                lines = part.process.log.read_text(errors="replace").splitlines()
                if chosen.tail is not None:
                    lines = lines[-chosen.tail :]
                prefix = f"[pod/{pod.name}] " if chosen.prefix else ""
                out += [prefix + line for line in lines]
        return 0, "".join(f"{line}\n" for line in out), ""

    def environment(self):
        """The variables with which the commands of commands/ find this mesh."""
        kubernetes = self._mesh.kubernetes
        return {
            # A variable that customs would take for a setting is not passed on.
            **{name: value for name, value in os.environ.items() if not name.startswith("CUSTOMS_")},
            "PATH": f"{COMMANDS}:{self._programs}:{os.environ['PATH']}",
            "KUBECONFIG": str(kubernetes.kubeconfig),
            "MESH_CONTROL": self.path,
            "MESH_KUBECTL": str(kubernetes.program),
        }


def _namespace(words):
    words = list(words)
    for option in ("-n", "--namespace"):
        if option in words:
            at = words.index(option)
            namespace = words[at + 1]
            del words[at : at + 2]
            return namespace, words
    return "default", words
