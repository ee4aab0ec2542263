"""Database lost: stopped, dropped and replaced, by the scripts that the node would run and a stand-in for iptables."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faults.databasenode import FakeNode
from faults.databasestage import DatabaseStage, World

from rollproof.core.event import Outcome
from rollproof.core.reasons import NotBack
from rollproof.errors import CannotJudgeError
from rollproof.faults.database_lost import FAULT

pytestmark = pytest.mark.processes

HELD = "  sl  local_address rem_address   st\n   0: 0A00000A:A000 0A60C0A8:0CEA {state} 00000000:00000000\n"


class Lost(World):
    """The app's pods are unready while the database is stopped, and after that while `hangs`."""

    def __init__(self, node: FakeNode) -> None:
        super().__init__(uid=str(uuid.uuid4()))
        self.node, self.hangs, self.replaces = node, False, True
        self.proxied = lambda _, path: self.ask(path)
        node.after = self.probe

    def ask(self, path: str) -> tuple[int, str]:
        if path == "/ready" and (self.node.stopped or self.hangs):
            return 503, '{"kind": "Status", "code": 503, "message": "context deadline exceeded"}'
        return self.answer(path)

    def probe(self) -> None:
        for pod in ("web-1", "web-2"):
            item = self.objects["pods", pod]
            conditions = [{"type": "Ready", "status": str(not (self.node.stopped or self.hangs))}]
            self.put("pods", {**item, "status": {**item["status"], "conditions": conditions}})

    def remove(self, plural: str, name: str) -> dict[str, Any]:
        item = super().remove(plural, name)
        if name == "db-0" and self.replaces:
            self.node.end()
            again = {**item, "metadata": {**item["metadata"], "name": "db-1", "uid": "uid-db-1"}}
            self.put(plural, again)
            self.probe()
        return item


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseStage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    with ExitStack() as stack:
        node = FakeNode(tmp_path, monkeypatch, stack)
        yield DatabaseStage(FAULT, Lost(node), tmp_path, stack)


@pytest.fixture
def api(stage: DatabaseStage) -> Lost:
    assert isinstance(stage.api, Lost)
    return stage.api


def test_a_database_that_is_lost_and_replaced(stage: DatabaseStage, api: Lost) -> None:
    injection = stage.injection()
    assert "stopped by SIGSTOP, then its packets dropped" in injection.change
    assert stage.run(injection) == ["planned", "injecting", "injected", "effect", "undone", "recovered"]
    assert ("pods", "db-0") not in api.objects
    assert api.node.rules == []
    stopped, dropped = (_first(api.node.ran, words) for words in ("kill -STOP", "-I FORWARD 1 -s 10.0.1.1"))
    assert stopped < dropped, "the app must have connections to wait on"
    assert stage.journal.open_entries() == []


def test_pods_that_hang_are_named_with_what_to_do(stage: DatabaseStage, api: Lost) -> None:
    api.hangs = False
    api.node.table = HELD.format(state="01")
    injection = stage.injection()
    remove = api.remove

    def hang(plural: str, name: str) -> dict[str, Any]:
        api.hangs = True
        return remove(plural, name)

    api.remove = hang  # type: ignore[method-assign]
    assert stage.run(injection)[-2:] == ["undone", "not-recovered"]
    told = stage.said("not-recovered")
    assert (told.outcome, told.data["cause"]) == (Outcome.FAIL, NotBack.CONNECTIONS_HELD)
    assert "0 of 2 pods serve, although the next pod of the database (db-1) is ready" in told.data["last_seen"]
    assert told.data["last_seen"].endswith("kubectl --namespace shop delete pod web-1 web-2")
    assert api.node.rules == [], "they are deleted all the same"


@pytest.mark.parametrize("table", ["", HELD.format(state="06")])
def test_no_cause_without_a_connection_that_is_held(stage: DatabaseStage, api: Lost, table: str) -> None:
    api.node.table, api.hangs = table, True
    injection = stage.injection()
    with stage.live.watches.pods_beside(stage.kube, "db", "app=db"):
        api.probe()
        stage.live.watches.poll(lambda: FAULT.missing(injection, stage.live) or None, timeout_s=60)
        assert FAULT.why_not_back(injection, stage.live) is None


def test_a_database_that_is_not_replaced_is_no_claim_and_is_let_go(stage: DatabaseStage, api: Lost) -> None:
    api.replaces = False
    injection = stage.injection()
    with pytest.MonkeyPatch.context() as patch, stage.live.watches.pods_beside(stage.kube, "db", "app=db"):
        patch.setattr("rollproof.faults.database_lost._NEXT_WITHIN_S", 0.2)
        FAULT.inject(injection, stage.live)
        with pytest.raises(CannotJudgeError, match="no other pod of the database was ready"):
            FAULT.finish(injection, stage.live)
    assert FAULT.undo_on(stage.target, stage.kube, injection.args).how == "done"
    assert (api.node.stopped, api.node.rules) == (False, [])


def test_rules_that_are_refused_are_no_claim_and_it_is_let_go(stage: DatabaseStage, api: Lost) -> None:
    (api.node.folder / "no-iptables").touch()
    assert stage.run()[-1] == "undone"
    assert "Permission denied" in stage.said("error").data["reason"]
    assert (api.node.stopped, "db-0" in dict(api.objects.keys()).values()) == (False, True)


def test_the_timer_takes_all_back_if_nobody_comes(stage: DatabaseStage, api: Lost) -> None:
    injection, api.replaces = stage.injection(), False
    FAULT.inject(replace(injection, args={**injection.args, "dead_man_s": 3}), stage.live)
    with pytest.MonkeyPatch.context() as patch, stage.live.watches.pods_beside(stage.kube, "db", "app=db"):
        patch.setattr("rollproof.faults.database_lost._NEXT_WITHIN_S", 0.1)
        with pytest.raises(CannotJudgeError):
            FAULT.finish(injection, stage.live)
    stage.live.watches.poll(lambda: None if api.node.stopped or api.node.rules else True, timeout_s=60)
    assert (api.node.stopped, api.node.rules) == (False, [])
    assert FAULT.undo_on(stage.target, stage.kube, injection.args).how == "not-needed"


def test_rules_of_others_stay(stage: DatabaseStage, api: Lost) -> None:
    (api.node.folder / "rules").write_text("-s 10.0.1.1 -j DROP\n")
    assert FAULT.undo_on(stage.target, stage.kube, stage.injection().args).how == "not-needed"
    assert api.node.rules == ["-s 10.0.1.1 -j DROP"]


def _first(lines: list[str], words: str) -> int:
    return next(number for number, line in enumerate(lines) if words in line)
