"""Automated sync: does a comparison call for an operation, and which? As autoSync of Argo CD 3.6.1. Pure.

An operation on a revision that was not tried yet is a full sync; one on the revision of the last operation is a
self-heal: only the objects that differ, only after the back-off, and never after a failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollproof_sandbox.api.kinds import KINDS
from rollproof_sandbox.argocd.backoff import SelfHeal
from rollproof_sandbox.argocd.compare import Comparison
from rollproof_sandbox.argocd.status import age_s, completed

__all__ = ["Decision", "decide"]

Object = dict[str, Any]

_RETRY: Object = {"limit": 5}


@dataclass(frozen=True, slots=True)
class Decision:
    """Start `operation`, or compare again `after_s`, or report `error` (a SyncError condition), or nothing."""

    operation: Object | None = None
    heals: bool = False
    after_s: float = 0.0
    error: str = ""


def decide(application: Mapping[str, Any], found: Comparison, rules: SelfHeal, *, utc_s: float) -> Decision:
    """The decision of the automated sync policy about a comparison."""
    policy = application["spec"].get("syncPolicy") or {}
    automated = policy.get("automated") or {}
    enabled = policy.get("automated") is not None and automated.get("enabled") is not False
    busy = application.get("operation") is not None or application["metadata"].get("deletionTimestamp") is not None
    if not enabled or busy or found.status != "OutOfSync":
        return Decision()
    prune = bool(automated.get("prune"))
    if not prune and all(one.status == "Synced" or one.prunable for one in found.managed):
        return Decision()  # only prune is needed, and it is off
    operation = _operation(application, found.revision, policy, prune=prune)
    last = (application.get("status") or {}).get("operationState")
    heals = _attempted(application, last, found.revision)
    if heals and last is not None:
        if last.get("phase") != "Succeeded":
            tried = (last.get("syncResult") or {}).get("revision", "")
            return Decision(error=f"Failed last sync attempt to [{tried}]: {last.get('message', '')}")
        if not automated.get("selfHeal"):
            return Decision()
        ago_s = age_s(last["finishedAt"], utc_s) if last.get("finishedAt") else None
        attempts = rules.attempts(last, ago_s)
        left_s = rules.remaining_s(attempts, ago_s)
        if left_s > 0:
            return Decision(after_s=left_s)
        operation["sync"]["autoHealAttemptsCount"] = attempts + 1
        operation["sync"]["resources"] = [_resource(one) for one in found.resources() if one["status"] != "Synced"]
    if prune and not automated.get("allowEmpty") and all(one.prunable for one in found.managed):
        message = f"Skipping sync attempt to [{found.revision}]: auto-sync will wipe out all resources"
        return Decision(error=message)
    return Decision(operation=operation, heals=heals)


def _operation(application: Mapping[str, Any], revision: str, policy: Mapping[str, Any], *, prune: bool) -> Object:
    sync: Object = {"revision": revision, "source": application["spec"]["source"]}
    if prune:
        sync["prune"] = True
    if policy.get("syncOptions"):
        sync["syncOptions"] = policy["syncOptions"]
    return {"initiatedBy": {"automated": True}, "retry": policy.get("retry") or _RETRY, "sync": sync}


def _attempted(application: Mapping[str, Any], last: Mapping[str, Any] | None, revision: str) -> bool:
    """Whether the last operation synced this revision of this source, or failed to."""
    if last is None:
        return False
    result = last.get("syncResult")
    if result is None:  # it ended without a result: not to be retried for ever
        return completed(last)
    return bool(result.get("revision") == revision and result.get("source") == application["spec"]["source"])


def _resource(listed: Mapping[str, Any]) -> Object:
    group = {"group": listed["group"]} if listed.get("group") else {}
    return {**group, "kind": KINDS[listed["kind"]].name, "name": listed["name"]}
