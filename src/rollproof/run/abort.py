"""Abort probe: looks at the live counts of the load while a drill waits, and ends the wait when a budget is spent.

Whoever waits by the watches is interrupted (`AbortedError`): a release stops waiting, a fault is undone at once. It
looks for itself at nothing that is not counted anyway.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from rollproof.clients.kube import Kube
from rollproof.core import abort
from rollproof.core.event import Outcome, Recorder
from rollproof.core.target import Target
from rollproof.errors import AbortedError
from rollproof.loadgen.session import LiveCounts
from rollproof.loadgen.settings import CONTROL
from rollproof.probes.watches import Watches

__all__ = ["AbortProbe"]


class Counting(Protocol):
    """What the probe needs of the load."""

    def live(self) -> LiveCounts:
        """What was counted so far."""


class AbortProbe:
    """`arm` when the act begins; from then on `look` raises once, when more is lost than the target file allows."""

    def __init__(self, target: Target, load: Counting, watches: Watches, recorder: Recorder) -> None:
        self._target, self._load, self._watches, self._recorder = target, load, watches, recorder
        self._limits = abort.limits_of(target)
        self._since_ns = 0
        self._lost_before = 0
        self._expected: frozenset[str] = frozenset()  # nodes that may be NotReady
        self.fired = False

    def arm(self) -> None:
        """From here on what is lost counts."""
        self._since_ns = time.monotonic_ns()
        self._lost_before = abort.lost(self._load.live().lanes, control=CONTROL)
        self._expected |= self._not_ready()

    @contextmanager
    def watching(self, kube: Kube) -> Iterator[None]:
        """Whoever waits by the watches inside of the block asks the probe; nodes are watched if they have a limit."""
        with ExitStack() as stack:
            if self._limits.nodes is not None:
                stack.enter_context(self._watches.nodes_beside(kube))
            stack.enter_context(self._watches.asking(self.look))
            yield

    def expect_outage(self, outage_s: float, loss_s: float = 0.0, node: str = "") -> None:
        """What is done now takes everything, or some of it (loss_s), away by design, for so long; 0: not any more.

        node: the one that it is done to, which may take its time to come back.
        """
        self._expected |= {node} - {""}
        self._limits = abort.limits_of(self._target, outage_s=outage_s, loss_s=loss_s)

    def look(self) -> None:
        """AbortedError, once, if a budget is spent; it is a fact then."""
        if self.fired or not self._since_ns:
            return
        counted = self._load.live()
        found = abort.exceeded(
            self._limits, counted.lanes, now_ns=counted.at_ns, since_ns=self._since_ns,
            lost_before=self._lost_before, pods_away=self._pods_away(), control=CONTROL,
            nodes_away=self._not_ready() - self._expected,
        )  # fmt: skip
        if found is None:
            return
        self.fired = True
        data = {"cause": found.cause, "reason": found.reason, **found.numbers}
        self._recorder.record(abort.SOURCE, abort.SUBJECT, abort.WORD, outcome=Outcome.UNKNOWN, data=data)
        raise AbortedError(found.reason)

    def _not_ready(self) -> frozenset[str]:
        return self._watches.nodes_not_ready() if self._limits.nodes is not None else frozenset()

    def _pods_away(self) -> int:
        deployment = self._watches.deployment()
        if deployment is None:
            return 0
        return max(0, deployment.spec_replicas - len(self._watches.serving()))
