"""What the Deployment controller says of a rollout, from counts alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rollproof_sandbox.api.store import Object
from rollproof_sandbox.workloads.deploymentstatus import is_complete, rollout_status
from rollproof_sandbox.workloads.objects import condition, set_condition

LONG_AGO = "2026-01-01T00:00:00Z"


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_deployment(reason: str, updated_at: str = LONG_AGO, **counts: int) -> Object:
    said = {"type": "Progressing", "status": "True", "reason": reason, "lastUpdateTime": updated_at,
            "lastTransitionTime": LONG_AGO}  # fmt: skip
    rolling = {"maxSurge": 1, "maxUnavailable": 0}
    return {
        "metadata": {"name": "shop", "generation": 7},
        "spec": {"replicas": 2, "progressDeadlineSeconds": 60, "strategy": {"rollingUpdate": rolling}},
        "status": {**counts, "conditions": [said]},
    }


def a_set(name: str, wanted: int, there: int, available: int) -> Object:
    status = {"replicas": there, "readyReplicas": available, "availableReplicas": available}
    return {"metadata": {"name": name}, "spec": {"replicas": wanted}, "status": status}


def judged(deployment: Object, old: Object, new: Object) -> Object:
    return rollout_status(deployment, [old, new], new)


def test_counts_of_zero_are_left_out() -> None:
    before = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2}
    item = a_deployment("NewReplicaSetAvailable", **before)
    status = judged(item, a_set("old", 2, 2, 2), a_set("new", 1, 0, 0))
    conditions = status.pop("conditions")
    counts = {"replicas": 2, "readyReplicas": 2, "availableReplicas": 2, "unavailableReplicas": 1}
    assert status == {"observedGeneration": 7, **counts}
    assert [one["reason"] for one in conditions] == ["NewReplicaSetAvailable", "MinimumReplicasAvailable"]


def test_no_pod_too_few_may_be_missing() -> None:
    status = judged(a_deployment("ReplicaSetUpdated"), a_set("old", 1, 1, 1), a_set("new", 1, 1, 0))
    assert condition({"status": status}, "Available")["reason"] == "MinimumReplicasUnavailable"


def test_progress_counts_from_its_last_sign() -> None:
    item = a_deployment("ReplicaSetUpdated", replicas=3, updatedReplicas=1, availableReplicas=2, readyReplicas=2)
    said = condition({"status": judged(item, a_set("old", 2, 2, 2), a_set("new", 1, 1, 1))}, "Progressing")
    assert said["reason"] == "ReplicaSetUpdated"
    assert said["lastTransitionTime"] == LONG_AGO
    assert said["lastUpdateTime"] != LONG_AGO


@pytest.mark.parametrize(("since_s", "reason"), [(61, "ProgressDeadlineExceeded"), (30, "ReplicaSetUpdated")])
def test_without_progress_the_deadline_counts(since_s: float, reason: str) -> None:
    counts = {"replicas": 3, "updatedReplicas": 1, "availableReplicas": 2, "readyReplicas": 2}
    item = a_deployment("ReplicaSetUpdated", ago(since_s), **counts)
    status = judged(item, a_set("old", 2, 2, 2), a_set("new", 1, 1, 0))
    said = condition({"status": status}, "Progressing")
    assert said["reason"] == reason
    assert said["status"] == ("True" if since_s < 60 else "False")


def test_a_rollout_that_was_complete_has_no_deadline() -> None:
    counts = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "readyReplicas": 2}
    item = a_deployment("NewReplicaSetAvailable", **counts)
    status = judged(item, a_set("old", 2, 2, 2), a_set("new", 0, 0, 0))
    assert condition({"status": status}, "Progressing")["reason"] == "NewReplicaSetAvailable"


@pytest.mark.parametrize(
    ("counts", "expected"), [((2, 2, 2), True), ((3, 2, 3), False), ((2, 1, 2), False), ((2, 2, 1), False)]
)
def test_complete_is_all_new_all_available_and_nothing_else(counts: tuple[int, int, int], expected: bool) -> None:
    names = ("replicas", "updatedReplicas", "availableReplicas")
    status = {**dict(zip(names, counts, strict=True)), "observedGeneration": 7}
    assert is_complete(a_deployment("ReplicaSetUpdated"), status) is expected
    assert not is_complete(a_deployment("ReplicaSetUpdated"), {**status, "observedGeneration": 6})


def test_a_condition_keeps_the_time_of_its_transition() -> None:
    old = {"type": "Available", "status": "True", "reason": "A", "lastTransitionTime": LONG_AGO}
    again, other = {**old, "lastTransitionTime": ago(0)}, {**old, "reason": "B", "lastTransitionTime": ago(0)}
    turned = {**other, "status": "False"}
    assert set_condition([old], again) == [old]
    assert set_condition([old], other) == [{**other, "lastTransitionTime": LONG_AGO}]
    assert set_condition([old], turned) == [turned]
