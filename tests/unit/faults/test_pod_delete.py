"""Pod delete against a small API server over real HTTP, with the run's own watches."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fakeapi import FakeApi
from faults.podcluster import Stage, endpoints, pod

from rollproof.core.event import Outcome
from rollproof.core.injection import Injection, Skip
from rollproof.core.target import Traffic
from rollproof.core.verdict import Result
from rollproof.faults.pod_delete import FAULT


@pytest.fixture
def stage(staged: Callable[..., Stage]) -> Stage:
    return staged(FAULT)


def deletions(stage: Stage) -> list[str]:
    return [path.rpartition("/")[2] for method, path, _ in stage.api.asked if method == "DELETE"]


def test_a_deleted_pod_is_replaced(stage: Stage) -> None:
    injection = stage.injection()
    assert injection.subject == "Pod/shop/web-1"
    assert injection.args == {
        "kind": "Pod", "namespace": "shop", "pods": {"web-1": "uid-web-1"}, "members": 2,
    }  # fmt: skip
    assert injection.limit_s == 1.0
    assert stage.run() == ["planned", "injecting", "injected", "effect", "recovered", "undone"]
    assert stage.verdict() is Result.PASS
    assert deletions(stage) == ["web-1"]
    assert stage.said("injected").data["uid"] == "uid-web-1"
    assert stage.said("effect").data["pods"] == ["uid-web-1"]
    # A busy machine may look so late that it has gone already.
    assert stage.said("effect").data["watched"] in ("Pod/shop/web-1 is terminating", "Pod/shop/web-1 is gone")
    in_service = [one for one in stage.recorder.events if one.subject.startswith("EndpointSlice/")][-1]
    gone = next(one for one in stage.recorder.events if (one.subject, one.what) == ("Pod/shop/web-1", "deleted"))
    assert stage.said("recovered").end_s >= in_service.end_s, "ready is not enough: the Service must know it"
    assert stage.said("recovered").end_s >= gone.end_s, "and the old one can still lose requests"
    assert stage.journal.open_entries() == []


@pytest.mark.parametrize("when", ["seen", "unseen", "renamed"])
def test_a_pod_that_is_gone_already_is_void(stage: Stage, when: str) -> None:
    injection = stage.injection()
    if when == "seen":
        FakeApi.remove(stage.api, "pods", "web-1")
        stage.live.watches.poll(lambda: True if "web-1" not in stage.live.watches.pods() else None, timeout_s=60)
    elif when == "unseen":  # by our watch, a moment before the request
        del stage.api.objects["pods", "web-1"]
    else:
        stage.api.objects["pods", "web-1"]["metadata"]["uid"] = "uid-other"
    words = stage.run(injection)
    assert words == (["planned", "void"] if when == "seen" else ["planned", "injecting", "void"])
    assert stage.verdict() is Result.INCONCLUSIVE
    assert "web-1 with uid uid-web-1" in stage.said("void").data["reason"]
    assert deletions(stage) == ([] if when == "seen" else ["web-1"])
    assert stage.journal.open_entries() == []


@pytest.mark.parametrize("change", ["unready", "out of the service", "fellow away"])
def test_a_pod_that_would_not_hurt_is_void(stage: Stage, change: str) -> None:
    injection, watches = stage.injection(), stage.live.watches
    if change == "unready":
        stage.api.put("pods", pod("web-1", "10.0.0.1", ready=False))
        gone = lambda: not watches.pods()["web-1"].ready  # noqa: E731
    elif change == "out of the service":
        stage.api.put("endpointslices", endpoints("10.0.0.2"))
        gone = lambda: "10.0.0.1" not in watches.endpoints()  # noqa: E731
    else:
        stage.api.put("endpointslices", endpoints("10.0.0.1"))
        gone = lambda: "10.0.0.2" not in watches.endpoints()  # noqa: E731
    assert watches.poll(lambda: True if gone() else None, timeout_s=60)
    assert stage.run(injection) == ["planned", "void"]
    assert deletions(stage) == []


def test_an_api_that_says_yes_and_does_nothing_is_no_effect(stage: Stage) -> None:
    stage.api.after_delete = lambda _: None
    assert stage.run() == ["planned", "injecting", "injected", "no-effect"]
    assert stage.said("no-effect").outcome is Outcome.UNKNOWN
    assert stage.verdict() is Result.INCONCLUSIVE


def test_a_pod_that_is_not_replaced_is_no_recovery(stage: Stage) -> None:
    stage.api.after_delete = stage.api.leaves
    assert stage.run() == ["planned", "injecting", "injected", "effect", "not-recovered"]
    assert stage.said("not-recovered").outcome is Outcome.FAIL
    assert stage.verdict() is Result.FAIL
    assert stage.said("not-recovered").data["last_seen"] == "1 of 2 pods serve"
    assert stage.journal.open_entries() == [], "what has no undo is not owed"


def test_a_pod_that_never_goes_is_no_recovery(stage: Stage) -> None:
    def replaced_but_not_gone(name: str) -> None:
        stage.api.leaves(name)
        stage.api.put("pods", pod("web-3", "10.0.0.3"))
        stage.api.put("endpointslices", endpoints("10.0.0.2", "10.0.0.3"))

    stage.api.after_delete = replaced_but_not_gone
    assert stage.run()[-1] == "not-recovered"
    assert stage.said("not-recovered").data["last_seen"] == "still terminating: web-1"


def test_one_replica_is_skipped_unless_an_outage_is_allowed(stage: Stage) -> None:
    item = stage.api.objects["deployments", "web"]
    stage.api.put("deployments", {**item, "spec": {**item["spec"], "replicas": 1}})
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "1 replica" in skip.reason
    assert isinstance(stage.available(traffic=Traffic(downtime_budget_ms=5000.0)), Injection)


def test_pods_that_nobody_would_replace_are_skipped(stage: Stage) -> None:
    for name, ip in (("web-1", "10.0.0.1"), ("web-2", "10.0.0.2")):
        stage.api.put("pods", pod(name, ip, ownerReferences=[]))
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "ReplicaSet that would replace it" in skip.reason
