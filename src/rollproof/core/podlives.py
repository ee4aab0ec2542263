"""Podlives: the lives of the Deployment's pods, each as one, from what the watches told event by event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rollproof.core.event import Event
from rollproof.core.facts import Facts
from rollproof.core.watched import PodSeen, pods_seen, ready_addresses

__all__ = ["PodLife", "pod_lives"]


@dataclass(frozen=True, slots=True)
class PodLife:
    """When a pod became ready, began to terminate, left the Service and was gone; None for what was not seen."""

    name: str
    template: str  # the name of its ReplicaSet
    ready_s: float | None
    terminating_s: float | None
    out_of_service_s: float | None
    gone_s: float | None
    lost_readiness_s: float | None  # ready, then not, without being asked to terminate
    ended_by: str = ""  # why its container had ended then, in Kubernetes' word; "" if it ran on
    addresses: frozenset[str] = frozenset()

    @property
    def graceful(self) -> bool:
        """Whether its termination was seen before it was gone; otherwise there was no time for a preStop."""
        return self.terminating_s is not None and (self.gone_s is None or self.gone_s > self.terminating_s)


def pod_lives(facts: Facts) -> list[PodLife]:
    """The lives of all pods of the Deployment, in order of appearance."""
    grouped: dict[str, list[PodSeen]] = {}
    for pod in pods_seen(facts):
        if pod.member:
            grouped.setdefault(pod.uid, []).append(pod)
    slices = ready_addresses(facts)
    return [_life(seen, slices) for seen in grouped.values()]


def _life(seen: Sequence[PodSeen], slices: Sequence[tuple[Event, frozenset[str]]]) -> PodLife:
    ready_s = terminating_s = lost_s = gone_s = None
    was_ready, ended_by, restarts = False, "", 0
    for pod in seen:
        if pod.gone:
            gone_s = pod.at_s
        if pod.terminating and terminating_s is None:
            terminating_s = pod.at_s
        if pod.ready and not was_ready and ready_s is None and not pod.initial:
            ready_s = pod.at_s
        if was_ready and not pod.ready and terminating_s is None and lost_s is None:
            lost_s = pod.at_s
            ended_by = pod.trouble or ("restarted" if (pod.restarts or 0) > restarts else "")
        was_ready, restarts = pod.ready, pod.restarts or 0
    ips = {pod.ip for pod in seen} - {""}
    out_s = None
    if terminating_s is not None:
        left = (e.start_s for e, ready_ips in slices if e.start_s >= terminating_s - 1.0 and not ips & ready_ips)
        out_s = next(left, None)
    template = seen[0].name.rpartition("-")[0]  # a ReplicaSet's pods are named after it
    return PodLife(seen[0].name, template, ready_s, terminating_s, out_s, gone_s, lost_s, ended_by, frozenset(ips))
