"""Limits: of outages and of the 99th percentile; what keeps them for certain, what may, and what does not."""

from __future__ import annotations

import pytest

from rollproof.judge.checkers.limits import P99, Budget


def budget(
    limit_ms: float, least_ms: float, most_ms: float, *, count: tuple[int, int] = (1, 1), count_max: int | None = None
) -> Budget:
    return Budget(limit_ms=limit_ms, at_least_ms=least_ms, at_most_ms=most_ms, count=count, count_max=count_max)


@pytest.mark.parametrize(("limit_ms", "may_cover", "covers"), [
    (200, True, True), (180, True, True), (179.9, True, False), (120, True, False), (119.9, False, False),
    (0, False, False),
])  # fmt: skip
def test_a_limit_is_kept_by_what_is_as_long_as_it(limit_ms: float, may_cover: bool, covers: bool) -> None:
    one = budget(limit_ms, 120, 180)
    assert (one.may_cover, one.covers) == (may_cover, covers)


@pytest.mark.parametrize(("count_max", "may_cover", "covers"), [
    (None, True, True), (3, True, True), (2, True, False), (1, False, False), (0, False, False),
])  # fmt: skip
def test_so_is_a_number_of_outages(count_max: int | None, may_cover: bool, covers: bool) -> None:
    one = budget(200, 120, 180, count=(2, 3), count_max=count_max)
    assert (one.may_cover, one.covers) == (may_cover, covers)


def test_a_limit_below_one_millisecond_is_a_limit() -> None:
    one = budget(0.5, 0.2, 0.5)
    assert one.may_cover
    assert one.covers
    assert not budget(0.5, 0.6, 0.7).may_cover


def test_why_it_is_unknown_whether_a_budget_was_kept() -> None:
    assert budget(150, 120, 180).doubt() == (
        "the outages lasted between 120 and 180 ms, and the budget of 150 ms lies between; "
        "a higher rate narrows the bounds"
    )
    assert budget(200, 120, 180, count=(2, 3), count_max=2).doubt() == (
        "there were 2 to 3 outages at least 1 s apart, and the budget of 2 lies between"
    )


def test_without_a_limit_no_outage_is_allowed_not_even_one_of_nothing() -> None:
    assert not budget(0, 0, 0).covers


@pytest.mark.parametrize(("limit_ms", "is_above", "may_be_above"), [
    (79.9, True, True), (80, False, True), (119.9, False, True), (120, False, False), (121, False, False),
])  # fmt: skip
def test_a_percentile_at_its_limit_keeps_it(limit_ms: float, is_above: bool, may_be_above: bool) -> None:
    one = P99(at_least_ms=80, at_most_ms=120, limit_ms=limit_ms)
    assert (one.is_above, one.may_be_above) == (is_above, may_be_above)
