"""Drill: a container whose main process ends comes back in the same pod."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("container-stop", rows=(11,), load=True, group="process", faults=("container-stop",))
def test_a_container_that_ends_comes_back(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """End the main process of one container, under load: the same pod serves again within the limit."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "watches")
