"""Roots: what lies behind a symptom, by what pods, their probes and Argo CD's objects said of themselves.

A rule needs positive evidence in the facts, and names the pod. One finding a rule at most; none decides a verdict.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rollproof.core.act import find_act
from rollproof.core.event import Outcome
from rollproof.core.facts import Facts
from rollproof.core.fault import FaultWord, find_faults
from rollproof.core.outcomes import Kind, counted, kinds
from rollproof.core.part import ActKind
from rollproof.core.podlives import pod_lives
from rollproof.core.posture import DeploymentSeen, ProbeSeen
from rollproof.core.posturefacts import Posture, UnreadError
from rollproof.core.reasons import cannot_start
from rollproof.core.rollout import Rollout, find_rollout
from rollproof.core.runframe import Answer, answers
from rollproof.core.verdict import Finding, Result, Verdict
from rollproof.core.watched import PodSeen, deployed_tag, pods_seen
from rollproof.judge.checkers.window import open_window
from rollproof.judge.diagnose.pods import said_by_pods

__all__ = ["Root", "roots"]

_NAMED = 5  # versions that a sentence names: an app may say another with each answer
_RELIST_S = 2.0  # within which the kubelet sees that a container has ended, and says it
_ERROR = 500  # HTTP statuses from here on are errors
_STUCK = {"PROGRESS_DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "NOT_RECOVERED"}
_UNSERVED = {"NO_READY_ENDPOINT", "ONE_ENDPOINT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A finding with the facts that prove it."""

    finding: Finding
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """The facts of one drill, what failed in it, and the codes that were found so far."""

    facts: Facts
    failed: tuple[Verdict, ...]
    codes: frozenset[str]
    rollout: Rollout | None

    def failing(self, checker: str) -> bool:
        return any(verdict.checker == checker for verdict in self.failed)


def roots(facts: Facts, verdicts: Iterable[Verdict]) -> tuple[Root, ...]:
    """What lies behind the failures of this drill; the rules that are nearer to the root come first."""
    failed = tuple(verdict for verdict in verdicts if verdict.result is Result.FAIL)
    codes = frozenset(finding.code for verdict in failed for finding in verdict.findings)
    case = _Case(facts=facts, failed=failed, codes=codes, rollout=find_rollout(facts))
    return tuple(root for rule in _RULES if failed and (root := rule(case)) is not None)


def _database_away(case: _Case) -> Root | None:
    """Pods whose readiness path says with an error status that the database is away, outside of a fault of ours; and
    none that was ready meanwhile by the same question."""
    said = _said_away(case)
    return None if not said or _well_meanwhile(case, said) else _away(case, said)


def _only_some_say_away(case: _Case) -> Root | None:
    """The same where others were ready by that question: it may be these pods' own trouble, so the pod comes first."""
    said = _said_away(case)
    well = _well_meanwhile(case, said) if said else []
    return _away(case, said, well) if well else None


def _said_away(case: _Case) -> list[Answer]:
    if not case.failing("readiness") and not case.codes & (_STUCK | _UNSERVED):
        return []
    return [one for one in _of_pods(case, "database") if one.event.outcome is Outcome.FAIL and one.status >= _ERROR]


def _away(case: _Case, said: list[Answer], well: Sequence[str] = ()) -> Root:
    app = case.facts.plan.target.app
    ready = {pod.name for pod in _last_of_each(case.facts, 0.0, said[0].event.start_s) if pod.ready and not pod.gone}
    asked = not ready & set(_names(said))
    follows = "so the Service leaves them out" if asked else "and they are Ready all the same: they get requests"
    text = (
        f"{app.ready_path} of {_pods(said)} says that the database is {said[0].value!r} "
        f"(HTTP status {said[0].status}), {follows}"
    )
    hint = "see the database and the way to it: its pod, Service, credentials, NetworkPolicy"
    if well:
        text += f"; {', '.join(well)} {'was' if len(well) == 1 else 'were'} ready by the same question meanwhile"
        hint = "see what these pods want of it that the others do not: their log, schema, credentials, node"
    hint += "" if asked else f"; let the readiness probe ask {app.ready_path}"
    return Root(finding=Finding("DATABASE_AWAY", text, hint, {"pods": len(_names(said))}), evidence=_seqs(said))


