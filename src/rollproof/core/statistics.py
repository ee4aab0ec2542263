"""What the samples allow one to claim: bounds on a failure probability, latencies from the intended time.

Claims are no stronger than the samples. Requests of one rollout are not independent, so the bound over requests is a
bound for requests of *this* rollout; over rollouts the trial is the rollout.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rollproof.core.outcomes import Kind, kinds, lane_mask
from rollproof.core.requests import RequestLog

__all__ = ["failure_bound", "latency_ms", "left_after_one_retry", "rollouts_bound"]

_CONFIDENCE_LEFT = 0.05
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
    rows = log.rows[chosen]
    if not len(rows):
        return tuple(0.0 for _ in quantiles)
    took = (rows["done_ns"] - rows["intended_ns"]) / 1e6
    return tuple(float(value) for value in np.quantile(took, quantiles))


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
    left = int((~may).sum())
    fresh = "new-get" in log.open_loop
    for number, lane in enumerate(log.lanes):
        mine = index[may & (rows["lane"][index] == number)]
        if len(mine):
            witness = np.flatnonzero(lane_mask(log, "new-get" if fresh and lane != log.control else lane))
            at = np.searchsorted(rows["send_ns"][witness], rows["done_ns"][mine], side="left")
            answered = good[witness[np.minimum(at, len(witness) - 1)]] & (at < len(witness))
            left += int((~answered).sum())
    return left
