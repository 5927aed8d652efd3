"""The Envoy of a pod: a sidecar, the egress gateway, or a waypoint.

Is: upstream's Envoy with a bootstrap that asks istiod for everything else, with the node id and the metadata that istio-agent
sends.

Is not: Istio's build of Envoy; messages.py says which filters are missing.
"""

import http.client
import json

from .modules import envoy_binary
from .places import ANY, SIDECAR
from .ports import LOOPBACK


class Envoy:
    """One running Envoy."""

    def __init__(self, mesh, pod, kind):
        self.pod, self._places = pod, mesh.places
        self._address = SIDECAR + ANY if kind == "sidecar" else ANY
        self.admin_port = mesh.ports.take()
        path = mesh.processes.folder / f"{pod.namespace}.{pod.name}.json"
        path.write_text(json.dumps(self._bootstrap(mesh.discovery.port, kind), indent=1), encoding="utf-8")
        self.process = mesh.processes.start(f"{pod.namespace}.{pod.name}.envoy", [
            envoy_binary(), "--config-path", path, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning",
            "--drain-time-s", "0", "--parent-shutdown-time-s", "1",
        ])  # fmt: skip

    @property
    def admin(self):
        """The address of the admin interface, as HOST:PORT."""
        return f"{LOOPBACK}:{self.admin_port}"

    def _bootstrap(self, discovery_port, kind):
        pod = self.pod
        here = {"address": {"socket_address": {"address": LOOPBACK, "port_value": discovery_port}}}
        http2 = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": {"http2_protocol_options": {}},
        }}  # fmt: skip

        def cluster(name):
            endpoints = [{"lb_endpoints": [{"endpoint": here}]}]
            assignment = {"cluster_name": name, "endpoints": endpoints}
            return {"name": name, "type": "STATIC", "load_assignment": assignment, "typed_extension_protocol_options": http2}

        over_ads = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
        service = {"envoy_grpc": {"cluster_name": "xds-grpc"}}
        return {
            "node": {
                "id": f"{kind}~{pod.ip}~{pod.name}.{pod.namespace}~{pod.namespace}.svc.cluster.local",
                "cluster": f"{pod.labels.get('app', pod.name)}.{pod.namespace}",
                "metadata": {
                    "NAME": pod.name, "NAMESPACE": pod.namespace, "SERVICE_ACCOUNT": pod.service_account,
                    "LABELS": pod.labels, "INSTANCE_IPS": pod.ip, "CLUSTER_ID": "Kubernetes", "MESH_ID": "cluster.local",
                    "ANNOTATIONS": pod.annotations, "ISTIO_VERSION": "1.31.0", "PROXY_CONFIG": {}, "WORKLOAD_NAME": pod.labels.get("app", pod.name),
                },
            },
            # A waypoint hands what it takes out of a tunnel to listeners inside of itself.
            "bootstrap_extensions": [{
                "name": "envoy.bootstrap.internal_listener",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener"},
            }],
            "admin": {"address": {"socket_address": {"address": LOOPBACK, "port_value": self.admin_port}}},
            "dynamic_resources": {
                "lds_config": over_ads,
                "cds_config": over_ads,
                "ads_config": {
                    "api_type": "GRPC", "transport_api_version": "V3", "set_node_on_first_message_only": True,
                    "grpc_services": [service],
                },
            },
            "static_resources": {"clusters": [cluster("xds-grpc"), cluster("sds-grpc")]},
            "layered_runtime": {"layers": [{"name": "test", "static_layer": {"re2.max_program_size.error_level": 32768}}]},
        }  # fmt: skip

    def get(self, path):
        """What the admin interface answers."""
        connection = http.client.HTTPConnection(LOOPBACK, self.admin_port, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def ready(self):
        try:
            return self.process.running() and self.get("/ready")[0] == 200
        except OSError:
            return False

    def config_dump(self):
        """Everything that this Envoy holds, as JSON."""
        return json.loads(self.get("/config_dump?include_eds")[1])

    def stats(self, regex):
        """Counters and gauges whose names match, as a dict of numbers."""
        lines = self.get(f"/stats?usedonly&filter={regex}")[1].splitlines()
        pairs = (line.rsplit(": ", 1) for line in lines if ": " in line)
        return {name: int(value) for name, value in pairs if value.isdigit()}

    def listener_port(self, port):
        """The local port at which a client in this pod finds `port`: that of a listener, or of the one that takes the rest."""
        listening = {local for local in self._listening()}
        for listener in (port, 15001):
            local = self._places.pod_port(self.pod.ip, listener, self._address)
            if local in listening:
                return local
        return self._places.pod_port(self.pod.ip, port, self._address)

    def _listening(self):
        statuses = json.loads(self.get("/listeners?format=json")[1]).get("listener_statuses", [])
        return [status["local_address"]["socket_address"]["port_value"] for status in statuses]

    def listener(self, port):
        """The configuration of the listener for `port` of this pod, or None."""
        name = f"{ANY}_{port}"
        for part in self.config_dump()["configs"]:
            for listener in part.get("dynamic_listeners", []):
                if listener["name"] == name and "active_state" in listener:
                    return listener["active_state"]["listener"]
        return None

    def filters(self, port):
        """The filters of that listener, those of HTTP connection managers included."""
        found = []
        for chain in (self.listener(port) or {}).get("filter_chains", []):
            for each in chain["filters"]:
                found += [each, *each.get("typed_config", {}).get("http_filters", [])]
        return found
