"""The legs before the env commit: the app's commit, the run of the pipeline, lint and tests, and the scan."""

from __future__ import annotations

from collections.abc import Sequence

from rollproof.core.pipeline import EnvCommitSeen, PartSeen, RunSeen
from rollproof.core.verdict import Result
from rollproof.judge.checkers.pipeline.base import Said, Way, broken, skipped, sound, unclear

__all__ = ["commit", "scan_jobs", "started", "tested"]

_SHORT = 7  # digits of git's short sha, at least
_NO_ACTIONS = "the target file names no repository of the app (pipeline.actions.repository)"
_GOOD = "success"
_NEVER_S = 1e18  # an end that nobody says
_GREEN = "the run may be green all the same: a skipped job does not fail it"


def commit(way: Way) -> Said:
    """The tag is the short sha of a commit of the app."""
    if not way.road.target.pipeline.actions.repository:
        return skipped(_NO_ACTIONS)
    tag, run = way.road.view(EnvCommitSeen).tag, way.road.view(RunSeen)
    if len(tag) < _SHORT or not run.sha.startswith(tag):
        why = f"the tag {tag} is no short sha: it names the commit {run.sha[:10]}"
        return broken("TAG_IS_NO_SHA", why, "tag the image with the short sha of its commit", run.committed_s)
    return sound(f"{tag} is the commit {run.sha[:10]}", run.committed_s)


def started(way: Way) -> Said:
    """There is a run for that commit, and it has succeeded."""
    if not way.road.target.pipeline.actions.repository:
        return skipped(_NO_ACTIONS)
    run, workflow = way.road.view(RunSeen), way.road.target.pipeline.actions.workflow
    if not run.number:
        why = f"there is no run of {workflow or 'any workflow'} for {run.sha[:10]}, and its version is in git"
        return broken("NO_RUN", why, "was it deployed by hand? Is pipeline.actions.workflow the file's name?")
    name = f"run {run.number} of {run.path.rpartition('/')[2] or 'a workflow'}, attempt {run.attempt},"
    if run.status != "completed":
        return unclear(f"{name} is {run.status}", run.started_s)
    if run.conclusion != "success":
        hint = "a run that failed must not have brought its version into git: look at the order of its jobs"
        return broken("RUN_FAILED", f"{name} ended as {run.conclusion}, and its version is in git", hint, run.started_s)
    return sound(f"{name} ended as success", run.started_s)


def tested(way: Way) -> Said:
    """Each job of lint and tests has succeeded."""
    names = way.road.target.pipeline.actions.test_jobs
    if not way.road.target.pipeline.actions.repository:
        return skipped(_NO_ACTIONS)
    return _done(way.road.view(RunSeen), names, "test_jobs", "NOT_TESTED")


def scan_jobs(way: Way) -> Said:
    """The scan has really run and succeeded, before the tag was committed."""
    names = way.road.target.pipeline.actions.scan_jobs
    if not way.road.target.pipeline.actions.repository:
        return skipped(_NO_ACTIONS)
    said = _done(way.road.view(RunSeen), names, "scan_jobs", "NOT_SCANNED")
    if said.result is not Result.PASS:
        return said
    if said.end_s is None:
        return unclear(f"{said.why}; when is not said, and so not whether that was before the tag was committed")
    early_s = said.end_s - way.road.view(EnvCommitSeen).committed_s
    if early_s > way.slack_s:
        why = f"the tag was committed {early_s:,.0f} s before the scan had ended"
        hint = "let the job that commits the tag need the scan (`needs:`): what it finds is live already"
        return broken("COMMITTED_BEFORE_SCAN", why, hint, said.end_s)
    if early_s > 0:
        return unclear(
            f"the tag was committed {early_s:,.0f} s before the scan's end: the clocks may be apart", said.end_s
        )
    return sound(f"{said.why}; {-early_s:,.0f} s before the tag was committed", said.end_s)


def _done(run: RunSeen, names: Sequence[str], setting: str, code: str) -> Said:
    """Whether each of these jobs or steps has succeeded in some attempt; over when the last of them first had."""
    if not names:
        return skipped(f"the target file names no such job (pipeline.actions.{setting})")
    ends_s: list[float] = []
    for name in names:
        found = [part for part in run.parts if part.name == name or part.name.startswith(f"{name} (")]  # of a matrix
        if not found:
            there = ", ".join(dict.fromkeys(part.name for part in run.parts if "/" not in part.name)) or "none"
            return unclear(f"the run has no job or step {name!r} (its jobs: {there})")
        bad = [each for each in dict.fromkeys(part.name for part in found) if not _good(found, each)]
        if bad:
            last = [part for part in found if part.name == bad[0] and part.conclusion != _GOOD][-1]
            if last.status != "completed":
                return unclear(f"{bad[0]} is {last.status}")
            return broken(code, f"{bad[0]} ended as {last.conclusion or 'nothing'}, and its version is in git", _GREEN)
        ends_s += [_first_end_s(_good(found, each)) for each in dict.fromkeys(part.name for part in found)]
    return sound(f"{', '.join(names)} succeeded", max(ends_s) if max(ends_s) < _NEVER_S else None)


def _good(found: Sequence[PartSeen], name: str) -> list[PartSeen]:
    """Those that succeeded, of attempts in which all of that name did: steps of one job may share a name."""
    bad = {part.attempt for part in found if part.name == name and part.conclusion != _GOOD} - {0}
    return [part for part in found if part.name == name and part.conclusion == _GOOD and part.attempt not in bad]


def _first_end_s(good: Sequence[PartSeen]) -> float:
    """When the last of the first attempt was over; where no attempt is known, the first of all."""
    ends_s: dict[int, float] = {}
    for number, part in enumerate(good):
        attempt, end_s = part.attempt or -number, part.ended_s if part.ended_s is not None else _NEVER_S
        ends_s[attempt] = max(ends_s.get(attempt, end_s), end_s)
    return min(ends_s.values())
