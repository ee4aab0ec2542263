"""Drill: a pod that is deleted takes no request with it, and another one is there in time."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("pod-delete", rows=(11,), all=2, load=True, group="pod", faults=("pod-delete",))
def test_a_deleted_pod_takes_no_request_with_it(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Delete one ready pod gracefully, under load: no request is lost, and its replacement serves within the limit."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "watches")
