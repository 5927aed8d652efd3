"""Breaks the objects in memory, one fault at a time, and sees each fault reported."""

import pickle

from .chart_faults import chart_faults
from .charts import chart_checks
from .checks import checks
from .faults import EVERY_FIELD, faults, reached


def self_test(tools, state):
    yield "an AuthorizationPolicy with every field passes", tools.against_crds([EVERY_FIELD])[0]
    yield "the objects as they are pass", [p for _, problems in checks(tools, state) for p in problems]
    yield "the chart as it is passes", [p for _, problems in chart_checks(tools, state) for p in problems]
    for what, things in reached():
        state["given"] = things
        yield f"{what} passes", [p for _, problems in checks(tools, state) for p in problems]
    state["given"] = []
    whole = pickle.dumps(state)  # quicker than a deep copy for each fault
    for look, list_of_faults in ((checks, faults()), (chart_checks, chart_faults())):
        for what, breaks, expected in list_of_faults:
            broken = pickle.loads(whole)
            breaks(broken)
            problems, reported = [], False
            for _, found in look(tools, broken):
                problems += found
                reported = any(expected in p for p in found)
                if reported:
                    break
            yield f"{what} is reported", [] if reported else [f"no problem says {expected!r}; said: {problems or 'nothing'}"]
