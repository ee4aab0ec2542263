"""How long an answer took, at most and at least: what is the generator's or the way's is taken off the lower bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from builders import LANES, Requests
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from rollproof.core.latency import _worst_beside, generator_ms, mark_late, took
from rollproof.core.outcomes import LATE, named
from rollproof.core.requests import RequestLog


def of(log: RequestLog, *, lane: str = "keepalive-get", at: float, on_time: bool = True) -> tuple[float, float]:
    """(at least, at most) of the lane's request that was due then."""
    found = took(log, on_time=on_time)
    rows = log.rows
    (row,) = np.flatnonzero((rows["lane"] == LANES.index(lane)) & (rows["intended_ns"] == int(at * 1e9)))
    return round(float(found.at_least_ms[row]), 3), round(float(found.at_most_ms[row]), 3)


def test_a_quiet_answer_has_both_bounds_alike() -> None:
    log = Requests().build()
    assert of(log, at=100.0) == (4.0, 4.06)
    assert of(log, at=100.0, on_time=False) == (0.0, 4.06)


def test_the_generators_lateness_is_taken_off() -> None:
    log = Requests().slow(at=100.0, took_ms=500.0).blind(at=100.2, until=100.35).build()
    assert of(log, at=100.0) == (350.0, 500.06)
    assert of(log, at=100.2) == (0.0, 154.0)  # it was sent 150 ms late, and answered after 4
    assert of(log, at=99.9) == (4.0, 4.06)


def test_what_the_control_lane_took_beyond_its_median_is_taken_off() -> None:
    log = Requests().slow(at=100.0, took_ms=500.0).slow("control", at=100.1, until=100.15, took_ms=204.0).build()
    assert of(log, at=100.0) == (300.0, 500.06)
    assert of(log, at=101.0) == (4.0, 4.06)
    assert of(replace(log, control=""), at=100.0) == (500.0, 500.06)


def test_measured_are_the_lanes_at_a_rate_that_belong_to_the_app() -> None:
    log = Requests().with_slow().fail(at=100.0).build()
    found = took(log, on_time=True)
    assert {LANES[lane] for lane in log.rows["lane"][found.paced]} == {"keepalive-get", "new-get", "keepalive-post"}
    assert int((~found.answered).sum()) == 1


def test_late_is_an_outcome_of_its_own_and_only_above_the_limit() -> None:
    requests = Requests().slow(at=100.0, took_ms=500.0).slow("control", at=101.0, until=102.0, took_ms=600.0)
    log = requests.with_slow().fail(at=103.0, took_ms=900.0).build()
    found = took(log, on_time=True)
    marked = mark_late(log, found, 300.0)
    assert int(named(marked, LATE).sum()) == 1
    assert marked.rows["status"][named(marked, LATE)].tolist() == [200]
    assert mark_late(log, found, 500.06) is log
    assert not named(log, LATE).any()


def test_the_generators_stalls_may_be_told_in_any_order() -> None:
    log = Requests(seconds=2.0, rate_per_s=10.0).build()
    at, stalls_ms = log.rows["send_ns"][[15, 1, 8]], (300.0, 200.0, 100.0)
    late = np.array([(start, took_ms * 1e6) for start, took_ms in zip(at, stalls_ms, strict=True)], dtype=np.int64)
    found = generator_ms(replace(log, engine=replace(log.engine, late_ns=late)))
    assert found[[15, 1, 8]].tolist() == [300.0, 200.0, 100.0]


def test_a_span_that_ends_as_a_row_begins_or_begins_as_it_ends_is_beside_it() -> None:
    log = Requests(seconds=2.0, rate_per_s=10.0).build()
    row = log.rows[8]
    for start, end, worst in (
        (row["send_ns"] - 9, row["send_ns"], 7.0),
        (row["send_ns"] - 9, row["send_ns"] - 1, 0.0),
        (row["done_ns"], row["done_ns"] + 9, 7.0),
        (row["done_ns"] + 1, row["done_ns"] + 9, 0.0),
    ):
        assert _worst_beside(log, np.array([start]), np.array([end]), np.array([7.0]))[8] == worst


@examples(60)
@given(
    spans=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60)), max_size=20), seed=st.integers(0, 2**32 - 1)
)  # fmt: skip
def test_the_worst_span_beside_a_row_is_never_missed(spans: list[tuple[int, int]], seed: int) -> None:
    """And no span counts that has nothing to do with it: it overlaps, or begins within one that does."""
    log = Requests(seconds=2.0, rate_per_s=50.0).build()
    spans.sort()
    start = np.array([log.engine.start_ns + s * 5_000_000 for s, _ in spans], dtype=np.int64)
    end = start + np.array([length * 5_000_000 for _, length in spans], dtype=np.int64)
    values = np.random.default_rng(seed).permutation(len(spans)) + 1.0
    found = _worst_beside(log, start, end, values)
    for row, value in zip(log.rows, found, strict=True):
        beside = (start <= row["done_ns"]) & (end >= row["send_ns"])
        near = (start >= start[beside].min(initial=row["done_ns"])) & (start <= row["done_ns"]) & beside.any()
        assert value >= values[beside].max(initial=0.0)
        assert value in {0.0, *values[near]}
