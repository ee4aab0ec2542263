"""AutoscalingDrill: load is added until the autoscaler has answered, and taken away until the replicas are as before.

It changes nothing but the load. What it waits for comes from watches; the checker `autoscaling` judges.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rollproof.core.event import Outcome
from rollproof.core.scaling import SOURCE, ScalingWord, subject_of
from rollproof.errors import CannotJudgeError
from rollproof.loadgen.added import AddedLoad
from rollproof.preflight.readings import READINGS
from rollproof.probes.autoscaler import autoscaler_of
from rollproof.probes.views import AutoscalerView
from rollproof.run.context import RunContext

__all__ = ["AutoscalingDrill"]

_FIRST_S = 10.0  # until the watch has told the autoscaler once


class AutoscalingDrill:
    """`watched` around all of it, and `rise_and_fall` inside of the drill's own load."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._settings = context.target.autoscaling
        self._name = ""

    @property
    def skipped(self) -> str:
        """Why this target cannot have the drill; "" if it can. Asks the cluster."""
        return READINGS["autoscaling"].missing(self._context.target, self._context.clients.kube)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch the autoscaler inside of the block, which begins when the replicas are at its minimum.

        CannotJudgeError if they do not get there: what is left of an earlier load would be taken for ours.
        """
        found = autoscaler_of(self._context.target, self._context.clients.kube)
        if found is None:
            raise CannotJudgeError(f"the autoscaler is gone: {self.skipped}")
        self._name, view = found
        watches, within_s = self._context.watches, view.window_s + self._settings.down_within_s
        with watches.autoscaler_beside(self._name):
            self._context.status(f"the replicas at their minimum, {view.min_replicas}")
            if self._wait(lambda: self._at(view.min_replicas), within_s) is None:
                raise CannotJudgeError(
                    f"{self._now()}, and did not come down to minReplicas ({view.min_replicas}) within {within_s:g} s",
                    "is there other load on the app? see `kubectl describe hpa`",
                )
            yield

    def rise_and_fall(self) -> None:
        """Add the load, wait for more replicas and for their traffic; take it away, wait until they are gone again."""
        view, settings = self._view(), self._settings
        floor, target = view.min_replicas, self._context.target
        if not self._at(floor):
            hint = "lower traffic.rate_per_s: it must stay below what the autoscaler answers"
            raise CannotJudgeError(f"before any load was added there were more than minReplicas: {self._now()}", hint)
        self._tell(
            ScalingWord.PLANNED, autoscaler=self._name, floor=floor, max_replicas=view.max_replicas,
            window_s=view.window_s, rate_per_s=settings.rate_per_s, path=settings.path or target.app.home_path,
            up_within_s=settings.up_within_s, ready_within_s=settings.ready_within_s,
            down_within_s=settings.down_within_s,
        )  # fmt: skip
        longest_s = settings.up_within_s + settings.ready_within_s + settings.hold_s
        with AddedLoad(target, self._context.environ, longest_s=longest_s) as added:
            begun_s = time.monotonic()
            added.start()
            self._tell(ScalingWord.RAISED, start_s=begun_s)
            is_up = self._up(floor, added)
            peak = self._wanted()
            self._context.status("the last answers of the added load")
            begun_s = time.monotonic()
            sent = added.stop()
            self._tell(
                ScalingWord.LOWERED, start_s=begun_s, requests=sent.requests, failures=sent.failures,
                rate_per_s=sent.rate_per_s, outcomes=sent.outcomes,
            )  # fmt: skip
        if is_up:
            self._down(floor, peak, view.window_s)

    def _up(self, floor: int, added: AddedLoad) -> bool:
        """Whether more replicas were wanted; then it is also waited for them."""
        settings = self._settings

        def more() -> bool:
            added.check()
            return self._wanted() > floor

        self._context.status(f"more than {floor} replicas")
        if not self._step(more, settings.up_within_s, ScalingWord.SCALED_UP, ScalingWord.NOT_SCALED_UP):
            return False
        self._context.status("the added replicas, until they get traffic")

        def ready() -> bool:
            wanted = self._wanted()
            return wanted > floor and self._at(wanted, leaving=True)

        if self._step(ready, settings.ready_within_s, ScalingWord.READY, ScalingWord.NOT_READY):
            self._context.status("one more look of the autoscaler, under load")
            self._wait(lambda: None, settings.hold_s)
        return True

    def _down(self, floor: int, peak: int, window_s: float) -> None:
        within_s = window_s + self._settings.down_within_s
        begun_s = time.monotonic()
        self._context.status(f"fewer than {peak} replicas (the autoscaler's window is {window_s:g} s)")

        def fewer() -> bool:
            there = self._context.watches.deployment() is not None  # a Deployment that is gone wants nothing
            return there and (self._wanted() < peak or self._wanted() <= floor)

        if not self._step(fewer, within_s, ScalingWord.SCALED_DOWN, ScalingWord.NOT_FLOOR):
            return
        self._context.status(f"the last pods beyond {floor}")
        left_s = max(1.0, within_s - (time.monotonic() - begun_s))
        self._step(lambda: self._at(floor), left_s, ScalingWord.FLOOR, ScalingWord.NOT_FLOOR)

    def _step(self, condition: Callable[[], bool], within_s: float, yes: ScalingWord, no: ScalingWord) -> bool:
        """Wait for it and record which it was. What was waited for in vain is only sure where the watches saw."""
        begun_s = time.monotonic()
        if self._wait(condition, within_s) is not None:
            self._tell(yes, start_s=begun_s, replicas=self._wanted())
            return True
        blind = self._context.watches.away()
        outcome = Outcome.UNKNOWN if blind else Outcome.FAIL
        waited_s = round(time.monotonic() - begun_s, 3)
        self._tell(no, outcome=outcome, start_s=begun_s, waited_s=waited_s, last_seen=blind or self._now())
        return False

    def _wait(self, condition: Callable[[], bool | None], timeout_s: float) -> bool | None:
        return self._context.watches.poll(lambda: condition() or None, timeout_s=timeout_s)

    def _tell(
        self, word: ScalingWord, *, outcome: Outcome = Outcome.OK, start_s: float | None = None, **data: Any
    ) -> None:
        self._context.folder.record(
            SOURCE, subject_of(self._name), word, outcome=outcome, start_s=start_s, end_s=time.monotonic(), data=data
        )

    # -- what the watches show now ------------------------------------------------------------------------------

    def _view(self) -> AutoscalerView:
        view = self._context.watches.poll(self._context.watches.autoscaler, timeout_s=_FIRST_S)
        if view is None:
            raise CannotJudgeError(f"autoscaler {self._name!r} is gone")
        return view

    def _wanted(self) -> int:
        deployment = self._context.watches.deployment()
        return deployment.spec_replicas if deployment is not None else 0

    def _at(self, count: int, *, leaving: bool = False) -> bool:
        """Whether so many are wanted, all of them get traffic, and there is no other pod; `leaving` ones may be."""
        watches = self._context.watches
        there = [pod for pod in watches.pods().values() if not (leaving and pod.terminating)]
        return self._wanted() == len(there) == len(watches.serving()) == count

    def _now(self) -> str:
        """For people."""
        watches = self._context.watches
        pods, view = watches.pods().values(), watches.autoscaler()
        used = "; ".join(view.metrics) or view.reason or "no use" if view is not None else "no autoscaler"
        return (
            f"{self._wanted()} replicas are wanted, {sum(pod.ready for pod in pods)} of {len(pods)} pods are ready, "
            f"the autoscaler sees {used}"
        )
