"""The self-test as every run starts it, and its comparison of truth and findings without any process."""

from __future__ import annotations

import pytest
from builders import Requests

from rollproof.loadgen.selftest import _window_missed, self_test


def test_the_self_test_passes_with_exactly_k_of_each_class() -> None:
    result = self_test()
    assert result.passed, result.why
    assert len(result.classes) >= 16
    assert all(done == reported > 0 for done, reported in result.classes.values())


@pytest.mark.parametrize(
    ("start_s", "end_s", "fits"),
    [(100.0, 100.05, True), (99.9, 100.05, False), (100.0, 100.2, False), (110.0, 110.05, True)],
    ids=["as it was", "began earlier", "ended later", "met no request"],
)
def test_the_true_window_must_lie_within_what_was_found(start_s: float, end_s: float, fits: bool) -> None:
    log = Requests().fail(at=100.0, until=100.05, outcome="http.503").build()
    missed = _window_missed(log, {"start_ns": int(start_s * 1e9), "end_ns": int(end_s * 1e9)})
    assert (not missed) is fits, missed
