"""Rig: a store, a real git repository and Argo CD's controller, and a clock that a test sets."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from rollproof_sandbox.api.patches import MERGE, STRATEGIC
from rollproof_sandbox.api.store import Change, Object, Store
from rollproof_sandbox.argocd import Controller
from rollproof_sandbox.envrepo import APPLICATION, OVERLAY, EnvRepo
from rollproof_sandbox.settings import SHAS, ArgoCd, Settings

FIRST, SECOND, THIRD = SHAS
PERSON = "kubectl-edit"


class FakeClock:
    """Two clocks that stand still until they are moved."""

    def __init__(self) -> None:
        self.at_s = 1000.0

    def now_s(self) -> float:
        return self.at_s

    def utc_s(self) -> float:
        return 1_795_000_000.0 + self.at_s


def application_view(item: Mapping[str, Any]) -> tuple[Any, ...]:
    """What drills read: sync, health, pending operation and refresh, phase, attempts."""
    status = item.get("status") or {}
    state = status.get("operationState") or {}
    asked = "argocd.argoproj.io/refresh" in (item["metadata"].get("annotations") or {})
    return (
        status["sync"]["status"], status["health"]["status"], "op" if item.get("operation") else "-",
        "refresh" if asked else "-", state.get("phase", ""),
        ((state.get("operation") or {}).get("sync") or {}).get("autoHealAttemptsCount", 0),
    )  # fmt: skip


class Rig:
    """At rest at the start. `argocd` and `workload` are settings; `spec` is merged into the Application's spec."""

    def __init__(self, folder: Path, argocd: ArgoCd | None = None, spec: Object | None = None) -> None:
        settings = Settings(argocd=argocd or ArgoCd())
        self.clock = FakeClock()
        self.store = Store()
        self.repo = EnvRepo.create(folder / "env.git", settings, repo_url="http://git/env.git", pod_port=8080)
        self.first = self.repo.head()
        application = YAML(typ="safe").load(io.StringIO(self.repo.read(APPLICATION)))
        self.store.create(application, manager="test")
        project = {"apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject", "spec": {}}
        self.store.create({**project, "metadata": {"name": "default", "namespace": "argocd"}}, manager="test")
        if spec:
            self.change_application({"spec": spec})
        self.rolls_out = True
        self.changes: list[Change] = []
        self.store.subscribe(self.changes.append)
        self.store.subscribe(self._roll_out)
        self.controller = Controller(self.store, settings.argocd, folder / "env.git", clock=self.clock)
        self.controller.prepare()
        self.run(1)
        self.changes.clear()

    # -- time ---------------------------------------------------------------------------------------------------

    def run(self, for_s: float) -> None:
        """Let so many seconds pass."""
        end_s = self.clock.at_s + for_s
        while (due_s := self.controller.agenda.next_s()) is not None and due_s <= end_s:
            self.clock.at_s = max(due_s, self.clock.at_s)
            self.controller.agenda.work_due()
        self.clock.at_s = end_s

    # -- actions ------------------------------------------------------------------------------------------------

    def commit(self, tag: str) -> str:
        """Commit a tag to the overlay."""
        return self.change_overlay(f'newTag: "{self.tag()}"', f'newTag: "{tag}"')

    def change_overlay(self, old: str, new: str) -> str:
        text = self.repo.read(OVERLAY)
        assert old in text
        return self.repo.commit({OVERLAY: text.replace(old, new)}, message="change")

    def tag(self) -> str:
        return self.repo.read(OVERLAY).split('newTag: "')[1].split('"')[0]

    def refresh(self, stamp: str = "") -> None:
        annotations = {"argocd.argoproj.io/refresh": "normal"}
        if stamp:
            annotations["argocd.argoproj.io/refresh-timestamp"] = stamp
        self.change_application({"metadata": {"annotations": annotations}})

    def change_application(self, body: Object) -> None:
        self.store.patch("Application", "argocd", "shop", body, MERGE, manager="rollproof")

    def drift(self, greeting: str = "drifted") -> None:
        body = {"data": {"GREETING": greeting}}
        self.store.patch("ConfigMap", "shop", "shop-config", body, STRATEGIC, manager=PERSON)

    # -- state ---------------------------------------------------------------------------------------------------

    def application(self) -> Object:
        found = self.store.get("Application", "argocd", "shop")
        assert found is not None
        return found

    def view(self) -> tuple[Any, ...]:
        return application_view(self.application())

    def status(self) -> Any:
        return self.application()["status"]

    def state(self) -> Any:
        return self.status().get("operationState") or {}

    def attempts(self) -> int:
        return int(self.state()["operation"]["sync"].get("autoHealAttemptsCount", 0))

    def greeting(self) -> str:
        found = self.store.get("ConfigMap", "shop", "shop-config")
        return "" if found is None else str(found["data"].get("GREETING"))

    def image(self) -> str:
        found = self.store.get("Deployment", "shop", "shop")
        assert found is not None
        return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

    def views(self) -> list[tuple[Any, ...]]:
        """Each view of the Application since the start or the last `changes.clear`, without repetition."""
        found: list[tuple[Any, ...]] = []
        for change in self.changes:
            if change.kind == "Application" and (view := application_view(change.object)) not in found[-1:]:
                found.append(view)
        return found

    def healed_after_s(self, within_s: float) -> float | None:
        """Wait until the greeting is as declared; the seconds that it took, or None."""
        begin_s = self.clock.at_s
        while self.clock.at_s - begin_s < within_s:
            self.run(0.05)
            if self.greeting() == "hello from dev":
                return self.clock.at_s - begin_s
        return None

    # -- the other controllers ----------------------------------------------------------------------------------

    def _roll_out(self, change: Change) -> None:
        if change.kind == "Ingress" and change.type == "ADDED":
            self._write_status("Ingress", {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}})
        if change.kind == "Deployment" and change.type != "DELETED" and self.rolls_out:
            self.complete()

    def complete(self) -> None:
        """Let every replica be of the newest template and available."""
        item = self.store.get("Deployment", "shop", "shop")
        assert item is not None
        names = ("replicas", "updatedReplicas", "availableReplicas", "readyReplicas")
        counts = dict.fromkeys(names, item["spec"]["replicas"])
        self._write_status("Deployment", {"observedGeneration": item["metadata"]["generation"], **counts})

    def _write_status(self, kind: str, status: Object) -> None:
        def change(item: Object) -> None:
            item["status"] = status

        self.store.mutate(kind, "shop", "shop", change, manager="kube-controller-manager", subresource="status")
