"""The crash tests' person at the lab: each fault once, killed as soon as it is injected."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from rollproof.clients.kube import Kube

from .person import ROOT, Person

__all__ = ["LabPerson"]

_STATE = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "rollproof/lab"
_CONTEXT = "kind-rollproof-lab"
_MADE_BY_FAULTS = ("ConfigMap", "Deployment", "Ingress", "Job", "NetworkPolicy", "ResourceQuota")


# A request that was under way when the run was killed is carried out within a second here, or never: the 90 s that the
# undo waits by default are for API servers whose deadlines we do not know.
_LATE = "\n[undo]\nlate_s = 15.0\n"


class LabPerson(Person):
    """Uses the lab that is up, with the target file that everybody uses but for `undo.late_s`."""

    watched = {  # noqa: RUF012 - never changed
        "angelpay-dev": (*_MADE_BY_FAULTS, "HorizontalPodAutoscaler", "Lease", "PodDisruptionBudget", "Service"),
        "database": _MADE_BY_FAULTS,
        "argocd": ("AppProject", "Deployment", "Job", "StatefulSet"),
        "git": ("Deployment", "Job"),
        "ingress-nginx": ("ConfigMap", "Job"),
        "kube-system": ("Deployment", "Job"),
        "": ("Node",),
    }
    pods_of = "angelpay-dev"
    same_s = 120.0
    command_s = 480.0

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        target = folder / "target.toml"
        target.write_text((ROOT / "targets" / "lab.toml").read_text(encoding="utf-8") + _LATE, encoding="utf-8")
        super().__init__(folder, target, Kube(_CONTEXT, str(_STATE / "kubeconfig")))

    def tree(self) -> str:
        names = dict(
            line.split("=", 1) for line in (_STATE / "credentials.env").read_text().splitlines() if "=" in line
        )
        url = f"http://{names['GIT_USERNAME']}:{names['GIT_PASSWORD']}@127.0.0.1:8090/env.git"
        with tempfile.TemporaryDirectory() as clone:
            words = ["git", "clone", "--quiet", "--bare", "--depth", "1", "--branch", "main", url, clone]
            subprocess.run(words, capture_output=True, check=True, timeout=60)
            words = ["git", "--git-dir", clone, "rev-parse", "main^{tree}"]
            return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    def close(self) -> None:
        """Nothing was started."""
