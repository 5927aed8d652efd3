"""The licences of what a binary is made of: the text that goes with it.

It decides nothing: deny.toml says which licences are accepted.
"""

import json
import re
from collections import defaultdict
from pathlib import Path

from common import FEATURES, NAME, ReleaseError, run

# What licence files are called. A crate without one is listed with its expression alone.
FILES = re.compile(r"(LICEN[CS]E|COPYING|NOTICE|UNLICENSE|COPYRIGHT)", re.IGNORECASE)


def packages(target):
    """The packages that the program is made of on a target, without what only builds or tests it."""
    metadata = json.loads(run("cargo", "metadata", "--format-version", "1", "--locked", "--features", FEATURES, "--filter-platform", target))
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    wanted, seen = [metadata["resolve"]["root"]], set()
    while wanted:
        package = wanted.pop()
        if package in seen:
            continue
        seen.add(package)
        for dependency in nodes[package]["deps"]:
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]):
                wanted.append(dependency["pkg"])
    return sorted((package for package in metadata["packages"] if package["id"] in seen), key=lambda package: (package["name"], package["version"]))


def notices(target):
    """Every other package with its licence, and each text once."""
    lines, texts = [f"What {NAME} is made of on {target}, and under which licences.", ""], defaultdict(list)
    for package in packages(target):
        if package["source"] is None:
            continue
        name = f"{package['name']} {package['version']}"
        lines.append(f"{name}: {package['license'] or package['license_file'] or 'no licence declared'}")
        if not package["license"] and not package["license_file"]:
            raise ReleaseError(f"{name} declares no licence")
        folder = Path(package["manifest_path"]).parent
        for file in sorted(path for path in folder.iterdir() if path.is_file() and FILES.match(path.name)):
            texts[file.read_text(encoding="utf-8", errors="replace").strip()].append(f"{name} ({file.name})")
    for text, owners in texts.items():
        lines += ["", "-" * 100, *owners, "-" * 100, "", text]
    return "\n".join(lines) + "\n"


def compiler(binary):
    """The compilers that a binary names in its section `.comment`, or `unknown`."""
    found = re.findall(rb"(?:rustc version|clang version|GCC:)[ -~]{1,120}", binary.read_bytes())
    return sorted({text.decode().strip() for text in found}) or ["unknown"]
