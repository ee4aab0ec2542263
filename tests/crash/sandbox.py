"""The crash tests' person at a sandbox of its own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from rollproof.clients.kube import Kube

from .person import PYTHON, Person, until

__all__ = ["SandboxPerson"]

_UP_S = 120.0
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
        until(lambda: "the sandbox is up" in " ".join(output.read_text().split()), _UP_S, "the sandbox")
        text = (folder / "sandbox" / "target.toml").read_text()
        for before, after in _SHORT.items():
            if before not in text:
                raise AssertionError(f"the sandbox's target file says no longer {before!r}")
            text = text.replace(before, after)
        target = folder / "target.toml"
        target.write_text(text + _UNDO)
        self._repo = folder / "sandbox" / "repos" / "env.git"
        super().__init__(folder, target, Kube("sandbox", str(folder / "sandbox" / "kubeconfig")))

    def tree(self) -> str:
        words = ["git", "--git-dir", str(self._repo), "rev-parse", "main^{tree}"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    def close(self) -> None:
        self._sandbox.terminate()
        self._sandbox.wait(_UP_S)
