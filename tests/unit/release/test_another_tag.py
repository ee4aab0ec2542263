"""A release or a rollback while somebody else sets the tag: whose failure that is, and what is left to undo."""

from __future__ import annotations

from typing import Any

import pytest
from owntime import own_time
from story import NEW, OLD, plan, target

from rollproof.clients.repo import GitError, OtherTagError
from rollproof.core.event import Outcome
from rollproof.core.target import ReleaseSettings
from rollproof.release import deploy, wait

from .scripted import BACK, CLOCK, GOOD, WRONG, Prover, Repo, View, World


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    own_time(monkeypatch, deploy, wait, sleep=lambda _: None, monotonic=CLOCK.monotonic)


class TakenOver(Repo):
    """Somebody else's tag is on top as soon as ours was pushed; `after` more looks see ours first."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def tag(self) -> str:
        if not self.pushed:
            return self.current
        self.left -= 1
        return self.current if self.left >= 0 else "eeeeeee"


def test_a_release_with_another_tag_on_top_is_nobodys_failure() -> None:
    failed = World(View(*GOOD[:2]), repo=TakenOver(0)).release.deploy().failed
    assert failed is not None
    assert (failed.data["cause"], failed.outcome) == ("Superseded", Outcome.UNKNOWN)
    assert "superseded by another tag: the overlay says eeeeeee" in failed.data["reason"]
    assert "ddddddd by robot: newer" in failed.data["reason"]


def test_who_replaced_it_is_asked_at_the_deadline_as_well() -> None:
    """Their tag came after the last look at it: ours was not too slow."""
    none_left = plan(target=target(release=ReleaseSettings(deadline_s=1e-9)))
    failed = World(View(*GOOD[:2]), repo=TakenOver(0), run=none_left).release.deploy().failed
    assert failed is not None
    assert (failed.data["stage"], failed.data["cause"], failed.outcome) == (
        "rolled-out", "Superseded", Outcome.UNKNOWN,
    )  # fmt: skip


def test_who_replaced_what_argo_cd_did_not_look_at_is_asked_at_the_deadline_as_well() -> None:
    """Not only every five seconds: a release whose branch has another tag is not late, it is replaced."""
    failed = World(View(), repo=TakenOver(0)).release.deploy().failed
    assert failed is not None
    assert (failed.data["stage"], failed.data["cause"], failed.outcome) == ("seen", "Superseded", Outcome.UNKNOWN)
    assert "superseded by another tag: the overlay says eeeeeee" in failed.data["reason"]


def test_a_rollback_that_is_overwritten_before_argo_cd_looks_has_failed() -> None:
    """As in every later stage: what an operator has taken back does not stay away."""
    repo = Repo()
    world = World(View(*GOOD), repo=repo)
    deployed = world.release.deploy()
    repo.tag = lambda: OLD if len(repo.pushed) < 2 else NEW  # type: ignore[method-assign]
    rollback = world.release.revert(deployed)
    assert rollback.failed is not None
    assert (rollback.failed.data["stage"], rollback.failed.data["cause"]) == ("seen", "Overwritten")
    assert rollback.failed.outcome is Outcome.FAIL


def test_nobody_is_blamed_at_the_deadline_while_the_git_server_does_not_answer() -> None:
    class Silent(Repo):
        def tag(self) -> str:
            raise GitError("no answer")

    failed = World(View(), repo=Silent()).release.deploy().failed
    assert failed is not None
    assert (failed.data["stage"], failed.data["cause"], failed.outcome) == ("seen", "DeadlineExceeded", Outcome.UNKNOWN)


def test_a_wrong_version_in_the_proof_is_not_ours_if_the_tag_is_not() -> None:
    failed = World(View(*GOOD), repo=TakenOver(0), prover=Prover(WRONG)).release.deploy().failed
    assert failed is not None
    assert failed.data["cause"] == "Superseded"


def test_a_deploy_of_somebody_else_before_our_commit_is_left_as_it_is() -> None:
    world = World(View(*GOOD))
    world.repo.current = "eeeeeee"
    failed = world.release.deploy().failed
    assert failed is not None
    assert (failed.data["stage"], failed.data["cause"], failed.outcome) == ("committed", "Superseded", Outcome.UNKNOWN)
    assert "somebody else set the tag to eeeeeee meanwhile, by commit ddddddd by robot" in failed.data["reason"]
    assert (world.repo.pushed, world.store.lines) == ([], [])


@pytest.mark.parametrize("theirs", ["eeeeeee", NEW])
def test_a_deploy_that_loses_the_race_to_another_leaves_nothing_to_undo(theirs: str) -> None:
    """Not even if their tag is our sha: an undo would take theirs back."""
    world = World(View(*GOOD), repo=Repo(OtherTagError(theirs, OLD, "ddddddd by robot: newer")))
    rollout = world.release.deploy()
    assert rollout.failed is not None
    said = rollout.failed.data
    assert (said["stage"], said["cause"], rollout.failed.outcome) == ("pushed", "Superseded", Outcome.UNKNOWN)
    assert "nothing was pushed" in said["reason"]
    assert [line.get("state") for line in world.store.lines] == [None, "not-needed"]
    assert rollout.revision == ""


def test_a_rollback_of_what_somebody_else_has_replaced_is_nobodys_failure() -> None:
    repo = Repo()
    world = World(View(*GOOD), repo=repo)
    deployed = world.release.deploy()
    repo._errors.append(OtherTagError("eeeeeee", NEW, "ddddddd by robot: newer"))
    rollback = world.release.revert(deployed)
    assert rollback.failed is not None
    assert (rollback.failed.data["cause"], rollback.failed.outcome) == ("Superseded", Outcome.UNKNOWN)
    assert len(repo.pushed) == 1
    assert "state" not in world.store.lines[-1]  # the deploy's undo is still open, and will compare


@pytest.mark.parametrize(("scenes", "stages"), [(BACK[:1], "synced"), (BACK, "proven")])
def test_a_rollback_that_is_overwritten_has_failed_even_if_it_came_back(scenes: Any, stages: str) -> None:
    repo = Repo()
    world = World(View(*GOOD, *scenes), repo=repo)
    deployed = world.release.deploy()
    repo.tag = lambda: OLD if len(repo.pushed) < 2 else NEW  # type: ignore[method-assign]
    rollback = world.release.revert(deployed)
    assert rollback.failed is not None
    assert (rollback.failed.data["cause"], rollback.failed.outcome) == ("Overwritten", Outcome.FAIL)
    assert next(reversed(rollback.stages)) == stages


class SilentAfter(Repo):
    """The git server stops to answer after so many pushes, for `away` questions."""

    def __init__(self, pushes: int, away: int = 10**6) -> None:
        super().__init__()
        self.pushes, self.away = pushes, away

    def tag(self) -> str:
        if len(self.pushed) >= self.pushes and self.away > 0:
            self.away -= 1
            raise GitError("no answer")
        return self.current


@pytest.mark.parametrize(("away", "cause"), [(10**6, "TagUnread"), (3, None)])
def test_whether_a_rollback_stays_is_unknown_while_nobody_can_say_whose_the_tag_is(
    away: int, cause: str | None
) -> None:
    """It was a PASS: the last look was left out where the git server did not answer."""
    repo = SilentAfter(2, away)
    patient = plan() if cause is None else None
    world = World(View(*GOOD, *BACK), repo=repo, run=patient)
    rollback = world.release.revert(world.release.deploy())
    assert rollback.proven
    assert (rollback.failed and rollback.failed.data["cause"]) == cause
    if rollback.failed is not None:
        assert (rollback.failed.data["stage"], rollback.failed.outcome) == ("proven", Outcome.UNKNOWN)
        said = f"{OLD} was proven, and whether its tag is still there is not known: no answer"
        assert rollback.failed.data["reason"] == said


def test_a_wrong_version_is_nobodys_while_nobody_can_say_whose_the_tag_is() -> None:
    failed = World(View(*GOOD), repo=SilentAfter(1), prover=Prover(WRONG)).release.deploy().failed
    assert failed is not None
    assert (failed.data["cause"], failed.outcome) == ("TagUnread", Outcome.UNKNOWN)
    assert failed.data["reason"].startswith(WRONG.why)
