"""Application: the object that the controller reads its orders from and writes its results to.

Written as by the real controller, since drills see that: a status is merged field by field, an operation is set only if
there is none, its state replaces the one before (3.3 and later), or is a merge patch without empty fields, so that old
ones stay (3.2; docs/argocd.md 1.4). A request to refresh is taken away with the status, whatever has come meanwhile, or
(3.6) after it, unless another one has.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof_sandbox.api.patches import MERGE
from rollproof_sandbox.api.store import Object, Store, StoreError
from rollproof_sandbox.argocd.status import completed, stamp

__all__ = ["REFRESH", "Application", "is_skipped"]

REFRESH = "argocd.argoproj.io/refresh"
_ASKED_AT = "argocd.argoproj.io/refresh-timestamp"
_SKIP = "argocd.argoproj.io/skip-reconcile"
_MANAGER = "argocd-application-controller"


class Application:
    """The Application `name` in `namespace`."""

    def __init__(self, store: Store, namespace: str, name: str, *, line: tuple[int, int] = (3, 6)) -> None:
        self._store = store
        self._line = line
        self.namespace = namespace
        self.name = name

    def read(self) -> Object | None:
        """The object, or None if it is gone."""
        return self._store.get("Application", self.namespace, self.name)

    def windows(self, application: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The sync windows of its project."""
        project = self._store.get("AppProject", self.namespace, application["spec"].get("project", "default"))
        return list(((project or {}).get("spec") or {}).get("syncWindows") or ())

    def set_operation(self, operation: Object) -> bool:
        """Start an operation; False if there is one already."""

        def change(item: Object) -> None:
            if item.get("operation") is None:
                item["operation"] = operation
                (item.get("status") or {}).pop("operationState", None)

        written = self._mutate(change)
        return written is not None and written.get("operation") == operation

    def persist(self, seen: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        """Write what has changed in the status since it was read, and remove the refresh request that was read."""
        old = seen.get("status") or {}
        changed = {key: value for key, value in status.items() if value != old.get(key)}
        gone = old.keys() - status.keys()
        read = seen["metadata"].get("annotations") or {}

        def change(item: Object) -> None:
            now = item.setdefault("status", {})
            now.update(changed)
            for key in gone:
                now.pop(key, None)
            if REFRESH in read and self._line < (3, 6):
                (item["metadata"].get("annotations") or {}).pop(REFRESH, None)

        self._mutate(change)
        if self._line >= (3, 6) and read.keys() & {REFRESH, _ASKED_AT}:
            self._answer(read)

    def _answer(self, read: Mapping[str, str]) -> None:
        """Take the request away with its time stamp, unless that has changed: then another one was made meanwhile."""

        def change(item: Object) -> None:
            there = item["metadata"].get("annotations") or {}
            another = REFRESH in there and _ASKED_AT in there and there[_ASKED_AT] != read.get(_ASKED_AT)
            if _ASKED_AT in read and another:
                return
            for name in read.keys() & {REFRESH, _ASKED_AT}:
                there.pop(name, None)

        self._mutate(change)

    def set_state(self, state: Object, old: Mapping[str, Any] | None, *, utc_s: float) -> None:
        """Write the state of the operation; when that has ended, remove the operation.

        Argo CD 3.3 and later uses a JSON patch: the state is replaced as a whole, and `"operation": null` is left where
        the CRD's schema does not prune nulls. 3.2 uses a merge patch: old fields stay, the key is removed.
        """
        body: Object = {"status": {"operationState": state}}
        if over := completed(state):
            state["finishedAt"] = stamp(utc_s)
            body["operation"] = None
        elif (old or {}).get("finishedAt") and not state.get("finishedAt"):
            body["status"] = {"operationState": {**state, "finishedAt": None}}
        if self._line < (3, 3):
            self._merge(body)
            return

        def change(item: Object) -> None:
            item.setdefault("status", {})["operationState"] = {k: v for k, v in state.items() if v is not None}
            if over:
                item["operation"] = None

        self._mutate(change)

    def set_history(self, history: list[Object]) -> None:
        """Write the list of full syncs."""
        self._merge({"status": {"history": history}})

    def _merge(self, body: Object) -> None:
        try:
            self._store.patch("Application", self.namespace, self.name, body, MERGE, manager=_MANAGER)
        except StoreError as error:
            if error.status != 404:  # deleted meanwhile: there is nothing to write to
                raise

    def _mutate(self, change: Any) -> Object | None:
        return self._store.mutate("Application", self.namespace, self.name, change, manager=_MANAGER)


def is_skipped(application: Mapping[str, Any]) -> bool:
    """Whether the controller must not touch it (annotation skip-reconcile)."""
    found = (application["metadata"].get("annotations") or {}).get(_SKIP, "")
    return str(found) in ("1", "t", "T", "TRUE", "true", "True")
