"""Drill: a pod that ends at once is overcome, within the budget of failed requests."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("pod-delete-now", rows=(11,), load=True, group="pod", faults=("pod-delete-now",))
def test_a_pod_that_is_lost_at_once_is_overcome(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Delete one ready pod with a grace period of 1 s, under load: its replacement serves within the limit."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "watches")
