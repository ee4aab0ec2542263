"""The self-test as every run starts it, and its comparison of truth and findings without any process."""

from __future__ import annotations

import pytest
from builders import Requests

from rollproof.loadgen import selftest
from rollproof.loadgen.selftest import SelfTest, _only_late, _window_missed, self_test


@pytest.mark.processes
def test_the_self_test_passes_with_exactly_k_of_each_class() -> None:
    result = self_test()
    assert result.passed, result.why
    assert len(result.classes) >= 16
    assert all(done == reported > 0 for done, reported in result.classes.values())


LATE = SelfTest({"read.timeout": (2, 3)}, "read.timeout: 2 done, 3 reported", late=True)
HIDES = SelfTest({"http.503": (2, 1)}, "http.503: 2 done, 1 reported")
GOOD = SelfTest({"http.503": (2, 2)}, "")


@pytest.mark.parametrize(
    ("results", "told"),
    [([LATE, GOOD], GOOD), ([LATE, LATE, GOOD], LATE), ([LATE, HIDES], HIDES), ([HIDES, GOOD], HIDES)],
)
def test_only_what_was_late_is_tried_once_more(
    monkeypatch: pytest.MonkeyPatch, results: list[SelfTest], told: SelfTest
) -> None:
    left = iter(results)
    monkeypatch.setattr(selftest, "_once", lambda _: next(left))
    assert self_test() is told


@pytest.mark.parametrize(
    ("classes", "more", "late"),
    [
        ({"http.503": (3, 3)}, 0, False), ({"read.timeout": (2, 3)}, 0, True), ({"read.timeout": (3, 2)}, 0, False),
        ({"read.timeout": (2, 3), "connect.timeout": (0, 1)}, 0, True), ({"read.timeout": (2, 3)}, 1, False),
        ({"read.timeout": (2, 3), "http.503": (3, 2)}, 0, False), ({"read.eof": (2, 3)}, 0, False),
    ],
)  # fmt: skip
def test_late_is_time_outs_that_nobody_ordered_and_nothing_else(
    classes: dict[str, tuple[int, int]], more: int, late: bool
) -> None:
    wrong = [*(name for name, (k, n) in classes.items() if k != n), *["an outage was missed"] * more]
    assert _only_late(classes, wrong) is late


@pytest.mark.parametrize(
    ("start_s", "end_s", "fits"),
    [(100.0, 100.05, True), (99.9, 100.05, False), (100.0, 100.2, False), (110.0, 110.05, True)],
    ids=["as it was", "began earlier", "ended later", "met no request"],
)
def test_the_true_window_must_lie_within_what_was_found(start_s: float, end_s: float, fits: bool) -> None:
    log = Requests().fail(at=100.0, until=100.05, outcome="http.503").build()
    missed = _window_missed(log, {"start_ns": int(start_s * 1e9), "end_ns": int(end_s * 1e9)})
    assert (not missed) is fits, missed
