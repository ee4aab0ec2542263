"""The crash tests' person at the lab: each fault once, killed as soon as it is injected."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from rollproof.clients.kube import Kube
from tests.changedtext import LAB_OPENED, changed
from tests.waiting import until

from .person import ROOT, Person

__all__ = ["LabPerson"]

_STATE = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "rollproof/lab"
_CONTEXT = "kind-rollproof-lab"
_MADE_BY_FAULTS = ("ConfigMap", "Deployment", "Ingress", "Job", "NetworkPolicy", "ResourceQuota")
_OF_THE_APP = ("HorizontalPodAutoscaler", "Lease", "PodDisruptionBudget", "Service")
_WATCHED = {
    "database": _MADE_BY_FAULTS,
    "argocd": ("AppProject", "Deployment", "Job", "StatefulSet"),
    "git": ("Deployment", "Job"),
    "ingress-nginx": ("ConfigMap", "Job"),
    "kube-system": ("Deployment", "Job"),
    "": ("Node",),
}
_APP_OF = {"lab": "angelpay-dev", "lab-prod": "angelpay-prod"}  # target file: namespace

# A request that was under way when the run was killed is carried out within a second here, or never: the 90 s that the
# undo waits by default are for API servers whose deadlines we do not know.
_LATE = "\n[undo]\nlate_s = 15.0\n"


class LabPerson(Person):
    """Uses the lab that is up, with a target file that everybody uses, opened for all faults, and `undo.late_s`."""

    same_s = 120.0
    command_s = 480.0

    def __init__(self, folder: Path, name: str = "lab") -> None:
        """`name`: of the target file; "lab-prod" for a fault that needs an autoscaler."""
        folder.mkdir(parents=True)
        target = folder / "target.toml"
        self.pods_of = _APP_OF[name]
        self.watched = {self.pods_of: (*_MADE_BY_FAULTS, *_OF_THE_APP), **_WATCHED}
        text = (ROOT / "targets" / f"{name}.toml").read_text(encoding="utf-8")
        opened = LAB_OPENED if name == "lab" else {}
        target.write_text(changed(text, opened, where=f"targets/{name}.toml") + _LATE, encoding="utf-8")
        super().__init__(folder, target, Kube(_CONTEXT, str(_STATE / "kubeconfig")))

    def prepare(self) -> None:
        """A drain leaves all pods on one node, and no fault takes the node that carries all: spread them again."""
        nodes = self._nodes_of_pods()
        if len(nodes) > 1 and len(set(nodes.values())) == 1:
            self._kube.delete("Pod", self.pods_of, next(iter(nodes)))
            until(lambda: len(set(self._nodes_of_pods().values())) > 1, "the app's pods to be on two nodes")

    def _nodes_of_pods(self) -> dict[str, str]:
        """Of each ready pod of the app that is not leaving, its node."""
        return {
            pod["metadata"]["name"]: pod["spec"]["nodeName"]
            for pod in self._kube.list("Pod", self.pods_of)["items"]
            if "deletionTimestamp" not in pod["metadata"]
            and any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))
        }

    def tree(self) -> str:
        names = dict(
            line.split("=", 1) for line in (_STATE / "credentials.env").read_text().splitlines() if "=" in line
        )
        url = f"http://{names['GIT_USERNAME']}:{names['GIT_PASSWORD']}@127.0.0.1:8090/env.git"
        with tempfile.TemporaryDirectory() as clone:
            words = ["git", "clone", "--quiet", "--bare", "--depth", "1", "--branch", "main", url, clone]
            if code := subprocess.run(words, capture_output=True, check=False, timeout=60).returncode:
                what = f"git clone of the lab's env repo ended with {code}"  # its own words have the password
                raise subprocess.SubprocessError(what)
            words = ["git", "--git-dir", clone, "rev-parse", "main^{tree}"]
            return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()

    def close(self) -> None:
        """Nothing was started."""
