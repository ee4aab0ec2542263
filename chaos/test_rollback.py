"""Drill: `git revert` brings the old version back, in time and without a lost request."""

from __future__ import annotations

import pytest

from rollproof.release import Release
from rollproof.run.drill import Run, Traffic


@pytest.mark.drill("rollback", rows=(10,), all=4, load=True, deploys=True, reverts=True)
def test_a_revert_brings_the_old_version_back(run: Run, release: Release, traffic: Traffic) -> None:
    """Revert the deploy in git, under load, and push: the old sha answers everywhere within the limit."""
    traffic.self_test()  # before the deploy, which is none of what is judged here
    deployed = run.deployed()
    with traffic.steady() as load:
        with run.phase("act"):
            rollback = release.revert(deployed)
        load.over_with(rollback)
    run.judge("rollback", "availability", "load_soundness", "rollout", "version", "readiness", "watches")
