"""Did a rollout happen at all? A clean run in which no pod was replaced proves nothing (seen on the
lab: with the git server away, 10,000 clean requests "proved" zero downtime).

Rule: docs/argocd.md 2.3: every old pod's deletion was seen, and every pod that is left belongs to the new template.
"""

from __future__ import annotations

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.rollout import Rollout, find_rollout
from rollproof.core.verdict import Result, Verdict
from rollproof.core.watched import PodSeen, pods_seen
from rollproof.judge.checkers import others

__all__ = ["check"]


def check(facts: Facts) -> Verdict:
    """PASS if every old pod was replaced, FAIL if old ones stayed, INCONCLUSIVE if nothing was replaced."""
    act = find_rollout(facts)
    if act is None:
        return _verdict(facts, Result.INCONCLUSIVE, "no rollout was started, so nothing was tested")
    gone = _deleted(facts, act)
    new = _new_pods(facts, act)
    old = set(act.old_uids)
    if not old:
        why = "no pod was running before the rollout, so none could be replaced"
        return _verdict(facts, Result.INCONCLUSIVE, why, (act.started,))
    again = _came_again(facts, act)
    left = (old - gone.keys()) | again.keys()
    if not gone or not new:
        why = f"no pod was replaced ({act.why_unfinished()}): whatever else was measured says nothing about a rollout"
        return _verdict(facts, Result.INCONCLUSIVE, why, (act.started,))
    numbers = {"old_pods": len(old), "old_pods_gone": len(gone), "new_pods": len(new)}
    old |= again.keys()
    evidence = (act.started, *gone.values(), *again.values())
    if left:
        known = act.failed is not None and act.failed.outcome is Outcome.FAIL and not act.taken_over
        if "old-gone" in act.stages:
            why = f"{len(left)} of {len(old)} old pods are called gone, but were not seen to go"
            return _verdict(facts, Result.INCONCLUSIVE, why, (*evidence, act.stages["old-gone"]), **numbers)
        if not known:
            because = f" ({act.why_unfinished()})" if act.failed is not None else ""
            why = f"the run ended while {len(left)} of {len(old)} old pods were still there{because}"
            return _verdict(facts, Result.INCONCLUSIVE, why, evidence, **numbers)
        why = f"{len(left)} of {len(old)} old pods were left behind ({act.why_unfinished()})"
        return _verdict(facts, Result.FAIL, why, evidence, **numbers)
    took_s = max(event.end_s for event in gone.values()) - act.started.start_s
    why = f"{len(old)} of {len(old)} old pods were replaced; the last one was gone {took_s:.1f} s after the start"
    if act.restart:
        why += " (the same sha again: the rollout was restarted, so replacement is proven, not a new version)"
    return _verdict(facts, Result.PASS, why, evidence, **numbers, last_old_pod_gone_s=round(took_s, 3))


def _deleted(facts: Facts, act: Rollout) -> dict[str, Event]:
    """By uid: the event of each old pod's deletion after the start, else of its end (evicted, and not removed)."""
    old, gone = set(act.old_uids), dict[str, Event]()
    for pod in pods_seen(facts):
        if pod.uid in old and pod.event.end_s >= act.started.start_s and (pod.gone or pod.ended):
            gone[pod.uid] = pod.event
    return gone


def _new_pods(facts: Facts, act: Rollout) -> set[str]:
    """Uids of pods of another template that did not exist before and became ready after the start."""
    came = (pod for pod in pods_seen(facts) if pod.at_s >= act.started.start_s and pod.member)
    return {pod.uid for pod in came if pod.ready and pod.uid not in act.old_uids and not _is_old(pod, act)}


def _came_again(facts: Facts, act: Rollout) -> dict[str, Event]:
    """By uid: pods of the old template that came meanwhile, as after an eviction, and were there at the end of it."""
    ended = act.stages.get("old-gone") or act.failed
    until_s = ended.end_s if ended is not None else act.end_s or act.started.end_s
    latest = {pod.uid: pod for pod in pods_seen(facts) if act.started.start_s <= pod.at_s <= until_s}
    there = (pod for pod in latest.values() if pod.member and not (pod.gone or pod.ended or pod.initial))
    return {pod.uid: pod.event for pod in there if pod.uid not in act.old_uids and _is_old(pod, act)}


def _is_old(pod: PodSeen, act: Rollout) -> bool:
    """Whether it was made from the template of the old pods: whatever made it anew, the rollout did not."""
    return pod.template in act.old_templates


def _verdict(
    facts: Facts, result: Result, why: str, evidence: tuple[Event, ...] = (), **numbers: float | int
) -> Verdict:
    cluster, act = facts.plan.target.cluster, find_rollout(facts)
    since_s = act.started.start_s if act is not None else 0.0
    return Verdict(
        checker="rollout",
        subject=f"Deployment/{cluster.namespace}/{cluster.deployment}",
        result=result,
        why=why,
        numbers=numbers,
        evidence=tuple(event.seq for event in evidence),
        findings=others.finding(facts, others.others(facts, since_s=since_s)),
    )
