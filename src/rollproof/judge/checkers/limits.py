"""The limits of the target file for a window: the budget of outages, the p99, the longest answer.

Each figure is a pair, at least and at most, because part of it may not be the app's. If the lower bound exceeds the
limit, it can FAIL; if the upper bound is within it, it can PASS; in between the result is unknown.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rollproof.core.intervals import downtime_ms
from rollproof.core.outcomes import Kind, counted, kinds
from rollproof.core.statistics import apart, nearest_rank
from rollproof.core.target import Traffic
from rollproof.core.verdict import Number
from rollproof.judge.checkers.window import Window

__all__ = ["P99", "Budget", "budget", "longest_numbers", "p99"]

_APART_NS = 10**9  # outages nearer than this count as one; a longer one counts once for each such time
_PERCENT = 99
_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Budget:
    """The allowed outages. Times are of the worst lane, the sum of its outages; `count` is of all lanes.

    A limit of 0 ms allows nothing. `count`, at least and at most, is the number of outages 1 s apart; `count_max` None:
    any.
    """

    limit_ms: float
    at_least_ms: float
    at_most_ms: float
    count: tuple[int, int]
    count_max: int | None

    @property
    def may_cover(self) -> bool:
        """Whether the loss may be within the budget (lower bound)."""
        few = self.count_max is None or self.count[0] <= self.count_max
        return self.limit_ms > 0 and self.at_least_ms <= self.limit_ms and few

    @property
    def covers(self) -> bool:
        """Whether the loss is certainly within the budget (upper bound)."""
        few = self.count_max is None or self.count[1] <= self.count_max
        return self.limit_ms > 0 and self.at_most_ms <= self.limit_ms and few

    def words(self) -> str:
        """The budget, as the end of the sentence about a failure; "" if there is none."""
        if not self.limit_ms:
            return ""
        if self.count_max is None:
            return f"; the budget is {self.limit_ms:.0f} ms"
        return (
            f"; the budget is {self.limit_ms:.0f} ms and {self.count_max} outages, and {self.count[0]} were at least "
            "1 s apart"
        )

    def doubt(self) -> str:
        """Why it is unknown whether the budget was kept."""
        if self.at_most_ms > self.limit_ms:
            return (
                f"the outages lasted between {self.at_least_ms:.0f} and {self.at_most_ms:.0f} ms, and the budget of "
                f"{self.limit_ms:.0f} ms lies between; a higher rate narrows the bounds"
            )
        return (
            f"there were {self.count[0]} to {self.count[1]} outages at least 1 s apart, and the budget of "
            f"{self.count_max} lies between"
        )

    def numbers(self) -> dict[str, Number]:
        """The numbers that decide, with their limits."""
        found: dict[str, Number] = {
            "downtime_ms_lower": round(self.at_least_ms, _DECIMALS),
            "downtime_ms_upper": round(self.at_most_ms, _DECIMALS),
            "budget_ms": self.limit_ms,
        }
        if self.count_max is not None:
            found |= {"outages_apart": self.count[0], "outages_apart_upper": self.count[1]}
            found["outages_max"] = self.count_max
        return found


def budget(window: Window, traffic: Traffic) -> Budget:
    """The cost of the window's failures, compared with the target file."""
    log, sends = window.log, window.log.rows["send_ns"]
    worst = window.hard & ~window.suspect  # plus late answers that need not be the app's
    silent = (kinds(log) > Kind.HARD) | window.suspect
    at_most = downtime_ms(log, window_ns=window.window_ns, failed=worst, silent=silent)
    # Lower bound: an attempt without an outcome may have been good, and then the outage ended there.
    at_least = downtime_ms(log, window_ns=window.window_ns, failed=window.blamed, silent=window.suspect)
    return Budget(
        limit_ms=traffic.downtime_budget_ms,
        at_least_ms=max((low for low, _ in at_least.values()), default=0.0),
        at_most_ms=max((high for _, high in at_most.values()), default=0.0),
        count=(apart(sends[window.blamed], _APART_NS), apart(sends[window.hard], _APART_NS)),
        count_max=traffic.outages_max,
    )


@dataclass(frozen=True, slots=True)
class P99:
    """The 99th percentile, and its limit. `inf`: more than one request in a hundred had no good answer."""

    at_least_ms: float
    at_most_ms: float
    limit_ms: float

    @property
    def is_above(self) -> bool:
        """Whether it is certainly too slow."""
        return self.at_least_ms > self.limit_ms

    @property
    def is_known(self) -> bool:
        """Whether enough requests had a good answer for there to be one."""
        return math.isfinite(self.at_least_ms)

    @property
    def may_be_above(self) -> bool:
        """Whether it may be too slow."""
        return self.at_most_ms > self.limit_ms

    def sentence(self) -> str:
        """Both bounds and the limit."""
        limit = f"the limit is {self.limit_ms:g} ms"
        if math.isinf(self.at_least_ms):
            return f"more than 1 in 100 requests had no good answer, so there is no p99; {limit}"
        if math.isinf(self.at_most_ms):
            return (
                f"more than 1 in 100 requests had no good answer, and whose fault that was is not known of all; "
                f"without these the p99 is at least {self.at_least_ms:.0f} ms; {limit}"
            )
        return (
            f"the p99 is {self.at_most_ms:.0f} ms, of which at least {self.at_least_ms:.0f} ms are the app's; {limit}"
        )

    def numbers(self) -> dict[str, Number]:
        """The numbers that decide, with the limit; None for a p99 that is infinite."""
        bounds = {"p99_ms_lower": self.at_least_ms, "p99_ms_upper": self.at_most_ms}
        told: dict[str, Number] = {k: round(v, _DECIMALS) if math.isfinite(v) else None for k, v in bounds.items()}
        return {**told, "p99_ms_max": self.limit_ms}


def p99(window: Window, chosen: NDArray[np.bool_], limit_ms: float | None) -> P99 | None:
    """Of the chosen requests on the lanes that are measured; None where there is no limit.

    A request that failed counts as slower than any: without it a server that refuses would look fast.
    """
    timed = window.took
    if limit_ms is None or timed is None:
        return None
    rows = chosen & timed.paced
    slowest = np.where(timed.answered, timed.at_most_ms, np.inf)
    fastest = np.where(timed.answered, timed.at_least_ms, np.where(window.blamed, np.inf, 0.0))
    return P99(nearest_rank(fastest[rows], _PERCENT), nearest_rank(slowest[rows], _PERCENT), limit_ms)


def longest_numbers(window: Window, traffic: Traffic) -> dict[str, Number]:
    """The longest answer and its limit; nothing where there is none."""
    timed = window.took
    if traffic.longest_ms_max is None or timed is None:
        return {}
    rows = window.app & window.inside & timed.paced & timed.answered
    return {
        "longest_ms_lower": round(float(timed.at_least_ms[rows].max(initial=0.0)), _DECIMALS),
        "longest_ms_upper": round(float(timed.at_most_ms[rows].max(initial=0.0)), _DECIMALS),
        "longest_ms_max": traffic.longest_ms_max,
        "late_answers": counted(window.late & window.blamed),
        "late_answers_in_doubt": counted(window.late & window.explained),
    }
