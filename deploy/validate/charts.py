"""The chart and the kustomizations: they render equal objects, which are what was reviewed and fit together."""

import json
import re
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import HELM, ISTIO, KUSTOMIZE, REPOSITORY
from .checks import ask, fitting
from .generated import CHART, GOLDEN, copies, described_values, golden_text, rendered, values_files, with_table
from .objects import name_of, seconds, the
from .refused import REFUSED
from .tools import KUBERNETES_VERSIONS, Unusable, run

# The files of values, and the folder of kustomize that renders the same objects.
PAIRS = {
    "default": ISTIO / "trial",
    "trial": ISTIO / "trial",
    "enforce": ISTIO / "enforce",
    "tls-sidecar": ISTIO / "mutual-tls" / "sidecar",
    "tls-mesh-certificates": ISTIO / "mutual-tls" / "mesh-certificates",
    "tls-secret": ISTIO / "mutual-tls" / "cert-manager",
    **{name: KUSTOMIZE / "overlays" / name for name in (
        "gateway-api", "several-config-maps", "git-sync", "image-volume", "monitored", "audited", "everything")},
}
ALONE = {"other-names", "inline-policies"}  # values that no kustomization is for

# What only Helm writes.
HELM_LABELS = {"helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "app.kubernetes.io/instance"}
HOOK = "helm.sh/hook"


def place_of(thing):
    return f"{thing['kind']}/{thing['metadata'].get('namespace', '')}/{thing['metadata']['name']}"


def is_hook(thing):
    return HOOK in (thing["metadata"].get("annotations") or {})


def by_place(things):
    """{place: object}, without what only Helm writes."""
    found = {}
    for thing in things:
        if is_hook(thing):
            continue
        metadata = dict(thing["metadata"])
        metadata["labels"] = {k: v for k, v in (metadata.get("labels") or {}).items() if k not in HELM_LABELS}
        found[place_of(thing)] = {**thing, "metadata": metadata}
    return found


def differences(left, right, path=""):
    """(path, value, value) wherever two values differ."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in sorted(left.keys() | right.keys()):
            if key not in left or key not in right:
                yield f"{path}/{key}", left.get(key, "nothing"), right.get(key, "nothing")
            else:
                yield from differences(left[key], right[key], f"{path}/{key}")
    elif isinstance(left, list) and isinstance(right, list):
        for index in range(max(len(left), len(right))):
            if index >= len(left) or index >= len(right):
                yield f"{path}/{index}", *(side[index] if index < len(side) else "nothing" for side in (left, right))
            else:
                yield from differences(left[index], right[index], f"{path}/{index}")
    elif left != right or type(left) is not type(right):
        yield path, left, right


def short(value):
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def equal_objects(helm, kustomize, has_namespace):
    """Each object of one side must be on the other, and equal."""
    left, right = by_place(helm), by_place(kustomize)
    if not has_namespace:  # `helm install` needs the namespace before it reads the chart
        right = {place: thing for place, thing in right.items() if thing["kind"] != "Namespace"}
    yield from (f"{place} is rendered by helm only" for place in sorted(left.keys() - right.keys()))
    yield from (f"{place} is rendered by kustomize only" for place in sorted(right.keys() - left.keys()))
    for place in sorted(left.keys() & right.keys()):
        for path, ours, theirs in differences(left[place], right[place]):
            yield f"{place} differs at {path}: helm {short(ours)}, kustomize {short(theirs)}"


def golden_differs(name, text, golden):
    if golden is None:
        return [f"golden/{name}.yaml is missing: deploy/helm/generate writes it"]
    for number, (new, old) in enumerate(zip(text.splitlines(), golden.splitlines()), 1):
        if new != old:
            return [f"golden/{name}.yaml:{number} has {old.strip()!r}, and the chart renders {new.strip()!r}: if it is right, "
                    "deploy/helm/generate writes it"]
    return [] if text == golden else [f"golden/{name}.yaml has another length: if it is right, deploy/helm/generate writes it"]


# ---- objects that fit one another --------------------------------------------------------------------------------------


def options_of(argument):
    return dict(part.partition("=")[::2] for part in argument.split(","))


def paths_in(arguments):
    """(path, whether it is written) of every file and directory that the arguments of customs name."""
    for argument in arguments:
        flag, _, value = argument.partition("=")
        if flag == "--policies":
            yield from ((directory.partition("?")[0], False) for directory in value.split(","))
        elif flag == "--config":
            yield value, False
        elif flag == "--tls":
            yield from ((options_of(value)[key], False) for key in ("certificate", "private_key", "client_ca"))
        elif flag == "--audit" and value.startswith("file:"):
            yield value.removeprefix("file:").partition("?")[0], True


def flags_exist(things, flags):
    """docs/reference/settings.md lists every flag, which a test of the program holds to the code."""
    spec = the([t for t in things if not is_hook(t)], "Deployment")["spec"]["template"]["spec"]
    [container] = spec["containers"]
    if container["args"][0] != "serve":
        yield f"the command is {container['args'][0]!r}, not 'serve'"
    for argument in container["args"][1:]:
        if argument.partition("=")[0] not in flags:
            yield f"customs serve has no flag {argument.partition('=')[0]}"


def pods_are_whole(things):
    """Volumes, mounts, arguments and times of the Deployment fit one another."""
    deployment = the([t for t in things if not is_hook(t)], "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    [container] = spec["containers"]
    volumes = [v["name"] for v in spec["volumes"]]
    mounted = {m["name"] for kind in ("initContainers", "containers") for c in spec.get(kind, []) for m in c["volumeMounts"]}
    if len(set(volumes)) != len(volumes):
        yield f"two volumes have one name: {volumes}"
    yield from (f"the volume {name} is mounted nowhere" for name in volumes if name not in mounted)
    yield from (f"no volume is called {name}" for name in sorted(mounted - set(volumes)))
    for mount in container["volumeMounts"]:
        if "subPath" in mount or "subPathExpr" in mount:
            yield f"volume {mount['name']} is mounted with subPath, which the kubelet never updates"
    mounts = {m["mountPath"]: m for m in container["volumeMounts"]}
    for path, writes in paths_in(container["args"]):
        found = [m for place, m in mounts.items() if path == place or path.startswith(f"{place}/")]
        if not found:
            yield f"nothing is mounted at {path}, which an argument names"
        elif writes is bool(found[0].get("readOnly")):
            yield f"{path} is on a volume that is {'read-only' if writes else 'writable'}"
    flags = dict(a.partition("=")[::2] for a in container["args"])
    drain = seconds(flags["--drain-delay"]) + seconds(flags["--drain-timeout"])
    if not spec["terminationGracePeriodSeconds"] > drain:
        yield f"terminationGracePeriodSeconds must be more than the {drain:g} s of --drain-delay and --drain-timeout"
    variables = {e["name"]: e.get("value", "") for e in container.get("env", [])}
    if ("OTEL_TRACES_SAMPLER_ARG" in variables) != variables.get("OTEL_TRACES_SAMPLER", "").endswith("traceidratio"):
        yield "OTEL_TRACES_SAMPLER_ARG must be set exactly if the sampler takes one: customs refuses what would not be used"
    if any(t["kind"] == "HorizontalPodAutoscaler" for t in things) == ("replicas" in deployment["spec"]):
        yield "replicas must be set exactly if there is no HorizontalPodAutoscaler"
    ready = container["readinessProbe"]
    if ("--tls" in flags) == ("grpc" in ready):
        yield "the readiness probe must be gRPC exactly if customs takes plain text"
    for kind in ("containers", "initContainers"):
        names = {p["name"] for c in spec.get(kind, []) for p in c["ports"]}
        for probe in (c[p] for c in spec.get(kind, []) for p in ("readinessProbe", "livenessProbe", "startupProbe") if p in c):
            port = (probe.get("httpGet") or {}).get("port")
            if port is not None and port not in names:
                yield f"a probe names the port {port}, which no container has"
    if any("secret" in v or "ephemeral" in v for v in spec["volumes"]) and spec["securityContext"].get("fsGroup") != 65532:
        yield "fsGroup is not 65532, so customs cannot use a volume that belongs to its group"
    maps = {t["metadata"]["name"] for t in things if t["kind"] == "ConfigMap"}
    own = {v["configMap"]["name"] for v in spec["volumes"] if v["name"] == "settings"}
    yield from (f"the ConfigMap {name} is in no object" for name in sorted(own - maps))


def every_connection_has_a_door(things):
    """Where there are NetworkPolicies, each endpoint that the pods call is open to them."""
    networks = [t["spec"] for t in things if t["kind"] == "NetworkPolicy" and not is_hook(t)]
    if not networks:
        return
    spec = the([t for t in things if not is_hook(t)], "Deployment")["spec"]["template"]["spec"]
    ports = {p["port"] for n in networks for rule in n.get("egress") or [] for p in rule.get("ports", [])}
    values = [a for c in spec["containers"] for a in c["args"] if a.startswith("--audit=otlp:")]
    values += [e.get("value", "") for c in spec["containers"] for e in c.get("env", []) if e["name"].endswith("_ENDPOINT")]
    wanted = {int(port) for value in values for port in re.findall(r"://[^/?]+:(\d+)", value)}
    for port in sorted(wanted - ports):
        yield f"no NetworkPolicy lets the pods reach port {port}"
    if (wanted or "initContainers" in spec) and 53 not in ports:
        yield "no NetworkPolicy lets the pods reach DNS"
    if "initContainers" in spec and not ports - wanted - {53}:
        yield "no NetworkPolicy lets git-sync reach the repository"


# ---- values ------------------------------------------------------------------------------------------------------------


def leaves(values, path=""):
    """The paths of the values that a file of values describes, with free maps as one."""
    for key, value in values.items():
        yield f"{path}{key}"
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")


def values_and_schema_agree(values, text, schema):
    """Each value is described, known to the schema, and strict; the schema knows no other."""
    described = described_values(text)
    for path, _, comment in described:
        if not comment:
            yield f"{path} has no comment in values.yaml"
    there = set(leaves(values))
    yield from (f"values.yaml: {path} is not read as a value" for path, _, _ in described if path not in there)

    def walk(schema, path):
        if schema.get("type") == "object" and "properties" in schema:
            if schema.get("additionalProperties") is not False:
                yield f"the schema lets unknown keys pass in {path or 'the whole'}"
            for key, inner in schema["properties"].items():
                at = f"{path}.{key}" if path else key
                if at not in there and at != "global" and not any(
                        at.startswith(f"{p}.") for p, d, _ in described if d.startswith(("{", "["))):
                    yield f"the schema knows {at}, which values.yaml lacks"
                yield from walk(inner, at)

    yield from walk(schema, "")
    known = set()

    def names(schema, path):
        for key, inner in schema.get("properties", {}).items():
            known.add(f"{path}{key}")
            names(inner, f"{path}{key}.")

    names(schema, "")
    yield from (f"values.yaml has {path}, which the schema does not know" for path, _, _ in described if path not in known)


def versions_agree(versions):
    for what, version in versions.items():
        if version != versions["Cargo.toml"]:
            yield f"{what} has {version}, and Cargo.toml {versions['Cargo.toml']}"


def notes_fit(notes, state):
    """The two steps of NOTES.txt say what deploy/istio says."""
    for name, (text, labels) in notes.items():
        variant = "trial" if name == "default" else "enforce"
        [wanted] = state["mesh"][variant][0]["spec"]["meshConfig"]["extensionProviders"]
        found = re.search(r"^    - name: .*(?:\n      .*)+", text, re.MULTILINE)
        if found is None or state["yaml"].safe_load(found[0]) != [wanted]:
            yield f"{name}: step 1 is not the provider of {variant}/mesh-config.yaml"
        said = dict(re.findall(r"([\w./-]+)=(\w+)", " ".join(re.findall(r"kubectl label namespace (.*)", text))))
        if said != labels:
            yield f"{name}: the namespace gets the labels {said}, not {labels}"
        steps = [text.find(f"\n{number}. ") for number in (1, 2)]
        if -1 in steps or steps != sorted(steps):
            yield f"{name}: the two steps are not there, in their order"


# ---- reading and checking ----------------------------------------------------------------------------------------------


def notes_of(tools, name):
    """NOTES.txt, which `helm template` does not print, by a chart with an object that holds it."""
    with tempfile.TemporaryDirectory() as scratch:
        chart = Path(scratch) / "customs"
        shutil.copytree(CHART, chart)
        (chart / "templates" / "notes.yaml").write_text(
            'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: notes}\ndata:\n  text: {{ include "customs.notes" . | toJson }}\n')
        values = Path(scratch) / "values.yaml"
        values.write_text(values_files()[name].read_text().replace("namespace: {create: true}\n", ""))
        found = tools.documents(rendered(tools, values, chart))
        return next(t["data"]["text"] for t in found if t["metadata"]["name"] == "notes")


def refusal(tools, values, version=KUBERNETES_VERSIONS[1]):
    """What helm says of values that it must refuse; None if it takes them."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(values)
        file.flush()
        try:
            rendered(tools, file.name, version=version)
        except Unusable as error:
            return str(error)
    return None


def chart_state(tools, folder, state):
    """Reads and renders everything that `chart_checks` looks at. The renders run side by side: each is a process."""
    files = values_files()
    for path in sorted((KUSTOMIZE / "overlays").iterdir()):
        folder.walk(path)
    folders = sorted(set(PAIRS.values()))
    readme = CHART / "README.md"
    with ThreadPoolExecutor(4) as pool:
        texts = pool.map(lambda path: rendered(tools, path), files.values())
        lints = pool.map(lambda path: lint(tools, path), files.values())
        renders = pool.map(tools.kustomized, folders)
        refusals = pool.map(lambda case: refusal(tools, case[1], *case[3:]), REFUSED)
        notes = pool.map(lambda name: notes_of(tools, name), ("default", "enforce", "tls-sidecar"))
        texts = dict(zip(files, texts))
        chart = {
            "texts": {name: golden_text(text) for name, text in texts.items()},
            "helm": {name: tools.documents(text) for name, text in texts.items()},
            "lint": dict(zip(files, lints)),
            "kustomize": dict(zip(folders, renders)),
            "refused": list(refusals),
            "notes": dict(zip(("default", "enforce", "tls-sidecar"), notes)),
        }
    namespaces = {"default": state["cluster"]["trial"], "enforce": state["cluster"]["enforce"],
                  "tls-sidecar": state["mutual-tls"]["sidecar"]}
    chart["notes"] = {name: (text, the(namespaces[name], "Namespace")["metadata"]["labels"])
                      for name, text in chart["notes"].items()}
    chart["golden"] = {name: path.read_text() for name in files if (path := GOLDEN / f"{name}.yaml").is_file()}
    chart["copies"] = {str(path.relative_to(HELM.parent)): (path.read_text() if path.is_file() else None, text)
                       for path, text in copies().items()}
    page = (REPOSITORY / "docs" / "reference" / "settings.md").read_text()
    chart["flags"] = {"--config", *re.findall(r"^\| `\w+` \| `(--[\w-]+)", page, re.MULTILINE)}
    manifest = tools.documents((CHART / "Chart.yaml").read_text())[0]
    cargo = re.search(r'^version = "(.+)"$', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)
    image = the(state["cluster"]["enforce"], "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"]
    chart["versions"] = {"Cargo.toml": cargo[1], "the image of deploy/istio": image.rpartition(":")[2],
                         "version of Chart.yaml": manifest["version"], "appVersion of Chart.yaml": manifest["appVersion"]}
    chart["values"] = (CHART / "values.yaml").read_text()
    chart["schema"] = json.loads((CHART / "values.schema.json").read_text())
    chart["readme"] = (readme.read_text(), with_table(readme.read_text(), chart["values"]))
    chart["overlays"] = sorted((KUSTOMIZE / "overlays").iterdir())
    return chart


def lint(tools, path):
    try:
        run([tools.helm, "lint", "--strict", "--quiet", str(CHART), "--values", str(path), "--kube-version", KUBERNETES_VERSIONS[1]])
    except Unusable as error:
        return [str(error)]
    return []


def chart_checks(tools, state):
    """Yields (what was checked, list of problems) of the chart and the kustomizations."""
    chart = state["chart"]
    yield "each file of values has its kustomization, and the reverse", [
        *(f"ci/{name}-values.yaml is in no pair" for name in sorted(chart["helm"].keys() - PAIRS.keys() - ALONE)),
        *(f"ci/{name}-values.yaml is missing" for name in sorted((PAIRS.keys() | ALONE) - chart["helm"].keys())),
        *(f"overlays/{path.name} is in no pair" for path in chart["overlays"] if path not in PAIRS.values()),
    ]
    everything = [(f"helm, {name}: {name_of(t)}", t) for name, things in chart["helm"].items() for t in things]
    everything += [(f"kustomize, {path.name}: {name_of(t)}", t) for path, things in chart["kustomize"].items()
                   for t in things if path.parent.name == "overlays"]
    once = {json.dumps(t, sort_keys=True): (place, t) for place, t in reversed(everything)}
    yield from fitting(tools, reversed(once.values()))

    for name, things in chart["helm"].items():
        yield f"helm, {name}: helm lint --strict", chart["lint"][name]
        yield f"helm, {name}: renders what golden/{name}.yaml has", golden_differs(
            name, chart["texts"][name], chart["golden"].get(name))
        yield ask(f"helm, {name}: customs knows its arguments", flags_exist, things, chart["flags"])
        yield ask(f"helm, {name}: the pods are whole", pods_are_whole, things)
        yield ask(f"helm, {name}: every connection has a door", every_connection_has_a_door, things)
        if name in PAIRS:
            theirs = chart["kustomize"][PAIRS[name]]
            has_namespace = any(t["kind"] == "Namespace" for t in things)
            equal = len(by_place(things).keys() & by_place(theirs).keys())
            folder = PAIRS[name].relative_to(HELM.parent)
            yield ask(f"helm, {name}: its {equal} objects equal those of {folder}", equal_objects, things, theirs, has_namespace)
    for path, (have, want) in chart["copies"].items():
        yield f"{path} is what deploy/helm/generate writes", (
            [] if have == want else ["is missing" if have is None else "is stale: deploy/helm/generate writes it"])
    yield "helm/customs/README.md has the table of values.yaml", (
        [] if chart["readme"][0] == chart["readme"][1] else ["is stale: deploy/helm/generate writes it"])
    yield ask("the chart has the version of customs", versions_agree, chart["versions"])
    yield ask("values.yaml and values.schema.json agree", values_and_schema_agree,
              tools.documents(chart["values"])[0], chart["values"], chart["schema"])
    yield ask("NOTES.txt says what deploy/istio says", notes_fit, chart["notes"], {**state, "yaml": tools.yaml})
    for (what, _, expected, *_), said in zip(REFUSED, chart["refused"]):
        problems = ["is taken"] if said is None else []
        problems += [f"no message says {text!r}; said: {said}" for text in expected if said is not None and text not in said]
        yield f"refused: {what}", problems
