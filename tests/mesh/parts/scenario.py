"""The scenario in fifteen minutes: every command of docs/tutorial/mesh-scenario.md, in order.

Is: the document itself, run by documents.py; what it says is printed must be printed.

Is not: all that the scenario's files do; the other parts ask what a reader of the tutorial does not.
"""

from .. import documents


def run(report, mesh):
    documents.run("docs/tutorial/mesh-scenario.md", report, mesh)