def _well_meanwhile(case: _Case, said: list[Answer]) -> list[str]:
    """Other pods of the app that said in that time that the database answers; or whose readiness probe asks the same,
    and that stayed ready for longer than it takes to notice, beside a pod that was not ready all that time."""
    at_s, names = said[-1].event.start_s, _names(said)
    answered = {one.event.subject.rpartition("/")[2]: one for one in _of_pods(case, "database")}
    well = [name for name, one in answered.items() if one.event.outcome is Outcome.OK and one.status < _ERROR]
    sick = [pod for pod in pods_seen(case.facts) if pod.name in names]
    notices_s = _noticed_after_s(case.facts)
    if sick and not sick[0].initial and not any(pod.ready for pod in sick) and at_s - sick[0].at_s > notices_s:
        well += _ready_throughout(case.facts, sick[0].at_s, at_s)
    return [name for name in dict.fromkeys(well) if name not in names]


def _ready_throughout(facts: Facts, since_s: float, until_s: float) -> Iterator[str]:
    """The Deployment's pods that were ready and not told to end, all that time."""
    seen: dict[str, list[PodSeen]] = {}
    for pod in pods_seen(facts):
        if pod.member and pod.at_s <= until_s:
            seen.setdefault(pod.uid, []).append(pod)
    for one in seen.values():
        before = [pod for pod in one if pod.at_s <= since_s][-1:]
        states = [*before, *(pod for pod in one if pod.at_s > since_s)]
        if before and all(pod.ready and not (pod.gone or pod.terminating) for pod in states):
            yield one[0].name


def _noticed_after_s(facts: Facts) -> float:
    """How long a ready pod may stay so after its readiness path has begun to fail; for ever where nothing asks it."""
    try:
        container = Posture(facts).view(DeploymentSeen).container
    except UnreadError:
        return math.inf
    probe = container.readiness if container is not None else ProbeSeen()
    if probe.kind != "httpGet" or probe.path != facts.plan.target.app.ready_path:
        return math.inf
    return probe.failures * probe.period_s + probe.timeout_s


def _ready_ignores(case: _Case) -> Root | None:
    """A readiness path that knows of the database, and answers with 200 all the same."""
    if not case.failing("readiness"):
        return None
    path = case.facts.plan.target.app.ready_path
    said = [one for one in _of_pods(case, "database") if one.event.outcome is Outcome.FAIL and one.status < _ERROR]
    if not said:
        return None
    text = f"{path} of {_pods(said)} said {said[0].value!r} with HTTP status {said[0].status}"
    finding = Finding("READY_IGNORES_DATABASE", text, f"{path} must answer 503 then: probes read the status")
    return Root(finding=finding, evidence=_seqs(said))


def _not_applied(case: _Case) -> Root | None:
    """Argo CD says that it has synced the revision, and the Deployment still declares the old tag."""
    act = case.rollout
    if act is None or "synced" not in act.stages or "DEADLINE_EXCEEDED" not in case.codes or act.failed is None:
        return None
    declared = deployed_tag(case.facts, act.failed.end_s)
    if not declared or declared == act.to_sha or declared != act.from_sha:
        return None
    waited_s = act.failed.end_s - act.stages["synced"].end_s
    text = (
        f"Argo CD called the new revision Synced, and {waited_s:.1f} s later the Deployment still declares "
        f"{declared}, not {act.to_sha}"
    )
    hint = (
        "compare what the overlay renders (`kustomize build`) with the live Deployment: is the tag in what is applied?"
    )
    return Root(finding=Finding("NOT_APPLIED", text, hint), evidence=(act.stages["synced"].seq, act.failed.seq))


def _pods_say(case: _Case) -> Root | None:
    """What containers and Kubernetes said of the new version's pods, as it was kept before they were taken away."""
    said = said_by_pods(case.facts, case.codes)
    return Root(finding=said[0], evidence=said[1]) if said is not None else None


def _pod_kept_it(case: _Case) -> Root | None:
    """The pod that never got ready, or lost its readiness for good, with what it said of itself."""
    act = case.rollout
    if not case.codes & _STUCK or (act is not None and act.failed is not None and act.failed_at == "old-gone"):
        return None
    old = act.old_uids if act is not None else ()
    until_s = _given_up_s(case)
    for pod in _last_of_each(case.facts, act.started.start_s if act is not None else 0.0, until_s):
        if pod.uid in old or not pod.member or pod.gone or pod.ended or pod.ready or pod.terminating:
            continue
        if (late := _ready_late(case, pod)) is not None:
            return late
        state = f"was {pod.phase}{f' ({pod.trouble})' if pod.trouble else ''} and not Ready at the end"
        if not pod.node:
            text, code = f"{pod.name} was given no node", "POD_NOT_SCHEDULED"
        else:
            lost = any(one.ready for one in pods_seen(case.facts) if one.uid == pod.uid and one.at_s < pod.at_s)
            text = f"{pod.name} {'lost its readiness, and ' if lost else ''}{state}{_said_of_itself(case, pod)}"
            code = cannot_start(pod.trouble) or ("READINESS_LOST" if lost else "POD_NEVER_READY")
        hint = f"kubectl -n {case.facts.plan.target.cluster.namespace} describe pod {pod.name}; and its log"
        return Root(finding=Finding(code, text, hint), evidence=(pod.event.seq,))
    return None


