"""What the samples allow one to claim: bounds on a failure probability, latencies from the intended time.

Claims are no stronger than the samples. Requests of one rollout are not independent, so the bound over requests is a
bound for requests of *this* rollout; over rollouts the trial is the rollout.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rollproof.core.outcomes import Kind, counted, kinds, lane_mask
from rollproof.core.requests import RequestLog

__all__ = [
    "apart", "at_least", "failure_bound", "latency_ms", "left_after_one_retry", "median_of", "nearest_rank",
    "quantiles_of", "rate_bound", "rollouts_bound",
]  # fmt: skip

_CONFIDENCE_LEFT = 0.05
_NEGLIGIBLE = 1e-17  # of a sum: what comes after it changes no digit of a double
_BISECTIONS = 60
_BEFORE_ANY_BYTE = ("read.eof", "read.ECONNRESET", "send.EPIPE", "send.ECONNRESET")


def failure_bound(clean: int) -> float:
    """The rule of three: after so many trials without a failure, its probability is at most this (95 %)."""
    return 1.0 if clean < 3 else 3.0 / clean


def rollouts_bound(clean: int) -> float:
    """After so many rollouts without a failure, at most this share of rollouts is bad (95 %, exact)."""
    return 1.0 if clean < 1 else float(1.0 - _CONFIDENCE_LEFT ** (1.0 / clean))


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


def at_least(successes: int, trials: int, probability: float) -> float:
    """P(X >= successes) of a binomial X, exact: the tail is summed from its largest term outwards.

    For up to 10^7 trials its relative error is below 10^-6 (that of lgamma), or 10^-15 absolute where it is above one
    half. So a p-value of 0.001 is not a question of rounding, and no distribution is approximated by another.
    """
    if successes <= 0:
        return 1.0
    if successes > trials or probability <= 0.0:
        return 0.0
    if probability >= 1.0:
        return 1.0
    odds = probability / (1.0 - probability)
    if successes > trials * probability:  # upwards: each term is smaller than the one before
        return _tail(successes, trials, probability, lambda i: (trials - i) / (i + 1) * odds, 1)
    below = _tail(successes - 1, trials, probability, lambda i: i / (trials - i + 1) / odds, -1)
    return max(0.0, 1.0 - below)


def _tail(first: int, trials: int, probability: float, ratio: Callable[[int], float], step: int) -> float:
    """The sum of the terms from `first` on in one direction; `ratio(i)` is the next term divided by term i."""
    log_term = (
        math.lgamma(trials + 1) - math.lgamma(first + 1) - math.lgamma(trials - first + 1)
        + first * math.log(probability) + (trials - first) * math.log1p(-probability)
    )  # fmt: skip
    share, total, i = 1.0, 1.0, first
    while share > _NEGLIGIBLE * total:
        share *= ratio(i)
        total += share
        i += step
    return min(1.0, math.exp(log_term) * total)


def rate_bound(failures: int, trials: int, left: float) -> float:
    """The largest failure probability with which so few failures, or fewer, still have the chance `left`.

    The upper end of the exact interval of Clopper and Pearson; 1 where there was no trial, or nothing but failures.
    """
    if failures >= trials:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if 1.0 - at_least(failures + 1, trials, middle) > left:
            low = middle
        else:
            high = middle
    return high


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
