"""The drift runner on a fake cluster, with what it told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import story
from fakecluster import FakeCluster
from recorder import ListRecorder

from rollproof.clients.argo import Argo
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import DriftSettings
from rollproof.faults.base import Context
from rollproof.faults.registry import faults_of, plan_faults
from rollproof.faults.selfheal.runner import DriftRunner
from rollproof.store.journal import FolderStore, Journal
from rollproof.suites import drill_table

__all__ = ["Drill"]


class Drill:
    """The runner on a fake cluster, with what it told."""

    def __init__(self, folder: Path, *names: str, cluster: FakeCluster | None = None, **settings: Any) -> None:
        self.cluster = cluster or FakeCluster()
        quick = {"limit_s": 0.1, "negative_watch_s": 0.05, "deadline_s": 5.0, "drift_image_tag": "bbbbbbb"}
        self.target = story.target(drift=DriftSettings(**{"trials": names, **quick, **settings}))
        self.argo = Argo(self.cluster, "argocd", "shop")  # type: ignore[arg-type]
        self.recorder = ListRecorder()
        self.statuses: list[str] = []
        folder.mkdir(exist_ok=True)
        self.journal = Journal(FolderStore(folder / "undo.jsonl"), self.recorder)

    @property
    def context(self) -> Context:
        return Context(drill="drift", target=self.target, kube=self.cluster, argo=self.argo)  # type: ignore[arg-type]

    def plan(self) -> tuple[Injection | Skip, ...]:
        return plan_faults(faults_of(drill_table()["drift"], self.target), self.context)

    def run(self, planned: tuple[Injection | Skip, ...] | None = None) -> Drill:
        made = self.plan() if planned is None else planned
        injections = tuple(one for one in made if isinstance(one, Injection))
        plan = story.plan(injections=injections, skips=tuple(one for one in made if isinstance(one, Skip)))
        DriftRunner(self.context, self.recorder, self.journal, status=self.statuses.append).run(plan)
        return self

    def said(self, what: str) -> dict[str, Any]:
        return next(dict(event.data) for event in self.recorder.events if event.what == what)

    def words(self) -> list[str]:
        return [event.what for event in self.recorder.events if event.subject.startswith("Drift/")]
