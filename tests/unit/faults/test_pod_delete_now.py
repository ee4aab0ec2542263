"""Pod delete now: what differs from a graceful deletion is the grace period, and that it says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from faults.podcluster import Stage, owned, pod

from rollproof.core.event import Outcome
from rollproof.core.injection import Skip
from rollproof.faults.pod_delete_now import FAULT


@pytest.fixture
def stage(staged: Callable[..., Stage]) -> Stage:
    return staged(FAULT)


def test_a_pod_is_ended_within_a_second_and_replaced(stage: Stage) -> None:
    injection = stage.injection()
    assert injection.change.startswith("abrupt loss: deleted with a grace period of 1 s")
    assert stage.run(injection) == ["planned", "injecting", "injected", "effect", "recovered", "undone"]
    sent = [body for method, path, body in stage.api.sent if method == "DELETE" and path.endswith("/pods/web-1")]
    assert [(one["gracePeriodSeconds"], one["preconditions"]) for one in sent] == [(1, {"uid": "uid-web-1"})]


def test_an_api_that_says_yes_and_does_nothing_is_no_effect(stage: Stage) -> None:
    stage.api.after_delete = lambda _: None
    assert stage.run() == ["planned", "injecting", "injected", "no-effect"]
    assert stage.said("no-effect").outcome is Outcome.UNKNOWN


def test_a_pod_that_is_not_replaced_is_no_recovery(stage: Stage) -> None:
    stage.api.after_delete = stage.api.leaves
    assert stage.run()[-1] == "not-recovered"
    assert stage.said("not-recovered").outcome is Outcome.FAIL


def test_pods_of_a_stateful_set_are_refused(stage: Stage) -> None:
    for name, ip in (("web-1", "10.0.0.1"), ("web-2", "10.0.0.2")):
        stage.api.put("pods", pod(name, ip, ownerReferences=owned("StatefulSet", "web")))
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "pods of a StatefulSet or of nobody are not touched" in skip.reason


def test_one_replica_is_skipped(stage: Stage) -> None:
    item = stage.api.objects["deployments", "web"]
    stage.api.put("deployments", {**item, "spec": {**item["spec"], "replicas": 1}})
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "1 replica" in skip.reason
