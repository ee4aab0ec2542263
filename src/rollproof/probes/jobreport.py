"""Jobreport: reads the app's report of its scheduled jobs, once a call, and records what it says (docs/facts.md).

It must never judge. The report is asked for through the entry, as any client would.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from rollproof.clients.exchange import dated_s
from rollproof.clients.http import Answer, Http
from rollproof.core.event import Outcome, Recorder
from rollproof.core.jobs import SOURCE, SUBJECT, JobRun, JobWord, Reading, runs_of
from rollproof.core.target import JobSettings
from rollproof.errors import OutsideDataError

__all__ = ["JobReport", "read_runs"]

_RESOLUTION_S = 1.0  # of HTTP's Date


class JobReport:
    """The report of one app. `replicas` says how many of its pods are ready now."""

    def __init__(self, settings: JobSettings, http: Http, recorder: Recorder, replicas: Callable[[], int]) -> None:
        self._settings = settings
        self._http = http
        self._recorder = recorder
        self._replicas = replicas
        self._since_s: float | None = None  # wall clock; earlier periods are not recorded

    def reaches_back(self) -> bool:
        """Whether the report has runs, and none that is missing could be of a whole period from now on: ask, only.

        Also true where it has something else to say: that is for `read` to record.
        """
        answer, now_s = self._http.get(self._settings.report_path), time.time()
        try:
            runs = read_runs(self._settings, answer)
        except (LookupError, OutsideDataError):
            return True
        period_s = self._settings.period_s
        return any(run.period_s < math.ceil(now_s / period_s) * period_s for run in runs)

    def read(self) -> None:
        """Ask once, and record it."""
        start_s, wall_s = time.monotonic(), time.time()
        if self._since_s is None:
            self._since_s = wall_s - self._settings.period_s
        answer = self._http.get(self._settings.report_path)
        end_s, end_wall_s = time.monotonic(), time.time()
        try:
            runs = read_runs(self._settings, answer)
        except (LookupError, OutsideDataError) as error:
            data = {"reason": str(error)}
            self._recorder.record(
                SOURCE, SUBJECT, JobWord.UNREADABLE, outcome=Outcome.UNKNOWN, start_s=start_s, end_s=end_s, data=data
            )
            return
        told = Reading.data(
            wall_s=wall_s, runs=runs, since_s=self._since_s, clock_s=_ahead_s(answer, wall_s, end_wall_s),
            replicas=self._replicas(), settled=_amount(answer, self._settings.settled_pointer),
            booked=_amount(answer, self._settings.booked_pointer),
        )  # fmt: skip
        self._recorder.record(SOURCE, SUBJECT, JobWord.READ, start_s=start_s, end_s=end_s, data=told)


def read_runs(settings: JobSettings, answer: Answer) -> tuple[JobRun, ...]:
    """The runs that the answer tells. LookupError or OutsideDataError says why it tells none."""
    if answer.error:
        raise LookupError(f"{settings.report_path} did not answer: {answer.error}")
    if answer.status != 200:
        raise LookupError(f"{settings.report_path} answered {answer.status}")
    return runs_of(answer.field(settings.runs_pointer))


def _amount(answer: Answer, pointer: str) -> float | None:
    try:
        found: Any = answer.field(pointer) if pointer else None
    except LookupError:
        return None
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def _ahead_s(answer: Answer, wall_s: float, end_wall_s: float) -> tuple[float, float] | None:
    """By how much the answering clock is ahead, at least and at most; None if it did not say its time."""
    said_s = dated_s(answer.headers.get("date", ""))
    if said_s is None:
        return None
    return said_s - end_wall_s, said_s + _RESOLUTION_S - wall_s
