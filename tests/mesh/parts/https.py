"""HTTPS in every way: wrapped with and without `sni:`, passed through, opened by the gateway.

Is: what each way tells customs about the caller and the host, and what the client sees.

Is not: the scenario's own order of files; parts/scenario.py has that.
"""

import yaml

from ..rig import SCENARIO
from ..steps import CLOSED, DENIED, SITE

URL = "https://www.aliyun.com/"
HERE = {"protocol": "tcp"}


def run(report, mesh):
    with report.step("customs enforces over HTTP", mesh) as step:
        mesh.base("enforce")
        step.asks("demo-frontend", "http://www.aliyun.com/", DENIED)
        step.asks("demo-backend", "http://www.aliyun.com/", SITE)
    with report.step("wrapped with sni: customs knows the caller and the host", mesh) as step:
        mesh.apply(SCENARIO / "5-https-wrapped.yaml")
        mesh.settle()
        step.asks("demo-backend", URL, SITE)
        step.recorded(**HERE, namespace="demo-backend", host="www.aliyun.com", effect="allow")
        step.expect("the site saw the application's own TLS", mesh.site.visits[-1].sni == "www.aliyun.com")
        step.asks("demo-frontend", URL, CLOSED)
        step.recorded(**HERE, namespace="demo-frontend", host="www.aliyun.com", reason="denied_by_rule")
    with report.step("an SNI that no server of the Gateway names is closed, and nobody is asked", mesh) as step:
        step.asks("demo-backend", "https://other.example/", CLOSED)
        step.not_recorded()
    with report.step("wrapped without sni: no connection, and nobody is asked", mesh) as step:
        _change_wrapped(mesh, sni=None, hosts=["www.aliyun.com"])
        step.asks("demo-backend", URL, CLOSED)
        step.asks("demo-frontend", URL, CLOSED)
        step.not_recorded()
    with report.step("wrapped without sni, a Gateway for every host: every deny for a host applies", mesh) as step:
        _change_wrapped(mesh, sni=None, hosts=["*"])
        step.asks("demo-frontend", URL, CLOSED)
        record = step.recorded(**HERE, namespace="demo-frontend", effect="deny")
        step.note(f"  host {record.get('host')}, raw host {record.get('rawHost')}")
        step.expect("the record does not name the site", record.get("host") != "www.aliyun.com")
    with report.step("passed through: the host, no caller, so a deny for any caller applies", mesh) as step:
        mesh.delete("destinationrule.networking.istio.io", "egress-gateway-www-aliyun-com", "istio-system")
        mesh.apply(mesh.root / "tests/mesh/setups/passthrough.yaml")
        mesh.settle()
        for namespace in ("demo-frontend", "demo-backend"):
            step.asks(namespace, URL, CLOSED)
        record = step.recorded(**HERE, host="www.aliyun.com", effect="deny")
        step.expect("the record has no namespace", record.get("namespace") is None)
    with report.step("opened by the gateway: customs knows method and path, the site sees TLS", mesh) as step:
        mesh.apply(SCENARIO / "6-https-originated.yaml")
        mesh.settle()
        step.asks("demo-frontend", "http://www.alibabacloud.com/en?a=b", SITE, method="GET")
        step.recorded(namespace="demo-frontend", host="www.alibabacloud.com", method="GET", path="/en")
        visit = mesh.site.visits[-1]
        step.expect("the site saw TLS with its name", visit.tls and visit.sni == "www.alibabacloud.com")


def _change_wrapped(mesh, sni, hosts):
    """Applies 5-https-wrapped.yaml with another `sni` and other hosts of the Gateway."""
    documents = list(yaml.safe_load_all((SCENARIO / "5-https-wrapped.yaml").read_text(encoding="utf-8")))
    for document in documents:
        if document["kind"] == "Gateway":
            document["spec"]["servers"][0]["hosts"] = hosts
        if document["kind"] == "DestinationRule":
            tls = document["spec"]["subsets"][0]["trafficPolicy"]["portLevelSettings"][0]["tls"]
            tls.pop("sni")
            tls.update({"sni": sni} if sni else {})
    mesh.apply(documents)
    mesh.settle()
