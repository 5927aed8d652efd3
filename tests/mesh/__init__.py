"""A mesh on one machine, for tests: the real istiod, API server and Envoys, customs, and a site to go to.

Is: a library (`Mesh`; see README.md) and the test that `make mesh` runs (`python3 -m mesh`, with tests/ on the path).

Is not: a cluster. No container runs and no packet is captured; README.md says what that leaves unproven.
"""

from . import modules

modules.put_on_path()

from .rig import Mesh  # noqa: E402  (needs the modules)

__all__ = ["Mesh"]
