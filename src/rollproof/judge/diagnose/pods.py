"""Pods: what the pods of a failed rollout said, as roots and as evidence of other causes. Pure.

Decided by closed words alone: reasons of containers and of Kubernetes' events, exit codes (`core.reasons`). Messages
and log lines are quoted for people and never read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from rollproof.core.counts import many
from rollproof.core.facts import Facts
from rollproof.core.kept import ContainerKept, EventKept, LogKept, kept_containers, kept_events, kept_logs
from rollproof.core.reasons import CANNOT_START, OOM_KILLED, EventReason, code_of
from rollproof.core.verdict import Finding
from rollproof.core.watched import failing_replicasets, pods_seen

__all__ = ["said_by_pods", "supports_of"]

_STUCK = frozenset({"PROGRESS_DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"})
_NO_START = frozenset(map(code_of, CANNOT_START))
_ROOTS = frozenset({
    "OUT_OF_MEMORY", "PODS_NOT_CREATED", "POD_NEVER_READY", "POD_NOT_SCHEDULED", "POD_READY_LATE",
    "READINESS_LOST", "VOLUME_NOT_MOUNTED",
})  # fmt: skip
_POD_CAUSES = _STUCK | _NO_START | _ROOTS | {"DATABASE_AWAY", "NOT_RECOVERED"}  # a pod's words are evidence of them
_CREATING = "ContainerCreating"
_RANKED = {reason: place for place, reason in enumerate(EventReason)}
_SHOWN = 200  # letters of a quotation
_SAYING_MAX = 2  # events that one cause quotes

Proven = tuple[Finding, tuple[int, ...]]  # a root, and the facts that prove it


def said_by_pods(facts: Facts, codes: Iterable[str]) -> Proven | None:
    """The root that the pods' own words prove, with its facts. `codes`: of what was found in this drill."""
    known = frozenset(codes)
    rules: tuple[tuple[frozenset[str], Callable[[Facts], Proven | None]], ...] = (
        (_STUCK, _not_created),
        (_STUCK | _NO_START, _not_mounted),
        (_STUCK | _NO_START | {"NOT_RECOVERED"}, _no_memory),
    )  # fmt: skip
    return next((said for needed, rule in rules if known & needed and (said := rule(facts)) is not None), None)


def supports_of(facts: Facts, code: str, evidence: Iterable[int]) -> tuple[str, ...]:
    """What the pod that kept it says for a cause: its state, what Kubernetes says of it, and its last line."""
    if code not in _POD_CAUSES:
        return ()
    pod = _pod_of(facts, evidence)
    states = [one for one in kept_containers(facts) if one.pod == pod]
    words = [f"{one.pod}/{one.container}: {one.words}" for one in states]
    return (*words, *_quoted_events(facts, pod), *islice(_quoted_logs(facts, pod), 1))


def _pod_of(facts: Facts, evidence: Iterable[int]) -> str:
    """The pod that the evidence is about, if something was kept of it; else the first: it kept the rollout."""
    kept = list(dict.fromkeys(one.pod for one in kept_containers(facts)))
    wanted = set(evidence)
    named = [event.subject.rpartition("/")[2] for event in facts.events if event.seq in wanted]
    return next((name for name in named if name in kept), kept[0] if kept else "")


def _quoted_events(facts: Facts, pod: str) -> Iterator[str]:
    """Those in the list of reasons of the pod, or of pods that are not there; the nearest to the root first."""
    about = [one for one in kept_events(facts) if one.object == f"Pod/{pod}" or not one.object.startswith("Pod/")]
    ranked = sorted((one for one in about if one.reason in _RANKED and one.warning), key=_rank)
    return (_said(one) for one in ranked[:_SAYING_MAX])


def _rank(one: EventKept) -> tuple[int, int]:
    return _RANKED[EventReason(one.reason)], -one.count


def _said(one: EventKept) -> str:
    times = f", {many(one.count, 'time')}" if one.count > 1 else ""
    return f'Kubernetes says {one.reason} of {one.object}{times}: "{_cut(one.message)}"'


def _quoted_logs(facts: Facts, pod: str) -> Iterator[str]:
    for log in kept_logs(facts):
        if log.pod == pod and log.tail:
            yield f'{_whose(log)} ends: "{_cut(log.tail[-1])}"'


def _whose(log: LogKept) -> str:
    return f"the log of {log.pod}/{log.container}{' before its restart' if log.previous else ''}"


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


# -- roots ------------------------------------------------------------------------------------------------------------


def _not_created(facts: Facts) -> Proven | None:
    """A ReplicaSet says at the end that it could not make pods (its condition ReplicaFailure)."""
    failing = failing_replicasets(facts, EventReason.FAILED_CREATE)
    if not failing:
        return None
    name = failing[0].subject.rpartition("/")[2]
    namespace = facts.plan.target.cluster.namespace
    hint = f"kubectl -n {namespace} describe replicaset {name}; a quota, or an admission webhook?"
    finding = Finding("PODS_NOT_CREATED", f"the ReplicaSet {name} could not make its pods (FailedCreate)", hint)
    return finding, (failing[0].seq,)


def _not_mounted(facts: Facts) -> Proven | None:
    """A container waits to be created, and Kubernetes says that a volume of its pod was not mounted or attached."""
    waiting = {f"Pod/{one.pod}": one for one in kept_containers(facts) if one.waiting == _CREATING}
    for event in kept_events(facts):
        if event.object in waiting and event.reason in (EventReason.FAILED_MOUNT, EventReason.FAILED_ATTACH):
            pod = waiting[event.object]
            text = f"{pod.pod} waits for a volume ({event.reason}), so its container {pod.container} was never created"
            hint = "see the Secret, ConfigMap or PersistentVolumeClaim that the pod mounts: does it exist here?"
            return Finding("VOLUME_NOT_MOUNTED", text, hint), (pod.event.seq, event.event.seq)
    return None


def _no_memory(facts: Facts) -> Proven | None:
    """A container was ended for its memory limit, in this drill: the pod is new, or has restarted since."""
    for one in kept_containers(facts):
        if one.ended == OOM_KILLED and _in_this_drill(facts, one):
            text = (
                f"{one.pod}/{one.container} was killed at its memory limit (OOMKilled, {many(one.restarts, 'restart')})"
            )
            hint = "compare resources.limits.memory with what the version needs at its start"
            return Finding("OUT_OF_MEMORY", text, hint), (one.event.seq,)
    return None


def _in_this_drill(facts: Facts, one: ContainerKept) -> bool:
    """Whether the container ended after the drill began: a restart may be weeks old."""
    first = next((pod for pod in pods_seen(facts) if pod.name == one.pod), None)
    return first is not None and (not first.initial or (first.restarts or 0) < one.restarts)
