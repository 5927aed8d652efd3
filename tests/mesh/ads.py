"""Passes xDS between the Envoys and istiod, as istio-agent does on a pod.

Is: two services of one port. ADS: what istiod sends passes through `Translator`, what Envoy sends passes unchanged, and each
refusal of an Envoy is kept in `refusals`. SDS: the certificate of the pod's own SPIFFE id, and the mesh's root.

Is not: a cache or a second opinion. What istiod does not send, no Envoy gets.
"""

import threading
import time
from concurrent import futures

import grpc
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from envoy.service.secret.v3 import sds_pb2_grpc

from .messages import PREFIX, Translator
from .ports import LOOPBACK

SECRET = PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"
LARGE = [("grpc.max_receive_message_length", 1 << 28), ("grpc.max_send_message_length", 1 << 28)]


class Discovery(ads_pb2_grpc.AggregatedDiscoveryServiceServicer, sds_pb2_grpc.SecretDiscoveryServiceServicer):
    """Both services, for every Envoy of one mesh."""

    def __init__(self, ports, istiod_port, places, authority):
        self._places, self._authority = places, authority
        self._lock, self._changed = threading.Lock(), time.monotonic()
        self.refusals, self.left_out = [], {}
        self._unanswered = {}  # (stream, type) -> nonce that Envoy has not answered yet
        self._channel = grpc.insecure_channel(f"{LOOPBACK}:{istiod_port}", options=LARGE)
        self._server = grpc.server(futures.ThreadPoolExecutor(64), options=LARGE)
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(self, self._server)
        sds_pb2_grpc.add_SecretDiscoveryServiceServicer_to_server(self, self._server)
        self.port = ports.take()
        self._server.add_insecure_port(f"{LOOPBACK}:{self.port}")
        self._server.start()

    def close(self):
        self._server.stop(0).wait(5)
        self._channel.close()

    def quiet_for(self):
        """Returns for how many seconds nothing was sent and no Envoy owed an answer; 0 while one does."""
        with self._lock:
            return 0 if self._unanswered else time.monotonic() - self._changed

    def StreamAggregatedResources(self, request_iterator, context):
        stream = object()
        first = next(request_iterator, None)
        if first is None:
            return

        def upward():
            yield first
            for request in request_iterator:
                with self._lock:
                    key = (stream, request.type_url)
                    if self._unanswered.get(key) == request.response_nonce:
                        del self._unanswered[key]
                    if request.HasField("error_detail"):
                        self.refusals.append((first.node.id, request.type_url, request.error_detail.message))
                yield request

        call = ads_pb2_grpc.AggregatedDiscoveryServiceStub(self._channel).StreamAggregatedResources(upward())
        context.add_callback(call.cancel)
        try:
            for response in call:
                translator = Translator(self._places, first.node.id)
                for resource in response.resources:
                    translator.resource(resource)
                with self._lock:
                    self._changed = time.monotonic()
                    self._unanswered[(stream, response.type_url)] = response.nonce
                    self.left_out.update(translator.left_out)
                yield response
        except grpc.RpcError:
            pass  # the Envoy or istiod ended
        finally:
            with self._lock:
                for key in [key for key in self._unanswered if key[0] is stream]:
                    del self._unanswered[key]

    def StreamSecrets(self, request_iterator, context):
        identity = None
        for number, request in enumerate(request_iterator):
            if identity is None:
                fields = request.node.metadata.fields
                identity = (fields["NAMESPACE"].string_value, fields["SERVICE_ACCOUNT"].string_value)
            if not (request.response_nonce and request.version_info):  # else Envoy has what was sent
                yield self._secrets(identity, request.resource_names, number)

    def _secrets(self, identity, names, number):
        response = discovery_pb2.DiscoveryResponse(type_url=SECRET, version_info="1", nonce=str(number))
        for name in names:
            secret = secret_pb2.Secret(name=name)
            if name == "default":
                namespace, account = identity
                uri = f"spiffe://cluster.local/ns/{namespace}/sa/{account}"
                chain, key = self._authority.issue(f"{namespace}.{account}", identities=[uri])
                secret.tls_certificate.certificate_chain.inline_bytes = chain.read_bytes()
                secret.tls_certificate.private_key.inline_bytes = key.read_bytes()
            else:  # ROOTCA of the mesh, and file-root:system, the machine's roots: here one authority signs for both
                secret.validation_context.trusted_ca.inline_bytes = self._authority.root.read_bytes()
            response.resources.add().Pack(secret)
        return response
