"""The scenario in fifteen minutes: every command of deploy/scenario/README.md, in order.

Is: the document itself, run by documents.py; what it says is printed must be printed.

Is not: all that the scenario's files do; the other parts ask what a reader of the README does not.
"""

from .. import documents


def run(report, mesh):
    documents.run("deploy/scenario/README.md", report, mesh)
