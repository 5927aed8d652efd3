"""A plain Envoy as the gateway, without Istio: deploy/scenario/envoy/envoy.yaml, and the answers of its README.

Is: the file as it is, with its addresses and certificate files in their places on this machine, and clients with certificates.

Is not: anything of the mesh but its certificate authority and its site.
"""

import http.client
import json
import socket
import ssl

import yaml

from ..client import Answer
from ..customs import customs_binary, records_in
from ..modules import envoy_binary
from ..ports import LOOPBACK
from ..processes import wait_until
from ..rig import ISTIO, ROOT
from ..steps import DENIED, SITE, Expect, StepFailed

FILE = "deploy/scenario/envoy/envoy.yaml"
HOST = "www.aliyun.com"


def run(report, mesh):
    with report.step(f"{FILE} starts, and customs beside it", mesh) as step:
        gateway = Gateway(mesh)
        step.note(f"$ envoy -c {FILE}")
        wait_until("Envoy", gateway.ready, 20, [gateway.envoy, gateway.customs])
    for name, namespace, host, expected in (
        ("demo-frontend is denied", "demo-frontend", HOST, DENIED),
        ("another spelling is denied too", "demo-frontend", "WWW.Aliyun.Com:443", DENIED),
        ("demo-backend is not", "demo-backend", HOST, SITE),
        ("a host without a route is asked about and ends at the gateway", "demo-backend", "other.example", Expect(421)),
    ):
        with report.step(name, mesh) as step:
            gateway.asks(step, namespace, host, expected)
    with report.step("each of them is on record, with its caller", mesh) as step:
        count = lambda: len(gateway.records()) == 4 and gateway.records()
        records = wait_until("four records", count, 5)
        seen = [(record.get("namespace"), record.get("host"), record["effect"]) for record in records]
        step.note(f"  {seen}")
        step.expect("the unrouted host too", ("demo-backend", "other.example", "allow") in seen)
    with report.step("a client without a certificate gets no answer, and nobody is asked", mesh) as step:
        gateway.asks(step, None, HOST, Expect(None))
        step.expect("no further record", len(gateway.records()) == 4)
    with report.step("customs is stopped: 503", mesh) as step:
        gateway.customs.end()
        gateway.asks(step, "demo-backend", HOST, Expect(503))


class Gateway:
    """Envoy and customs, as the README starts them."""

    def __init__(self, mesh):
        self._mesh, authority = mesh, mesh.authority
        self.port, customs, admin, envoy_admin = (mesh.ports.take() for _ in range(4))
        policies = mesh.folder / "plain-policies"
        policies.mkdir()
        for name, text in yaml.safe_load((ISTIO / "policies" / "config-map.yaml").read_text(encoding="utf-8"))["data"].items():
            (policies / name).write_text(text, encoding="utf-8")
        places = {
            ("0.0.0.0", 8443): self.port, ("127.0.0.1", 9901): envoy_admin,
            ("127.0.0.1", 9191): customs, (HOST, 80): mesh.site.port,
        }  # fmt: skip
        chain, key = authority.issue("plain-gateway", names=["gateway.example"])
        files = {"gateway.pem": chain, "gateway.key": key, "ca.pem": authority.root}
        config = _translate(yaml.safe_load((ROOT / FILE).read_text(encoding="utf-8")), places, files)
        path = mesh.folder / "plain-envoy.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        self.customs = mesh.processes.start("plain-customs", [
            customs_binary(), "serve", "--policies", policies, "--listen", f"{LOOPBACK}:{customs}", "--admin", f"{LOOPBACK}:{admin}",
        ])  # fmt: skip
        self.envoy = mesh.processes.start("plain-envoy", [envoy_binary(), "-c", path, "--use-dynamic-base-id", "--concurrency", "1"])
        self._ready = (envoy_admin, "/ready"), (admin, "/readyz")

    def ready(self):
        for port, path in self._ready:
            connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
            connection.request("GET", path)
            if connection.getresponse().status != 200:
                return False
        return True

    def records(self):
        return [record for record in records_in(self.customs.log) if record["kind"] == "decision"]

    def asks(self, step, namespace, host, expected):
        answer = self._ask(namespace, host)
        step.note(f"$ {namespace or 'no certificate'}: curl -sI -H 'Host: {host}' https://{HOST}/")
        step.note(f"  expected: {expected}")
        step.note(f"  answer:   {answer}")
        if not expected.holds(answer):
            raise StepFailed(f"expected {expected}")

    def _ask(self, namespace, host):
        context = ssl.create_default_context(cafile=str(self._mesh.authority.root))
        context.check_hostname = False
        if namespace:
            uri = f"spiffe://cluster.local/ns/{namespace}/sa/sleep"
            context.load_cert_chain(*self._mesh.authority.issue(f"client.{namespace}", identities=[uri]))
        try:
            with socket.create_connection((LOOPBACK, self.port), 10) as plain, context.wrap_socket(plain) as tls:
                tls.sendall(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                response = http.client.HTTPResponse(tls, method="HEAD")
                response.begin()
                return Answer(response.status, {name.lower(): value for name, value in response.getheaders()})
        except (OSError, http.client.HTTPException):
            return Answer(None, error="the connection was closed")


def _translate(node, places, files):
    """The configuration with its addresses and files in their places; each of them must be known."""
    if isinstance(node, list):
        return [_translate(item, places, files) for item in node]
    if not isinstance(node, dict):
        return node
    if "socket_address" in node:
        address = node["socket_address"]
        port = places[(address["address"], address["port_value"])]
        return {"socket_address": {"address": LOOPBACK, "port_value": port}}
    if "filename" in node:
        return {"filename": str(files[node["filename"].removeprefix("/etc/envoy/certs/")])}
    return {key: _translate(value, places, files) for key, value in node.items()}
