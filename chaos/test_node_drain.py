"""Drill: a node is drained, and takes no request with it."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("node-drain", rows=(12,), load=True, group="node", faults=("node-drain",))
def test_a_node_is_drained_and_no_request_is_lost(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Cordon a node and evict the app's pods on it, under load: no request is lost, and others serve in time."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "watches")
