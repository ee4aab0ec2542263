"""What the samples of one load allow one to claim: latencies from the intended time, ranks, spells (`core.binomial`
has the bounds on a probability)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rollproof.core.outcomes import CLOSED_UNANSWERED, Kind, counted, kinds, lane_mask
from rollproof.core.requests import RequestLog

__all__ = ["apart", "latency_ms", "left_after_one_retry", "median_of", "nearest_rank", "quantiles_of"]

_BEFORE_ANY_BYTE = (*CLOSED_UNANSWERED, "send.EPIPE", "send.ECONNRESET")


def latency_ms(
    log: RequestLog, chosen: NDArray[np.bool_], quantiles: tuple[float, ...] = (0.5, 0.99, 1.0)
) -> tuple[float, ...]:
    """Quantiles of the time from the *intended* send to the whole answer, so that a stall is not omitted."""
    took = (log.column("done_ns") - log.column("intended_ns"))[chosen] / 1e6
    if not len(took):
        return tuple(0.0 for _ in quantiles)
    return quantiles_of(took, quantiles)


def quantiles_of(values: NDArray[np.float64], shares: Sequence[float]) -> tuple[float, ...]:
    """What numpy.quantile gives (linear), which imports numpy.ma first: longer than it takes for a million values."""
    last = len(values) - 1
    places = [min(max(last * share, 0.0), float(last)) for share in shares]
    around = [(int(place), min(int(place) + 1, last)) for place in places]
    ordered = np.partition(values, sorted({index for pair in around for index in pair}))
    found = []
    for place, (below, above) in zip(places, around, strict=True):
        low, high, share = float(ordered[below]), float(ordered[above]), place - below
        found.append(high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share)
    return tuple(found)


def median_of(values: NDArray[np.float64]) -> float:
    """What numpy.median gives, for the same reason."""
    low, high = (len(values) - 1) // 2, len(values) // 2
    ordered = np.partition(values, sorted({low, high}))
    return (float(ordered[low]) + float(ordered[high])) / 2


def left_after_one_retry(log: RequestLog, failed: NDArray[np.bool_]) -> int:
    """How many of `failed` a client would still see that retries once where RFC 9110 section 9.2.2 lets it.

    It may when no byte of an answer had come and the method is idempotent, or when the request cannot have been sent.
    The retry is judged by what really happened next: the first attempt on a new connection (or else on the same lane)
    that was sent after the failure was known.
    """
    rows = log.rows
    index = np.flatnonzero(failed)
    if not len(index):
        return 0
    names = np.array(log.outcomes)
    outcome = names[rows["outcome"][index]]
    unsent = np.char.startswith(outcome, "connect.")
    closed = np.isin(outcome, _BEFORE_ANY_BYTE)
    get = np.array([not lane.endswith("post") for lane in log.lanes])[rows["lane"][index]]
    may = unsent | (closed & get)
    good = kinds(log) == Kind.GOOD
    left = counted(~may)
    fresh = "new-get" in log.open_loop
    for number, lane in enumerate(log.lanes):
        mine = index[may & (rows["lane"][index] == number)]
        if len(mine):
            witness = np.flatnonzero(lane_mask(log, "new-get" if fresh and lane != log.control else lane))
            at = np.searchsorted(rows["send_ns"][witness], rows["done_ns"][mine], side="left")
            answered = good[witness[np.minimum(at, len(witness) - 1)]] & (at < len(witness))
            left += counted(~answered)
    return left


def nearest_rank(values: NDArray[np.float64], percent: int) -> float:
    """The smallest value that is not exceeded by so many per cent of all; 0 if there is none. `inf` may be among them.

    The nearest rank, not an interpolation: it is one of the samples, and one more large value never makes it smaller.
    """
    if not len(values):
        return 0.0
    rank = -(-percent * len(values) // 100)
    return float(np.partition(values, rank - 1)[rank - 1])


def apart(times_ns: NDArray[np.int64], distance_ns: int) -> int:
    """How many of these (sorted) moments can be chosen so that each is at least so long after the one before.

    The same number of spells of that length is needed to cover them all. One more moment never makes it smaller.
    """
    count, at = 0, 0
    while at < len(times_ns):
        count += 1
        at = int(np.searchsorted(times_ns, times_ns[at] + distance_ns, side="left"))
    return count
