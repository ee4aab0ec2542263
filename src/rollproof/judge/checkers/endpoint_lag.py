"""For how long a pod that was told to end still got requests: what its preStop has to outlast. It decides nothing.

From answers that name their pod (`app.served_by_header`) and what the watch told: the last request that it answered,
counted from its termination. Where requests failed meanwhile and nobody knows whose they were, or the ingress asked the
pod in vain, it was sent more than it answered: then nothing is said of it, for a small number would be believed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rollproof.core.facts import Facts
from rollproof.core.outcomes import Kind, kinds
from rollproof.core.podlives import PodLife, pod_lives
from rollproof.core.posturewords import SOURCE
from rollproof.core.runframe import IngressLog
from rollproof.core.verdict import Number
from rollproof.core.watched import watch_gaps
from rollproof.judge.checkers.window import Window

__all__ = ["EndpointLag", "endpoint_lag"]

_AFTER_GONE_S = 5.0  # an ingress may use an address for some seconds longer than there is a pod
_GAP_SLACK_S = 0.5  # what is told after a gap was so before


@dataclass(frozen=True, slots=True)
class EndpointLag:
    """The largest of `pods` pods of which it is known. `pre_stop_s`: how long the old pods wait, None if unknown."""

    lag_s: float
    pods: int
    pre_stop_s: float | None

    def numbers(self) -> dict[str, Number]:
        """For the verdict."""
        found: dict[str, Number] = {"endpoint_lag_s": round(self.lag_s, 3), "endpoint_lag_pods": self.pods}
        return found if self.pre_stop_s is None else found | {"pre_stop_s": self.pre_stop_s}

    def words(self) -> str:
        """The end of a sentence."""
        known = "" if self.pre_stop_s is None else f" (its preStop waits {self.pre_stop_s:g} s)"
        if not self.lag_s:
            return f"a pod that was told to end got no more requests{known}"
        return f"a pod that was told to end got requests for {self.lag_s:.2f} s more{known}"


def endpoint_lag(facts: Facts, window: Window, ingress: IngressLog | None) -> EndpointLag | None:
    """Of the pods that were told to end in the window; None if it is known of none."""
    log = window.log
    nameless = window.app & (log.column("served_by") == 0) & (kinds(log) == Kind.HARD)
    failed_s: NDArray[np.float64] = log.column("send_ns")[nameless] / 1e9
    asked_in_vain = {one.rpartition(":")[0].strip("[]") for one in ingress.upstreams} if ingress is not None else set()
    away = [(gap.event.start_s, gap.event.end_s + _GAP_SLACK_S) for gap in watch_gaps(facts)]
    lags = []
    for life in pod_lives(facts):
        since_s = life.terminating_s
        if since_s is None or not life.graceful or not window.window_ns[0] <= since_s * 1e9 <= window.window_ns[1]:
            continue
        until_s = (life.gone_s if life.gone_s is not None else np.inf) + _AFTER_GONE_S
        unclear = ((failed_s >= since_s) & (failed_s <= until_s)).any() or life.addresses & asked_in_vain
        late = any(begin_s <= since_s <= end_s for begin_s, end_s in away)
        lag_s = _lag_s(window, life, since_s)
        if lag_s is not None and not unclear and not late:
            lags.append(lag_s)
    return EndpointLag(max(lags), len(lags), _pre_stop_s(facts)) if lags else None


def _lag_s(window: Window, life: PodLife, since_s: float) -> float | None:
    """From then to the last request that it answered; None if no answer ever named it."""
    log = window.log
    if life.name not in log.pods:
        return None
    sent = log.column("send_ns")[window.app & (log.column("served_by") == log.pods.index(life.name))]
    return max(0.0, float(sent.max()) / 1e9 - since_s) if len(sent) else None


def _pre_stop_s(facts: Facts) -> float | None:
    """What the Deployment said before the drill: the pods that end are of that template."""
    if next(facts.find(source=SOURCE), None) is None:
        return None
    from rollproof.core.posture import DeploymentSeen  # noqa: PLC0415 - dozens of classes, for runs with such facts
    from rollproof.core.posturefacts import Posture, UnreadError  # noqa: PLC0415

    try:
        container = Posture(facts).view(DeploymentSeen).container
    except UnreadError:
        return None
    if container is None:
        return None
    return container.pre_stop_s if container.pre_stop else 0.0
