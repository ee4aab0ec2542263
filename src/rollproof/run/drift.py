"""The drifts of a drill: one after the other, or one of them while a fault is held."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from rollproof.faults.base import Context
from rollproof.faults.selfheal.meanwhile import DriftMeanwhile
from rollproof.faults.selfheal.runner import DriftRunner
from rollproof.run.context import RunContext

__all__ = ["DriftDrill", "drift_meanwhile"]


class DriftDrill:
    """The trials of the plan."""

    def __init__(self, context: RunContext, drill: str, phase: Callable[[str], AbstractContextManager[None]]) -> None:
        self._context, self._drill, self._phase = context, drill, phase

    def run_all(self) -> None:
        """Inject each drift, wait for its repair, undo what was not repaired. The app should be at rest before."""
        context = self._context
        with self._phase("act"):
            trials = _trials(context, self._drill)
            DriftRunner(trials, context.folder, context.journal, status=context.status).run(context.plan)


@contextmanager
def drift_meanwhile(context: RunContext, drill: str) -> Iterator[Callable[[], None]]:
    """What makes the drift of that drill, for a fault that is held; at the end of the block its repair is waited for.

    Where the drill was ended at once it is not waited for, but put back.
    """
    runner = DriftMeanwhile(_trials(context, drill), context.folder, context.journal, status=context.status)
    with runner.around(context.plan, ended=lambda: context.probe is not None and context.probe.fired) as make:
        yield make


def _trials(context: RunContext, drill: str) -> Context:
    clients = context.clients
    return Context(drill=drill, target=context.target, kube=clients.kube, argo=clients.argo)
