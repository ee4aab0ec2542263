"""RequestLog: its rows are in one order, however they came; an array is made once, and nobody can change it."""

from __future__ import annotations

from dataclasses import replace

import builders
import numpy as np
import pytest

from rollproof.core.outcomes import kinds, lane_mask


def test_it_is_made_once_and_cannot_be_written_to() -> None:
    log = builders.steady(requests=100, start_s=1.0, end_s=2.0)
    assert kinds(log) is kinds(log)
    assert lane_mask(log, log.lanes[0]) is lane_mask(log, log.lanes[0])
    with pytest.raises(ValueError, match="read-only"):
        kinds(log)[0] = 1


def test_other_rows_are_another_log() -> None:
    log = builders.steady(requests=100, start_s=1.0, end_s=2.0)
    before = kinds(log)
    rows = log.rows.copy()
    rows["outcome"][3] = 1
    other = replace(log, rows=rows, outcomes=("", "http.502"))
    assert np.flatnonzero(kinds(other)).tolist() == [3]
    assert not before.any()
    for lane in log.lanes:
        assert lane_mask(other, lane).sum() == (rows["lane"] == log.lanes.index(lane)).sum()


def test_rows_of_one_moment_are_in_the_order_of_the_schedule_however_they_came() -> None:
    log = builders.steady(requests=100, start_s=1.0, end_s=2.0)
    rows = log.rows.copy()
    rows["send_ns"][40:43] = rows["send_ns"][40]
    whole = replace(log, rows=rows)
    assert whole.rows["k"].tolist() == list(range(100))
    rows[[40, 42]] = rows[[42, 40]]
    assert (replace(log, rows=rows).rows == whole.rows).all()
    assert (replace(log, rows=rows[::-1]).rows == whole.rows).all()
