"""Did the commit pass every stage: committed, pushed, seen, synced, rolled out, old pods gone, proven?

"Synced and Healthy" alone is no evidence (argo-cd#17408): each stage names the revision or the ReplicaSet. A stage that
has become impossible is FAIL with its cause; one whose state is unknown is INCONCLUSIVE.
"""

from __future__ import annotations

from rollproof.core.event import Outcome
from rollproof.core.facts import Facts
from rollproof.core.reasons import StageCause, code_of
from rollproof.core.rollout import Rollout, find_rollout
from rollproof.core.verdict import Finding, Number, Result, Verdict

__all__ = ["check", "stage_times", "why_failed"]

_LOOK_AT = {  # where the act itself names no object to look at
    StageCause.WRONG_VERSION.value: (
        "was the image of that tag built from that commit? Compare the pods' imageID with the registry's digest"
    ),
}


def check(facts: Facts) -> Verdict:
    """PASS with the time of every stage; FAIL with the cause; INCONCLUSIVE if the end was not seen."""
    act = find_rollout(facts)
    if act is None:
        why = "no release was started"
        return Verdict(checker="release", subject="Release", result=Result.INCONCLUSIVE, why=why)
    subject = f"Release/{act.to_sha or '?'}"
    evidence = tuple(sorted(e.seq for e in (act.started, *act.stages.values(), *([act.failed] if act.failed else []))))
    if act.failed is not None:
        known = act.failed.outcome is Outcome.FAIL
        return Verdict(
            checker="release",
            subject=subject,
            result=Result.FAIL if known else Result.INCONCLUSIVE,
            why=f"{act.to_sha or 'the release'} did not arrive: {act.why_unfinished()}",
            numbers=stage_times(act),
            evidence=evidence,
            findings=why_failed(act),
        )
    if "proven" not in act.stages:
        why = f"the release was not followed to its end: {act.why_unfinished()}"
        return Verdict(
            checker="release", subject=subject, result=Result.INCONCLUSIVE, why=why,
            numbers=stage_times(act), evidence=evidence,
        )  # fmt: skip
    total_s = act.stages["proven"].end_s - act.started.start_s
    return Verdict(
        checker="release",
        subject=subject,
        result=Result.PASS,
        why=f"{act.to_sha} was proven on every pod {total_s:.1f} s after the start",
        numbers=stage_times(act),
        evidence=evidence,
        findings=_superseded(act),
    )


def stage_times(act: Rollout) -> dict[str, Number]:
    """Seconds from the start of the act to the end of each stage that was reached; and from the push to the proof."""
    stages: dict[str, Number] = {
        f"{name.replace('-', '_')}_s": round(event.end_s - act.started.start_s, 3) for name, event in act.stages.items()
    }
    first, proven = act.stages.get("pushed") or act.stages.get("restarted"), act.stages.get("proven")
    if first is not None and proven is not None:
        stages["push_to_proof_s"] = round(proven.end_s - first.end_s, 3)
    return stages


def why_failed(act: Rollout) -> tuple[Finding, ...]:
    """The cause that ended the act, as a finding: ImagePullBackOff is IMAGE_PULL_BACK_OFF."""
    if act.failed is None:
        return ()
    code = code_of(act.cause) or "RELEASE_FAILED"
    hint = act.look_at or _LOOK_AT.get(act.cause, "")
    if act.cause == StageCause.SYNC_FAILED and act.look_at:
        hint += ": status.operationState.syncResult.resources names each object, and why"
    return (Finding(code=code, text=act.why_unfinished(), hint=hint),)


def _superseded(act: Rollout) -> tuple[Finding, ...]:
    if not act.superseded_by:
        return ()
    text = f"Argo CD was already at a later commit ({act.superseded_by[:12]}) that contains ours"
    return (
        Finding(code="SUPERSEDED", text=text, hint="somebody else pushed during the drill: see the env repo's log"),
    )
