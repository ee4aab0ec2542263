"""Was a known-bad release reported as bad, for the right reason, within its limit?

Whether users felt it is `availability`; whether its revert brought the old version back is `rollback`. A reason counts
if it names the kind in `core.reasons.CAUSES_OF_BAD`; a version that turned out good tests nothing.
"""

from __future__ import annotations

from rollproof.core.badrelease import BadRelease, find_bad_release
from rollproof.core.facts import Facts
from rollproof.core.reasons import CAUSES_OF_BAD, BadKind, StageCause
from rollproof.core.verdict import Finding, Number, Result, Verdict
from rollproof.core.watched import earliest_s, missed_clause, seen_late_clause, seen_late_s
from rollproof.judge.checkers.release import stage_times, why_failed

__all__ = ["check"]

_NAME = "bad_release"


def check(facts: Facts) -> Verdict:
    """PASS if it was named within its limit; FAIL if later, or not in that time; INCONCLUSIVE if it was not bad."""
    bad = find_bad_release(facts)
    if bad is None:
        return Verdict(_NAME, "Release", Result.INCONCLUSIVE, "no version that is known to be bad was released")
    numbers: dict[str, Number] = dict(stage_times(bad.release))
    if bad.kind_of_bad is None:
        result, why = Result.INCONCLUSIVE, "this version of rollproof does not know what the release is bad for"
    else:
        limit_s = facts.plan.target.release.bad.limit_s(bad.kind_of_bad)
        numbers["limit_s"] = limit_s
        if bad.named_s is not None:
            numbers["named_s"] = round(bad.named_s, 3)
        result, why = _judged(bad, bad.kind_of_bad, limit_s)
        if bad.named is not None and bad.named.not_before_s is not None and bad.unnamed_s is not None:
            numbers["named_least_s"] = round(bad.unnamed_s, 3)
        if result is Result.FAIL and (doubt := _doubt(facts, bad, limit_s)):
            result = Result.INCONCLUSIVE
            why += doubt
    return Verdict(
        _NAME, bad.release.started.subject, result, why, numbers=numbers,
        evidence=tuple(sorted({event.seq for event in bad.events})),
        findings=(*why_failed(bad.release), *(_late(bad) if result is Result.FAIL else ())),
    )  # fmt: skip


def _doubt(facts: Facts, bad: BadRelease, limit_s: float) -> str:
    """Why it may have been known in time, as the end of a sentence; "" if it was not."""
    pushed = bad.release.stages.get("pushed")
    if bad.named is None or bad.named_s is None or pushed is None:
        return ""
    late_s = seen_late_s(facts, bad.named.end_s)
    if late_s and bad.named_s - late_s <= limit_s:
        return seen_late_clause(late_s)
    least_s = max(0.0, earliest_s(facts, bad.named) - pushed.end_s)
    between = least_s <= limit_s < bad.named_s and bad.release.cause != StageCause.DEADLINE_EXCEEDED
    return missed_clause(least_s, f"release.bad.{bad.setting}") if between else ""


def _judged(bad: BadRelease, kind: BadKind, limit_s: float) -> tuple[Result, str]:
    release = bad.release
    if "proven" in release.stages:
        why = f"{release.to_sha} was to be bad ({kind}), and was proven: it tests nothing"
        return Result.INCONCLUSIVE, why
    if bad.named is None or bad.named_s is None or bad.unnamed_s is None:
        return Result.INCONCLUSIVE, f"nobody said what is wrong with {release.to_sha}: {release.why_unfinished()}"
    if release.cause == StageCause.DEADLINE_EXCEEDED and kind is not BadKind.WRONG_VERSION:
        waited = f"in {bad.unnamed_s:.1f} s nobody said what is wrong with {release.to_sha} ({kind})"
        late = bad.unnamed_s >= limit_s
        how = f"the limit is {limit_s:g} s" if late else f"we waited no longer, and the limit is {limit_s:g} s"
        return (Result.FAIL if late else Result.INCONCLUSIVE), f"{waited}; {how}"
    if release.cause not in CAUSES_OF_BAD[kind]:
        why = f"{release.to_sha} was to fail as {kind}, and failed for another reason: {release.why_unfinished()}"
        return Result.INCONCLUSIVE, why
    said = f"{release.to_sha} ({kind}) was called bad {bad.named_s:.1f} s after its push, as {release.cause}"
    in_time = bad.named_s <= limit_s
    return (Result.PASS if in_time else Result.FAIL), f"{said}; the limit is {limit_s:g} s"


def _late(bad: BadRelease) -> tuple[Finding, ...]:
    hint = "only the Deployment's progressDeadlineSeconds says that a version never gets ready: lower it"
    if bad.kind_of_bad is not BadKind.NEVER_READY:
        hint = "the kubelet's back-off and the time to pull decide it; see the pods' events"
    return (Finding("NAMED_LATE", "a bad release goes on until somebody says that it is one", hint),)
