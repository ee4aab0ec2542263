"""Drill: another release is pushed right after ours, from a clone that does not know of it."""

from __future__ import annotations

import pytest

from rollproof.release import Release
from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("deploy-race", rows=(14,), group="gitops", load=True, deploys=True, faults=("deploy-race",))
def test_the_last_of_two_deploys_wins(run: Run, release: Release, faults: FaultDrill, traffic: Traffic) -> None:
    """Push two releases: only the second ends up running. Revert it: the first one is rolled out, and is proven."""
    with traffic.steady(), run.phase("act"):
        run.keep(release.deploy(after_push=faults.inject))
    run.judge("fault", "release", "rollout", "version", "readiness", "availability", "load_soundness", "watches")
