"""The tools that the checks need, each in the version that deploy/local/tools.txt and package-lock.json pin.

deploy/local/install-tools installs kubectl, helm, Node.js and kubernetes-validate; the schemas of CRDs are npm packages,
which go to .tools/ as well.
"""

import functools
import hashlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from . import REPOSITORY

HERE = Path(__file__).resolve().parent
TOOLS = REPOSITORY / ".tools"
INSTALL_TOOLS = REPOSITORY / "deploy" / "local" / "install-tools"
NAMES = ("kubectl", "node", "kubernetes-validate")

KUBERNETES_VERSIONS = ("1.29", "1.37")  # the oldest and the newest the objects are checked for
IMAGE_VOLUMES_SINCE = "1.33"  # the oldest for objects with the volume source `image`


class Unusable(Exception):
    """A tool or a file without which nothing can be checked."""


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise Unusable(f"`{' '.join(map(str, command[:4]))} ...` exited {done.returncode}:\n{said}")
    return done.stdout


class Tools:
    def __init__(self, charts=True):
        """With `charts`, helm too, which is not there for every machine."""
        said = run([sys.executable, str(INSTALL_TOOLS), *NAMES, *(["helm"] if charts else [])])
        found = dict(re.findall(r"^(\S+): (.+) \([^()]*\)$", said, re.MULTILINE))
        self.versions = dict(re.findall(r"^(\S+): .+ \(([^()]*)\)$", said, re.MULTILINE))
        self.kubectl, self.node, self.helm = found["kubectl"], found["node"], found.get("helm")
        sys.path.insert(0, str(Path(found["kubernetes-validate"]).parents[1]))
        import kubernetes_validate
        import yaml

        self.kubernetes = kubernetes_validate
        # The package reads all the definitions of a version again for each object, which is most of the time.
        utils = kubernetes_validate.utils
        utils.schema_contents = functools.lru_cache(maxsize=None)(utils.schema_contents)
        self.yaml = yaml
        self.models = self._npm_packages(Path(self.node).parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
        self._answers = {}
        self._checker = None

        package = self.models / "node_modules" / "@kubernetes-models" / "istio" / "package.json"
        crds = re.search(r"istio/([0-9.]+)/manifests/charts/base/files", package.read_text())
        self.istio = crds[1] if crds else "unknown"

    def _npm_packages(self, npm):
        """The folder .tools/kubernetes-models-HASH. The rename comes last, so half is never taken for whole."""
        names = ("package.json", "package-lock.json")
        pinned = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in names)).hexdigest()
        target = TOOLS / f"kubernetes-models-{pinned[:12]}"
        if target.is_dir():
            return target
        print(f"installing the schemas of CRDs into {TOOLS}", flush=True)
        with tempfile.TemporaryDirectory(dir=TOOLS, prefix=".kubernetes-models-") as scratch:
            fresh = Path(scratch) / "fresh"
            fresh.mkdir()
            for name in names:
                (fresh / name).write_bytes((HERE / name).read_bytes())
            # `ci` takes exactly what the lock file pins, by hash.
            run([self.node, str(npm), "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"], cwd=fresh)
            try:
                fresh.rename(target)
            except OSError:
                if not target.is_dir():  # else another run was quicker
                    raise
        return target

    def documents(self, text):
        """The YAML documents of a text. A key given twice is an error, which PyYAML alone would let pass."""
        yaml = self.yaml

        class Strict(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            def construct_mapping(self, node, deep=False):
                seen = set()
                for key, _ in node.value:
                    name = self.construct_object(key, deep=True)
                    if name in seen:
                        raise yaml.constructor.ConstructorError(None, None, f"duplicate key {name!r}", key.start_mark)
                    seen.add(name)
                return super().construct_mapping(node, deep)

        return [document for document in yaml.load_all(text, Loader=Strict) if document is not None]

    def kustomized(self, folder):
        """What `kubectl kustomize` makes of a folder."""
        return self.documents(run([self.kubectl, "kustomize", str(folder)]))

    def against_kubernetes(self, thing, version):
        asked = (version, json.dumps(thing))
        if asked not in self._answers:
            self._answers[asked] = self._against_kubernetes(thing, version)
        return self._answers[asked]

    def _against_kubernetes(self, thing, version):
        try:
            self.kubernetes.validate(thing, version, strict=True)
        except self.kubernetes.ValidationError as error:
            return [f"{'.'.join(map(str, error.path)) or '(top)'}: {error.message}"]
        except self.kubernetes.SchemaNotFoundError as error:
            return [error.message]
        return []

    def against_crds(self, things):
        """One list of problems for each object."""
        asked = [json.dumps(thing) for thing in things]
        missing = [text for text in dict.fromkeys(asked) if text not in self._answers]
        if missing:
            self._answers.update(zip(missing, self._ask_checker(f"[{','.join(missing)}]")))
        return [self._answers[text] for text in asked]

    def _ask_checker(self, line):
        """What models.mjs answers. It runs until this process ends: to start it costs more than a hundred objects."""
        if self._checker is None:
            self._checker = subprocess.Popen([self.node, "--input-type=module", "--eval", (HERE / "models.mjs").read_text()],
                                             cwd=self.models, text=True, stdin=subprocess.PIPE,
                                             stdout=subprocess.PIPE)
        self._checker.stdin.write(f"{line}\n")
        self._checker.stdin.flush()
        answer = self._checker.stdout.readline()
        if not answer:
            raise Unusable("the check against the schemas of CRDs ended; what it printed says why")
        return json.loads(answer)

    def close(self):
        if self._checker is not None:
            self._checker.stdin.close()
            self._checker.stdout.close()
            self._checker.wait()
            self._checker = None
