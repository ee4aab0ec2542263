"""Failures that occur without any release: does a known background rate explain what was lost?

The rate is set in the target file (`traffic.background_failures_per_million`), and every comparison with it is an exact
binomial test, so that chance is not mistaken for a rate or for a failed release. Two questions, because not every
outcome is known: is it *surely more* (then it can FAIL), and is it *surely no more* (else no PASS)?
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rollproof.core.binomial import at_least, rate_bound
from rollproof.core.intervals import most_in_a_row
from rollproof.core.outcomes import Kind, counted, kinds, lane_mask, may_be_background
from rollproof.core.requests import RequestLog
from rollproof.core.verdict import Number
from rollproof.judge.checkers.window import Window

__all__ = ["Background", "compare", "left_by_baseline", "more_than", "sick"]

_P_MIN = 0.001  # significance level: a smaller probability means that the rate is no explanation
_MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Background:
    """The window's failures compared with the rate. `more`: why they are surely more than the rate explains, "" if they
    need not be; `doubt`: why they may be more, "" if all are explained; `control_doubt`: the same for the control lane.
    Counts are (failures, requests)."""

    allowed: float
    baseline: tuple[int, int]
    window: tuple[int, int]
    in_a_row: int
    wrong: int
    p: float
    bound: float  # upper bound of the baseline's own rate, if that is less than what is allowed
    more: str
    doubt: str
    control_doubt: str

    @property
    def noise(self) -> bool:
        """Whether anything looks like a background: failures before the act, or single ones after it."""
        return self.baseline[0] > 0 or (self.in_a_row == 1 and not self.wrong)

    def numbers(self) -> dict[str, Number]:
        """The numbers that decide, with their limit."""
        return {
            "background_failures_per_million": round(self.allowed * _MILLION, 3),
            "background_bound_per_million": round(self.bound * _MILLION, 3),
            "background_p": float(f"{self.p:.3g}"),
            "background_p_min": _P_MIN,
            "baseline_failures": self.baseline[0],
            "baseline_requests": self.baseline[1],
            "baseline_failures_per_million": _per_million(*self.baseline),
            "failures_per_million": _per_million(*self.window),
            "failures_in_a_row": self.in_a_row,
            "wrong_answers": self.wrong,
        }

    def sentence(self) -> str:
        """Both rates with their counts, and what is allowed."""
        (before, asked_before), (failed, asked) = self.baseline, self.window
        return (
            f"{before:,} of {asked_before:,} requests of the baseline failed ({_per_million(*self.baseline):,.0f} per "
            f"million), and {failed:,} of {asked:,} in the window ({_per_million(*self.window):,.0f} per million); "
            f"{self.allowed * _MILLION:,.0f} per million are allowed"
        )


def compare(window: Window, *, allowed: float) -> Background:
    """The window's failures against the allowed probability."""
    log = window.log
    app = window.app & window.inside
    known = app & (kinds(log) <= Kind.HARD)
    baseline, bound = _baseline(window), left_by_baseline(window, allowed=allowed)
    failed = counted(window.hard)
    # An unknown outcome may have been good: it counts as a request, and separates failures.
    more = _why_more(log, window.blamed, window.suspect, app, allowed, window.window_ns)
    doubt = _why_more(log, window.hard, kinds(log) > Kind.HARD, known, allowed, window.window_ns)
    control = window.inside & ~window.app & (kinds(log) <= Kind.HARD)
    return Background(
        allowed=allowed,
        baseline=baseline,
        window=(failed, counted(app)),
        in_a_row=most_in_a_row(log, window_ns=window.window_ns, failed=window.hard, silent=kinds(log) > Kind.HARD)[0],
        wrong=counted(window.hard & ~may_be_background(log)),
        p=at_least(failed, counted(app), allowed),
        bound=bound,
        more=more,
        doubt=doubt or _cleaner_before(window, known, baseline, bound) or _uneven(window, known, bound),
        control_doubt=_why_more(
            log, window.control_failed, kinds(log) > Kind.HARD, control, allowed, window.window_ns
        ),
    )  # fmt: skip


