"""Trends: exact tests held against enumeration, and nights of which it is known what happened."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollproof.core.trends import (
    NIGHTS_MIN,
    bad_share_bounds,
    fisher_worse,
    rank_of,
    rate_change,
)


def enumerated(failures: int, nights: int, failures_before: int, nights_before: int) -> float:
    total = nights + nights_before
    failed = failures + failures_before
    splits = list(itertools.combinations(range(total), nights))
    return sum(sum(one < failed for one in split) >= failures for split in splits) / len(splits)


@given(st.integers(0, 4), st.integers(1, 4), st.integers(0, 6), st.integers(1, 6))
def test_fisher_is_the_share_of_all_splits(
    failures: int, nights: int, failures_before: int, nights_before: int
) -> None:
    counts = min(failures, nights), nights, min(failures_before, nights_before), nights_before
    assert fisher_worse(*counts) == pytest.approx(enumerated(*counts))


@pytest.mark.parametrize(
    ("recent", "nights", "before", "basis", "p"),
    [(1, 7, 0, 30, 0.189), (2, 7, 0, 30, 0.032), (2, 7, 1, 30, 0.086), (3, 7, 1, 30, 0.016), (3, 7, 0, 14, 0.026)],
)
def test_fishers_known_values(recent: int, nights: int, before: int, basis: int, p: float) -> None:
    assert fisher_worse(recent, nights, before, basis) == pytest.approx(p, abs=5e-4)


def test_one_failure_in_a_week_is_no_change_and_two_are() -> None:
    def change(failures: int) -> bool:
        told = rate_change([False] * 30 + [False] * (7 - failures) + [True] * failures)
        return told is not None and told.worse

    assert [change(0), change(1), change(2)] == [False, False, True]
    assert rate_change([True] * 7) is None, "there is nothing to compare with"


def test_nothing_is_odd_among_fewer_than_nineteen_nights() -> None:
    assert not rank_of(100.0, [1.0] * (NIGHTS_MIN - 1)).odd
    assert rank_of(100.0, [1.0] * NIGHTS_MIN).odd
    assert rank_of(100.0, [1.0] * NIGHTS_MIN).p == pytest.approx(0.05)
    assert not rank_of(1.0, [1.0] * 200).odd, "as bad as all the others"


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.floats(0, 1e6))
def test_a_worse_figure_is_never_less_odd(before: list[float], tonight: float) -> None:
    assert rank_of(tonight * 2, before).p <= rank_of(tonight, before).p


@pytest.mark.parametrize(
    ("failures", "nights", "high"), [(0, 30, 0.095), (1, 30, 0.149), (2, 30, 0.195), (1, 90, 0.052)]
)
def test_the_bounds_are_those_of_clopper_and_pearson(failures: int, nights: int, high: float) -> None:
    low, upper = bad_share_bounds(failures, nights)
    assert upper == pytest.approx(high, abs=5e-4)
    assert 0 <= low <= failures / nights <= upper
    assert bad_share_bounds(0, 0) == (0.0, 1.0)
    assert bad_share_bounds(nights, nights)[1] == 1.0


def found(nights: Sequence[float], *, since: int) -> tuple[float, float]:
    """Shares of the nights called odd before and from `since` on, each judged by those before it."""
    odd = [rank_of(nights[i], nights[:i]).odd for i in range(NIGHTS_MIN, len(nights))]
    edge = since - NIGHTS_MIN
    return sum(odd[:edge]) / edge, sum(odd[edge : edge + 5]) / 5


def test_two_hundred_nights_with_a_shift_that_is_known() -> None:
    """Figures like heal times: log-normal, and twice as long from night 150 on. docs/history.md has the rates."""
    false, true = [], []
    for seed in range(40):
        chance = random.Random(seed)  # noqa: S311 - nights, not secrets
        nights = [chance.lognormvariate(-0.7, 0.25) * (2 if night >= 150 else 1) for night in range(200)]
        early, late = found(nights, since=150)
        false.append(early)
        true.append(late)
    assert sum(false) / len(false) <= 0.06
    assert sum(true) / len(true) >= 0.7
