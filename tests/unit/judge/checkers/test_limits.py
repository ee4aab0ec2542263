"""The budget of outages: what is within it for certain, what may be, and what is not."""

from __future__ import annotations

import pytest

from rollproof.judge.checkers.limits import Budget


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


def test_without_a_limit_no_outage_is_allowed_not_even_one_of_nothing() -> None:
    assert not budget(0, 0, 0).covers
