"""Refreshes: compare the Application with git at the requested level, write the status, and start what follows.

As processAppRefreshQueueItem of Argo CD 3.6.1: one at a time, from the Application as it was at the start. A request
that comes meanwhile is deleted with the one that was read (#28392), with 3.6 if it has no time stamp. Levels: 3 newest
commit, resolved again; 2 newest commit as cached; 1 the revision of the last comparison; 0 only the state of pods.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rollproof_sandbox.api.store import Object
from rollproof_sandbox.argocd.application import REFRESH
from rollproof_sandbox.argocd.autosync import decide
from rollproof_sandbox.argocd.backoff import SelfHeal
from rollproof_sandbox.argocd.compare import Comparison, compare
from rollproof_sandbox.argocd.manifests import LoadError
from rollproof_sandbox.argocd.operations import Operations
from rollproof_sandbox.argocd.parts import Parts
from rollproof_sandbox.argocd.status import after_comparison, age_s, health, with_conditions
from rollproof_sandbox.argocd.windows import can_sync

__all__ = ["Refreshes"]

_NEWEST, _LATEST, _RECENT, _NOTHING = 3, 2, 1, 0
_ERRORS_KEPT_QUIET_S = 180.0  # repo-error-grace-period


@dataclass(frozen=True, slots=True)
class _Begun:
    """A comparison that has begun, with what was read then."""

    application: Object
    level: int
    found: Comparison
    utc_s: float


class Refreshes:
    """The worker of one Application's comparisons."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._rules = SelfHeal.of(parts.settings.line)
        self._lost_left = parts.settings.lost_refreshes
        self._wanted: int | None = None
        self._queued = self._under_way = self._again = False
        self._later: dict[int, float] = {}  # level -> requested time
        self._errors_since_s: float | None = None
        self._heal_at_s: float | None = None
        self.operations = Operations(parts, self.ask)
        self.targets: frozenset[tuple[str, str]] = frozenset()  # (kind, name) of what git declared last

    # -- asking -------------------------------------------------------------------------------------------------

    def ask(self, level: int | None = None, after_s: float = 0.0) -> None:
        """Handle the Application, now or later; with a `level`: also compare, even if it does not request that."""
        if after_s > 0 and level is not None:
            due_s = self._parts.clock.now_s() + after_s
            if self._later.get(level, float("inf")) > due_s:
                self._later[level] = due_s
                self._parts.agenda.after(after_s, lambda: self._ask_due(level, due_s))
            return
        if level is not None:
            self._wanted = level if self._wanted is None else max(level, self._wanted)
        if self._under_way:
            self._again = True
        elif not self._queued:
            self._queued = True
            self._parts.agenda.soon(self._work)

    def _ask_due(self, level: int, due_s: float) -> None:
        if self._later.get(level) == due_s:
            del self._later[level]
        self.ask(level)

    def _level(self, application: Mapping[str, Any]) -> int | None:
        """The level that is needed; None: no comparison."""
        spec, status = application["spec"], application.get("status") or {}
        compared = (status.get("sync") or {}).get("comparedTo") or {}
        if REFRESH in (application["metadata"].get("annotations") or {}):
            return _NEWEST
        if compared.get("source") != spec["source"]:
            return _NEWEST
        reconciled = status.get("reconciledAt")
        expired = reconciled is None or age_s(reconciled, self._parts.clock.utc_s()) > self._parts.pace.poll_s
        if expired and self._parts.settings.notices_drift:
            return _LATEST
        ignored = (compared.get("ignoreDifferences") or []) == (spec.get("ignoreDifferences") or [])
        if compared.get("destination") != spec["destination"] or not ignored:
            return _LATEST
        wanted, self._wanted = self._wanted, None
        return wanted

    # -- one comparison -----------------------------------------------------------------------------------------

    def _work(self) -> None:
        self._queued = False
        application = self._parts.application.read()
        if application is None:
            return
        level = self._level(application)
        if level is None:
            self._parts.agenda.after(self._parts.pace.begin_s, self.operations.work)
            return
        self._under_way = True
        if level == _NEWEST and self._lost_left and REFRESH in (application["metadata"].get("annotations") or {}):
            self._lost_left -= 1
            self._parts.agenda.after(self._parts.pace.compare_s, lambda: self._lose(application))
        elif level == _NOTHING:
            self._glance(application)
        else:
            self._begin(application, level)

    def _lose(self, application: Object) -> None:
        self._parts.application.persist(application, application.get("status") or {})
        self._done()

    def _glance(self, application: Object) -> None:
        """Level 0. If the watch of drifts is broken, health is still updated: only the comparison is missing."""
        status = application.get("status") or {}
        compared = self._against(application, [], str((status.get("sync") or {}).get("revision", "")))
        new = {**status, "summary": {"images": list(compared.images)} if compared.images else {}}
        if not self._parts.settings.notices_drift:
            new["health"] = health(status, compared.health, self._parts.clock.utc_s())
        self._parts.application.persist(application, new)
        self._done()

    def _begin(self, application: Object, level: int) -> None:
        utc_s = self._parts.clock.utc_s()
        status = application.get("status") or {}
        wait_s = self._parts.pace.compare_s + (self._parts.pace.resolve_s if level == _NEWEST else 0.0)
        branch = str(application["spec"]["source"].get("targetRevision", ""))
        revision = branch if level != _RECENT else str((status.get("sync") or {}).get("revision") or branch)
        try:
            revision = self._parts.manifests.resolve(revision, fresh=level == _NEWEST)
            wait_s += 0.0 if self._parts.manifests.knows(revision) else self._parts.pace.generate_s
            found = self._against(application, self._parts.manifests.targets(application, revision), revision)
            self._errors_since_s = None
        except LoadError as error:
            if level != _NEWEST and self._is_kept_quiet():
                self._done()
                return
            found = self._against(application, None, revision, str(error))
        begun = _Begun(application, level, found, utc_s)
        self._parts.agenda.after(wait_s, lambda: self._end(begun))

    def _is_kept_quiet(self) -> bool:
        """The first errors of git are not reported, as they may be temporary, unless a refresh was requested."""
        now_s = self._parts.clock.now_s()
        if self._errors_since_s is None:
            self._errors_since_s = now_s
        return now_s - self._errors_since_s <= _ERRORS_KEPT_QUIET_S

    def _against(self, application: Object, targets: list[Object] | None, revision: str, error: str = "") -> Comparison:
        spec = application["spec"]
        ignored = [*(spec.get("ignoreDifferences") or ()), *self._blind_spots()]
        return compare(
            self._parts.store, targets, application=application["metadata"]["name"],
            namespace=spec["destination"]["namespace"], revision=revision, ignored=ignored, error=error,
        )  # fmt: skip

    def _blind_spots(self) -> list[Object]:
        """Fields that an object was restored without: ignored, or it would be healed again and again."""
        return [
            {"group": "*", "kind": kind, "name": name, "jsonPointers": [pointer]}
            for (kind, name), pointer in self.operations.lacking.items()
            if pointer
        ]

    def _end(self, begun: _Begun) -> None:
        application, found = begun.application, begun.found
        if not found.error:
            self.targets = frozenset((one.kind, one.name) for one in found.managed if one.target is not None)
        utc_s = self._parts.clock.utc_s()
        old = (application.get("status") or {}).get("conditions") or []
        errors = {"ComparisonError": found.error} if found.error else {}
        conditions = with_conditions(old, errors, judged=("ComparisonError",), utc_s=utc_s)
        now = datetime.fromtimestamp(utc_s, UTC)
        if can_sync(self._parts.application.windows(application), application, now, manual=False):
            refused = self._automatic(application, found)
            errors = {"SyncError": refused} if refused else {}
            conditions = with_conditions(conditions, errors, judged=("SyncError",), utc_s=utc_s)
        status = after_comparison(
            application, found, conditions, began_utc_s=begun.utc_s, now_utc_s=utc_s, reconciled=begun.level >= _LATEST
        )
        self._parts.application.persist(application, status)
        if begun.level >= _LATEST:
            self._parts.agenda.after(self._parts.pace.poll_s + 1.0, self.ask)  # reconciledAt has whole seconds
        self._done()

    def _automatic(self, application: Mapping[str, Any], found: Comparison) -> str:
        """Start what the automated sync policy decides; returns its reason to refuse, if any."""
        decision = decide(application, found, self._rules, utc_s=self._parts.clock.utc_s())
        if found.status != "OutOfSync":
            self._heal_at_s = None
        if decision.after_s:
            self.ask(_LATEST, decision.after_s)
        if decision.operation is not None and not (decision.heals and self._is_held_back()):
            self._heal_at_s = None
            self._parts.application.set_operation(decision.operation)
        return decision.error

    def _is_held_back(self) -> bool:
        """`heal_delay_s`: whether it was noticed less than that ago."""
        now_s = self._parts.clock.now_s()
        if self._heal_at_s is None:
            self._heal_at_s = now_s + self._parts.pace.heal_delay_s
        if now_s >= self._heal_at_s:
            return False
        self.ask(_RECENT, self._heal_at_s - now_s)
        return True

    def _done(self) -> None:
        self._under_way = False
        self._parts.agenda.after(self._parts.pace.begin_s, self.operations.work)
        if self._again:
            self._again = False
            self.ask()
