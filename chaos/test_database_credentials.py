"""Drill: a database that turns the app away at the login. The app says so, does nothing worse, and comes back."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill(
    "database-credentials", rows=(13,), load=True, group="database-refused", faults=("database-credentials",)
)
def test_the_app_bears_that_its_database_turns_it_away_at_the_login(
    run: Run, faults: FaultDrill, traffic: Traffic
) -> None:
    """Lock the app's account in the database, under load: alive, honest, quick about it; well again soon."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "dependency", "outage", "load_soundness", "readiness", "version", "watches")
