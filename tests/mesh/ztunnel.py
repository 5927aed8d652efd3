"""Carries a pod's traffic to a waypoint, as ztunnel on its node does.

Is: an Envoy with a listener that puts each connection into an HTTP/2 CONNECT (HBONE) over mutual TLS, with the pod's own
certificate, to the address that istiod gave the ServiceEntry.

Is not: ztunnel. It knows one destination, and what it does not know goes nowhere.
"""

import json

from .modules import envoy_binary
from .ports import LOOPBACK

TYPE = "type.googleapis.com/envoy.extensions"


class Ztunnel:
    """The tunnel of one namespace's pods to one address; `listener_port` is where they find it."""

    def __init__(self, mesh, namespace, waypoint, address):
        self._port = mesh.ports.take()
        uri = f"spiffe://cluster.local/ns/{namespace}/sa/sleep"
        chain, key = mesh.authority.issue(f"{namespace}.ztunnel", identities=[uri])
        path = mesh.folder / f"{namespace}.ztunnel.json"
        config = _config(self._port, mesh.places.pod_port(waypoint.ip, 15008), address, chain, key, mesh.authority.root)
        path.write_text(json.dumps(config), encoding="utf-8")
        self.process = mesh.processes.start(f"{namespace}.ztunnel", [
            envoy_binary(), "-c", path, "--use-dynamic-base-id", "--concurrency", "1", "--log-level", "warning",
        ])  # fmt: skip

    def listener_port(self, _port):
        return self._port


def _config(port, waypoint, address, chain, key, root):
    at = lambda number: {"socket_address": {"address": LOOPBACK, "port_value": number}}
    proxy = {
        "@type": f"{TYPE}.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "hbone",
        "cluster": "waypoint",
        "tunneling_config": {"hostname": address},
    }
    tls = {
        "@type": f"{TYPE}.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2"],
            # A waypoint takes nothing older; Envoy's clients stop at 1.2 by themselves.
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [{"certificate_chain": {"filename": str(chain)}, "private_key": {"filename": str(key)}}],
            "validation_context": {"trusted_ca": {"filename": str(root)}},
        },
    }
    http2 = {
        "@type": f"{TYPE}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {"allow_connect": True}},
    }
    cluster = {
        "name": "waypoint",
        "type": "STATIC",
        "typed_extension_protocol_options": {f"{TYPE.split('/')[1]}.upstreams.http.v3.HttpProtocolOptions": http2},
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
        "load_assignment": {"cluster_name": "waypoint", "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(waypoint)}}]}]},
    }
    chain = {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}
    listener = {"name": "pod", "address": at(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}
