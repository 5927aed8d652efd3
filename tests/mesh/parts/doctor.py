"""`customs doctor` on set-ups that are broken on purpose: it names each fault and nothing else, and says so of a good one.

Is: the shipped set-up, then one fault at a time, examined as an operator would: replicas, the gateway's Envoy, the mesh
configuration and the objects, while pods ask.

Is not: a test of each finding; crates/doctor has those.
"""

import contextlib
import copy
import json
import subprocess
import time

import yaml

from ..customs import customs_binary
from ..ports import LOOPBACK
from ..processes import wait_until
from ..rig import ISTIO, SCENARIO
from ..steps import DENIED, SITE, StepFailed

HTTP, HTTPS = "http://www.aliyun.com/", "https://www.aliyun.com/"
KINDS = "authorizationpolicies.security.istio.io,destinationrules.networking.istio.io,virtualservices.networking.istio.io,services,pods"
WATCH = 4  # seconds: the pods ask in the middle


def run(report, mesh):
    with report.step("the shipped trial is healthy", mesh) as step:
        mesh.base("trial")
        _examine(step, mesh, [])
    with report.step("the shipped set-up is healthy", mesh) as step:
        old = [replica.admin for replica in mesh.customs]
        mesh.base("enforce")
        wait_until("the replicas of the trial have ended", lambda: not any(replica.admin in old for replica in mesh.customs), 60)
        _examine(step, mesh, [])
    with report.step("the shipped set-up with wrapped TLS is healthy", mesh) as step, _applied(mesh, SCENARIO / "5-https-wrapped.yaml"):
        _examine(step, mesh, [], [HTTP, HTTPS])
    for number, (fault, code, setup, urls) in enumerate(SETUPS, 1):
        with report.step(f"{number}. {fault}: {code}", mesh) as step, setup(mesh):
            _examine(step, mesh, [code], urls)
    with report.step("a replica with other policies: revisions-differ", mesh) as step, _another(mesh) as admin:
        _examine(step, mesh, ["revisions-differ"], more=[admin])
    with report.step("a replica that is gone: replica-unreachable", mesh) as step:
        _examine(step, mesh, ["replica-unreachable"], more=[f"{LOOPBACK}:{mesh.ports.take()}"])
    with report.step("without the faults, the set-up is healthy again", mesh) as step:
        _examine(step, mesh, [])
    with report.step("what `customs mesh istio --host` prints leads the host through the gateway, and is healthy", mesh) as step:
        mesh.delete("serviceentry.networking.istio.io", "aliyuncom-ext", "istio-system")
        command = [str(customs_binary()), "mesh", "istio", "--host", "www.aliyun.com"]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        overlay, *objects = yaml.safe_load_all(printed)
        mesh.configure(overlay["spec"]["meshConfig"])
        mesh.apply(objects)
        mesh.settle()
        step.asks("demo-frontend", HTTP, DENIED)
        step.asks("demo-backend", HTTP, SITE)
        step.asks("demo-backend", HTTPS, SITE)
        step.recorded(protocol="tcp", namespace="demo-backend", host="www.aliyun.com", effect="allow")
        _examine(step, mesh, [], [HTTP, HTTPS])


# The faults. Each is a context in which the mesh has it.


@contextlib.contextmanager
def _provider(mesh, change):
    """The shipped provider with a change."""
    shipped = yaml.safe_load((ISTIO / "enforce" / "mesh-config.yaml").read_text(encoding="utf-8"))
    shipped = shipped["spec"]["meshConfig"]["extensionProviders"]
    providers = copy.deepcopy(shipped)
    change(providers[0]["envoyExtAuthzGrpc"])
    mesh.configure({"extensionProviders": providers})
    mesh.settle()
    try:
        yield
    finally:
        mesh.configure({"extensionProviders": shipped})
        mesh.settle()


def _grpc(**fields):
    """A fault of the provider; None removes a field."""

    def change(grpc):
        for name, value in fields.items():
            grpc.pop(name) if value is None else grpc.update({name: value})

    return lambda mesh: _provider(mesh, change)


