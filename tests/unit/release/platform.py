"""Platform: Argo CD and the Deployment controller as small as a release needs them, on FakeApi and a real git server.

It acts when the Application is asked to refresh, one step a call, so that a test says what goes wrong and where.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from envserver import PATH, commit_by_somebody_else, copy_bare, git
from fakeapi import FakeApi

IMAGE = "ghcr.io/shop/web"
OVERLAY = f"images:\n- name: {IMAGE}\n  newTag: aaaaaaa\n"


class Platform:
    """What can go wrong is an attribute: see the tests."""

    def __init__(self, folder: Path, api: FakeApi) -> None:
        self.api = api
        self.bare = copy_bare(folder, {PATH: OVERLAY})
        self.lost_refreshes = 0
        self.pod_reason = ""
        self.failing_sync = ""
        self.condition: dict[str, str] | None = None
        self.deadline_exceeded = False
        self.keeps_old_pods = False
        self.health = "Healthy"
        self.commit_after_seen = ""  # path of a file that somebody else commits right after ours was synced
        self.asked = 0
        self.template = 1
        self.lock = threading.RLock()
        self._application(self.head(), self.head(), "Synced", "Healthy")
        self._roll_out("aaaaaaa", first=True)
        api.on_patch = self.on_patch

    def head(self) -> str:
        return git(self.bare, "rev-parse", "main")

    def tag(self) -> str:
        text = git(self.bare, "show", "main:overlays/dev/kustomization.yaml")
        return text.rpartition("newTag: ")[2].strip()

    def commit(self, text: str, path: str = "overlays/dev/kustomization.yaml") -> str:
        commit_by_somebody_else(self.bare, text, path)
        return self.head()

    def on_patch(self, plural: str, item: dict[str, Any]) -> None:
        with self.lock:
            if plural == "deployments":
                self._roll_out(self.tag())
            annotations = item["metadata"].get("annotations") or {}
            if plural == "applications" and "argocd.argoproj.io/refresh" in annotations:
                self.asked += 1
                self._refresh()

    def _refresh(self) -> None:
        head = self.head()
        state = self.api.objects["applications", "shop"]["status"]
        if self.asked <= self.lost_refreshes:
            self._application(state["sync"]["revision"], state["operationState"]["syncResult"]["revision"])
        elif self.condition:
            self._application("", state["operationState"]["syncResult"]["revision"], "Unknown")
        elif self.failing_sync:
            self._application(head, head, "OutOfSync", phase="Failed", message=self.failing_sync)
        elif state["sync"]["revision"] != head:
            self._application(head, head, "OutOfSync", phase="Running")
            if self.commit_after_seen:
                later = self.commit("hello\n", self.commit_after_seen)
                self._application(later, head, "Synced", "Progressing")
            else:
                self._application(head, head, "Synced", "Progressing")
            self._roll_out(self.tag())
        else:
            self._application(head, state["operationState"]["syncResult"]["revision"])

    def _application(
        self, compared: str, synced: str, status: str = "Synced", health: str = "", phase: str = "Succeeded",
        message: str = "",
    ) -> None:  # fmt: skip
        operation = {"phase": phase, "message": message, "syncResult": {"revision": synced}, "operation": {}}
        self.api.put("applications", {
            "metadata": {"name": "shop"}, "spec": {"source": {"path": "overlays/dev"}},
            "status": {
                "sync": {"revision": compared, "status": status}, "health": {"status": health or self.health},
                "operationState": operation, "conditions": [self.condition] if self.condition else [],
            },
        })  # fmt: skip

    def _roll_out(self, sha: str, *, first: bool = False) -> None:
        old = [name for plural, name in self.api.objects if plural == "pods"]
        self.template += 1
        ready = not self.pod_reason and not self.deadline_exceeded
        stuck = {"state": {"waiting": {"reason": self.pod_reason}}} if self.pod_reason else {"imageID": f"id-{sha}"}
        self._deployment(sha, updated=0)
        for number in range(2):
            self.api.put("pods", {
                "metadata": {
                    "name": f"web-{self.template}-{number}", "labels": {"pod-template-hash": f"t{self.template}"},
                    "ownerReferences": [{"kind": "ReplicaSet", "name": f"web-t{self.template}"}],
                },
                "spec": {"containers": [{"name": "web", "image": f"{IMAGE}:{sha}"}]},
                "status": {
                    "phase": "Pending" if self.pod_reason else "Running",
                    "conditions": [{"type": "Ready", "status": str(ready)}],
                    "containerStatuses": [{"name": "web", **stuck}],
                },
            })  # fmt: skip
        if not ready or self.deadline_exceeded:
            self._deployment(sha, updated=1)
            return
        self._deployment(sha, updated=2)
        if not first and not self.keeps_old_pods:
            for name in old:
                self.api.remove("pods", name)
        state = self.api.objects["applications", "shop"]["status"]
        self._application(state["sync"]["revision"], state["operationState"]["syncResult"]["revision"])

    def _deployment(self, sha: str, *, updated: int) -> None:
        progressing = {"type": "Progressing", "reason": "ProgressDeadlineExceeded" if self.deadline_exceeded else "Ok"}
        self.api.put("deployments", {
            "metadata": {"name": "web", "generation": self.template},
            "spec": {
                "replicas": 2, "selector": {"matchLabels": {"app": "web"}},
                "template": {"spec": {"containers": [{"name": "web", "image": f"{IMAGE}:{sha}"}]}},
            },
            "status": {
                "observedGeneration": self.template, "replicas": 2, "updatedReplicas": updated,
                "availableReplicas": 2, "readyReplicas": 2, "conditions": [progressing],
            },
        })  # fmt: skip