def more_than(window: Window, failed: NDArray[np.bool_], asked: NDArray[np.bool_], *, allowed: float) -> str:
    """Why these failures, among the requests `asked`, are more than the rate explains; "" if they need not be. Without
    a rate each one is more."""
    if not allowed:
        return "no background is allowed" if failed.any() else ""
    return _why_more(window.log, failed, kinds(window.log) > Kind.HARD, asked, allowed, window.window_ns)


def left_by_baseline(window: Window, *, allowed: float) -> float:
    """The probability that may be held against the window for a PASS: no more than the baseline leaves of the rate."""
    return min(allowed, rate_bound(*_baseline(window), _P_MIN))


def _baseline(window: Window) -> tuple[int, int]:
    """Failures and requests of the time before the act."""
    return counted(window.before & (kinds(window.log) == Kind.HARD)), counted(window.before)


def sick(window: Window, *, allowed: float) -> str:
    """Why the baseline's failures are more than the rate explains; "" if they are not. Only kind HARD can be explained:
    the target file allows no other.
    """
    log, before, kind = window.log, window.before, kinds(window.log)
    if (before & (kind > Kind.HARD)).any():
        return "attempts that say nothing about the app are no background"
    return _why_more(log, before & (kind == Kind.HARD), kind > Kind.HARD, before, allowed, window.baseline_ns)


def _why_more(
    log: RequestLog, failed: NDArray[np.bool_], silent: NDArray[np.bool_], asked: NDArray[np.bool_], allowed: float,
    span_ns: tuple[int, int],
) -> str:  # fmt: skip
    """The first reason why these failures, among the requests `asked`, are not background."""
    if not failed.any():
        return ""
    if wrong := counted(failed & ~may_be_background(log)):
        return f"{wrong} wrong answer{'s' if wrong > 1 else ''}: what is wrong is never background"
    count, lane = most_in_a_row(log, window_ns=span_ns, failed=failed, silent=silent)
    if count > 1:
        return f"{count} in a row on {lane}: that is an outage"
    p = at_least(counted(failed), counted(asked), allowed)
    if p < _P_MIN:
        return f"a background of {allowed * _MILLION:,.0f} per million explains so many with p = {p:.1e} only"
    return ""


def _cleaner_before(window: Window, known: NDArray[np.bool_], baseline: tuple[int, int], bound: float) -> str:
    """Why the allowed rate is no explanation: the baseline shows that the real rate is lower."""
    p = at_least(counted(window.hard), counted(known), bound)
    if p >= _P_MIN:
        return ""
    return (
        f"the allowed rate explains them, but the baseline lost only {baseline[0]:,} of {baseline[1]:,}, so that it "
        f"had at most {bound * _MILLION:,.0f} per million, and those explain so many with p = {p:.1e} only"
    )


def _uneven(window: Window, known: NDArray[np.bool_], bound: float) -> str:
    """Why the rate explains the number of failures, but not that they are on one lane, or one side of the end."""
    parts = {f"on {lane}": lane_mask(window.log, lane) for lane in sorted(window.log.lanes)}
    over_s = window.act.over_s
    if over_s is not None:
        during = window.log.rows["send_ns"] <= int(over_s * 1e9)
        over = window.act.over_means
        parts |= {f"before {over}": during, f"after {over}": ~during}
    for where, part in parts.items():
        count, asked = counted(window.hard & part), counted(known & part)
        p = at_least(count, asked, bound)
        if count > 1 and p < _P_MIN / len(parts):
            return (
                f"the background explains how many failed, but not that {count:,} of {asked:,} did {where} "
                f"(p = {p:.1e})"
            )
    return ""


def _per_million(failures: int, requests: int) -> float:
    return round(failures / max(1, requests) * _MILLION, 1)