@contextlib.contextmanager
def _changed_policy(mesh, change, name="customs"):
    """The shipped CUSTOM policy with a change."""
    text = (ISTIO / "gateway" / "authorization-policy.yaml").read_text(encoding="utf-8")
    policy = yaml.safe_load(text)
    policy["metadata"]["name"] = name
    change(policy["spec"])
    mesh.apply(policy)
    mesh.settle()
    try:
        yield
    finally:
        if name != "customs":
            mesh.delete("authorizationpolicy.security.istio.io", name, "istio-system")
        mesh.apply(text)
        mesh.settle()


def _policy(change):
    return lambda mesh: _changed_policy(mesh, change)


@contextlib.contextmanager
def _two_providers(mesh):
    with contextlib.ExitStack() as stack:
        shipped = mesh.istiod.mesh_config()["extensionProviders"]
        second = copy.deepcopy(shipped[0])
        second["name"] = "another"
        mesh.configure({"extensionProviders": [shipped[0], second]})
        stack.callback(mesh.configure, {"extensionProviders": shipped})
        stack.enter_context(_changed_policy(mesh, lambda spec: spec["provider"].update(name="another"), "another"))
        yield


@contextlib.contextmanager
def _applied(mesh, *what):
    """Further objects, which are deleted afterwards."""
    texts = [each if isinstance(each, str) else each.read_text(encoding="utf-8") for each in what]
    documents = [document for text in texts for document in yaml.safe_load_all(text)]
    mesh.apply(documents)
    mesh.settle()
    try:
        yield
    finally:
        for document in documents:
            kind = f"{document['kind']}.{document['apiVersion'].split('/')[0]}".lower()
            mesh.delete(kind, document["metadata"]["name"], document["metadata"]["namespace"])
        mesh.settle()


def _wrapped_without_sni(mesh):
    text = (SCENARIO / "5-https-wrapped.yaml").read_text(encoding="utf-8")
    text = text.replace("          sni: www.aliyun.com\n", "")
    documents = list(yaml.safe_load_all(text))
    for document in documents:
        if document["kind"] == "Gateway":
            document["spec"]["servers"][0]["hosts"] = ["*"]
    return _applied(mesh, yaml.safe_dump_all(documents))


def _passthrough(mesh):
    return _applied(mesh, mesh.root / "tests/mesh/setups/passthrough.yaml")


@contextlib.contextmanager
def _plain_text(mesh):
    text = (SCENARIO / "4-gateway.yaml").read_text(encoding="utf-8")
    documents = list(yaml.safe_load_all(text))
    for document in documents:
        if document["kind"] == "Gateway":
            server = document["spec"]["servers"][0]
            server["port"]["protocol"] = "HTTP"
            server.pop("tls")
        if document["kind"] == "DestinationRule":
            document["spec"]["subsets"][0]["trafficPolicy"]["tls"] = {"mode": "DISABLE"}
    mesh.apply(documents)
    mesh.settle()
    try:
        yield
    finally:
        mesh.apply(text)
        mesh.settle()


@contextlib.contextmanager
def _without_http2(mesh):
    def port(name, protocol):
        patch = [
            {"op": "replace", "path": "/spec/ports/0/name", "value": name},
            {"op": "add", "path": "/spec/ports/0/appProtocol", "value": protocol},
        ]
        mesh.kubernetes.must("-n", "customs-system", "patch", "service", "customs", "--type=json", "-p", json.dumps(patch))
        mesh.settle()

    port("checks", "tcp")
    try:
        yield
    finally:
        port("grpc", "grpc")


@contextlib.contextmanager
def _another(mesh):
    """Another replica, which has a policy of its own; its admin address."""
    folder = mesh.folder / "another-replica"
    folder.mkdir(exist_ok=True)
    (folder / "a.yaml").write_text(
        "apiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {name: a, namespace: demo-frontend}\n"
        "spec: {deny: [{name: b, hosts: [c.example]}]}\n",
        encoding="utf-8",
    )
    admin = f"{LOOPBACK}:{mesh.ports.take()}"
    listen = f"{LOOPBACK}:{mesh.ports.take()}"
    process = mesh.processes.start(
        "another-replica",
        [customs_binary(), "serve", f"--policies={folder}", f"--listen={listen}", f"--admin={admin}", "--audit=off"],
    )
    try:
        time.sleep(1)
        yield admin
    finally:
        process.end()


