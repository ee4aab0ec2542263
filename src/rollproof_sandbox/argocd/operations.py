"""Operations: runs the Application's `.operation`, as processRequestedAppOperation of Argo CD 3.6.1 does.

One at a time: it starts (Running), applies, and ends (Succeeded, Failed or Error), or waits for its next attempt, which
is Running with a `finishedAt`. Every end requests a comparison with the newest commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from rollproof_sandbox.api.store import Object
from rollproof_sandbox.argocd.backoff import retry_wait_s
from rollproof_sandbox.argocd.compare import compare
from rollproof_sandbox.argocd.manifests import LoadError
from rollproof_sandbox.argocd.parts import Parts
from rollproof_sandbox.argocd.status import age_s, completed, stamp
from rollproof_sandbox.argocd.sync import Done, in_scope, sync, without_one_field
from rollproof_sandbox.argocd.windows import can_sync

__all__ = ["Operations"]

_HISTORY_MAX = 10


class Operations:
    """The worker of one Application. `refresh(level, after_s)` requests a comparison."""

    def __init__(self, parts: Parts, refresh: Callable[[int, float], None]) -> None:
        self._parts = parts
        self._refresh = refresh
        self._busy = False
        self.known = ""  # the revision at the start: every other one is new
        self.lacking: dict[tuple[str, str], str] = {}  # restores_partly: the field that an object was restored without

    def work(self) -> None:
        """Start or continue the operation, if there is one and it is due."""
        application = self._parts.application.read()
        if application is None or application.get("operation") is None or self._busy:
            return
        state = (application.get("status") or {}).get("operationState")
        if state is None or completed(state):
            state = self._begin(application)
        elif state["phase"] == "Terminating":
            self._end(application, {**state, "phase": "Failed", "message": "Operation terminated"})
            return
        elif state.get("finishedAt"):
            wait_s = retry_wait_s(state["operation"].get("retry") or {}, int(state.get("retryCount") or 0))
            left_s = wait_s - age_s(state["finishedAt"], self._parts.clock.utc_s())
            if left_s > 0:
                self._refresh(2, left_s)
                return
            message = f"Retrying operation. Attempt #{state['retryCount']}"
            again = {key: value for key, value in state.items() if key not in ("finishedAt", "syncResult")}
            state = self._say(application, {**again, "message": message})
        count = len((state["operation"].get("sync") or {}).get("resources") or ()) or 5
        self._busy = True
        self._parts.agenda.after(
            self._parts.pace.apply_s + count * self._parts.pace.apply_each_s, lambda: self._sync(application, state)
        )

    def _begin(self, application: Mapping[str, Any]) -> Object:
        started = stamp(self._parts.clock.utc_s())
        return self._say(application, {"operation": application["operation"], "phase": "Running", "startedAt": started})

    def _say(self, application: Mapping[str, Any], state: Object) -> Object:
        """Write the state if it differs from what was read."""
        old = (application.get("status") or {}).get("operationState")
        if old != state:
            self._parts.application.set_state(state, old, utc_s=self._parts.clock.utc_s())
        return state

    # -- the sync -----------------------------------------------------------------------------------------------

    def _sync(self, application: Object, state: Object) -> None:
        order = state["operation"].get("sync") or {}
        source = order.get("source") or application["spec"]["source"]
        result = state.get("syncResult") or {"revision": order.get("revision", ""), "source": source}
        state = {**state, "syncResult": result}
        if self._is_blocked(application):
            self._leave(application, {**state, "message": "Sync operation blocked by sync window"})
            return
        done, revision = self._attempt(application, order, str(result["revision"]))
        results = {"resources": list(done.results)} if done.results else {}
        state |= {
            "phase": done.phase,
            "message": done.message,
            "syncResult": {**result, "revision": revision, **results},
        }
        if done.phase == "Succeeded" and not order.get("resources") and not order.get("dryRun"):
            self._parts.application.set_history(self._history(application, state, revision))
        self._parts.agenda.after(self._parts.pace.end_s, lambda: self._finish(application, state))

    def _is_blocked(self, application: Mapping[str, Any]) -> bool:
        """As in the original, an operation counts as automated until its state says that a person started it."""
        state = (application.get("status") or {}).get("operationState")
        manual = state is not None and not (state["operation"].get("initiatedBy") or {}).get("automated")
        now = datetime.fromtimestamp(self._parts.clock.utc_s(), UTC)
        return not can_sync(self._parts.application.windows(application), application, now, manual=manual)

    def _attempt(self, application: Object, order: Mapping[str, Any], revision: str) -> tuple[Done, str]:
        try:
            wanted = revision or application["spec"]["source"].get("targetRevision", "")
            revision = self._parts.manifests.resolve(wanted, fresh=True)
            targets = self._parts.manifests.targets(application, revision)
        except LoadError as error:
            return Done("Error", f"ComparisonError: {error}", ()), revision
        if revision != self.known and self._parts.settings.sync_fails:
            return Done("Failed", self._parts.settings.sync_fails, ()), revision
        full = not order.get("resources")
        if full and revision != self.known and self._parts.settings.claims_new_revision:
            self._parts.manifests.pretend(revision, self.known)
            return Done("Succeeded", "successfully synced (all tasks run)", ()), revision
        found = compare(
            self._parts.store, targets, application=application["metadata"]["name"],
            namespace=application["spec"]["destination"]["namespace"], revision=revision,
        )  # fmt: skip
        scope = in_scope(found.managed, order.get("resources") or ())
        if full:
            self.lacking.clear()
        elif self._parts.settings.restores_partly:
            for one in scope:
                self.lacking.setdefault((one.kind, one.name), without_one_field(one))
        return sync(self._parts.store, scope, prune=bool(order.get("prune")), lacking=self.lacking), revision

    def _history(self, application: Mapping[str, Any], state: Object, revision: str) -> list[Object]:
        old = list((application.get("status") or {}).get("history") or ())
        entry = {
            "deployStartedAt": state["startedAt"], "deployedAt": stamp(self._parts.clock.utc_s()),
            "id": old[-1]["id"] + 1 if old else 0, "initiatedBy": state["operation"].get("initiatedBy") or {},
            "revision": revision, "source": state["syncResult"]["source"],
        }  # fmt: skip
        return [*old, entry][-_HISTORY_MAX:]

    # -- its end ------------------------------------------------------------------------------------------------

    def _finish(self, application: Object, state: Object) -> None:
        now = ((self._parts.application.read() or {}).get("status") or {}).get("operationState") or {}
        if now.get("phase") == "Terminating" and not completed(state):
            self._leave(application, {**state, "phase": "Terminating", "message": "operation is terminating"})
            return
        retry = state["operation"].get("retry") or {}
        count, limit = int(state.get("retryCount") or 0), int(retry.get("limit") or 0)
        if state["phase"] == "Succeeded":
            self._end(application, state)
        elif count < limit or limit < 0:
            utc_s = self._parts.clock.utc_s()
            again = time.gmtime(utc_s + retry_wait_s(retry, count))
            new = self._parts.settings.line >= (3, 6)
            at = time.strftime("%Y-%m-%dT%H:%M:%SZ", again) if new else time.strftime("%I:%M%p", again).lstrip("0")
            message = f"{state['message']}. Retrying attempt #{count + 1} at {at}."
            waiting = {"phase": "Running", "finishedAt": stamp(utc_s), "retryCount": count + 1, "message": message}
            self._leave(application, {**state, **waiting})
        else:
            message = f"{state['message']} (retried {count} times)." if count else state["message"]
            self._end(application, {**state, "message": message})

    def _leave(self, application: Mapping[str, Any], state: Object) -> None:
        """Leave the operation running; the next comparison continues it."""
        self._busy = False
        self._say(application, state)

    def _end(self, application: Mapping[str, Any], state: Object) -> None:
        self._busy = False
        self._say(application, state)
        self._refresh(3, 0.0)
