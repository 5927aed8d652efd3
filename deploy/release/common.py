"""What the release scripts share: the repository, its version and time, and running commands.

It builds and checks nothing. Every script prints what it does, and ends with a message and exit code 1 if it cannot.
"""

import argparse
import hashlib
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The name of the program, the package, the image and the chart.
NAME = "customs"
# What a release has and a plain build has not; the Dockerfile names them too.
FEATURES = "parquet"

# The targets of a release, each with the name that container images have for it.
TARGETS = {"x86_64-unknown-linux-musl": "amd64", "aarch64-unknown-linux-musl": "arm64"}


class ReleaseError(Exception):
    """What stops a script; the message says what is wrong and what to do."""


def run(*command, **options):
    """Runs a command and returns what it prints. Its messages go to this script's own standard error."""
    command = [str(word) for word in command]
    try:
        options = {"cwd": ROOT, "stdout": subprocess.PIPE, **options}
        done = subprocess.run(command, text=True, check=False, **options)
    except OSError as trouble:
        raise ReleaseError(f"cannot run {shown(command)}: {trouble}") from trouble
    if done.returncode != 0:
        raise ReleaseError(f"{shown(command)} ended with exit code {done.returncode}\n{(done.stdout or '')[-2000:]}".rstrip())
    return done.stdout or ""


def shown(command):
    """The command as a shell would take it, with paths of the repository relative to it."""
    return shlex.join(str(word).replace(f"{ROOT}/", "") for word in command)


def say(text=""):
    print(text, flush=True)


def main(script):
    """Runs a script's function, and turns what stops it into a message."""
    try:
        sys.exit(script())
    except ReleaseError as trouble:
        print(f"{Path(sys.argv[0]).name}: {trouble}", file=sys.stderr)
        sys.exit(1)


def flags(text):
    """A reader of flags whose help is the head of the script."""
    return argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)


def manifest():
    return tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))


def version():
    """The version of the workspace: every crate has it."""
    return manifest()["workspace"]["package"]["version"]


def oldest_rust():
    """The oldest Rust that builds the workspace."""
    return manifest()["workspace"]["package"]["rust-version"]


def commit_time():
    """The time that everything made from this commit carries, in seconds: SOURCE_DATE_EPOCH, else the commit's own."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is not None:
        if not re.fullmatch(r"[0-9]{1,12}", given):
            raise ReleaseError(f"SOURCE_DATE_EPOCH={given} is not a number of seconds")
        return int(given)
    return int(run("git", "log", "-1", "--format=%ct").strip())


def commit():
    """The commit, with `-dirty` if files differ from it."""
    changed = run("git", "status", "--porcelain").strip()
    return run("git", "rev-parse", "HEAD").strip() + ("-dirty" if changed else "")


def sha256(path):
    """The sum of a file, as SHA256SUMS writes it. That it cannot be read is a ReleaseError."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as trouble:
        raise ReleaseError(f"{path} cannot be read ({trouble.strerror}): make it with the steps before, or name its folder") from trouble


def size(count):
    """A number of bytes as people read it."""
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB" if count >= 2**10 else f"{count} B"
