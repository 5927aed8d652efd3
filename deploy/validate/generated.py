"""What deploy/helm/generate writes: copies of other folders, the table of values, and what the chart renders.

The chart and the components of kustomize can read only files below their own folders, so they hold copies.
"""

from . import DEPLOY, HELM, ISTIO, KUSTOMIZE
from .tools import KUBERNETES_VERSIONS, Unusable, run

CHART = HELM / "customs"
GOLDEN = HELM / "golden"
COMPONENTS = KUSTOMIZE / "components"
RELEASE, NAMESPACE = "customs", "customs-system"
TABLE = ("<!-- values: begin -->", "<!-- values: end -->")

HEADER = "# Written by deploy/helm/generate from deploy/{source}; do not edit it here.\n"
OBJECT = """apiVersion: {version}
kind: {kind}
metadata:
  name: {name}
  namespace: customs-system
  labels:
    app.kubernetes.io/name: customs{label}
"""


def sources():
    """The files of the monitoring content, by the name that their copies have."""
    # The pipeline is in one of two folders.
    pipelines = [DEPLOY / folder / "collector.yaml" for folder in ("monitoring", "otel")]
    found = {
        "alerts.yaml": DEPLOY / "monitoring" / "alerts.yaml",
        "dashboard.json": DEPLOY / "monitoring" / "dashboard.json",
        "collector.yaml": next((path for path in pipelines if path.is_file()), pipelines[0]),
    }
    missing = [str(path.relative_to(DEPLOY)) for path in found.values() if not path.is_file()]
    if missing:
        raise Unusable(f"deploy/{missing[0]} is missing")
    return found


def indented(text, width):
    return "".join(f"{' ' * width}{line}" if line.strip() else line for line in text.splitlines(keepends=True))


def copies():
    """{path: text} of every copy."""
    found = sources()
    text = {name: path.read_text() for name, path in found.items()}
    header = {name: HEADER.format(source=path.relative_to(DEPLOY)) for name, path in found.items()}

    def thing(kind, name, version="v1", label=""):
        return OBJECT.format(version=version, kind=kind, name=name, label=f"\n    {label}" if label else "")

    wanted = {CHART / "files" / name: content for name, content in text.items()}
    policy = ISTIO / "gateway" / "authorization-policy.yaml"
    wanted[COMPONENTS / "gateway" / "authorization-policy.yaml"] = (
        HEADER.format(source=policy.relative_to(DEPLOY)) + policy.read_text())
    wanted[COMPONENTS / "prometheus-rule" / "prometheus-rule.yaml"] = (
        header["alerts.yaml"] + thing("PrometheusRule", "customs", "monitoring.coreos.com/v1")
        + "spec:\n" + indented(text["alerts.yaml"], 2))
    wanted[COMPONENTS / "grafana-dashboard" / "config-map.yaml"] = (
        header["dashboard.json"] + thing("ConfigMap", "customs-dashboard", label='grafana_dashboard: "1"')
        + "data:\n  customs.json: |\n" + indented(text["dashboard.json"], 4).rstrip("\n") + "\n")
    wanted[COMPONENTS / "collector-config" / "config-map.yaml"] = (
        header["collector.yaml"] + thing("ConfigMap", "customs-collector")
        + "data:\n  collector.yaml: |\n" + indented(text["collector.yaml"], 4).rstrip("\n") + "\n")
    return wanted


def described_values(text):
    """[(path, default, comment)] of each value in values.yaml, by its lines. A group has a comment or none, a value always."""
    found, groups, comment = [], [], []
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("#"):
            comment.append(bare.lstrip("# "))
            continue
        if not bare:
            comment = []
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        key, _, default = bare.partition(":")
        groups = groups[:depth] + [key]
        if default.strip():
            found.append((".".join(groups), default.strip(), " ".join(comment)))
        comment = []
    return found


def table_of_values(text):
    rows = ["| value | default | what it is |", "| --- | --- | --- |"]
    for path, default, comment in described_values(text):
        rows.append(f"| `{path}` | `{default}` | {comment.replace('|', '&#124;')} |")
    return "\n".join(rows)


def with_table(readme, text):
    begin, end = TABLE
    before, _, rest = readme.partition(begin)
    if not rest or end not in rest:
        raise Unusable(f"helm/customs/README.md: the marks {begin} and {end} are missing")
    return f"{before}{begin}\n\n{table_of_values(text)}\n\n{end}{rest.partition(end)[2]}"


def values_files():
    return {path.name.removesuffix("-values.yaml"): path for path in sorted((CHART / "ci").glob("*-values.yaml"))}


def rendered(tools, values, chart=CHART, version=KUBERNETES_VERSIONS[1]):
    """What `helm template` prints with a file of values; Unusable has its message."""
    return run([tools.helm, "template", RELEASE, str(chart), "--namespace", NAMESPACE, "--values", str(values),
                "--kube-version", version])


def golden_text(text):
    """What is compared: the render, but with the name of a long file in place of its text."""
    for name, path in sources().items():
        for width in (2, 4):
            block = indented(path.read_text().removesuffix("\n"), width)
            text = text.replace(block, f"{' ' * width}(the text of files/{name})")
    return text


def wanted_files(tools):
    """{path: text} of everything that is generated."""
    wanted = copies()
    readme = CHART / "README.md"
    wanted[readme] = with_table(readme.read_text(), (CHART / "values.yaml").read_text())
    for name, path in values_files().items():
        wanted[GOLDEN / f"{name}.yaml"] = golden_text(rendered(tools, path))
    return wanted


def generate(tools):
    """Writes what differs, and removes golden files without values. The copies come first: the chart renders them."""
    for group in (copies(), None):
        for path, text in (group if group is not None else wanted_files(tools)).items():
            if not path.is_file() or path.read_text() != text:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
                print(f"wrote {path.relative_to(DEPLOY.parent)}")
    for path in sorted(GOLDEN.glob("*.yaml")):
        if path.stem not in values_files():
            path.unlink()
            print(f"removed {path.relative_to(DEPLOY.parent)}")
