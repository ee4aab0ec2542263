"""Putting back: what order, how long it waits for who is away, and what is not asked twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from owntime import own_time
from recorder import ListRecorder

from rollproof.clients import retry
from rollproof.clients.kube import ApiError, UnreachableError
from rollproof.clients.repo import GitError, PushRefusedError
from rollproof.core.journal import LEASE_KIND
from rollproof.errors import RollproofError
from rollproof.run import teardown
from rollproof.run.teardown import replay_all
from rollproof.store.journal import FolderStore, Handler, Journal, Undone

AWAY = (UnreachableError("away"), ApiError("busy", status=503), ApiError("too many", status=429), GitError("no route"))
REFUSED = (ApiError("no right", status=403), PushRefusedError("a hook"), RollproofError("odd"))


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    own_time(monkeypatch, retry, sleep=lambda _: None)


class Undo:
    """Handlers that fail as told, first error first, and remember their order."""

    def __init__(self, *errors: RollproofError) -> None:
        self.errors = list(errors)
        self.order: list[str] = []

    def of(self, kind: str) -> Handler:
        def undo(_: Mapping[str, Any]) -> Undone:
            self.order.append(kind)
            if self.errors:
                raise self.errors.pop(0)
            return Undone("done")

        return undo

    def replay(self, journal: Journal) -> list[str]:
        undo = {kind: self.of(kind) for kind in (LEASE_KIND, "a", "b")}
        return [undone.how for undone in replay_all(journal, undo, look=lambda _: self.order.append("look"))]


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    journal = Journal(FolderStore(tmp_path / "undo.jsonl"), ListRecorder())
    for kind in (LEASE_KIND, "a", "b"):
        journal.write(kind, kind, {})
    return journal


def test_newest_first_then_the_look_and_the_lock_last(journal: Journal) -> None:
    undo = Undo()
    assert undo.replay(journal) == ["done"] * 3
    assert undo.order == ["b", "a", "look", LEASE_KIND]
    assert undo.replay(journal) == []


@pytest.mark.parametrize("error", AWAY, ids=str)
def test_who_is_away_is_asked_again(journal: Journal, error: RollproofError) -> None:
    undo = Undo(error, error)
    assert undo.replay(journal) == ["done"] * 3
    assert undo.order == ["b", "b", "b", "a", "look", LEASE_KIND]


@pytest.mark.parametrize("error", REFUSED, ids=str)
def test_who_says_no_is_not(journal: Journal, error: RollproofError) -> None:
    undo = Undo(error)
    assert undo.replay(journal) == ["failed", "done", "done"]
    assert undo.order == ["b", "a", "look", LEASE_KIND]
    assert [entry.kind for entry in journal.open_entries()] == ["b"]


def test_who_stays_away_is_given_up(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teardown, "_PATIENCE_S", 0.0)
    undo = Undo(*AWAY[:3])
    assert undo.replay(journal) == ["failed"] * 3
    assert len(journal.open_entries()) == 3
