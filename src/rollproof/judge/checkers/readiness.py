"""Does the field of the readiness path say that the database answers: from each pod and through the ingress?"""

from __future__ import annotations

import math

from rollproof.core.act import Act, find_act
from rollproof.core.counts import many
from rollproof.core.event import Event, Outcome, by_time
from rollproof.core.facts import Facts
from rollproof.core.part import ActKind
from rollproof.core.runframe import Answer, answers
from rollproof.core.verdict import Finding, Result, Verdict

__all__ = ["check"]

_ERROR = 500  # HTTP statuses from here on are errors


def check(facts: Facts) -> Verdict:
    """FAIL on a wrong value, INCONCLUSIVE if there was no answer or one without the field, else PASS."""
    app = facts.plan.target.app
    field = f"{app.ready_path}#{app.database_pointer}"
    act = find_act(facts)
    since_s = _since_s(act)  # earlier answers belong to another act, or were given during this one
    proofs = by_time(answer.event for answer in answers(facts, "database", since_s=since_s))
    numbers = {"answers_asked": len(proofs)}
    if not proofs:
        why = f"{field} was never asked{_since_when(act)}"
        return Verdict("readiness", field, Result.INCONCLUSIVE, why, numbers=numbers)
    wrong = [event for event in proofs if event.outcome is Outcome.FAIL]
    if wrong:
        first = wrong[0]
        why = (
            f"{first.subject} said {Answer(first).value!r} instead of {app.database_ok!r} "
            f"({len(wrong)} of {len(proofs)} answers, HTTP status {Answer(first).status})"
        )
        return Verdict(
            "readiness", field, Result.FAIL, why, numbers=numbers, evidence=tuple(e.seq for e in wrong[:50]),
            findings=_health_follows(facts, wrong, since_s),
        )  # fmt: skip
    evidence = tuple(event.seq for event in proofs[:50])
    latest = {event.subject: event.outcome for event in proofs}  # asked again: the last answer counts
    answered = {subject for subject, outcome in latest.items() if outcome is Outcome.OK}
    silent = latest.keys() - answered
    if silent or "Ingress" not in answered:
        missing = sorted(silent | ({"Ingress"} - answered))
        why = f"no answer with that field from {', '.join(missing)}"
        return Verdict("readiness", field, Result.INCONCLUSIVE, why, numbers=numbers, evidence=evidence)
    pods = len([subject for subject in answered if subject.startswith("Pod/")])
    why = f"{app.database_ok!r} from {many(pods, 'pod')} and through the ingress"
    return Verdict("readiness", field, Result.PASS, why, numbers={**numbers, "pods": pods}, evidence=evidence)


def _since_when(act: Act | None) -> str:
    if act is None or act.kind is ActKind.ROLLOUT:
        return ""
    return f" after the {act.noun}" if act.settled_s is not None else f" after the {act.noun}: {act.why_not_over()}"


def _since_s(act: Act | None) -> float:
    """The time from which the field must say that the database answers."""
    if act is None:
        return 0.0
    return math.inf if act.settled_s is None else act.settled_s


def _health_follows(facts: Facts, wrong: list[Event], since_s: float) -> tuple[Finding, ...]:
    """A finding if a pod that reports the database as away fails its health path as well."""
    who = {event.subject for event in wrong}
    asked = [answer for answer in answers(facts, "version", since_s=since_s) if answer.event.subject in who]
    sick = next((answer for answer in asked if answer.status >= _ERROR), None)
    if sick is None:
        return ()
    app = facts.plan.target.app
    text = f"{app.health_path} answers {sick.status} as well while the database is away ({sick.event.subject})"
    hint = (
        f"a liveness probe on {app.health_path} would restart every pod: only {app.ready_path} may ask for the database"
    )
    return (Finding("HEALTH_FOLLOWS_DATABASE", text, hint),)
