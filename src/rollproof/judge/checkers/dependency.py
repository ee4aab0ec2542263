"""While a dependency was away: did each pod stay alive, keep its version, and report in time that it was away?

Judged is the time from the evidence of the effect until the fault was undone, by requests to each single pod: with no
pod ready the ingress answers 503 for every path, which says nothing about the app. Restarts count from the start until
the recovery, because a liveness probe needs several failures.
"""

from __future__ import annotations

from rollproof.core.event import Event, Outcome
from rollproof.core.facts import Facts
from rollproof.core.fault import Fault, FaultWord, find_faults
from rollproof.core.kept import ContainerKept, kept_containers
from rollproof.core.reasons import OOM_KILLED
from rollproof.core.runframe import Answer, answers
from rollproof.core.verdict import Finding, Number, Result, Verdict
from rollproof.core.watched import PodSeen, restarts_seen

__all__ = ["check"]

_ERROR = 500  # HTTP statuses from here on are errors
_TO_THE_END = {FaultWord.RECOVERED, FaultWord.NOT_RECOVERED}


def check(facts: Facts) -> tuple[Verdict, ...]:
    """One verdict for each fault that lasts until it is undone (`held`)."""
    held = [fault for fault in find_faults(facts) if fault.held]
    return tuple(_judge(facts, fault) for fault in held) or (
        Verdict("dependency", "Pods", Result.INCONCLUSIVE, "no dependency was taken away"),
    )


def _judge(facts: Facts, fault: Fault) -> Verdict:
    subject = f"Pods/{facts.plan.target.cluster.deployment}"
    if FaultWord.SKIPPED in fault.said and not fault.begun:
        return Verdict("dependency", subject, Result.SKIPPED, fault.reason(FaultWord.SKIPPED))
    if fault.happened is None:
        return Verdict("dependency", subject, Result.INCONCLUSIVE, fault.why_void())
    until_s = fault.said[FaultWord.UNDONE].start_s if FaultWord.UNDONE in fault.said else fault.happened.end_s
    since_s = fault.happened.start_s
    alive = _asked(facts, "version", since_s, until_s)
    honest = _asked(facts, "database", since_s, until_s)
    numbers: dict[str, Number] = {
        "pods": len({answer.event.subject for answer in honest}),
        "answers": len(alive) + len(honest),
    }
    if (slowest_s := max((one.took_s or 0.0 for one in honest), default=0.0)) > 0:
        numbers["ready_answer_s_max"] = round(slowest_s, 3)
    for found in (
        _restarted(facts, fault), _not_alive(facts, alive), _dishonest(facts, honest), _slow(facts, alive, honest),
    ):  # fmt: skip
        if found is not None:
            why, finding, evidence = found
            return Verdict(
                "dependency", subject, Result.FAIL, why, numbers=numbers, findings=(finding,),
                evidence=tuple(event.seq for event in evidence[:50]),
            )  # fmt: skip
    evidence_seen = tuple(answer.event.seq for answer in (*alive, *honest)[:50])
    doubt = _unknown(facts, alive, honest) or _slow_by_the_way(facts, alive, honest)
    if unknown := fault.broken_off or doubt or _not_held(fault):
        return Verdict("dependency", subject, Result.INCONCLUSIVE, unknown, numbers=numbers, evidence=evidence_seen)
    app = facts.plan.target.app
    why = (
        f"{numbers['pods']} pods answered {app.health_path} with 200 and their version, said at {app.ready_path} with "
        "an error status that the database is away, and none was restarted"
    )
    return Verdict("dependency", subject, Result.PASS, why, numbers=numbers, evidence=evidence_seen)


_Found = tuple[str, Finding, list[Event]]


def _asked(facts: Facts, what: str, since_s: float, until_s: float) -> list[Answer]:
    """The answers of single pods in that time."""
    asked = answers(facts, what, since_s=since_s)
    return [one for one in asked if one.event.subject.startswith("Pod/") and one.event.start_s <= until_s]


def _restarted(facts: Facts, fault: Fault) -> _Found | None:
    """Containers of a pod that were restarted."""
    start_s, end_s = fault.started.start_s, fault.end_s or fault.started.end_s
    pod = next(restarts_seen(facts, since_s=start_s, until_s=end_s), None)
    if pod is None:
        return None
    text = f"the container of {pod.subject} was restarted while the database was away"
    if pod.trouble == OOM_KILLED or any(_killed_for_memory(one, pod) for one in kept_containers(facts)):
        hint = "what waits for the database takes memory: compare resources.limits.memory with what it needs then"
        return (
            text,
            Finding("OUT_OF_MEMORY", f"{text}: it was killed at its memory limit ({OOM_KILLED})", hint),
            [pod.event],
        )
    hint = "its liveness probe must not ask for the database: a restart repairs nothing, and drops requests"
    return text, Finding("LIVENESS_FOLLOWS_DATABASE", text, hint), [pod.event]


def _killed_for_memory(one: ContainerKept, pod: PodSeen) -> bool:
    """Whether that container of the pod had ended so when it was restarted as often as it was seen to be."""
    return one.pod == pod.name and one.ended == OOM_KILLED and one.restarts == pod.restarts


