"""The mesh as a whole, and the face of this package: README.md describes it for those who use it.

Is: a context manager that starts everything, offers what an operator and an application can do, and ends everything.

Is not: the test itself; see parts/.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from . import build
from .ads import Discovery
from .certificates import Authority
from .client import Request, send
from .control import Control
from .control_plane import ControlPlane
from .customs import records_in
from .kubelet import Kubelet
from .kubernetes import Kubernetes, Result
from .modules import envoy_binary
from .places import Places
from .ports import Ports
from .processes import Processes, wait_until
from .site import Site

ROOT = build.ROOT
SCENARIO, ISTIO = ROOT / "deploy" / "scenario", ROOT / "deploy" / "istio"
INSTALLATION = Path(__file__).parent / "installation.yaml"


class Mesh:
    """A running mesh: `with Mesh() as mesh: ...`. `keep` leaves its folder; `features` are variables of istiod."""

    def __init__(self, keep=False, features=None):
        self.keep, self.root, self._features = keep, ROOT, features or {}
        self._closers, self._notes = [], []

    def __enter__(self):
        self.programs = programs = build.provide()
        envoy_binary()  # installs it before anything waits for it
        self.folder = Path(tempfile.mkdtemp(prefix="customs-mesh-"))
        try:
            self._start(programs)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def _start(self, programs):
        self.ports = self._closing(Ports())
        self.processes = Processes(self.folder)
        self._closers.append(self.processes.end_all)
        self.authority = Authority(self.folder / "certificates")
        self.places = Places(self.ports)
        self.site = self._closing(Site(self.ports, self.authority))
        self.places.site(80, self.site.port)
        self.places.site(443, self.site.tls_port)
        self.kubernetes = Kubernetes(programs, self.processes, self.ports, self.authority)
        self.istiod = ControlPlane(programs, self.processes, self.ports, self.authority, self.kubernetes, self._features)
        self.discovery = self._closing(Discovery(self.ports, self.istiod.grpc_port, self.places, self.authority))
        self.kubelet = self._closing(Kubelet(self))
        self.control = self._closing(Control(self))
        self.apply(INSTALLATION)
        self.rollout("istio-system", "istio-egressgateway")

    def _closing(self, part):
        self._closers.append(part.close)
        return part

    def __exit__(self, kind, *_):
        for close in reversed(self._closers):
            close()
        self._closers.clear()
        if self.keep or kind is not None:
            print(f"mesh: logs are in {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    def note(self, text):
        """Keeps a line for kubelet.log; what the player of a node meets is seldom a fault."""
        with (self.folder / "kubelet.log").open("a", encoding="utf-8") as log:
            log.write(text + "\n")

    # What an operator does.

    def apply(self, what):
        """Applies a path: a file or a folder (by `-k` if it is a kustomization), a document, a list of documents, or YAML text."""
        if not isinstance(what, Path) and (not isinstance(what, str) or "\n" in what):
            return self.kubernetes.apply(what)
        path = ROOT / what
        flag = "-k" if (path / "kustomization.yaml").exists() else "-f"
        return self.kubernetes.must("apply", flag, path)

    def delete(self, kind, name, namespace):
        """Deletes an object, which may be gone already."""
        self.kubernetes.must("-n", namespace, "delete", kind, name, "--ignore-not-found", "--wait=false")

    def configure(self, what):
        """Merges `meshConfig` of an IstioOperator file, or of a dict, into istiod's mesh configuration."""
        if isinstance(what, (str, Path)):
            path = Path(what) if Path(what).is_absolute() else ROOT / what
            what = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["meshConfig"]
        self.istiod.configure(what)

    def rollout(self, namespace, deployment, seconds=180):
        """Waits until a Deployment's pods are the new ones, ready, and the Envoys know them."""
        self.kubernetes.must("-n", namespace, "rollout", "status", f"deployment/{deployment}", f"--timeout={seconds}s")
        self.settle()

    def settle(self, quiet=0.6, seconds=120):
        """Waits until istiod sends nothing more and every Envoy has acknowledged it."""
        time.sleep(0.3)  # from the API server to istiod, and istiod's own 0.1 s of collecting changes
        wait_until("every Envoy has what istiod sent", lambda: self.discovery.quiet_for() > quiet, seconds)

    def environment(self):
        """Variables for a program that is to find this mesh by `kubectl` and `istioctl`."""
        return self.control.environment()

    def run(self, command, seconds=300):
        """Runs a line of shell with the commands of this mesh, where deploy/ and docs/ are; returns a Result."""
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            capture_output=True, text=True, check=False, cwd=self.control.folder, env=self.environment(), timeout=seconds,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def base(self, variant="enforce"):
        """Brings the mesh to a state from which tests begin: the scenario, and customs as deploy/istio/VARIANT has it."""
        for file in ("1-workloads.yaml", "2-service-entry.yaml", "4-gateway.yaml"):
            self.apply(SCENARIO / file)
        self.configure(SCENARIO / "3-registry-only.yaml")
        self.apply(ISTIO / "base" / "namespace.yaml")
        self.apply(ISTIO / "policies")
        self.apply(ISTIO / variant)
        for namespace, name in (("customs-system", "customs"), ("demo-frontend", "sleep"), ("demo-backend", "sleep")):
            self.rollout(namespace, name)
        self.configure(ISTIO / variant / "mesh-config.yaml")
        self.settle()
        self.apply(ISTIO / "gateway")
        self.settle()

    # What an application does.

    def ask(self, namespace, url, method="HEAD", headers=None, host=None):
        """Sends a request from the pod `sleep` of a namespace, and returns an Answer."""
        return self.send(namespace, Request(url, method, headers or {}, host))

    def send(self, namespace, request):
        return send(request, self.sidecar(namespace))

    # What is there to look at.

    def pods(self, namespace=None, **labels):
        return self.kubelet.pods(namespace, **labels)

    def sidecar(self, namespace, app="sleep"):
        """The Envoy beside the application of a namespace."""
        return wait_until(f"a sidecar in {namespace}", lambda: self._envoy(namespace, app=app), 120)

    @property
    def gateway(self):
        """The Envoy of the egress gateway."""
        return wait_until("the egress gateway", lambda: self._envoy("istio-system", istio="egressgateway"), 120)

    def _envoy(self, namespace, **labels):
        return next((pod.envoy for pod in self.pods(namespace, **labels) if pod.envoy and pod.envoy.ready()), None)

    @property
    def customs(self):
        """The replicas of customs that run, as Customs objects: `admin`, `status()`, `records()`, `process`."""
        return [pod.customs for pod in self.pods() if pod.customs and pod.customs.process.running()]

    def records(self, kind="decision"):
        """The audit records of all replicas that ran in this mesh, in the order of their times."""
        found = [record for log in self.folder.glob("*.customs.log") for record in records_in(log)]
        return sorted((record for record in found if record["kind"] == kind), key=lambda record: record["time"])
