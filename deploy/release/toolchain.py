"""Finds a Rust toolchain that can build for a target, and says which it is.

In this order: the toolchain in use, if it has the target's standard library (`rustup target add TARGET` adds it) or its
source (`rustup component add rust-src`); then Debian's newest Rust, unpacked into .tools/ with the source of its standard
library. A standard library from source is built together with the program, with cargo's `-Z build-std`.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from common import ReleaseError, oldest_rust, run, say
from tools import TOOLS, alone, load_installer

# Debian's packages of the newest Rust that it keeps for browsers, with the source of the standard library.
DEBIAN_PACKAGES = ["rustc-web", "cargo-web", "libstd-rust-web-dev", "rust-web-src"]


@dataclass
class Toolchain:
    """How to call cargo, and how much of the standard library it has to build."""

    name: str
    environment: dict = field(default_factory=dict)
    cargo_flags: list = field(default_factory=list)
    rust_flags: list = field(default_factory=list)
    sysroot: str = ""

    def describe(self):
        return f"{self.name}{', standard library from source' if self.cargo_flags else ''}"


def find(target):
    reasons = []
    for candidate in (in_use, debian):
        try:
            return candidate(target)
        except ReleaseError as trouble:
            reasons.append(str(trouble))
    raise ReleaseError(f"there is no Rust for {target} here:\n  " + "\n  ".join(reasons))


def in_use(target):
    """The toolchain that `cargo` is here."""
    return describe(target, {}, f"run `rustup target add {target}`")


def debian(target):
    """Debian's, which needs no root: its packages are downloaded and unpacked."""
    if not shutil.which("apt-get"):
        raise ReleaseError("there is no apt-get, so Debian's Rust cannot be had either")
    home = TOOLS / "debian-rust"
    if not (home / "usr/bin/rustc").exists():
        with alone("debian-rust"):
            if not (home / "usr/bin/rustc").exists():  # another run was faster
                unpack(home)
    libraries = sorted({str(path.parent) for path in home.glob("usr/lib/**/*.so*")})
    environment = {
        "PATH": f"{home}/usr/bin:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": ":".join(libraries),
        "RUSTC": str(home / "usr/bin/rustc"),
        # The proxies of rustup would set these for the toolchain that they start.
        "RUSTUP_TOOLCHAIN": "",
    }
    return describe(target, environment, "it has no source of the standard library")


def unpack(home):
    installer = load_installer()
    say(f"unpacking Debian's {', '.join(DEBIAN_PACKAGES)} into .tools/")
    staged = home.with_name(".debian-rust")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        status = run("dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n")
        installed = {line.split()[0] for line in status.splitlines() if line.endswith(" installed")}
        installer.download("rust", with_libraries(DEBIAN_PACKAGES, installed), staged, staged)
    except (ReleaseError, installer.Unusable) as trouble:
        shutil.rmtree(staged, ignore_errors=True)
        raise ReleaseError(f"Debian's Rust could not be unpacked: {trouble}") from trouble
    shutil.rmtree(home, ignore_errors=True)
    staged.rename(home)


def with_libraries(packages, installed):
    """Packages, and the libraries that they need at run time and that are not installed."""
    wanted = list(packages)
    for package in wanted:  # grows while it is read
        needs = re.findall(r"^  Depends: (lib\S+)$", run("apt-cache", "depends", package), re.MULTILINE)
        new = (name for name in needs if name not in installed and not name.endswith("-dev"))
        wanted += [name for name in new if name not in wanted]
    return wanted


def describe(target, environment, advice):
    """The toolchain of an environment, if it can build for a target."""
    everything = {**os.environ, **environment}

    def rustc(*flags):
        return run(environment.get("RUSTC", "rustc"), *flags, env=everything, stderr=subprocess.STDOUT).strip()

    found = re.search(r"rustc (\d+)\.(\d+)\S*", rustc("--version"))
    oldest = tuple(int(part) for part in oldest_rust().split(".")[:2])
    if not found or tuple(int(part) for part in found.groups()) < oldest:
        raise ReleaseError(f"{rustc('--version')} is older than {oldest_rust()}")
    sysroot = Path(rustc("--print", "sysroot"))
    toolchain = Toolchain(found.group(0), environment, sysroot=str(sysroot))
    if list((sysroot / "lib/rustlib" / target / "lib").glob("libstd-*.rlib")):
        return toolchain
    if not (sysroot / "lib/rustlib/src/rust/library/Cargo.lock").exists():
        raise ReleaseError(f"{found.group(0)} has no standard library for {target}: {advice}")
    toolchain.environment = {**environment, "RUSTC_BOOTSTRAP": "1"}
    toolchain.cargo_flags = ["-Z", "build-std=std,panic_unwind"]
    if "musl" in target:
        # The start files and libc of musl come with the standard library; here zig has them.
        toolchain.rust_flags = ["-Clink-self-contained=no"]
    return toolchain
