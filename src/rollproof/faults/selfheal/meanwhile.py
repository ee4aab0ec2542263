"""Meanwhile: one drift that is made while a fault is held, and whose repair is waited for when the fault is over.

The trial begins as any other does, at rest and out of Argo CD's back-off, before the fault. When the repair came, while
the fault was held or after it, is told by the watches that the trial keeps open all the time. It records facts and must
never judge them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from rollproof.core.event import Outcome
from rollproof.core.plan import Plan
from rollproof.core.trials import is_drift
from rollproof.faults.selfheal.drift import Drift
from rollproof.faults.selfheal.injecting import Injected, inject
from rollproof.faults.selfheal.runner import DriftRunner
from rollproof.faults.selfheal.trial import Trial
from rollproof.faults.selfheal.watched import Watched
from rollproof.probes.scheduling import quick

__all__ = ["DriftMeanwhile"]


@dataclass(slots=True)
class _Begun:
    """A trial at rest, and what it has changed since."""

    drift: Drift
    trial: Trial
    watched: Watched
    before: Mapping[str, Any]
    done: Injected | None = None


class DriftMeanwhile(DriftRunner):
    """The first drift that the plan has for the drill."""

    _limit_s = 0.0  # of the fault's recovery: a repair may have to wait for what repairs, and for Argo CD's poll

    @contextmanager
    def around(self, plan: Plan, *, ended: Callable[[], bool]) -> Iterator[Callable[[], None]]:
        """Look before the block, and wait for the repair after it; whoever calls what it gives makes the change.

        ended: whether the drill was ended at once: then it is put back instead.
        """
        mine = [one for one in plan.injections if one.drill == self._context.drill and not is_drift(one.fault)]
        self._limit_s = max((one.limit_s for one in mine), default=0.0)
        with quick(), ExitStack() as stack:
            begun = self._begin(plan, stack)
            yield lambda: self._make(begun)
            if begun is None or begun.done is None:
                return
            with self._guarded(begun.trial.name):
                if ended():
                    reason = {"reason": "the drill was ended at once"}
                    self._tell(begun.trial.name, "error", reason, outcome=Outcome.UNKNOWN)
                    self._put_back(begun.trial.name, begun.done.entry)
                    return
                self._status(f"drift {begun.trial.name}: its repair, within {self._limit_s:g} s")
                self._follow(begun.trial, begun.watched, begun.done, begun.before)

    def _begin(self, plan: Plan, stack: ExitStack) -> _Begun | None:
        """None where there is none, or it cannot be made fairly: the facts say which."""
        for drift, injection in self._mine(plan)[:1]:
            self._status(f"drift {drift.trial}: rest, before the fault")
            self._journal.allow()
            with self._guarded(drift.trial):
                trial = self._resolved(drift, injection)
                watched = self._watched(trial, stack)
                before = self._before(trial, watched)
                return _Begun(drift, trial, watched, before) if before["fair"] else None
        return None

    def _make(self, begun: _Begun | None) -> None:
        """An error of it is none of the fault."""
        if begun is not None:
            with self._guarded(begun.trial.name):
                begun.done = inject(begun.drift, begun.trial, self._kube, self._journal, self._recorder)

    def _patience_s(self, trial: Trial, before: Mapping[str, Any]) -> float:
        """The fault's limit, and what is allowed to any drift."""
        return self._limit_s + super()._patience_s(trial, before)
