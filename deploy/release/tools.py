"""Provides the tools of the release scripts, each in an exact version.

What is a Python package with a plain binary comes from deploy/local/install-tools; crates of Cargo and Go modules are built
here, once, into .tools/. A variable of the tool's name, such as HELM=/path, uses yours instead.
"""

import contextlib
import fcntl
import importlib.machinery
import importlib.util
import os
import shutil
from pathlib import Path

from common import ROOT, ReleaseError, run, say

TOOLS = ROOT / ".tools"

# What deploy/local/install-tools has.
INSTALLED = ("hadolint", "zizmor", "zig", "cargo-zigbuild")

# What it has in packages for x86-64. On other processors they are built with Go.
INSTALLED_ON_X86_64 = ("helm", "grpcurl")

# name -> version. They need no optimisation: each runs for a second or two.
CRATES = {"cargo-deny": "0.20.2", "cargo-cyclonedx": "0.5.9"}

# name -> (module, version, the variable of its code that holds the version)
GO_MODULES = {
    "actionlint": ("github.com/rhysd/actionlint/cmd/actionlint", "v1.7.12", None),
    "grpcurl": ("github.com/fullstorydev/grpcurl/cmd/grpcurl", "v1.9.3", "main.version"),
    "helm": ("helm.sh/helm/v3/cmd/helm", "v3.17.3", "helm.sh/helm/v3/internal/version.version"),
}


def provide(name):
    """The path of a tool: yours, the one that was installed earlier, or one that is installed now."""
    if name in INSTALLED or (name in INSTALLED_ON_X86_64 and os.uname().machine == "x86_64"):
        return from_installer(name)
    variable = name.upper().replace("-", "_")
    given = os.environ.get(variable)
    if given:
        if not os.access(given, os.X_OK):
            raise ReleaseError(f"{variable}={given} is not an executable file")
        return Path(given).absolute()
    if name in CRATES:
        return from_cargo(name)
    return from_go(name)


def from_installer(name):
    installer = load_installer()
    try:
        return Path(installer.provide(name))
    except installer.Unusable as trouble:
        raise ReleaseError(str(trouble)) from trouble


def load_installer():
    """The script that installs the tools of the tests, as a module."""
    path = str(ROOT / "deploy/local/install-tools")
    loader = importlib.machinery.SourceFileLoader("install_tools", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("install_tools", loader))
    loader.exec_module(module)
    return module


def from_cargo(name):
    home = TOOLS / f"{name}-{CRATES[name]}"
    binary = home / "bin" / name
    if binary.exists():
        return binary
    with alone(name):
        if not binary.exists():
            say(f"building {name} {CRATES[name]} into .tools/")
            # A target folder of its own: the workspace's may belong to another user or be cleaned.
            environment = {**os.environ, "CARGO_TARGET_DIR": str(home / "target")}
            command = ["cargo", "install", name, "--version", CRATES[name], "--locked", "--debug", "--root", home]
            run(*command, env=environment)
            shutil.rmtree(home / "target", ignore_errors=True)
    return binary


def from_go(name):
    module, version, variable = GO_MODULES[name]
    home = TOOLS / f"{name}-{version}"
    if (home / name).exists():
        return home / name
    if not shutil.which("go"):
        raise ReleaseError(f"{name} is a Go module and there is no go: install Go, or set {name.upper()}=/path")
    with alone(name):
        if not (home / name).exists():
            say(f"building {name} {version} into .tools/")
            flags = [f"-ldflags=-X {variable}={version}"] if variable else []
            run("go", "install", *flags, f"{module}@{version}", cwd=ROOT / "deploy", env={**os.environ, "GOBIN": str(home)})
    return home / name


@contextlib.contextmanager
def alone(name):
    """Keeps another run from building the same tool. Building takes minutes, so each tool has a lock of its own."""
    TOOLS.mkdir(exist_ok=True)
    with open(TOOLS / f".lock-{name}", "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