SETUPS = [
    ("no timeout", "timeout-missing", _grpc(timeout=None), [HTTP]),
    ("failOpen", "fail-open", _grpc(failOpen=True), [HTTP]),
    ("no statusOnError", "status-on-error-missing", _grpc(statusOnError=None), [HTTP]),
    ("a port that the service does not have", "provider-port-unknown", _grpc(port=9999), [HTTP]),
    ("a service that does not exist", "provider-service-unknown", _grpc(service="customs.nowhere.svc.cluster.local"), [HTTP]),
    ("a provider that istiod does not know", "provider-unknown", _policy(lambda spec: spec["provider"].update(name="custom")), [HTTP]),
    ("two providers", "several-providers", _two_providers, [HTTP]),
    (
        "a rule for one host",
        "custom-rule-narrow",
        _policy(lambda spec: spec.update(rules=[{"to": [{"operation": {"hosts": ["www.aliyun.com"]}}]}])),
        [HTTP, "http://www.aliyun.com:80/"],
    ),
    (
        "a selector that fits no gateway",
        "gateway-not-selected",
        _policy(lambda spec: spec["selector"].update(matchLabels={"istio": "egress-gateway"})),
        [HTTP],
    ),
    ("a port without HTTP/2", "http2-missing", _without_http2, [HTTP]),
    ("TLS that is wrapped without sni", "sni-missing", _wrapped_without_sni, [HTTP, HTTPS]),
    ("TLS that is passed through", "no-principal-passthrough", _passthrough, [HTTP, HTTPS]),
    ("a gateway in plain text", "no-principal-plaintext", _plain_text, [HTTP]),
]


def _examine(step, mesh, expected, urls=(HTTP,), more=()):
    """Runs the doctor while the pods ask; its errors and warnings must be exactly these."""
    folder = mesh.folder
    config, objects = folder / "doctor.mesh.yaml", folder / "doctor.objects.yaml"
    configmap = ("-n", "istio-system", "get", "configmap", "istio", "-o", "yaml")
    config.write_text(mesh.kubernetes.must(*configmap), encoding="utf-8")
    objects.write_text(mesh.kubernetes.must("get", KINDS, "-A", "-o", "yaml"), encoding="utf-8")
    replicas = [replica.admin for replica in mesh.customs]
    command = [
        customs_binary(), "doctor", "--format", "json", "--watch", f"{WATCH}s",
        "--admin", ",".join([*replicas, *more]), "--envoy", f"http://{mesh.gateway.admin}",
        "--mesh-config", config, "--objects", objects,
    ]  # fmt: skip
    step.note(f"$ customs doctor --watch {WATCH}s --admin .. --envoy .. --mesh-config .. --objects ..")
    with subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as doctor:
        time.sleep(WATCH / 4)
        for namespace in ("demo-frontend", "demo-backend"):
            for url in urls:
                mesh.ask(namespace, url)
        out, err = doctor.communicate(timeout=120)
    if doctor.returncode not in (0, 1):
        raise StepFailed(f"the doctor gave no answer: {err}")
    diagnosis = json.loads(out)
    for finding in diagnosis["findings"]:
        step.note(f"  {finding['severity']}: {finding['code']}: {finding['subject']}")
        for seen in [*finding["evidence"], *finding.get("consequences", [])]:
            step.note(f"    {seen}")
    found = {finding["code"] for finding in diagnosis["findings"] if finding["severity"] != "note"}
    step.expect(f"it finds {', '.join(expected) or 'nothing'}, and nothing else", found == set(expected))
    step.expect(f"its exit code is {int(bool(expected))}", doctor.returncode == int(bool(expected)))
