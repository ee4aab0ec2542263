"""Drill: the history of the branch that Argo CD follows is rewritten; it goes back, and users feel nothing."""

from __future__ import annotations

import pytest

from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("branch-force-pushed", load=True, group="gitops", faults=("branch-force-pushed",))
def test_a_rewritten_history_is_followed_backwards(run: Run, faults: FaultDrill, traffic: Traffic) -> None:
    """On a branch of our own: a release is taken out of the history by force; only the version before it runs."""
    with traffic.steady():
        faults.run()
    run.judge("fault", "version", "readiness", "availability", "load_soundness", "watches")
