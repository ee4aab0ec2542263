"""The parts that a release needs, as a script: what each poll of the cluster shows, what git and the proof say."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import views
from recorder import ListRecorder
from story import NEW, OLD, plan, target

from rollproof.clients.argo import ApplicationState
from rollproof.clients.repo import Commit, OtherTagError
from rollproof.core.plan import Plan
from rollproof.core.reasons import StageCause
from rollproof.core.target import ReleaseSettings, RollbackSettings
from rollproof.errors import AbortedError
from rollproof.probes.proof import NotProven
from rollproof.probes.views import DeploymentView, PodView
from rollproof.release import Release
from rollproof.store.journal import Journal

T = TypeVar("T")
OURS, OTHERS, OLD_REVISION = "c" * 40, "d" * 40, "0" * 40


def pod(name: str, sha: str, *, ready: bool = True, reason: str = "") -> PodView:
    return views.pod(
        name, replicaset=f"rs-{sha}", template_hash=f"hash-{sha}", image=f"ghcr.io/shop/web:{sha}", ready=ready,
        ip="10.0.0.1", reason=reason, member=None, in_service=None,
    )  # fmt: skip


def deployment(sha: str, *, updated: int = 2) -> DeploymentView:
    return views.deployment(updated=updated, image=f"ghcr.io/shop/web:{sha}")


SYNCED = ApplicationState(sync_status="Synced", health="Healthy", phase="Succeeded")


def at(revision: str, **changes: Any) -> ApplicationState:
    return replace(SYNCED, **{"sync_revision": revision, "operation_revision": revision, **changes})


class Clock:
    """Real time, and what polls would have waited for."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


CLOCK = Clock()


class View:
    """The cluster as a script: each poll shows one scene after the other, then its time is over, by CLOCK."""

    def __init__(self, *scenes: dict[str, Any]) -> None:
        self.now: dict[str, Any] = {
            "application": at(OLD_REVISION), "deployment": deployment(OLD),
            "pods": {"old-1": pod("old-1", OLD), "old-2": pod("old-2", OLD)},
        }  # fmt: skip
        self._scenes = list(scenes)

    def pods(self) -> dict[str, PodView]:
        return dict(self.now["pods"])

    def away(self) -> str:
        return str(self.now.get("away", ""))

    def deployment(self) -> DeploymentView:
        return self.now["deployment"]

    def application(self) -> ApplicationState:
        return self.now["application"]

    def poll(self, condition: Callable[[], T | None], *, timeout_s: float) -> T | None:
        while True:
            value = condition()
            if value is None and not self._scenes:
                CLOCK.ahead_s += timeout_s
            if value is not None or not self._scenes:
                return value
            self.now.update(self._scenes.pop(0))


class Repo:
    def __init__(self, *errors: Exception) -> None:
        self.current = OLD
        self.pushed: list[str] = []
        self._errors = list(errors)

    def head(self) -> str:
        return OURS

    def tag(self) -> str:
        return self.current

    def who_changed(self) -> str:
        return "ddddddd by robot: newer"

    def set_tag(self, sha: str, *, expected: str, message: str) -> Commit:
        assert sha in message
        if self.current != expected:
            raise OtherTagError(self.current, expected, self.who_changed())
        return Commit(OURS, OLD_REVISION, "overlays/dev/kustomization.yaml", f"newTag: {sha}")

    def revert(self, revision: str, *, message: str) -> Commit:
        assert revision == OURS
        assert OLD in message
        return Commit(OTHERS, OURS, "overlays/dev/kustomization.yaml", f"newTag: {OLD}")

    def push(self, make: Callable[[], Commit], made: Commit) -> Commit:
        del make
        if self._errors:
            raise self._errors.pop(0)
        self.pushed.append(made.line)
        self.current = made.line.split()[-1]
        return made

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        return (ancestor, descendant) == (OURS, OTHERS)


class Argo:
    asked = 0

    def refresh(self) -> None:
        self.asked += 1


class Kube:
    def __init__(self) -> None:
        self.patches: list[Any] = []

    def patch(self, kind: str, namespace: str, name: str, body: Any, **_: Any) -> None:
        self.patches.append((kind, f"{namespace}/{name}", body))


WRONG = NotProven(StageCause.WRONG_VERSION, "Ingress: version x instead of y")


class Prover:
    missed_s: float | None = None

    def __init__(self, why: NotProven | None = None) -> None:
        self.why = why

    def prove(self, pods: Any, expected: str) -> NotProven | None:
        del pods, expected
        return self.why


class Ending(Prover):
    """In the middle of the proof the drill is ended."""

    def prove(self, pods: Any, expected: str) -> NotProven | None:
        raise AbortedError(f"2,001 requests were lost by {expected} on {pods}, 2,000 are allowed")


class Store:
    def __init__(self) -> None:
        self.lines: list[Any] = []

    def append(self, line: Any) -> None:
        self.lines.append(line)

    def read(self) -> bytes:
        return b""


SHORT = plan(
    target=target(release=ReleaseSettings(deadline_s=0.001), rollback=RollbackSettings(deadline_s=0.001))
)  # the scenes come at once; when they are over, so is the time


class World:
    def __init__(self, view: View, *, repo: Repo | None = None, prover: Prover | None = None, run: Plan | None = None):
        self.recorder = ListRecorder()
        self.repo, self.argo, self.kube, self.store = repo or Repo(), Argo(), Kube(), Store()
        journal = Journal(self.store, self.recorder)
        self.kept: list[tuple[str, float]] = []  # told last when the pods were asked what they say, and for how long
        self.release = Release(
            run or SHORT, kube=self.kube, argo=self.argo, repo=self.repo, view=view, prover=prover or Prover(),
            recorder=self.recorder, journal=journal, keep=lambda limit_s: self.kept.append((self.said()[-1], limit_s)),
        )  # type: ignore[arg-type] # fmt: skip

    def said(self, source: str = "release") -> list[str]:
        return [event.what for event in self.recorder.events if event.source == source]


NEW_PODS = {"new-1": pod("new-1", NEW), "new-2": pod("new-2", NEW)}
GOOD = (
    {"application": at(OURS, operation_revision=OLD_REVISION)},
    {"application": at(OURS)},
    {"deployment": deployment(NEW, updated=1)},
    {"deployment": deployment(NEW), "pods": {"old-1": pod("old-1", OLD), **NEW_PODS}},
    {"pods": NEW_PODS},
)
BACK = (
    {"application": at(OTHERS)},
    {"deployment": deployment(OLD), "pods": {"back-1": pod("back-1", OLD), "back-2": pod("back-2", OLD)}},
)
