"""Firstcauses: the cause that must be named first for each defect, as a code; None where no cause can be named.

None are runs that end before there is a verdict, and those of which nothing can be claimed for a reason that the
verdict itself says whole. A run that passes names none, so sound controls have no row. What only the lab has, or shows
otherwise, is in `ON_KIND`.
"""

from __future__ import annotations

from collections.abc import Mapping

from rollproof.core.causecodes import CauseCode as C
from rollproof_sandbox.defects import DEFECTS

__all__ = ["FIRST", "ON_KIND", "is_right", "wanted"]

FIRST: Mapping[str, C | None] = {
    "image-not-pullable": C.IMAGE_PULL_BACK_OFF,
    "crash-loop": C.CRASH_LOOP_BACK_OFF,
    "never-ready": C.POD_NEVER_READY,
    "ready-too-early": C.READINESS_LIES,
    "wrong-version": C.WRONG_VERSION,
    "wrong-version-in-one-pod": C.WRONG_VERSION,
    "old-pod-stuck": C.OLD_POD_STAYS,
    "old-pod-orphaned": C.ORPHANED,
    "old-version-sometimes": C.WRONG_VERSION,
    "stale-synced": C.DEADLINE_EXCEEDED,  # its sentence names the commit that Argo CD has not looked at
    "claims-new-revision": C.NOT_APPLIED,
    "sync-retry": C.SYNC_FAILED,
    "tag-latest": None,
    "rollout-replaces-nothing": C.NOTHING_CHANGED,
    "exit-at-sigterm": C.PRESTOP_MISSING,
    "prestop-too-short": C.PRESTOP_TOO_SHORT,
    "endpoint-lag-4s": C.PRESTOP_TOO_SHORT,
    "in-flight-cut": C.IN_FLIGHT_CUT,
    "keepalive-dropped": C.KEEPALIVE_RACE,
    "refused-20ms": C.LISTENER_CLOSED,
    "refused-50ms": C.LISTENER_CLOSED,
    "refused-100ms": C.LISTENER_CLOSED,
    "refused-500ms": C.LISTENER_CLOSED,
    "refused-20ms-unseen": None,
    "refused-50ms-unseen": None,
    "posts-lost": C.PRESTOP_TOO_SHORT,  # it resets what it reads when its preStop is over, and is still used
    "truncated-bodies": C.BAD_ANSWERS,
    "wrong-body": C.BAD_ANSWERS,
    "burst-503": C.BAD_ANSWERS,
    "stall-1s": C.NO_ANSWER_IN_TIME,
    "one-pod-broken": C.READINESS_LIES,
    "ingress-reload-drops": C.INGRESS_RELOAD,
    "ingress-reload-drops-control": None,
    "self-heal-off": C.SELF_HEAL_OFF,
    "noop-commit": None,
    "healed-by-a-person": None,
    "changed-back": None,
    "ignored-field": C.IGNORED_DIFFERENCE,
    "sync-window-closed": C.SYNC_WINDOW,
    "healed-by-refresh-only": C.WATCH_BROKEN,
    "heals-late": C.NOT_SYNCED,  # it has noticed, and waits
    "env-not-healed": C.SELF_HEAL_OFF,
    "deletion-not-healed": C.SELF_HEAL_OFF,
    "partial-restore": C.RESTORED_IN_PART,
    "deny-window-unseen": C.DEADLINE_EXCEEDED,
    "deny-window-loses-requests": C.PRESTOP_MISSING,
    "deny-window-sync-fails": C.SYNC_FAILED,
    "race-pod-stays": C.OLD_POD_STAYS,
    "race-pod-orphaned": C.ORPHANED,
    "race-last-not-pullable": C.IMAGE_PULL_BACK_OFF,
    "race-not-synced": C.SYNC_FAILED,
    "race-not-applied": C.NOT_APPLIED,
    "race-loses-requests": C.PRESTOP_MISSING,
    "race-first-never-synced": C.DEADLINE_EXCEEDED,  # as of the two others that Argo CD does not see
    "force-push-loses-requests": C.PRESTOP_MISSING,
    "force-push-not-allowed": None,
    "evict-prestop-too-short": C.PRESTOP_TOO_SHORT,
    "evict-endpoint-lag": C.PRESTOP_TOO_SHORT,
    "delete-posts-lost": C.PRESTOP_TOO_SHORT,
    "replacement-ready-too-early": C.READINESS_LIES,
    "replacement-late": C.POD_READY_LATE,
    "replacement-late-after-an-eviction": C.POD_READY_LATE,
    "delete-seen-by-nobody": None,
    "delete-without-effect": None,
    "delete-now-without-effect": None,
    "evict-without-effect": None,
    "budget-blocks-for-ever": None,
    "one-replica": None,
    "no-second-node": None,
    "revert-image-gone": C.IMAGE_PULL_BACK_OFF,
    "image-updater": C.OVERWRITTEN,
    "rollback-loses-requests": C.PRESTOP_MISSING,
    "rollback-too-slow": C.SLOWEST_STAGE,
    "bad-wrong-version": C.WRONG_VERSION_SERVED,
    "bad-never-ready-late": C.NAMED_LATE,
    "bad-release-felt": C.CONTAINER_ENDED,  # it was Ready before it exits: that is why users felt it
    "bad-release-is-good": None,
    "ready-lies-about-database": C.READY_IGNORES_DATABASE,
    "health-follows-database": C.HEALTH_FOLLOWS_DATABASE,
    "database-field-missing": None,
    "jobs-twice": C.RUN_TWICE,
    "jobs-without-cron": C.RUN_MISSED,
    "jobs-twice-after-rollout": C.RUN_TWICE,
    "jobs-one-replica": None,
    "jobs-clocks-apart": None,
    "secret-in-history": C.SECRET_FOUND,
    "secret-in-configmap": C.SECRET_FOUND,
    "secret-in-env": C.SECRET_FOUND,
    "secret-not-searchable": None,
    "pipeline-by-hand": C.NOT_BY_THE_PIPELINE,
    "pipeline-image-mismatch": C.TAG_DOES_NOT_RUN,
    "pipeline-seen-late": C.LEG_TOO_SLOW,
    "pipeline-time-unknown": None,
    "generator-stalled": None,
    "watch-facts-lost": None,
    "clock-step": None,
    "clock-step-under-load": None,
    "api-away-5s": None,
    "fault-without-effect": None,
    "too-few-samples": None,
    "other-writer": None,
    "disk-full": None,
}
ON_KIND: Mapping[str, C | None] = {
    "database-down": C.DATABASE_AWAY,
    "process-never-returns": C.SILENT_LOSS,
    "readiness-ignores-database": C.READINESS_PROBE,  # the lab's paths need no database: its loss costs nothing there
    "liveness-needs-database": C.LIVENESS_FOLLOWS_DATABASE,
    "heals-late": C.NOT_DETECTED,  # its controller stands still before it has noticed, or in the middle of its sync
    "replacement-late": C.NOT_RECOVERED,  # the new pod is ready within 3 s there; the old one's preStop takes 6 s
    "sound-process-kill": None,
}

_ALSO_RIGHT: Mapping[str, tuple[C, ...]] = {"heals-late": (C.NOT_SYNCED, C.NOT_RESTORED)}
"""On kind, where a deed of somebody else's may come a moment earlier or later."""


def wanted(name: str, *, on_kind: bool = False) -> C | None:
    """The cause that must be named first; None if none may be."""
    if on_kind and name in ON_KIND:
        return ON_KIND[name]
    return FIRST[name] if name not in DEFECTS or DEFECTS[name].result != "PASS" else None


def is_right(name: str, first: str, *, on_kind: bool = False) -> bool:
    """Whether the code that was named first ("" if none was) is the wanted one."""
    return first == (wanted(name, on_kind=on_kind) or "") or (on_kind and first in _ALSO_RIGHT.get(name, ()))
