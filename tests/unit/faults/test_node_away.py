"""Nodes that go silent, however that is done: node-lost, node-pause, kubelet-frozen, on a small API server."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from faults.nodecluster import FakeShell, away, carry, node, removed
from faults.podcluster import Stage, endpoints

from rollproof.core.event import Outcome
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import FaultSettings
from rollproof.core.verdict import Result
from rollproof.errors import InputError
from rollproof.faults import kubelet_frozen, node_lost, node_pause
from rollproof.faults.node_away import NodeAway

FAULTS = (node_lost.FAULT, node_pause.FAULT, kubelet_frozen.FAULT)
WORDS = ["planned", "injecting", "injected", "effect", "undone", "recovered"]


@pytest.fixture(params=FAULTS, ids=lambda fault: fault.name)
def stage(request: pytest.FixtureRequest, staged: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> Stage:
    fault: NodeAway = request.param
    monkeypatch.setattr(type(fault), "back_s", 1.0)
    monkeypatch.setattr("rollproof.faults.node_away.GRACE_S", 0.0)
    return staged(fault)


@pytest.fixture
def shell(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> type[FakeShell]:
    return away(stage, monkeypatch, "rollproof.faults.node_away")


@pytest.mark.usefixtures("shell")
def test_it_is_felt_undone_and_recovered_from(stage: Stage) -> None:
    injection = stage.injection()
    assert injection.subject == "Node/a"
    assert "it carries other pods too" not in injection.change
    assert "a timer" in injection.dead_man
    assert stage.run(injection) == WORDS
    assert stage.said("planned").data["held"] is True
    assert stage.said("effect").data["watched"] == "Node/a is Unknown, and web-1 out of the Service"
    assert stage.verdict() is Result.PASS
    assert stage.journal.open_entries() == []


def test_its_end_is_armed_with_it(stage: Stage, shell: type[FakeShell]) -> None:
    injection = stage.injection()
    stage.run(injection)
    armed = f"sleep {math.ceil(injection.args['at_most_s'])};"
    assert shell.armed_s == [injection.args["at_most_s"]] or any(armed in one for one in shell.ran)


def test_nobody_felt_it(stage: Stage, shell: type[FakeShell]) -> None:
    shell.does = False
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert stage.verdict() is Result.INCONCLUSIVE


@pytest.mark.usefixtures("shell")
def test_unknown_alone_and_out_of_the_service_alone_are_no_effect(stage: Stage) -> None:
    injection, seen = stage.injection(), stage.live.watches
    stage.api.put("nodes", node("a", ready="Unknown"))
    with seen.node_beside(stage.live.kube, "a"):
        assert seen.node("a") is not None
        assert stage.fault.evidence(injection, stage.live) is None
        stage.api.put("nodes", node("a"))
        stage.api.put("endpointslices", endpoints("10.0.0.2"))
        assert seen.poll(lambda: ((view := seen.node("a")) and view.ready == "True") or None, timeout_s=60)
        assert seen.poll(lambda: len(seen.endpoints()) == 1 or None, timeout_s=60)
        assert stage.fault.evidence(injection, stage.live) is None, "out of the Service for another reason"
        stage.api.put("nodes", node("a", ready="Unknown"))
        assert seen.poll(lambda: stage.fault.evidence(injection, stage.live), timeout_s=60)


def test_a_node_that_does_not_come_back(stage: Stage, shell: type[FakeShell]) -> None:
    shell.returns = False
    assert stage.run()[-1] == "not-recovered"
    assert stage.said("not-recovered").data["last_seen"] == "node a is not Ready: Unknown"
    assert stage.said("not-recovered").outcome is Outcome.FAIL
    assert stage.verdict() is Result.FAIL


@pytest.mark.parametrize("change", ["not ready", "not serving", "gone"])
def test_void_where_it_is_not_as_planned(stage: Stage, shell: type[FakeShell], change: str) -> None:
    injection, before = stage.injection(), list(shell.ran)
    if change == "not ready":
        stage.api.put("nodes", node("a", ready="False"))
    elif change == "gone":
        removed(stage, "a")
    else:
        stage.api.put("endpointslices", endpoints("10.0.0.2"))
        assert stage.live.watches.poll(lambda: len(stage.live.watches.endpoints()) == 1 or None, timeout_s=60)
    assert stage.run(injection) == ["planned", "void"]
    assert (shell.ran, shell.paused) == (before, False)


@pytest.mark.usefixtures("shell")
def test_undo_twice_and_of_a_node_that_is_gone(stage: Stage) -> None:
    injection = stage.injection()
    stage.fault.inject(injection, stage.live)
    undo = lambda: stage.fault.undo_on(stage.target, stage.live.kube, injection.args).how  # noqa: E731
    assert [undo(), undo()] == ["done", "not-needed"]
    removed(stage, "a")
    assert undo() == "not-needed"


def test_undo_after_its_timer_or_a_person_was_faster(stage: Stage, shell: type[FakeShell]) -> None:
    injection = stage.injection()
    stage.fault.inject(injection, stage.live)
    shell.dropped, shell.paused, shell.stopped = set(), False, False
    assert stage.fault.undo_on(stage.target, stage.live.kube, injection.args).how == "not-needed"


def test_skipped_where_nobody_gets_into_the_node(stage: Stage, shell: type[FakeShell]) -> None:
    shell.refused = "no way into a node is named"
    found = stage.available()
    assert isinstance(found, Skip)
    assert found.reason == "no way into a node is named"


@pytest.mark.usefixtures("shell")
def test_what_else_runs_there_is_in_the_plan(stage: Stage) -> None:
    carry(stage, "a", "cart-1", "cart")
    carry(stage, "b", "cart-2", "cart")
    found = stage.available()
    assert isinstance(found, Injection)
    assert found.change.endswith("; it carries other pods too: 1 of cart")


@pytest.mark.usefixtures("shell")
def test_a_limit_that_the_platform_cannot_meet(stage: Stage) -> None:
    name = stage.fault.name
    with pytest.raises(InputError, match=rf'faults\.recovery_limits_s\."{name}" is 0.5 s'):
        stage.available(faults=FaultSettings(recovery_limits_s={name: 0.5}))
    with pytest.raises(InputError, match=r"faults\.recovery_limit_s is 0.5 s"):
        stage.available(faults=FaultSettings(recovery_limit_s=0.5))


def test_the_node_that_carries_least_of_others_is_taken(stage: Stage, shell: type[FakeShell]) -> None:
    carry(stage, "a", "dns-1", "kube-system")
    found = stage.available()
    assert isinstance(found, Injection)
    assert (found.subject, shell.refused) == ("Node/b", "")
