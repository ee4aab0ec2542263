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


class LabPerson(Person):
    """Uses the lab that is up, with the target file that everybody uses."""

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
        super().__init__(folder, ROOT / "targets" / "lab.toml", Kube(_CONTEXT, str(_STATE / "kubeconfig")))

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
