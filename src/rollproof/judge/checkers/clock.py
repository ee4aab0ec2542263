"""Did the harness's wall clock move against the monotonic clock while a drill ran?

Durations are measured on the monotonic clock and are not affected; but the age of Argo CD's time stamps, and with it
the remaining back-off, is computed from the wall clock.
"""

from __future__ import annotations

from datetime import datetime

from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.runframe import clocks_ahead_s

__all__ = ["CLOCK_STEP_MAX_S", "clock_step_s"]

CLOCK_STEP_MAX_S = 1.0  # far above the effect of NTP slewing, far below a clock that was set or a suspended machine


def clock_step_s(facts: Facts) -> tuple[float, tuple[Event, ...]]:
    """The largest move between two readings of the drill (s, with its sign), and the readings; 0 with fewer than two.

    With fewer than two, the wall clock stamps of the drill's begin and end are used too: no reading is not "no step".
    """
    readings = tuple(facts.find(source="run", subject="clock", what="read"))
    ahead_s = [clocks_ahead_s(event) for event in readings]
    if len(readings) < 2:  # the stamp is taken after the event: on an overloaded machine even seconds
        stamped = tuple(event for event in facts.find(source="run", subject="drill") if _stamp_s(event) is not None)
        ahead_s += [(_stamp_s(event) or 0.0) - event.end_s for event in stamped]
        readings += stamped
    if len(ahead_s) < 2:
        return 0.0, ()
    least, most = ahead_s.index(min(ahead_s)), ahead_s.index(max(ahead_s))
    return ahead_s[max(least, most)] - ahead_s[min(least, most)], readings


def _stamp_s(event: Event) -> float | None:
    """The event's wall clock stamp in seconds since 1970; None if it has none."""
    try:
        return datetime.fromisoformat(event.wall).timestamp()
    except (ValueError, OverflowError):
        return None
