"""Controller: Argo CD's application controller for one Application, from the store's changes to the store's writes.

One thread; everything is an action on its agenda. It subscribes to the store, collects changes of the Application's
objects for a moment (as the real one's cluster cache does), and requests a comparison.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rollproof_sandbox.api.store import Change, Object, Store
from rollproof_sandbox.argocd.agenda import Agenda, Clock, SystemClock
from rollproof_sandbox.argocd.application import Application, is_skipped
from rollproof_sandbox.argocd.compare import compare, tracked
from rollproof_sandbox.argocd.health import of_object
from rollproof_sandbox.argocd.manifests import LoadError, Manifests
from rollproof_sandbox.argocd.pace import Pace
from rollproof_sandbox.argocd.parts import Parts
from rollproof_sandbox.argocd.refreshes import Refreshes
from rollproof_sandbox.argocd.repository import Repository
from rollproof_sandbox.argocd.status import after_comparison, stamp
from rollproof_sandbox.argocd.sync import in_scope, sync
from rollproof_sandbox.git import Git
from rollproof_sandbox.settings import ArgoCd

__all__ = ["Controller"]

_STOP_S = 5.0
_UNSEEN = ("resourceVersion", "generation", "managedFields")  # of the metadata: not a change of the manifest


class Controller:
    """The Application `application` in `namespace`, which follows `branch` of the bare repository `repo`.

    `start` deploys what git declares, writes the status, and continues from there; `stop` ends it. `failed` collects
    unexpected errors.
    """

    def __init__(
        self, store: Store, settings: ArgoCd, repo: Path, *, namespace: str = "argocd", application: str = "shop",
        branch: str = "main", clock: Clock | None = None, pace: Pace | None = None, git: Git | None = None,
        failed: Callable[[BaseException], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self._store = store
        self._settings = settings
        self._clock = clock or SystemClock()
        self._pace = replace(pace or Pace(), heal_delay_s=settings.heal_delay_s, poll_s=settings.poll_s)
        self.agenda = Agenda(self._clock, failed)
        self._application = Application(store, namespace, application, line=settings.line)
        repository = Repository(repo, git or Git())
        self._manifests = Manifests(repository, self._clock, branch=branch, refs_s=settings.poll_s)
        self._refreshes = Refreshes(
            Parts(self._application, store, self._manifests, self.agenda, self._clock, self._pace, settings)
        )
        self._collected: int | None = None
        self._destination = ""
        self._unsubscribe: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self.agenda.work, name="argocd", daemon=True)

    def start(self) -> None:
        """Deploy, then listen and work in a thread."""
        self.prepare()
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the running action."""
        self._unsubscribe()
        self.agenda.stop()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(_STOP_S)

    # -- the first deploy ---------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Bring the cluster to the branch's newest commit, and the Application to its state some time after that."""
        application = self._application.read()
        if application is None:
            raise LookupError(f"there is no Application {self._application.namespace}/{self._application.name}")
        self._destination = application["spec"]["destination"]["namespace"]
        self._unsubscribe = self._store.subscribe(self._hear)
        try:
            branch = str(application["spec"]["source"].get("targetRevision", ""))
            revision = self._manifests.resolve(branch, fresh=True)
            targets = self._manifests.targets(application, revision)
        except LoadError:
            self._refreshes.ask(3)
            return
        self._refreshes.operations.known = revision
        self._compare_and_say(application, targets, revision)
        if not self._settings.sees_new_commits:
            self._manifests.miss_next()
        self._refreshes.ask(2)

    def _compare_and_say(self, application: Object, targets: list[Object], revision: str) -> None:
        def found() -> Any:
            return compare(
                self._store, targets, application=self._application.name, namespace=self._destination, revision=revision
            )

        scope = in_scope(found().managed, ())
        done = sync(self._store, scope, prune=True, lacking={})
        utc_s = self._clock.utc_s()
        status = after_comparison(application, found(), (), began_utc_s=utc_s, now_utc_s=utc_s, reconciled=True)
        ended_s = utc_s - self._settings.finished_ago_s
        order: Object = {"prune": True, "revision": revision, "source": application["spec"]["source"]}
        if self._settings.attempts:
            order["autoHealAttemptsCount"] = self._settings.attempts
        operation = {"initiatedBy": {"automated": True}, "retry": {"limit": 5}, "sync": order}
        result = {"resources": list(done.results), "revision": revision, "source": order["source"]}
        status["operationState"] = {
            "finishedAt": stamp(ended_s), "message": done.message, "operation": operation, "phase": done.phase,
            "startedAt": stamp(ended_s - 1), "syncResult": result,
        }  # fmt: skip
        status["history"] = [
            {"deployStartedAt": stamp(ended_s - 1), "deployedAt": stamp(ended_s), "id": 0,
             "initiatedBy": {"automated": True}, "revision": revision, "source": order["source"]}
        ]  # fmt: skip
        self._application.persist(application, status)

    # -- what happens in the cluster ----------------------------------------------------------------------------

    def _hear(self, change: Change) -> None:
        """Called in the writer's thread: put relevant changes on the agenda."""
        metadata = change.object["metadata"]
        if change.kind == "Application":
            ours = (metadata["namespace"], metadata["name"]) == (self._application.namespace, self._application.name)
            if ours and not is_skipped(change.object):
                self.agenda.soon(self._refreshes.ask)
        elif metadata.get("namespace") == self._destination and (level := self._concerns(change)) is not None:
            self.agenda.soon(lambda: self._collect(level))

    def _concerns(self, change: Change) -> int | None:
        """The level of comparison that a change of an object in the destination requires; None: no comparison."""
        if change.kind == "Pod":
            return 0 if change.type != "MODIFIED" else None
        ours = (change.kind, change.object["metadata"]["name"]) in self._refreshes.targets
        if not ours and not any(tracked(item, self._application.name) for item in _both(change)):
            return None
        if change.type == "MODIFIED" and change.old is not None and _is_alike(change.kind, change.old, change.object):
            return None
        return 1 if self._settings.notices_drift else 0

    def _collect(self, level: int) -> None:
        """The first change starts the wait for the next tick; later ones until then are part of it."""
        first, self._collected = self._collected is None, max(level, self._collected or 0)
        if first:
            tick_s = self._pace.batch_s
            self.agenda.after(tick_s - self._clock.now_s() % tick_s if tick_s else 0.0, self._tick)

    def _tick(self) -> None:
        level, self._collected = self._collected, None
        application = self._application.read()
        if application is not None and not is_skipped(application):
            self._refreshes.ask(level)


def _both(change: Change) -> list[Object]:
    return [item for item in (change.object, change.old) if item is not None and change.kind not in ("Event", "Lease")]


def _is_alike(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether manifest and health are equal: such an update is skipped (resource.ignoreResourceUpdatesEnabled)."""
    return of_object(kind, old) == of_object(kind, new) and _manifest(old) == _manifest(new)


def _manifest(item: Mapping[str, Any]) -> Object:
    metadata = {key: value for key, value in item["metadata"].items() if key not in _UNSEEN}
    return {**{key: value for key, value in item.items() if key != "status"}, "metadata": metadata}
