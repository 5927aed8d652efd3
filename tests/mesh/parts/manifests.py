"""Every manifest of deploy/, applied to the API server with istiod's webhook (as a dry run of the server).

Is: every folder with a kustomization, and every other YAML file with Kubernetes objects, found by looking; so a new file is
tested without being named here. What is not a manifest is listed, and each kind of it has a reason.

Is not: proof that an object does something; the other parts ask that.
"""

import yaml

from ..rig import ROOT
from ..steps import StepFailed

DEPLOY = ROOT / "deploy"
# Kinds that no server knows, or that this one does not: what they are instead.
OVERLAY = "install.istio.io"
FOREIGN = {
    "cert-manager.io": "cert-manager is not installed here",
    "monitoring.coreos.com": "the Prometheus operator is not installed here",
    "istio.alibabacloud.com": "an API of Alibaba Cloud Service Mesh, for which there is no schema here",
    "egress.customs": "read by customs, not by Kubernetes",
}


def run(report, mesh):
    folders, files, others = _found()
    with report.step("what there is", mesh) as step:
        step.note(f"  {len(folders)} kustomizations, {len(files)} files, {len(others)} files without Kubernetes objects:")
        for path in others:
            step.note(f"    {path.relative_to(ROOT)}")
        step.expect("the scenario and deploy/istio are among them", len(folders) >= 5 and len(files) >= 10)
    with report.step("the CRDs of Envoy Gateway", mesh) as step:
        step.note(f"  {mesh.kubernetes.must('apply', '--server-side', '-f', mesh.programs['envoy-gateway-crds']).count('serverside-applied')}")
    with report.step("the namespaces that they name", mesh) as step:
        for name in sorted(_namespaces(mesh, folders, files)):
            labels = _labels(mesh, folders, files, name)
            if mesh.kubernetes.call("GET", f"/api/v1/namespaces/{name}") is None:
                namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
                mesh.kubernetes.call("POST", "/api/v1/namespaces", namespace)
                step.note(f"  {name}: created for this part, with the labels {labels}")
    for folder in folders:
        with report.step(f"kustomization {folder.relative_to(ROOT)}", mesh) as step:
            _apply(step, mesh, mesh.kubernetes.must("kustomize", folder))
    for file in files:
        with report.step(f"file {file.relative_to(ROOT)}", mesh) as step:
            _apply(step, mesh, file.read_text(encoding="utf-8"))
    with report.step("the webhook refuses a manifest that is wrong", mesh) as step:
        text = (DEPLOY / "istio" / "gateway" / "authorization-policy.yaml").read_text(encoding="utf-8")
        wrong = text.replace("- {}", "- from: [{source: {namespaces: [demo-frontend]}}]")
        try:
            _apply(step, mesh, wrong)
        except StepFailed as error:
            step.note(f"  {str(error)[:200]}")
        else:
            raise StepFailed("the server took it")


def _found():
    """Kustomizations, files with objects outside of them, and files without objects."""
    kustomizations = sorted(path.parent for path in DEPLOY.rglob("kustomization.yaml"))
    folders, files, others = [], [], []
    for folder in kustomizations:
        kind = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8")).get("kind", "Kustomization")
        if kind == "Kustomization":  # a Component is rendered by those that use it
            folders.append(folder)
    for path in sorted([*DEPLOY.rglob("*.yaml"), *DEPLOY.rglob("*.yml")]):
        owned = any(folder in path.parents for folder in kustomizations)
        if path.name == "kustomization.yaml" or "templates" in path.parts or (owned and not _overlay(path)):
            continue
        (files if _objects(path) else others).append(path)
    return folders, files, others


def _documents(text):
    try:
        return [document for document in yaml.safe_load_all(text) if document]
    except yaml.YAMLError:
        return []


def _objects(path):
    documents = _documents(path.read_text(encoding="utf-8"))
    return documents and all(isinstance(each, dict) and "apiVersion" in each and "kind" in each for each in documents)


def _overlay(path):
    return OVERLAY in path.read_text(encoding="utf-8")


def _group(document):
    return document["apiVersion"].partition("/")[0] if "/" in document["apiVersion"] else ""


def _namespaces(mesh, folders, files):
    texts = [mesh.kubernetes.kubectl("kustomize", folder).out for folder in folders]
    texts += [file.read_text(encoding="utf-8") for file in files]
    return {each.get("metadata", {}).get("namespace") for text in texts for each in _documents(text)} - {None}


def _labels(mesh, folders, files, name):
    """The labels that a manifest gives the namespace: they define which pods it admits."""
    texts = [mesh.kubernetes.kubectl("kustomize", folder).out for folder in folders]
    texts += [file.read_text(encoding="utf-8") for file in files]
    found = [each for text in texts for each in _documents(text) if each.get("kind") == "Namespace" and each["metadata"]["name"] == name]
    return found[0]["metadata"].get("labels", {}) if found else {}


def _pod(document):
    """The pod that a controller would make of a workload."""
    template = document["spec"]["template"]
    metadata = {**template["metadata"], "name": "try", "namespace": document["metadata"].get("namespace", "default")}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _apply(step, mesh, text):
    """Applies what the server knows, and says why the rest is not applied."""
    known = []
    for document in _documents(text):
        group = _group(document)
        name = f"{document['kind']} {document.get('metadata', {}).get('name', '')}".strip()
        if group == OVERLAY:
            _configure(step, mesh, document)
        elif group in FOREIGN:
            step.note(f"  {name}: not applied: {FOREIGN[group]}")
        else:
            known.append(document)
            if document["kind"] in ("Deployment", "StatefulSet", "DaemonSet"):
                _admit(step, mesh, document)
    if known:
        dry_run = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-")
        result = mesh.kubernetes.kubectl(*dry_run, stdin=yaml.safe_dump_all(known))
        for line in (result.out + result.err).splitlines():
            step.note(f"  {line[:200]}")
        if result.code != 0:
            raise StepFailed(f"kubectl apply ended with {result.code}: {result.err.strip()[:500]}")


def _admit(step, mesh, document):
    """The server refuses pods by their namespace's level only when they are made, so one is made, as a dry run."""
    accounts = f"/api/v1/namespaces/{document['metadata']['namespace']}/serviceaccounts"
    wanted = document["spec"]["template"]["spec"].get("serviceAccountName", "default")
    if mesh.kubernetes.call("GET", f"{accounts}/{wanted}") is None:
        mesh.kubernetes.call("POST", accounts, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": wanted}})
    result = mesh.kubernetes.kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(_pod(document)))
    step.note(f"  {(result.out + result.err).strip()[:300]}")
    if result.code != 0:
        raise StepFailed(f"a pod of {document['kind']} {document['metadata']['name']} is refused: {result.err.strip()[:500]}")


def _configure(step, mesh, document):
    """An overlay of the mesh configuration: istiod must take it, without a word of complaint."""
    log = mesh.folder / "istiod.log"
    before = log.stat().st_size
    mesh.istiod.configure(document["spec"]["meshConfig"])
    mesh.settle()
    complaints = [
        line for line in log.read_text(errors="replace")[before:].splitlines() if "mesh config" in line.lower() and "error" in line
    ]
    step.note(f"  meshConfig {', '.join(document['spec']['meshConfig'])}: configured")
    if complaints:
        raise StepFailed(f"istiod: {complaints[0]}")
