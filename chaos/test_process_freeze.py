"""Drill: a process that stands still costs time and no request, and goes on when it is let go."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("process-freeze", load=True, group="process", faults=("process-freeze",))
def test_a_process_that_stands_still_loses_nothing(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Stop one supervised process, under load: readiness takes its pod out, requests wait, and all goes on after."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "watches")
