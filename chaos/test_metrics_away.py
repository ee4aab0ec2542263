"""Drill: the metrics API is away. The autoscaler keeps the replicas, users lose nothing, and it measures again soon."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("metrics-away", rows=(8,), load=True, group="load", faults=("metrics-away",))
def test_the_replicas_stay_while_nobody_measures(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Scale the metrics API's server to 0, hold, scale it back, under load: as many replicas, no request lost."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "replicas_kept", "availability", "load_soundness", "readiness", "version", "watches")
