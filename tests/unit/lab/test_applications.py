"""What `lab up` waits for in the applications, and which pods it replaces: those that hang, and no others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lab.applications import held, is_at, reads_metrics

NOW = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)


def pod(*, started: str = "2026-11-30T09:00:00Z", ready: str = "False", phase: str = "Running") -> dict[str, Any]:
    conditions = [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": ready}]
    return {
        "metadata": {"name": "angelpay-1"},
        "status": {"phase": phase, "startTime": started, "conditions": conditions},
    }


@pytest.mark.parametrize(
    ("one", "is_held"),
    [
        (pod(), True),
        (pod(ready="Unknown"), True),
        (pod(ready="True"), False),
        (pod(started="2026-11-30T09:59:00Z"), False),  # it may still get ready
        (pod(phase="Pending"), False),  # it waits for an image or a node, not for the database
        ({"metadata": {"name": "angelpay-1"}, "status": {}}, False),
    ],
)
def test_only_pods_that_hang_are_replaced(one: dict[str, Any], is_held: bool) -> None:
    assert held([one], NOW) == (["angelpay-1"] if is_held else [])


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, False),  # made a moment ago: Argo CD calls it healthy
        ({"conditions": None}, False),
        ({"conditions": [{"type": "ScalingActive", "status": "False"}]}, False),  # no pod was measured yet: Degraded
        ({"conditions": [{"type": "AbleToScale", "status": "True"}]}, False),
        ({"conditions": [{"type": "ScalingActive", "status": "True"}]}, True),
    ],
)
def test_an_autoscaler_that_has_read_nothing_yet_is_waited_for(status: dict[str, Any], expected: bool) -> None:
    assert reads_metrics({"status": status}) is expected


WELL: dict[str, Any] = {"sync": {"status": "Synced", "revision": "abc"}, "health": {"status": "Healthy"}}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (WELL, True),
        ({**WELL, "conditions": None}, True),
        ({**WELL, "conditions": [{"type": "OrphanedResourceWarning"}]}, True),
        ({**WELL, "conditions": [{"type": "InvalidSpecError"}]}, False),
        ({**WELL, "health": {"status": "Degraded"}}, False),
        ({**WELL, "sync": {"status": "Synced", "revision": "older"}}, False),
        ({**WELL, "sync": {"status": "OutOfSync", "revision": "abc"}}, False),
        ({}, False),
    ],
)
def test_an_application_is_waited_for_until_it_is_at_the_head_and_well(status: dict[str, Any], expected: bool) -> None:
    assert is_at(status, "abc") is expected
