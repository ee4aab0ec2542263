"""What a count of failures allows one to say: exact tails of the binomial, their bounds, ranks and spells."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from rollproof.core.binomial import at_least, rate_bound
from rollproof.core.statistics import apart, median_of, nearest_rank, quantiles_of


def exactly(successes: int, trials: int, probability: float) -> float:
    """P(X >= successes) with sixty digits, term by term from zero."""
    with localcontext() as context:
        context.prec = 60
        p = Decimal(probability)
        term, below = (1 - p) ** trials, Decimal(0)
        for i in range(successes):
            below += term
            term = term * (trials - i) / (i + 1) * p / (1 - p)
        return float(1 - below)


@pytest.mark.parametrize(
    ("successes", "trials", "probability"),
    [
        (1, 1, 0.3), (1, 2, 0.5), (2, 2, 0.5), (3, 10, 0.3), (4, 10, 0.3), (10, 10, 0.9), (6, 2236, 5e-4),
        (12, 7151, 5e-4), (1, 10_000_000, 1e-7), (30, 10_000_000, 1e-6), (1200, 10_000_000, 1e-4),
        (900, 10_000_000, 1e-4), (1000, 10_000_000, 1e-4), (1001, 10_000_000, 1e-4), (60, 2000, 1e-4),
    ],
)  # fmt: skip
def test_the_tail_of_the_binomial_is_exact(successes: int, trials: int, probability: float) -> None:
    assert at_least(successes, trials, probability) == pytest.approx(exactly(successes, trials, probability), rel=1e-6)


def test_the_tail_at_its_ends() -> None:
    assert at_least(0, 10, 0.1) == at_least(-1, 10, 0.0) == at_least(3, 10, 1.0) == 1.0
    assert at_least(1, 10, 0.0) == at_least(11, 10, 0.9) == at_least(11, 10, 1.0) == at_least(1, 0, 0.5) == 0.0
    assert at_least(10_000_000, 10_000_000, 0.1) == 0.0
    assert at_least(1, 10_000_000, 0.1) == 1.0
    assert at_least(10, 10, 0.5) == pytest.approx(2.0**-10, rel=1e-12)


@examples(200)
@given(
    trials=st.integers(1, 10_000_000), share=st.floats(0.0, 2.0), more=st.integers(1, 50),
    probability=st.floats(1e-7, 0.2),
)  # fmt: skip
def test_the_tail_is_monotone_in_all_three(trials: int, share: float, more: int, probability: float) -> None:
    successes = min(trials, int(share * probability * trials))
    here = at_least(successes, trials, probability)
    assert 0.0 <= here <= 1.0
    assert at_least(successes + more, trials, probability) <= here * (1 + 1e-6) + 1e-12
    assert at_least(successes, trials + more, probability) >= here * (1 - 1e-6) - 1e-12
    assert at_least(successes, trials, min(1.0, probability * 1.5)) >= here * (1 - 1e-6) - 1e-12
    assert at_least(successes + more, trials + more, probability) <= here * (1 + 1e-6) + 1e-12


@pytest.mark.parametrize(("failures", "trials"), [(0, 2236), (1, 2236), (7, 2236), (10, 10_000_000), (1, 2)])
def test_a_bound_on_a_rate_leaves_the_chance_that_was_asked_for(failures: int, trials: int) -> None:
    bound = rate_bound(failures, trials, 0.001)
    assert 1 - exactly(failures + 1, trials, bound) == pytest.approx(0.001, rel=1e-5)


def test_a_bound_on_a_rate_at_its_ends() -> None:
    assert rate_bound(0, 0, 0.001) == rate_bound(5, 5, 0.001) == rate_bound(6, 5, 0.001) == 1.0
    assert rate_bound(0, 2236, 0.05) == pytest.approx(1 - 0.05 ** (1 / 2236), rel=1e-9)


def test_the_nearest_rank_is_one_of_the_samples() -> None:
    values = np.arange(1.0, 201.0)
    assert nearest_rank(values[::-1], 99) == 198.0
    assert nearest_rank(values[:199], 99) == 198.0
    assert nearest_rank(values[:100], 99) == 99.0
    assert nearest_rank(values[:99], 99) == 99.0
    assert nearest_rank(np.array([7.0]), 99) == 7.0
    assert nearest_rank(np.array([]), 99) == 0.0
    assert nearest_rank(np.array([1.0] * 98 + [math.inf] * 2), 99) == math.inf


def test_moments_apart_are_counted_from_the_first_of_each_spell() -> None:
    def count(*at: int) -> int:
        return apart(np.array(at, dtype=np.int64), 10)

    assert [count(), count(3), count(3, 3), count(3, 12), count(3, 13), count(3, 12, 13, 22, 23)] == [0, 1, 1, 1, 2, 3]


@given(st.lists(st.integers(0, 100)), st.integers(0, 100))
def test_one_more_moment_never_makes_fewer_apart(at: list[int], more: int) -> None:
    before, after = np.array(sorted(at), dtype=np.int64), np.array(sorted([*at, more]), dtype=np.int64)
    assert apart(after, 10) in {apart(before, 10), apart(before, 10) + 1}


@examples(300)
@given(st.lists(st.floats(-1e12, 1e12), min_size=1), st.lists(st.floats(0, 1), max_size=4))
def test_quantiles_and_median_are_those_of_numpy_to_the_last_bit(values: list[float], shares: list[float]) -> None:
    shares = [*shares, 0.0, 0.5, 0.99, 1.0]
    assert quantiles_of(np.array(values), shares) == tuple(np.quantile(values, shares))
    assert median_of(np.array(values)) == np.median(values)
