"""What the checks know of objects: names, labels, differences, and the pods of customs."""

import re

VARIANTS = {  # folder: (value of --enforcement, failOpen)
    "trial": ("report", True),
    "enforce": ("enforce", False),
}
GATEWAY_FOLDERS = ("gateway", "gateway-api")  # one of the two is applied, by the kind of gateway
GATEWAY_API = "gateway.networking.k8s.io"
GATEWAY_NAME = f"{GATEWAY_API}/gateway-name"  # the label by which istiod knows the pods of a Gateway of the Gateway API


def name_of(thing):
    return f"{thing['kind']}/{(thing.get('metadata') or {}).get('name', '')}"


def the(things, kind):
    found = [t for t in things if t["kind"] == kind]
    if len(found) != 1:
        raise KeyError(f"one {kind} expected, {len(found)} found")
    return found[0]


def differing(left, right, path=""):
    """The places where two values differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        return [p for key in left.keys() | right.keys()
                for p in differing(left.get(key), right.get(key), f"{path}/{key}")]
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return [p for i, (a, b) in enumerate(zip(left, right)) for p in differing(a, b, f"{path}/{i}")]
    return [] if left == right and type(left) is type(right) else [path]


def seconds(text):
    found = re.fullmatch(r"(\d+(?:\.\d+)?)s", text) if isinstance(text, str) else None
    return float(found[1]) if found else None


class Pod:
    """What the other objects must agree with."""

    def __init__(self, cluster):
        self.deployment = the(cluster, "Deployment")
        self.namespace = self.deployment["metadata"]["namespace"]
        template = self.deployment["spec"]["template"]
        self.labels, self.spec = template["metadata"]["labels"], template["spec"]
        [self.container] = self.spec["containers"]
        self.ports = {p["name"]: p["containerPort"] for p in self.container["ports"]}

    def flag(self, name):
        found = [a.partition("=")[2] for a in self.container["args"] if a.startswith(f"--{name}=")]
        if len(found) != 1:
            raise KeyError(f"one --{name}=VALUE expected in args, {len(found)} found")
        return found[0]

    def flag_port(self, name):
        return int(self.flag(name).rpartition(":")[2])



def place_of(thing):
    return f"{thing['kind']} {thing['metadata'].get('namespace', 'default')}/{thing['metadata'].get('name', '')}"


def words(labels):
    return ", ".join(f"{key}: {value}" for key, value in sorted(labels.items())) or "no label"



def covers(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())

