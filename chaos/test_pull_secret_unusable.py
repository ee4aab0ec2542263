"""Drill: a pull secret that is not there when a node must pull is named soon, on a throw-away copy; nobody feels it."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("pull-secret-unusable", load=True, group="config", faults=("pull-secret-unusable",))
def test_an_image_that_cannot_be_pulled_is_named(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Make the copies, hold, delete them, under load: the reason is said in time, and no request is lost."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "version", "watches")
