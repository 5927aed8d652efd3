"""Where an address of the mesh is on this machine.

Is: a map from pod addresses, a pod's listeners and the names of sites to ports of 127.0.0.1, and from a pod's volumes to
directories. A place is made at the first
question and never changes, so endpoints and listeners may be asked for in any order.

Is not: a network. An address that is neither a pod's nor a name has no place and is left as it is.
"""

import ipaddress
import threading

from .ports import LOOPBACK

PODS = ipaddress.ip_network("10.244.0.0/16")
ANY = "0.0.0.0"
# Where a sidecar listens for what its pod sends: another place than the pod's own port of that number.
SIDECAR = "sidecar "


def _address(text):
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


class Places:
    """The map of one mesh."""

    def __init__(self, ports):
        self._ports, self._lock, self._made, self._sites = ports, threading.Lock(), {}, {}
        self._pods, self._mounts = 0, {}

    def new_pod(self):
        """Returns an address for a pod."""
        with self._lock:
            self._pods += 1
            return str(PODS[256 + self._pods])

    def site(self, port, local_port):
        """Every external name is found at `local_port` for this port."""
        self._sites[port] = local_port

    def pod_port(self, pod, port, address=ANY):
        """The local port for a port of a pod; `address` is the one that a listener in the pod has."""
        if address == pod:
            address = ANY
        with self._lock:
            key = (pod, address, port)
            if key not in self._made:
                self._made[key] = self._ports.take()
            return self._made[key]

    def mount(self, pod, path, folder):
        """A volume is mounted at `path` in a pod, and is `folder` here."""
        self._mounts.setdefault(pod, {})[path] = folder

    def path(self, pod, path):
        """The path here of a file in a volume of a pod; any other path stays as it is."""
        for mount, folder in self._mounts.get(pod, {}).items():
            if path.startswith(f"{mount}/"):
                return f"{folder}{path.removeprefix(mount)}"
        return path

    def of_endpoint(self, address, port):
        """Returns the local (address, port) of an upstream endpoint, or None to leave it as it is."""
        parsed = _address(address)
        if parsed is None:
            return (LOOPBACK, self._sites[port]) if port in self._sites else None
        return (LOOPBACK, self.pod_port(address, port)) if parsed in PODS else None
