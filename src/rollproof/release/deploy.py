"""Release: deploys a version by a commit to the env repo, follows it stage by stage, and reverts it.

Every stage that ends is one fact; the first that fails ends the rollout, which is recorded as a fact and raises
nothing: the checkers judge it. The tag from before is in the undo journal before the push. It must never replace
a tag that somebody else has set meanwhile, nor change the cluster directly, except for the restart that replaces
a release when there is nothing new to deploy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from rollproof.clients.argo import Argo
from rollproof.clients.kube import STRATEGIC, Kube
from rollproof.clients.repo import Commit, EnvRepo, GitError, OtherTagError, PushRefusedError
from rollproof.core.event import Event, Outcome, Recorder
from rollproof.core.plan import Plan
from rollproof.core.reasons import BadKind, StageCause
from rollproof.errors import AbortedError, CannotJudgeError, RollproofError, UnansweredError
from rollproof.probes.keeping import WITHIN_ABORTED_S, WITHIN_S
from rollproof.probes.proof import Prover
from rollproof.probes.views import image_tag
from rollproof.probes.watches import Watches
from rollproof.release.wait import StageFailedError, Waits
from rollproof.store.journal import Entry, Journal, Undone

__all__ = ["TAG_KIND", "Release", "Rollout", "restore_tag"]

TAG_KIND = "env-repo-tag"  # undo: the overlay's tag is set back, if it is still ours
_AGAIN_S = 2.0

_NOTHING_PUSHED = (
    StageCause.SUPERSEDED,
    StageCause.PUSH_REFUSED,
    StageCause.PUSH_FAILED,
)  # if each attempt had an answer

_POD_STAGES = frozenset({"rolled-out", "old-gone", "proven"})  # stages that pods keep from their end

T = TypeVar("T")


@dataclass(slots=True)
class Rollout:
    """One deploy or revert. `stages`: events of the stages that ended well; `failed`: what ended it, and why.

    `reverted`: of a deploy, that a commit which takes it back was pushed since.
    """

    source: str  # "release" or "rollback"
    subject: str
    from_sha: str
    to_sha: str
    old_uids: frozenset[str]
    old_templates: frozenset[str]
    revision: str = ""
    template: str = ""
    stages: dict[str, Event] = field(default_factory=dict)
    failed: Event | None = None
    reverted: bool = False

    @property
    def proven(self) -> bool:
        """Whether it passed every stage."""
        return "proven" in self.stages

    @property
    def old_gone_s(self) -> float | None:
        """When the last old pod was gone (seconds, monotonic clock), or None if that was not seen."""
        event = self.stages.get("old-gone")
        return event.end_s if event else None


class Release:
    """The deploys and reverts of one run. `status(text)` shows on the console what is being waited for.

    `keep(seconds)` reads what pods that did not come up say, before anything takes them away (`probes.keeping`).
    """

    def __init__(
        self, plan: Plan, *, kube: Kube, argo: Argo, repo: EnvRepo, view: Watches, prover: Prover,
        recorder: Recorder, journal: Journal, status: Callable[[str], None] = lambda _: None,
        keep: Callable[[float], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._plan, self._keep = plan, keep
        self._kube, self._argo, self._repo = kube, argo, repo
        self._view, self._prover = view, prover
        self._recorder, self._journal, self._status = recorder, journal, status
        self._unanswered = False  # an attempt of the last push had no answer: it may have been carried out

    def deploy(self, *, after_push: Callable[[], None] | None = None) -> Rollout:
        """Bring the plan's new sha: by our commit, by a commit of its pipeline, or by a restart if it runs already.

        `after_push` is called as soon as a commit of ours was accepted, and the rollout is followed after it; its time
        is none of the release's deadline.
        """
        plan = self._plan
        rollout = self._begin("release", plan.old_sha, plan.new_sha)
        settings = plan.target.release
        patience_s = settings.bad.limit_s(BadKind(plan.bad)) + _AGAIN_S if plan.bad else 0.0
        waits = self._waits(rollout, max(settings.deadline_s, patience_s))
        if plan.restart:
            return self._follow(rollout, waits, lambda: self._restart(rollout, waits))
        if settings.mode == "observe":
            return self._follow(rollout, waits, lambda: self._observe(rollout, waits))

        def make() -> Commit:
            message = f"rollproof: release {rollout.to_sha} ({plan.run_id})"
            return self._repo.set_tag(rollout.to_sha, expected=rollout.from_sha, message=message)

        def push() -> None:
            waits.refuse_not_compared("committed")
            self._commit_and_push(rollout, waits, make)
            if after_push is not None:
                begun_s = time.monotonic()
                after_push()
                waits.extend(time.monotonic() - begun_s)

        return self._follow(rollout, waits, push)

    def revert(self, deployed: Rollout) -> Rollout:
        """Take a deploy back by `git revert`: a new commit with the tree from before.

        CannotJudgeError if no commit was pushed that could be reverted.
        """
        if not deployed.revision:
            raise CannotJudgeError("there is no release to take back: the deploy was not pushed")
        data = {"reverts": deployed.revision}
        rollout = self._begin("rollback", deployed.to_sha, deployed.from_sha, data)
        waits = self._waits(rollout, self._plan.target.rollback.deadline_s)
        message = f"rollproof: roll back to {rollout.to_sha} ({self._plan.run_id})"

        def make() -> Commit:
            return self._repo.revert(deployed.revision, message=message)

        self._follow(rollout, waits, lambda: self._commit_and_push(rollout, waits, make))
        deployed.reverted = bool(rollout.revision)
        return rollout

    def settle(self, sha: str, *, deadline_s: float) -> None:
        """Wait until the branch's newest revision is synced and only `sha` runs. StageFailedError if it does not."""
        waits = Waits(self._plan.target, self._view, deadline_s=deadline_s)
        head = self._repo.head()
        contains = self._contains(head)
        waits.seen(head, self._argo, contains)
        waits.at_rest("settled", head, contains, sha)
        template = waits.rolled_out(sha, frozenset())
        waits.old_gone(template, frozenset())

    def why_unseen(self, sha: str) -> str:
        """Why it is unknown whether `sha` is synced, although nothing contradicts it; "" if it can be known.

        That is so when Argo CD cannot compare, and the Deployment names only this version.
        """
        deployment = self._view.deployment()
        images = [pod.image for pod in self._view.pods().values()]
        if deployment is None or any(image_tag(image) != sha for image in (deployment.image, *images)):
            return ""
        return self._view.application().why_not_compared

    # -- stages ---------------------------------------------------------------------------------------------------

    def _begin(self, source: str, from_sha: str, to_sha: str, data: Mapping[str, Any] | None = None) -> Rollout:
        pods = {name: pod for name, pod in self._view.pods().items() if not pod.terminating}
        if source == "rollback":  # pods of the old version, left by a bad release, need no replacement
            pods = {name: pod for name, pod in pods.items() if image_tag(pod.image) != to_sha}
        deployment = self._view.deployment()
        subject = f"{'Release' if source == 'release' else 'Rollback'}/{to_sha}"
        release = source == "release"
        self._recorder.record(
            source, subject, "started",
            data={
                "old_sha": from_sha if release else to_sha, "new_sha": to_sha if release else from_sha,
                "mode": self._plan.target.release.mode, "restart": self._plan.restart and release,
                "bad": self._plan.bad if release else "",
                "old_pods": [
                    {"name": name, "uid": pod.uid, "template_hash": pod.template_hash} for name, pod in pods.items()
                ],
                "deployment_uid": deployment.uid if deployment else "", **(data or {}),
            },
        )  # fmt: skip
        return Rollout(
            source=source, subject=subject, from_sha=from_sha, to_sha=to_sha,
            old_uids=frozenset(pod.uid for pod in pods.values()),
            old_templates=frozenset(pod.template_hash for pod in pods.values()),
        )  # fmt: skip

    def _waits(self, rollout: Rollout, deadline_s: float) -> Waits:
        return Waits(
            self._plan.target, self._view, deadline_s=deadline_s,
            still_ours=lambda stage: self._still_ours(rollout, stage),
        )  # fmt: skip

    def _still_ours(self, rollout: Rollout, stage: str) -> None:
        """Refuse to go on if the branch has another tag now: what follows is the rollout of somebody else."""
        with suppress(GitError):  # the git server does not answer for a moment; the wait asks again
            self._refuse_other_tag(rollout, stage)

    def _surely_ours(self, rollout: Rollout, waits: Waits, but: str) -> None:
        """The same as the last look: nobody asks again after it, so that a tag that cannot be read is unknown."""
        look = partial(self._refuse_other_tag, rollout, "proven")
        self._with_git(
            waits, "proven", look, StageCause.TAG_UNREAD, f"{but}, and whether its tag is still there is not known: "
        )

    def _refuse_other_tag(self, rollout: Rollout, stage: str) -> None:
        """That makes a release INCONCLUSIVE; a rollback that is overwritten has failed. GitError: no answer."""
        tag = self._repo.tag()
        if tag == rollout.to_sha:
            return
        who = self._repo.who_changed()
        back = rollout.source == "rollback"
        cause, outcome = (StageCause.OVERWRITTEN, Outcome.FAIL) if back else (StageCause.SUPERSEDED, Outcome.UNKNOWN)
        what = "overwritten" if back else "superseded by another tag"
        reason = f"{what}: the overlay says {tag} and no longer {rollout.to_sha}, by commit {who}"
        hint = "is an image updater or a pipeline at work? Stop it before a rollback" if back else "repeat the drill"
        raise StageFailedError(stage, cause, reason, outcome=outcome, look_at=hint)

    def _follow(self, rollout: Rollout, waits: Waits, act: Callable[[], None]) -> Rollout:
        """All stages in order. A failure is recorded; the rollout is returned with the stages that ended."""
        try:
            act()
            if rollout.revision:
                self._follow_revision(rollout, waits)
            self._status(f"rollout of {rollout.to_sha}")
            begun_s = time.monotonic()
            rollout.template = waits.rolled_out(rollout.to_sha, rollout.old_templates)
            deployment = self._view.deployment()
            data = {"template_hash": rollout.template, "replicas": deployment.spec_replicas if deployment else None}
            self._stage(rollout, "rolled-out", begun_s, data)
            self._status("the last old pod to go")
            begun_s = time.monotonic()
            uids = waits.old_gone(rollout.template, rollout.old_uids)
            self._stage(rollout, "old-gone", begun_s, {"uids": uids})
            self._prove(rollout, waits)
            if rollout.source == "rollback":
                self._surely_ours(rollout, waits, f"{rollout.to_sha} was proven")
        except StageFailedError as error:
            self._fail(rollout, waits, error)
            if error.stage == "rolled-out":
                self._ask_unready(rollout)
            if error.stage in _POD_STAGES:
                self._keep(WITHIN_S)
        except RollproofError as error:
            stage = next(reversed(rollout.stages), "started")
            cause = StageCause.ABORTED if isinstance(error, AbortedError) else type(error).__name__
            unknown = StageFailedError(stage, cause, str(error), outcome=Outcome.UNKNOWN, look_at=error.hint)
            self._fail(rollout, waits, unknown)
            if cause is StageCause.ABORTED:
                self._keep(WITHIN_ABORTED_S)
        return rollout

    def _follow_revision(self, rollout: Rollout, waits: Waits) -> None:
        self._status(f"Argo CD to see {rollout.revision[:12]}")
        begun_s = time.monotonic()
        contains = self._contains(rollout.revision)
        seen = waits.seen(rollout.revision, self._argo, contains)
        if seen.asked:
            self._recorder.record(
                rollout.source, rollout.subject, "refresh-asked", start_s=begun_s, data={"count": seen.asked}
            )
        self._stage(rollout, "seen", begun_s, {"revision": seen.revision, "superseded": seen.superseded})
        self._status(f"Argo CD to sync {seen.revision[:12]}")
        begun_s = time.monotonic()
        state = waits.synced(seen.revision, rollout.to_sha, contains)
        self._stage(rollout, "synced", begun_s, {"operation_revision": state.operation_revision})

    def _commit_and_push(self, rollout: Rollout, waits: Waits, make: Callable[[], Commit]) -> None:
        begun_s = time.monotonic()
        commit = self._with_git(waits, "committed", make)
        data: dict[str, Any] = {"commit": commit.revision, "parent": commit.parent}
        data |= {"path": commit.path, "line": commit.line, "line_number": commit.line_number}
        data |= {"reverted": rollout.from_sha, "forward": commit.forward} if rollout.source == "rollback" else {}
        self._stage(rollout, "committed", begun_s, data)
        entry: Entry | None = None
        self._journal.allow()
        if rollout.source == "release":  # a revert needs no entry of its own: the deploy's covers it
            env_repo = self._plan.target.env_repo
            subject = f"{env_repo.url} {env_repo.branch}: {commit.path}"
            args = {"from": rollout.from_sha, "to": rollout.to_sha, "commit": commit.revision}
            entry = self._journal.write(TAG_KIND, subject, args)
        begun_s, self._unanswered = time.monotonic(), False
        try:
            pushed = self._with_git(waits, "pushed", lambda: self._repo.push(make, commit))
        except StageFailedError as error:
            sure = error.cause in _NOTHING_PUSHED and not self._unanswered
            if entry is not None and sure:  # their tag may equal our sha: then the undo must not replace it
                self._journal.settle(entry, Undone("not-needed", reason="nothing was pushed"))
            elif entry is not None:
                self._journal.gave_up(entry)
            raise
        if entry is not None:
            self._journal.made(entry)
        rollout.revision = pushed.revision
        self._stage(rollout, "pushed", begun_s, {"commit": pushed.revision, "attempts": pushed.attempts})

    def _with_git(
        self, waits: Waits, stage: str, action: Callable[[], T], cause: StageCause = StageCause.PUSH_FAILED,
        but: str = "",
    ) -> T:  # fmt: skip
        """Run the action; while the git server does not answer, again, because a short outage must not end a drill."""
        while True:
            try:
                return action()
            except PushRefusedError as error:
                raise StageFailedError(
                    stage, StageCause.PUSH_REFUSED, str(error), outcome=Outcome.UNKNOWN, look_at=error.hint
                ) from None
            except OtherTagError as error:
                raise StageFailedError(
                    stage, StageCause.SUPERSEDED, str(error), outcome=Outcome.UNKNOWN, look_at=error.hint
                ) from None
            except (GitError, UnansweredError) as error:
                self._unanswered |= isinstance(error, UnansweredError)  # any other error means that nothing was sent
                if waits.left_s <= _AGAIN_S:
                    raise StageFailedError(
                        stage, cause, f"{but}{error}", outcome=Outcome.UNKNOWN, look_at=error.hint
                    ) from None
                self._status("the git server to answer")
                time.sleep(_AGAIN_S)

    def _observe(self, rollout: Rollout, waits: Waits) -> None:
        """Wait until somebody else's commit names the sha."""
        self._status(f"a commit of {rollout.to_sha} by its pipeline")
        begun_s = time.monotonic()
        while (tag := self._with_git(waits, "committed", self._repo.tag)) != rollout.to_sha:
            if not waits.left_s:
                reason = f"nobody set the tag to {rollout.to_sha} in time; the overlay says {tag}"
                raise StageFailedError("committed", StageCause.DEADLINE_EXCEEDED, reason, outcome=Outcome.UNKNOWN)
            time.sleep(min(_AGAIN_S, waits.left_s))
        rollout.revision = self._repo.head()
        self._stage(rollout, "committed", begun_s, {"commit": rollout.revision, "observed": True})

    def _restart(self, rollout: Rollout, waits: Waits) -> None:
        waits.refuse_not_compared("restarted")
        cluster = self._plan.target.cluster
        self._journal.allow()
        begun_s = time.monotonic()
        stamp = {"kubectl.kubernetes.io/restartedAt": datetime.now(UTC).isoformat(timespec="seconds")}
        body = {"spec": {"template": {"metadata": {"annotations": stamp}}}}
        self._kube.patch("Deployment", cluster.namespace, cluster.deployment, body, how=STRATEGIC)
        self._stage(rollout, "restarted", begun_s, {"deployment": cluster.deployment})

    def _prove(self, rollout: Rollout, waits: Waits) -> None:
        self._status(f"proof that {rollout.to_sha} answers")
        begun_s = time.monotonic()
        waits.at_rest("proven")
        pods = [name for name, pod in self._view.pods().items() if pod.template_hash == rollout.template]
        missing = self._prover.prove(pods, rollout.to_sha)
        if missing is not None:
            outcome = Outcome.FAIL if missing.cause is StageCause.WRONG_VERSION else Outcome.UNKNOWN
            if outcome is Outcome.FAIL:
                self._surely_ours(rollout, waits, missing.why)
            else:
                self._still_ours(rollout, "proven")
            raise StageFailedError("proven", missing.cause, missing.why, outcome=outcome)
        missed_s = max(waits.missed_s, self._prover.missed_s or 0.0)
        data: dict[str, Any] = {"pods": len(pods), "ingress_answers": self._plan.target.release.proof_count}
        data |= {"not_before_s": round(missed_s, 6)}
        self._stage(rollout, "proven", begun_s, data)

    def _ask_unready(self, rollout: Rollout) -> None:
        """Ask one new pod that runs and does not get ready, so that the app's own reason is on record."""
        new = [
            name
            for name, pod in sorted(self._view.pods().items())
            if pod.template_hash not in rollout.old_templates and pod.phase == "Running" and not pod.ready
            and not pod.reason and not pod.terminating
        ]  # fmt: skip
        if new:
            self._prover.ask_unready(new[0], rollout.to_sha)

    def _contains(self, revision: str) -> Callable[[str], bool | None]:
        def contains(later: str) -> bool | None:
            try:
                return self._repo.is_ancestor(revision, later)
            except GitError:
                return None  # the git server does not answer for a moment; the wait asks again

        return contains

    def _stage(self, rollout: Rollout, stage: str, begun_s: float, data: Mapping[str, Any]) -> None:
        event = self._recorder.record(
            rollout.source, rollout.subject, stage, start_s=begun_s, end_s=time.monotonic(), data=data
        )
        rollout.stages[stage] = event

    def _fail(self, rollout: Rollout, waits: Waits, error: StageFailedError) -> None:
        rollout.failed = self._recorder.record(
            rollout.source, rollout.subject, "failed", outcome=error.outcome,
            data={
                "stage": error.stage, "cause": error.cause, "reason": error.reason, "last_seen": error.last_seen,
                "look_at": error.look_at, "not_before_s": round(waits.missed_s, 6),
            },
        )  # fmt: skip


def restore_tag(repo: EnvRepo, run_id: str, args: Mapping[str, Any]) -> Undone:
    """Undo of kind TAG_KIND: sets the tag from before, unless somebody has changed it after us."""
    ours, before = str(args["to"]), str(args["from"])

    def make() -> Commit:
        return repo.set_tag(before, expected=ours, message=f"rollproof: undo, back to {before} ({run_id})")

    try:
        repo.push(make, make())
    except OtherTagError as error:
        if error.found == before:
            return Undone("not-needed", reason="the tag is as it was before")
        return Undone("left", reason="somebody changed the tag after us", expected=ours, found=error.found)
    return Undone("done", reason=f"the tag is {before} again")
