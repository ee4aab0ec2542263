"""The harness vanishes for good in the middle of a fault that lasts: the cluster itself puts it back in time."""

from __future__ import annotations

import json
import signal
import time

import pytest
from lab_user import Tool, end, kubectl

pytestmark = [pytest.mark.kind, pytest.mark.timeout(1200)]

ACTS_AFTER_S = 10 + 10 + 60  # effect_within_s, hold_s and the margin, of the target file
SLACK_S = 90  # to arm it, and for two busy cores that may stand still for seconds
LABEL = "app.kubernetes.io/managed-by=rollproof"


def _replicas() -> int:
    return int(kubectl("-n", "database", "get", "deployment", "mariadb", "-o", "jsonpath={.spec.replicas}"))


def _leftovers() -> list[str]:
    kinds = "jobs,pods,serviceaccounts,roles,rolebindings"
    return kubectl("-n", "database", "get", kinds, "-l", LABEL, "-o", "name").split()


def test_the_database_comes_back_although_nobody_undoes_anything(tool: Tool) -> None:
    assert _replicas() == 1
    running = tool.start("database-refused")
    try:
        tool.await_fact("fault", "effect")
    finally:
        end(running, signal.SIGKILL)
    killed_s = time.monotonic()
    assert _replicas() == 0
    assert any(name.startswith("job") for name in _leftovers())
    while _replicas() == 0 and time.monotonic() < killed_s + ACTS_AFTER_S + SLACK_S:
        time.sleep(0.5)
    print(f"back {time.monotonic() - killed_s:.1f} s after the kill", flush=True)
    assert _replicas() == 1
    kubectl("-n", "database", "rollout", "status", "deployment/mariadb", "--timeout=180s")
    while _leftovers() and time.monotonic() < killed_s + ACTS_AFTER_S + 3 * SLACK_S:
        time.sleep(0.5)
    assert _leftovers() == []
    undone = tool.run("undo", "--last", "--reports", str(tool.reports))
    assert undone.exit_code == 0, undone.output
    assert undone.folder is not None
    states = [json.loads(line).get("state") for line in (undone.folder / "undo.jsonl").read_text().splitlines()]
    assert states.count("not-needed") == 2, "the fault and its dead-man: both had ended by themselves"
