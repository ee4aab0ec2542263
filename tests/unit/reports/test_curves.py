from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollproof.core.requests import RequestLog
from rollproof.reports.curves import bucketed, decades, log_y, stack_paths, step_path
from rollproof.reports.model import Report
from rollproof.reports.tables import failed_requests
from rollproof.reports.timeline import Axis, axis_of, ticks


@pytest.fixture
def log(report: Report) -> RequestLog:
    found = report.facts["zero-downtime"].requests
    assert found is not None
    return found


@pytest.fixture
def axis(report: Report) -> Axis:
    found = axis_of(report.facts["zero-downtime"])
    assert found is not None
    return found


def test_no_request_is_lost_or_counted_twice(log: RequestLog, axis: Axis) -> None:
    buckets = bucketed(log, axis)
    assert buckets.sent.sum() == len(log.rows)
    assert buckets.failed.sum() == 53
    control = log.lanes.index(log.control)
    assert buckets.versions.sum() == (log.rows["lane"] != control).sum()
    assert (buckets.failed <= buckets.sent).all()


def test_of_many_drills_each_is_drawn_with_less_detail(log: RequestLog, axis: Axis) -> None:
    """And nothing of it is lost: the page of a run of 32 drills was 3.5 MB."""
    few = bucketed(log, axis, 40)
    assert few.count <= 41 < bucketed(log, axis).count
    assert (few.sent.sum(), few.failed.sum()) == (len(log.rows), 53)
    counts, shown = failed_requests(log, axis, 0.05)
    assert (sum(count for _, _, count in counts), len(shown)) == (53, 10)


def test_what_says_nothing_about_the_target_is_no_failure(log: RequestLog, axis: Axis) -> None:
    own = replace(log, outcomes=("", "unfinished", "http.429", "connect.dns"))
    assert bucketed(own, axis).failed.sum() == 0


def test_percentiles_are_nearest_rank_of_good_answers(log: RequestLog, axis: Axis) -> None:
    rows = log.rows[:100].copy()
    rows["lane"], rows["outcome"] = 0, 0
    rows["send_ns"] = rows["send_ns"][0]
    rows["intended_ns"] = rows["send_ns"]
    rows["done_ns"] = rows["send_ns"] + np.arange(1, 101) * 1_000_000
    buckets = bucketed(replace(log, rows=rows), axis)
    filled = np.isfinite(buckets.p50_ms)
    assert filled.sum() == 1
    assert (buckets.p50_ms[filled][0], buckets.p99_ms[filled][0]) == (50.0, 99.0)


def test_a_bucket_without_answers_is_a_hole_and_not_a_zero(log: RequestLog, axis: Axis) -> None:
    buckets = bucketed(log, axis)
    assert np.isnan(buckets.p50_ms[0])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_a_step_path_draws_each_value_at_its_place(counts: list[int]) -> None:
    path = step_path(10.0 - np.array(counts, dtype=float), 100, 10)
    drawn: dict[int, int] = {}
    for piece in re.findall(r"M(\d+) 10((?:V[\d.]+H\d+)+)V10Z", path):
        at = int(piece[0])
        for height, until in re.findall(r"V([\d.]+)H(\d+)", piece[1]):
            for index in range(at // 100, int(until) // 100):
                drawn[index] = 10 - int(height)
            at = int(until)
    assert drawn == {index: count for index, count in enumerate(counts) if count}


def test_shares_fill_the_height() -> None:
    lower, upper = stack_paths(np.array([[1, 0, 0], [3, 2, 0]]), 100, 8)
    assert lower == "M0 8V6h100V8h-100Z"
    assert upper == "M0 6V0h200V8h-100V6h-100Z"


def test_the_latency_axis_covers_what_was_measured(log: RequestLog, axis: Axis) -> None:
    buckets = bucketed(log, axis)
    low, high = decades(buckets)
    assert low <= np.nanmin(buckets.p50_ms)
    assert np.nanmax(buckets.p99_ms) <= high
    assert log_y(np.array([low, high]), low, high, 72).tolist() == [72.0, 0.0]


@given(st.floats(1, 1e9, allow_nan=False))
def test_an_axis_has_few_round_ticks(length_ms: float) -> None:
    marks = ticks(Axis(start_s=0.0, length_ms=length_ms))
    assert len(marks) >= 1
    if length_ms <= 10 * 3_000_000:
        assert len(marks) <= 11
    assert all(0 <= at <= 100 for _, at in marks)
