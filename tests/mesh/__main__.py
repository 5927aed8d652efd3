"""The test that `make mesh` runs: every part, or those that are named.

Is: the list of parts, the transcript in target/mesh/transcript.txt, and the exit code: 1 if a step failed.

Is not: part of `make test`; it needs Go once, and minutes each time.
"""

import argparse
import os
import signal
import sys
import time

from . import parts
from .build import ROOT, BuildError, provide
from .customs import CustomsError, customs_binary
from .rig import Mesh
from .steps import Report


def main():
    arguments = argparse.ArgumentParser(prog="tests/mesh/run", description=__doc__.splitlines()[0])
    arguments.add_argument("parts", nargs="*", metavar="PART", help="one of: " + ", ".join(parts.ALL))
    arguments.add_argument("--list", action="store_true", help="print the parts and what each shows")
    chosen = arguments.parse_args()
    unknown = [name for name in chosen.parts if name not in parts.ALL]
    if unknown:
        arguments.error(f"no part is called {unknown[0]!r}; there are {', '.join(parts.ALL)}")
    if chosen.list:
        for name, part in parts.ALL.items():
            print(f"{name:12} {part.__doc__.splitlines()[0]}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every process ends on the way out
    began = time.monotonic()
    try:
        provide()
        binary = customs_binary()
    except (BuildError, CustomsError) as error:
        print(f"mesh: {error}", file=sys.stderr)
        return 2
    folder = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "mesh"
    folder.mkdir(parents=True, exist_ok=True)
    staged = folder / f"transcript-{os.getpid()}.txt"
    try:
        with staged.open("w", encoding="utf-8") as file:
            report = Report(file)
            report.line(f"customs: {binary}")
            for name in chosen.parts or parts.ALL:
                _run(report, name, parts.ALL[name])
            report.line(f"{report.passed} passed, {len(report.failed)} failed ({time.monotonic() - began:.0f} s)")
            for title in report.failed:
                report.line(f"  {title}")
    finally:
        staged.replace(folder / "transcript.txt")
    print(f"transcript: {folder / 'transcript.txt'}")
    return int(bool(report.failed))


def _run(report, name, part):
    """Runs a part on a mesh of its own."""
    report.part = name
    began = time.monotonic()
    try:
        with Mesh(keep=bool(os.environ.get("KEEP")), features=getattr(part, "FEATURES", None)) as mesh:
            report.line(f"---- {name}: a mesh in {time.monotonic() - began:.1f} s")
            part.run(report, mesh)
            with report.step("every Envoy took what istiod sent", mesh) as step:
                refused = [text for _, _, text in mesh.discovery.refusals]
                step.expect(f"no refusal {refused[:2] or ''}".strip(), not refused)
                step.expect("the player of the node is well", mesh.kubelet.trouble is None)
    except Exception as error:  # the mesh did not come up: the other parts may
        report.failed.append(f"{name}: no mesh")
        report.line(f"FAIL {name}: no mesh: {type(error).__name__}: {error}")


if __name__ == "__main__":
    sys.exit(main())
