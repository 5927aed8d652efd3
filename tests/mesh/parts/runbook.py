"""The rollout in 110 days: every command of docs/how-to/roll-out.md, in order.

Is: the mesh with which the runbook begins, and then the document itself, run by documents.py.

Is not: the time between the steps.
"""

from .. import documents
from ..rig import SCENARIO
from ..steps import CLOSED, SITE, Expect

BEFORE = ("1-workloads", "2-service-entry", "4-gateway", "6-https-originated", "7-catch-all", "8-native-deny")


def run(report, mesh):
    with report.step("the mesh before day 0: an egress gateway, TLS by passthrough, Istio's own DENY", mesh) as step:
        for name in BEFORE:
            mesh.apply(SCENARIO / f"{name}.yaml")
        mesh.apply("tests/mesh/setups/passthrough.yaml")
        mesh.configure(SCENARIO / "3-registry-only.yaml")
        for namespace in ("demo-frontend", "demo-backend"):
            mesh.rollout(namespace, "sleep")
        step.asks("demo-frontend", "http://www.aliyun.com/", Expect(403))
        step.asks("demo-backend", "http://www.aliyun.com/", SITE)
        step.asks("demo-frontend", "https://www.aliyun.com/", SITE)
        step.asks("demo-frontend", "https://unregistered.example/", CLOSED)
    documents.run("docs/how-to/roll-out.md", report, mesh)
