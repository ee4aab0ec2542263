"""Synthetic request logs: a clean load of known shape, and a few verbs that hurt it. No sockets, no chance.

    log = Requests(seconds=40).fail("keepalive-post", at=12.0, until=12.3, outcome="http.502").build()

Times are seconds on the same axis as the stories' events (story.py): the load runs from `start` on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollproof.core.requests import REQUEST_DTYPE, EngineFacts, RequestLog

__all__ = ["LANES", "Requests", "steady"]

LANES = ("keepalive-get", "new-get", "keepalive-post", "control", "slow")
_BLOCK = (0, 1, 0, 2, 0, 3, 0, 1, 0, 2)  # a fixed order is good enough here: nothing balances these requests


class Requests:
    """A growing log. `rate_per_s` counts the open-loop lanes together; each answer takes `took_ms`."""

    def __init__(
        self, *, start: float = 90.0, seconds: float = 55.0, rate_per_s: float = 200.0, took_ms: float = 4.0,
        version: str = "aaaaaaa",
    ) -> None:  # fmt: skip
        self.start_ns = int(start * 1e9)
        self.end_ns = int((start + seconds) * 1e9)
        self.outcomes = [""]
        self.versions, self.pods = ["", version], [""]
        self.changes: dict[str, Any] = {}
        self.late: list[tuple[int, int]] = []
        planned = int(seconds * rate_per_s)
        k = np.arange(planned)
        rows = np.zeros(planned, dtype=REQUEST_DTYPE)
        rows["k"] = k
        rows["lane"] = np.array(_BLOCK, dtype=np.uint8)[k % len(_BLOCK)]
        rows["intended_ns"] = self.start_ns + (k * (1e9 / rate_per_s)).astype(np.int64)
        rows["status"], rows["version"] = 200, 1
        rows["version"][rows["lane"] == 3] = 0
        rows["reused"] = ~np.isin(rows["lane"], (1,))
        self.rows = rows
        self._answer(np.ones(planned, dtype=bool), took_ms)
        self.rate_per_s = rate_per_s

    def with_slow(self, *, took_ms: float = 300.0) -> Requests:
        """Add the lane that keeps one long request in flight."""
        count = int((self.end_ns - self.start_ns) / (took_ms * 1e6))
        rows = np.zeros(count, dtype=REQUEST_DTYPE)
        rows["k"] = (1 << 30) + np.arange(count)
        rows["lane"], rows["status"], rows["version"], rows["reused"] = 4, 200, 1, True
        rows["intended_ns"] = self.start_ns + (np.arange(count) * took_ms * 1e6).astype(np.int64)
        rows["send_ns"] = rows["intended_ns"]
        rows["done_ns"] = rows["first_byte_ns"] = rows["send_ns"] + int(took_ms * 1e6)
        self.rows = np.concatenate((self.rows, rows))
        return self

    def fail(
        self, lane: str = "keepalive-get", *, at: float, until: float | None = None, outcome: str = "http.502",
        took_ms: float = 1.0, every: int = 1,
    ) -> Requests:  # fmt: skip
        """The lane's requests sent from `at` until `until` fail ("" lane: all lanes); without `until` the next one."""
        chosen = self._chosen(lane, at, until)
        chosen &= np.cumsum(chosen) % every == 0
        self.rows["outcome"][chosen] = self._outcome(outcome)
        self.rows["status"][chosen] = int(outcome[5:]) if outcome.startswith("http.") else 0
        self.rows["version"][chosen] = 0
        self._answer(chosen, took_ms)
        return self

    def slow(self, lane: str = "keepalive-get", *, at: float, until: float | None = None, took_ms: float) -> Requests:
        """Good answers, but late ones."""
        self._answer(self._chosen(lane, at, until), took_ms)
        return self

    def says(self, version: str, *, at: float, until: float | None = None, lane: str = "") -> Requests:
        """The app's answers carry this version from `at` on (until the end, if no `until` is given)."""
        chosen = self._chosen(lane, at, self.end_ns / 1e9 if until is None else until) & (self.rows["version"] > 0)
        if version not in self.versions:
            self.versions.append(version)
        self.rows["version"][chosen] = self.versions.index(version)
        return self

    def names_pods(self, pod: str = "old-1") -> Requests:
        """The app's answers that are good up to here name the pod that gave them."""
        self.pods.append(pod)
        self.rows["served_by"][(self.rows["version"] > 0) & (self.rows["outcome"] == 0)] = len(self.pods) - 1
        return self

    def blind(self, *, at: float, until: float, own: bool = True, lane: str = "") -> Requests:
        """Nobody looks: the requests due then are sent at its end (`own`: the generator says that it was late)."""
        chosen = self._chosen(lane, at, until)
        self.rows["send_ns"][chosen] = int(until * 1e9)
        self._answer(chosen, 4.0, keep_send=True)
        if own:
            due = self.rows["intended_ns"][chosen]
            self.late += [(int(due_ns), int(until * 1e9) - int(due_ns)) for due_ns in due]
        return self

    def without(self, lane: str = "", *, at: float, until: float) -> Requests:
        """Requests that are not in the log at all."""
        self.rows = self.rows[~self._chosen(lane, at, until)]
        return self

    def engine(self, **changes: Any) -> Requests:
        """Other words of the generator about itself (fields of EngineFacts)."""
        self.changes |= changes
        return self

    def build(self) -> RequestLog:
        """The log, sorted as a real one is."""
        rows = self.rows[np.argsort(self.rows["send_ns"], kind="stable")]
        open_loop = int((rows["lane"] != 4).sum())
        engine = EngineFacts(
            rate_per_s=self.rate_per_s, start_ns=self.start_ns, end_ns=self.end_ns, planned=open_loop,
            dispatched=open_loop, unfinished=0, dropped=0, cpu_s=1.0, scheduling="SCHED_FIFO 50",
            request_id_prefix="rp-test", late_ns=np.array(self.late, dtype=np.int64).reshape(-1, 2),
            monotonic_ns=(self.start_ns, self.end_ns), locust_requests=len(rows),
            wall_s=(1e9, 1e9 + (self.end_ns - self.start_ns) / 1e9),
        )  # fmt: skip
        return RequestLog(
            rows=rows, lanes=LANES, outcomes=tuple(self.outcomes), versions=tuple(self.versions),
            pods=tuple(self.pods), open_loop=LANES[:4], control="control", engine=replace(engine, **self.changes),
        )  # fmt: skip

    def _answer(self, chosen: NDArray[np.bool_], took_ms: float, *, keep_send: bool = False) -> None:
        if not keep_send:
            self.rows["send_ns"][chosen] = self.rows["intended_ns"][chosen] + 60_000
        self.rows["done_ns"][chosen] = self.rows["send_ns"][chosen] + int(took_ms * 1e6)
        self.rows["first_byte_ns"][chosen] = self.rows["done_ns"][chosen]

    def _chosen(self, lane: str, at: float, until: float | None) -> NDArray[np.bool_]:
        due = self.rows["intended_ns"]
        chosen: NDArray[np.bool_] = due >= int(at * 1e9)
        if lane:
            chosen &= self.rows["lane"] == LANES.index(lane)
        if until is not None:
            return chosen & (due < int(until * 1e9))
        first = np.zeros(len(self.rows), dtype=bool)
        first[np.flatnonzero(chosen)[:1]] = True
        return first

    def _outcome(self, name: str) -> int:
        if name not in self.outcomes:
            self.outcomes.append(name)
        return self.outcomes.index(name)


def steady(*, requests: int, start_s: float, end_s: float) -> RequestLog:
    """So many good requests, evenly spaced: the old sha before 115 s (story.py), the new one from then on."""
    seconds = end_s - start_s
    return Requests(start=start_s, seconds=seconds, rate_per_s=requests / seconds).says("bbbbbbb", at=115.0).build()
