"""The scenario with a gateway of the Kubernetes Gateway API, which a policy reaches by targetRefs: deploy/scenario/gateway-api.

Is: the document's commands. The pods that istiod would make of the Gateway are made here, with the labels that it gives them.

Is not: istiod's deployment of gateways, which needs an injector.
"""

from .. import documents


def run(report, mesh):
    mesh.apply("tests/mesh/setups/managed-gateway.yaml")
    documents.run("deploy/scenario/gateway-api/README.md", report, mesh)
