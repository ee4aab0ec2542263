"""Drill: a process that stands still costs what readiness needs to notice, no more, and goes on when it is let go."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("process-freeze", rows=(11,), load=True, group="process", faults=("process-freeze",))
def test_a_process_that_stands_still_costs_no_more_than_its_budget(
    run: Run, faults: FaultDrill, traffic: Traffic
) -> None:
    """Stop one supervised process, under load: losses end within their budget, and all goes on when it is let go."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "loss", "load_soundness", "readiness", "watches")
