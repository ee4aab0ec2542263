"""A run that is stopped for a while (Ctrl-Z, a paused container) blames nobody for what it saw late."""

from __future__ import annotations

from collections.abc import Callable

from drills import Person
from sandboxes import Sandbox


def test_a_drift_that_was_healed_while_the_run_stood_still_is_no_slow_heal(sandbox: Callable[..., Sandbox]) -> None:
    """It was FAIL, DETECTION_SLOW, after 6 s of a limit of 5 s; Argo CD had healed it at once."""
    one = sandbox()
    one.up()
    me = Person(one)
    code = me.stopped("drift", "--trial", "replicas", when=lambda: me.told("drift", "injected"), for_s=6.0)
    found = me.verdicts()
    assert (code, found["undo"]) == (3, "clean"), found
    assert "FAIL" not in [verdict["result"] for verdict in found["verdicts"]], found
    (watched,) = (verdict for verdict in found["verdicts"] if verdict["checker"] == "watches")
    assert "rollproof itself stood still" in watched["why"]
