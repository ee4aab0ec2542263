"""Deploy race: right after a release was pushed, another one is pushed from a clone that does not know of it.

Its push is refused, made again on top of the newest commit as pipelines do, and taken. Only the last version may end up
running. The second release is taken back then by a revert, so that the first one is what the drill goes on with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from rollproof.clients.repo import Commit, OtherTagError
from rollproof.core.blast import Blast
from rollproof.core.injection import Injection, Skip
from rollproof.core.permission import Permission
from rollproof.core.target import Target
from rollproof.errors import CannotJudgeError
from rollproof.faults.base import Context, Effect, Fault, Injected, LiveContext, Void, Ways
from rollproof.faults.delivery import asked_within_s, look_at_git
from rollproof.faults.rolledout import declares, only_version
from rollproof.store.journal import Undone

__all__ = ["FAULT", "DeployRace"]


class DeployRace(Fault):
    """The last of `release.shas` against the release of the drill.

    in_sync: it is pushed when Argo CD has begun to sync the first one, so that pods of both are on their way; else at
    once, and Argo CD may never see the first.
    """

    name = "deploy-race"
    affects_traffic = True
    peers = "none"
    kinds: frozenset[str] = frozenset()
    in_sync: ClassVar[bool] = False

    def permissions(self, target: Target) -> Iterable[Permission]:  # noqa: ARG002 - it pushes, as the release does
        """None of the API."""
        return ()

    def available(self, context: Context) -> Injection | Skip:
        """Which version races, where two more than the one that runs are known."""
        release, cluster = context.target.release, context.target.cluster
        if release.mode != "push":
            return context.skip(self, "release.mode is not push: it is its pipeline that pushes")
        running = context.env_repo.tag()
        others = [sha for sha in release.shas if sha != running]
        if len(others) < 2:
            return context.skip(self, f"release.shas names {len(others)} versions beside {running}, and two must race")
        rival, polled_s = others[-1], asked_within_s(context)
        when = "when Argo CD syncs the first" if self.in_sync else "at once"
        return context.injection(
            self, f"Deployment/{cluster.namespace}/{cluster.deployment}",
            args={"namespace": cluster.namespace, "from": running, "to": rival},
            change=f"a second release, of {rival}, pushed from a stale clone, {when}",
            undo="that commit is reverted, if its tag is still there", effect_after_s=polled_s,
            recovery_after_s=polled_s,
        )  # fmt: skip

    def blast(self, injection: Injection, target: Target) -> Blast:  # noqa: ARG002 - a rollout takes nothing away
        """A rollout, which takes away no more pods than its own strategy allows."""
        return Blast(pods=0)

    def brings(self, injection: Injection) -> str:
        """The second release."""
        return str(injection.args["to"])

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """The first release must be of a third version."""
        if live.sha == injection.args["from"]:
            return f"no release was pushed: {live.sha} is the version from before"
        if live.sha == injection.args["to"]:
            return f"the first release is of {live.sha} as well: name another one with --sha"
        return ""

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """A commit on top of what the clone knew before the first push; its push; again on top of the newest."""
        before, rival, repo = injection.args["from"], injection.args["to"], live.env_repo
        if self.in_sync and not self._has_begun(live):
            return Void(f"Argo CD has not begun to sync {live.sha} within {injection.effect_within_s:g} s")
        message = f"rollproof: {self.name}, a second release, of {rival}"

        def make() -> Commit:
            return repo.set_tag(rival, expected=live.sha, message=message)

        try:
            stale = repo.set_tag(rival, expected=before, message=message, stale=True)
        except OtherTagError:
            return Void("the clone knows the first release already, so that nothing would be raced for")
        pushed = repo.push(make, stale)
        if pushed.attempts < 2:
            raise CannotJudgeError(f"the push from the stale clone was taken, and {live.sha} is not in its history")
        return Injected()

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """The Deployment is declared with the second version."""
        if declares(live, injection.args["to"]):
            return Effect(f"{injection.subject} is declared with {injection.args['to']}, pushed after {live.sha}")
        look_at_git(live)
        return None

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """Every pod runs the second version and is ready; none of another version is left, also not terminating."""
        return only_version(live, injection.args["to"])

    def undo_by(self, ways: Ways, args: Mapping[str, Any]) -> Undone:
        """A revert of that one commit, on top of the newest. Another tag by now is nobody's to replace."""
        repo, rival = ways.repo, str(args["to"])
        if repo is None:
            return Undone("failed", reason="there is no way to the env repo")
        if (tag := repo.tag()) != rival:
            return Undone("not-needed", reason=f"the overlay says {tag}, and not {rival}")
        theirs = repo.who_set(rival)

        def make() -> Commit:
            return repo.revert(theirs, message=f"rollproof: undo of {self.name}, {rival} is taken back")

        try:
            repo.push(make, make())
        except OtherTagError as error:
            return Undone("left", reason="somebody changed the tag after us", expected=rival, found=error.found)
        return Undone("done", reason=f"{theirs[:12]} is reverted")

    def _has_begun(self, live: LiveContext) -> bool:
        """Whether a sync has brought the first version to the Deployment; waited for."""

        def look() -> bool | None:
            if declares(live, live.sha):
                return True
            look_at_git(live)
            return None

        within_s = live.target.faults.effect_within_s + asked_within_s(live)
        return live.watches.poll(look, timeout_s=within_s) is not None


FAULT = DeployRace()
