"""The pure rules: back-off, retries, health, sync windows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rollproof_sandbox.argocd.backoff import SelfHeal, retry_wait_s
from rollproof_sandbox.argocd.health import of_object, worst
from rollproof_sandbox.argocd.windows import can_sync

APPLICATION = {"metadata": {"name": "shop"}, "spec": {"destination": {"namespace": "shop", "server": "https://here"}}}
NOON = datetime(2026, 11, 24, 12, 0, 30, tzinfo=UTC)  # a Tuesday


def test_the_gaps_are_those_of_argocd_md_1_2() -> None:
    assert [SelfHeal().gap_s(n) for n in range(8)] == [0, 2, 6, 18, 54, 162, 300, 300]


def test_before_3_3_a_success_cools_down_and_nothing_else_does() -> None:
    counted = {"operation": {"sync": {"autoHealAttemptsCount": 4}}}
    rules = SelfHeal.of((3, 2))
    assert rules.attempts({**counted, "phase": "Succeeded"}, 329.9) == 4
    assert rules.attempts({**counted, "phase": "Succeeded"}, 330.0) == 0
    assert rules.attempts({**counted, "phase": "Failed"}, 999.0) == 4
    assert rules.attempts({**counted, "phase": "Running"}, None) == 0
    for finished_ago_s in (0.0, 330.0, 9e9, None):
        assert SelfHeal.of((3, 3)).attempts({**counted, "phase": "Succeeded"}, finished_ago_s) == 4


def test_retries_wait_5_s_times_2_to_the_k_up_to_3_min() -> None:
    assert [retry_wait_s({"limit": 5}, k) for k in range(7)] == [5, 10, 20, 40, 80, 160, 180]
    backoff = {"backoff": {"duration": "1m30s", "factor": 3, "maxDuration": "10m"}}
    assert [retry_wait_s(backoff, k) for k in range(3)] == [90, 270, 600]


def deployment(**changed: Any) -> dict[str, Any]:
    """Rolled out, but for what is changed."""
    status = {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    spec = {"replicas": 2, "paused": changed.pop("paused", False)}
    return {"metadata": {"generation": 3}, "spec": spec, "status": {**status, **changed}}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "Healthy"),
        ({"observedGeneration": 2}, "Progressing"),
        ({"updatedReplicas": 1}, "Progressing"),
        ({"replicas": 3}, "Progressing"),
        ({"availableReplicas": 1}, "Progressing"),
        ({"paused": True}, "Suspended"),
        ({"conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]}, "Degraded"),
    ],
)
def test_a_deployment_is_as_healthy_as_kubectl_rollout_status_says(changed: dict[str, Any], expected: str) -> None:
    assert of_object("Deployment", deployment(**changed)) == expected


def test_other_kinds() -> None:
    assert of_object("Service", {"spec": {"type": "ClusterIP"}}) == "Healthy"
    assert of_object("Service", {"spec": {"type": "LoadBalancer"}}) == "Progressing"
    assert of_object("Ingress", {"spec": {}}) == "Progressing"
    assert of_object("Ingress", {"status": {"loadBalancer": {"ingress": [{"ip": "127.0.0.1"}]}}}) == "Healthy"
    assert of_object("ConfigMap", {}) is None
    assert of_object("ConfigMap", None) is None
    assert of_object("Service", None) == "Missing"


def test_the_application_is_as_healthy_as_its_worst_object() -> None:
    assert worst(["Healthy", None, "Progressing", "Suspended"]) == "Progressing"
    assert worst(["Missing", "Progressing"]) == "Missing"
    assert worst([None]) == "Healthy"


@pytest.mark.parametrize(
    ("window", "manual", "expected"),
    [
        ({"kind": "deny", "schedule": "* * * * *", "duration": "1h"}, False, False),
        ({"kind": "deny", "schedule": "* * * * *", "duration": "1h", "manualSync": True}, True, True),
        ({"kind": "deny", "schedule": "* * * * *", "duration": "1h", "manualSync": True}, False, False),
        ({"kind": "deny", "schedule": "0 11 * * *", "duration": "1h"}, False, True),  # over since half a minute
        ({"kind": "deny", "schedule": "0 11 * * *", "duration": "1h1m"}, False, False),
        ({"kind": "deny", "schedule": "0 12 * * 1-5", "duration": "1m"}, False, False),
        ({"kind": "deny", "schedule": "0 12 * * 3", "duration": "1m"}, False, True),
        ({"kind": "deny", "schedule": "*/15 * * * *", "duration": "1m"}, False, False),
        ({"kind": "deny", "schedule": "0 13 * * *", "duration": "1m", "timeZone": "Europe/Berlin"}, False, False),
        ({"kind": "allow", "schedule": "0 12 * * *", "duration": "1h"}, False, True),
        ({"kind": "allow", "schedule": "0 13 * * *", "duration": "1h"}, False, False),
        ({"kind": "deny", "schedule": "whenever", "duration": "1h"}, False, False),  # what cannot be read forbids
    ],
)
def test_sync_windows(window: dict[str, Any], manual: bool, expected: bool) -> None:
    ours = {**window, "applications": ["sh*"]}
    assert can_sync([ours], APPLICATION, NOON, manual=manual) is expected
    assert can_sync([{**window, "applications": ["other"]}], APPLICATION, NOON, manual=manual)
    assert can_sync([{**window, "namespaces": ["shop"]}], APPLICATION, NOON, manual=manual) is expected
    both = {**window, "applications": ["shop"], "namespaces": ["other"], "andOperator": True}
    assert can_sync([both], APPLICATION, NOON, manual=manual)
