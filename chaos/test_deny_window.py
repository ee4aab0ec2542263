"""Drill: a sync window denies syncs right after a release was pushed; the commit stays outside, and arrives later."""

from __future__ import annotations

import pytest

from rollproof.release import Release
from rollproof.run.drill import FaultDrill, Run, Traffic


@pytest.mark.drill("deny-window", rows=(14,), group="gitops", load=True, deploys=True, faults=("deny-window",))
def test_the_release_waits_for_the_end_of_the_window(
    run: Run, release: Release, faults: FaultDrill, traffic: Traffic
) -> None:
    """Push, deny, hold: the commit stays outside. Take the window away: it is synced, rolled out and proven."""
    with traffic.steady(), run.phase("act"):
        run.keep(release.deploy(after_push=faults.inject))
    run.judge("fault", "release", "rollout", "version", "readiness", "availability", "load_soundness", "watches")
