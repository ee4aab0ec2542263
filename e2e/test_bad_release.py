"""Drill: a version that is known to be bad is released: users do not feel it, and a revert brings the old one back."""

from __future__ import annotations

import pytest

from rollproof.release import Release
from rollproof.run.drill import Run, Traffic


@pytest.mark.drill("bad-release", rows=(10,), load=True, deploys=True, reverts=True, alone=True, options=("bad",))
def test_users_do_not_feel_a_bad_release(run: Run, release: Release, traffic: Traffic) -> None:
    """Push it, under load, until it is said what is wrong; then revert it. One kind of `release.bad` a run."""
    with traffic.steady() as load:
        with run.phase("act"):
            rollback = release.revert(run.keep(release.deploy()))
        load.over_with(rollback)
    run.judge("bad_release", "rollback", "availability", "load_soundness", "watches")
