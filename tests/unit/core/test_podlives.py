"""A pod's life, made of what its watch told event by event: each moment, and why it lost its readiness."""

from __future__ import annotations

from typing import Any

import pytest
from story import Story

from rollproof.core.podlives import PodLife, pod_lives


def pod(told: Story, at: float, what: str = "modified", **data: Any) -> Story:
    return told.tell(
        "watch", "Pod/shop/web-7d4b-ddddd", what, at=at, **{"uid": "u", "member": True, "ip": "10.0.0.9", **data}
    )


def test_a_whole_life() -> None:
    told = Story().tell("watch", "EndpointSlice/shop/web-1", "modified", at=90, ready=["10.0.0.9"])
    pod(told, 90, "added", ip="")
    pod(told, 95, ready=True)
    pod(told, 110, ready=True, terminating=True)
    told.tell("watch", "EndpointSlice/shop/web-1", "modified", at=110.2, ready=["10.0.0.7"])
    pod(told, 120, "deleted", terminating=True)
    (life,) = pod_lives(told.facts())
    assert life == PodLife(
        name="web-7d4b-ddddd", template="web-7d4b", ready_s=95, terminating_s=110, out_of_service_s=110.2, gone_s=120,
        lost_readiness_s=None, ended_by="", addresses=frozenset({"10.0.0.9"}),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "then", "ended_by"),
    [
        ({}, {}, ""),
        ({"restarts": 1}, {"restarts": 1}, ""),
        ({"restarts": 1}, {"restarts": 2}, "restarted"),
        ({}, {"restarts": 1}, "restarted"),
        ({"restarts": 1}, {}, ""),  # not told
        ({}, {"reason": "OOMKilled"}, "OOMKilled"),
        ({"restarts": 0}, {"restarts": 1, "reason": "Error"}, "Error"),
    ],
)
def test_why_a_pod_that_nobody_told_to_end_lost_its_readiness(
    before: dict[str, Any], then: dict[str, Any], ended_by: str
) -> None:
    told = pod(pod(Story(), 90, ready=True, **before), 100, ready=False, **then)
    (life,) = pod_lives(pod(told, 105, ready=False, reason="later").facts())
    assert (life.lost_readiness_s, life.ended_by) == (100, ended_by)


def test_readiness_that_is_lost_on_the_way_out_is_no_loss() -> None:
    told = pod(pod(Story(), 90, ready=True), 100, ready=False, terminating=True, reason="Completed")
    (life,) = pod_lives(told.facts())
    assert (life.lost_readiness_s, life.ended_by) == (None, "")
