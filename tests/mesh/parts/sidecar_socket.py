"""customs in the pod of the gateway, asked over a unix socket: deploy/scenario/sidecar-socket.

Is: the scenario up to step 4, and then the document's commands.

Is not: proof of the socket's mode: no container separates the programs.
"""

from .. import documents
from ..rig import SCENARIO
from ..steps import SITE


def run(report, mesh):
    with report.step("the scenario up to step 4", mesh) as step:
        for name in ("1-workloads", "2-service-entry", "4-gateway"):
            mesh.apply(SCENARIO / f"{name}.yaml")
        mesh.configure(SCENARIO / "3-registry-only.yaml")
        mesh.rollout("demo-frontend", "sleep")
        mesh.rollout("demo-backend", "sleep")
        step.asks("demo-frontend", "http://www.aliyun.com/", SITE)
    documents.run("deploy/scenario/sidecar-socket/README.md", report, mesh)
