"""The parts of the test, each on a mesh of its own.

Is: the list, in the order in which they run. A part has a docstring, whose first line says what it shows, and `run`.

Is not: a way to share state: what one part does to its mesh, no other part sees.
"""

from . import (
    ambient,
    bypass,
    doctor,
    gateway_api,
    https,
    manifests,
    mistakes,
    mutual_tls,
    outage,
    plain_envoy,
    runbook,
    scenario,
    self_test,
    sidecar_socket,
)

ALL = {
    "scenario": scenario,
    "runbook": runbook,
    "https": https,
    "bypass": bypass,
    "gateway-api": gateway_api,
    "sidecar-socket": sidecar_socket,
    "ambient": ambient,
    "envoy": plain_envoy,
    "mutual-tls": mutual_tls,
    "mistakes": mistakes,
    "outage": outage,
    "doctor": doctor,
    "manifests": manifests,
    "self-test": self_test,
}
