"""Tally: how each lane fares so far, counted from the record once a second, for whoever must end a drill in time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from load.recorder import Recorder

__all__ = ["Tally"]


class Tally:
    """For each lane its outcomes, the time of its last good answer, and how much has gone wrong since."""

    def __init__(self, lanes: list[str], record: Recorder) -> None:
        self._record = record
        self._first = 0
        self._lanes = lanes
        self._outcomes: list[Counter[int]] = [Counter() for _ in lanes]
        self._last_good_ns = [0 for _ in lanes]
        self._bad_since = [0 for _ in lanes]

    def count(self) -> dict[str, Any]:
        """Take in the new rows; all that is known now, as JSON."""
        rows = self._record.rows_from(self._first)
        self._first += len(rows)
        for index in range(len(self._lanes)):
            mine = rows[rows["lane"] == index]
            if len(mine):
                self._take(index, mine["outcome"], mine["done_ns"].astype(np.int64))
        names = self._record.outcomes.values
        return {
            name: {
                "outcomes": {names[outcome]: count for outcome, count in self._outcomes[index].items()},
                "last_good_ns": self._last_good_ns[index],
                "bad_since": self._bad_since[index],
            }
            for index, name in enumerate(self._lanes)
        }

    def _take(self, index: int, outcomes: Any, done_ns: Any) -> None:
        values, counts = np.unique(outcomes, return_counts=True)
        self._outcomes[index].update({int(value): int(count) for value, count in zip(values, counts, strict=True)})
        good = outcomes == 0
        if good.any():
            last_ns = int(done_ns[good].max())
            if last_ns > self._last_good_ns[index]:
                self._last_good_ns[index], self._bad_since[index] = last_ns, 0
        self._bad_since[index] += int((~good & (done_ns > self._last_good_ns[index])).sum())
