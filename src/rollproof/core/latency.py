"""How long the answers of the app took, with an upper and a lower bound, as an outage has them.

At most: from the *intended* send to the whole answer, so that requests which a stall held back are not omitted
(coordinated omission: docs/measurement.md 1). At least: what is left without the delays that are not the app's: the
generator's own lateness, and what the control lane took at that time beyond what it usually takes. Only the lanes that
are driven by rate and belong to the app are measured: the slow lane is slow on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rollproof.core.outcomes import LATE, Kind, kinds, lane_mask
from rollproof.core.requests import RequestLog
from rollproof.core.statistics import median_of

__all__ = ["Took", "generator_ms", "mark_late", "took"]


@dataclass(frozen=True, slots=True)
class Took:
    """For every row of a log what it took, in ms; `paced` are the rows that are measured, `answered` those of any lane
    with a good answer. The bounds of a row without one say nothing."""

    paced: NDArray[np.bool_]
    answered: NDArray[np.bool_]
    at_most_ms: NDArray[np.float64]
    at_least_ms: NDArray[np.float64]


def took(log: RequestLog, *, on_time: bool) -> Took:
    """Both bounds. If the generator as a whole was not `on_time`, nothing is known of the lower one: it is 0."""
    rows = log.rows
    paced = np.zeros(len(rows), dtype=bool)
    for lane in log.open_loop:
        paced |= lane_mask(log, lane) & (lane != log.control)
    at_most = (rows["done_ns"] - rows["intended_ns"]) / 1e6
    at_least = np.zeros(len(rows))
    if on_time:
        since_sent = (rows["done_ns"] - np.maximum(rows["intended_ns"], rows["send_ns"])) / 1e6
        at_least = np.maximum(0.0, since_sent - generator_ms(log) - _way_ms(log))
    return Took(paced, kinds(log) == Kind.GOOD, at_most, at_least)


def mark_late(log: RequestLog, found: Took, limit_ms: float) -> RequestLog:
    """The log with the outcome LATE on every measured answer that took longer than the limit, seen from outside."""
    late = found.paced & found.answered & (found.at_most_ms > limit_ms)
    if not late.any():
        return log
    rows = log.rows.copy()
    rows["outcome"][late] = len(log.outcomes)
    return replace(log, rows=rows, outcomes=(*log.outcomes, LATE))


def generator_ms(log: RequestLog) -> NDArray[np.float64]:
    """For each row the generator's worst stall while it was under way: its answer may have been read so much later."""
    late = log.engine.late_ns[np.argsort(log.engine.late_ns[:, 0])]
    return _worst_beside(log, late[:, 0], late[:, 0] + late[:, 1], late[:, 1] / 1e6)


def _way_ms(log: RequestLog) -> NDArray[np.float64]:
    """For each row the worst delay of the control lane beside it, beyond that lane's median."""
    rows = log.rows[lane_mask(log, log.control) & (kinds(log) == Kind.GOOD)]
    if not len(rows):
        return np.zeros(len(log.rows))
    took_ms = (rows["done_ns"] - rows["send_ns"]) / 1e6
    return _worst_beside(log, rows["send_ns"], rows["done_ns"], np.maximum(0.0, took_ms - median_of(took_ms)))


def _worst_beside(
    log: RequestLog, start_ns: NDArray[np.int64], end_ns: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For each row the largest value of the spans (in order of their start) that overlap it; 0 if none does.

    A span that lies between the start of an overlapping one and the row counts too: it is part of the same trouble.
    """
    rows = log.rows
    first = np.searchsorted(np.maximum.accumulate(end_ns), rows["send_ns"])
    after = np.searchsorted(start_ns, rows["done_ns"], side="right")
    worst = np.zeros(len(rows))
    some = np.flatnonzero(first < after)
    if not len(some):
        return worst
    level = [values]  # level[k][i]: the largest of the 2^k values from i on
    while 2 ** len(level) <= len(values):
        half, below = 2 ** (len(level) - 1), level[-1]
        level.append(np.maximum(below[:-half], below[half:]))
    low, high = first[some], after[some]
    power = np.floor(np.log2(high - low))
    for k, row in enumerate(level):
        mine = power == k
        worst[some[mine]] = np.maximum(row[low[mine]], row[high[mine] - 2**k])
    return worst
