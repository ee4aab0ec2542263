"""Node spot on a small API server: notice, eviction, loss at its time, and everything put back in order."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from faults.nodecluster import FakeShell, away, node, removed
from faults.podcluster import Stage

from rollproof.core.injection import Skip
from rollproof.core.verdict import Result
from rollproof.faults.cordon import MARK
from rollproof.faults.node_spot import FAULT

TAINT = {"key": "rollproof/spot-interruption", "value": "notice", "effect": "NoSchedule"}


@pytest.fixture
def stage(staged: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr("rollproof.faults.node_spot._BACK_S", 1.0)
    monkeypatch.setattr("rollproof.faults.node_spot.GRACE_S", 0.0)
    monkeypatch.setattr("rollproof.faults.cordon._AGAIN_S", 0.02)
    return staged(FAULT)


@pytest.fixture
def shell(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> type[FakeShell]:
    shell = away(stage, monkeypatch, "rollproof.faults.node_spot")
    stage.api.evicted = stage.api.replace
    monkeypatch.setattr(shell, "_silent", lambda self: spot(self, ready="Unknown"))
    monkeypatch.setattr(shell, "_back", lambda self, was: spot(self, ready="True") if was else None)
    return shell


def spot(shell: FakeShell, *, ready: str) -> None:
    """The node's word alone: its pods have left it."""
    item = shell.stage.api.objects["nodes", "a"]
    if shell.does:
        shell.stage.api.put("nodes", {**item, "status": node("a", ready=ready)["status"]})


def now(stage: Stage) -> dict[str, object]:
    spec: dict[str, object] = stage.api.objects["nodes", "a"]["spec"]
    return spec


def test_the_pods_are_gone_before_the_machine_is(stage: Stage, shell: type[FakeShell]) -> None:
    injection = stage.injection()
    assert injection.change == (
        "cordoned, tainted and its pods web-1 evicted (1 of 2); "
        "0.6 s later (EC2 gives 120 s) all its packets are dropped"
    )
    assert stage.run(injection) == ["planned", "injecting", "injected", "effect", "undone", "recovered"]
    told = stage.said("injected").data
    assert (told["evicted"], told["forbidden"]) == (1, 0)
    assert 0 < told["margin_s"] < 0.6
    seen = [event.data for event in stage.recorder.events if event.subject == "Node/a"]
    assert seen[1]["unschedulable"]
    assert list(seen[1]["taints"]) == ["rollproof/spot-interruption=notice:NoSchedule"]
    assert now(stage) == {}
    assert shell.dropped == set()
    assert stage.verdict() is Result.PASS


def test_the_machine_does_not_wait_for_a_pod_that_nobody_may_evict(stage: Stage, shell: type[FakeShell]) -> None:
    injection = stage.injection()
    stage.api.refusing["/eviction"] = 429
    stage.run(injection)
    assert "margin_s" not in stage.said("injected").data
    assert any(" -I " in script for script in shell.ran)


def test_nobody_felt_it(stage: Stage, shell: type[FakeShell]) -> None:
    shell.does = False
    assert stage.run()[-2:] == ["no-effect", "undone"]
    assert stage.verdict() is Result.INCONCLUSIVE


def test_a_node_that_does_not_come_back(stage: Stage, shell: type[FakeShell], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "_back", lambda *_: None)
    assert stage.run()[-1] == "not-recovered"
    assert stage.verdict() is Result.FAIL


def test_void_where_somebody_has_cordoned_it(stage: Stage, shell: type[FakeShell]) -> None:
    injection = stage.injection()
    stage.api.put("nodes", node("a", unschedulable=True))
    assert stage.run(injection)[-1] == "void"
    assert not any(" -I " in script for script in shell.ran)


@pytest.mark.usefixtures("shell")
def test_undo_twice_and_what_others_tainted_stays(stage: Stage) -> None:
    injection = stage.injection()
    FAULT.inject(injection, stage.live)
    item = stage.api.objects["nodes", "a"]
    theirs = {"key": "team", "effect": "NoSchedule"}
    stage.api.put("nodes", {**item, "spec": {**item["spec"], "taints": [*item["spec"]["taints"], theirs]}})
    undo = lambda: FAULT.undo_on(stage.target, stage.live.kube, injection.args).how  # noqa: E731
    assert [undo(), undo()] == ["done", "not-needed"]
    assert now(stage) == {"taints": [theirs]}
    removed(stage, "a")
    assert undo() == "not-needed"


@pytest.mark.usefixtures("shell")
def test_undo_lets_packets_through_and_leaves_the_cordon_of_somebody_else(stage: Stage) -> None:
    injection = stage.injection()
    FAULT.inject(injection, stage.live)
    item = stage.api.objects["nodes", "a"]
    stage.api.put("nodes", {**item, "metadata": {**item["metadata"], "annotations": {MARK: "another run"}}})
    assert FAULT.undo_on(stage.target, stage.live.kube, injection.args).how == "left"
    assert now(stage)["unschedulable"]


def test_skipped_without_a_way_into_the_node(stage: Stage, shell: type[FakeShell]) -> None:
    shell.refused = "no way into a node is named"
    found = stage.available()
    assert isinstance(found, Skip)
