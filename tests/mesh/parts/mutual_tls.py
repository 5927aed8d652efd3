"""Mutual TLS between the gateway and customs, with the mesh's certificates: deploy/istio/mutual-tls/mesh-certificates.

Is: the folder applied as it is, istiod's DestinationRule in the gateway, and clients with and without the gateway's identity.

Is not: istio-agent: the certificates that it would write are written by output_certs.py.
"""

import socket
import ssl

from ..ports import LOOPBACK
from ..rig import ISTIO
from ..steps import DENIED, SITE, Expect

URL = "http://www.aliyun.com/"
GATEWAY = ("istio-system", "istio-egressgateway-service-account")
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


def run(report, mesh):
    with report.step("plain text between the gateway and customs", mesh) as step:
        mesh.base("enforce")
        step.asks("demo-frontend", URL, DENIED)
    with report.step("kubectl apply -k deploy/istio/mutual-tls/mesh-certificates: the same answers", mesh) as step:
        mesh.apply(ISTIO / "mutual-tls" / "mesh-certificates")
        mesh.rollout("customs-system", "customs")
        step.asks("demo-frontend", URL, DENIED)
        record = step.recorded(namespace="demo-frontend", reason="denied_by_rule")
        identity = f"spiffe://cluster.local/ns/{GATEWAY[0]}/sa/{GATEWAY[1]}"
        step.expect(f"the record says that {identity} asked", record.get("peerIdentity") == identity)
        step.asks("demo-backend", URL, SITE)
    with report.step("customs takes the gateway's certificate and no other", mesh) as step:
        step.expect("the gateway's is taken", _connects(mesh, *GATEWAY))
        step.expect("a workload's is not", not _connects(mesh, "demo-frontend", "sleep"))
        step.expect("nor is none", not _connects(mesh))
    with report.step("a gateway that uses plain text gets no answer: 503", mesh) as step:
        mesh.delete("destinationrule.networking.istio.io", "customs", "customs-system")
        mesh.settle()
        step.asks("demo-backend", URL, Expect(503))
        step.not_recorded()
    with report.step("with the DestinationRule again: as before", mesh) as step:
        mesh.apply(ISTIO / "mutual-tls" / "mesh-certificates")
        step.asks("demo-frontend", URL, DENIED)
        step.asks("demo-backend", URL, SITE)


def _connects(mesh, *identity):
    """Whether customs accepts an HTTP/2 connection of a client with this identity."""
    context = ssl.create_default_context(cafile=str(mesh.authority.root))
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    if identity:
        namespace, account = identity
        uri = f"spiffe://cluster.local/ns/{namespace}/sa/{account}"
        context.load_cert_chain(*mesh.authority.issue(f"{namespace}.{account}", identities=[uri]))
    # The newest replica: an older one may still be ending.
    port = mesh.places.pod_port(mesh.customs[-1].pod.ip, 9191)
    try:
        with socket.create_connection((LOOPBACK, port), 10) as plain, context.wrap_socket(plain) as tls:
            tls.sendall(PREFACE)
            return len(tls.recv(9)) > 0
    except OSError:  # TLS 1.3 reports a refused certificate at the first read
        return False
