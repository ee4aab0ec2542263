"""The drift runner on a fake cluster, with what it told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import story
from fakecluster import FakeCluster
from recorder import ListRecorder

from rollproof.clients.argo import Argo
from rollproof.core.target import DriftSettings
from rollproof.faults.drift import DriftRunner, Skip, Trial, plan_trials
from rollproof.store.journal import FolderStore, Journal

__all__ = ["Drill"]


class Drill:
    """The runner on a fake cluster, with what it told."""

    def __init__(self, folder: Path, *names: str, cluster: FakeCluster | None = None, **settings: Any) -> None:
        self.cluster = cluster or FakeCluster()
        quick = {"limit_s": 0.1, "negative_watch_s": 0.05, "deadline_s": 5.0, "drift_image_tag": "bbbbbbb"}
        self.target = story.target(drift=DriftSettings(**{"trials": names, **quick, **settings}))
        self.argo = Argo(self.cluster, "argocd", "shop")  # type: ignore[arg-type]
        self.recorder = ListRecorder()
        folder.mkdir(exist_ok=True)
        self.journal = Journal(FolderStore(folder / "undo.jsonl"), self.recorder)

    def plan(self) -> list[Trial | Skip]:
        return plan_trials(self.target, self.cluster, self.argo)  # type: ignore[arg-type]

    def run(self, **planned: Any) -> Drill:
        runner = DriftRunner(self.target, self.cluster, self.argo, self.recorder, self.journal, **planned)  # type: ignore[arg-type]
        runner.run_all()
        return self

    def said(self, what: str) -> dict[str, Any]:
        return next(dict(event.data) for event in self.recorder.events if event.what == what)

    def words(self) -> list[str]:
        return [event.what for event in self.recorder.events if event.subject.startswith("Drift/")]