def _given_up_s(case: _Case) -> float:
    """Until when the pods were waited for: the release failed, or the fault was called not recovered."""
    act = case.rollout
    if act is not None and act.failed is not None:
        return act.failed.end_s
    said = (fault.said.get(FaultWord.NOT_RECOVERED) for fault in find_faults(case.facts))
    return min((event.end_s for event in said if event is not None), default=math.inf)


def _ready_late(case: _Case, pod: PodSeen) -> Root | None:
    """The pod did get ready, after it was no longer waited for."""
    seen = [one for one in pods_seen(case.facts) if one.uid == pod.uid]
    ready = next((one for one in seen if one.at_s > pod.at_s and one.ready), None)
    if ready is None or seen[0].initial:
        return None
    text = f"{pod.name} was Ready only {ready.at_s - seen[0].at_s:.1f} s after it was made, when nobody waited any more"
    hint = (
        "shorten its start (image, migrations, probe periods), or give it longer: faults.recovery_limit_s, for a "
        "rollout progressDeadlineSeconds and release.deadline_s"
    )
    return Root(finding=Finding("POD_READY_LATE", text, hint), evidence=(pod.event.seq, ready.event.seq))


def _said_of_itself(case: _Case, pod: PodSeen) -> str:
    """What its readiness and health path answered to us."""
    app = case.facts.plan.target.app
    asked = {"database": app.ready_path, "version": app.health_path}
    said = {
        what: one
        for what in asked
        for one in answers(case.facts, what, since_s=0.0)
        if one.event.subject == pod.subject
    }
    return "".join(f"; {asked[what]} answered {one.status or 'nothing'}" for what, one in said.items())


def _old_pod_stays(case: _Case) -> Root | None:
    """The old pod that did not go, and whether it was told to."""
    act = case.rollout
    if act is None or act.failed is None or act.failed_at != "old-gone" or act.cause != "DeadlineExceeded":
        return None
    lives = {life.name: life for life in pod_lives(case.facts)}
    for pod in _last_of_each(case.facts, 0.0, act.failed.end_s):
        if pod.uid not in act.old_uids or pod.gone:
            continue
        told_s = lives[pod.name].terminating_s if pod.name in lives else None
        how = "was never told to end"
        if told_s is not None:
            how = f"was told to end, and is there {act.failed.end_s - told_s:.1f} s later"
        hint = "see its finalizers, its preStop and terminationGracePeriodSeconds, and its node's kubelet"
        finding = Finding("OLD_POD_STAYS", f"{pod.name} of the old version {how}", hint)
        return Root(finding=finding, evidence=(pod.event.seq, act.failed.seq))
    return None


def _lost_readiness(case: _Case) -> Root | None:
    """Pods that lost their readiness without being told to end, while the Service had too few.

    Where the container ended by itself that is the cause; else it is what its readiness path asks for, but for the pod
    that a fault was done to: it has lost it by that.
    """
    if not case.codes & _UNSERVED:
        return None
    act = find_act(case.facts)
    since_s = act.started.start_s if act is not None else 0.0
    lost = sorted(
        (life.lost_readiness_s, life.name)
        for life in pod_lives(case.facts)
        if life.lost_readiness_s is not None and life.lost_readiness_s >= since_s
    )
    ended = _ended_by_themselves(case, [name for _, name in lost])
    if len(ended) < len(lost):
        own = {fault.pod for fault in find_faults(case.facts)}
        lost = [one for one in lost if f"{case.facts.plan.target.cluster.namespace}/{one[1]}" not in own]
    if not lost:
        return None
    first_s, last_s = lost[0][0] or 0.0, lost[-1][0] or 0.0
    names = [name for _, name in lost]
    part = act.at(first_s) if act is not None else None
    fault = part if part is not None and part.kind is ActKind.FAULT else None
    within = f" within {last_s - first_s:.1f} s" if len(lost) > 1 else ""
    after = f", {first_s - fault.started.start_s:.1f} s after {fault.name} was injected" if fault else ""
    told = f", and nobody had told {'it' if len(lost) == 1 else 'them'} to end"
    ended = {name: why for name, why in ended.items() if name in names}
    if len(ended) == len(names):
        code, why = "CONTAINER_ENDED", ", ".join(dict.fromkeys(ended.values()))
        by_itself, told = ("", "") if fault else (" by itself", told)  # a fault may well have told it to end
        text = f"the container of {', '.join(names)} ended{by_itself} ({why}){within}{after}{told}"
        hint = "see its log before the restart (`kubectl logs --previous`)"
        hint += (
            f"; did {fault.name} end it?" if fault else "; minReadySeconds keeps old pods until new ones have lasted"
        )
    else:
        code, hint = "READINESS_LOST", "see what the readiness path asks for: the database, the cluster's DNS, a cache"
        text = f"{', '.join(names)} lost {'its' if len(lost) == 1 else 'their'} readiness{within}{after}{told}"
        hint += f"; did {fault.name} take that away too?" if fault else ""
    return Root(finding=Finding(code, text, hint, {"pods": len(lost)}))


