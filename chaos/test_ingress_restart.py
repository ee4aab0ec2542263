"""Drill: the ingress controller is restarted; the entry is back in time, and nobody was left waiting."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("ingress-restart", rows=(14,), load=True, group="edge", faults=("ingress-restart",))
def test_the_entry_comes_back(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Delete one pod of the ingress controller gracefully, under load; the control lane goes another way."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "outage", "load_soundness", "readiness", "version", "watches")
