"""Drill: the running version came the whole way through the pipeline, each leg as promised. Nothing is changed."""

from __future__ import annotations

import pytest

from rollproof.run.drill import Run


@pytest.mark.drill("pipeline", rows=(6,), smoke=4, read_only=True, reads=("pipeline",))
def test_the_running_version_came_through_the_pipeline(run: Run) -> None:
    """Follow the running version from the app's commit to users, leg by leg, with the time of each. Changes nothing."""
    run.follow()
    run.judge("pipeline")
