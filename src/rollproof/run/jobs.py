"""JobsDrill: the app's job report, read around whatever a drill does, for as many whole periods as the target says."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rollproof.preflight.readings import READINGS
from rollproof.probes.jobreport import JobReport
from rollproof.run.context import RunContext

__all__ = ["JobsDrill"]

_INTO_PERIOD_S = 0.2  # a fault at a boundary comes when the jobs of the period have begun, and have not ended
_LOOK_AGAIN_S = 2.0
_BEYOND_S = 0.5  # the last reading must be surely later than `reported_within_s` after the last period


class JobsDrill:
    """`watched` reads the report around its block; the checker `jobs` judges what it said."""

    def __init__(self, context: RunContext, phase: Callable[[str], AbstractContextManager[None]]) -> None:
        self._context = context
        self._phase = phase
        self._settings = context.target.jobs
        self._report = JobReport(self._settings, context.clients.http, context.folder, self._replicas)

    @property
    def skipped(self) -> str:
        """Why this target cannot have the drill; "" if it can."""
        return READINGS["jobs"].skipped(self._context.target)

    def _replicas(self) -> int:
        return sum(pod.ready and not pod.terminating for pod in self._context.watches.pods().values())

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Read the report before the block, and after it once in each period until enough whole ones are over."""
        self._await_reach()
        self._report.read()
        begun_s = time.time()
        yield
        settings = self._settings
        whole = math.ceil(begun_s / settings.period_s) + settings.periods
        last_s = whole * settings.period_s + settings.reported_within_s + _BEYOND_S
        # An act that took longer than that ends in a period which is judged too, and so must the one after it.
        after_s = (math.ceil(time.time() / settings.period_s) + 1) * settings.period_s
        last_s = max(last_s, after_s + settings.reported_within_s + _BEYOND_S)
        with self._phase("steady"):
            while (left_s := last_s - time.time()) > 0:
                self._context.status(f"the periods of the jobs, {left_s:.0f} s more")
                self._sleep(min(left_s, settings.period_s))
                self._report.read()

    def _await_reach(self) -> None:
        """Wait until the report has a run of a period that began before the next one.

        An app that has just been installed has none yet, and of its very first period it is not known whether a row was
        cut off below it. Two periods at most; then the checker says what the report did not reach.
        """
        settings = self._settings
        last_s = (math.ceil(time.time() / settings.period_s) + 1) * settings.period_s + settings.reported_within_s
        while not self._report.reaches_back() and (left_s := last_s - time.time()) > 0:
            self._context.status(f"the first runs of the jobs, {left_s:.0f} s more at most")
            self._sleep(min(left_s, _LOOK_AGAIN_S))

    def to_boundary(self, *, early_s: float = -_INTO_PERIOD_S) -> None:
        """Wait until a period has just begun, or until the next one that is at least `early_s` away is so near."""
        period_s = self._settings.period_s
        self._context.status("the next period of the jobs")
        self._sleep((-early_s - time.time()) % period_s)

    def _sleep(self, duration_s: float) -> None:
        """A wait that ends with an error as soon as a watch cannot go on."""
        self._context.watches.poll(lambda: None, timeout_s=duration_s)
