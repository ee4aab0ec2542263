"""What a count of failures allows one to claim: tails of the binomial, and bounds on a failure probability.

Claims are no stronger than the samples. Requests of one rollout are not independent, so the bound over requests is a
bound for requests of *this* rollout; over rollouts the trial is the rollout.
"""

from __future__ import annotations

import math
from collections.abc import Callable

__all__ = ["at_least", "failure_bound", "rate_bound", "rollouts_bound"]

_CONFIDENCE_LEFT = 0.05
_NEGLIGIBLE = 1e-17  # of a sum: what comes after it changes no digit of a double
_BISECTIONS = 60


def failure_bound(clean: int) -> float:
    """The rule of three: after so many trials without a failure, its probability is at most this (95 %)."""
    return 1.0 if clean < 3 else 3.0 / clean


def rollouts_bound(clean: int) -> float:
    """After so many rollouts without a failure, at most this share of rollouts is bad (95 %, exact)."""
    return 1.0 if clean < 1 else float(1.0 - _CONFIDENCE_LEFT ** (1.0 / clean))


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
