"""customs hangs, and customs is gone: what clients see in enforce and in trial, over HTTP and over TLS.

Is: the replicas stopped by a signal, and a Deployment of no replicas.

Is not: a node that is lost, or a network that drops packets.
"""

import contextlib

from ..rig import SCENARIO
from ..steps import CLOSED, DENIED, SITE, Expect

HTTP, TLS = "http://www.aliyun.com/", "https://www.aliyun.com/"
BROKEN = Expect(503)


def run(report, mesh):
    with report.step("customs enforces", mesh) as step:
        mesh.base("enforce")
        mesh.apply(SCENARIO / "5-https-wrapped.yaml")
        mesh.settle()
        step.asks("demo-frontend", HTTP, DENIED)
        step.asks("demo-backend", TLS, SITE)
    with report.step("enforce, every replica hangs: 503 after the timeout, a TLS connection is closed", mesh) as step, _hung(mesh):
        answer = step.asks("demo-backend", HTTP, BROKEN, within=0)
        step.expect("the answer came after the timeout of 0.5 s", answer.seconds >= 0.5)
        step.asks("demo-backend", TLS, CLOSED, within=0)
        step.not_recorded()
    with report.step("the replicas answer again: decisions as before", mesh) as step:
        step.asks("demo-backend", HTTP, SITE)
        step.asks("demo-frontend", HTTP, DENIED)
    with report.step("enforce, no replica: 503 at once, a TLS connection is closed", mesh) as step:
        _scale(mesh, 0)
        step.asks("demo-backend", HTTP, BROKEN)
        step.asks("demo-backend", TLS, CLOSED)
    with report.step("trial, no replica: every request passes", mesh) as step:
        mesh.configure("deploy/istio/trial/mesh-config.yaml")
        mesh.settle()
        for namespace in ("demo-frontend", "demo-backend"):
            step.asks(namespace, HTTP, SITE)
            step.asks(namespace, TLS, SITE)
        step.not_recorded()
        allowed = mesh.gateway.stats("ext_authz.failure_mode_allowed")
        step.expect(f"the gateway counted them: {allowed}", sum(allowed.values()) >= 4)
    with report.step("trial, every replica hangs: every request passes, after the timeout", mesh) as step:
        mesh.apply("deploy/istio/trial")
        _scale(mesh, 2)
        step.asks("demo-frontend", HTTP, SITE)
        step.recorded(namespace="demo-frontend", effect="allow", verdict="deny")
        with _hung(mesh):
            answer = step.asks("demo-frontend", HTTP, SITE, within=0)
            step.expect("the answer came after the timeout of 0.5 s", answer.seconds >= 0.5)
            step.asks("demo-frontend", TLS, SITE, within=0)


@contextlib.contextmanager
def _hung(mesh):
    replicas = mesh.customs
    for replica in replicas:
        replica.process.pause()
    try:
        yield
    finally:
        for replica in replicas:
            replica.process.resume()


def _scale(mesh, replicas):
    mesh.kubernetes.must("-n", "customs-system", "scale", "deployment/customs", f"--replicas={replicas}")
    mesh.rollout("customs-system", "customs")
