"""Database credentials: the account is locked and unlocked by real shell scripts and a stand-in for the client."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faults.databaseserver import PASSWORD, FakeServer
from faults.databasestage import DATABASE, DatabaseStage, World

from rollproof.core.injection import Skip
from rollproof.core.target import Database, FaultSettings
from rollproof.faults.database_credentials import FAULT

pytestmark = pytest.mark.processes


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    return FakeServer(tmp_path, monkeypatch)


@pytest.fixture
def stage(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseStage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    with ExitStack() as stack:
        api = World(uid=str(uuid.uuid4()))
        api.away = lambda: server.locked
        yield DatabaseStage(FAULT, api, tmp_path, stack)


def test_an_account_that_is_locked_and_unlocked(stage: DatabaseStage, server: FakeServer) -> None:
    injection = stage.injection()
    assert injection.subject == "Pod/db/db-0"
    assert "account 'shop'@'%': open -> locked" in injection.change
    assert "a timer in the database's container" in injection.dead_man
    assert stage.run(injection) == ["planned", "injecting", "injected", "effect", "undone", "recovered"]
    assert not server.locked
    assert stage.journal.open_entries() == []


def test_neither_password_nor_hash_leaves_the_container(stage: DatabaseStage, server: FakeServer) -> None:
    stage.run()
    told = str([event.data for event in stage.recorder.events]) + stage.path.read_text() + str(server.ran)
    assert PASSWORD not in told
    assert "2470C0C06DEE" not in told
    assert 'MYSQL_PWD="$ROOT_PASSWORD" mariadb --user=root' in server.ran[0], "expanded by the container's shell"


def test_the_timer_unlocks_it_if_nobody_comes_back(stage: DatabaseStage, server: FakeServer) -> None:
    injection = stage.injection()
    server.let_the_timer_expire()
    FAULT.inject(injection, stage.live)
    stage.live.watches.poll(lambda: None if server.locked else True, timeout_s=60)
    assert not server.locked
    assert FAULT.undo(stage.kube, injection.args).how == "not-needed"


def test_a_timer_is_ended_with_its_fault(stage: DatabaseStage) -> None:
    injection = stage.injection()
    FAULT.inject(injection, stage.live)
    mark = f"ROLLPROOF_FAULT=database-credentials/{injection.args['uid']}".encode()
    assert _marked(mark), "it waits"
    assert FAULT.undo(stage.kube, injection.args).how == "done"
    assert not _marked(mark), "else it would end the next fault of this kind too early"


def test_an_app_that_keeps_its_connections_feels_nothing(stage: DatabaseStage, server: FakeServer) -> None:
    stage.api.away = lambda: False
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert not server.locked


def test_an_app_that_does_not_come_back_is_no_recovery(stage: DatabaseStage, server: FakeServer) -> None:
    ever: list[bool] = []
    stage.api.away = lambda: bool(ever) or (server.locked and not ever.append(True))
    assert stage.run()[-2:] == ["undone", "not-recovered"]
    assert not server.locked, "it is put back all the same"


def test_an_account_that_was_locked_meanwhile_is_void(stage: DatabaseStage, server: FakeServer) -> None:
    injection = stage.injection()
    (server.folder / "locked").touch()
    stage.api.away = lambda: False
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert server.locked, "whoever has locked it"


def test_another_pod_of_the_database_is_void(stage: DatabaseStage, server: FakeServer) -> None:
    injection = stage.injection()
    stage.api.put("pods", {**stage.api.objects["pods", "db-0"], "metadata": _renewed(stage)})
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert not server.locked


def test_a_statement_that_fails_is_void_with_its_words(stage: DatabaseStage, server: FakeServer) -> None:
    injection = stage.injection()
    args = {**injection.args, "admin": "root --help; exit 1 #"}  # a client that ends without a word
    assert stage.run(replace(injection, args=args))[-1] == "void"
    assert not server.locked


def test_undone_by_a_later_process_twice(stage: DatabaseStage, server: FakeServer) -> None:
    args = stage.injection().args
    assert FAULT.undo(stage.kube, args).how == "not-needed"
    (server.folder / "locked").touch()
    assert (FAULT.undo(stage.kube, args).how, server.locked) == ("done", False)
    assert FAULT.undo(stage.kube, args).how == "not-needed"
    (server.folder / "broken").touch()
    undone = FAULT.undo(stage.kube, args)
    assert (undone.how, "cannot connect" in undone.reason) == ("failed", True), "unknown is not as before"
    stage.api.remove("pods", "db-0")
    assert FAULT.undo(stage.kube, args).how == "failed"


def test_what_cannot_be_done_is_skipped_with_its_reason(stage: DatabaseStage, server: FakeServer) -> None:
    def reason(**changes: Any) -> str:
        skip = stage.available(**({"faults": FaultSettings(database=replace(DATABASE, **changes))} if changes else {}))
        assert isinstance(skip, Skip)
        return skip.reason

    assert "faults.database.account" in reason(account="")
    assert "matching row in the user table" in reason(account="other")
    assert "Access denied" in reason(admin_password_variable="OTHER")
    other = Database(kind="Deployment", namespace="db", name="other", account="shop")
    skip = stage.available(faults=FaultSettings(database=other))
    assert isinstance(skip, Skip)
    assert "there is no Deployment/db/other" in skip.reason
    (server.folder / "locked").touch()
    assert "the account is locked already" in reason()
    stage.api.put("pods", {**stage.api.objects["pods", "db-0"], "metadata": _renewed(stage) | {"name": "db-1"}})
    assert "2 ready pods, expected one" in reason()


def _renewed(stage: DatabaseStage) -> dict[str, Any]:
    return {**stage.api.objects["pods", "db-0"]["metadata"], "uid": "uid-of-the-next"}


def _marked(mark: bytes) -> list[str]:
    """Processes with that variable."""
    found = []
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            found += [place.parent.name] if mark in place.read_bytes().split(b"\0") else []
        except OSError:
            continue  # it has ended
    return found
