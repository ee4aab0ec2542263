"""Drill: a database that takes connections and says nothing. The app says so, does nothing worse, and comes back."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("database-silent", rows=(13,), load=True, group="database-silent", faults=("database-silent",))
def test_the_app_bears_that_its_database_says_nothing(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Stop the database's process, under load: alive, honest, quick about it; well again soon."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "dependency", "outage", "load_soundness", "readiness", "version", "watches")
