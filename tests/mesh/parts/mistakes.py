"""Mistakes with the provider, and what the client sees: an unknown name, a wrong service or port, no timeout, two providers.

Is: each mistake alone, on a set-up that was right, and what istiod made of it in the gateway.

Is not: a remedy; `customs doctor` names them.
"""

import copy

import yaml

from ..kubernetes import KubernetesError
from ..rig import ISTIO
from ..steps import DENIED, SITE, Expect

URL = "http://www.aliyun.com/"
BAD = "-deny-due-to-bad-CUSTOM-action"
REFUSED, BROKEN = Expect(403), Expect(503)


def run(report, mesh):
    with report.step("no mistake: demo-frontend is denied, demo-backend is not", mesh) as step:
        mesh.base("enforce")
        step.asks("demo-frontend", URL, DENIED)
        step.asks("demo-backend", URL, SITE)
    for name, change in {
        "the policy names a provider that istiod does not know": lambda p: p.update(name="custom"),
        "the provider's service does not exist": lambda p: p["envoyExtAuthzGrpc"].update(service="customs.nowhere.svc.cluster.local"),
    }.items():
        with report.step(f"{name}: 403 for everyone, customs is not asked", mesh) as step:
            _provider(mesh, change)
            step.asks("demo-backend", URL, REFUSED)
            step.not_recorded()
            step.expect(f"the gateway holds {BAD}", BAD in str(mesh.gateway.filters(8080)))
    with report.step("the provider's port is not one of the service: 503 in enforce", mesh) as step:
        _provider(mesh, lambda p: p["envoyExtAuthzGrpc"].update(port=9999))
        step.asks("demo-backend", URL, BROKEN)
        step.not_recorded()
    with report.step("the same with failOpen: everyone passes, nobody is asked", mesh) as step:
        _provider(mesh, lambda p: p["envoyExtAuthzGrpc"].update(port=9999, failOpen=True))
        step.asks("demo-frontend", URL, SITE)
        step.not_recorded()
    with report.step("no timeout: Istio's 600 s; the client of a hung customs waits", mesh) as step:
        _provider(mesh, lambda p: p["envoyExtAuthzGrpc"].pop("timeout"))
        step.asks("demo-frontend", URL, DENIED)
        filters = [f["typed_config"] for f in mesh.gateway.filters(8080) if f["name"] == "envoy.filters.http.ext_authz"]
        step.expect("the gateway holds a timeout of 600 s", filters[0]["grpc_service"]["timeout"] == "600s")
        replicas = mesh.customs
        for replica in replicas:
            replica.process.pause()
        try:
            command = f"kubectl -n demo-backend exec deploy/sleep -- curl -sI --max-time 3 {URL}"
            result = step.do(command, mesh.run, command)
            step.expect("curl gave up after its own 3 s (code 28)", "exit code 28" in result.err)
        finally:
            for replica in replicas:
                replica.process.resume()
    with report.step("no statusOnError: an outage looks like a decision (403)", mesh) as step:
        _provider(mesh, lambda p: p["envoyExtAuthzGrpc"].pop("statusOnError"))
        mesh.kubernetes.must("-n", "customs-system", "scale", "deployment/customs", "--replicas=0")
        step.asks("demo-backend", URL, REFUSED)
        mesh.kubernetes.must("-n", "customs-system", "scale", "deployment/customs", "--replicas=2")
        mesh.rollout("customs-system", "customs")
    with report.step("two providers at one gateway: 403 for everyone", mesh) as step:
        second = copy.deepcopy(_shipped())
        second["name"] = "another"
        mesh.istiod.configure({"extensionProviders": [_shipped(), second]})
        policy = yaml.safe_load((ISTIO / "gateway" / "authorization-policy.yaml").read_text(encoding="utf-8"))
        policy["metadata"]["name"], policy["spec"]["provider"]["name"] = "another", "another"
        mesh.apply(policy)
        mesh.settle()
        step.asks("demo-backend", URL, REFUSED)
        step.not_recorded()
        mesh.delete("authorizationpolicy.security.istio.io", "another", "istio-system")
    with report.step("the webhook refuses CUSTOM by namespace, as a dry run, and without rules", mesh) as step:
        for what, change in {
            "namespaces": lambda p: p["spec"].update(rules=[{"from": [{"source": {"namespaces": ["demo-frontend"]}}]}]),
            "dry-run": lambda p: p["metadata"].update(annotations={"istio.io/dry-run": "true"}),
            "no rules": lambda p: p["spec"].pop("rules"),
        }.items():
            policy = yaml.safe_load((ISTIO / "gateway" / "authorization-policy.yaml").read_text(encoding="utf-8"))
            policy["metadata"]["name"] = "mistake"
            change(policy)
            try:
                mesh.apply(policy)
                step.expect(f"{what}: refused", False)
            except KubernetesError as error:
                step.note(f"  {what}: {str(error)[-200:]}")
                step.expect(f"{what}: the webhook refused it", "denied the request" in str(error))
    with report.step("without the mistakes: as at the beginning", mesh) as step:
        _provider(mesh, lambda p: None)
        step.asks("demo-frontend", URL, DENIED)
        step.asks("demo-backend", URL, SITE)


def _shipped():
    overlay = yaml.safe_load((ISTIO / "enforce" / "mesh-config.yaml").read_text(encoding="utf-8"))
    return overlay["spec"]["meshConfig"]["extensionProviders"][0]


def _provider(mesh, change):
    """Registers the shipped provider with a change."""
    provider = copy.deepcopy(_shipped())
    change(provider)
    mesh.configure({"extensionProviders": [provider]})
    mesh.settle()
