"""Defects: every way in which the target can be wrong, by name, with the drill that shows it and the expected verdict.

What a row is says `defectrow.py`; those of drills that inject faults are in `faultdefects.py`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from rollproof.errors import InputError
from rollproof_sandbox.defectrow import Change, Defect, fails, of_group, once, passes, undecided
from rollproof_sandbox.faultdefects import FAULTS
from rollproof_sandbox.settings import SHAS, App, Settings

__all__ = ["DEFECTS", "GROUPS", "Defect", "with_defects"]

FIRST, SECOND, _ = SHAS
GROUPS = (
    "release", "traffic", "drift", "deny window", "deploy race", "force push", "pod fault", "rollback", "bad release",
    "readiness", "jobs", "secrets", "pipeline", "harness", "sound",
)  # fmt: skip

RELEASE, LOAD, ROLLBACK, BAD = ("release",), ("zero-downtime",), ("rollback",), ("bad-release",)
SECRETS, PIPELINE = ("secrets",), ("pipeline",)
JOBS, JOBS_ROLLOUT, JOBS_POD_DELETE = ("jobs",), ("jobs-rollout",), ("jobs-pod-delete",)
CONFIGMAP = ("drift", "--trial", "configmap")


def _patient(after_old_gone_s: float = 3.5, **more: Any) -> Change:
    """A longer window after the last old pod, for late failures.

    Failures without a pod's name must come more than 5 s after the last old pod left the Service, or may be that pod's.
    """
    return {"target": {"traffic": {"after_old_gone_s": after_old_gone_s, **more}}}


def _late_in_new_pods(kind: str, for_s: float = 0.3) -> Change:
    """Trouble of the new version long after its pods were ready: not a readiness problem."""
    return {"next_app": {"on_ready": once(kind, 3.4, for_s)}, **_patient()}


def _bad(kind: str, **app: Any) -> Change:
    """The second release is known to be bad, of that kind, by these settings of the app."""
    return {"next_app": app, "target": {"release.bad": {kind: SECOND, "image_missing": ""}}}


def _refused(for_s: float, rate_per_s: float, **traffic: Any) -> Change:
    """Every fifth request opens a connection. An outage shorter than the time between those can stay unseen."""
    return {
        "ingress": {"troubles": once("refuse", 0.6, for_s)},
        "target": {"traffic": {"rate_per_s": rate_per_s, **traffic}},
    }


# Enough requests at every moment; not longer than the control probe's interval, so that it fails together with the app.
_RELOAD_DROPS: Change = {
    "ingress": {"troubles": once("reload-drop", 7.5, 0.03)},
    "app": {"latency_s": 0.04}, "next_app": {"latency_s": 0.04}, **_patient(7.0, rate_per_s=800),
}  # fmt: skip

_DEFECTS = (
    *of_group(
        "release",
        ("image-not-pullable", "the new image is not in the registry", RELEASE,
         fails("release", "IMAGE_PULL_BACK_OFF"), {"cluster": {"missing_images": (SECOND,)}}),
        ("crash-loop", "the new version exits soon after its start", RELEASE,
         fails("release", "CRASH_LOOP_BACK_OFF"), {"next_app": {"crash_after_s": 0.2}}),
        ("never-ready", "the new version never gets ready", RELEASE,
         fails("release", "PROGRESS_DEADLINE_EXCEEDED"),
         {"next_app": {"never_ready": True}, "workload": {"progress_deadline_s": 5}}),
        ("ready-too-early", "the new version is called ready, and fails for another second", LOAD,
         fails("availability", "READINESS_LIES"), {"next_app": {"on_ready": once("http-500", 0.0, 1.0)}}),
        ("wrong-version", "/health of the new version says another sha", RELEASE,
         fails("version", "instead of"), {"next_app": {"health_version": "0badbad"}}),
        ("wrong-version-in-one-pod", "one of the new pods says another sha", RELEASE,
         fails("version", "instead of"), {"one_next_pod": {"health_version": "0badbad"}}),
        ("old-pod-stuck", "an old pod stays Terminating for minutes, and answers", RELEASE,
         fails("rollout", "left behind"),
         {"cluster": {"stuck_terminating_s": 120.0}, "target": {"release": {"deadline_s": 12}}}),
        ("old-pod-orphaned", "an old pod lost its owner, keeps its labels, and answers", RELEASE,
         fails("rollout", "left behind", stays=True),
         {"cluster": {"orphan_old_pod": True}, "target": {"release": {"deadline_s": 12}}}),
        ("old-version-sometimes", "every seventh answer of the new pods is the old version's", RELEASE,
         fails("version", FIRST), {"next_app": {"old_version_every": 7}}),
        ("stale-synced", "Argo CD says Synced and Healthy, of the old revision", RELEASE,
         undecided("release", "at stage 'seen'"),
         {"argocd": {"sees_new_commits": False}, "target": {"release": {"deadline_s": 8}}}),
        ("claims-new-revision", "Argo CD says Synced at the new revision, and has applied nothing", RELEASE,
         fails("release", "at stage 'rolled-out'"),
         {"argocd": {"claims_new_revision": True}, "target": {"release": {"deadline_s": 8}}}),
        ("sync-retry", "every sync of the new revision fails and is tried again", RELEASE,
         fails("release", "SYNC_FAILED"),
         {"argocd": {"sync_fails": "one or more objects failed to apply, reason: admission webhook denied the request"},
          "target": {"release": {"deadline_s": 12}}}),
        ("tag-latest", "the overlay names the tag latest", RELEASE,
         undecided("", "'latest', which names no version"),
         {"workload": {"overlay_tag": "latest"}, "app": {"health_version": FIRST}}),
        ("rollout-replaces-nothing", "the new tag changes nothing that is rendered: another image name", RELEASE,
         undecided("rollout", "no pod was replaced"),
         {"workload": {"image_mismatch": True}, "target": {"release": {"deadline_s": 8}}}),
    ),
    *of_group(
        "traffic",
        ("exit-at-sigterm", "the app exits at SIGTERM, and there is no preStop", LOAD,
         fails("availability", "PRESTOP_MISSING"),
         {"app": {"at_sigterm": "exit"}, "workload": {"prestop_s": 0.0}, "ingress": {"lag_s": 0.4}}),
        ("prestop-too-short", "the preStop sleep ends before the ingress has noticed", LOAD,
         fails("availability", "PRESTOP_TOO_SHORT"),
         {"app": {"at_sigterm": "exit"}, "workload": {"prestop_s": 1.0}, "ingress": {"lag_s": 2.5}}),
        ("endpoint-lag-4s", "endpoints change four seconds late", LOAD,
         fails("availability", "PRESTOP_TOO_SHORT"),
         {"app": {"at_sigterm": "exit"}, "workload": {"prestop_s": 1.0}, "cluster": {"endpoint_lag_s": 4.0}}),
        ("in-flight-cut", "requests under way are cut at the end of the grace period", LOAD,
         fails("availability", "IN_FLIGHT_CUT"),
         {"app": {"at_sigterm": "cut"}, "workload": {"grace_s": 1, "prestop_s": 0.5},  # some run at every moment
          "target": {"app": {"slow_path": "/slow?ms=4000"}, "traffic": {"slow_concurrency": 8}}}),
        ("keepalive-dropped", "a few requests on reused connections get no answer", LOAD,
         fails("availability", "KEEPALIVE_RACE"),
         {"ingress": {"troubles": once("drop-reused", 3.0, 1.0), "drops": 3}, **_patient()}),
        ("refused-20ms", "new connections are refused for 20 ms", LOAD,
         fails("availability", "LISTENER_CLOSED"), _refused(0.02, 1000)),
        ("refused-50ms", "new connections are refused for 50 ms", LOAD,
         fails("availability", "LISTENER_CLOSED"), _refused(0.05, 500)),
        ("refused-100ms", "new connections are refused for 100 ms", LOAD,
         fails("availability", "LISTENER_CLOSED"), _refused(0.1, 300)),
        ("refused-500ms", "new connections are refused for 500 ms", LOAD,
         fails("availability", "LISTENER_CLOSED"), _refused(0.5, 200)),
        ("refused-20ms-unseen", "the same, at a rate whose gaps are wider than the promise of 20 ms", LOAD,
         undecided("availability", "nobody was looking"), _refused(0.02, 1, resolution_ms=20)),
        ("refused-50ms-unseen", "the same for 50 ms, which is promised to be seen", LOAD,
         undecided("availability", "nobody was looking"), _refused(0.05, 0.5, resolution_ms=50)),
        ("posts-lost", "a leaving pod resets what it reads: GETs are tried again, POSTs are lost", LOAD,
         fails("availability", "MASKED"),
         {"app": {"at_sigterm": "ignore", "on_term": once("reset", 0.0, 5.0)}, "workload": {"grace_s": 4},
          "ingress": {"lag_s": 2.2}}),
        ("truncated-bodies", "bodies of the new version end early for 300 ms", LOAD,
         fails("availability", "BAD_ANSWERS"), _late_in_new_pods("truncate")),
        ("wrong-body", "the new version answers 200 with somebody else's body for 300 ms", LOAD,
         fails("availability", "BAD_ANSWERS"), _late_in_new_pods("wrong-body")),
        ("burst-503", "the new version answers 503 for 300 ms", LOAD,
         fails("availability", "BAD_ANSWERS"), _late_in_new_pods("http-503")),
        ("stall-100ms", "the new version answers nothing for 100 ms: late, but not lost", LOAD,
         passes("availability", "SLOW"),
         {"next_app": {"on_ready": once("stall", 1.0, 0.1)}, "target": {"traffic": {"slow_ms": 50}}}),
        ("stall-1s", "the new version answers nothing for a second; clients wait for 0.6 s", LOAD,
         fails("availability", "NO_ANSWER_IN_TIME"),
         {"next_app": {"on_ready": once("stall", 7.5, 1.0)}, **_patient(8.0, timeout_s=0.6)}),
        ("slow-start", "new pods answer slowly for their first second and a half", LOAD,
         passes("availability", "SLOW"),
         {"next_app": {"on_ready": once("slow", 0.0, 1.5), "slow_s": 0.4}, "target": {"traffic": {"slow_ms": 300}}}),
        ("one-pod-broken", "one of the two new pods answers 500", LOAD,
         fails("availability", "READINESS_LIES"), {"one_next_pod": {"on_ready": once("http-500", 0.1, 600.0)}}),
        ("ingress-reload-drops", "the ingress reloads and drops requests on reused connections", LOAD,
         fails("availability", "INGRESS_RELOAD"),
         {**_RELOAD_DROPS, "no_control": True}),
        ("ingress-reload-drops-control", "the same, and the control probe sees it: not the app's fault", LOAD,
         undecided("availability", "control probe failed too"),
         _RELOAD_DROPS),
    ),
    *of_group(
        "drift",
        ("self-heal-off", "selfHeal is false", CONFIGMAP,
         fails("drift", "SELF_HEAL_OFF"), {"argocd": {"self_heal": False}}),
        ("noop-commit", "healed by a plain auto-sync, after a commit that changed nothing", CONFIGMAP,
         undecided("drift", "auto-sync"), {"actors": {"names": ("noop-commit",)}, "argocd": {"heal_delay_s": 2.0}}),
        ("healed-by-a-person", "somebody puts it back before Argo CD does", CONFIGMAP,
         undecided("drift", "kubectl-edit"), {"actors": {"names": ("human-heals",)}, "argocd": {"heal_delay_s": 2.0}}),
        ("changed-back", "restored, then changed again by another writer", CONFIGMAP,
         undecided("drift", "somebody else"), {"actors": {"names": ("changes-back",)}}),
        ("ignored-field", "ignoreDifferences covers the field", CONFIGMAP,
         fails("drift", "IGNORED_DIFFERENCE"),
         {"argocd": {"ignore_differences": ({"kind": "ConfigMap", "jsonPointers": ["/data"]},)}}),
        ("sync-window-closed", "a sync window forbids automated syncs", CONFIGMAP,
         fails("drift", "SYNC_WINDOW"), {"argocd": {"deny_window": True}}),
        ("healed-by-refresh-only", "Argo CD's watch is broken: only a refresh makes it look", CONFIGMAP,
         fails("drift", "WATCH_BROKEN"), {"argocd": {"notices_drift": False}, "target": {"drift": {"deadline_s": 8}}}),
        ("heals-late", "the controller heals later than promised", CONFIGMAP,
         fails("drift"), {"argocd": {"heal_delay_s": 30.0}, "target": {"drift": {"deadline_s": 6}}}),
        ("env-not-healed", "selfHeal is false, and a variable of the container is changed", ("drift", "--trial", "env"),
         fails("drift", "SELF_HEAL_OFF"), {"argocd": {"self_heal": False}}),
        ("deletion-not-healed", "selfHeal is false, and an object is deleted", ("drift", "--trial", "delete-configmap"),
         fails("drift", "SELF_HEAL_OFF"), {"argocd": {"self_heal": False}}),
        ("partial-restore", "the deleted object comes back without one of its declared fields",
         ("drift", "--trial", "delete-configmap"),
         fails("drift", "only in part"), {"argocd": {"restores_partly": True}}),
    ),
    *FAULTS,
    *of_group(
        "rollback",
        ("revert-conflict", "the tag's line was edited after the deploy, so the revert conflicts", ROLLBACK,
         passes("rollback", "forward commit"), {"actors": {"names": ("tag-edit",)}}),
        ("revert-image-gone", "the old image is no longer in the registry", ROLLBACK,
         fails("rollback", "ImagePullBackOff", stays=True), {"cluster": {"gone_after_first_use": (FIRST,)}}),
        ("image-updater", "an image updater puts the newer tag back", ROLLBACK,
         fails("rollback", "OVERWRITTEN"), {"actors": {"names": ("image-updater",)}}),
        ("rollback-loses-requests", "the old version comes back, and requests are lost on the way", ROLLBACK,
         fails("availability", "PRESTOP_MISSING"),
         {"next_app": {"at_sigterm": "exit"}, "workload": {"prestop_s": 0.0}, "ingress": {"lag_s": 0.4}}),
        ("rollback-too-slow", "the old version comes back later than promised", ROLLBACK,
         fails("rollback", "SLOWEST_STAGE"), {"app": {"start_s": 2.0}, "target": {"rollback": {"limit_s": 4}}}),
    ),
    *of_group(
        "bad release",
        ("bad-crash-loop", "a known-bad release exits soon after its start: nobody feels it", BAD,
         passes("bad_release", "CRASH_LOOP_BACK_OFF"), _bad("crash_loop", crash_after_s=0.2)),
        ("bad-never-ready", "a known-bad release never gets ready: nobody feels it", BAD,
         passes("bad_release", "PROGRESS_DEADLINE_EXCEEDED"), _bad("never_ready", never_ready=True)),
        ("bad-wrong-version", "a known-bad release says another sha: users get its answers", BAD,
         fails("availability", "version.wrong"), _bad("wrong_version", health_version="0badbad")),
        ("bad-never-ready-late", "that a release never gets ready is said later than promised", BAD,
         fails("bad_release", "NAMED_LATE"),
         {**_bad("never_ready", never_ready=True),
          "target": {"release.bad": {"never_ready": SECOND, "image_missing": "", "never_ready_within_s": 5.0}}}),
        ("bad-release-felt", "one old pod may be missing, and the bad version is ready before it exits", BAD,
         fails("availability"),
         {**_bad("crash_loop", crash_after_s=2.5), "workload": {"max_unavailable": 1}}),
        ("bad-release-is-good", "what is named as a crash loop is a sound version", BAD,
         undecided("bad_release", "it tests nothing"), _bad("crash_loop")),
    ),
    *of_group(
        "readiness",
        ("ready-lies-about-database", "/ready answers 200 while the database is down", RELEASE,
         fails("readiness", "'down' instead of 'ok'"), {"next_app": {"database": "down", "ready_status_lies": True}}),
        ("health-follows-database", "/ready and /health answer 503 together", RELEASE,
         fails("readiness", "HEALTH_FOLLOWS_DATABASE"),
         {"next_app": {"database": "down", "health_follows_database": True}, "workload": {"progress_deadline_s": 5}}),
        ("database-field-missing", "/ready has no field for the database", RELEASE,
         undecided("readiness", "no answer with that field"), {"next_app": {"database_field": False}}),
    ),
    *of_group(
        "jobs",
        ("jobs-twice", "each replica looks for the row of the period, works, and writes it then", JOBS,
         fails("jobs", "RUN_TWICE"), {"app": {"jobs": "read-then-write"}}),
        ("jobs-without-cron", "no replica runs cron any more", JOBS_ROLLOUT,
         fails("jobs", "RUN_MISSED"), {"next_app": {"jobs": "off"}}),
        ("jobs-twice-after-rollout", "the new version's lock is wrong: read, then write", JOBS_ROLLOUT,
         fails("jobs", "RUN_TWICE"), {"next_app": {"jobs": "read-then-write"}}),
        ("jobs-one-replica", "one replica only: nothing could run twice", JOBS,
         undecided("jobs", "only one replica"), {"workload": {"replicas": 1}}),
        ("jobs-clocks-apart", "the app's clock is a minute ahead", JOBS,
         undecided("jobs", "the clocks are apart"), {"app": {"clock_ahead_s": 60.0}}),
    ),
    *of_group(
        "secrets",
        ("secret-in-history", "the password was in git once, and a later commit took it out", SECRETS,
         fails("secrets", "SECRET_FOUND"), {"workload": {"leak": "git"}}),
        ("secret-in-configmap", "a ConfigMap has a URL with the password, percent-encoded", SECRETS,
         fails("secrets", "SECRET_FOUND"), {"workload": {"leak": "configmap"}}),
        ("secret-in-env", "the pod template has the password as a literal", SECRETS,
         fails("secrets", "SECRET_FOUND"), {"workload": {"leak": "env"}}),
        ("secret-not-searchable", "the wanted value is too short to be looked for", SECRETS,
         undecided("secrets", "fewer than 6 characters"), {"target": {"secrets": {"names": ["shop-secret/DB_USER"]}}}),
    ),
    *of_group(
        "pipeline",
        ("pipeline-by-hand", "somebody else than the pipeline has committed the tag", PIPELINE,
         fails("pipeline", "NOT_BY_THE_PIPELINE"), {"target": {"pipeline": {"author": "release-bot"}}}),
        ("pipeline-image-mismatch", "the overlay sets the tag of an image that is not the Deployment's", PIPELINE,
         fails("pipeline", "TAG_DOES_NOT_RUN"), {"workload": {"image_mismatch": True}}),
        ("pipeline-seen-late", "Argo CD took the commit an hour after it was made", PIPELINE,
         fails("pipeline", "LEG_TOO_SLOW"), {"target": {"pipeline.limits_s": {"seen": 60.0}}}),
        ("pipeline-time-unknown", "the pods were made again since: how long the rollout took nobody knows", PIPELINE,
         undecided("pipeline", "how long it took is not known"),
         {"target": {"pipeline.limits_s": {"seen": 7200.0, "rolled-out": 60.0}}}),
    ),
    *of_group(
        "harness",
        ("generator-stalled", "the load generator is stopped for 1.5 s", LOAD,
         undecided("load_soundness", "it stood still"), {"host": {"on_rollout": once("stop-generator", 0.5, 1.5)}}),
        ("watch-facts-lost", "the watches of pods are blind during the rollout", RELEASE,
         undecided("watches", "facts may be missing"), {"api": {"on_rollout": once("blind-watches", 0.1, 2.0)}}),
        ("clock-step", "the wall clock moves by five seconds", CONFIGMAP,
         undecided("drift", "the wall clock moved"), {"host": {"on_drift": once("clock-step"), "step_s": 5.0}}),
        ("clock-step-under-load", "the same, while load runs", LOAD,
         undecided("load_soundness", "the wall clock moved"),
         {"host": {"on_rollout": once("clock-step", 1.0), "step_s": 5.0}}),
        ("api-away-5s", "the API server is away for five seconds during the rollout", RELEASE,
         undecided("watches", "was away for"), {"api": {"on_rollout": once("away", 0.5, 5.0)}}),
        ("fault-without-effect", "the patch that should be the drift changes nothing", CONFIGMAP,
         undecided("drift", "no drift to heal"), {"api": {"voids_patches": True}}),
        ("too-few-samples", "two requests a second", LOAD,
         undecided("availability", "nobody was looking"), {"target": {"traffic": {"rate_per_s": 2}}}),
        ("other-writer", "somebody else writes the same field during the drift", CONFIGMAP,
         undecided("drift", "somebody else"),
         {"actors": {"names": ("other-writer",)}, "argocd": {"heal_delay_s": 0.5}}),
        ("disk-full", "the disk of the harness is full", RELEASE,
         undecided("", "cannot be written: No space left on device"), {"host": {"on_rollout": once("disk-full", 0.3)}}),
    ),
    *of_group(
        "sound",
        ("sound-release", "nothing is wrong", RELEASE, passes(), {}),
        ("sound-load", "nothing is wrong", LOAD, passes(), {}),
        ("sound-drift", "nothing is wrong", CONFIGMAP, passes(), {}),
        ("sound-jobs", "nothing is wrong", JOBS, passes("jobs"), {}),
        ("sound-jobs-rollout", "nothing is wrong", JOBS_ROLLOUT, passes("jobs"), {}),
        ("sound-jobs-pod-delete", "nothing is wrong", JOBS_POD_DELETE, passes("jobs"), {}),
        ("sound-secrets", "nothing is wrong", SECRETS, passes("secrets"), {}),
        ("sound-pipeline", "nothing is wrong", PIPELINE, passes("pipeline"), {}),
        ("sound-rollback", "nothing is wrong", ROLLBACK, passes(), {}),
        ("back-off-at-attempt-6", "six heals before: the back-off is waited out and not judged", CONFIGMAP,
         passes("drift"), {"argocd": {"attempts": 6, "finished_ago_s": 272.0}}),
        ("deleted-object-new-uid", "a deleted object comes back with another uid",
         ("drift", "--trial", "delete-configmap"), passes("drift"), {}),
        ("superseding-commit", "somebody's later commit still carries our tag", RELEASE,
         passes("release", "SUPERSEDED"),  # the first look is lost: at the next one the later commit is there
         {"actors": {"names": ("superseding-commit",)}, "argocd": {"lost_refreshes": 2}}),
        ("refresh-lost", "Argo CD loses requests to look, the release's first among them, and is asked again", RELEASE,
         passes("release"), {"argocd": {"lost_refreshes": 2}}),
        ("watch-410-resumed", "watches end with 410 and are resumed from a list", RELEASE,
         passes("watches"), {"api": {"on_rollout": once("expire-watches", 0.3)}}),
        ("watch-ended-resumed", "watches end and go on from where they were", RELEASE,
         passes("watches"), {"api": {"on_rollout": once("end-watches", 0.3)}}),
        ("ingress-reload-clean", "the ingress reloads and loses nothing", LOAD,
         passes("availability"), {"ingress": {"troubles": once("reload", 0.5)}}),
        ("slow-but-steady", "every answer takes 200 ms", LOAD,
         passes("availability"), {"app": {"latency_s": 0.2}, "next_app": {"latency_s": 0.2}}),
    ),
)  # fmt: skip

DEFECTS: Mapping[str, Defect] = {defect.name: defect for defect in _DEFECTS}


def with_defects(names: Iterable[str], settings: Settings) -> Settings:
    """The settings with these defects. InputError for an unknown name, or for two that contradict each other."""
    made_by: dict[tuple[str, str], tuple[str, Any]] = {}
    for name in dict.fromkeys(names):
        if name not in DEFECTS:
            near = difflib.get_close_matches(name, DEFECTS, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise InputError(f"there is no defect {name!r}", f"{hint}`rollproof sandbox --list` names all of them")
        for section, values in _flat(DEFECTS[name].change):
            for key, value in values.items():
                other, its = made_by.setdefault((section, key), (name, value))
                if its != value:
                    message = f"defects {other!r} and {name!r} both change {section}.{key}, and differ"
                    raise InputError(message, "run them one after the other")
            settings = _changed(settings, section, values)
    return settings


def _flat(change: Change) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """(section, values), with the target file's sections as "target.<section>"."""
    for section, values in change.items():
        if section == "target":
            yield from ((f"target.{name}", fields) for name, fields in values.items())
        elif section == "no_control":
            yield "target.control", {"url": None}
        else:
            yield section, values


def _changed(settings: Settings, section: str, values: Mapping[str, Any]) -> Settings:
    if section.startswith("target."):
        name = section.partition(".")[2]
        target = {**settings.target, name: {**settings.target.get(name, {}), **values}}
        return replace(settings, target=target)
    part: Any = getattr(settings, section) or App()  # only `one_next_pod` is None by default
    changed: dict[str, Any] = {section: replace(part, **values)}
    return replace(settings, **changed)
