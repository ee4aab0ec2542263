"""Drill: a database that is away makes the app say so and nothing worse, and it comes back by itself."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("database-refused", rows=(13,), load=True, group="database-refused", faults=("database-refused",))
def test_the_app_bears_that_its_database_is_away(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Scale the database to 0, under load: alive, honest, quick about it; well again soon after it is back."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "dependency", "outage", "load_soundness", "readiness", "version", "watches")
