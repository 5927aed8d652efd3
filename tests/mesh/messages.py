"""Opens what istiod sends, and puts its addresses in their places.

Is: the translation of one xDS resource for Envoys on one machine. Addresses of endpoints and listeners go to ports of
127.0.0.1, and sockets in a volume to that volume's directory; filters whose type is not in Envoy's public API are left out, because only Istio's own build of Envoy has them
(`istio.metadata_exchange`, `istio.alpn`, `istio.stats`), and the kind of string that only it knows becomes upstream's. Everything else stays as istiod wrote it.

Is not: a proxy; see ads.py.
"""

import importlib
import pathlib
from collections import Counter

import envoy
from google.protobuf import symbol_database
from google.protobuf.descriptor import FieldDescriptor

from .places import SIDECAR

PREFIX = "type.googleapis.com/"
ANY = "google.protobuf.Any"
SOCKET_ADDRESS = "envoy.config.core.v3.SocketAddress"
FILTER_STATE_VALUE = "envoy.extensions.filters.common.set_filter_state.v3.FilterStateValue"
PIPE = "envoy.config.core.v3.Pipe"
LISTENER = PREFIX + "envoy.config.listener.v3.Listener"
SYMBOLS = symbol_database.Default()
_loaded = set()


def message_class(type_url):
    """Returns the class of a message of Envoy's API, or None if the API has no such message."""
    name = type_url.rsplit("/", 1)[-1]
    package = name.rsplit(".", 1)[0]
    if package not in _loaded and package.startswith("envoy."):
        _loaded.add(package)
        for base in map(pathlib.Path, envoy.__path__):
            for file in base.joinpath(*package.split(".")[1:]).glob("*_pb2.py"):
                importlib.import_module(f"{package}.{file.stem}")
    try:
        return SYMBOLS.GetSymbol(name)
    except KeyError:
        return None


class Translator:
    """Translates for one node; `left_out` counts the filters that were left out."""

    def __init__(self, places, node_id):
        kind, self.pod = node_id.split("~")[:2]
        self.places, self.left_out = places, Counter()
        self._side = SIDECAR if kind == "sidecar" else ""

    def resource(self, any_message):
        """Translates the resource inside an Any, in place."""
        cls = message_class(any_message.type_url)
        if cls is None:
            return
        message = cls.FromString(any_message.value)
        if any_message.type_url == LISTENER:
            self._listener(message)
        self._walk(message)
        any_message.value = message.SerializeToString(deterministic=True)

    def _listener(self, listener):
        if listener.address.WhichOneof("address") == "socket_address":
            self._place_listener(listener.address.socket_address)
            # Without iptables nothing is redirected to the one listener that would bind.
            if listener.HasField("bind_to_port"):
                listener.bind_to_port.value = True
        del listener.additional_addresses[:]

    def _place_listener(self, address):
        address.port_value = self.places.pod_port(self.pod, address.port_value, self._side + address.address)
        address.address = "127.0.0.1"

    def _walk(self, message):
        name = message.DESCRIPTOR.full_name
        if name == ANY:
            self.resource(message)
        elif name == SOCKET_ADDRESS:
            place = self.places.of_endpoint(message.address, message.port_value)
            if place:
                message.address, message.port_value = place
        elif name == PIPE:
            message.path = self.places.path(self.pod, message.path)
        else:
            for field, value in message.ListFields():
                if field.type == FieldDescriptor.TYPE_MESSAGE:
                    self._walk_field(field, value)

        if name == FILTER_STATE_VALUE and message.factory_key == "istio.hashable_string":
            message.factory_key = "envoy.hashable_string"

    def _walk_field(self, field, value):
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].type == FieldDescriptor.TYPE_MESSAGE:
                for item in value.values():
                    self._walk(item)
        elif field.is_repeated:
            self._leave_out_foreign(value)
            for item in value:
                self._walk(item)
        else:
            self._walk(value)

    def _leave_out_foreign(self, items):
        for index in reversed(range(len(items))):
            fields = items[index].DESCRIPTOR.fields_by_name
            if "typed_config" in fields and "name" in fields and items[index].HasField("typed_config"):
                type_url = items[index].typed_config.type_url
                # istiod writes TypedStruct only for filters of Istio's own.
                if type_url.endswith(".TypedStruct") or message_class(type_url) is None:
                    self.left_out[items[index].name] += 1
                    del items[index]
