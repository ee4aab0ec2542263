"""Drill: the ingress controller takes in changes of an Ingress of somebody else, again and again. Nobody feels it."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("ingress-reload", rows=(14,), load=True, group="edge", faults=("ingress-reload",))
def test_nothing_is_lost_when_the_ingress_reloads(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Make an Ingress with a host of its own, change it, delete it, under load: no request of the app is lost."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "version", "watches")
