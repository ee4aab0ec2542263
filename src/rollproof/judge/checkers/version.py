"""Does every pod answer with the wanted sha, and none with another one?

Three sources that must agree (docs/argocd.md 2.3): each pod asked directly, N answers in a
row through the ingress over new connections, and every answer that the load got. During the rollout an answer may come
from the old or the new sha only; after the proof none from the old one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rollproof.core.act import Act, find_act, measured_until_s
from rollproof.core.event import Event, Outcome, good_in_a_row
from rollproof.core.facts import Facts
from rollproof.core.outcomes import counted, lane_mask
from rollproof.core.runframe import Answer, answers, reason
from rollproof.core.verdict import Finding, Number, Result, Verdict
from rollproof.core.watched import deployed_tags, pods_seen
from rollproof.judge.checkers.others import finding, others

__all__ = ["check"]


def check(facts: Facts) -> Verdict:
    """FAIL on any answer of a wrong sha; PASS only if pods and ingress were both asked enough; else INCONCLUSIVE."""
    act = find_act(facts)
    if act is None:
        why = "nothing was done to the target, so there is no sha to prove"
        return Verdict(checker="version", subject="Version", result=Result.INCONCLUSIVE, why=why)
    subject = f"Version/{act.to_sha}"
    proofs = [answer.event for answer in answers(facts, "version", since_s=act.started.start_s)]
    evidence = tuple(event.seq for event in proofs[-50:])
    wrong = [event for event in proofs if event.outcome is Outcome.FAIL]
    numbers: dict[str, Number] = {"answers_asked": len(proofs), "answers_wrong": len(wrong)}
    if act.rollout is not None and act.rollout.taken_over:
        why = f"which version should answer is not known any more: {act.rollout.why_unfinished()}"
        return Verdict("version", subject, Result.INCONCLUSIVE, why, numbers=numbers, evidence=evidence)
    stray = _stray_answers(facts, act)
    if (theirs := _not_ours(facts, act, wrong, stray)) and not stray.third:
        why = f"which version should answer is not known any more: {theirs}"
        return Verdict("version", subject, Result.INCONCLUSIVE, why, numbers=numbers, evidence=evidence)
    if wrong:
        seen = sorted({Answer(event).version for event in wrong})
        who = sorted({event.subject for event in wrong})
        why = f"{len(wrong)} of {len(proofs)} answers said {', '.join(seen)} instead of {act.to_sha} (from {who[0]})"
        evidence = tuple(event.seq for event in wrong[:50])
        return Verdict("version", subject, Result.FAIL, why, numbers=numbers, evidence=evidence)
    numbers.update({"load_answers_of_a_third_sha": stray.third, "load_answers_of_the_old_sha_after_proof": stray.late})
    if stray.third or stray.late:
        also = finding(facts, others(facts, since_s=act.started.start_s))
        return Verdict("version", subject, Result.FAIL, stray.why, numbers=numbers, evidence=evidence, findings=also)
    return _enough(facts, act, proofs, subject, numbers, evidence)


def _not_ours(facts: Facts, act: Act, wrong: list[Event], stray: _Stray) -> str:
    """That somebody else has deployed another version meanwhile, or the old one again, of which the wrong answers are;
    "" if nobody was seen to."""
    said = {Answer(event).version for event in wrong}
    if act.foreign:
        return act.why_foreign if said <= act.shas | act.foreign else ""
    proven = act.rollout.stages.get("proven") if act.rollout is not None else None
    if proven is None or act.from_sha == act.to_sha or not said <= {act.from_sha} or not (said or stray.late):
        return ""
    again = act.from_sha in deployed_tags(facts, since_s=proven.end_s, until_s=measured_until_s(facts))
    return f"{act.from_sha} was deployed again after {act.to_sha} had been proven" if again else ""


def _enough(
    facts: Facts, act: Act, proofs: list[Event], subject: str, numbers: dict[str, Number], evidence: tuple[int, ...]
) -> Verdict:
    """No answer was wrong; were there enough, and from a time at which they prove something?"""
    if act.settled_s is None:
        why = f"{act.to_sha} answered, but not after the {act.noun}: {act.why_not_over()}"
        return Verdict("version", subject, Result.INCONCLUSIVE, why, numbers=numbers, evidence=evidence)
    proofs, unproven = [event for event in proofs if event.start_s >= act.settled_s], _unproven(act)
    good = [event for event in proofs if event.outcome is Outcome.OK]
    pods = {event.subject for event in good if event.subject.startswith("Pod/")}
    in_a_row = good_in_a_row([event for event in proofs if event.subject == "Ingress"])
    wanted = facts.plan.target.release.proof_count
    numbers.update({"pods_proven": len(pods), "ingress_answers_in_a_row": in_a_row})
    if unproven and not good:
        why = f"neither a pod nor the ingress gave a version ({unproven})"
        return Verdict("version", subject, Result.INCONCLUSIVE, why, numbers=numbers, evidence=evidence)
    if in_a_row < wanted:
        why = f"only {in_a_row} of {wanted} answers in a row came through the ingress with {act.to_sha}"
        return Verdict("version", subject, Result.INCONCLUSIVE, why, numbers=numbers, evidence=evidence)
    unreachable = facts.last(source="proof", what="not-reachable")
    if not pods and unreachable is None:
        why = "no single pod was asked for its version"
        return Verdict("version", subject, Result.INCONCLUSIVE, why, numbers=numbers, evidence=evidence)
    latest = {event.subject: event.outcome for event in proofs}
    silent = {who for who, said in latest.items() if who.startswith("Pod/") and said is Outcome.UNKNOWN}
    if silent:
        why = f"{len(silent)} pods gave no version ({', '.join(sorted(silent))})"
        return Verdict("version", subject, Result.INCONCLUSIVE, why, numbers=numbers, evidence=evidence)
    if unproven:
        why = f"the proof was not brought to its end ({unproven})"
        return Verdict("version", subject, Result.INCONCLUSIVE, why, numbers=numbers, evidence=evidence)
    findings = _mixed_images(facts, act)
    why = f"{act.to_sha} came from each of {len(pods)} pods and {in_a_row} times in a row through the ingress"
    if not pods and unreachable is not None:
        why = f"{act.to_sha} came {in_a_row} times in a row through the ingress; single pods could not be asked"
        hint = "grant pods/proxy (get) or pods/portforward (create) in the app's namespace"
        findings += (Finding("PODS_NOT_SEEN", reason(unreachable, otherwise="nobody noted why"), hint),)
    return Verdict("version", subject, Result.PASS, why, numbers=numbers, evidence=evidence, findings=findings)


def _unproven(act: Act) -> str:
    """Why a rollout's own proof was not completed; "" if it was, or nothing was rolled out."""
    rollout = act.rollout
    return rollout.why_unfinished() if rollout is not None and "proven" not in rollout.stages else ""