def _ended_by_themselves(case: _Case, names: Iterable[str]) -> dict[str, str]:
    """Of these pods those whose container had ended when they lost their readiness, each with Kubernetes' word.

    A probe that is refused may be told before the end that it saw: the kubelet looks at its containers once a second
    (`genericPlegRelistPeriod` of kubernetes/pkg/kubelet), and counts the restart then.
    """
    found: dict[str, str] = {}
    before: dict[str, PodSeen] = {}
    lost: dict[str, PodSeen] = {}  # those that have not been ready since, as they were when they lost it
    for pod in pods_seen(case.facts):
        last, before[pod.name] = before.get(pod.name), pod
        if pod.ready or pod.terminating:
            lost.pop(pod.name, None)
            continue
        if pod.name in names and last is not None and last.ready:
            lost[pod.name] = pod
        elif pod.name in lost and pod.at_s - lost[pod.name].at_s <= _RELIST_S:
            last = lost[pod.name]
        else:
            continue
        if last is not None and (pod.trouble or (pod.restarts or 0) > (last.restarts or 0)):
            found.setdefault(pod.name, pod.trouble or "restarted")
    return found


def _wrong_version(case: _Case) -> Root | None:
    """Answers of another version than those that may answer, told by the load's own log."""
    log, act = case.facts.requests, find_act(case.facts)
    if log is None or act is None or not case.failing("availability"):
        return None
    strange = [bool(name) and name not in act.shas for name in log.versions]
    wrong = (kinds(log) == Kind.GOOD) & log.chosen("version", strange)
    wrong &= open_window(case.facts, log, act).blamed  # what the verdict counts
    count = counted(wrong)
    if not count:
        return None
    said = sorted({log.versions[int(one)] for one in np.unique(log.rows["version"][wrong])})
    names = ", ".join(said[:_NAMED]) + (f" and {len(said) - _NAMED} others" if len(said) > _NAMED else "")
    text = f"{count:,} answers were of {names}, which nobody should have got"
    finding = Finding(
        "WRONG_VERSION_SERVED", text, "see which pods the Service selects, and their image", {"failures": count}
    )
    return Root(finding=finding)


_RULES: tuple[Callable[[_Case], Root | None], ...] = (
    _database_away, _ready_ignores, _not_applied, _pods_say, _pod_kept_it, _only_some_say_away, _old_pod_stays,
    _lost_readiness, _wrong_version,
)  # fmt: skip


def _of_pods(case: _Case, what: str) -> list[Answer]:
    """The answers of single pods after the act, or from its start if it was a rollout."""
    act = find_act(case.facts)
    since_s = 0.0 if act is None else act.settled_s
    if since_s is None:  # a fault of ours was still there
        return []
    return [one for one in answers(case.facts, what, since_s=since_s) if one.event.subject.startswith("Pod/")]


def _names(said: Iterable[Answer]) -> list[str]:
    return list(dict.fromkeys(one.event.subject.rpartition("/")[2] for one in said))


def _pods(said: Iterable[Answer]) -> str:
    return ", ".join(_names(said))


def _seqs(said: Iterable[Answer]) -> tuple[int, ...]:
    return tuple(one.event.seq for one in said)


def _last_of_each(facts: Facts, since_s: float, until_s: float) -> Iterator[PodSeen]:
    """What was told last of each pod up to that time."""
    latest = {pod.uid: pod for pod in pods_seen(facts) if pod.at_s <= until_s}
    return (pod for pod in latest.values() if pod.at_s >= since_s)
