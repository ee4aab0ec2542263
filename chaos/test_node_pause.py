"""Drill: a node hangs, and requests are lost for as long as the platform needs to notice, no longer."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("node-pause", rows=(12,), load=True, group="node", faults=("node-pause",))
def test_a_node_that_hangs_costs_no_more_than_its_budget(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Pause all processes of a node, under load: losses end within their budget, and all is well when it is back."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "loss", "load_soundness", "readiness", "watches")
