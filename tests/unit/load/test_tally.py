"""What the generator says of each lane while it runs: counted from the record, each row once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from load.tally import Tally
from rollproof.core.abort import LaneCount
from rollproof.core.requests import REQUEST_DTYPE


class Record:
    """Rows of (lane, outcome, when it was done)."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, int, int]] = []
        self.outcomes = SimpleNamespace(values=["", "http.502", "read.eof"])

    def rows_from(self, first: int) -> Any:
        new = self.rows[first:]
        found = np.zeros(len(new), dtype=REQUEST_DTYPE)
        for name, values in zip(("lane", "outcome", "done_ns"), zip(*new, strict=True), strict=False):
            found[name] = values
        return found


def test_lanes_are_counted_apart_and_each_row_once() -> None:
    record: Any = Record()
    tally = Tally(["get", "post"], record)
    assert tally.count()["get"] == {"outcomes": {}, "last_good_ns": 0, "bad_since": 0}
    record.rows += [(0, 0, 10), (0, 1, 12), (1, 2, 13), (0, 1, 9)]  # the last one ended before the good answer
    said = tally.count()
    assert said["get"] == {"outcomes": {"": 1, "http.502": 2}, "last_good_ns": 10, "bad_since": 1}
    assert said["post"] == {"outcomes": {"read.eof": 1}, "last_good_ns": 0, "bad_since": 1}
    assert tally.count() == said
    record.rows += [(0, 1, 20), (1, 0, 21)]
    said = tally.count()
    assert said["get"]["bad_since"] == 2
    assert said["post"] == {"outcomes": {"read.eof": 1, "": 1}, "last_good_ns": 21, "bad_since": 0}
    assert LaneCount(**said["get"]).lost == 3
