"""RequestLog: every attempt of one load session, one row an attempt, in columns.

One attempt is one record: no retry, no redirect is ever folded into a row (docs/measurement.md 4). Columns, not
objects, because a run may hold a million rows and `rollproof judge` has three seconds for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["LAYOUT", "OPTIONAL", "REQUEST_DTYPE", "EngineFacts", "RequestLog"]

_Item = TypeVar("_Item", bound=np.generic)

# The file's layout, [major, minor]; a file without one is of [1, 0]. A new column, or a new key beside the tables,
# raises the minor: it goes to the end, into OPTIONAL too, and files of either age stay readable by either version.
# What changes the meaning of a column raises the major: an older version refuses such a file instead of misreading it.
LAYOUT = (1, 0)

REQUEST_DTYPE = np.dtype(
    [
        ("k", "<i4"),  # number of the attempt in the schedule; the X-Request-ID ends in it
        ("lane", "u1"),  # index into RequestLog.lanes
        ("intended_ns", "<i8"),  # CLOCK_MONOTONIC; latency counts from here (no coordinated omission)
        ("send_ns", "<i8"),
        ("connected_ns", "<i8"),  # 0 on a reused connection
        ("first_byte_ns", "<i8"),  # 0 when none came
        ("done_ns", "<i8"),
        ("status", "<i2"),  # 0 when there was no answer: a status is never invented
        ("outcome", "u1"),  # index into RequestLog.outcomes; 0 is always "" (a good answer)
        ("reused", "?"),
        (
            "stale",
            "?",
        ),  # the peer had closed the idle connection and we saw it before sending: counted, no failure
        ("idle_ms", "<f4"),
        ("connection_requests", "<i4"),  # requests already served on this connection
        ("version", "u1"),  # index into RequestLog.versions; 0 is "" (none seen)
        ("served_by", "<u2"),  # index into RequestLog.pods; 0 is "" (none seen)
    ]
)
# Columns that a file may lack, with what is assumed then: no verdict is decided by them, they explain.
OPTIONAL: Mapping[str, bool | float] = {"stale": False, "idle_ms": 0.0, "connection_requests": 0}


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What the generator says about itself; a sick generator makes a run INCONCLUSIVE, never FAIL.

    `late_ns` has shape (n, 2): intended time and lateness of every dispatch more than 5 ms late (a blind interval).
    `scheduling` is "SCHED_FIFO 50", "nice -15" or "normal". `monotonic_ns`/`wall_s` pairs were read together, at
    start and end, to see clock steps.
    """

    rate_per_s: float
    start_ns: int
    end_ns: int
    planned: int  # open-loop attempts that the schedule asked for
    dispatched: int
    unfinished: int  # still without an outcome when the drain's deadline passed
    dropped: int  # not sent: the in-flight cap was reached
    cpu_s: float
    scheduling: str
    request_id_prefix: str
    late_ns: NDArray[np.int64]
    monotonic_ns: tuple[int, int]
    wall_s: tuple[float, float]
    locust_requests: int  # what locust's own statistics counted: must equal the rows


@dataclass(frozen=True, slots=True)
class RequestLog:
    """All attempts of one load session.

    `rows` has dtype REQUEST_DTYPE, sorted by `send_ns` and, within one nanosecond, by the schedule: made so here, so
    that neither the order of arrival nor a merge of two records can change a verdict. `lanes`, `outcomes`, `versions`
    and `pods` are the string tables that the index columns point into. Outcome names are those of docs/measurement.md 5
    ("connect.ECONNREFUSED", "read.eof", "read.truncated", "http.502", "body.wrong", "unfinished", ...).
    `open_loop` names the lanes that are driven by rate; the others ("slow") by concurrency.
    """

    rows: NDArray[np.void]
    lanes: tuple[str, ...]
    outcomes: tuple[str, ...]
    versions: tuple[str, ...]
    pods: tuple[str, ...]
    open_loop: tuple[str, ...]
    control: str  # name of the control lane, "" if there is none
    engine: EngineFacts
    _made: dict[str, NDArray[Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        sends = self.rows["send_ns"]
        if (sends[1:] <= sends[:-1]).any():
            object.__setattr__(self, "rows", self.rows[np.lexsort((self.rows["k"], sends))])

    def made_once(self, name: str, make: Callable[[], NDArray[_Item]]) -> NDArray[_Item]:
        """An array that depends on this log alone, made when it is asked for first; nobody can write to it.

        Checkers, outages and reports ask dozens of times for the same masks of a million rows.
        """
        if name not in self._made:
            found = make()
            found.flags.writeable = False
            self._made[name] = found
        return self._made[name]

    def column(self, name: str) -> NDArray[Any]:
        """One column by itself, for whoever reads it again and again: in `rows` its values lie far apart."""
        return self.made_once(f"column {name}", lambda: np.ascontiguousarray(self.rows[name]))

    def chosen(self, name: str, table: Sequence[bool]) -> NDArray[np.bool_]:
        """The rows whose value in that index column the table has; a table without any needs no look at a million."""
        if not any(table):
            return np.zeros(len(self.rows), dtype=bool)
        found: NDArray[np.bool_] = np.array(table)[self.column(name)]
        return found

    def request_id(self, k: int) -> str:
        """The X-Request-ID of attempt `k`, by which the ingress and the app have logged it."""
        return f"{self.engine.request_id_prefix}-{k}"
