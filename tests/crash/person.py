"""A person for crash tests: starts a drill that is killed, undoes it, and compares the state with that before.

Where the drills run is said by `sandbox.py` and `lab.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rollproof.clients.kube import Kube
from rollproof.errors import RollproofError
from tests.waiting import until

__all__ = ["PYTHON", "ROOT", "Drill", "Person"]

ROOT = Path(__file__).resolve().parents[2]
HOOK = Path(__file__).parent / "hook"
PYTHON = (sys.executable, "-m", "rollproof")
_CHANGES_BY_ITSELF = ("revision", "restartedAt", "refresh")  # parts of annotations that others count up or remove

Drill = tuple[str, ...]


class Person(ABC):
    """One cluster with many runs: each has to leave it as it was, so that the next can begin.

    `watched`: the kinds that are compared, by namespace ("": of the cluster); `pods_of`: the namespace of the app.
    """

    watched: Mapping[str, tuple[str, ...]]
    pods_of: str
    same_s = 60.0  # after an undo, until all is as before
    left_s = 240.0  # until a dead-man has acted: its time, and that of two busy cores
    command_s = 240.0

    def __init__(self, folder: Path, target: Path, kube: Kube) -> None:
        self.folder, self.target = folder, target
        self.reports = folder / "reports"
        self._kube = kube
        self.before = self.snapshot()

    @abstractmethod
    def tree(self) -> str:
        """The id of the env repo's tree."""

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """Before each point: bring about what its drill needs beside the state before."""

    @abstractmethod
    def close(self) -> None:
        """End what was started."""

    # -- state ---------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """What a run may change: the objects without generated fields, and the tree of the env repo."""
        pods = self._kube.list("Pod", self.pods_of)["items"]
        running = sorted({pod["spec"]["containers"][0]["image"] for pod in pods})
        return {"git": self.tree(), **self._objects(), "running": running}

    def _objects(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for namespace, kinds in self.watched.items():
            for kind in kinds:
                for item in self._kube.list(kind, namespace)["items"]:
                    found[f"{kind}/{namespace}/{item['metadata']['name']}"] = _as_written(item)
        return found

    def difference(self) -> str:
        """What differs from the state before, "" if nothing; waits a moment for the cluster."""
        end_s = time.monotonic() + self.same_s
        while True:
            try:
                wrong = self._changed(self.snapshot())
            except (RollproofError, subprocess.SubprocessError) as error:
                wrong = f"nobody can look: {error}"
            if not wrong or time.monotonic() > end_s:
                return wrong
            time.sleep(0.2)

    def changed_objects(self) -> set[str]:
        """The objects that are not as before, at once; without the lock, which a killed run keeps until its undo.

        Nor is git asked, which the fault may have taken away.
        """
        names = self._differing(self._objects())
        return {name for name in names if "/" in name and not name.startswith("Lease/")}

    def _differing(self, now: Mapping[str, Any]) -> set[str]:
        return {name for name in {*now, *self.before} if now.get(name) != self.before.get(name)}

    def _changed(self, now: Mapping[str, Any]) -> str:
        wrong = sorted(self._differing(now))
        if not wrong:
            return ""
        one = wrong[0]
        return f"{', '.join(wrong)} not as before: {one} was {self.before.get(one)}, is {now.get(one)}"

    # -- commands ------------------------------------------------------------------------------------------------

    def drill(self, drill: Drill, *, at: str = "", how: str = "kill", after_s: float = 0.0) -> Path | None:
        """Run a drill that fails at a write of its journal, or is killed after some time; its folder if there is one.

        `how`: kill, api, git or disk (hook/sitecustomize.py).
        """
        shutil.rmtree(self.reports, ignore_errors=True)
        temporary = self.folder / "temporary"  # a killed run cannot take away its clone of the env repo
        temporary.mkdir(exist_ok=True)
        environ = {**os.environ, "TMPDIR": str(temporary)}
        if at:
            path = os.pathsep.join((str(HOOK), *filter(None, [os.environ.get("PYTHONPATH", "")])))
            environ |= {"ROLLPROOF_CRASH_AT": at, "ROLLPROOF_CRASH_HOW": how, "PYTHONPATH": path}
        words = [*PYTHON, "run", *drill, "--target", str(self.target), "--reports", str(self.reports)]
        with (self.folder / "drill.log").open("wb") as output:
            process = subprocess.Popen(
                words, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip
        try:
            process.wait(after_s or self.command_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the group that was started here, and nothing else
            process.wait()
        until(lambda: not _group(process.pid), "the end of all that the run started")
        folders = list(self.reports.iterdir()) if self.reports.is_dir() else []
        return folders[0] if folders else None

    def said(self) -> str:
        """What the last drill printed."""
        return (self.folder / "drill.log").read_text(encoding="utf-8", errors="replace").strip()

    def does(self, *words: str) -> tuple[int, str]:
        """Run `rollproof`; returns its exit code and output."""
        done = subprocess.run(
            [*PYTHON, *words], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=self.command_s, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout


def _as_written(item: Mapping[str, Any]) -> dict[str, Any]:
    """An object without the fields that the server and controllers write."""
    metadata = item["metadata"]
    content = {k: v for k, v in item.items() if k not in ("metadata", "status", "apiVersion", "kind")}
    spec = {k: v for k, v in (content.get("spec") or {}).items() if k not in ("clusterIP", "clusterIPs")}
    # quota-full restarts the Deployment, and does not promise to take that back.
    if template := spec.get("template"):
        made = template.get("metadata") or {}
        spec["template"] = {**template, "metadata": {**made, "annotations": _lasting(made)}}
    content = {**content, "spec": spec, "labels": metadata.get("labels") or {}, "annotations": _lasting(metadata)}
    return dict(json.loads(json.dumps(content, sort_keys=True)))


def _lasting(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The annotations that nobody counts up or removes."""
    annotations = metadata.get("annotations") or {}
    return {k: v for k, v in annotations.items() if not any(part in k for part in _CHANGES_BY_ITSELF)}


def _group(number: int) -> bool:
    """Whether a process of that group lives."""
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True
