"""The waits of a rollout: each named, bounded, bound to a revision or a template, and ended early if hopeless.

A wait ends well, or raises StageFailedError: what was waited for, what was seen last, and where to look. "Synced" and
"Healthy" count only together with the revision that they are about.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NoReturn, TypeVar

from rollproof.clients.argo import ApplicationState, Argo
from rollproof.clients.retry import retried
from rollproof.core.event import Outcome
from rollproof.core.reasons import CANNOT_START, StageCause
from rollproof.core.target import Target
from rollproof.errors import RollproofError
from rollproof.probes.views import DeploymentView, PodView, image_tag
from rollproof.probes.watches import Watches

__all__ = ["Seen", "StageFailedError", "Waits"]

# A ComparisonError with one of these is about the commit itself; others (git or repo-server away) may be temporary.
_BROKEN_COMMIT = ("kustomize build", "Manifest generation error", "failed to generate manifest", "error unmarshaling")
_AWAY = (
    "connection refused", "dial tcp", "no such host", "i/o timeout", "deadline exceeded", "Unavailable", "ls-remote",
    "failed to fetch", "could not read", "unable to access", "EOF",
)  # fmt: skip
_ASK_AGAIN_S = 1.0  # not more often: each refresh makes Argo CD fetch
_LOOK_UP_S = 5.0  # interval in which a longer wait checks whether it can still succeed

T = TypeVar("T")


class StageFailedError(RollproofError):
    """A stage did not end well. `outcome` FAIL: it cannot succeed any more; UNKNOWN: that is not known."""

    def __init__(
        self, stage: str, cause: str, reason: str, *, outcome: Outcome = Outcome.FAIL, last_seen: object = None,
        look_at: str = "",
    ) -> None:  # fmt: skip
        super().__init__(f"{stage}: {cause}: {reason}", look_at)
        self.stage, self.cause, self.reason = stage, cause, reason
        self.outcome, self.last_seen, self.look_at = outcome, last_seen, look_at


@dataclass(frozen=True, slots=True)
class Seen:
    """The revision that Argo CD compares with: ours, or a later one that contains ours."""

    revision: str
    superseded: bool
    asked: int


class Waits:
    """The waits of one rollout; all share one deadline.

    `still_ours(stage)` is called in long waits; it raises if somebody has set another tag meanwhile.
    `missed_s`: when the last look began that found neither what was waited for nor that it is hopeless.
    """

    def __init__(
        self, target: Target, view: Watches, *, deadline_s: float, still_ours: Callable[[str], None] = lambda _: None
    ) -> None:
        self._target = target
        self._view = view
        self._still_ours = still_ours
        self.missed_s = time.monotonic()
        self._until_s = self.missed_s + deadline_s
        self._deadline_s = deadline_s

    @property
    def left_s(self) -> float:
        """Seconds until the rollout's deadline."""
        return max(0.0, self._until_s - time.monotonic())

    def extend(self, more_s: float) -> None:
        """So many seconds were spent on something else."""
        self._until_s += more_s

    def refuse_not_compared(self, stage: str) -> None:
        """Raise if Argo CD cannot compare: a deploy would change git, and its effect could not be seen."""
        state = self._view.application()
        if why := state.why_not_compared:
            raise StageFailedError(
                stage, StageCause.NOT_COMPARED, f"Argo CD cannot compare, so nothing was changed: {why}",
                outcome=Outcome.UNKNOWN, last_seen=asdict(state), look_at=self._application,
            )  # fmt: skip

    def seen(self, revision: str, argo: Argo, contains: Callable[[str], bool | None]) -> Seen:
        """Wait until Argo CD compares with our commit; ask again, since a request can be lost (docs/argocd.md 2.1)."""
        known: dict[str, bool | None] = {revision: True}  # None: could not be asked, ask again
        asking = self._target.argocd.profile == "refresh"
        asked, looked_up_s = 0, time.monotonic()

        def looked_at() -> str | None:
            state = self._view.application()
            self._refuse_broken_commit(state, "seen")
            if not state.sync_revision:  # as with a ComparisonError
                return None
            if known.get(state.sync_revision) is None:
                known[state.sync_revision] = contains(state.sync_revision)
            return state.sync_revision if known[state.sync_revision] else None

        while True:
            if asking:
                retried(argo.refresh, until_s=self._until_s)
                asked += 1
            pause_s = max(_ASK_AGAIN_S, self._target.release.poll_s) if asking else self.left_s
            found = self._poll(looked_at, min(pause_s, self.left_s))
            if found is not None:
                return Seen(found, found != revision, asked)
            expired = not self.left_s
            if expired or time.monotonic() - looked_up_s >= _LOOK_UP_S:  # what was replaced is not late, as in `_await`
                self._still_ours("seen")
                looked_up_s = time.monotonic()
            if expired:
                self._expired("seen", f"Argo CD to look at {revision[:12]}", outcome=Outcome.UNKNOWN)

    def synced(self, revision: str, sha: str, contains: Callable[[str], bool | None]) -> ApplicationState:
        """The last operation synced that revision, or a later one that contains it, and the comparison says Synced.

        The two may differ: a commit that does not touch this app changes the comparison's revision without an
        operation. If it is our own commit, it changed nothing that runs, and there will be no operation.
        """
        known: dict[str, bool | None] = {revision: True, "": False}

        def ours(seen: str) -> bool:
            if known.get(seen) is None:
                known[seen] = contains(seen)
            return bool(known[seen])

        def applied() -> ApplicationState | None:
            state = self._view.application()
            if state.phase in {"Failed", "Error"} and ours(state.operation_revision):
                raise StageFailedError(
                    "synced", StageCause.SYNC_FAILED, state.message or state.phase, last_seen=asdict(state),
                    look_at=self._application,
                )  # fmt: skip
            self._refuse_broken_commit(state, "synced")
            good = state.phase == "Succeeded" and state.sync_status == "Synced" and not state.operation_pending
            return state if good and ours(state.operation_revision) and ours(state.sync_revision) else None

        def nothing_to_do() -> None:
            self._refuse_void(self._view.application(), sha, ours)

        found = self._await("synced", applied, nothing_to_do)
        if found is not None:
            return found
        failing = _retried(self._view.application(), ours)
        return self._expired(
            "synced", f"Argo CD to sync {revision[:12]}",
            cause=StageCause.SYNC_FAILED if failing else StageCause.DEADLINE_EXCEEDED,
            outcome=Outcome.FAIL if failing else Outcome.UNKNOWN, said=failing,
        )  # fmt: skip

    def at_rest(
        self, stage: str, revision: str = "", contains: Callable[[str], bool | None] | None = None, sha: str = ""
    ) -> None:
        """Nothing requested or under way, no error, Synced and Healthy; at that revision or a later one, if named.

        Without a revision it is sufficient only after the waits that name one. It ends early if an image of `sha`
        cannot be pulled; a pod that crashes may recover.
        """

        def resting() -> ApplicationState | None:
            state = self._view.application()
            moving = state.operation_pending or state.refresh_pending or state.phase == "Running"
            good = (state.sync_status, state.health) == ("Synced", "Healthy") and state.compared_to_spec
            named = contains is None or state.sync_revision == revision or bool(contains(state.sync_revision))
            return state if good and named and not moving and not _errors(state) else None

        def refuse_no_image() -> None:
            for name, pod in self._view.pods().items():
                if sha and image_tag(pod.image) == sha and pod.reason != "CrashLoopBackOff":
                    self._refuse_hopeless(name, pod)

        if self._await(stage, resting, refuse_no_image) is None:
            state = self._view.application()
            sick = state.health == "Degraded" or _errors(state)
            what = f"Argo CD to be at rest, Synced and Healthy (it says {state.sync_status}, {state.health})"
            self._expired(stage, what, outcome=Outcome.FAIL if sick else Outcome.UNKNOWN)

    def rolled_out(self, sha: str, old_templates: frozenset[str]) -> str:
        """The new template's hash, once every replica belongs to it and is available."""
        new: set[str] = set()

        def complete() -> str | None:
            pods = self._view.pods()
            new.update(pod.template_hash for pod in pods.values() if _is_new(pod, sha, old_templates))
            for name, pod in pods.items():
                if pod.template_hash in new:
                    self._refuse_hopeless(name, pod)
            deployment = self._view.deployment()
            if deployment is None or not new:
                return None
            self._refuse_exceeded(deployment, sha)
            current = max(new, key=lambda one: sum(1 for pod in pods.values() if pod.template_hash == one))
            ready = sum(1 for pod in pods.values() if pod.template_hash == current and pod.ready)
            return current if _complete(deployment, sha) and ready >= deployment.spec_replicas else None

        found = self._await("rolled-out", complete)
        return found or self._expired("rolled-out", f"all replicas to run {sha}")

    def old_gone(self, template: str, old_uids: frozenset[str]) -> tuple[str, ...]:
        """Uids of the old pods, once none is left, Terminating included, and only the new template has pods."""

        def left() -> dict[str, PodView]:
            pods = self._view.pods().items()
            return {name: pod for name, pod in pods if pod.uid in old_uids or pod.template_hash != template}

        def gone() -> tuple[str, ...] | None:
            return None if left() else tuple(sorted(old_uids))

        def refuse_orphan() -> None:
            for name, pod in left().items():
                self._refuse_orphan(name, pod)

        found = self._await("old-gone", gone, refuse_orphan)
        return found if found is not None else self._expired("old-gone", "the last old pod to go")

    # -- inside -------------------------------------------------------------------------------------------------

    def _await(self, stage: str, look: Callable[[], T | None], look_up: Callable[[], None] = lambda: None) -> T | None:
        """The first value of `look` that is not None, or None at the deadline. `look_up` may raise to end it early.

        The last look is begun at the deadline: what else is asked takes time, in which it may come.
        """
        while True:
            left_s = self.left_s
            found = self._poll(look, min(_LOOK_UP_S, left_s))
            if found is not None:
                return found
            self._still_ours(stage)  # and look up, at the deadline, too: what can never come is not late
            look_up()
            if not left_s:
                return None

    def _poll(self, look: Callable[[], T | None], timeout_s: float) -> T | None:
        def noted() -> T | None:
            begun_s = time.monotonic()
            found = look()
            self.missed_s = begun_s if found is None else self.missed_s
            return found

        return self._view.poll(noted, timeout_s=timeout_s)

    @property
    def _application(self) -> str:
        argocd = self._target.argocd
        return f"kubectl -n {argocd.namespace} get application {argocd.application} -o yaml"

    def _refuse_broken_commit(self, state: ApplicationState, stage: str) -> None:
        for condition in state.conditions:
            broken = any(word in condition for word in _BROKEN_COMMIT) and not any(word in condition for word in _AWAY)
            if condition.partition(":")[0] in ("ComparisonError", "InvalidSpecError") and broken:
                raise StageFailedError(
                    stage, StageCause.COMPARISON_ERROR, condition, last_seen=asdict(state), look_at=self._application
                )

    def _refuse_void(self, state: ApplicationState, sha: str, ours: Callable[[str], bool]) -> None:
        """Raise if Argo CD compared with our commit and has nothing to sync, while the Deployment has another tag."""
        resting = state.phase == "Succeeded" and not state.operation_pending and state.compared_to_spec
        idle = resting and state.sync_status == "Synced" and not ours(state.operation_revision)
        deployment = self._view.deployment()
        if not idle or not ours(state.sync_revision) or deployment is None or image_tag(deployment.image) == sha:
            return
        env_repo = self._target.env_repo
        reason = (
            f"Argo CD compared with {state.sync_revision[:12]} and has nothing to sync: what is rendered is still "
            f"{deployment.image}, so the commit changed nothing that runs"
        )
        hint = f"does `kustomize build {env_repo.overlay}` name {env_repo.image}:{sha}, or does another entry win?"
        raise StageFailedError(
            "synced", StageCause.NOTHING_CHANGED, reason, outcome=Outcome.UNKNOWN, last_seen=asdict(state), look_at=hint
        )

    def _refuse_hopeless(self, name: str, pod: PodView) -> None:
        if pod.reason in CANNOT_START and not pod.ready:
            namespace = self._target.cluster.namespace
            raise StageFailedError(
                "rolled-out", pod.reason, f"pod {name} of the new version is in {pod.reason}", last_seen=asdict(pod),
                look_at=f"kubectl -n {namespace} describe pod {name}; kubectl -n {namespace} logs {name}",
            )  # fmt: skip

    def _refuse_orphan(self, name: str, pod: PodView) -> None:
        """Raise if a pod has no (existing) owner and nobody has deleted it: no controller will remove it."""
        if not pod.replicaset and not pod.terminating:
            namespace = self._target.cluster.namespace
            raise StageFailedError(
                "old-gone", StageCause.ORPHANED,
                f"pod {name} has the app's labels and no owner: nothing will take it away",
                last_seen=asdict(pod), look_at=f"kubectl -n {namespace} get pod {name} -o yaml",
            )  # fmt: skip

    def _refuse_exceeded(self, deployment: DeploymentView, sha: str) -> None:
        current = deployment.observed_generation >= deployment.generation and image_tag(deployment.image) == sha
        if deployment.deadline_exceeded and current:
            cluster = self._target.cluster
            raise StageFailedError(
                "rolled-out", StageCause.PROGRESS_DEADLINE_EXCEEDED, "the Deployment made no progress for its deadline",
                last_seen=asdict(deployment),
                look_at=f"kubectl -n {cluster.namespace} describe deployment {cluster.deployment}",
            )  # fmt: skip

    def _expired(
        self,
        stage: str,
        what: str,
        *,
        outcome: Outcome = Outcome.FAIL,
        cause: str = StageCause.DEADLINE_EXCEEDED,
        said: str = "",
    ) -> NoReturn:
        state, deployment = self._view.application(), self._view.deployment()
        last_seen = {
            "application": asdict(state),
            "deployment": asdict(deployment) if deployment else None,
            "pods": {name: asdict(pod) for name, pod in self._view.pods().items()},
        }
        namespace = self._target.cluster.namespace
        argo = stage in {"seen", "synced", "settled", "proven"}
        look_at = self._application if argo else f"kubectl -n {namespace} get pods; kubectl -n {namespace} get events"
        said = said or next(iter(state.conditions), "")
        reason = f"waited {self._deadline_s:g} s in all for {what}{f'; Argo CD says: {said}' if said else ''}"
        away = self._view.away()
        if away:  # it may have happened unseen
            outcome, reason = Outcome.UNKNOWN, f"{reason}; a watch is away ({away})"
        raise StageFailedError(stage, cause, reason, outcome=outcome, last_seen=last_seen, look_at=look_at)


def _errors(state: ApplicationState) -> list[str]:
    return [one for one in state.conditions if one.partition(":")[0].endswith("Error")]


def _retried(state: ApplicationState, ours: Callable[[str], bool]) -> str:
    """Argo CD's message about a sync of ours that failed and will be retried; "" if there is none.

    Its phase stays "Running" then, with the end of the last attempt, or with "retrying" during the next one.
    """
    failing = state.phase == "Running" and (state.finished_at or "retrying" in state.message.lower())
    return (state.message or "the sync is tried again") if failing and ours(state.operation_revision) else ""


def _is_new(pod: PodView, sha: str, old_templates: frozenset[str]) -> bool:
    return pod.template_hash not in old_templates and image_tag(pod.image) == sha


def _complete(deployment: DeploymentView, sha: str) -> bool:
    """The conditions of `kubectl rollout status`, and the image: generation observed, every replica updated."""
    counts = {deployment.replicas, deployment.updated, deployment.available, deployment.ready}
    seen = deployment.observed_generation >= deployment.generation
    return seen and image_tag(deployment.image) == sha and counts == {deployment.spec_replicas}
