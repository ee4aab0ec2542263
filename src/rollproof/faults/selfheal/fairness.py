"""Fairness: may a drift trial start now, and if nothing was healed, why (docs/argocd.md 1.6 and 1.8).

Pure reading of objects that were fetched elsewhere. It must never blame the target for what was known beforehand.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rollproof.clients.argo import ApplicationState, automation
from rollproof.clients.kube import KINDS, Object
from rollproof.core.outside import without_nulls
from rollproof.core.reasons import HealCause, Unrest
from rollproof.faults.selfheal.trial import Trial
from rollproof.probes.views import DeploymentView

__all__ = ["age_s", "causes", "covered_by_ignore", "known_beforehand", "rolled_out", "unrest"]

_SKIP_RECONCILE = "argocd.argoproj.io/skip-reconcile"
_BY_CHOICE = (
    HealCause.AUTOMATED_OFF, HealCause.SELF_HEAL_OFF, HealCause.SKIP_RECONCILE, HealCause.DELETING,
    HealCause.IGNORED_DIFFERENCE,
)  # fmt: skip


def age_s(stamp: str, now_s: float) -> float | None:
    """Seconds since a time stamp of Kubernetes, on the wall clock; None without a stamp."""
    if not stamp:
        return None
    return now_s - datetime.fromisoformat(stamp.replace("Z", "+00:00")).astimezone(UTC).timestamp()


def rolled_out(deployment: DeploymentView) -> bool:
    """Is the newest generation complete, with no pod of an older one left?"""
    wanted = deployment.spec_replicas
    counts = (deployment.replicas, deployment.updated, deployment.available)
    return deployment.observed_generation >= deployment.generation and counts == (wanted, wanted, wanted)


def unrest(state: ApplicationState, deployment: DeploymentView | None) -> Mapping[Unrest, str]:
    """What is not at rest, each with its sentence; empty if all is: only then is what follows the drift's own."""
    errors = [one.split(":")[0] for one in state.conditions if one.split(":")[0].endswith("Error")]
    moving = state.operation_pending or state.phase in ("Running", "Terminating")
    reasons = {
        Unrest.SYNC_STATUS: (
            state.sync_status != "Synced", f"the Application is {state.sync_status or 'of unknown sync status'}"
        ),
        Unrest.HEALTH: (state.health != "Healthy", f"its health is {state.health or 'unknown'}"),
        Unrest.OPERATION: (moving, "an operation is pending or running"),
        Unrest.REFRESH: (state.refresh_pending, "a refresh is pending"),
        Unrest.LAST_OPERATION: (
            state.phase not in ("Succeeded", "Running", "Terminating"),
            f"its last operation is {state.phase or 'unknown'}",
        ),
        Unrest.CONDITIONS: (bool(errors), f"it has {', '.join(errors)}"),
        Unrest.OTHER_REVISION: (
            state.operation_revision != state.sync_revision, "the last operation was for another revision"
        ),
        Unrest.NO_DEPLOYMENT: (deployment is None, "the Deployment is not there"),
        Unrest.ROLLING_OUT: (
            deployment is not None and not rolled_out(deployment), "the Deployment is not rolled out"
        ),
    }  # fmt: skip
    return {reason: text for reason, (holds, text) in reasons.items() if holds}


def covered_by_ignore(application: Object, trial: Trial) -> bool:
    """Does an ignoreDifferences entry of the Application name the trial's field, or one above it?

    jq expressions and field managers are not evaluated; they are rare, and a field that heals is not covered.
    """
    pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in trial.path)
    for rule in (application.get("spec") or {}).get("ignoreDifferences") or ():
        wanted = {
            "group": KINDS[trial.kind].group, "kind": trial.kind, "name": trial.object_name,
            "namespace": trial.namespace,
        }  # fmt: skip
        if not all(_matches(rule.get(key), value) for key, value in wanted.items()):
            continue
        if any(pointer == one or pointer.startswith(f"{one}/") for one in rule.get("jsonPointers") or ()):
            return True
    return False


def _matches(pattern: str | None, value: str) -> bool:
    return not pattern or fnmatch.fnmatchcase(value, pattern)


def causes(
    application: Object, state: ApplicationState, trial: Trial, *, controller_ready: bool | None,
    window_denied: bool | None,
) -> Mapping[HealCause, bool | None]:  # fmt: skip
    """The causes of docs/argocd.md 1.6, each checked; None where nobody could look."""
    application = without_nulls(application)
    policy = automation(application)
    metadata = application.get("metadata") or {}
    tracked: list[Mapping[str, Any]] = (application.get("status") or {}).get("resources") or []
    return {
        HealCause.AUTOMATED_OFF: not policy.on,
        HealCause.SELF_HEAL_OFF: policy.on and not policy.self_heal,
        HealCause.SKIP_RECONCILE: (metadata.get("annotations") or {}).get(_SKIP_RECONCILE) == "true",
        HealCause.DELETING: bool(metadata.get("deletionTimestamp")),
        HealCause.LAST_SYNC_FAILED: state.phase in ("Failed", "Error"),
        HealCause.COMPARISON_FAILED: bool(state.why_not_compared),
        HealCause.OPERATION_RUNNING: (state.operation_pending or state.phase == "Running") and not _heals(application),
        HealCause.NOT_TRACKED: (trial.kind, trial.object_name)
        not in {(one.get("kind"), one.get("name")) for one in tracked},
        HealCause.IGNORED_DIFFERENCE: covered_by_ignore(application, trial),
        HealCause.CONTROLLER_AWAY: None if controller_ready is None else not controller_ready,
        HealCause.SYNC_WINDOW: window_denied,
    }


def _heals(application: Object) -> bool:
    """Is its operation a self-heal? None was running before the drift: that one repairs it, and is no other."""
    state = (application.get("status") or {}).get("operationState") or {}
    operation = application.get("operation") or state.get("operation") or {}
    automated = (operation.get("initiatedBy") or {}).get("automated")
    return bool(automated and (operation.get("sync") or {}).get("autoHealAttemptsCount"))


def known_beforehand(checked: Mapping[HealCause, bool | None]) -> bool:
    """Is healing impossible by what the Application itself says? Then a short proof that nothing happens is enough."""
    return any(checked[cause] for cause in _BY_CHOICE)
