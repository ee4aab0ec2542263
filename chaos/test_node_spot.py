"""Drill: a spot node is taken back after its notice, and nobody misses it."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("node-spot", rows=(12,), load=True, group="node", faults=("node-spot",))
def test_a_spot_node_is_left_in_time(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Cordon, taint, evict, then the loss of the node, under load: no request is lost from the notice on."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "watches")
