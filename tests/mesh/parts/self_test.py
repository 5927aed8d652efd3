"""A step can fail: broken set-ups, and the report that calls each of them a failure.

Is: the words of the other parts on policies, routes and documents that are wrong on purpose. A step of this part passes if
the step inside it failed, for the right reason.

Is not: a test of customs.
"""

import io
import os
import unittest.mock

import yaml

from .. import build, documents
from ..rig import ISTIO
from ..steps import DENIED, SITE, Report

URL = "http://www.aliyun.com/"


def run(report, mesh):
    mesh.base("enforce")
    with report.step("the set-up is right: no failure", mesh) as step:
        inner = _inside(mesh, lambda inside: inside.asks("demo-frontend", URL, DENIED))
        step.expect("the step inside passed", (inner.passed, inner.failed) == (1, []))
    with report.step("an expectation that is wrong fails", mesh) as step:
        _fails(step, mesh, "expected 301, from the site", lambda inside: inside.asks("demo-frontend", URL, SITE, within=1))
    with report.step("a record that does not exist fails", mesh) as step:
        _fails(step, mesh, "expected a record", lambda inside: inside.recorded(within=1, host="nobody.example"))
    with report.step("a record that must not exist fails", mesh) as step:

        def asks_and_denies_it(inside):
            inside.asks("demo-frontend", URL, DENIED)
            inside.not_recorded(host="www.aliyun.com")

        _fails(step, mesh, "expected no such record", asks_and_denies_it)
    with report.step("a policy for another host fails the step that needs it", mesh) as step:
        policies = yaml.safe_load((ISTIO / "policies" / "config-map.yaml").read_text(encoding="utf-8"))
        right = policies["data"]["demo-frontend.yaml"]
        policies["data"]["demo-frontend.yaml"] = right.replace("www.aliyun.com", "www.aliyun.example")
        mesh.apply(policies)
        step.asks("demo-frontend", URL, SITE)
        _fails(step, mesh, "expected 403, by customs", lambda inside: inside.asks("demo-frontend", URL, DENIED, within=1))
    with report.step("a policy that does not parse changes nothing: what was in force stays", mesh) as step:
        policies["data"]["demo-frontend.yaml"] = right.replace("deny:", "denny:")
        mesh.apply(policies)
        step.asks("demo-frontend", URL, SITE)
        _fails(step, mesh, "expected 403, by customs", lambda inside: inside.asks("demo-frontend", URL, DENIED, within=3))
    with report.step("a document that says the wrong thing fails", mesh) as step:
        command = "$ kubectl -n demo-backend exec deploy/sleep -- curl -sI http://www.aliyun.com/"
        block = documents.blocks(f"# Heading\n```console\n{command}\nHTTP/1.1 403 Forbidden\n```\n")[0]

        def says_403(inside):
            documents.run_command(inside, block.commands[0], mesh, tries_for=1)

        _fails(step, mesh, "the document says that it prints `HTTP/1.1 403 Forbidden`", says_403)
    with report.step("a command that fails fails the document", mesh) as step:
        block = documents.blocks("# Heading\n```console\n$ kubectl apply -f deploy/nothing-here.yaml\n```\n")[0]
        _fails(step, mesh, "it ended with 1", lambda inside: documents.run_command(inside, block.commands[0], mesh))
    with report.step("without Go, or with one that is too old, building says what to do", mesh) as step:
        folder = mesh.folder / "old-go"
        folder.mkdir()
        for expected in ("is not on the PATH", "go1.20.1 is too old"):
            try:
                with unittest.mock.patch.dict(os.environ, {"PATH": str(folder)}):
                    build.check_go()
                step.expect("it fails", False)
            except build.BuildError as error:
                step.note(f"  {str(error).splitlines()[0]}")
                step.expect(f"it says: {expected}, and the remedy", expected in str(error) and "Install Go" in str(error))
            (folder / "go").write_text("#!/bin/sh\necho go1.20.1\n", encoding="utf-8")
            (folder / "go").chmod(0o755)


def _inside(mesh, action):
    """Runs an action as a step of a report of its own."""
    inner = Report(io.StringIO(), quiet=True)
    with inner.step("inside", mesh) as inside:
        action(inside)
    return inner


def _fails(step, mesh, because, action):
    inner = _inside(mesh, action)
    text = inner.file.getvalue()
    step.note("  inside: " + text.strip().splitlines()[-1].strip()[:160])
    step.expect("the step inside failed", inner.failed == [": inside"] and text.startswith("FAIL"))
    step.expect(f"it says: {because}", because in text)
