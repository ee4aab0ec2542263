"""locust's statistics, computed from the record once a second, as locust's own workers report to their master.

Firing locust's event for each request costs about as much as reading its answer, at the worst moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from locust.stats import RequestStats, StatsEntry, StatsError, bucket_response_time
from numpy.typing import NDArray

from load.lanes import Lane
from load.recorder import Recorder

__all__ = ["Counts"]


class Counts:
    """Passes to locust what was recorded since the last time. `offset_s`: wall clock minus CLOCK_MONOTONIC."""

    def __init__(self, stats: RequestStats, lanes: Sequence[Lane], record: Recorder, offset_s: float) -> None:
        self._stats = stats
        self._lanes = lanes
        self._record = record
        self._offset_s = offset_s
        self._first = 0
        self.sizes = [0 for _ in lanes]  # bytes of bodies, which are not in the record

    def hand_over(self) -> None:
        """Count the new rows."""
        rows = self._record.rows_from(self._first)
        self._first += len(rows)
        for index, lane in enumerate(self._lanes):
            mine = rows[rows["lane"] == index]
            if len(mine):
                entry = StatsEntry(self._stats, lane.name, lane.method)
                self._fill(entry, mine, index)
                self._stats.total.extend(entry)
                self._stats.get(lane.name, lane.method).extend(entry)
                self._add_errors(lane, mine[mine["outcome"] != 0]["outcome"])

    def _fill(self, entry: StatsEntry, rows: NDArray[Any], index: int) -> None:
        took_ms = (rows["done_ns"] - rows["intended_ns"]) / 1e6
        done_s = rows["done_ns"] / 1e9 + self._offset_s
        entry.num_requests, entry.num_failures = len(rows), int(np.count_nonzero(rows["outcome"]))
        entry.total_response_time = took_ms.sum().item()
        entry.min_response_time, entry.max_response_time = took_ms.min().item(), took_ms.max().item()
        entry.last_request_timestamp = done_s.max().item()
        entry.total_content_length, self.sizes[index] = self.sizes[index], 0
        seconds = done_s.astype(np.int64)
        entry.num_reqs_per_sec.update(_numbers(seconds))
        entry.num_fail_per_sec.update(_numbers(seconds[rows["outcome"] != 0]))
        for rounded_ms, count in _numbers(np.rint(took_ms)).items():
            entry.response_times[bucket_response_time(rounded_ms)] += count

    def _add_errors(self, lane: Lane, outcomes: NDArray[Any]) -> None:
        for outcome, count in _numbers(outcomes).items():
            error = self._record.outcomes.values[int(outcome)]
            known = self._stats.errors.setdefault(
                StatsError.create_key(lane.method, lane.name, error), StatsError(lane.method, lane.name, error)
            )
            known.occurred()
            known.occurrences += count - 1


def _numbers(values: NDArray[Any]) -> dict[int, int]:
    """How often each value occurs."""
    found, counts = np.unique(values, return_counts=True)
    return {int(value): int(count) for value, count in zip(found, counts, strict=True)}
