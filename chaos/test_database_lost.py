"""Drill: a database that is lost without a word, and replaced. The app says so, does nothing worse, and comes back."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("database-lost", rows=(13,), load=True, group="database-lost", faults=("database-lost",))
def test_the_app_bears_that_its_database_is_lost_and_replaced(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Stop the database, drop its packets, replace it, under load: alive, honest, quick about it; well again soon."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "dependency", "outage", "load_soundness", "readiness", "version", "watches")
