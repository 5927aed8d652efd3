"""Builds the programs of the control plane from their Go modules: istiod, the API server, its controllers, etcd, kubectl.

Is: two pinned modules, built by the `go` of the machine into .tools/mesh-VERSION/ of the repository, once. The module proxy is
the one that `go env` names. `CUSTOMS_MESH_BIN=/dir` uses binaries that exist; programs that are missing there are built.

Is not: a way to install Go. Envoy and the Python modules come from deploy/local/install-tools.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    """A Go module and the main packages to build from it."""

    path: str
    version: str
    packages: dict  # program -> package


ISTIO = Module(
    "istio.io/istio",
    "v0.0.0-20260827124520-eed52ebb66ad",  # its VERSION file says 1.31
    {"pilot-discovery": "istio.io/istio/pilot/cmd/pilot-discovery"},
)
KUBERNETES = Module(
    "k8s.io/kubernetes",
    "v1.36.1",
    {
        "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
        "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
        "kubectl": "k8s.io/kubernetes/cmd/kubectl",
        "etcd": "go.etcd.io/etcd/server/v3",
    },
)
# Only its CustomResourceDefinitions are used. The tag of the module is that of the release.
ENVOY_GATEWAY = ("github.com/envoyproxy/gateway", "v1.9.1")
CRDS = ("istio", "gateway-api", "envoy-gateway")
HOME = ROOT / ".tools" / f"mesh-{ISTIO.version.rsplit('-', 1)[1]}-{KUBERNETES.version.lstrip('v')}"
GO_AT_LEAST = (1, 26)


class BuildError(Exception):
    """A program that cannot be had; the message says what the reader can do."""


def provide():
    """Returns the paths of all programs, and of the CRDs as `istio-crds` and so on; builds what is missing."""
    existing = os.environ.get("CUSTOMS_MESH_BIN")
    if existing and not Path(existing).is_dir():
        raise BuildError(f"CUSTOMS_MESH_BIN={existing} is not a directory")
    found = {}
    for module in (ISTIO, KUBERNETES):
        for program in module.packages:
            places = [Path(existing) / program] if existing else []
            places.append(HOME / "bin" / program)
            found[program] = next((place for place in places if os.access(place, os.X_OK)), None)
    crds = {f"{name}-crds": HOME / "crds" / name for name in CRDS}
    if None in found.values() or not all(path.is_dir() for path in crds.values()):
        with _lock():
            for module in (ISTIO, KUBERNETES):
                wanted = [p for p in module.packages if found[p] is None and not (HOME / "bin" / p).exists()]
                if wanted:
                    _build(module, wanted)
            _copy_crds(crds)
    return {**{name: path or HOME / "bin" / name for name, path in found.items()}, **crds}


def _lock():
    """Held while building: a second run waits, and then finds the programs."""
    HOME.mkdir(parents=True, exist_ok=True)
    handle = open(HOME / ".lock", "w", encoding="utf-8")
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def _go(*arguments, folder=None):
    """What a `go` command prints on stdout. Its progress goes to stderr, where the reader sees it."""
    command = ["go", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"`{' '.join(command)}` ended with {done.returncode}; its message is above")
    return done.stdout


def check_go():
    """Fails with a remedy if `go` is missing or too old."""
    remedy = (
        f"Install Go {'.'.join(map(str, GO_AT_LEAST))} or newer and put it on the PATH,\n"
        "  or set CUSTOMS_MESH_BIN to a directory with " + ", ".join({**ISTIO.packages, **KUBERNETES.packages}) + "."
    )
    if shutil.which("go") is None:
        raise BuildError(f"`go` is not on the PATH, and the control plane has not been built yet.\n  {remedy}")
    said = _go("env", "GOVERSION").strip()
    version = re.match(r"go(\d+)\.(\d+)", said)
    if version and tuple(map(int, version.groups())) < GO_AT_LEAST:
        raise BuildError(f"{said} is too old to build istiod.\n  {remedy}")


def _download(path, version):
    """The folder of a module in the module cache."""
    return Path(json.loads(_go("mod", "download", "-json", f"{path}@{version}", folder=HOME))["Dir"])


def _build(module, programs):
    """Builds programs in a module of ours that takes over the requirements of the pinned one, so that versions match."""
    check_go()
    print(f"mesh: building {', '.join(programs)} from {module.path} {module.version}: minutes, once", file=sys.stderr, flush=True)
    source = _download(module.path, module.version)
    with tempfile.TemporaryDirectory(dir=HOME, prefix=".building-") as scratch:
        folder = Path(scratch)
        text = (source / "go.mod").read_text(encoding="utf-8")
        text = re.sub(r"^module .*$", "module customs/mesh", text, count=1, flags=re.MULTILINE)
        # The staging modules of Kubernetes are published with the same minor and patch version.
        published = module.version.replace("v1.", "v0.")
        text = re.sub(r"=> \./staging/src/(k8s\.io/\S+)", rf"=> \1 {published}", text)
        (folder / "go.mod").write_text(text, encoding="utf-8")
        shutil.copyfile(source / "go.sum", folder / "go.sum")
        _go("mod", "edit", "-require", f"{module.path}@{module.version}", folder=folder)
        (HOME / "bin").mkdir(exist_ok=True)
        for program in programs:
            _go("build", "-mod=mod", "-ldflags=-s -w", "-o", folder / program, module.packages[program], folder=folder)
            (folder / program).replace(HOME / "bin" / program)


def _copy_crds(targets):
    """Copies the CustomResourceDefinitions that these versions bring."""
    if all(path.is_dir() for path in targets.values()):
        return
    check_go()
    istio = _download(ISTIO.path, ISTIO.version)
    requirement = re.search(r"^\s*sigs\.k8s\.io/gateway-api (\S+)", (istio / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    gateway_api = _download("sigs.k8s.io/gateway-api", requirement[1])
    envoy_gateway = _download(*ENVOY_GATEWAY)
    sources = {
        "envoy-gateway-crds": sorted((envoy_gateway / "charts/gateway-helm/charts/crds/crds/generated").glob("*.yaml")),
        "istio-crds": [istio / "manifests/charts/base/files/crd-all.gen.yaml"],
        "gateway-api-crds": sorted((gateway_api / "config/crd/standard").glob("*.yaml")),
    }
    for name, files in sources.items():
        folder = targets[name]
        if folder.is_dir():
            continue
        staged = folder.with_name(f".{folder.name}-{os.getpid()}")
        staged.mkdir(parents=True)
        for file in files:
            shutil.copyfile(file, staged / file.name)
        staged.rename(folder)


if __name__ == "__main__":
    try:
        for name, path in provide().items():
            print(f"{name}: {path}")
    except BuildError as error:
        print(f"mesh: {error}", file=sys.stderr)
        sys.exit(1)
