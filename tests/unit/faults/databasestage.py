"""Two pods of an app and its database on a small API server, and the runner of a fault of the database."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import story
from recorder import ListRecorder
from surroundings import AppCluster, controlled, pod_of

from rollproof.clients.argo import Argo
from rollproof.clients.http import Answer
from rollproof.clients.kube import Kube
from rollproof.core.event import Event
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import Database, FaultSettings, Fences, Target, UndoSettings
from rollproof.faults.base import Fault, LiveContext
from rollproof.faults.runner import FaultRunner
from rollproof.probes.proof import Prover
from rollproof.probes.watches import Watches
from rollproof.store.journal import FolderStore, Journal

__all__ = ["DATABASE", "DatabaseStage", "World"]

DATABASE = Database(
    kind="StatefulSet", namespace="db", name="db", account="shop", admin_password_variable="ROOT_PASSWORD",
)  # fmt: skip


class World(AppCluster):
    """Two pods of the app and a database of one pod; `says` are the words that they have for its replicas.

    `away`: another reason for them to say that it is away, of the fault that is tried.
    """

    def __init__(self, uid: str = "uid-db-0") -> None:
        super().__init__()
        self.says = {1: "ok", 0: "down"}
        self.away = lambda: False
        labels, metadata = {"app": "db"}, {"name": "db", "namespace": "db", "uid": "uid-db"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": "db:1"}]}}
        spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
        self.put("statefulsets", {"metadata": metadata, "spec": spec, "status": {}})
        owner = controlled("StatefulSet", "db")
        pod = pod_of("db-0", namespace="db", labels=labels, owner=owner, ip="10.0.1.1", uid=uid)
        self.put("pods", {**pod, "spec": {**pod["spec"], "nodeName": "shop-worker"}})
        self.proxied = lambda _, path: self.answer(path)

    @property
    def replicas(self) -> int:
        replicas: int = self.objects["statefulsets", "db"]["spec"]["replicas"]
        return replicas

    def answer(self, path: str) -> tuple[int, str]:
        if path == "/health":
            return 200, json.dumps({"version": story.OLD})
        said = "down" if self.away() else self.says[self.replicas]
        return (200 if said == "ok" else 503), json.dumps({"database": said})

    def scale(self, replicas: int) -> None:
        item = self.objects["statefulsets", "db"]
        self.put("statefulsets", {**item, "spec": {**item["spec"], "replicas": replicas}})


class DatabaseStage:
    """The runner of a fault on that cluster; the entry answers as a pod does."""

    def __init__(
        self, fault: Fault, api: World, folder: Path, stack: ExitStack, dead_man_image: str = "", **more: Any
    ) -> None:
        self.fault, self.api, self.recorder = fault, api, ListRecorder()
        self.kube = Kube("fake", str(stack.enter_context(api.serve(folder))))
        argo = Argo(self.kube, "argocd", "shop")
        limits = FaultSettings(
            effect_within_s=0.5, recovery_limit_s=1.0, hold_s=0.2, ready_answer_s=0.3, database=DATABASE,
            dead_man_image=dead_man_image,
        )  # fmt: skip
        fences = Fences(namespaces=("shop", "db"))
        self.target: Target = story.target(faults=limits, fences=fences, undo=UndoSettings(late_s=0.0), **more)
        watches = stack.enter_context(Watches(self.target, self.kube, argo, self.recorder))
        http: Any = self
        prover = Prover(self.target, self.kube, http, self.recorder)
        self.live = LiveContext(
            drill=fault.name, target=self.target, kube=self.kube, argo=argo, watches=watches, prover=prover,
            sha=story.OLD,
        )  # fmt: skip
        self.path = folder / "undo.jsonl"
        self.journal = Journal(FolderStore(self.path), self.recorder)

    def get(self, path: str) -> Answer:
        status, body = self.api.answer(path)
        return Answer(status=status, body=body.encode())

    def available(self, **changes: Any) -> Injection | Skip:
        return self.fault.available(replace(self.live, target=replace(self.target, **changes)))

    def injection(self) -> Injection:
        found = self.available()
        assert isinstance(found, Injection)
        return found

    def run(self, injection: Injection | None = None) -> list[str]:
        plan = story.plan(injections=(injection or self.injection(),))
        FaultRunner(self.live, self.recorder, self.journal).run(plan)
        return [event.what for event in self.recorder.events if event.source == "fault"]

    def said(self, what: str) -> Event:
        return next(one for one in self.recorder.events if (one.source, one.what) == ("fault", what))
