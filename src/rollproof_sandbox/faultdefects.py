"""Faultdefects: the rows of the table of defects whose drills inject faults: sync windows, races, pods that leave."""

from __future__ import annotations

from rollproof_sandbox.defectrow import Change, fails, of_group, once, passes, undecided
from rollproof_sandbox.settings import SHAS

__all__ = ["FAULTS"]

_, _, THIRD = SHAS
DENY, RACE, IN_SYNC = ("deny-window",), ("deploy-race",), ("deploy-race-in-sync",)
FORCE = ("branch-force-pushed",)
DELETE, NOW, EVICT = ("pod-delete",), ("pod-delete-now",), ("pod-evict",)

_ARGOCD_OPEN: Change = {
    "target": {
        "fences": {"namespaces": ["shop", "argocd"]}, "release": {"deadline_s": 12}, "traffic": {"rate_per_s": 60},
    },
}  # fmt: skip
_SOON: Change = {"target": {"faults": {"effect_within_s": 4.0, "recovery_limit_s": 12.0}}}
_EXITS: Change = {"at_sigterm": "exit"}  # at SIGTERM, with all that it is asked then

FAULTS = (
    *of_group(
        "deny window",
        ("deny-window-unseen", "a sync window denies a commit that Argo CD never sees", DENY,
         undecided("fault", "no effect was seen"), {**_ARGOCD_OPEN, "argocd": {"sees_new_commits": False}}),
        ("deny-window-loses-requests", "the release that arrives after the window loses requests", DENY,
         fails("availability", "PRESTOP_MISSING"),
         {**_ARGOCD_OPEN, "app": _EXITS, "workload": {"prestop_s": 0.0}, "ingress": {"lag_s": 0.4}}),
        ("deny-window-sync-fails", "the commit cannot be synced when the window has ended", DENY, fails("fault"),
         {**_ARGOCD_OPEN, "argocd": {"sync_fails": "one or more objects failed to apply, reason: denied"}}),
    ),
    *of_group(
        "deploy race",
        ("race-pod-stays", "a pod of another version stays Terminating for minutes", RACE,
         fails("fault", "NOT_RECOVERED"), {"cluster": {"stuck_terminating_s": 120.0}, **_SOON}),
        ("race-pod-orphaned", "an old pod lost its owner, keeps its labels, and answers", RACE,
         fails("fault", "NOT_RECOVERED", stays=True), {"cluster": {"orphan_old_pod": True}, **_SOON}),
        ("race-last-not-pullable", "the image of the last release is not in the registry", RACE,
         fails("fault", "NOT_RECOVERED"),
         {"cluster": {"missing_images": (THIRD,)},
          "target": {**_SOON["target"], "release": {"image_check": "none"}}}),
        ("race-not-synced", "every sync of a new revision fails and is tried again", RACE,
         fails("release", "SYNC_FAILED"),
         {"argocd": {"sync_fails": "one or more objects failed to apply, reason: denied"},
          "target": {**_SOON["target"], "release": {"deadline_s": 12}}}),
        ("race-not-applied", "Argo CD says Synced at each new revision, and has applied nothing", RACE,
         fails("release", "at stage 'rolled-out'"),
         {"argocd": {"claims_new_revision": True}, "target": {**_SOON["target"], "release": {"deadline_s": 8}}}),
        ("race-loses-requests", "the pods of the three rollouts exit at SIGTERM", RACE,
         fails("availability", "PRESTOP_MISSING"),
         {"app": _EXITS, "next_app": _EXITS, "workload": {"prestop_s": 0.0}, "ingress": {"lag_s": 0.4}}),
        ("race-first-never-synced", "Argo CD does not see the first release, so that no sync can be raced", IN_SYNC,
         undecided("fault", "has not begun to sync"), {"argocd": {"sees_new_commits": False}, **_SOON}),
    ),
    *of_group(
        "force push",
        ("force-push-loses-requests", "the pods of both rollouts exit at SIGTERM", FORCE,
         fails("availability", "PRESTOP_MISSING"),
         {"app": _EXITS, "next_app": _EXITS, "workload": {"prestop_s": 0.0}, "ingress": {"lag_s": 0.4},
          "target": {"fences": {"namespaces": ["shop", "argocd"]}, "faults": {"force_push": True}}}),
        ("force-push-not-allowed", "nobody says that the git server takes it", FORCE,
         undecided("harness", "faults.force_push is not set"),
         {"target": {"fences": {"namespaces": ["shop", "argocd"]}}}),
    ),
    *of_group(
        "pod fault",
        ("evict-prestop-too-short", "the preStop sleep of an evicted pod ends before the ingress has noticed", EVICT,
         fails("availability", "PRESTOP_TOO_SHORT"),
         {"app": _EXITS, "workload": {"prestop_s": 1.0}, "ingress": {"lag_s": 2.5}}),
        ("evict-endpoint-lag", "endpoints change four seconds after an eviction", EVICT,
         fails("availability", "PRESTOP_TOO_SHORT"),
         {"app": _EXITS, "workload": {"prestop_s": 1.0}, "cluster": {"endpoint_lag_s": 4.0}}),
        ("delete-posts-lost", "a deleted pod resets what it reads: GETs are tried again, POSTs are lost", DELETE,
         fails("availability", "MASKED"),
         {"app": {"at_sigterm": "ignore", "on_term": once("reset", 0.0, 5.0)}, "workload": {"grace_s": 4},
          "ingress": {"lag_s": 2.2}}),
        ("replacement-ready-too-early", "the pod in its place is called ready, and fails for another second", DELETE,
         fails("availability", "READINESS_LIES"), {"app": {"on_ready": once("http-500", 0.0, 1.0)}}),
        ("replacement-late", "the pod in its place is ready later than promised", DELETE,
         fails("fault", "limit"), {"app": {"start_s": 5.0}, "target": {"faults": {"recovery_limit_s": 3.0}}}),
        ("replacement-late-after-an-eviction", "the same after an eviction", EVICT,
         fails("fault", "limit"), {"app": {"start_s": 5.0}, "target": {"faults": {"recovery_limit_s": 3.0}}}),
        ("delete-seen-by-nobody", "a pod is deleted, at two requests a second", DELETE,
         undecided("availability", "nobody was looking"), {"target": {"traffic": {"rate_per_s": 2}}}),
        ("delete-without-effect", "the deletion is answered, and the pod stays", DELETE,
         undecided("fault", "no effect was seen"), {"api": {"voids_deletions": True}, **_SOON}),
        ("delete-now-without-effect", "the same of a deletion at once", NOW,
         undecided("fault", "no effect was seen"), {"api": {"voids_deletions": True}, **_SOON}),
        ("evict-without-effect", "the same of an eviction", EVICT,
         undecided("fault", "no effect was seen"), {"api": {"voids_deletions": True}, **_SOON}),
        ("budget-blocks-for-ever", "the PodDisruptionBudget lets no pod go, now or ever", EVICT,
         undecided("harness", "forbids it, and so every drain of its node"), {"cluster": {"budget_allows": 0}}),
        ("one-replica", "there is one replica, and no outage is allowed", DELETE,
         undecided("harness", "nobody would answer until the next is ready"), {"workload": {"replicas": 1}}),
        ("no-second-node", "all three pods are on one node", ("pods-delete-all-of-node",),
         undecided("harness", "a topologySpreadConstraint would spread them"), {"workload": {"replicas": 3}}),
    ),
    *of_group(
        "sound",
        ("deny-window-ends", "a sync window denies the new commit for a while", DENY, passes("fault"), _ARGOCD_OPEN),
        ("sound-race", "two releases in a race: the last one wins", RACE, passes("fault"), {}),
        ("sound-race-in-sync", "the same in the middle of a sync", IN_SYNC, passes("fault"), {}),
        ("race-first-never-seen", "Argo CD sees only the last of two commits", RACE,
         passes("release", "SUPERSEDED"), {"argocd": {"sees_new_commits": False}}),
        ("sound-force-push", "a history is rewritten on a branch of our own, and followed backwards", FORCE,
         passes("fault"), {"target": {"fences": {"namespaces": ["shop", "argocd"]}, "faults": {"force_push": True}}}),
        ("sound-delete", "a pod is deleted", DELETE, passes("fault"), {}),
        ("sound-delete-now", "a pod is deleted at once, and what it had is lost within the budget", NOW,
         passes("fault"), {"target": {"traffic": {"downtime_budget_ms": 3000}}}),
        ("sound-evict", "a pod is evicted", EVICT, passes("fault"), {}),
        ("budget-allows-one", "the PodDisruptionBudget lets one pod go", EVICT,
         passes("fault"), {"cluster": {"budget_allows": 1}}),
        ("replacement-slow-to-start", "the pod in its place takes its time, within the limit", DELETE,
         passes("fault"), {"app": {"start_s": 3.0}}),
    ),
)  # fmt: skip
