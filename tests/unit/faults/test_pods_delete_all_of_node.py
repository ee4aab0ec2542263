"""Pods delete all of node: which node, which pods, and that those of the others stay."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from faults.podcluster import Object, Stage, endpoints, pod

from rollproof.core.event import Outcome
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import Traffic
from rollproof.faults.pods_delete_all_of_node import FAULT


def on(node: str, name: str, ip: str) -> Object:
    item = pod(name, ip)
    return {**item, "spec": {**item["spec"], "nodeName": node}}


@pytest.fixture
def stage(staged: Callable[..., Stage]) -> Stage:
    """web-1 on node b; web-2 and web-4 on node a."""
    stage = staged(FAULT)
    for item in (on("b", "web-1", "10.0.0.1"), on("a", "web-2", "10.0.0.2"), on("a", "web-4", "10.0.0.4")):
        stage.api.put("pods", item)
    stage.api.put("endpointslices", endpoints("10.0.0.1", "10.0.0.2", "10.0.0.4"))
    seen = stage.live.watches
    assert seen.poll(lambda: (len(seen.endpoints()) == 3 and len(seen.pods()) == 3) or None, timeout_s=60)
    stage.api.after_delete = lambda name: replaced(stage, name) if name == "web-4" else leaves(stage, name)
    return stage


def leaves(stage: Stage, name: str) -> None:
    item = stage.api.objects["pods", name]
    stage.api.put("pods", {**item, "metadata": {**item["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}})


def replaced(stage: Stage, name: str) -> None:
    """After the last of the two: both go, and two others come."""
    leaves(stage, name)
    for new, ip in (("web-5", "10.0.0.5"), ("web-6", "10.0.0.6")):
        stage.api.put("pods", on("a", new, ip))
    stage.api.put("endpointslices", endpoints("10.0.0.1", "10.0.0.5", "10.0.0.6"))
    for old in ("web-2", "web-4"):
        super(type(stage.api), stage.api).remove("pods", old)


def deletions(stage: Stage) -> list[str]:
    return [path.rpartition("/")[2] for method, path, _ in stage.api.asked if method == "DELETE"]


def test_all_pods_of_the_fullest_node_go_and_are_replaced(stage: Stage) -> None:
    injection = stage.injection()
    assert injection.subject == "Node/a"
    assert injection.change == "its pods web-2, web-4 are deleted gracefully at once, 2 of 3"
    assert injection.args["pods"] == {"web-2": "uid-web-2", "web-4": "uid-web-4"}
    assert stage.run(injection) == ["planned", "injecting", "injected", "effect", "recovered", "undone"]
    assert deletions(stage) == ["web-2", "web-4"]
    assert stage.said("effect").data["pods"] == ["uid-web-2", "uid-web-4"]
    assert str(stage.said("effect").data["watched"]).startswith("Pod/shop/web-2, Pod/shop/web-4 are ")


def test_one_that_stays_is_no_effect(stage: Stage) -> None:
    stage.api.after_delete = lambda name: leaves(stage, name) if name == "web-2" else None
    assert stage.run() == ["planned", "injecting", "injected", "no-effect"]
    assert stage.said("no-effect").outcome is Outcome.UNKNOWN


def test_pods_that_are_not_replaced_are_no_recovery(stage: Stage) -> None:
    stage.api.after_delete = lambda name: leaves(stage, name)
    assert stage.run()[-1] == "not-recovered"
    assert stage.said("not-recovered").data["last_seen"] == "1 of 3 pods serve"


def test_one_that_somebody_else_deleted_a_moment_before_is_no_reason_to_stop(stage: Stage) -> None:
    injection = stage.injection()
    stage.api.objects["pods", "web-2"]["metadata"]["uid"] = "uid-other"  # unseen by the watch
    stage.run(injection)
    assert deletions(stage) == ["web-2", "web-4"]
    assert stage.said("injected").data["uid"] == "uid-web-4"


def test_none_left_is_void(stage: Stage) -> None:
    injection = stage.injection()
    for name in ("web-2", "web-4"):
        stage.api.objects["pods", name]["metadata"]["uid"] = "uid-other"
    assert stage.run(injection) == ["planned", "injecting", "void"]


def test_all_on_one_node_is_an_outage_by_construction(stage: Stage) -> None:
    stage.api.put("pods", on("a", "web-1", "10.0.0.1"))
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert skip.reason.startswith("posture, spread: all 3 ready pods are on node a")
    assert isinstance(stage.available(traffic=Traffic(downtime_budget_ms=5000.0)), Injection)


def test_of_two_nodes_that_are_equally_full_the_first_is_chosen(stage: Stage) -> None:
    stage.api.put("pods", on("b", "web-4", "10.0.0.4"))
    stage.api.put("pods", on("c", "web-2", "10.0.0.2"))
    stage.api.put("pods", on("c", "web-7", "10.0.0.7"))
    found = stage.available()
    assert isinstance(found, Injection)
    assert found.subject == "Node/b"
