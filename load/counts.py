"""What locust shows. Counted apart and handed over once a second, as locust's own workers do to their master.

To fire locust's event for each request costs about as much as to read its answer, and takes it at a bad moment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from locust.stats import RequestStats, StatsEntry, StatsError

from load.lanes import Lane

__all__ = ["Counts"]


class Counts:
    """Requests and failures of each lane since they were last handed over."""

    def __init__(self, stats: RequestStats, lanes: Sequence[Lane]) -> None:
        self._stats = stats
        self._entries = [StatsEntry(stats, lane.name, lane.method) for lane in lanes]
        self._errors: Counter[tuple[int, str]] = Counter()

    def add(self, lane: int, took_ms: float, size: int, error: str) -> None:
        """Count one finished attempt: milliseconds since it was due, bytes of its body, its outcome ("" if good)."""
        entry = self._entries[lane]
        entry.log(took_ms, size)  # type: ignore[arg-type]  # its own users give it floats, too
        if error:
            entry.log_error(error)
            self._errors[lane, error] += 1

    def hand_over(self) -> None:
        """Add all of them to locust's own."""
        for entry in self._entries:
            if entry.num_requests:
                self._stats.total.extend(entry)
                self._stats.get(entry.name, entry.method).extend(entry)
                entry.reset()
        for (lane, error), count in self._errors.items():
            entry = self._entries[lane]
            key = StatsError.create_key(entry.method, entry.name, error)
            known = self._stats.errors.setdefault(key, StatsError(entry.method, entry.name, error))
            known.occurred()
            known.occurrences += count - 1
        self._errors.clear()
