"""Drill: a database that has no connection left. The app says so, does nothing worse, and comes back."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill(
    "database-connections", rows=(13,), load=True, group="database-refused", faults=("database-connections",)
)
def test_the_app_bears_that_its_database_has_no_connection_left(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Take all connections that the database allows, under load: alive, honest, quick about it; well again soon."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "dependency", "outage", "load_soundness", "readiness", "version", "watches")
