"""Checks every object below deploy/istio, deploy/kustomize and deploy/helm, without a cluster or root.

deploy/istio/validate is the command, and says what it does; main.py runs it. checks.py lists what is checked, and the other
modules hold the checks of one subject each. `state` is everything that is checked, read once: faults.py and chart_faults.py
break it in memory, one thing at a time, and self_test.py sees each fault reported.
"""

from pathlib import Path

DEPLOY = Path(__file__).resolve().parents[1]
REPOSITORY = DEPLOY.parent
ISTIO = DEPLOY / "istio"
SCENARIO = DEPLOY / "scenario"
KUSTOMIZE = DEPLOY / "kustomize"
HELM = DEPLOY / "helm"
