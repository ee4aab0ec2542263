"""Drill: one pod cannot resolve names. It says so and leaves the Service; nobody feels it, and it comes back."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("dns-away-pod", rows=(14,), load=True, group="config", faults=("dns-away-pod",))
def test_a_pod_without_dns_is_spared(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Point its resolver at nobody, hold, put it back, under load: no request is lost, and the pod serves again."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "version", "watches")
