"""Drill: a database that cannot be reached. The app says so, does nothing worse, and comes back."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("database-dropped", rows=(13,), load=True, group="database-dropped", faults=("database-dropped",))
def test_the_app_bears_that_its_database_cannot_be_reached(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Drop what is sent to the database, under load: alive, honest, quick about it; well again soon."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "dependency", "outage", "load_soundness", "readiness", "version", "watches")
