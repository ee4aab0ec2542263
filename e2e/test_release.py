"""Drill: one sha travels from git to every pod, and is proven there. On PASS it stays."""

from __future__ import annotations

import pytest

from rollproof.release import Release
from rollproof.run.drill import Run


@pytest.mark.drill("release", rows=(1, 2), deploys=True, options=("on-fail",))
def test_a_release_arrives_and_is_proven(run: Run, release: Release) -> None:
    """Commit, push, sync, roll out; then every pod and the ingress answer with the sha, and the database with ok."""
    run.settle()
    with run.phase("act"):
        run.keep(release.deploy())
    run.judge("rollout", "release", "version", "readiness", "watches")
