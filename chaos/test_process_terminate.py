"""Drill: a process that is asked to end is started again by its supervisor, in the same container."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("process-terminate", rows=(11,), load=True, group="process", faults=("process-terminate",))
def test_a_process_that_is_asked_to_end_is_started_again(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Ask one supervised process to end, under load: its supervisor starts it again in time, in the same container."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "watches")
