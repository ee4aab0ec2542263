"""How many endpoints a set of addresses is."""

from __future__ import annotations

import pytest

from rollproof.core.watched import endpoint_count


@pytest.mark.parametrize(
    ("addresses", "count"),
    [
        ((), 0),
        (("10.0.0.1",), 1),
        (("10.0.0.1", "10.0.0.2"), 2),
        (("fd00::1",), 1),
        (("10.0.0.1", "fd00::1"), 1),  # one pod in both families: there was no other to retry on
        (("10.0.0.1", "fd00::1", "10.0.0.2", "fd00::2"), 2),
        (("10.0.0.1", "10.0.0.2", "fd00::2"), 2),  # the other family's slice is a moment behind
    ],
)
def test_a_pod_of_two_families_is_one(addresses: tuple[str, ...], count: int) -> None:
    assert endpoint_count(frozenset(addresses)) == count
