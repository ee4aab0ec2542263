"""Drill: a setting of the app is changed in git. It arrives where a running pod can come to it, and nobody feels it."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("configmap-key", load=True, group="config", faults=("configmap-key",))
def test_a_changed_setting_arrives(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """Push one key more, wait until the pods have it, take it out, under load: said which pods, and after how long."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "availability", "load_soundness", "readiness", "version", "watches")
