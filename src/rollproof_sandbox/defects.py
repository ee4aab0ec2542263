"""Defects: every way in which the target can be wrong, by name, with the drill that shows it and the expected verdict.

A defect is a change of `Settings` and nothing else. The expected verdict is plain text (a result, a checker's name, a
finding's code or a phrase of its sentence): nothing here imports judging code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rollproof.errors import InputError
from rollproof_sandbox.settings import SHAS, App, Settings, Trouble

__all__ = ["DEFECTS", "GROUPS", "Defect", "with_defects"]

FIRST, SECOND, _ = SHAS
GROUPS = (
    "release",
    "traffic",
    "drift",
    "deny window",
    "rollback",
    "bad release",
    "readiness",
    "jobs",
    "harness",
    "sound",
)

RELEASE, LOAD, ROLLBACK, BAD = ("release",), ("zero-downtime",), ("rollback",), ("bad-release",)
DENY = ("deny-window",)
JOBS, JOBS_ROLLOUT, JOBS_POD_DELETE = ("jobs",), ("jobs-rollout",), ("jobs-pod-delete",)
CONFIGMAP = ("drift", "--trial", "configmap")

Change = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """One way of being wrong (or, in the group "sound", of being unusual and right).

    `drill`: the arguments of `rollproof run`, the shortest that show it. The run must end as `result`; `checker` must
    be among the checkers with that result (empty: no checker can tell, the run itself must); `cause` is the code of a
    finding, or words of the output. `change` is by section of the settings. `stays`: the defect persists after the
    undo, so the exit code must say that not all is as before.
    """

    name: str
    group: str
    text: str
    drill: tuple[str, ...]
    result: str
    checker: str
    cause: str = ""
    change: Change
    stays: bool = False


Said = Mapping[str, Any]  # the expected verdict: Defect's fields `result`, `checker`, `cause` and `stays`


def _of(group: str, *defects: tuple[str, str, tuple[str, ...], Said, Change]) -> Iterable[Defect]:
    for name, text, drill, said, change in defects:
        yield Defect(name=name, group=group, text=text, drill=drill, change=change, **said)


def _fail(checker: str, cause: str = "", *, stays: bool = False) -> Said:
    return {"result": "FAIL", "checker": checker, "cause": cause, "stays": stays}


def _open(checker: str, cause: str = "") -> Said:
    return {"result": "INCONCLUSIVE", "checker": checker, "cause": cause}


def _pass(checker: str = "", cause: str = "") -> Said:
    return {"result": "PASS", "checker": checker, "cause": cause}


def _once(kind: str, after_s: float = 0.0, for_s: float = 0.0) -> tuple[Trouble, ...]:
    return (Trouble(kind=kind, after_s=after_s, for_s=for_s),)


def _patient(after_old_gone_s: float = 3.5, **more: Any) -> Change:
    """A longer window after the last old pod, for late failures.

    Failures without a pod's name must come more than 5 s after the last old pod left the Service, or may be that pod's.
    """
    return {"target": {"traffic": {"after_old_gone_s": after_old_gone_s, **more}}}


def _late_in_new_pods(kind: str, for_s: float = 0.3) -> Change:
    """Trouble of the new version long after its pods were ready: not a readiness problem."""
    return {"next_app": {"on_ready": _once(kind, 3.4, for_s)}, **_patient()}


_ARGOCD_OPEN: Change = {
    "target": {
        "fences": {"namespaces": ["shop", "argocd"]}, "release": {"deadline_s": 12}, "traffic": {"rate_per_s": 60},
    },
}  # fmt: skip


def _bad(kind: str, **app: Any) -> Change:
    """The second release is known to be bad, of that kind, by these settings of the app."""
    return {"next_app": app, "target": {"release.bad": {kind: SECOND, "image_missing": ""}}}


def _refused(for_s: float, rate_per_s: float, **traffic: Any) -> Change:
    """Every fifth request opens a connection. An outage shorter than the time between those can stay unseen."""
    return {
        "ingress": {"troubles": _once("refuse", 0.6, for_s)},
        "target": {"traffic": {"rate_per_s": rate_per_s, **traffic}},
    }


# Enough requests at every moment; not longer than the control probe's interval, so that it fails together with the app.
_RELOAD_DROPS: Change = {
    "ingress": {"troubles": _once("reload-drop", 7.5, 0.03)},
    "app": {"latency_s": 0.04}, "next_app": {"latency_s": 0.04}, **_patient(7.0, rate_per_s=800),
}  # fmt: skip

_DEFECTS = (
    *_of(
        "release",
        ("image-not-pullable", "the new image is not in the registry", RELEASE,
         _fail("release", "IMAGE_PULL_BACK_OFF"), {"cluster": {"missing_images": (SECOND,)}}),
        ("crash-loop", "the new version exits soon after its start", RELEASE,
         _fail("release", "CRASH_LOOP_BACK_OFF"), {"next_app": {"crash_after_s": 0.2}}),
        ("never-ready", "the new version never gets ready", RELEASE,
         _fail("release", "PROGRESS_DEADLINE_EXCEEDED"),
         {"next_app": {"never_ready": True}, "workload": {"progress_deadline_s": 5}}),
        ("ready-too-early", "the new version is called ready, and fails for another second", LOAD,
         _fail("availability", "READINESS_LIES"), {"next_app": {"on_ready": _once("http-500", 0.0, 1.0)}}),
        ("wrong-version", "/health of the new version says another sha", RELEASE,
         _fail("version", "instead of"), {"next_app": {"health_version": "0badbad"}}),
        ("wrong-version-in-one-pod", "one of the new pods says another sha", RELEASE,
         _fail("version", "instead of"), {"one_next_pod": {"health_version": "0badbad"}}),
        ("old-pod-stuck", "an old pod stays Terminating for minutes, and answers", RELEASE,
         _fail("rollout", "left behind"),
         {"cluster": {"stuck_terminating_s": 120.0}, "target": {"release": {"deadline_s": 12}}}),
        ("old-pod-orphaned", "an old pod lost its owner, keeps its labels, and answers", RELEASE,
         _fail("rollout", "left behind", stays=True),
         {"cluster": {"orphan_old_pod": True}, "target": {"release": {"deadline_s": 12}}}),
        ("old-version-sometimes", "every seventh answer of the new pods is the old version's", RELEASE,
         _fail("version", FIRST), {"next_app": {"old_version_every": 7}}),
        ("stale-synced", "Argo CD says Synced and Healthy, of the old revision", RELEASE,
         _open("release", "at stage 'seen'"),
         {"argocd": {"sees_new_commits": False}, "target": {"release": {"deadline_s": 8}}}),
        ("claims-new-revision", "Argo CD says Synced at the new revision, and has applied nothing", RELEASE,
         _fail("release", "at stage 'rolled-out'"),
         {"argocd": {"claims_new_revision": True}, "target": {"release": {"deadline_s": 8}}}),
        ("sync-retry", "every sync of the new revision fails and is tried again", RELEASE,
         _fail("release", "SYNC_FAILED"),
         {"argocd": {"sync_fails": "one or more objects failed to apply, reason: admission webhook denied the request"},
          "target": {"release": {"deadline_s": 12}}}),
        ("tag-latest", "the overlay names the tag latest", RELEASE,
         _open("", "'latest', which names no version"),
         {"workload": {"overlay_tag": "latest"}, "app": {"health_version": FIRST}}),
        ("rollout-replaces-nothing", "the new tag changes nothing that is rendered: another image name", RELEASE,
         _open("rollout", "no pod was replaced"),
         {"workload": {"image_mismatch": True}, "target": {"release": {"deadline_s": 8}}}),
    ),
    *_of(
        "traffic",
        ("exit-at-sigterm", "the app exits at SIGTERM, and there is no preStop", LOAD,
         _fail("availability", "PRESTOP_MISSING"),
         {"app": {"at_sigterm": "exit"}, "workload": {"prestop_s": 0.0}, "ingress": {"lag_s": 0.4}}),
        ("prestop-too-short", "the preStop sleep ends before the ingress has noticed", LOAD,
         _fail("availability", "PRESTOP_TOO_SHORT"),
         {"app": {"at_sigterm": "exit"}, "workload": {"prestop_s": 1.2}, "ingress": {"lag_s": 2.5}}),
        ("endpoint-lag-4s", "endpoints change four seconds late", LOAD,
         _fail("availability", "PRESTOP_TOO_SHORT"),
         {"app": {"at_sigterm": "exit"}, "workload": {"prestop_s": 1.5}, "cluster": {"endpoint_lag_s": 4.0}}),
        ("in-flight-cut", "requests under way are cut at the end of the grace period", LOAD,
         _fail("availability", "IN_FLIGHT_CUT"),
         {"app": {"at_sigterm": "cut"}, "workload": {"grace_s": 1, "prestop_s": 0.5},  # some run at every moment
          "target": {"app": {"slow_path": "/slow?ms=4000"}, "traffic": {"slow_concurrency": 8}}}),
        ("keepalive-dropped", "a few requests on reused connections get no answer", LOAD,
         _fail("availability", "KEEPALIVE_RACE"),
         {"ingress": {"troubles": _once("drop-reused", 3.0, 1.0), "drops": 3}, **_patient()}),
        ("refused-20ms", "new connections are refused for 20 ms", LOAD,
         _fail("availability", "LISTENER_CLOSED"), _refused(0.02, 1000)),
        ("refused-50ms", "new connections are refused for 50 ms", LOAD,
         _fail("availability", "LISTENER_CLOSED"), _refused(0.05, 500)),
        ("refused-100ms", "new connections are refused for 100 ms", LOAD,
         _fail("availability", "LISTENER_CLOSED"), _refused(0.1, 300)),
        ("refused-500ms", "new connections are refused for 500 ms", LOAD,
         _fail("availability", "LISTENER_CLOSED"), _refused(0.5, 200)),
        ("refused-20ms-unseen", "the same, at a rate whose gaps are wider than the promise of 20 ms", LOAD,
         _open("availability", "nobody was looking"), _refused(0.02, 1, resolution_ms=20)),
        ("refused-50ms-unseen", "the same for 50 ms, which is promised to be seen", LOAD,
         _open("availability", "nobody was looking"), _refused(0.05, 0.5, resolution_ms=50)),
        ("posts-lost", "a leaving pod resets what it reads: GETs are tried again, POSTs are lost", LOAD,
         _fail("availability", "MASKED"),
         {"app": {"at_sigterm": "ignore", "on_term": _once("reset", 0.0, 5.0)}, "workload": {"grace_s": 4},
          "ingress": {"lag_s": 2.2}}),
        ("truncated-bodies", "bodies of the new version end early for 300 ms", LOAD,
         _fail("availability", "BAD_ANSWERS"), _late_in_new_pods("truncate")),
        ("wrong-body", "the new version answers 200 with somebody else's body for 300 ms", LOAD,
         _fail("availability", "BAD_ANSWERS"), _late_in_new_pods("wrong-body")),
        ("burst-503", "the new version answers 503 for 300 ms", LOAD,
         _fail("availability", "BAD_ANSWERS"), _late_in_new_pods("http-503")),
        ("stall-100ms", "the new version answers nothing for 100 ms: late, but not lost", LOAD,
         _pass("availability", "SLOW"),
         {"next_app": {"on_ready": _once("stall", 1.0, 0.1)}, "target": {"traffic": {"slow_ms": 50}}}),
        ("stall-1s", "the new version answers nothing for a second; clients wait for 0.6 s", LOAD,
         _fail("availability", "NO_ANSWER_IN_TIME"),
         {"next_app": {"on_ready": _once("stall", 7.5, 1.0)}, **_patient(8.0, timeout_s=0.6)}),
        ("slow-start", "new pods answer slowly for their first second and a half", LOAD,
         _pass("availability", "SLOW"),
         {"next_app": {"on_ready": _once("slow", 0.0, 1.5), "slow_s": 0.4}, "target": {"traffic": {"slow_ms": 300}}}),
        ("one-pod-broken", "one of the two new pods answers 500", LOAD,
         _fail("availability", "READINESS_LIES"), {"one_next_pod": {"on_ready": _once("http-500", 0.1, 600.0)}}),
        ("ingress-reload-drops", "the ingress reloads and drops requests on reused connections", LOAD,
         _fail("availability", "INGRESS_RELOAD"),
         {**_RELOAD_DROPS, "no_control": True}),
        ("ingress-reload-drops-control", "the same, and the control probe sees it: not the app's fault", LOAD,
         _open("availability", "control probe failed too"),
         _RELOAD_DROPS),
    ),
    *_of(
        "drift",
        ("self-heal-off", "selfHeal is false", CONFIGMAP,
         _fail("drift", "SELF_HEAL_OFF"), {"argocd": {"self_heal": False}}),
        ("noop-commit", "healed by a plain auto-sync, after a commit that changed nothing", CONFIGMAP,
         _open("drift", "auto-sync"), {"actors": {"names": ("noop-commit",)}, "argocd": {"heal_delay_s": 2.0}}),
        ("healed-by-a-person", "somebody puts it back before Argo CD does", CONFIGMAP,
         _open("drift", "kubectl-edit"), {"actors": {"names": ("human-heals",)}, "argocd": {"heal_delay_s": 2.0}}),
        ("changed-back", "restored, then changed again by another writer", CONFIGMAP,
         _open("drift", "somebody else"), {"actors": {"names": ("changes-back",)}}),
        ("ignored-field", "ignoreDifferences covers the field", CONFIGMAP,
         _fail("drift", "IGNORED_DIFFERENCE"),
         {"argocd": {"ignore_differences": ({"kind": "ConfigMap", "jsonPointers": ["/data"]},)}}),
        ("sync-window-closed", "a sync window forbids automated syncs", CONFIGMAP,
         _fail("drift", "SYNC_WINDOW"), {"argocd": {"deny_window": True}}),
        ("healed-by-refresh-only", "Argo CD's watch is broken: only a refresh makes it look", CONFIGMAP,
         _fail("drift", "WATCH_BROKEN"), {"argocd": {"notices_drift": False}, "target": {"drift": {"deadline_s": 8}}}),
        ("partial-restore", "the deleted object comes back without one of its declared fields",
         ("drift", "--trial", "delete-configmap"),
         _fail("drift", "only in part"), {"argocd": {"restores_partly": True}}),
    ),
    *_of(
        "deny window",
        ("deny-window-unseen", "a sync window denies a commit that Argo CD never sees", DENY,
         _open("fault", "no effect was seen"), {**_ARGOCD_OPEN, "argocd": {"sees_new_commits": False}}),
        ("deny-window-sync-fails", "the commit cannot be synced when the window has ended", DENY, _fail("fault"),
         {**_ARGOCD_OPEN, "argocd": {"sync_fails": "one or more objects failed to apply, reason: denied"}}),
    ),
    *_of(
        "rollback",
        ("revert-conflict", "the tag's line was edited after the deploy, so the revert conflicts", ROLLBACK,
         _pass("rollback", "forward commit"), {"actors": {"names": ("tag-edit",)}}),
        ("revert-image-gone", "the old image is no longer in the registry", ROLLBACK,
         _fail("rollback", "ImagePullBackOff", stays=True), {"cluster": {"gone_after_first_use": (FIRST,)}}),
        ("image-updater", "an image updater puts the newer tag back", ROLLBACK,
         _fail("rollback", "OVERWRITTEN"), {"actors": {"names": ("image-updater",)}}),
        ("rollback-loses-requests", "the old version comes back, and requests are lost on the way", ROLLBACK,
         _fail("availability", "PRESTOP_MISSING"),
         {"next_app": {"at_sigterm": "exit"}, "workload": {"prestop_s": 0.0}, "ingress": {"lag_s": 0.4}}),
        ("rollback-too-slow", "the old version comes back later than promised", ROLLBACK,
         _fail("rollback", "SLOWEST_STAGE"), {"app": {"start_s": 2.0}, "target": {"rollback": {"limit_s": 4}}}),
    ),
    *_of(
        "bad release",
        ("bad-crash-loop", "a known-bad release exits soon after its start: nobody feels it", BAD,
         _pass("bad_release", "CRASH_LOOP_BACK_OFF"), _bad("crash_loop", crash_after_s=0.2)),
        ("bad-never-ready", "a known-bad release never gets ready: nobody feels it", BAD,
         _pass("bad_release", "PROGRESS_DEADLINE_EXCEEDED"), _bad("never_ready", never_ready=True)),
        ("bad-wrong-version", "a known-bad release says another sha: users get its answers", BAD,
         _fail("availability", "version.wrong"), _bad("wrong_version", health_version="0badbad")),
        ("bad-never-ready-late", "that a release never gets ready is said later than promised", BAD,
         _fail("bad_release", "NAMED_LATE"),
         {**_bad("never_ready", never_ready=True),
          "target": {"release.bad": {"never_ready": SECOND, "image_missing": "", "never_ready_within_s": 5.0}}}),
        ("bad-release-felt", "one old pod may be missing, and the bad version is ready before it exits", BAD,
         _fail("availability"),
         {**_bad("crash_loop", crash_after_s=2.5), "workload": {"max_unavailable": 1}}),
        ("bad-release-is-good", "what is named as a crash loop is a sound version", BAD,
         _open("bad_release", "it tests nothing"), _bad("crash_loop")),
    ),
    *_of(
        "readiness",
        ("ready-lies-about-database", "/ready answers 200 while the database is down", RELEASE,
         _fail("readiness", "'down' instead of 'ok'"), {"next_app": {"database": "down", "ready_status_lies": True}}),
        ("health-follows-database", "/ready and /health answer 503 together", RELEASE,
         _fail("readiness", "HEALTH_FOLLOWS_DATABASE"),
         {"next_app": {"database": "down", "health_follows_database": True}, "workload": {"progress_deadline_s": 5}}),
        ("database-field-missing", "/ready has no field for the database", RELEASE,
         _open("readiness", "no answer with that field"), {"next_app": {"database_field": False}}),
    ),
    *_of(
        "jobs",
        ("jobs-twice", "each replica looks for the row of the period, works, and writes it then", JOBS,
         _fail("jobs", "RUN_TWICE"), {"app": {"jobs": "read-then-write"}}),
        ("jobs-without-cron", "no replica runs cron any more", JOBS_ROLLOUT,
         _fail("jobs", "RUN_MISSED"), {"next_app": {"jobs": "off"}}),
        ("jobs-twice-after-rollout", "the new version's lock is wrong: read, then write", JOBS_ROLLOUT,
         _fail("jobs", "RUN_TWICE"), {"next_app": {"jobs": "read-then-write"}}),
        ("jobs-one-replica", "one replica only: nothing could run twice", JOBS,
         _open("jobs", "only one replica"), {"workload": {"replicas": 1}}),
        ("jobs-clocks-apart", "the app's clock is a minute ahead", JOBS,
         _open("jobs", "the clocks are apart"), {"app": {"clock_ahead_s": 60.0}}),
    ),
    *_of(
        "harness",
        ("generator-stalled", "the load generator is stopped for 1.5 s", LOAD,
         _open("load_soundness", "it stood still"), {"host": {"on_rollout": _once("stop-generator", 0.5, 1.5)}}),
        ("watch-facts-lost", "the watches of pods are blind during the rollout", RELEASE,
         _open("watches", "facts may be missing"), {"api": {"on_rollout": _once("blind-watches", 0.1, 2.0)}}),
        ("clock-step", "the wall clock moves by five seconds", CONFIGMAP,
         _open("drift", "the wall clock moved"), {"host": {"on_drift": _once("clock-step"), "step_s": 5.0}}),
        ("clock-step-under-load", "the same, while load runs", LOAD,
         _open("load_soundness", "the wall clock moved"),
         {"host": {"on_rollout": _once("clock-step", 1.0), "step_s": 5.0}}),
        ("api-away-5s", "the API server is away for five seconds during the rollout", RELEASE,
         _open("watches", "was away for"), {"api": {"on_rollout": _once("away", 0.5, 5.0)}}),
        ("fault-without-effect", "the patch that should be the drift changes nothing", CONFIGMAP,
         _open("drift", "no drift to heal"), {"api": {"voids_patches": True}}),
        ("too-few-samples", "two requests a second", LOAD,
         _open("availability", "nobody was looking"), {"target": {"traffic": {"rate_per_s": 2}}}),
        ("other-writer", "somebody else writes the same field during the drift", CONFIGMAP,
         _open("drift", "somebody else"), {"actors": {"names": ("other-writer",)}, "argocd": {"heal_delay_s": 0.5}}),
        ("disk-full", "the disk of the harness is full", RELEASE,
         _open("", "cannot be written: No space left on device"), {"host": {"on_rollout": _once("disk-full", 0.3)}}),
    ),
    *_of(
        "sound",
        ("sound-release", "nothing is wrong", RELEASE, _pass(), {}),
        ("sound-load", "nothing is wrong", LOAD, _pass(), {}),
        ("sound-drift", "nothing is wrong", CONFIGMAP, _pass(), {}),
        ("deny-window-ends", "a sync window denies the new commit for a while", DENY, _pass("fault"), _ARGOCD_OPEN),
        ("sound-jobs", "nothing is wrong", JOBS, _pass("jobs"), {}),
        ("sound-jobs-rollout", "nothing is wrong", JOBS_ROLLOUT, _pass("jobs"), {}),
        ("sound-jobs-pod-delete", "nothing is wrong", JOBS_POD_DELETE, _pass("jobs"), {}),
        ("sound-rollback", "nothing is wrong", ROLLBACK, _pass(), {}),
        ("back-off-at-attempt-6", "six heals before: the back-off is waited out and not judged", CONFIGMAP,
         _pass("drift"), {"argocd": {"attempts": 6, "finished_ago_s": 291.0}}),
        ("deleted-object-new-uid", "a deleted object comes back with another uid",
         ("drift", "--trial", "delete-configmap"), _pass("drift"), {}),
        ("superseding-commit", "somebody's later commit still carries our tag", RELEASE,
         _pass("release", "SUPERSEDED"),  # the first look is lost: at the next one the later commit is there
         {"actors": {"names": ("superseding-commit",)}, "argocd": {"lost_refreshes": 2}}),
        ("refresh-lost", "Argo CD loses requests to look, the release's first among them, and is asked again", RELEASE,
         _pass("release"), {"argocd": {"lost_refreshes": 2}}),
        ("watch-410-resumed", "watches end with 410 and are resumed from a list", RELEASE,
         _pass("watches"), {"api": {"on_rollout": _once("expire-watches", 0.3)}}),
        ("watch-ended-resumed", "watches end and go on from where they were", RELEASE,
         _pass("watches"), {"api": {"on_rollout": _once("end-watches", 0.3)}}),
        ("ingress-reload-clean", "the ingress reloads and loses nothing", LOAD,
         _pass("availability"), {"ingress": {"troubles": _once("reload", 0.5)}}),
        ("slow-but-steady", "every answer takes 200 ms", LOAD,
         _pass("availability"), {"app": {"latency_s": 0.2}, "next_app": {"latency_s": 0.2}}),
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
