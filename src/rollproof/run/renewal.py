"""Renewal: a pod that a fault has left behind is replaced, so that nothing stays broken.

A fault can be undone and its pod be no good for all that. It hangs on a connection that nobody will ever answer
(`database-lost`); its container was restarted, and the next drill would measure the kubelet's back-off (doubling from
10 s, forgotten after 10 min: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy); or a
drain has put all pods on one node. A new pod has none of it. One pod at a time, gracefully, by uid; each is a fact.
Where the database itself is still away a new pod would serve no more than the old one, and is not asked for.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from rollproof.clients.kube import ApiError, Kube
from rollproof.core.event import Event, Outcome, Recorder
from rollproof.core.fault import SOURCE as FAULT
from rollproof.core.fault import FaultWord
from rollproof.core.renewal import LEFT, SOURCE, SUBJECT, WORD, LeftBehind
from rollproof.core.target import Target
from rollproof.errors import RollproofError
from rollproof.faults.database_away import any_ready
from rollproof.preflight.checks import Clients
from rollproof.probes.proof import Prover
from rollproof.probes.views import PodView
from rollproof.probes.watches import Watches

__all__ = ["Renewal", "crowded_pod", "hanging_pods", "is_over", "renewal_of", "restarted_pods"]

_GONE = (404, 409)  # there is no such pod any more, or its name belongs to another one
_SEVERAL = 2  # pods that serve, so that one may leave
_SERVING_S = 120.0  # for the next pod to serve
_APART_S = 1.0


class Renewal:
    """What the pods were like when it was made, before the first fault; and what was replaced since."""

    def __init__(
        self, target: Target, kube: Kube, watches: Watches, recorder: Recorder, *,
        database_said: Callable[[str], Outcome] = lambda _: Outcome.UNKNOWN,
    ) -> None:  # fmt: skip
        """database_said: what a pod, by name, says of its database now."""
        self._target, self._kube, self._watches, self._recorder = target, kube, watches, recorder
        self._database_said = database_said
        pods = self._members()
        self._restarts = {pod.uid: pod.restarts for pod in pods.values()}
        self._nodes = len({pod.node for pod in pods.values()})

    def replace_hanging(self) -> tuple[str, ...]:
        """Replace the pods that do not serve although nothing keeps them from it any more; their names."""
        return self._replace(lambda pods: hanging_pods(pods, self._serving()), LeftBehind.NOT_SERVING)

    def replace_marked(self) -> tuple[str, ...]:
        """Replace the pods that a drill before has restarted, or has put on one node with all others; their names.

        They serve: where nobody else does, they stay.
        """
        if len(self._serving()) < _SEVERAL:
            return ()
        restarted = self._replace(lambda pods: restarted_pods(pods, self._restarts), LeftBehind.RESTARTED)
        return restarted + self._replace(lambda pods: crowded_pod(pods, self._nodes), LeftBehind.CROWDED, most=1)

    def _replace(
        self, find: Callable[[Mapping[str, PodView]], list[str]], why: LeftBehind, most: int | None = None
    ) -> tuple[str, ...]:
        """Those that `find` names now, one after the other; nothing more after one that could not be replaced."""
        replaced: list[str] = []
        if not self._target.faults.renew_pods:
            return ()
        for name in find(self._members())[:most]:
            pod = self._members().get(name)
            if pod is None:
                continue
            begun_s = time.monotonic()
            if why is LeftBehind.NOT_SERVING and (reason := self._still_away(name)):
                data = {"pod": name, "reason": reason}
                self._recorder.record(SOURCE, SUBJECT, LEFT, outcome=Outcome.UNKNOWN, data=data)
                continue
            error = self._delete(name, pod)
            self._recorder.record(
                SOURCE, SUBJECT, WORD, outcome=Outcome.UNKNOWN if error else Outcome.OK, start_s=begun_s,
                end_s=time.monotonic(), data={"pod": name, "why": why, "error": error},
            )  # fmt: skip
            if error:
                break
            replaced.append(name)
        return tuple(replaced)

    def _delete(self, name: str, pod: PodView) -> str:
        """Delete it, and wait until it is gone and another one serves. Why that failed, in words."""
        others, unanswered = self._serving() - {pod.uid}, ""
        try:
            self._kube.delete("Pod", self._target.cluster.namespace, name, uid=pod.uid)
        except ApiError as error:
            if error.status not in _GONE:
                return str(error)
        except RollproofError as error:  # no answer: it may be deleted or not, and is looked at below
            unanswered = str(error)

        def replaced() -> bool | None:
            gone = all(one.uid != pod.uid for one in self._watches.pods().values())
            return True if gone and len(self._serving()) > len(others) else None

        try:
            if self._watches.poll(replaced, timeout_s=_SERVING_S, apart_s=_APART_S):
                return ""
        except RollproofError as error:
            return str(error)
        return unanswered or f"it was deleted, and no other pod served in its place within {_SERVING_S:g} s"

    def _still_away(self, pod: str) -> str:
        """Why another pod would not serve either: no pod of the database is ready, and this one does not say that it
        has one. "" where nobody knows."""
        database = self._target.faults.database
        if database is None:
            return ""
        who = f"{database.kind}/{database.namespace}/{database.name}"
        try:
            if any_ready(self._kube, database) or self._database_said(pod) is Outcome.OK:
                return ""
        except RollproofError:  # not permitted, or away: then it is tried
            return ""
        return f"its database is still away: no pod of {who} is ready"

    def _members(self) -> Mapping[str, PodView]:
        pods = self._watches.pods()
        return {name: pod for name, pod in sorted(pods.items()) if pod.member and not pod.terminating and not pod.ended}

    def _serving(self) -> frozenset[str]:
        """The uids of the pods that serve."""
        return frozenset(pod.uid for pod in self._watches.serving().values())


def renewal_of(target: Target, clients: Clients, watches: Watches, recorder: Recorder) -> Renewal:
    """One that asks the pods themselves what they say of their database."""
    prover = Prover(target, clients.kube, clients.http, recorder, clients.ways)
    return Renewal(target, clients.kube, watches, recorder, database_said=prover.database_said)


def is_over(events: Iterable[Event], drill: str) -> bool:
    """Whether the app is not known to be still without service after a fault of this drill, which was undone."""
    found = (one.what for one in events if one.drill == drill and one.source == FAULT)
    return FaultWord.NOT_RECOVERED not in found


def hanging_pods(pods: Mapping[str, PodView], serving: frozenset[str]) -> list[str]:
    """Those that run and do not serve. One that has a reason to wait (no image, a crash) would not fare better anew."""
    return [name for name, pod in pods.items() if pod.uid not in serving and not pod.reason]


def restarted_pods(pods: Mapping[str, PodView], before: Mapping[str, int]) -> list[str]:
    """Those whose container was restarted since; `before`: restarts by uid."""
    return [name for name, pod in pods.items() if pod.restarts > before.get(pod.uid, 0)]


def crowded_pod(pods: Mapping[str, PodView], nodes: int) -> list[str]:
    """One pod of the node that has most of them, if they stand on fewer nodes than the `nodes` they began on."""
    counts = Counter(pod.node for pod in pods.values())
    if not counts or len(counts) >= nodes:
        return []
    ((crowded, count),) = counts.most_common(1)
    return [name for name, pod in pods.items() if pod.node == crowded][:1] if count > 1 else []
