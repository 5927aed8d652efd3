"""Runs the commands of a document, and compares what they print with what the document says.

Is: every block that is fenced as `console` or `console cluster`. A line that begins with `$ ` is a command, run by a shell
with the commands of the mesh (control.py), in a directory that has the folders of the repository; a line that ends in `\\`
continues. The lines below it are what it prints, in this order: `...` in a line means any text, a line `...` any lines.
Each block is a step, named after its heading.

Is not: a block that is fenced as `console cluster by-hand`, which needs what a mesh on one machine does not have. Nor an
exact comparison. Lines between those that the document shows may be there. A command that only looks is repeated until it
prints what it must, and one that changes the cluster is followed by a wait until the Envoys have the change, as a reader's
next command is.
"""

import re
import time
from dataclasses import dataclass

from .build import ROOT
from .steps import StepFailed

FENCES = ("```console", "```console cluster")
LOOKS = re.compile(r"\b(exec|logs|get|check|test|lint)\b")
TRIES_FOR = 20


@dataclass(frozen=True)
class Command:
    """A command of a document, and the lines that it must print."""

    line: str
    printed: tuple


@dataclass(frozen=True)
class Block:
    """The commands of one block, and where it is."""

    heading: str
    at: int
    commands: tuple


def blocks(text):
    """Returns the blocks of a document."""
    found, heading, inside = [], "", None
    for number, line in enumerate(text.splitlines(), 1):
        if inside is None:
            if line.startswith("#"):
                heading = line.lstrip("# ")
            if line.strip() in FENCES:
                inside, start = [], number
        elif line.strip() == "```":
            found.append(Block(heading, start, _commands(inside)))
            inside = None
        else:
            inside.append(line)
    return found


def _commands(lines):
    commands = []
    continued = False
    for line in lines:
        if line.startswith("$ "):
            commands.append([line[2:], []])
        elif continued:
            commands[-1][0] = commands[-1][0][:-1] + line.strip()
        else:
            commands[-1][1].append(line)
            continue
        continued = commands[-1][0].endswith("\\")
    return tuple(Command(line, tuple(printed)) for line, printed in commands)


def matches(expected, printed):
    """Whether the lines of a document are among those that were printed, in this order."""
    remaining = iter([line.rstrip() for line in printed])
    for line in expected:
        if line.strip() in ("...", ""):
            continue
        pattern = re.compile(".*".join(map(re.escape, line.strip().split("..."))))
        if not any(pattern.fullmatch(seen.strip()) for seen in remaining):
            return line
    return None


def run(path, report, mesh, only=None):
    """Runs the blocks of a document as steps."""
    found = blocks((ROOT / path).read_text(encoding="utf-8"))
    if not found:
        raise StepFailed(f"{path} has no block that is fenced as console")
    for block in found:
        if only and not only(block):
            continue
        with report.step(f"{block.heading} ({path}:{block.at})", mesh) as step:
            for command in block.commands:
                run_command(step, command, mesh)


def run_command(step, command, mesh, tries_for=TRIES_FOR):
    """Runs one command; raises StepFailed if it does not print what the document says."""
    deadline = time.monotonic() + (tries_for if LOOKS.search(command.line) else 0)
    fails = any("exit code" in line for line in command.printed)
    while True:
        result = mesh.run(command.line)
        lines = (result.out + result.err).splitlines()
        missing = matches(command.printed, lines)
        expected_code = result.code == 0 or fails or (result.code == 1 and command.line.startswith("customs diff "))
        fits = missing is None and expected_code
        if fits or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    if "kubectl" in command.line and not LOOKS.search(command.line):
        mesh.settle()
    step.note(f"$ {command.line}")
    for line in command.printed:
        step.note(f"  expected: {line}")
    for line in lines[:12]:
        step.note(f"  answer:   {line[:160]}".rstrip())
    if not fits:
        what = f"the document says that it prints `{missing}`" if missing else f"it ended with {result.code}"
        raise StepFailed(f"{command.line}: {what}")
