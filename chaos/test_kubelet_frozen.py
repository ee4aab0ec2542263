"""Drill: a node's kubelet stands still, and no request is lost."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("kubelet-frozen", rows=(12,), load=True, group="node", faults=("kubelet-frozen",))
def test_nobody_feels_a_frozen_kubelet(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Stop the kubelet of a node, under load: its pods leave the Service and serve on, and no request is lost."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "watches")
