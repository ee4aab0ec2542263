"""Drill: what runs is looked at, and held against what is advised: nothing is changed, no load is sent."""

from __future__ import annotations

import pytest

from rollproof.run.drill import Run


@pytest.mark.drill("posture", rows=(3,), smoke=1, read_only=True, reads=("posture",))
def test_the_app_is_set_up_to_take_a_release_and_a_fault(run: Run) -> None:
    """Read live objects once, and hold each field against what is advised, with its reason. Changes nothing."""
    run.look()
    run.judge("posture")