def _not_alive(facts: Facts, alive: list[Answer]) -> _Found | None:
    """A health path that fails with the database, or an answer of another version."""
    path = facts.plan.target.app.health_path
    sick = [one for one in alive if one.status >= _ERROR]
    if sick:
        text = f"{path} of {sick[0].event.subject} answered {sick[0].status} while the database was away"
        finding = Finding("HEALTH_FOLLOWS_DATABASE", text, f"only the readiness path may ask, not {path}")
        return text, finding, [one.event for one in sick]
    wrong = [one for one in alive if one.event.outcome is Outcome.FAIL]
    if not wrong:
        return None
    text = f"{path} of {wrong[0].event.subject} said version {wrong[0].version} instead of {wrong[0].expected}"
    return text, Finding("WRONG_VERSION", text, "see who deploys beside this run"), [one.event for one in wrong]


def _dishonest(facts: Facts, honest: list[Answer]) -> _Found | None:
    """An answer whose field says that the database is away, while its status says that all is well."""
    path = facts.plan.target.app.ready_path
    wrong = [one for one in honest if one.event.outcome is Outcome.FAIL and one.status < _ERROR]
    if not wrong:
        return None
    text = f"{path} of {wrong[0].event.subject} said {wrong[0].value!r} with HTTP status {wrong[0].status}"
    finding = Finding("READY_IGNORES_DATABASE", text, f"{path} must answer 503 then: probes read the status")
    return text, finding, [one.event for one in wrong]


def _slow(facts: Facts, alive: list[Answer], honest: list[Answer]) -> _Found | None:
    """A readiness path that reports it too late, or does not answer for as long, while the health path answers.

    Subtracted is the time that the health path took just before, asked in the same way. A missing answer counts only
    if the health path has answered before and after.
    """
    app, limit_s = facts.plan.target.app, facts.plan.target.faults.ready_answer_s
    for one in honest:
        if one.took_s is None or one.took_s <= limit_s:
            continue
        before, after = _beside(one, alive)
        said = one.event.outcome is Outcome.FAIL and one.took_s - _way_s(before) > limit_s
        silent = not one.status and all(
            near and near[0].event.outcome is Outcome.OK for near in (before[-1:], after[:1])
        )
        if not said and not silent:
            continue
        how = f"said after {one.took_s:.1f} s" if said else f"had not said after {one.took_s:.1f} s"
        text = f"{app.ready_path} of {one.event.subject} {how} that the database is away; limit {limit_s:g} s"
        hint = "give the database's connection a connect and a read time-out: else a silent one holds a worker for ever"
        return text, Finding("READY_SLOW", text, hint), [one.event]
    return None


def _beside(one: Answer, alive: list[Answer]) -> tuple[list[Answer], list[Answer]]:
    """What the health path of that pod answered to questions up to this one, and to later ones."""
    mine = [health for health in alive if health.event.subject == one.event.subject]
    before = [health for health in mine if health.event.start_s <= one.event.start_s]
    return before, [health for health in mine if health.event.start_s > one.event.start_s]


def _way_s(before: list[Answer]) -> float:
    """How long the health path took just before: so long the way may be."""
    return (before[-1].took_s or 0.0) if before else 0.0


def _slow_by_the_way(facts: Facts, alive: list[Answer], honest: list[Answer]) -> str:
    """That an answer was in time only if the way to the pod took as long as it did just before; "" if none was."""
    app, limit_s = facts.plan.target.app, facts.plan.target.faults.ready_answer_s
    for one in honest:
        if one.event.outcome is Outcome.FAIL and one.took_s is not None and one.took_s > limit_s:
            least_s = max(0.0, one.took_s - _way_s(_beside(one, alive)[0]))
            return (
                f"{app.ready_path} of {one.event.subject} said after {least_s:.2f} to {one.took_s:.2f} s, with and "
                f"without the way to it, that the database is away, and the limit of {limit_s:g} s lies between: run "
                "it again, or allow for it in faults.ready_answer_s"
            )
    return ""


def _unknown(facts: Facts, alive: list[Answer], honest: list[Answer]) -> str:
    """Why it is unknown of some pod whether it was alive and said so; "" if it is known of all."""
    app = facts.plan.target.app
    if unasked := [path for path, asked in ((app.health_path, alive), (app.ready_path, honest)) if not asked]:
        where = f" at {unasked[0]}" if alive or honest else ""
        return f"no single pod was asked{where} while the database was away"
    if silent := _never(alive, Outcome.OK):
        return f"{', '.join(silent)} never said at {app.health_path} which version it is"
    unfelt = _never(honest, Outcome.FAIL)
    return f"{', '.join(unfelt)} never said at {app.ready_path} that the database is away" if unfelt else ""


def _not_held(fault: Fault) -> str:
    """Why "none was restarted" cannot be claimed: a liveness probe needs several failures, and a moment more."""
    if FaultWord.UNDONE in fault.said and not fault.said.keys().isdisjoint(_TO_THE_END):
        return ""
    return f"it was not watched to its end whether a pod was restarted: the last that is known is {fault.last_word()!r}"


def _never(asked: list[Answer], outcome: Outcome) -> list[str]:
    """The pods that have no answer with that outcome."""
    said = {one.event.subject for one in asked if one.event.outcome is outcome}
    return sorted({one.event.subject for one in asked} - said)
