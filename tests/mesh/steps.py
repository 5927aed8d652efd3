"""Steps and their transcript: what was asked, what was expected, what came, and how long it took.

Is: the words in which parts/ are written. A step fails on its own; the steps after it still run. An expectation about a change
that is on its way is tried again until it holds or its time is over; one about a state that must not change is tried once.

Is not: a timer of anything but steps. No step fails because it was slow, unless nothing came at all.
"""

import contextlib
import time
import traceback
from dataclasses import dataclass
from datetime import datetime, timezone

from .client import Request


# customs writes records to its output in groups.
WRITTEN_WITHIN = 1.2


class StepFailed(AssertionError):
    """An expectation that did not hold; the message says which."""


@dataclass(frozen=True)
class Expect:
    """What a client must see."""

    status: int | None  # None: the connection is closed without an answer
    reason: str | None = None
    site: bool = False

    def __str__(self):
        if self.status is None:
            return "a closed connection"
        if self.site:
            return f"{self.status}, from the site"
        return f"{self.status}, by customs: {self.reason}" if self.reason else f"{self.status}, not from the site nor by customs"

    def holds(self, answer):
        return (answer.status, answer.reason, answer.reached_site) == (self.status, self.reason, self.site)


SITE = Expect(301, site=True)
CLOSED = Expect(None)
DENIED = Expect(403, "denied_by_rule")


class Report:
    """Prints steps as they end, and keeps the transcript."""

    def __init__(self, file, quiet=False):
        self.failed, self.passed, self.part = [], 0, ""
        self.file, self._quiet = file, quiet

    def line(self, text):
        if not self._quiet:
            print(text, flush=True)
        self.file.write(text + "\n")
        self.file.flush()

    @contextlib.contextmanager
    def step(self, name, mesh):
        """Runs a step: the block is given a Step, and fails the step by raising."""
        step, began = Step(mesh), time.monotonic()
        trouble = None
        try:
            yield step
        except StepFailed as error:
            trouble = [str(error)]
        except Exception as error:  # a fault of the test fails this step, and the transcript says where
            trouble = [f"{type(error).__name__}: {error}", *traceback.format_exc().splitlines()[-6:]]
        title = f"{self.part}: {name}"
        self.line(f"{'FAIL' if trouble else 'PASS'} {title} ({time.monotonic() - began:.1f} s)")
        for line in [*step.lines, *(trouble or [])]:
            self.line(f"     {line}")
        if trouble:
            self.failed.append(title)
        else:
            self.passed += 1


class Step:
    """What a step can do and expect."""

    def __init__(self, mesh):
        self.mesh, self.lines = mesh, []
        self._began = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")

    def note(self, text):
        self.lines.append(text)

    def do(self, what, action, *arguments):
        """Does something to the mesh, and notes it."""
        self.note(f"$ {what}")
        return action(*arguments)

    def asks(self, namespace, url, expected, within=15, **options):
        """A pod asks for a URL; the answer must be the expected one, at the latest after `within` seconds."""
        request = Request(url, **options)
        deadline = time.monotonic() + within
        while True:
            answer = self.mesh.send(namespace, request)
            if expected.holds(answer) or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        self.note(f"$ {namespace}/sleep: {request}")
        self.note(f"  expected: {expected}")
        self.note(f"  answer:   {answer} ({answer.seconds:.2f} s)")
        if not expected.holds(answer):
            raise StepFailed(f"expected {expected}")
        return answer

    @staticmethod
    def pause():
        """Waits between two tries."""
        time.sleep(0.2)

    def new_records(self):
        """The records of decisions that were made since the step began."""
        return [record for record in self.mesh.records() if record["time"] >= self._began]

    def recorded(self, within=5, **fields):
        """A record of this step has these fields."""
        deadline = time.monotonic() + within
        while True:
            found = [each for each in self.new_records() if all(each.get(k) == v for k, v in fields.items())]
            if found or time.monotonic() > deadline:
                break
            time.sleep(0.1)
        self.note(f"  record: {', '.join(f'{k} {v}' for k, v in fields.items())}: {len(found)}")
        if not found:
            seen = [{k: each.get(k) for k in fields} for each in self.new_records()[-3:]]
            raise StepFailed(f"expected a record with {fields}; the last are {seen}")
        return found[-1]

    def not_recorded(self, **fields):
        """No record of this step has these fields, once those under way have been written."""
        time.sleep(WRITTEN_WITHIN)
        found = [each for each in self.new_records() if all(each.get(k) == v for k, v in fields.items())]
        self.note(f"  record: {', '.join(f'{k} {v}' for k, v in fields.items()) or 'any'}: {len(found)}")
        if found:
            raise StepFailed(f"expected no such record; there is {found[-1]}")

    def expect(self, what, condition):
        """Something else must hold."""
        self.note(f"  {what}: {'yes' if condition else 'no'}")
        if not condition:
            raise StepFailed(f"expected: {what}")
