"""Drill: the pods of one node leave together and take no request with them."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("pods-delete-all-of-node", rows=(11,), load=True, group="pod", faults=("pods-delete-all-of-node",))
def test_the_pods_of_one_node_take_no_request_with_them(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Delete all pods on the fullest node, under load: no request is lost, and others serve within the limit."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "watches")
