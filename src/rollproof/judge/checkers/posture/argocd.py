"""Checks of Argo CD's settings for this Application: self-heal, prune, retry, windows, what it ignores."""

from __future__ import annotations

from rollproof.core.kinds import KINDS
from rollproof.core.posture import ApplicationSeen, IgnoreSeen, ProjectSeen
from rollproof.core.posturefacts import Posture
from rollproof.judge.checkers.posture.base import Said, check, finding, nothing, sound

_DOCS = "https://argo-cd.readthedocs.io/en/stable"
_REPLICAS = ("/spec/replicas", ".spec.replicas")
_RESPECTS = "RespectIgnoreDifferences=true"
_IN_A_GROUP = {one.name: one.group for one in KINDS.values() if one.group} | {"DaemonSet": "apps", "CronJob": "batch"}


@check(
    "self-heal", asks="does Argo CD undo a change by hand?", advised="syncPolicy.automated.selfHeal true",
    why="a change by hand stays until the next commit, and git is not what runs",
    source=f"{_DOCS}/user-guide/auto_sync/#automatic-self-healing", drill="rollproof run drift",
    promised=lambda target: target.drift.must_heal,
)  # fmt: skip
def self_heal(seen: Posture) -> Said:
    """`drift.must_heal` of the target file promises it."""
    place, one = seen.subject(ApplicationSeen), seen.view(ApplicationSeen)
    value = "true" if one.self_heal else "false" if one.automated else "false: no automated sync"
    return (sound if one.self_heal else finding)(place, "spec.syncPolicy.automated.selfHeal", value)


@check(
    "prune", asks="does Argo CD remove what git does not have any more?", advised="syncPolicy.automated.prune true",
    why="an object that was taken out of git goes on running, such as a second CronJob or an old Ingress",
    source=f"{_DOCS}/user-guide/auto_sync/#automatic-pruning",
)  # fmt: skip
def prune(seen: Posture) -> Said:
    """Of automated syncs."""
    place, one = seen.subject(ApplicationSeen), seen.view(ApplicationSeen)
    return (sound if one.prune else finding)(place, "spec.syncPolicy.automated.prune", str(one.prune).lower())


@check(
    "sync-retry", asks="is a sync that failed tried again?",
    advised="syncPolicy.retry with a limit of 1 or more, or -1; without `retry` an automated sync has 5",
    why="with a limit of 0, or a `retry` without one, a revision is tried once: after a moment's error nothing happens",
    source=f"{_DOCS}/user-guide/auto_sync/#automated-sync-semantics", drill="rollproof run git-away",
)  # fmt: skip
def sync_retry(seen: Posture) -> Said:
    """A limit of 0 retries nothing, a negative one has no end. Without `retry` the controller's default is five
    (`autoSync`, 3.1 to 3.6); a `retry` with a back-off alone has the limit 0."""
    place, one, field = seen.subject(ApplicationSeen), seen.view(ApplicationSeen), "spec.syncPolicy.retry"
    if one.retries is not None:
        return (sound if one.retries else finding)(place, field, f"limit {one.retries}")
    if not one.automated:
        return finding(place, field, "none", "and no automated sync, which would have five")
    return sound(place, field, "none", "the default of an automated sync: five times")


@check(
    "sync-windows", asks="may Argo CD sync at any time?", advised="no window, or one that everybody on call knows of",
    why="outside of an allow window and inside of a deny window neither a deploy, a rollback nor self-heal happens",
    source=f"{_DOCS}/user-guide/sync_windows/", drill="rollproof run deny-window",
)  # fmt: skip
def sync_windows(seen: Posture) -> Said:
    """Those of the AppProject that choose this Application."""
    place, found = seen.subject(ProjectSeen), seen.view(ProjectSeen).windows
    if not found:
        return sound(place, "spec.syncWindows", "none for this Application")
    words = [
        f"{one.kind} {one.schedule} for {one.duration}{'' if one.manual else ', manual syncs too'}" for one in found
    ]
    return finding(place, "spec.syncWindows", "; ".join(words))


@check(
    "ignored-fields", asks="does every entry of ignoreDifferences do what it looks like?",
    advised=f"the object's group in each entry, and syncOptions {_RESPECTS}",
    why="an entry without its group matches nothing, and one without that option hides a change that each sync undoes",
    source="https://github.com/argoproj/argo-cd/issues/28590", drill="rollproof run drift",
)  # fmt: skip
def ignored_fields(seen: Posture) -> Said:
    """Nothing to judge where nothing is ignored."""
    place, one = seen.subject(ApplicationSeen), seen.view(ApplicationSeen)
    if not one.ignored:
        return nothing(place, "spec.ignoreDifferences", "nothing is ignored")
    lost = [f"{entry.kind} without group {_IN_A_GROUP[entry.kind]}" for entry in one.ignored if _misses_group(entry)]
    if lost:
        return finding(place, "spec.ignoreDifferences", "; ".join(lost))
    if _RESPECTS not in one.options:
        kinds = ", ".join(sorted({entry.kind for entry in one.ignored}))
        return finding(place, "spec.syncPolicy.syncOptions", f"without {_RESPECTS}", f"ignored: fields of {kinds}")
    return sound(place, "spec.ignoreDifferences", f"{len(one.ignored)}, with {_RESPECTS}")


def _misses_group(entry: IgnoreSeen) -> bool:
    return entry.kind in _IN_A_GROUP and entry.group == ""


def leaves_replicas(one: ApplicationSeen, deployment: str) -> bool:
    """Whether a sync of this Application leaves the number of replicas of that Deployment alone."""
    rules = [
        entry for entry in one.ignored
        if entry.group in ("apps", "*") and entry.kind in ("Deployment", "*") and entry.name in ("", "*", deployment)
        and (set(entry.fields) & set(_REPLICAS) or "kube-controller-manager" in entry.managers)
    ]  # fmt: skip
    return bool(rules) and _RESPECTS in one.options


CHECKS = (self_heal, prune, sync_retry, sync_windows, ignored_fields)
