"""Cron: the scheduled jobs of one pod, and the table of their runs that all pods share: a folder beside the pods.

Every pod starts every job at every period. `once`: whoever inserts the row (job, period) first does the work, as with a
unique key. `read-then-write`: who finds no row does the work and writes the row after it. `off`: no job is started.
"""

from __future__ import annotations

import json
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rollproof_sandbox.wire.loop import Loop

__all__ = ["Cron", "report"]

_JOBS = ("order-statistics", "settlement")
_WORK_S = 0.2
_ORDER_CENTS = 100  # one order comes in in each period
_REPORTED = 60
_CLAIMED = os.O_CREAT | os.O_EXCL | os.O_WRONLY


class Cron:
    """Starts the jobs of one pod."""

    def __init__(self, loop: Loop, told: dict[str, Any]) -> None:
        self._loop = loop
        self._pod: str = told["pod"]
        self._version: str = told["sha"]
        self._table: str = told["table"]
        self._lock: str = told["app"]["jobs"]
        self._period_s: float = told["app"]["jobs_period_s"]
        self._ended = False
        self._works = 0

    def start(self) -> None:
        """Wait for the next period; a pod that was not there at its begin does not catch it up."""
        if self._table and self._lock != "off":
            self._await(int(time.time() / self._period_s) + 1)

    def end(self) -> None:
        """Begin no more job: who takes one and is ended before its row is written leaves a period without a run."""
        self._ended = True

    @property
    def busy(self) -> bool:
        """Whether a job is at work."""
        return self._works > 0

    def _await(self, period: int) -> None:
        self._loop.later(period * self._period_s - time.time(), lambda: self._begin(period))

    def _begin(self, period: int) -> None:
        if self._ended:
            return
        for job in _JOBS:
            if self._takes(job, period):
                self._work(job, period, time.time())
        self._await(period + 1)

    def _work(self, job: str, period: int, since_s: float) -> None:
        self._works += 1
        self._loop.later(_WORK_S, lambda: self._done(job, period, since_s))

    def _takes(self, job: str, period: int) -> bool:
        if self._lock == "read-then-write":
            return not any(row["job"] == job and row["number"] == period for row in _rows(self._table))
        try:
            os.close(os.open(f"{self._table}/{job}-{period}", _CLAIMED))
        except FileExistsError:
            return False
        return True

    def _done(self, job: str, period: int, since_s: float) -> None:
        row = {
            "job": job, "number": period, "period": _stamp(period * self._period_s), "pod": self._pod,
            "version": self._version, "started_at": _stamp(since_s), "finished_at": _stamp(time.time()),
            "amount_cents": _ORDER_CENTS if job == "settlement" else 0,
        }  # fmt: skip
        with open(f"{self._table}/runs", "ab", buffering=0) as file:  # noqa: PTH123 - pathlib takes long to import
            file.write(json.dumps(row).encode() + b"\n")
        self._works -= 1


def report(table: str) -> dict[str, Any]:
    """What cron did: the recent runs, the newest first, and what is settled beside what the runs say."""
    rows = _rows(table)
    settled = [row for row in rows if row["job"] == "settlement"]
    return {
        "settled_cents": _ORDER_CENTS * len({row["number"] for row in settled}),
        "booked_cents": sum(row["amount_cents"] for row in settled),
        "runs": rows[: -_REPORTED - 1 : -1],
    }


def _rows(table: str) -> list[dict[str, Any]]:
    try:
        with open(f"{table}/runs", "rb") as file:  # noqa: PTH123 - as above
            return [json.loads(line) for line in file.read().splitlines()]
    except OSError:
        return []


def _stamp(wall_s: float) -> str:
    whole, part = divmod(round(wall_s * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{part:03}Z"
