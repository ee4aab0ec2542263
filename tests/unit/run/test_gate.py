"""The gate between drills: what the steady state is, that it must last, and what is recorded of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import story
import views
from recorder import ListRecorder

from rollproof.clients.argo import ApplicationState
from rollproof.core.event import Outcome
from rollproof.core.gate import GateWord
from rollproof.errors import CannotJudgeError
from rollproof.probes.views import PodView, those_that_serve
from rollproof.probes.waiting import Changes
from rollproof.run import drill, gate
from rollproof.run.drill import Run
from rollproof.run.gate import pass_gate, steady_state_missing
from rollproof.store.journal import FolderStore, Journal, Undone


class Cluster:
    """Two pods that serve, as the watches show them."""

    def __init__(self) -> None:
        self.there = views.pods(2)
        self.addresses = {"10.0.0.1", "10.0.0.2"}
        self.replicas: int | None = 2
        self.state = ApplicationState(sync_status="Synced", health="Healthy")
        self.broken = ""

    def deployment(self) -> Any:
        return None if self.replicas is None else views.deployment(spec_replicas=self.replicas)

    def change_pod(self, name: str, **more: Any) -> None:
        self.there[name] = replace(self.there[name], **more)

    def change_state(self, **more: Any) -> None:
        self.state = replace(self.state, **more)

    def pods(self) -> dict[str, PodView]:
        return self.there

    def serving(self) -> dict[str, PodView]:
        return those_that_serve(self.there, self.addresses)

    def application(self) -> Any:
        return self.state

    def poll(self, look: Any, **options: Any) -> Any:
        if self.broken:
            raise CannotJudgeError(self.broken)
        return Changes().wait(look, **options)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(FolderStore(tmp_path / "undo.jsonl"), ListRecorder())


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_APART_S", 0.01)


def through(cluster: Any, journal: Journal, recorder: ListRecorder) -> str:
    return pass_gate(GateWord.AFTER, cluster, journal, recorder, within_s=0.03, held_s=0.03)


def test_all_is_there_for_as_long_as_was_asked(journal: Journal) -> None:
    cluster, recorder = Cluster(), ListRecorder()
    assert through(cluster, journal, recorder) == ""
    (event,) = recorder.events
    assert (event.source, event.subject, event.what, event.outcome) == ("run", "gate", "after", Outcome.OK)
    assert event.end_s - event.start_s >= 0.03
    assert event.data == {"missing": "nothing", "held_s": 0.03}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: one.change_pod("web-1", terminating=True), "still terminating: web-1"),
        (lambda one: one.change_pod("web-1", ready=False), "1 of 2 pods serve"),
        (lambda one: one.addresses.discard("10.0.0.2"), "1 of 2 pods serve"),
        (lambda one: setattr(one, "replicas", 1), "2 of 1 pods serve, 2 are there"),
        (lambda one: setattr(one, "replicas", None), "there is no Deployment"),
        (lambda one: one.change_state(health="Degraded"), "Argo CD says Synced, Degraded"),
        (lambda one: one.change_state(sync_status=""), "Argo CD says nothing, Healthy"),
        (lambda one: setattr(one, "broken", "a watch ended for good: Pod"), "a watch ended for good"),
    ],
)
def test_what_is_missing_is_said_and_recorded(journal: Journal, change: Any, said: str) -> None:
    cluster, recorder = Cluster(), ListRecorder()
    change(cluster)
    assert said in through(cluster, journal, recorder)
    (event,) = recorder.events
    assert event.outcome is Outcome.UNKNOWN
    assert said in event.data["missing"]


def test_a_change_that_is_not_undone_keeps_it_closed(journal: Journal) -> None:
    cluster: Any = Cluster()
    entry = journal.write("database-refused", "Deployment/database/db", {})
    assert "the change of Deployment/database/db by database-refused is not undone" in steady_state_missing(
        cluster, journal
    )
    journal.settle(entry, Undone("done"))
    assert steady_state_missing(cluster, journal) == ""


def test_the_lock_of_the_run_is_no_change_of_a_drill(journal: Journal) -> None:
    journal.write("lease-release", "Lease/shop/rollproof", {})
    cluster: Any = Cluster()
    assert steady_state_missing(cluster, journal) == ""


class TestTheReleaseOfADrill:
    """A drill of several that has deployed is taken back before the next one begins."""

    @staticmethod
    def run_of(journal: Journal, monkeypatch: pytest.MonkeyPatch, restored: list[str]) -> Run:
        def restore(_: object, __: str, args: Any) -> Undone:
            restored.append(args["to"])
            return Undone("done")

        monkeypatch.setattr(drill, "restore_tag", restore)
        context: Any = SimpleNamespace(
            journal=journal, status=lambda _: None, clients=SimpleNamespace(repo=None), deployed="it",
            plan=story.plan(drills=("a", "b")),
        )  # fmt: skip
        run = Run(context, "b")
        monkeypatch.setattr(run, "settle", lambda: restored.append("settled"))
        return run

    def test_only_its_own(self, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
        restored: list[str] = []
        run = self.run_of(journal, monkeypatch, restored)
        journal.made(journal.write("env-repo-tag", "a", {"to": "of a drill before"}))
        assert run.enter() == ""
        assert not run.take_back()
        assert restored == []
        journal.made(journal.write("env-repo-tag", "b", {"to": "of this one"}))
        assert run.take_back()
        assert restored == ["of this one"]
        assert [entry.subject for entry in journal.open_entries()] == ["a"]
        assert run._context.deployed is None
