"""Drill: another release is pushed while Argo CD syncs ours; nothing of the first stays."""

from __future__ import annotations

import pytest

from rollproof.release import Release
from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill(
    "deploy-race-in-sync", rows=(14,), group="gitops", load=True, deploys=True, faults=("deploy-race-in-sync",)
)
def test_the_last_of_two_deploys_wins_in_the_middle_of_a_sync(
    run: Run, release: Release, faults: FaultDrill, traffic: Traffic
) -> None:
    """Push two releases: only the second ends up running. Revert it: the first one is rolled out, and is proven."""
    with traffic.steady(), run.phase("act"):
        run.keep(release.deploy(after_push=faults.inject))
    run.judge("fault", "release", "rollout", "version", "readiness", "availability", "load_soundness", "watches")
