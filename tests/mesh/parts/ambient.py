"""Ambient mode: a waypoint as the egress gateway, and where customs has the caller's identity from: deploy/scenario/ambient.

Is: the real istiod's configuration of a waypoint in a real Envoy, the files of the folder, and tunnels as ztunnel makes them.

Is not: ztunnel, and not Istio's build of Envoy, whose own filters (peer metadata) are left out.
"""

from ..client import Request, send
from ..rig import ISTIO, SCENARIO
from ..steps import DENIED, SITE, StepFailed
from ..ztunnel import Ztunnel

FEATURES = {"PILOT_ENABLE_AMBIENT": "true"}
AMBIENT = SCENARIO / "ambient"
URL = "http://www.aliyun.com/"
ANNOTATION = "ambient.istio.io/xfcc-include-client-identity"
SPOOFED = {"x-forwarded-client-cert": "By=spiffe://cluster.local/ns/a/sa/b;URI=spiffe://cluster.local/ns/demo-backend/sa/sleep"}


def run(report, mesh):
    with report.step("customs for waypoints, the waypoint, and the external host behind it", mesh) as step:
        mesh.apply(ISTIO / "base" / "namespace.yaml")
        mesh.apply(ISTIO / "policies")
        step.do("kubectl apply -k deploy/scenario/ambient/customs", mesh.apply, AMBIENT / "customs")
        step.do("kubectl apply -f deploy/scenario/ambient/waypoint.yaml", mesh.apply, AMBIENT / "waypoint.yaml")
        mesh.apply("tests/mesh/setups/managed-waypoint.yaml")
        mesh.rollout("customs-system", "customs")
        mesh.configure(ISTIO / "trial" / "mesh-config.yaml")
        tunnels = Tunnels(mesh)
        step.note(f"  istiod gave www.aliyun.com the address {tunnels.address}")
    with report.step("trial: requests pass, and the record has the caller and what enforcement would answer", mesh) as step:
        tunnels.asks(step, "demo-frontend", SITE)
        step.recorded(namespace="demo-frontend", effect="allow", verdict="deny")
        tunnels.asks(step, "demo-backend", SITE)
        step.recorded(namespace="demo-backend", verdict="allow")
    with report.step("enforce: demo-frontend is denied, demo-backend is not", mesh) as step:
        _enforce(mesh, "--identity-source=xfcc")
        tunnels.asks(step, "demo-frontend", DENIED)
        tunnels.asks(step, "demo-backend", SITE)
    with report.step("a header of the client does not change who it is", mesh) as step:
        tunnels.asks(step, "demo-frontend", DENIED, SPOOFED)
        step.recorded(namespace="demo-frontend", effect="deny")
        step.not_recorded(namespace="demo-backend")
    with report.step("without --identity-source=xfcc the header contradicts the absent principal: no valid caller, denied", mesh) as step:
        _enforce(mesh)
        for namespace in ("demo-frontend", "demo-backend"):
            tunnels.asks(step, namespace, DENIED)
        step.recorded(identity="invalid_identity", identityDetail="xfcc_mismatch", effect="deny")
        step.not_recorded(namespace="demo-backend")
    with report.step("without the annotation no header reaches customs, the client's own neither", mesh) as step:
        _enforce(mesh, "--identity-source=xfcc")
        patch = f'{{"spec": {{"template": {{"metadata": {{"annotations": {{"{ANNOTATION}": "false"}}}}}}}}}}'
        mesh.kubernetes.must("-n", "istio-egress", "patch", "deployment", "egress", "-p", patch)
        mesh.rollout("istio-egress", "egress")
        tunnels = Tunnels(mesh)
        tunnels.asks(step, "demo-frontend", DENIED, SPOOFED)
        tunnels.asks(step, "demo-backend", DENIED)
        step.recorded(identity="unauthenticated", effect="deny")
        step.not_recorded(namespace="demo-backend")


class Tunnels:
    """The tunnels from both namespaces to the waypoint that runs now."""

    def __init__(self, mesh):
        mesh.rollout("istio-egress", "egress")
        entries = "/apis/networking.istio.io/v1/namespaces/istio-egress/serviceentries/aliyuncom-ext"
        self.address = next(each["value"] for each in mesh.kubernetes.call("GET", entries)["status"]["addresses"])
        waypoint = next(pod for pod in reversed(mesh.pods("istio-egress")) if pod.envoy and pod.envoy.ready())
        names = ("demo-frontend", "demo-backend")
        self._tunnels = {name: Ztunnel(mesh, name, waypoint, f"{self.address}:80") for name in names}

    def asks(self, step, namespace, expected, headers=None):
        request = Request(URL, headers=headers or {})
        for _ in range(50):  # the tunnel's own start, and a change on its way
            answer = send(request, self._tunnels[namespace])
            if expected.holds(answer):
                break
            step.pause()
        step.note(f"$ {namespace}/sleep: {request}")
        step.note(f"  expected: {expected}")
        step.note(f"  answer:   {answer}")
        if not expected.holds(answer):
            raise StepFailed(f"expected {expected}")


def _enforce(mesh, *arguments):
    """deploy/istio/enforce with further arguments, as its mesh configuration closes on failure."""
    mesh.apply(ISTIO / "enforce")
    for argument in arguments:
        patch = f'[{{"op": "add", "path": "/spec/template/spec/containers/0/args/-", "value": "{argument}"}}]'
        mesh.kubernetes.must("-n", "customs-system", "patch", "deployment", "customs", "--type=json", "-p", patch)
    mesh.configure(ISTIO / "enforce" / "mesh-config.yaml")
    mesh.rollout("customs-system", "customs")
