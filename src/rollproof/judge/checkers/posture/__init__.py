"""Is what runs set up to take a release and a fault? One verdict a check, from what was read of live objects.

FAIL is only what the target file promises (`posture.must`, or a setting that says so, such as `drift.must_heal`);
anything else that is not as advised is a finding of a PASS. What could not be read is INCONCLUSIVE: unknown is not no.
What is not there to be judged (no autoscaler, no such API), and what `posture.skip` names, is SKIPPED.
"""

from __future__ import annotations

from rollproof.core.facts import Facts
from rollproof.core.posturefacts import Posture, UnreadError
from rollproof.core.posturewords import Unread
from rollproof.core.target import Target
from rollproof.core.verdict import Finding, Number, Result, Verdict
from rollproof.judge.checkers.posture.base import Check, Level, Said
from rollproof.judge.checkers.posture.table import CHECKS

__all__ = ["check"]

_RESULTS = {Level.SOUND: Result.PASS, Level.NOTHING: Result.SKIPPED}
_NOT_HERE = (Unread.ABSENT, Unread.NOT_NAMED)


def check(facts: Facts) -> tuple[Verdict, ...]:
    """A verdict for each check of the table."""
    seen = Posture(facts)
    return tuple(_judged(seen, one) for one in CHECKS.values())


def _judged(seen: Posture, one: Check) -> Verdict:
    if one.id in seen.target.posture.skip:
        return _verdict(one, Result.SKIPPED, "the target file leaves it out (posture.skip)")
    seen.used.clear()
    try:
        said = one.look(seen)
    except UnreadError as error:
        return _unread(one, error, tuple(seen.used))
    evidence = tuple(dict.fromkeys(seen.used))
    text = f"{said.place} {said.field}: {said.value}" + (f" ({said.note})" if said.note else "")
    if said.level is Level.UNCLEAR:
        hint = f"`{one.drill}` shows it; {one.source}" if one.drill else one.source
        found = Finding("UNREAD", said.note, hint)
        return _verdict(one, Result.INCONCLUSIVE, text, said, evidence=evidence, findings=(found,))
    if said.level is not Level.FINDING:
        return _verdict(one, _RESULTS[said.level], text, said, evidence=evidence)
    advised = said.advised or one.advised
    promise = _promise(one, seen.target)
    hint = f"see it with `{one.drill}`; {one.source}" if one.drill else one.source
    found = Finding(one.code, f"advised: {advised}; {one.why}", hint)
    why = f"{text}, and {promise} promises: {advised}" if promise else text
    return _verdict(one, Result.FAIL if promise else Result.PASS, why, said, evidence=evidence, findings=(found,))


def _promise(one: Check, target: Target) -> str:
    """By which words of the target file this check is promised; "" if it is not."""
    if one.id in target.posture.must:
        return "posture.must"
    return "the target file" if one.promised(target) else ""


def _unread(one: Check, error: UnreadError, evidence: tuple[int, ...]) -> Verdict:
    if error.cause in _NOT_HERE:
        return _verdict(one, Result.SKIPPED, f"nothing to judge: {error}", evidence=evidence)
    why = f"{error.topic} could not be read, so that nothing is claimed: {error.reason}"
    hint = "grant the right (`rollproof rbac posture`), or leave the check out (posture.skip)"
    if error.cause is not Unread.FORBIDDEN:
        hint = "try again; `rollproof doctor` says what does not answer"
    findings = (Finding("UNREAD", why, hint),)
    return _verdict(one, Result.INCONCLUSIVE, why, evidence=evidence, findings=findings)


def _verdict(
    one: Check, result: Result, why: str, said: Said | None = None, *, evidence: tuple[int, ...] = (),
    findings: tuple[Finding, ...] = (),
) -> Verdict:  # fmt: skip
    level = said.level if said else Level.UNCLEAR if result is Result.INCONCLUSIVE else Level.NOTHING
    numbers: dict[str, Number] = {
        "level": str(level), "object": said.place if said else "", "field": said.field if said else "",
        "value": said.value if said else "", "note": said.note if said else "",
        "advised": (said.advised if said else "") or one.advised,
        "reason": one.why, "source": one.source, "drill": one.drill,
    }  # fmt: skip
    return Verdict("posture", f"Check/{one.id}", result, why, numbers=numbers, evidence=evidence, findings=findings)
