"""Database connections: taken and given back by real shell scripts and a stand-in for the client."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from faults.databaseserver import FakeServer
from faults.databasestage import DatabaseStage, World

from rollproof.core.injection import Skip
from rollproof.faults.database_connections import FAULT

pytestmark = pytest.mark.processes


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    return FakeServer(tmp_path, monkeypatch)


@pytest.fixture
def stage(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseStage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    with ExitStack() as stack:
        api = World(uid=str(uuid.uuid4()))
        api.away = lambda: server.limit == 10 and len(server.holders()) >= 10
        yield DatabaseStage(FAULT, api, tmp_path, stack)


def test_connections_that_are_taken_and_given_back(stage: DatabaseStage, server: FakeServer) -> None:
    injection = stage.injection()
    assert "10 connections held, and global max_connections: 151 -> 10" in injection.change
    assert injection.args["original"] == "151"
    assert stage.run(injection) == ["planned", "injecting", "injected", "effect", "undone", "recovered"]
    server.await_released()
    assert (server.limit, server.holders()) == (151, [])
    assert (server.folder / "killed").read_text() == "KILL 7;\n", "those that the app had are ended"
    assert stage.journal.open_entries() == []


def test_an_app_that_feels_nothing_is_no_effect(stage: DatabaseStage, server: FakeServer) -> None:
    stage.api.away = lambda: False
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    server.await_released()
    assert (server.limit, server.holders()) == (151, [])


def test_an_app_that_does_not_come_back_is_no_recovery(stage: DatabaseStage, server: FakeServer) -> None:
    ever: list[bool] = []
    stage.api.away = lambda: bool(ever) or (server.limit == 10 and not ever.append(True))
    assert stage.run()[-2:] == ["undone", "not-recovered"]
    server.await_released()
    assert (server.limit, server.holders()) == (151, [])


def test_a_limit_that_was_set_meanwhile_is_void(stage: DatabaseStage, server: FakeServer) -> None:
    injection = stage.injection()
    server.set_limit(500)
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert (server.limit, server.holders()) == (500, [])


def test_undone_twice_and_never_over_what_somebody_else_set(stage: DatabaseStage, server: FakeServer) -> None:
    args = stage.injection().args
    FAULT.inject(stage.injection(), stage.live)
    assert (server.limit, len(server.holders())) == (10, 10)
    server.set_limit(300)
    undone = FAULT.undo(stage.kube, args)
    assert (undone.how, undone.expected, undone.found) == ("left", "10", "300")
    server.await_released()
    assert (server.limit, server.holders()) == (300, []), "what we hold is given back all the same"
    server.set_limit(10)
    assert (FAULT.undo(stage.kube, args).how, server.limit) == ("done", 151)
    assert FAULT.undo(stage.kube, args).how == "not-needed"


def test_a_server_that_is_so_already_is_skipped(stage: DatabaseStage, server: FakeServer) -> None:
    server.set_limit(10)
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "max_connections is 10 already" in skip.reason
