"""A20: a last look that nobody can take is INCONCLUSIVE, told apart from a change that is still there."""

from __future__ import annotations

from pathlib import Path

import pytest
import story
from recorder import ListRecorder
from story import Story

from rollproof.clients.repo import GitError
from rollproof.core.event import Outcome
from rollproof.core.reasons import StageCause
from rollproof.core.target import ReleaseSettings
from rollproof.core.verdict import Result
from rollproof.judge.checkers import undo
from rollproof.release.wait import StageFailedError
from rollproof.run import teardown
from rollproof.store.journal import FolderStore, Journal, Undone


class Repo:
    """git is as before."""

    def tag(self) -> str:
        return story.OLD


class Release:
    """Never at rest; `why` is what keeps anybody from looking."""

    def __init__(self, why: str) -> None:
        self.why = why

    def settle(self, _sha: str, *, deadline_s: float) -> None:
        raise StageFailedError("settled", StageCause.DEADLINE_EXCEEDED, f"waited {deadline_s:g} s")

    def why_unseen(self, _sha: str) -> str:
        return self.why


@pytest.mark.parametrize(
    ("why", "how", "outcome"),
    [("ComparisonError: connection refused", "left", Outcome.UNKNOWN), ("", "failed", Outcome.FAIL)],
)
def test_a20_who_could_not_look_has_seen_no_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str, how: str, outcome: Outcome
) -> None:
    monkeypatch.setattr(teardown, "_REST_S", 0.0)
    plan = story.plan(target=story.target(release=ReleaseSettings(deadline_s=0.01)))
    recorder = ListRecorder()
    journal = Journal(FolderStore(tmp_path / "undo.jsonl"), recorder)
    ended = teardown.look_whether_as_before(
        plan, journal.begin_look(story.OLD), release=Release(why), repo=Repo(), journal=journal, status=lambda _: None,  # type: ignore[arg-type]
    )  # fmt: skip
    assert (ended.how, recorder.events[-1].outcome) == (how, outcome)
    assert ("nobody could look" in recorder.events[-1].data["reason"]) == bool(why)


class Replaced(Repo):
    """Somebody sets another tag after the first look at it."""

    def __init__(self) -> None:
        self.looks = 0

    def tag(self) -> str:
        self.looks += 1
        return story.OLD if self.looks == 1 else "eeeeeee"


class Unanswered(Repo):
    """The git server answers once."""

    def __init__(self) -> None:
        self.looks = 0

    def tag(self) -> str:
        self.looks += 1
        if self.looks > 1:
            raise GitError("no answer")
        return story.OLD


@pytest.mark.parametrize(
    ("repo", "how", "why"),
    [(Replaced(), "left", "somebody deployed after us"), (Unanswered(), "failed", "not as before: settled")],
)
def test_what_somebody_else_deploys_in_the_last_seconds_is_no_undo_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repo: Repo, how: str, why: str
) -> None:
    """Their version runs at the end, and is nobody's to take back: exit code 3, and not 4."""
    monkeypatch.setattr(teardown, "_REST_S", 0.0)
    plan = story.plan(target=story.target(release=ReleaseSettings(deadline_s=1e-9)))
    journal = Journal(FolderStore(tmp_path / "undo.jsonl"), ListRecorder())
    ended = teardown.look_whether_as_before(
        plan, journal.begin_look(story.OLD), release=Release(""), repo=repo, journal=journal, status=lambda _: None,  # type: ignore[arg-type]
    )  # fmt: skip
    assert (ended.how, ended.reason.startswith(why)) == (how, True)
    assert ended.found == ("eeeeeee" if how == "left" else None)


def test_a20_the_verdict_blames_nobody_for_it() -> None:
    told = Story().tell("undo", "Undo/check", "written", at=1)
    told.tell("undo", "Undo/check", "left", at=2, outcome=Outcome.UNKNOWN, reason="nobody could look: ComparisonError")
    verdict = undo.check(told.facts())
    assert verdict.result is Result.INCONCLUSIVE
    assert verdict.why == "Undo/check could not be verified: nobody could look: ComparisonError"
    assert [finding.code for finding in verdict.findings] == ["NOT_SEEN"]


class Mended(Release):
    """At rest once the pods that hang were replaced."""

    def __init__(self) -> None:
        super().__init__("")
        self.renewed = 0

    def renew(self) -> tuple[str, ...]:
        self.renewed += 1
        return ("web-1",)

    def settle(self, sha: str, *, deadline_s: float) -> None:
        if not self.renewed:
            super().settle(sha, deadline_s=deadline_s)


@pytest.mark.parametrize(("kind", "how", "renewed"), [("database-lost", "done", 1), ("field-drift", "failed", 0)])
def test_what_a_fault_has_left_hanging_is_replaced_once_and_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, how: str, renewed: int
) -> None:
    monkeypatch.setattr(teardown, "_REST_S", 0.01 if how == "failed" else 60.0)
    monkeypatch.setattr(teardown, "_RENEW_S", 0.0)
    plan = story.plan(target=story.target(release=ReleaseSettings(deadline_s=0.01)))
    recorder, release = ListRecorder(), Mended()
    journal = Journal(FolderStore(tmp_path / "undo.jsonl"), recorder)
    journal.settle(journal.write(kind, "Pod/shop/web-1", {}), Undone("done"))
    ended = teardown.look_whether_as_before(
        plan, journal.begin_look(story.OLD), release=release, repo=Repo(), journal=journal, status=lambda _: None,  # type: ignore[arg-type]
        renew=release.renew,
    )  # fmt: skip
    assert (ended.how, release.renewed) == (how, renewed)
    assert ("web-1 did not serve any more, and had to be replaced" in ended.reason) == bool(renewed)
