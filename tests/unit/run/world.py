"""A platform, and sessions on it, whose proof always comes out as it is told to."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import story
from fakeapi import FakeApi
from release.platform import IMAGE, Platform

from rollproof.clients.argo import Argo
from rollproof.clients.kube import Kube
from rollproof.clients.repo import EnvRepo
from rollproof.core.event import Event, Outcome
from rollproof.core.plan import Plan
from rollproof.core.reasons import StageCause
from rollproof.core.target import EnvRepo as EnvRepoTarget
from rollproof.core.target import ReleaseSettings, UndoSettings
from rollproof.errors import Inconclusive, RollproofFailure
from rollproof.preflight.checks import Clients
from rollproof.preflight.lock import LEASE_NAME
from rollproof.preflight.planning import Order
from rollproof.probes.proof import NotProven
from rollproof.run import session, teardown
from rollproof.run.drill import Run
from rollproof.run.session import Session
from rollproof.target.file import LoadedTarget

__all__ = ["SILENT", "Prover", "World", "judged", "told"]

SILENT = NotProven(StageCause.NO_ANSWER, "Ingress: no version (read.timeout)")


class Prover:
    """Stands in for the proof, which has tests of its own."""

    why: NotProven | None = None
    missed_s: float | None = None

    def __init__(self, *_: object) -> None:
        pass

    def prove(self, *_: object) -> NotProven | None:
        return Prover.why

    def database_said(self, _pod: str) -> Outcome:
        return Outcome.UNKNOWN


class World:
    """A platform, and sessions on it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, api: FakeApi, kubeconfig: Path) -> None:
        self.api, self.platform, self.out = api, Platform(folder, api), io.StringIO()
        self.path = folder / "reports" / "run-1"
        self._patch = monkeypatch
        repo = EnvRepoTarget(url=f"file://{self.platform.bare}", overlay="overlays/dev", image=IMAGE)
        settings = {"release": ReleaseSettings(deadline_s=5.0), "undo": UndoSettings(late_s=0.1)}
        self.target = story.target(env_repo=repo, **settings)
        kube = Kube("fake", str(kubeconfig))

        def clients(_: object) -> Clients:
            return Clients(kube, Argo(kube, "argocd", "shop"), None, EnvRepo(repo, {}))  # type: ignore[arg-type]

        monkeypatch.setattr(session.Clients, "of", clients)
        monkeypatch.setattr(session, "load", lambda _: LoadedTarget.stored(self.target))
        monkeypatch.setattr(session, "gather", lambda _: {})
        monkeypatch.setattr(teardown, "Prover", Prover)
        monkeypatch.setattr(teardown, "_PATIENCE_S", 5.0)
        monkeypatch.setattr(Prover, "why", None)

    def session(self, *drills: str, keep: str = "never") -> Session:
        plan: Plan = story.plan(target=self.target, drills=drills or ("release",), keep=keep, run_id="run-1")
        self._patch.setattr(session, "look", lambda *_, **__: plan)
        opened = Session(Order(drills=plan.drills), Path("t.toml"), self.path, self.out)
        opened.open()
        return opened

    def verdicts(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.path / "verdicts.json").read_text())
        return document

    def results(self) -> dict[str, str]:
        return {one["checker"]: one["result"] for one in self.verdicts()["verdicts"]}

    def lease(self) -> Mapping[str, Any]:
        return self.api.objects["leases", LEASE_NAME]

    def steal(self) -> None:
        lease = self.lease()
        self.api.put("leases", {**lease, "spec": {**lease["spec"], "holderIdentity": "run-2 on x (pid 1)"}})


def told(run: Session, what: str) -> list[Event]:
    return [event for event in run.folder.events() if event.what == what]


def judged(run: Run, *names: str) -> str:
    """What the drill's end says."""
    try:
        run.judge(*names)
    except (RollproofFailure, Inconclusive) as verdict:
        return f"{type(verdict).__name__}: {verdict}"
    return "PASS"
