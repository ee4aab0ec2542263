"""Histories for the golden of verdicts: a version that is known to be bad was released, and taken back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from story import NEW, OLD, Story

from rollproof.core.event import Outcome

__all__ = ["bad_release", "bad_releases"]

FAIL, UNKNOWN = Outcome.FAIL, Outcome.UNKNOWN
RELEASE = f"Release/{NEW}"
Told = Iterator[tuple[str, Story]]


def bad_release(
    kind: str = "crash_loop", cause: str = "CrashLoopBackOff", *, named_at: float = 110.0, outcome: Outcome = FAIL,
    stage: str = "rolled-out", back: str = "proven", **words: Any,
) -> Story:  # fmt: skip
    """Pushed at 100.5 s, called bad at `named_at` (cause "": never), taken back from 1 s later up to the stage `back`.

    The old pods stay; one bad pod comes, and is gone at the end. `back` "": it was not taken back.
    """
    old = [{"name": n, "uid": f"uid-{n}", "template_hash": f"hash-{OLD}"} for n in ("old-1", "old-2")]
    told = Story("bad-release").tell(
        "release", RELEASE, "started", at=100, old_sha=OLD, new_sha=NEW, bad=kind, old_pods=old
    )
    told.stages(until="synced").pod("bad-1", "added", at=103, sha=NEW)
    if cause:
        reason = {"reason": "pod bad-1 is in it", "look_at": "its log", **words}
        told.tell("release", RELEASE, "failed", at=named_at, outcome=outcome, stage=stage, cause=cause, **reason)
    if not back:
        return told
    subject, since = f"Rollback/{OLD}", named_at + 1
    bad = [{"name": "bad-1", "uid": "uid-bad-1", "template_hash": f"hash-{NEW}"}]
    told.tell("rollback", subject, "started", at=since, old_sha=OLD, new_sha=NEW, reverts="c" * 40, old_pods=bad)
    for i, what in enumerate(("committed", "pushed", "seen", "synced", "rolled-out", "old-gone", "proven"), start=1):
        if what == "old-gone":
            told.pod("bad-1", "deleted", at=since + i, sha=NEW)
        told.tell("rollback", subject, what, at=since + i, commit="d" * 40, revision="d" * 40)
        if what == back:
            break
    return told


def bad_releases() -> Told:
    yield "no release", Story()
    yield "a release that nobody called bad", Story().release_started().pods_replaced().stages()
    yield "called bad in time", bad_release()
    yield "exactly in time", bad_release(named_at=160.5)
    yield "called bad late", bad_release(named_at=160.6)
    yield "called bad late, and nothing to be seen before", bad_release(named_at=162, not_before_s=160.6)
    yield "called bad late, or in time within a look", bad_release(named_at=162, not_before_s=160.4)
    yield "called bad in time, and looked for", bad_release(not_before_s=109.0)
    yield "its image is missing", bad_release("image_missing", "ImagePullBackOff")
    yield "another platform, pulled", bad_release("wrong_platform", "CrashLoopBackOff")
    yield "never ready, said by the platform", bad_release("never_ready", "ProgressDeadlineExceeded", named_at=700)
    yield "never ready, and nobody said so in time", bad_release("never_ready", "DeadlineExceeded", named_at=760.5)
    late = bad_release("never_ready", "DeadlineExceeded", named_at=763, not_before_s=761)
    yield "never ready, and looked for until its limit", late
    early = bad_release("never_ready", "DeadlineExceeded", named_at=763, not_before_s=760)
    yield "never ready, and the last look began before its limit", early
    yield "never ready, and we waited too short", bad_release("never_ready", "DeadlineExceeded", named_at=280)
    wrong = {"stage": "proven", "reason": "Ingress: version x instead of y"}
    yield "another version", bad_release("wrong_version", "WrongVersion", **wrong)
    yield "a setting is missing", bad_release("config_missing", "CreateContainerConfigError")
    yield "bad for another reason", bad_release("image_missing", "CrashLoopBackOff")
    yield "lost sight of", bad_release(cause="NoAnswer", outcome=UNKNOWN)
    yield "of a kind that nobody knows", bad_release("haunted")
    yield "not followed", bad_release(cause="", back="")
    good = bad_release(cause="", back="").pods_replaced()
    yield "it was not bad at all", good.tell("release", RELEASE, "proven", at=125)
