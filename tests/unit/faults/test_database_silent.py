"""Database silent: a process of the test's own is stopped and goes on, by the scripts that the node would run."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from faults.databasenode import FakeNode
from faults.databasestage import DatabaseStage, World

from rollproof.clients.nodes import Ran
from rollproof.core.injection import Skip
from rollproof.faults.database_silent import FAULT
from tests.waiting import until

pytestmark = pytest.mark.processes


class Silent(World):
    """The app gives no answer at its readiness path while `node.stopped`, and its pods go unready."""

    def __init__(self, node: FakeNode) -> None:
        super().__init__(uid=str(uuid.uuid4()))
        self.node, self.unready = node, True
        self.proxied = lambda _, path: self.silent(path)
        node.after = self.probe

    def silent(self, path: str) -> tuple[int, str]:
        if path == "/ready" and self.node.stopped:
            return 503, '{"kind": "Status", "code": 503, "message": "context deadline exceeded"}'
        return self.answer(path)

    def probe(self) -> None:
        """What the kubelets see, as soon as it can be seen."""
        for pod in ("web-1", "web-2"):
            self.ready_is(pod, ready=not (self.node.stopped and self.unready))

    def ready_is(self, pod: str, *, ready: bool) -> None:
        item = self.objects["pods", pod]
        conditions = [{"type": "Ready", "status": str(ready)}]
        if item["status"]["conditions"][0]["status"] != str(ready):
            self.put("pods", {**item, "status": {**item["status"], "conditions": conditions}})


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DatabaseStage]:
    monkeypatch.setattr("rollproof.faults.runner._APART_S", 0.05)
    with ExitStack() as stack:
        node = FakeNode(tmp_path, monkeypatch, stack)
        yield DatabaseStage(FAULT, Silent(node), tmp_path, stack)


@pytest.fixture
def node(stage: DatabaseStage) -> FakeNode:
    assert isinstance(stage.api, Silent)
    return stage.api.node


def test_a_database_that_is_stopped_and_goes_on(stage: DatabaseStage, node: FakeNode) -> None:
    injection = stage.injection()
    assert injection.subject == "Pod/db/db-0"
    assert f"stopped by SIGSTOP (pid {node.process.pid} of node" in injection.change
    assert injection.dead_man.startswith("a timer in node ")
    assert injection.effect_within_s == pytest.approx(0.5 + 3 * 10 + 1), "what Kubernetes probes take by default"
    assert stage.run(injection) == ["planned", "injecting", "injected", "effect", "undone", "recovered"]
    assert not node.stopped
    assert "is not ready any more, and does not answer at /ready" in stage.said("effect").data["watched"]
    assert stage.journal.open_entries() == []


def test_an_app_that_feels_nothing_is_no_effect(stage: DatabaseStage, node: FakeNode) -> None:
    injection = replace(stage.injection(), effect_within_s=0.3)
    stage.api.unready = False  # type: ignore[attr-defined]
    assert stage.run(injection) == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert not node.stopped


def test_the_timer_lets_it_go_on_if_nobody_comes_back(stage: DatabaseStage, node: FakeNode) -> None:
    injection = stage.injection()
    FAULT.inject(replace(injection, args={**injection.args, "dead_man_s": 3}), stage.live)
    assert node.stopped
    stage.live.watches.poll(lambda: None if node.stopped else True, timeout_s=60)
    assert not node.stopped


def test_a_process_that_was_replaced_is_void(stage: DatabaseStage, node: FakeNode) -> None:
    injection = stage.injection()
    args = {**injection.args, "started": 1}
    assert stage.run(replace(injection, args=args)) == ["planned", "injecting", "void"]
    assert not node.stopped, "a pid that is another's now"


def test_half_a_deed_that_cannot_be_taken_back_stays_open(
    stage: DatabaseStage, node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    injection, run = stage.injection(), node.run

    def failing(argv: Sequence[str], timeout_s: float) -> Ran:
        done = run(argv, timeout_s) if "kill -CONT" not in argv[-1] or "kill -STOP" in argv[-1] else Ran(0, "", "")
        return Ran(1, done.out, "no room") if "kill" in argv[-1] else done

    monkeypatch.setattr(node, "run", failing)
    assert stage.run(injection) == ["planned", "injecting", "error"]
    assert "could not be taken back" in str(stage.said("error").data["reason"])
    assert node.stopped
    assert len(stage.journal.open_entries()) == 1
    monkeypatch.undo()


def test_undone_twice_and_after_the_process_has_gone(stage: DatabaseStage, node: FakeNode) -> None:
    args = stage.injection().args
    assert FAULT.undo_on(stage.target, stage.kube, args).how == "not-needed"
    FAULT.inject(stage.injection(), stage.live)
    assert (FAULT.undo_on(stage.target, stage.kube, args).how, node.stopped) == ("done", False)
    assert FAULT.undo_on(stage.target, stage.kube, args).how == "not-needed"
    os.kill(node.process.pid, signal.SIGSTOP)
    until(lambda: node.stopped, "the process to stop")  # the signal is on its way
    others = {**args, "started": 1}
    assert (FAULT.undo_on(stage.target, stage.kube, others).how, node.stopped) == ("not-needed", True)
    node.end()
    assert FAULT.undo_on(stage.target, stage.kube, args).how == "not-needed"


def test_without_a_way_into_the_node_it_is_skipped(stage: DatabaseStage, node: FakeNode) -> None:
    node.why = "no way into {node}"
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert skip.reason.startswith("no way into")
    node.why = ""
    node.end()
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "main process" in skip.reason
