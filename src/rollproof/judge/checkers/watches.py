"""Were the watches and the clocks good enough to judge by? A watch that ends and lists again is normal.

A 410 Gone with a clean re-list loses nothing that a verdict needs (docs/verdicts.md). A gap that
its recorder marked `lost`, or one so long that every time in it is late, makes the drill INCONCLUSIVE; so does a wall
clock that was set, because Argo CD's time stamps are compared with it.
"""

from __future__ import annotations

import statistics

from rollproof.core.facts import Facts
from rollproof.core.runframe import watch_delays_ms
from rollproof.core.verdict import Number, Result, Verdict
from rollproof.core.watched import Gap, watch_gaps
from rollproof.judge.checkers.clock import CLOCK_STEP_MAX_S, clock_step_s

__all__ = ["check", "lost_watch"]


_BLIND_MAX_S = 1.0  # after a longer interruption every fact is complete, and its times are too late to be used


def check(facts: Facts) -> Verdict:
    """PASS with the watch delay as the timeline's error bar; INCONCLUSIVE if facts may be lost, late or misdated."""
    arrived = sum(1 for event in facts.find(source="watch") if event.what != "gap")
    gaps = watch_gaps(facts)
    lost = [gap for gap in gaps if gap.lost]
    numbers: dict[str, Number] = {"events": arrived, "gaps": len(gaps), "gaps_with_loss": len(lost)}
    if not arrived:
        return Verdict("watches", "Watch", Result.INCONCLUSIVE, "no watch delivered any event", numbers=numbers)
    if lost:
        first = lost[0]
        why = f"{first.subject} was blind for {first.length_s:.1f} s and facts may be missing: {first.reason}"
        return Verdict(
            "watches",
            "Watch",
            Result.INCONCLUSIVE,
            why,
            numbers=numbers,
            evidence=tuple(gap.event.seq for gap in lost[:50]),
        )
    longest = max(gaps, key=lambda gap: gap.length_s, default=None)
    if longest is not None and longest.length_s > _BLIND_MAX_S:
        why = (
            f"{longest.subject} was away for {longest.length_s:.1f} s, so that what happened in it was seen late: "
            f"{longest.reason}"
        )
        return Verdict("watches", "Watch", Result.INCONCLUSIVE, why, numbers=numbers, evidence=(longest.event.seq,))
    step_s, readings = clock_step_s(facts)
    if readings:
        numbers["clock_step_s"] = round(step_s, 3)
    if abs(step_s) > CLOCK_STEP_MAX_S:
        why = (
            f"the wall clock moved {step_s:+.1f} s against the monotonic one during the drill, so that time stamps of "
            "the cluster cannot be compared with it: was it set, or the machine suspended?"
        )
        evidence = tuple(event.seq for event in readings)
        return Verdict("watches", "Clock", Result.INCONCLUSIVE, why, numbers=numbers, evidence=evidence)
    delays, calibrated = watch_delays_ms(facts)
    bar = ""
    if delays:
        numbers["watch_delay_ms_median"] = round(statistics.median(delays), 2)
        numbers["watch_delay_ms_max"] = round(max(delays), 2)
        bar = f"; watch delay {statistics.median(delays):.0f} ms (max {max(delays):.0f} ms)"
    why = f"{arrived} watch events, no fact lost ({len(gaps)} routine gaps){bar}"
    evidence = (calibrated.seq,) if calibrated else ()
    return Verdict("watches", "Watch", Result.PASS, why, numbers=numbers, evidence=evidence)


def lost_watch(facts: Facts, *, since_s: float, until_s: float) -> Gap | None:
    """The first gap of a watch between those times that may have lost facts; None if there was none."""
    lost = (gap for gap in watch_gaps(facts) if gap.lost)
    return next((gap for gap in lost if gap.event.start_s <= until_s and gap.event.end_s >= since_s), None)
