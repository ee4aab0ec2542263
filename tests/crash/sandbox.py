"""The crash tests' person at a sandbox of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rollproof.clients.kube import Kube
from tests.changedtext import changed
from tests.waiting import PATIENCE_S, until

from .person import PYTHON, Person

__all__ = ["SandboxPerson"]

_SHORT = {
    "baseline_s = 3.0": "baseline_s = 1.0", "after_old_gone_s = 2.0": "after_old_gone_s = 0.5",
    "tail_s = 1.0": "tail_s = 0.3", 'trials = ["replicas", "configmap"]': 'trials = ["configmap", "delete-service"]',
}  # fmt: skip
_UNDO = "\n[undo]\nlate_s = 3.0\n"  # the sandbox's API server and git server answer or drop a request within this time


class SandboxPerson(Person):
    """Starts the sandbox; its drills are shortened."""

    watched = {"shop": ("ConfigMap", "Deployment", "Lease", "Service")}  # noqa: RUF012 - never changed
    pods_of = "shop"

    def __init__(self, folder: Path, seed: int) -> None:
        folder.mkdir(parents=True)
        output = folder / "sandbox.log"
        words = ["sandbox", "--folder", str(folder / "sandbox"), "--ports", "auto", "--seed", str(seed)]
        with output.open("wb") as stream:
            self._sandbox = subprocess.Popen(
                [*PYTHON, *words], stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, process_group=0
            )
        until(lambda: "the sandbox is up" in " ".join(output.read_text().split()), "the sandbox")
        text = (folder / "sandbox" / "target.toml").read_text()
        target = folder / "target.toml"
        target.write_text(changed(text, _SHORT, where="the sandbox's target file") + _UNDO)
        self._repo = folder / "sandbox" / "repos" / "env.git"
        super().__init__(folder, target, Kube("sandbox", str(folder / "sandbox" / "kubeconfig")))

    def tree(self) -> str:
        words = ["git", "--git-dir", str(self._repo), "rev-parse", "main^{tree}"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    def close(self) -> None:
        self._sandbox.terminate()
        self._sandbox.wait(PATIENCE_S)
