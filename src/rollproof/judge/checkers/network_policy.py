"""Are the app's NetworkPolicies enforced? One verdict, from what a pod found that they must deny (docs/faults).

A connection that was taken is evidence against them by itself. That none was taken is evidence for them only beside two
controls at that time: the pod reached something else, and the app answered through its entry.
"""

from __future__ import annotations

from typing import Any

from rollproof.core.counts import many
from rollproof.core.event import Outcome
from rollproof.core.facts import Facts
from rollproof.core.fault import Fault, FaultWord, planned_faults
from rollproof.core.networkpolicy import Tries, tries_of
from rollproof.core.runframe import answers
from rollproof.core.verdict import Finding, Result, Verdict
from rollproof.core.watched import pods_seen

__all__ = ["check"]

_SUBJECT = "NetworkPolicies"
_WHO = "a pod that the NetworkPolicies deny"
_SETTLED = 3  # rounds at the end in which no connection may be taken any more


def check(facts: Facts) -> tuple[Verdict, ...]:
    """One verdict: PASS enforced, FAIL not, SKIPPED where no policy denies such a pod, else INCONCLUSIVE."""
    fault = next(iter(planned_faults(facts)), None)  # the drill has one
    if fault is None or not fault.said:
        return (_verdict(Result.INCONCLUSIVE, "it was not tried whether they are enforced"),)
    evidence = tuple(event.seq for event in fault.events)
    if FaultWord.SKIPPED in fault.said and not fault.begun:
        return (_verdict(Result.SKIPPED, fault.reason(FaultWord.SKIPPED), evidence=evidence),)
    tries = tries_of(fault.happened.data) if fault.happened is not None else None
    if tries is None:
        why = f"nobody knows what was tried: {fault.why_unfinished()}"
        if FaultWord.NO_EFFECT in fault.said:
            why = f"{why}; could the image of the pod that tries (faults.dead_man_image) be had?"
        return (_verdict(Result.INCONCLUSIVE, why, evidence=evidence),)
    return (_judge(facts, fault, tries, evidence),)


def _verdict(result: Result, why: str, **more: Any) -> Verdict:
    return Verdict(checker="network_policy", subject=_SUBJECT, result=result, why=why, **more)


def _judge(facts: Facts, fault: Fault, tries: Tries, evidence: tuple[int, ...]) -> Verdict:
    rounds, last = len(tries.control), tries.last_reached
    open_s = tries.after_s(last)
    reached = sum(map(sum, tries.reached.values()))
    numbers = {
        "addresses": len(tries.reached), "rounds": rounds, "took_s": tries.took_s,
        "reached": reached, "reached_for_s": open_s,
    }  # fmt: skip
    more: dict[str, Any] = {"numbers": numbers, "evidence": evidence}
    who = f"{many(len(tries.reached), 'address')} of the app"
    if last > rounds - _SETTLED:
        text = f"{_WHO} reached the app {many(reached, 'time')}, the last time after {open_s:g} s"
        hint = "turn the enforcement of NetworkPolicies on in the cluster's network (on EKS: the VPC CNI's setting)"
        return _verdict(Result.FAIL, text, findings=(Finding("NOT_ENFORCED", text, hint),), **more)
    if doubt := _doubt(facts, fault, tries):
        return _verdict(Result.INCONCLUSIVE, f"no connection was taken in the end, but {doubt}", **more)
    why = f"{_WHO} did not reach {who} in the last {many(rounds - last, 'round')} of {rounds}"
    if not last:
        return _verdict(Result.PASS, why, **more)
    text = f"a new pod was let through for its first {open_s:g} s"
    hint = "a pod is not yet known to the network then: VPC CNI has a strict mode that begins with denying"
    return _verdict(Result.PASS, f"{why}; {text}", findings=(Finding("ENFORCED_LATE", text, hint),), **more)


def _doubt(facts: Facts, fault: Fault, tries: Tries) -> str:
    """Which of the controls is missing, so that silence proves nothing; "" if none is."""
    lost = tries.control.count(False)
    if lost:
        return (
            f"that pod did not reach the API server either, in {many(lost, 'round')}: its own network may be at fault"
        )
    if away := _away(facts, fault, tries):
        return f"{away} did not serve all the time: it may have been deaf to everybody"
    said = [one for one in answers(facts, "version", since_s=fault.started.start_s) if one.event.subject == "Ingress"]
    if not said or said[-1].event.outcome is not Outcome.OK:
        return "the app was not seen to answer through its entry: it may have been deaf to everybody"
    return ""


def _away(facts: Facts, fault: Fault, tries: Tries) -> str:
    """The first pod of the app that was tried, and was seen not to be ready meanwhile; "" if none was."""
    since_s, until_s = fault.started.start_s, fault.happened.end_s if fault.happened is not None else 0.0
    for pod in pods_seen(facts):
        tried = pod.member and pod.ip in tries.reached and since_s <= pod.at_s <= until_s
        if tried and (pod.gone or pod.terminating or not pod.ready):
            return pod.name
    return ""
