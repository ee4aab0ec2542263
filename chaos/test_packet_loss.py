"""Drill: each tenth packet to and from one pod is lost. It costs time, and no request."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("packet-loss", load=True, group="node", faults=("packet-loss",))
def test_a_bad_line_costs_no_request(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Hold it, take it away, under load: no request is lost, and the pod serves as before."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "version", "watches")
