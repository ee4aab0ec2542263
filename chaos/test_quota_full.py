"""Drill: a full quota in the middle of a rollout. The old pods go on serving, and it ends when the quota is gone."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("quota-full", load=True, group="config", faults=("quota-full",))
def test_a_rollout_waits_for_a_full_quota(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Allow no pod more, restart, hold, take the quota away, under load: no request is lost, and the rollout ends."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "version", "watches")
