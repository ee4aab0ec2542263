"""Node drain against a small API server over real HTTP: which node, whose cordon, and budgets that never let go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from faults.nodecluster import FENCES, INGRESS, furnish, node, on, removed
from faults.podcluster import Object, Stage, pod

from rollproof.core.injection import Injection, Skip
from rollproof.core.target import FaultSettings, Ingress, Traffic
from rollproof.core.verdict import Result
from rollproof.faults.cordon import MARK
from rollproof.faults.node_drain import FAULT


@pytest.fixture
def stage(staged: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr("rollproof.faults.cordon._AGAIN_S", 0.02)
    stage = staged(FAULT)
    furnish(stage)
    limits = FaultSettings(effect_within_s=1.0, recovery_limits_s={FAULT.name: 1.5})
    stage.target = replace(stage.target, fences=FENCES, ingress=INGRESS, faults=limits)
    stage.live = replace(stage.live, target=stage.target)
    stage.api.evicted = stage.api.replace
    return stage


def skip_of(stage: Stage, **changes: Any) -> str:
    found = stage.available(**changes)
    assert isinstance(found, Skip)
    assert [one for one in stage.api.sent if one[0] != "POST" or "eviction" in one[1]] == []
    return found.reason


def node_now(stage: Stage, name: str = "a") -> Object:
    return stage.api.objects["nodes", name]


def budget(allowed: int) -> Object:
    return {
        "metadata": {"name": "web", "namespace": "shop"}, "spec": {"selector": {"matchLabels": {"app": "web"}}},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": 2, "desiredHealthy": 2 - allowed},
    }  # fmt: skip


def test_a_drained_node_gives_its_pod_away_and_is_uncordoned(stage: Stage) -> None:
    injection = stage.injection()
    assert injection.subject == "Node/a"
    assert injection.change == "cordoned, and its pods web-1 are evicted, 1 of 2"
    assert stage.run(injection) == ["planned", "injecting", "injected", "effect", "recovered", "undone"]
    assert stage.said("injected").data == {"uid": "uid-a", "evicted": 1, "forbidden": 0}
    assert stage.said("effect").data["watched"] == "Node/a is cordoned"
    assert stage.said("undone").data["by"] == "harness"
    assert stage.verdict() is Result.PASS
    assert "unschedulable" not in node_now(stage)["spec"]
    assert MARK not in node_now(stage)["metadata"]["annotations"]
    assert [event.data["unschedulable"] for event in stage.recorder.events if event.subject == "Node/a"][:2] == [
        False, True,
    ]  # fmt: skip


def test_a_budget_is_asked_again_until_it_lets_the_pod_go(stage: Stage) -> None:
    injection = stage.injection()
    for _ in range(3):
        stage.api.refuse_next("/eviction", 429)
    stage.run(injection)
    assert stage.said("injected").data["forbidden"] == 3
    assert stage.verdict() is Result.PASS


def test_a_budget_that_never_does_is_a_failure_with_its_numbers(stage: Stage) -> None:
    injection = stage.injection()
    stage.api.put("poddisruptionbudgets", budget(0))
    stage.api.refusing["/eviction"] = 429
    assert stage.run(injection)[-2:] == ["not-recovered", "undone"]
    assert stage.said("not-recovered").data["last_seen"] == (
        "web-1 still on node a: PodDisruptionBudget web (disruptionsAllowed 0, currentHealthy 2, desiredHealthy 2)"
    )
    assert stage.verdict() is Result.FAIL
    assert "unschedulable" not in node_now(stage)["spec"], "and the node is given back"


def test_a_refused_eviction_leaves_the_entry_open_for_the_node_is_cordoned(stage: Stage) -> None:
    injection = stage.injection()
    stage.api.refusing["/eviction"] = 403
    assert stage.run(injection)[-1] == "error"
    (entry,) = stage.journal.open_entries()
    assert FAULT.undo(stage.live.kube, entry.args).how == "done"
    assert stage.verdict() is Result.INCONCLUSIVE


def test_a_pod_that_is_not_replaced_is_no_recovery(stage: Stage) -> None:
    stage.api.evicted = stage.api.leaves
    assert stage.run()[-2:] == ["not-recovered", "undone"]


def test_a_cordon_that_the_watch_does_not_show_is_no_effect(stage: Stage) -> None:
    injection = stage.injection()
    stage.api.refuse_next("/nodes/a?fieldManager", 200, node_now(stage))  # a yes, and nothing behind it
    assert stage.run(injection)[-1] == "no-effect"
    assert stage.verdict() is Result.INCONCLUSIVE


@pytest.mark.parametrize("change", ["cordoned", "gone", "replaced"])
def test_void_where_the_node_is_not_as_planned(stage: Stage, change: str) -> None:
    injection = stage.injection()
    if change == "cordoned":
        stage.api.put("nodes", node("a", unschedulable=True))
    elif change == "gone":
        removed(stage, "a")
    else:
        stage.api.objects["nodes", "a"]["metadata"]["uid"] = "uid-other"
    assert stage.run(injection)[-1] == "void"
    assert not [one for one in stage.api.sent if one[0] == "PATCH"]


def test_undo_twice(stage: Stage) -> None:
    stage.api.evicted = lambda _: None
    injection = stage.injection()
    FAULT.inject(replace(injection, limit_s=0.0), stage.live)
    kube = stage.live.kube
    assert node_now(stage)["metadata"]["annotations"][MARK] == injection.args["mark"]
    assert [FAULT.undo(kube, injection.args).how for _ in range(2)] == ["done", "not-needed"]


def test_undo_after_somebody_else_has_cordoned_it(stage: Stage) -> None:
    args = stage.injection().args
    stage.api.put("nodes", node("a", unschedulable=True))
    undone = FAULT.undo(stage.live.kube, args)
    assert (undone.how, undone.expected) == ("left", args["mark"])
    assert node_now(stage)["spec"]["unschedulable"]


def test_undo_of_a_node_that_the_autoscaler_has_removed(stage: Stage) -> None:
    args = stage.injection().args
    removed(stage, "a")
    assert FAULT.undo(stage.live.kube, args).how == "not-needed"


def test_a_node_that_is_written_all_the_time_is_tried_again(stage: Stage) -> None:
    injection = stage.injection()
    for _ in range(2):
        stage.api.refuse_next("/nodes/a?fieldManager", 409)
    assert stage.run(injection)[-1] == "undone"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fences": replace(FENCES, nodes="")}, "no node may be touched: fences.nodes"),
        ({"fences": replace(FENCES, nodes="pool=other")}, "no node has the labels of fences.nodes (pool=other)"),
        ({"ingress": Ingress()}, "whether a node carries the ingress is not known"),
        ({"fences": replace(FENCES, nodes="!pool")}, "cp is of the control plane"),
    ],
)
def test_skipped_by_the_target_file(stage: Stage, change: dict[str, Any], said: str) -> None:
    assert said in skip_of(stage, **change)


def test_skipped_where_a_budget_forbids_it(stage: Stage) -> None:
    stage.api.put("poddisruptionbudgets", budget(0))
    assert skip_of(stage) == (
        "node a cannot be drained: pod web-1 cannot be evicted: PodDisruptionBudget web (disruptionsAllowed 0, "
        "currentHealthy 2, desiredHealthy 2) forbids it, and so every drain of its node"
    )


def test_skipped_where_both_carry_what_must_stay(stage: Stage) -> None:
    stage.api.put("pods", on("a", pod("entry-1", "10.0.1.1", namespace="ingress")))
    stage.api.put("nodes", node("b", unschedulable=True))
    said = skip_of(stage)
    assert "a carries the ingress: losing the entry is no fault of the app" in said
    assert "b is cordoned already" in said


def test_the_node_without_the_ingress_is_taken(stage: Stage) -> None:
    stage.api.put("pods", on("a", pod("entry-1", "10.0.1.1", namespace="ingress")))
    found = stage.available()
    assert isinstance(found, Injection)
    assert found.subject == "Node/b"


def test_skipped_where_all_pods_are_on_it(stage: Stage) -> None:
    stage.api.put("pods", on("a", pod("web-2", "10.0.0.2")))
    assert "a carries all 2 ready pods, so nobody would answer" in skip_of(stage)
    assert isinstance(stage.available(traffic=Traffic(downtime_budget_ms=5000.0)), Injection)


def test_skipped_in_a_cluster_of_one_node(stage: Stage) -> None:
    stage.api.put("pods", on("cp", pod("web-2", "10.0.0.2")))
    removed(stage, "b")
    assert skip_of(stage) == "no node can be taken: a no other node could take its pods"


def test_skipped_where_no_node_is_ready(stage: Stage) -> None:
    for name in ("a", "b"):
        stage.api.put("nodes", node(name, ready="Unknown"))
    assert "a is not Ready (Unknown)" in skip_of(stage)
