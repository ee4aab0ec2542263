"""Drill: a pod that is evicted takes no request with it, and its budget lets it go."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("pod-evict", rows=(11, 12), load=True, group="pod", faults=("pod-evict",))
def test_an_evicted_pod_takes_no_request_with_it(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Evict one ready pod, under load: no request is lost, and its replacement serves within the limit."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "watches")
