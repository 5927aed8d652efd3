"""Puts the Python modules that the package needs on the path: gRPC, Envoy's API, YAML, X.509.

Is: one call of deploy/local/install-tools, which installs them into .tools/ with the hashes of deploy/local/tools.txt.

Is not: a virtual environment. The Python that runs is the machine's.
"""

import functools
import subprocess
import sys
from pathlib import Path

from .build import ROOT, BuildError

INSTALLER = ROOT / "deploy" / "local" / "install-tools"


def _installed(tool):
    done = subprocess.run([sys.executable, str(INSTALLER), tool], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(done.stderr.strip() or f"{INSTALLER} {tool} ended with {done.returncode}")
    return Path(done.stdout.split(": ", 1)[1].rsplit(" (", 1)[0])


def put_on_path():
    """Makes `import grpc`, `import yaml` and `import envoy` work."""
    folder = str(_installed("mesh-modules").parents[4])
    if folder not in sys.path:
        sys.path.insert(0, folder)


@functools.cache
def envoy_binary():
    """Returns Envoy's path: that of $ENVOY, or the one in .tools/."""
    return _installed("envoy")
