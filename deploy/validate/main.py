"""The command line of deploy/istio/validate and of deploy/helm/generate."""

import sys
import time

from .charts import chart_checks, chart_state
from .checks import checks
from .folder import Folder
from .generated import generate
from .self_test import self_test
from .tools import KUBERNETES_VERSIONS, Tools, Unusable


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def add(self, what, problems):
        self.passed, self.failed = self.passed + (not problems), self.failed + bool(problems)
        print(f"{'FAIL' if problems else 'ok':4}  {what}")
        for problem in problems:
            print(f"        {problem}")

    def add_all(self, found):
        for what, problems in found:
            self.add(what, problems)


def validate(usage, arguments):
    self_testing = arguments == ["--self-test"]
    if not self_testing and any(a.startswith("-") and a != "-" for a in arguments):
        print(usage)
        return 0 if arguments in (["--help"], ["-h"]) else 2
    report, began, tools = Report(), time.monotonic(), None
    everything = self_testing or not arguments  # for gateways that were given, the chart says nothing
    try:
        tools = Tools(charts=everything)
        folder = Folder(tools)
        state = folder.state()
        state["given"] = [] if self_testing else folder.given(arguments)
        if everything:
            state["chart"] = chart_state(tools, folder, state)
        print(f"Kubernetes {' and '.join(KUBERNETES_VERSIONS)}, strict; CRDs of Istio {tools.istio}; "
              f"{', '.join(f'{name} {version}' for name, version in tools.versions.items())}")
        if self_testing:
            report.add_all(self_test(tools, state))
        else:
            report.add_all(checks(tools, state))
            if everything:
                report.add_all(chart_checks(tools, state))
                report.add("every YAML file here belongs to the set", [f"{p} is read by nothing" for p in folder.unused()])
                print("note  no gateway of yours was given: `validate FILE...` tells whether each gateway is one that is made to ask")
    except Unusable as error:
        report.add("tools and files can be used", [str(error)])
    finally:
        if tools is not None:
            tools.close()
    print(f"{report.passed} passed, {report.failed} failed, {time.monotonic() - began:.0f} s")
    return 1 if report.failed else 0


def write(usage, arguments):
    if arguments:
        print(usage)
        return 0 if arguments in (["--help"], ["-h"]) else 2
    try:
        generate(Tools())
    except Unusable as error:
        print(f"generate: {error}", file=sys.stderr)
        return 1
    return 0
