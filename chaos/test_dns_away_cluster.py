"""Drill: no pod of the cluster can resolve names. The app says so, stays alive, and comes back by itself."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("dns-away-cluster", rows=(14,), load=True, group="edge", faults=("dns-away-cluster",))
def test_the_app_bears_that_names_cannot_be_resolved(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Scale CoreDNS to 0, hold, scale it back, under load: alive, honest, quick about it; well again soon."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "dependency", "outage", "load_soundness", "readiness", "version", "watches")
