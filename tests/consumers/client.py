"""A consumer of the tail, with nothing but what Python's own tools make of the published proto.

    client.py ADDRESS REQUEST [COUNT]

REQUEST is a TailRequest in protobuf's JSON mapping. Prints each record as a line of JSON; ends with the stream, or after
COUNT records.
"""

import json
import sys

import grpc
from google.protobuf import json_format

from customs.audit.v1 import audit_pb2, audit_pb2_grpc


def main(address, request, count=None):
    # A client of a unix socket would name its path as the authority, which is no name that HTTP/2 knows.
    with grpc.insecure_channel(address, options=[("grpc.default_authority", "localhost")]) as channel:
        client = audit_pb2_grpc.AuditServiceStub(channel)
        subscription = client.Tail(json_format.Parse(request, audit_pb2.TailRequest()), wait_for_ready=True, timeout=60)
        try:
            for number, response in enumerate(subscription, start=1):
                print(json.dumps(json_format.MessageToDict(response.record)), flush=True)
                if number == count:
                    break
        except grpc.RpcError as trouble:
            sys.exit(f"{trouble.code().name}: {trouble.details()}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None)
