"""Starts what `make dashboard` watches: three replicas of customs, two gateways that ask them, and a Prometheus.

It generates no load and asks nothing. Everything is on loopback, on free ports, and ends with the rig.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCAL = ROOT / "deploy" / "local"
REPLICAS = ["customs-a", "customs-b", "customs-c"]
SCRAPE_SECONDS = 2

CALLERS = {"demo-frontend": "sleep", "shop": "cart", "payments": "billing", "search": "crawler", "lab": "notebook"}
GATEWAY_ID = "spiffe://cluster.local/ns/istio-system/sa/istio-egressgateway-service-account"
CUSTOMS_ID = "spiffe://cluster.local/ns/customs-system/sa/customs"

# What istio-proxy's bootstrap sets, as far as it matters for the names of these counters, and the annotation that
# docs/how-to/monitor.md asks for.
STATS = {
    "use_all_default_tags": False,
    "stats_tags": [
        {"tag_name": "cluster_name", "regex": r"^cluster(\.(.+);)"},
        {"tag_name": "http_conn_manager_prefix",
         "regex": r"^http\.(((?:[_.[:digit:]\w]*|[_\[\]aAbBcCdDeEfF[:digit:]\w\:]*));\.)"},
    ],
    "stats_matcher": {"inclusion_list": {"patterns": [{"safe_regex": {"regex": ".*ext_authz.*"}}]}},
}


class RigError(Exception):
    """Something that the rig needs does not start or does not answer."""


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def fetch(url, data=None, headers=None, timeout=10):
    request = urllib.request.Request(url, data=data, headers=headers or {})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return answer.read().decode()


def tool(name):
    said = subprocess.run([LOCAL / "install-tools", name], check=True, stdout=subprocess.PIPE, text=True).stdout
    print(said, end="", flush=True)
    return re.search(rf"{name}: (\S+)", said)[1]


class Rig:
    """The processes and their addresses. Use it in a `with` statement."""

    def __init__(self, customs, scratch, yaml):
        self.customs, self.scratch, self.yaml = customs, Path(scratch), yaml
        self.processes = {}
        self.ports = {name: {"checks": free_port(), "admin": free_port(), "tail": free_port()} for name in REPLICAS}
        self.gateway = {name: free_port() for name in ("mesh", "plaintext", "tls", "admin", "origin")}
        self.trial = {name: free_port() for name in ("mesh", "plaintext", "tls", "admin", "origin")}
        self.prometheus = free_port()
        self.nobody = free_port()  # where nothing listens

    def __enter__(self):
        try:
            self.make_certificates()
            for name in REPLICAS:
                self.start_replica(name)
            self.start_gateway("egress", self.gateway, [ports["checks"] for ports in self.ports.values()])
            self.start_gateway("egress-trial", self.trial, [self.nobody], trial=True)
            self.start_prometheus()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def start(self, name, command, url, folder=None, variables=None):
        environment = {key: value for key, value in os.environ.items() if not key.startswith(("CUSTOMS_", "OTEL_"))} | (variables or {})
        with open(self.scratch / f"{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder or self.scratch)
        deadline = time.monotonic() + 60
        while True:
            try:
                return fetch(url, timeout=2)
            except OSError as trouble:
                if self.processes[name].poll() is not None or time.monotonic() > deadline:
                    log = (self.scratch / f"{name}.log").read_text(errors="replace")[-3000:]
                    raise RigError(f"{name} does not start ({trouble}):\n{log}") from trouble
                time.sleep(0.1)

    # ---- certificates ---------------------------------------------------------------------------------------------------

    def make_certificates(self):
        """One authority for the mesh, and a certificate with a SPIFFE id for each workload."""
        self.certificates = self.scratch / "certificates"
        self.certificates.mkdir()
        self.openssl("req", "-x509", *self.key("mesh-ca"), "-out", "mesh-ca.pem", "-days", "30", "-subj", "/O=cluster.local",
                     "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.certify("egress-gateway", GATEWAY_ID)
        self.certify("customs", CUSTOMS_ID)
        for namespace, account in CALLERS.items():
            self.certify(namespace, f"spiffe://cluster.local/ns/{namespace}/sa/{account}")

    def key(self, name):
        return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]

    def certify(self, name, spiffe_id, days=2):
        self.openssl("req", "-new", *self.key(name), "-out", f"{name}.csr", "-subj", "/", "-addext", f"subjectAltName=critical,URI:{spiffe_id}")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "mesh-ca.pem", "-CAkey", "mesh-ca.key", "-CAcreateserial",
                     "-copy_extensions", "copy", "-days", str(days), "-out", f"{name}.pem")

    def openssl(self, *arguments):
        done = subprocess.run(["openssl", *arguments], cwd=self.certificates, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RigError(f"openssl {arguments[0]} fails: {done.stderr}")

    # ---- customs --------------------------------------------------------------------------------------------------------

    def folder(self, name):
        return self.scratch / name / "policies"

    def start_replica(self, name):
        """Each replica has its own copy of the policies, as each pod has, so they can differ."""
        home, ports = self.scratch / name, self.ports[name]
        self.folder(name).mkdir(parents=True)
        shutil.copytree(self.certificates, home / "tls")
        for file, text in POLICIES.items():
            (self.folder(name) / file).write_text(text, encoding="utf-8")
        audit = ["file:audit.jsonl"]
        if name == REPLICAS[0]:
            audit.append(f"tail:127.0.0.1:{ports['tail']}")
        # The collector of one replica is away. Its queues are small, so that they overflow while somebody watches.
        variables = {}
        if name == REPLICAS[1]:
            variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.nobody}", "OTEL_BSP_MAX_QUEUE_SIZE": "128",
                         "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "64", "OTEL_EXPORTER_OTLP_TIMEOUT": "1000"}
            audit.append(f"otlp:http://127.0.0.1:{self.nobody}?on_full=drop")
        settings = {
            "policies": ["policies"], "listen": [f"127.0.0.1:{ports['checks']}"], "admin": f"127.0.0.1:{ports['admin']}",
            "audit": audit, "audit_log": {"queue_records": 512}, "reload_settle": "100ms", "reload_rescan": "2s", "threads": 1,
            "tls": {"certificate": str(home / "tls/customs.pem"), "private_key": str(home / "tls/customs.key"),
                    "client_ca": str(home / "tls/mesh-ca.pem"), "client_ids": [GATEWAY_ID]},
        }
        (home / "settings.yaml").write_text(self.yaml.safe_dump(settings), encoding="utf-8")
        self.start(name, [self.customs, "serve", "--config", "settings.yaml"], f"http://127.0.0.1:{ports['admin']}/readyz", home, variables)

    def write_policy(self, name, file, text):
        """Writes beside and renames, as a careful writer does."""
        target = self.folder(name) / file
        beside = target.with_suffix(".new")
        beside.write_text(text, encoding="utf-8")
        beside.rename(target)

    # ---- gateways -------------------------------------------------------------------------------------------------------

    def start_gateway(self, name, ports, customs, trial=False):
        """The gateway of deploy/local, with replicas behind it. `trial`: a provider with failOpen, and a CUSTOM policy that asks
        about one path only."""
        words = {
            "ADMIN_PORT": ports["admin"], "GATEWAY_PORT": ports["mesh"], "GATEWAY_PLAINTEXT_PORT": ports["plaintext"],
            "GATEWAY_TLS_PORT": ports["tls"], "CERTS": self.certificates, "ACCESS_LOG": self.scratch / f"{name}.access.log",
            "GATEWAY_DOMAINS": '["*"]', "CUSTOMS_PORT": customs[0], "ORIGIN_PORT": ports["origin"], "ORIGIN_TLS_PORT": ports["origin"],
        }
        transport = (LOCAL / "customs-tls.yaml").read_text(encoding="utf-8")
        transport = "\n".join(line for line in transport.splitlines() if not line.lstrip().startswith("#")).replace("\n", "\n    ")
        text = (LOCAL / "egress-gateway.yaml").read_text(encoding="utf-8").replace("${CUSTOMS_TRANSPORT_SOCKET}", transport)
        for word, value in words.items():
            text = text.replace(f"${{{word}}}", str(value))
        config = json.loads(json.dumps(self.yaml.safe_load(text)))  # without the aliases, so that one place can change alone
        config["stats_config"] = STATS
        resources = config["static_resources"]
        resources["clusters"][0]["load_assignment"]["endpoints"] = [{"lb_endpoints": [
            {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}} for port in customs]}]
        resources["listeners"].append(origin(ports["origin"]))
        if trial:
            for listener in resources["listeners"][:2]:
                filters = listener["filter_chains"][0]["filters"][0]["typed_config"]["http_filters"]
                filters[0]["typed_config"]["shadow_rules"]["policies"].popitem()
                filters[0]["typed_config"]["shadow_rules"]["policies"]["istio-ext-authz-customs-ns[istio-system]-policy[customs]-rule[0]"] = {
                    "permissions": [{"url_path": {"path": {"prefix": "/asked"}}}], "principals": [{"any": True}]}
                filters[1]["typed_config"]["failure_mode_allow"] = True
        path = self.scratch / f"{name}.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        self.start(name, [tool("envoy"), "--config-path", path, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"],
                   f"http://127.0.0.1:{ports['admin']}/ready")

    # ---- Prometheus -----------------------------------------------------------------------------------------------------

    def start_prometheus(self):
        """Labels as the Prometheus operator sets them, so that `namespace` is taken."""
        def target(port, namespace, pod):
            return {"targets": [f"127.0.0.1:{port}"], "labels": {"namespace": namespace, "pod": pod}}

        config = {
            "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": "5s"},
            "rule_files": [str(ROOT / "deploy/monitoring/alerts.yaml")],
            "scrape_configs": [
                {"job_name": "customs", "static_configs": [target(self.ports[name]["admin"], "customs-system", name) for name in REPLICAS]},
                {"job_name": "egress-gateway", "metrics_path": "/stats/prometheus", "static_configs": [
                    target(self.gateway["admin"], "istio-system", "egress"), target(self.trial["admin"], "istio-system", "egress-trial")]},
            ],
        }
        path = self.scratch / "prometheus.yaml"
        path.write_text(self.yaml.safe_dump(config), encoding="utf-8")
        self.start("prometheus", [
            tool("prometheus"), f"--config.file={path}", f"--storage.tsdb.path={self.scratch}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.prometheus}", "--enable-feature=exemplar-storage", "--log.level=warn",
        ], f"http://127.0.0.1:{self.prometheus}/-/ready")


def origin(port):
    """A site outside the mesh, as a listener of the gateway itself."""
    route = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok\n"}}}
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "origin", "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "envoy.filters.http.router",
                          "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
    }
    return {
        "name": "origin", "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}],
    }


def expires(days):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + days * 86400))


def policy(name, namespace, spec):
    return f"---\napiVersion: egress.customs/v1alpha1\nkind: EgressPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"


# A namespace that is isolated by an allow list, one with a deny, one with a dry run of each kind, and grants that expire.
POLICIES = {
    "frontend.yaml": policy("no-aliyun", "demo-frontend", '{deny: [{name: aliyun, hosts: ["www.aliyun.com"], reason: "use the partner gateway"}]}'),
    "shop.yaml": policy("partners", "shop", f'{{allow: [{{name: psp, hosts: ["api.psp.example"], expires: "{expires(2.5)}"}}, '
                                            f'{{name: parcels, hosts: ["*.parcels.example"], expires: "{expires(40)}"}}]}}'),
    "payments.yaml": policy("trial-deny", "payments", '{mode: Report, deny: [{name: files, hosts: ["files.example"], reason: "trial"}]}'),
    "lab.yaml": policy("nothing", "lab", f'{{allow: [{{name: mirror, hosts: ["mirror.example"], expires: "{expires(9)}"}}, '
                                         f'{{name: old, hosts: ["old.example"], expires: "{expires(300)}"}}]}}')
                + policy("trial-allow", "lab", '{mode: Report, allow: [{name: pypi, hosts: ["pypi.example"]}]}'),
}
NEVER_GOOD = policy("partners", "shop", '{allow: [{name: psp, hosts: ["api.psp.example:x"]}]}')

if __name__ == "__main__":
    sys.exit("run tests/monitoring/run")
