"""A real Kubernetes API server: its etcd, its controllers, a kubectl for it, and a small client.

Is: etcd, kube-apiserver (RBAC on, admission as in a cluster), and the controllers that make pods of Deployments and
EndpointSlices of Services. What `kubectl apply` stores or refuses here, a cluster stores or refuses.

Is not: nodes. kubelet.py plays the one node; there is no scheduler, DNS, CNI or kube-proxy, and no NetworkPolicy takes effect.
"""

import http.client
import json
import os
import ssl
import subprocess
import threading
from dataclasses import dataclass

import yaml

from .ports import LOOPBACK
from .processes import wait_until

TOKEN = "administrator-of-a-test"
CONTROLLERS = (
    "deployment-controller,replicaset-controller,statefulset-controller,daemonset-controller,endpointslice-controller,"
    "serviceaccount-controller,namespace-controller,garbage-collector-controller,disruption-controller"
)


class KubernetesError(Exception):
    """A kubectl command or an API call that failed and had to succeed."""


@dataclass(frozen=True)
class Result:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


class Kubernetes:
    """The API server; `kubectl` runs commands, `call` sends HTTP requests."""

    def __init__(self, programs, processes, ports, authority):
        self.program = programs["kubectl"]
        self.folder = processes.folder / "kubernetes"
        self.folder.mkdir()
        self._local, self._authority = threading.local(), authority
        self.port = ports.take()
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(self._configuration()), encoding="utf-8")
        etcd, peers = ports.take(), ports.take()
        chain, key = authority.issue("apiserver", names=["localhost", "kubernetes.default.svc"], addresses=[LOOPBACK])
        (self.folder / "tokens.csv").write_text(f'{TOKEN},admin,1,"system:masters"\n', encoding="utf-8")
        at = lambda port: f"http://{LOOPBACK}:{port}"
        store = processes.start("etcd", [
            programs["etcd"], "--data-dir", self.folder / "etcd", "--log-level", "warn", "--unsafe-no-fsync",
            "--listen-client-urls", at(etcd), "--advertise-client-urls", at(etcd),
            "--listen-peer-urls", at(peers), "--initial-advertise-peer-urls", at(peers),
            "--initial-cluster", f"default={at(peers)}",
        ])  # fmt: skip
        server = processes.start("kube-apiserver", [
            programs["kube-apiserver"], f"--etcd-servers={at(etcd)}", f"--bind-address={LOOPBACK}",
            f"--secure-port={self.port}", f"--tls-cert-file={chain}", f"--tls-private-key-file={key}",
            f"--cert-dir={self.folder}", f"--token-auth-file={self.folder}/tokens.csv", "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.96.0.0/16", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={key}", f"--service-account-signing-key-file={key}",
            "--endpoint-reconciler-type=none", "--advertise-address=10.9.9.9",
        ])  # fmt: skip
        wait_until("the API server", lambda: self.call("GET", "/readyz", raw=True) == "ok", 180, [store, server])
        processes.start("kube-controller-manager", [
            programs["kube-controller-manager"], f"--kubeconfig={self.kubeconfig}", f"--controllers={CONTROLLERS}",
            "--leader-elect=false", "--secure-port=0", "--endpointslice-updates-batch-period=0s",
        ])  # fmt: skip

    def _configuration(self):
        cluster = {"server": f"https://{LOOPBACK}:{self.port}", "certificate-authority": str(self._authority.root)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "mesh",
            "contexts": [{"name": "mesh", "context": {"cluster": "mesh", "user": "admin"}}],
            "clusters": [{"name": "mesh", "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": TOKEN}}],
        }

    def kubectl(self, *arguments, stdin=None, cwd=None):
        """Runs kubectl and returns its Result; see `apply` for commands that must succeed."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "KUBECONFIG": str(self.kubeconfig)}
        done = subprocess.run(
            [str(self.program), *map(str, arguments)],
            input=stdin, capture_output=True, text=True, check=False, env=environment, cwd=cwd, timeout=240,
        )  # fmt: skip
        return Result(done.returncode, done.stdout, done.stderr)

    def must(self, *arguments, **more):
        """Runs kubectl; an exit code other than 0 is an error."""
        result = self.kubectl(*arguments, **more)
        if result.code != 0:
            raise KubernetesError(f"kubectl {' '.join(map(str, arguments))}: {result.err.strip()}")
        return result.out

    def apply(self, documents):
        """Applies a document, or a list of them, or YAML text."""
        if not isinstance(documents, str):
            documents = yaml.safe_dump_all(documents if isinstance(documents, list) else [documents])
        return self.must("apply", "-f", "-", stdin=documents)

    def call(self, method, path, body=None, kind="application/json", raw=False):
        """One HTTP request to the API; returns the document, or None if the object does not exist."""
        payload = json.dumps(body) if body is not None else None
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
        for attempt in (1, 2):
            connection = self._connection(renew=attempt == 2)
            try:
                connection.request(method, path, payload, headers)
                response = connection.getresponse()
                text = response.read().decode()
                break
            except (http.client.HTTPException, OSError):
                if attempt == 2:
                    self._local.connection = None
                    raise
        if raw:
            return text
        if response.status == 404:
            return None
        if response.status >= 400:
            raise KubernetesError(f"{method} {path}: {response.status} {text[:300]}")
        return json.loads(text)

    def _connection(self, renew):
        """A kept connection for each thread; the server may have closed it, so it can be renewed."""
        connection = getattr(self._local, "connection", None)
        if connection is None or renew:
            if connection:
                connection.close()
            context = ssl.create_default_context(cafile=str(self._authority.root))
            connection = http.client.HTTPSConnection(LOOPBACK, self.port, context=context, timeout=30)
            self._local.connection = connection
        return connection
