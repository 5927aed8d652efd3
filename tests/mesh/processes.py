"""The processes of one mesh: started with a log file each, and ended with the mesh.

Is: the one place that starts, pauses and ends programs.

Is not: a supervisor. A program that ends by itself stays ended; `check` reports it.
"""

import os
import signal
import subprocess
import threading
import time


class ProcessError(Exception):
    """A program that ended, or did not become ready."""


class Process:
    """One program and its log file, which holds stdout and stderr as a container's log does."""

    def __init__(self, name, arguments, folder, environment=None):
        self.name, self.log = name, folder / f"{name}.log"
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **(environment or {})}
        # Envoy opens its log again as /dev/stdout, so each file is appended to.
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [str(word) for word in arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment,
                start_new_session=True,  # an interrupt from the terminal reaches the test, which ends the rest in order
            )

    def running(self):
        return self.child.poll() is None

    def pause(self):
        """Stops the program without ending it, as a process that hangs."""
        self.child.send_signal(signal.SIGSTOP)

    def resume(self):
        self.child.send_signal(signal.SIGCONT)

    def ask_to_end(self):
        if self.running():
            self.child.send_signal(signal.SIGTERM)
            self.child.send_signal(signal.SIGCONT)

    def end(self, seconds=5):
        """Ends the program, by force if it does not end in time."""
        self.ask_to_end()
        try:
            self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def tail(self, characters=2000):
        return self.log.read_text(errors="replace")[-characters:].strip()


class Processes:
    """All programs of one mesh."""

    def __init__(self, folder):
        self.folder = folder
        self._lock, self._all = threading.Lock(), []

    def start(self, name, arguments, environment=None):
        process = Process(name, arguments, self.folder, environment)
        with self._lock:
            self._all.append(process)
        return process

    def end_all(self):
        """Ends every program that was started; the last started ends first."""
        with self._lock:
            remaining = [process for process in reversed(self._all) if process.running()]
        for process in remaining:
            process.ask_to_end()
        deadline = time.monotonic() + 1.5
        for process in remaining:
            process.end(max(0, deadline - time.monotonic()))


def wait_until(what, test, seconds, processes=()):
    """Returns the first true result of `test`; connection errors count as false."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            result = test()
        except (OSError, EOFError):
            result = None
        if result:
            return result
        for process in processes:
            if not process.running():
                raise ProcessError(f"{process.name} ended with {process.child.returncode}: {process.tail()}")
        if time.monotonic() > deadline:
            raise ProcessError(f"{what}: not within {seconds} s")
        time.sleep(0.05)
