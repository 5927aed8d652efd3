"""The shipped CUSTOM rule asks about every spelling of a host; a rule that is scoped to a host is bypassed.

Is: the same requests under both rules: with a port, in upper case, with a trailing dot, to another path.

Is not: a search for spellings; the tests of the engine have many more.
"""

from ..rig import SCENARIO
from ..steps import CLOSED, DENIED, SITE, Expect

SPELLINGS = ("www.aliyun.com", "www.aliyun.com:80", "www.aliyun.com:443", "WWW.ALIYUN.COM", "Www.Aliyun.Com:80")
DOT = "www.aliyun.com."
URL = "http://www.aliyun.com/"


def run(report, mesh):
    with report.step("the shipped rule, rules: [{}]: every spelling is asked about and denied", mesh) as step:
        mesh.base("enforce")
        for host in SPELLINGS:
            step.asks("demo-frontend", URL, DENIED, host=host)
        for path in ("/%2e%2e/", "//www.aliyun.com/", "/?http://other.example/"):
            step.asks("demo-frontend", URL.rstrip("/") + path, DENIED)
        step.expect("nothing reached the site", not mesh.site.visits)
    with report.step("a trailing dot: the gateway has no route, nobody is asked, nothing leaves", mesh) as step:
        step.asks("demo-frontend", URL, Expect(404), host=DOT)
        step.not_recorded()
    with report.step("a trailing dot with the catch-all: asked about, denied, recorded", mesh) as step:
        mesh.apply(SCENARIO / "7-catch-all.yaml")
        mesh.settle()
        step.asks("demo-frontend", URL, DENIED, host=DOT)
        step.recorded(namespace="demo-frontend", host="www.aliyun.com", reason="denied_by_rule")
    with report.step("the catch-all: an unregistered host is asked about and recorded, and does not leave", mesh) as step:
        step.asks("demo-backend", "http://unregistered.example/path", Expect(421), method="GET")
        step.recorded(namespace="demo-backend", host="unregistered.example", path="/path", effect="allow")
        step.expect("nothing reached the site", not mesh.site.visits)
    with report.step("the catch-all: on a port that no service has for HTTP, the connection is closed, without a record", mesh) as step:
        step.asks("demo-backend", "http://unregistered.example:8080/", CLOSED)
        step.asks("demo-backend", "https://unregistered.example/", CLOSED)
        step.not_recorded()
    with report.step("a rule that is scoped to a host: a port is enough to pass without being asked", mesh) as step:
        mesh.apply(mesh.root / "tests/mesh/setups/host-scoped.yaml")
        mesh.settle()
        step.asks("demo-frontend", URL, DENIED)
        step.recorded(namespace="demo-frontend", reason="denied_by_rule")
        for host in ("www.aliyun.com:80", "www.aliyun.com:443"):
            step.asks("demo-frontend", URL, SITE, host=host)
        for port in (80, 443):
            step.not_recorded(port=port)
    with report.step("Istio's own DENY for one spelling is passed in the same way; the scenario's is not", mesh) as step:
        mesh.delete("authorizationpolicy.security.istio.io", "customs", "istio-system")
        native = (SCENARIO / "8-native-deny.yaml").read_text(encoding="utf-8")
        mesh.apply(native.replace('        - "www.aliyun.com:*"\n', ""))
        mesh.settle()
        step.asks("demo-frontend", URL, Expect(403))
        step.asks("demo-frontend", URL, SITE, host="www.aliyun.com:80")
        mesh.apply(native)
        mesh.settle()
        step.asks("demo-frontend", URL, Expect(403), host="www.aliyun.com:80")
    with report.step("the shipped rule again, beside the DENY: customs answers first", mesh) as step:
        mesh.apply(mesh.root / "deploy/istio/gateway")
        mesh.settle()
        for host in SPELLINGS:
            step.asks("demo-frontend", URL, DENIED, host=host)
        step.asks("demo-backend", URL, SITE)
