"""Reads the objects of deploy/istio, and those that were given; notices a file that nobody uses."""

import sys
from pathlib import Path

from . import DEPLOY, ISTIO, KUSTOMIZE, SCENARIO
from .mutual_tls import MUTUAL_TLS
from .objects import VARIANTS
from .tools import Unusable

KUSTOMIZATION = {"apiVersion", "kind", "resources", "components", "patches", "images"}


class Folder:
    """Reads files and remembers which, so that a file nobody uses is noticed."""

    def __init__(self, tools):
        self.tools = tools
        self.used = set()

    def read(self, path, objects=True):
        """The objects in a file; without `objects` it may also be a file of another kind, which has none."""
        path = path.resolve()
        self.used.add(path)
        try:
            found = self.tools.documents(path.read_text())
        except (OSError, self.tools.yaml.YAMLError) as error:
            raise Unusable(f"{path.relative_to(DEPLOY)}: {' '.join(str(error).split())}") from error
        if not objects and not any(isinstance(thing, dict) and "apiVersion" in thing for thing in found):
            return []
        for thing in found:
            if not isinstance(thing, dict) or not isinstance(thing.get("kind"), str) or "apiVersion" not in thing:
                raise Unusable(f"{path.relative_to(DEPLOY)}: a document without apiVersion and kind")
        return found

    def render(self, folder):
        """What `kubectl kustomize` makes of a folder, after each of its files was read strictly."""
        self.walk(folder)
        return self.tools.kustomized(folder)

    def walk(self, folder):
        """Reads every file that a kustomization leads to."""
        [rules] = self.read(folder / "kustomization.yaml")
        unknown = rules.keys() - KUSTOMIZATION
        if unknown:
            place = (folder / "kustomization.yaml").resolve().relative_to(DEPLOY)
            raise Unusable(f"{place}: these checks do not know {', '.join(sorted(unknown))}")
        for name in rules.get("resources", []) + rules.get("components", []):
            path = folder / name
            if path.is_dir():
                self.walk(path)
            else:
                self.read(path)

    def state(self):
        return {
            "cluster": {variant: self.render(ISTIO / variant) for variant in VARIANTS},
            "mesh": {variant: self.read(ISTIO / variant / "mesh-config.yaml") for variant in VARIANTS},
            "gateway": [t for path in sorted((ISTIO / "gateway").glob("*.yaml")) for t in self.read(path)],
            "gateway-api": self.render(ISTIO / "gateway-api"),
            "policies": [t for path in sorted((ISTIO / "policies").glob("*.yaml")) for t in self.read(path)],
            "mutual-tls": {way: self.render(ISTIO / "mutual-tls" / way) for way in MUTUAL_TLS},
            "scenario": {str(path.relative_to(DEPLOY)): things for path, things in self.scenario()},
        }

    def scenario(self):
        """(path, objects) of each kustomization of deploy/scenario, and of each file that is in none."""
        kustomizations = [path.parent for path in sorted(SCENARIO.rglob("kustomization.yaml"))]
        for folder in kustomizations:
            yield folder, self.tools.kustomized(folder)
        for path in sorted(SCENARIO.rglob("*.yaml")):
            if not any(folder in path.parents for folder in kustomizations):
                yield path, self.read(path, objects=False)

    def given(self, names):
        """The objects in files that are not of this folder; lists, as `kubectl get` makes them, are taken apart."""
        texts = []
        for name in names:
            path = Path(name)
            try:
                if name == "-":
                    texts.append(("stdin", sys.stdin.read()))
                else:
                    files = sorted(path.rglob("*.yaml")) + sorted(path.rglob("*.yml")) if path.is_dir() else [path]
                    texts += [(str(file), file.read_text()) for file in files]
            except OSError as error:
                raise Unusable(str(error)) from error
        things = []
        for name, text in texts:
            try:
                found = self.tools.documents(text)
            except self.tools.yaml.YAMLError as error:
                raise Unusable(f"{name}: {' '.join(str(error).split())}") from error
            found = [item for thing in found if isinstance(thing, dict)
                     for item in (thing.get("items") or [] if str(thing.get("kind", "")).endswith("List") else [thing])]
            things += [t for t in found if isinstance(t, dict) and "kind" in t and isinstance(t.get("metadata"), dict)]
        return things

    def unused(self):
        there = {p.resolve() for home in (ISTIO, KUSTOMIZE) for suffix in ("yaml", "yml", "json") for p in home.rglob(f"*.{suffix}")}
        return sorted(str(p.relative_to(DEPLOY)) for p in there - self.used)
