"""Drill: a node is lost, and requests are lost for as long as the platform needs to notice, no longer."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("node-lost", rows=(12,), load=True, group="node", faults=("node-lost",))
def test_a_lost_node_costs_no_more_than_its_budget(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Drop all packets of a node, under load: losses end within their budget, and all is well when it is back."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "loss", "load_soundness", "readiness", "watches")
