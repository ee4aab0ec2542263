"""Fairness: may a drift trial start now, and if nothing was healed, why (argocd.md 1.6 and 1.8).

Pure reading of objects that were fetched elsewhere. It must never blame the target for what was known beforehand.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rollproof.clients.argo import ApplicationState
from rollproof.clients.kube import Object
from rollproof.faults.trials import Trial
from rollproof.probes.views import DeploymentView

__all__ = ["age_s", "causes", "covered_by_ignore", "known_beforehand", "rolled_out", "self_heal", "why_unfair"]

_GROUPS = {"Deployment": "apps"}
_BY_CHOICE = ("automated_off", "self_heal_off", "skip_reconcile", "deleting", "ignored_difference")


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


def why_unfair(state: ApplicationState, deployment: DeploymentView | None) -> str:
    """What is not at rest, empty if all is: only then is what follows the drift's own."""
    errors = [one.split(":")[0] for one in state.conditions if one.split(":")[0].endswith("Error")]
    reasons = {
        f"the Application is {state.sync_status or 'of unknown sync status'}": state.sync_status != "Synced",
        f"its health is {state.health or 'unknown'}": state.health != "Healthy",
        "an operation is pending or running": state.operation_pending or state.phase in ("Running", "Terminating"),
        "a refresh is pending": state.refresh_pending,
        f"its last operation is {state.phase or 'unknown'}": state.phase not in ("Succeeded", "Running", "Terminating"),
        f"it has {', '.join(errors)}": bool(errors),
        "the last operation was for another revision": state.operation_revision != state.sync_revision,
        "the Deployment is not there": deployment is None,
        "the Deployment is not rolled out": deployment is not None and not rolled_out(deployment),
    }
    return "; ".join(reason for reason, holds in reasons.items() if holds)


def self_heal(application: Object) -> tuple[bool, bool]:
    """(automated, selfHeal) of the Application's own spec."""
    automated = ((application.get("spec") or {}).get("syncPolicy") or {}).get("automated")
    on = automated is not None and automated.get("enabled") is not False
    return on, on and bool((automated or {}).get("selfHeal"))


def covered_by_ignore(application: Object, trial: Trial) -> bool:
    """Does an ignoreDifferences entry of the Application name the trial's field, or one above it?

    jq expressions and field managers are not evaluated; they are rare, and a field that heals is not covered.
    """
    pointer = "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in trial.path)
    for rule in (application.get("spec") or {}).get("ignoreDifferences") or ():
        wanted = {
            "group": _GROUPS.get(trial.kind, ""), "kind": trial.kind, "name": trial.object_name,
            "namespace": trial.namespace,
        }  # fmt: skip
        if not all(_matches(rule.get(key), value) for key, value in wanted.items()):
            continue
        if any(pointer == one or pointer.startswith(f"{one}/") for one in rule.get("jsonPointers") or ()):
            return True
    return False


def _matches(pattern: str | None, value: str) -> bool:
    return not pattern or fnmatch.fnmatchcase(value, pattern)


def causes(application: Object, state: ApplicationState, trial: Trial, *, controller_ready: bool) -> Mapping[str, bool]:
    """The causes of argocd.md 1.6, each checked; the words are those of checkers/drift.py."""
    on, healing = self_heal(application)
    metadata = application["metadata"]
    tracked: list[Mapping[str, Any]] = (application.get("status") or {}).get("resources") or []
    errors = [one for one in state.conditions if one.split(":")[0].endswith("Error")]
    return {
        "automated_off": not on,
        "self_heal_off": on and not healing,
        "skip_reconcile": (metadata.get("annotations") or {}).get("argocd.argoproj.io/skip-reconcile") == "true",
        "deleting": "deletionTimestamp" in metadata,
        "last_sync_failed": state.phase in ("Failed", "Error"),
        "comparison_failed": state.sync_status == "Unknown" or any("Comparison" in one for one in errors),
        "operation_running": state.operation_pending or state.phase == "Running",
        "not_tracked": (trial.kind, trial.object_name) not in {(one.get("kind"), one.get("name")) for one in tracked},
        "ignored_difference": covered_by_ignore(application, trial),
        "controller_away": not controller_ready,
    }


def known_beforehand(checked: Mapping[str, bool]) -> bool:
    """Is healing impossible by what the Application itself says? Then a short proof that nothing happens is enough."""
    return any(checked[cause] for cause in _BY_CHOICE)
