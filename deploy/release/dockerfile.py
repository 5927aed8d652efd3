"""Reads the stages of the Dockerfile.

It knows the instructions that the stages of this repository use, and refuses others: what it cannot read it must not skip.
"""

import json
import re

from common import ROOT, ReleaseError

# What starts the program is the same in every image of it.
RUNTIME = ("USER", "EXPOSE", "ENTRYPOINT", "CMD")


def stages(text=None):
    """The stages: (name, base, [(instruction, rest), ...]), in order. A stage without a name has None."""
    if text is None:
        text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found = []
    for line in re.sub(r"\\\n", " ", lines).splitlines():
        if not line.strip():
            continue
        instruction, _, rest = line.strip().partition(" ")
        instruction, rest = instruction.upper(), " ".join(rest.split())
        if instruction == "FROM":
            named = re.fullmatch(r"(\S+)(?: AS (\S+))?", rest, re.IGNORECASE)
            if not named:
                raise ReleaseError(f"Dockerfile: cannot read `FROM {rest}`")
            found.append((named.group(2), named.group(1), []))
        elif not found:
            raise ReleaseError(f"Dockerfile: `{instruction}` before the first FROM")
        else:
            found[-1][2].append((instruction, rest))
    return found


def stage(name):
    for found, base, steps in stages():
        if found == name:
            return base, steps
    raise ReleaseError(f"Dockerfile has no stage `{name}`")


def words(rest):
    """The value of ENTRYPOINT or CMD, which must be a JSON list: a shell form needs a shell, and the image has none."""
    try:
        value = json.loads(rest)
    except ValueError:
        value = None
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ReleaseError(f"Dockerfile: `{rest}` is not a list of words")
    return value


def runtime(steps):
    """How an image is started, by its last instruction of each kind."""
    return {instruction: rest for instruction, rest in steps if instruction in RUNTIME}
