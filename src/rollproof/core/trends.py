"""Nights beside each other: is tonight's figure odd, did the rate of failures change, and what do clean nights bound?

Exact tests, small samples: about twenty runs a month, heavy right tails. Each statement says its test, its p, its N and
what it takes for granted. Pure: no I/O, no clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rollproof.core.binomial import rate_bound

__all__ = ["NIGHTS_MIN", "P_MAX", "Rank", "RateChange", "bad_share_bounds", "fisher_worse", "rank_of", "rate_change"]

P_MAX = 0.05
NIGHTS_MIN = 19  # the rank test's smallest p is 1/(N+1): with fewer nights nothing can be odd at 5 %
FAILURES_MIN = 2  # one failure in a week is what luck brings
RECENT, BASIS = 7, 30  # nights: last week against the month before it


@dataclass(frozen=True, slots=True)
class Rank:
    """Tonight's figure among those of `nights` before: `at_least_as_bad` of them are as large, or larger.

    p is the chance of so large a rank if all nights are exchangeable: (1 + at_least_as_bad) / (nights + 1).
    """

    nights: int
    at_least_as_bad: int

    @property
    def p(self) -> float:
        """Exact; no distribution is assumed."""
        return (1 + self.at_least_as_bad) / (self.nights + 1)

    @property
    def enough(self) -> bool:
        """Could any figure be odd among so few nights?"""
        return self.nights >= NIGHTS_MIN

    @property
    def odd(self) -> bool:
        """Is tonight among the worst 5 %?"""
        return self.enough and self.p <= P_MAX


def rank_of(tonight: float, before: Sequence[float]) -> Rank:
    """The one-sided rank test of a figure of which more is worse."""
    return Rank(len(before), sum(value >= tonight for value in before))


@dataclass(frozen=True, slots=True)
class RateChange:
    """Failures of the last nights against those of the nights before; p is Fisher's, one-sided (worse)."""

    failures: int
    nights: int
    failures_before: int
    nights_before: int
    p: float

    @property
    def worse(self) -> bool:
        """p below 5 %, and at least two failures."""
        return self.failures >= FAILURES_MIN and self.p < P_MAX


def rate_change(failed: Sequence[bool]) -> RateChange | None:
    """Of nights in their order, the newest last. None if there is no night before the last seven."""
    recent, before = failed[-RECENT:], failed[:-RECENT][-BASIS:]
    if not before:
        return None
    counts = sum(recent), len(recent), sum(before), len(before)
    return RateChange(*counts, fisher_worse(*counts))


def fisher_worse(failures: int, nights: int, failures_before: int, nights_before: int) -> float:
    """P(at least so many of all failures fall into the last nights), all splits of the nights being as likely.

    Fisher's exact test, one-sided: the upper tail of the hypergeometric distribution.
    """
    total, failed = nights + nights_before, failures + failures_before
    ways = math.comb(total, nights)
    tail = sum(
        math.comb(failed, k) * math.comb(total - failed, nights - k) for k in range(failures, min(failed, nights) + 1)
    )
    return tail / ways


def bad_share_bounds(failures: int, nights: int) -> tuple[float, float]:
    """The exact interval (Clopper and Pearson) in which the share of bad nights lies: each end is one-sided 95 %."""
    if not nights:
        return 0.0, 1.0
    return 1.0 - rate_bound(nights - failures, nights, P_MAX), rate_bound(failures, nights, P_MAX)
