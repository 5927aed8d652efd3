"""Ports of 127.0.0.1 for one mesh, which no other mesh takes.

Is: a block of ports below the range that outgoing connections use, held by a lock on a file as long as the process lives, so
that two runs at once do not meet.

Is not: a guarantee against other programs; a port that is in use is passed over.
"""

import fcntl
import os
import socket
import tempfile
import threading
from pathlib import Path

LOOPBACK = "127.0.0.1"
FIRST, BLOCK, BLOCKS = 12000, 500, 20


class Ports:
    """Hands out each port of its block at most once."""

    def __init__(self):
        folder = Path(tempfile.gettempdir()) / f"customs-mesh-ports-{os.getuid()}"
        folder.mkdir(exist_ok=True)
        self._guard = threading.Lock()
        for block in range(BLOCKS):
            handle = open(folder / f"{block}.lock", "w", encoding="utf-8")
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.close()
                continue
            self._lock = handle
            self._next = FIRST + block * BLOCK
            self._end = self._next + BLOCK
            return
        raise RuntimeError(f"{BLOCKS} meshes are running; end one of them")

    def take(self):
        """Returns a free port."""
        with self._guard:
            while self._next < self._end:
                port = self._next
                self._next += 1
                with socket.socket() as probe:
                    try:
                        probe.bind((LOOPBACK, port))
                        return port
                    except OSError:
                        continue
        raise RuntimeError(f"the mesh has used its {BLOCK} ports")

    def close(self):
        """Lets another mesh have the block."""
        self._lock.close()
