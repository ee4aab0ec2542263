"""Did `git revert` bring the old version back, and within the limit?

There are two shas (docs/argocd.md 3): the revert is a new env-repo commit, and the version that must answer is the old
app sha. The time counts from the accepted push to the proof, as for an operator who follows a runbook.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from rollproof.core.event import Outcome
from rollproof.core.facts import Facts
from rollproof.core.rollout import Rollout, find_rollout
from rollproof.core.verdict import Finding, Number, Result, Verdict
from rollproof.core.watched import earliest_s, missed_clause, seen_late_s
from rollproof.judge.checkers.release import stage_times, why_failed

__all__ = ["check"]


def check(facts: Facts) -> Verdict:
    """PASS if the old sha was proven within `rollback.limit_s` of the push; FAIL if later or never."""
    limit_s = facts.plan.target.rollback.limit_s
    act = find_rollout(facts)
    if act is None or act.source != "rollback":
        why = "no rollback was started"
        return Verdict(checker="rollback", subject="Rollback", result=Result.INCONCLUSIVE, why=why)
    subject = f"Rollback/{act.to_sha}"
    events = (act.started, *act.stages.values(), *([act.failed] if act.failed else []))
    evidence = tuple(sorted(event.seq for event in events))
    numbers: dict[str, Number] = {**stage_times(act), "limit_s": limit_s}
    pushed, proven = act.stages.get("pushed"), act.stages.get("proven")
    if act.failed is not None or pushed is None or proven is None:
        broken = act.failed is not None and act.failed.outcome is Outcome.FAIL
        result = Result.FAIL if broken else Result.INCONCLUSIVE
        what = "did not come back" if proven is None else _back(act)
        return Verdict(
            checker="rollback", subject=subject, result=result,
            why=f"{act.to_sha} {what}: {act.why_unfinished()}", numbers=numbers, evidence=evidence,
            findings=why_failed(act),
        )  # fmt: skip
    took_s = proven.end_s - pushed.end_s
    how = "a forward commit (git revert conflicted)" if act.forward else "git revert"
    result = Result.PASS if took_s <= limit_s else Result.FAIL
    said = "within" if result is Result.PASS else "later than"
    why = (
        f"{how} {act.pushed_commit[:12]} brought {act.to_sha} back in {took_s:.1f} s from push to proof, "
        f"{said} the limit of {limit_s:g} s"
    )
    late_s = seen_late_s(facts, *(event.end_s for event in act.stages.values() if event.end_s >= pushed.end_s))
    if result is Result.FAIL and took_s - late_s <= limit_s:
        result = Result.INCONCLUSIVE
        why += f"; but a watch was away meanwhile, so that it was seen up to {late_s:.1f} s late"
    elif result is Result.FAIL and (least_s := earliest_s(facts, proven) - pushed.end_s) <= limit_s:
        result = Result.INCONCLUSIVE
        why += missed_clause(least_s, "rollback.limit_s")
    if proven.not_before_s is not None:
        numbers["push_to_proof_least_s"] = round(max(0.0, proven.not_before_s - pushed.end_s), 3)
    findings = (_slowest_stage(numbers),) if result is Result.FAIL else ()
    return Verdict(
        checker="rollback", subject=subject, result=result, why=why,
        numbers={**numbers, "push_to_proof_s": round(took_s, 3)}, evidence=evidence, findings=findings,
    )  # fmt: skip


def _back(act: Rollout) -> str:
    """What is wrong with a version that came back."""
    if act.failed is None:
        return "came back, but nobody knows since when"
    return (
        f"came back, and {'does not stay' if act.failed.outcome is Outcome.FAIL else 'whether it stays is not known'}"
    )


def _slowest_stage(numbers: Mapping[str, Number]) -> Finding:
    """The stage that took longest, as the first place to look."""
    order = ("pushed_s", "seen_s", "synced_s", "rolled_out_s", "old_gone_s", "proven_s")
    at = [(name, float(str(numbers[name]))) for name in order if name in numbers]
    stages = [(later[1] - earlier[1], later[0]) for earlier, later in itertools.pairwise(at)]
    took_s, name = max(stages)
    stage = name.removesuffix("_s").replace("_", "-")
    hint = {
        "seen": "give Argo CD a webhook, or let the harness ask for a refresh (argocd.profile = 'refresh')",
        "rolled-out": "shorten start-up, or allow maxSurge above 1 so that pods are replaced side by side",
        "old-gone": "the old pods' preStop and grace period take this long; they must exceed the ingress's lag",
    }.get(stage, "see the stages on the timeline")
    return Finding(code="SLOWEST_STAGE", text=f"the longest stage was {stage!r} with {took_s:.1f} s", hint=hint)
