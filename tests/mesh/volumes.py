"""The volumes of a pod, as files: ConfigMaps and Secrets as the kubelet projects them, and empty directories.

Is: for a ConfigMap, a directory whose entries are links through `..data`, which changes in one rename, as in a cluster. A
change arrives within a second; a kubelet takes about a minute.

Is not: every kind of volume. A kind that is not known here is an empty directory.
"""

import base64
import os
from pathlib import Path


class Volumes:
    """The volumes of one pod below `folder`."""

    def __init__(self, kubernetes, namespace, specs, folder):
        self._kubernetes, self._namespace, self._folder = kubernetes, namespace, folder
        self._specs = {spec["name"]: spec for spec in specs}
        self._versions = {}
        for name in self._specs:
            (folder / name).mkdir(parents=True)

    def path(self, name):
        return self._folder / name

    def update(self):
        """Brings every volume up to date; returns what is missing, or None if the pod can start."""
        missing = None
        for name, spec in self._specs.items():
            for source in self._sources(spec):
                reason = self._project(name, *source)
                missing = missing or reason
        return missing

    @staticmethod
    def _sources(spec):
        if "configMap" in spec:
            part = spec["configMap"]
            yield "configmaps", part["name"], part.get("optional", False), part.get("items")
        elif "secret" in spec:
            part = spec["secret"]
            yield "secrets", part["secretName"], part.get("optional", False), part.get("items")

    def _project(self, volume, kind, name, optional, items):
        found = self._kubernetes.call("GET", f"/api/v1/namespaces/{self._namespace}/{kind}/{name}")
        if found is None:
            return None if optional or volume in self._versions else f"{kind} {name!r} does not exist"
        version = found["metadata"]["resourceVersion"]
        if self._versions.get(volume) == version:
            return None
        decode = base64.b64decode if kind == "secrets" else str.encode
        files = {key: decode(text) for key, text in (found.get("data") or {}).items()}
        files |= {key: base64.b64decode(text) for key, text in (found.get("binaryData") or {}).items()}
        if items:
            files = {item["path"]: files[item["key"]] for item in items if item["key"] in files}
        self._write(self._folder / volume, files, version)
        self._versions[volume] = version
        return None

    @staticmethod
    def _write(folder, files, version):
        data = folder / f"..{version}"
        data.mkdir()
        for name, content in files.items():
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).write_bytes(content)
        old = folder / "..data"
        previous = folder / os.readlink(old) if old.is_symlink() else None
        staged = folder / "..data_tmp"
        staged.symlink_to(data.name)
        staged.replace(old)
        tops = {Path(name).parts[0] for name in files}
        for entry in folder.iterdir():
            if not entry.name.startswith("..") and entry.name not in tops:
                entry.unlink()
        for name in tops:
            if not (folder / name).is_symlink():
                (folder / name).symlink_to(f"..data/{name}")
        if previous:
            for entry in sorted(previous.rglob("*"), reverse=True):
                entry.rmdir() if entry.is_dir() else entry.unlink()
            previous.rmdir()
