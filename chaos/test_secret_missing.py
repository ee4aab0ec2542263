"""Drill: a Secret that is missing when a pod starts is named soon, on a throw-away copy; nobody feels it."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("secret-missing", load=True, group="config", faults=("secret-missing",))
def test_a_missing_secret_is_named(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Make the copy, hold, delete it, under load: the reason is said in time, and no request is lost."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "version", "watches")