def _mixed_images(facts: Facts, act: Act) -> tuple[Finding, ...]:
    """Pods of one tag with different image ids: a mutable tag, or nodes of several platforms (docs/argocd.md 2.3)."""
    ids: dict[str, str] = {}
    for pod in pods_seen(facts):
        if pod.gone:
            ids.pop(pod.subject, None)
        elif pod.member and pod.tag == act.to_sha and pod.image_id:
            ids[pod.subject] = pod.image_id
    if len(set(ids.values())) < 2:
        return ()
    text = f"{len(ids)} pods run {act.to_sha} from {len(set(ids.values()))} different images"
    return (Finding("MIXED_IMAGES", text, "is the tag mutable, or do the nodes have several platforms?"),)


@dataclass(frozen=True, slots=True)
class _Stray:
    """Answers under load from a sha that should not have answered."""

    third: int = 0
    late: int = 0
    why: str = ""


def _stray_answers(facts: Facts, act: Act) -> _Stray:
    log = facts.requests
    if log is None or not len(log.rows):
        return _Stray()
    sends, versions = log.column("send_ns"), log.column("version")
    answered = ~lane_mask(log, log.control) & (versions > 0) & (sends >= act.started.start_s * 1e9)
    known = act.shas | act.foreign
    third = answered & log.chosen(
        "version", [bool(number) and sha not in known for number, sha in enumerate(log.versions)]
    )
    if third.any():
        names = sorted({log.versions[i] for i in np.flatnonzero(np.bincount(versions[third]))})
        count = counted(third)
        allowed_names = act.to_sha if act.from_sha == act.to_sha else f"{act.from_sha} nor {act.to_sha}"
        which = "not" if act.from_sha == act.to_sha else "neither"
        why = f"{count} answers under load came from {', '.join(names)}, {which} {allowed_names}"
        return _Stray(third=count, why=why)
    proven = act.rollout.stages.get("proven") if act.rollout is not None else None
    if proven is None or act.from_sha == act.to_sha or act.from_sha not in log.versions:
        return _Stray()
    late = answered & (versions == log.versions.index(act.from_sha)) & (sends > proven.end_s * 1e9)
    count = counted(late)
    why = f"{count} answers under load still came from {act.from_sha} after {act.to_sha} had been proven"
    return _Stray(late=count, why=why)
