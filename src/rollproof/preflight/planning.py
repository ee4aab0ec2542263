"""Planning: from what was asked for and what was found to a Plan that names every change before it is made.

Pure, so that `rollproof plan` and a run cannot differ. What is not in the plan is not changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from rollproof.core.abort import limits_of
from rollproof.core.injection import Injection, Skip
from rollproof.core.plan import SCHEMA, Plan, Touch
from rollproof.core.reasons import BadKind
from rollproof.core.target import Target
from rollproof.core.trials import TRIALS, allowed_trials, is_fenced
from rollproof.errors import CannotJudgeError, FenceError, InputError
from rollproof.faults.base import Fault
from rollproof.faults.registry import fault_named, faults_of, is_kept_away, may_leave_pods
from rollproof.preflight.fences import outside_hours
from rollproof.preflight.readings import READINGS
from rollproof.suites import Drill, chaos_drills, drill_table, expand
from rollproof.target.rules import broken_rules, sha_mistake

__all__ = [
    "Found", "Order", "check_hours", "check_meant", "check_order", "closed_fence", "closed_hours", "make_plan",
    "named_drills", "refusal_of", "wanted_target",
]  # fmt: skip

_KEEPS = {"restore": "on-pass", "keep": "always"}  # of the release drill, by --on-fail; every other drill restores


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the person asked for: drills by name, of `table`. Empty `sha`, `trials`, `bad`: as the target file says."""

    drills: tuple[str, ...]
    sha: str = ""
    on_fail: str = "restore"
    trials: tuple[str, ...] = ()
    mean_production: str = ""  # the name of the target that is marked as production, and is meant
    under_load: bool = False
    bad: str = ""
    table: Mapping[str, Drill] = field(default_factory=drill_table, compare=False, repr=False)

    @property
    def chosen(self) -> tuple[Drill, ...]:
        """The drills, in the order of the run."""
        return tuple(self.table[name] for name in self.drills)

    @property
    def is_set(self) -> bool:
        """Are there several? Then one of them that this target cannot have is skipped, and the others go on."""
        return len(self.drills) > 1

    @property
    def deploys(self) -> bool:
        """Does any of the drills bring a version?"""
        return any(drill.deploys for drill in self.chosen)

    @property
    def loads(self) -> bool:
        """Does any of the drills send requests?"""
        return self.under_load or any(drill.load for drill in self.chosen)

    @property
    def reverts(self) -> bool:
        """Does any of the drills take a version back with a git revert?"""
        return any(drill.reverts for drill in self.chosen)

    @property
    def releases_bad(self) -> bool:
        """Does any of the drills release a version that is known to be bad?"""
        return any(drill.releases_bad for drill in self.chosen)

    @property
    def read_only(self) -> bool:
        """Does none of the drills change anything?"""
        return bool(self.drills) and all(drill.read_only for drill in self.chosen) and not self.under_load

    @property
    def drifts(self) -> bool:
        """Does any of the drills inject the trials of `drift.trials`?"""
        return any(drill.drifts for drill in self.chosen)


def named_drills(word: str, only: Sequence[str] = (), target: Target | None = None) -> tuple[str, ...]:
    """The drills of a word: of `chaos` those that `only` names, else those that the target file does, else all."""
    if word != "chaos":
        if only:
            raise InputError(f"--only is for chaos, not for {word}")
        return expand(word)
    if only or target is None:
        return chaos_drills(only)
    try:
        return chaos_drills(target.faults.chaos)
    except InputError as error:
        raise InputError(f"faults.chaos: {error}", error.hint) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is there now: the app sha that runs, the env repo's head; what its faults would do, or why not.

    missing: by the name of a reading, why the cluster cannot have it.
    """

    running_sha: str
    env_repo_head: str
    faults: tuple[Injection | Skip, ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)


def wanted_target(order: Order, target: Target) -> Target:
    """The target with what the command line overrides, checked like the file itself. A fence that is meant is open."""
    if order.mean_production == target.name:
        target = replace(target, fences=replace(target.fences, production=False))
    if not order.trials:
        return target
    target = replace(target, drift=replace(target.drift, trials=order.trials))
    wrong = next((mistake for mistake in broken_rules(target) if mistake.place == "drift.trials"), None)
    if wrong is not None:
        raise InputError(f"--trial: {wrong.text}")
    return target


def closed_fence(order: Order, target: Target) -> str:
    """Why the production fence forbids this order; "" if it does not.

    Drift alone may come through: then its trials that traffic could feel are skipped, unless one was named.
    """
    if not target.fences.production or order.mean_production == target.name:
        return ""
    marked = f"target {target.name!r} is marked as production"
    if any(_is_felt(drill) for drill in order.chosen):
        return f"{marked}, and {', '.join(order.drills)} would change it"
    if order.under_load:
        return f"{marked}, and --under-load would put load on it"
    unsafe = [trial for trial in order.trials if is_fenced(trial, target)]
    return f"{marked}, and traffic could feel drift {', '.join(unsafe)}" if unsafe else ""


def _felt_faults(order: Order, target: Target) -> tuple[str, ...]:
    """The faults of this order that traffic could feel, by name; those that the production fence keeps away are not."""
    names = dict.fromkeys(name for drill in order.chosen for name in faults_of(drill, target))
    faults = [fault_named(name) for name in names]
    return tuple(one.name for one in faults if one.affects_traffic and not is_kept_away(one, target))


def _is_felt(drill: Drill) -> bool:
    """Could traffic feel the drill whatever is skipped of it? Of drift only the trials decide, one by one."""
    if drill.drifts:
        return False
    known = bool(drill.faults or drill.reads) or drill.read_only  # else nobody knows what it does
    return drill.deploys or drill.load or not known or any(fault_named(one).affects_traffic for one in drill.faults)


def closed_hours(order: Order, target: Target, now: datetime) -> str:
    """Why this order may not begin at this time of the week; "" if it may. Faults that traffic could feel count."""
    felt = _felt_faults(order, target)
    outside = outside_hours(target, now) if felt else ""
    return f"{outside}; traffic could feel {', '.join(felt)}" if outside else ""


def check_hours(order: Order, target: Target, now: datetime) -> None:
    """FenceError outside of the hours."""
    if refusal := closed_hours(order, target, now):
        raise FenceError(refusal, "wait for the hours, or name a drill that no user can feel")


def refusal_of(order: Order, target: Target, now: datetime) -> str:
    """Why `run` would not do what is planned, and what it would need, in one sentence; "" if it would."""
    if marked := closed_fence(order, target):
        return f"`run` will need --i-mean-production {target.name}: {marked}"
    outside = closed_hours(order, target, now)
    return f"`run` would be refused now: {outside}" if outside else ""


def check_meant(order: Order, target: Target) -> None:
    """InputError if another target is meant than this one."""
    if order.mean_production not in ("", target.name):
        message = f"--i-mean-production says {order.mean_production!r}, and the name of this target is {target.name!r}"
        raise InputError(message, "is it the target file that you mean? `name` at its top is what is expected")


def check_order(order: Order, target: Target, now: datetime | None = None) -> None:
    """Refuse what is wrong by itself or what the fences forbid, before anything is asked of the cluster.

    now: when it would begin; None where it is only planned, which may be done at any time.
    """
    check_meant(order, target)
    if refusal := closed_fence(order, target):
        raise FenceError(refusal, f"say --i-mean-production {target.name} for this one run, if you do")
    if now is not None:
        check_hours(order, target, now)
    if order.releases_bad:
        _bad_release(order, target)
    if order.sha and (mistake := sha_mistake(order.sha)):
        raise InputError(f"--sha: {mistake}")
    if target.release.mode == "observe":
        if not order.sha and order.deploys:
            message = (
                "release.mode is 'observe': rollproof waits for a sha that somebody else deploys, and none is named"
            )
            raise InputError(message, "name it: --sha <sha>")
        if order.reverts:
            raise InputError("the rollback drill pushes a revert itself, but release.mode is 'observe'")
    if order.on_fail not in _KEEPS:
        raise InputError(f"--on-fail {order.on_fail!r} is none of 'restore', 'keep'")


def _bad_release(order: Order, target: Target) -> tuple[str, str]:
    """(kind, version) of the bad release that is wanted: the named kind, else the first of the target file."""
    known = target.release.bad.named
    if len(order.drills) > 1:
        raise InputError(f"a bad release has a run of its own, found {', '.join(order.drills)}", "run them one by one")
    if order.sha:
        raise InputError("--sha: a bad release is named in the target file", "see release.bad there, and --bad KIND")
    if not known:
        kinds = ", ".join(BadKind)
        raise InputError("the target file names no version that is known to be bad", f"[release.bad] knows {kinds}")
    kind = order.bad.replace("-", "_") or next(iter(known))
    if kind not in known:
        raise InputError(f"--bad {order.bad}: release.bad names no such version", f"it names {', '.join(known)}")
    return kind, known[BadKind(kind)]


def make_plan(order: Order, target: Target, found: Found, *, run_id: str) -> Plan:
    """The plan, fully resolved. `new_sha` is the named one, else the first candidate that is not running."""
    deploying = order.deploys
    bad, bad_sha = _bad_release(order, target) if order.releases_bad else ("", "")
    named = bad_sha or order.sha
    candidates = (named,) if named else target.release.shas
    new_sha = next((sha for sha in candidates if sha != found.running_sha), found.running_sha) if deploying else ""
    restart = deploying and new_sha == found.running_sha
    if restart and target.release.mode == "observe":
        message = (
            f"{new_sha} runs already, and with release.mode 'observe' nothing is restarted: no pod would be replaced"
        )
        raise CannotJudgeError(message, "start rollproof with --sha before the pipeline deploys that sha")
    if restart and order.reverts:
        message = f"a rollback needs a release to revert, and there is none: {new_sha} runs already"
        raise InputError(message, "name another sha: --sha, or release.shas in the target file")
    plan = Plan(
        schema=SCHEMA,
        run_id=run_id,
        drills=order.drills,
        target=target,
        old_sha=found.running_sha,
        new_sha=new_sha,
        restart=restart,
        keep=_KEEPS[order.on_fail] if all(drill.keeps for drill in order.chosen) else "never",
        env_repo_head=found.env_repo_head,
        under_load=order.under_load,
        bad=bad,
    )
    plan = replace(
        plan, injections=tuple(one for one in found.faults if isinstance(one, Injection)),
        skips=tuple(one for one in found.faults if isinstance(one, Skip)),
    )  # fmt: skip
    return replace(plan, touches=tuple(_touches(order, plan, found)))


def _touches(order: Order, plan: Plan, found: Found) -> Iterable[Touch]:
    cluster = plan.target.cluster
    deployed = False
    for drill in order.chosen:
        if order.read_only:
            yield from _reading_touches(plan.target, drill, found.missing)
            continue
        yield Touch(
            drill=drill.name, subject=f"Lease/{cluster.namespace}/rollproof", change="held while the run lasts",
            undo="deleted",
        )  # fmt: skip
        if drill.deploys:
            yield from _release_touches(plan, drill, deployed=deployed)
            deployed = True
        yield from _application_touches(plan, drill)
        if order.under_load and "under-load" in drill.options:
            change = f"{plan.target.traffic.rate_per_s:g} requests/s while the drill runs (--under-load)"
            yield Touch(drill=drill.name, subject=plan.target.app.base_url, change=change, undo="none needed")
        yield from _reading_touches(plan.target, drill, found.missing)
        yield from _fault_touches(found.faults, drill)
        yield from _renewal_touches(order, plan, drill)
        if drill.load or (order.under_load and "under-load" in drill.options):
            yield from _abort_touches(plan.target, drill)


def _renewal_touches(order: Order, plan: Plan, drill: Drill) -> Iterable[Touch]:
    """Of a drill whose faults leave something behind with a pod (`run.renewal`)."""
    cluster = plan.target.cluster
    faults = (fault_named(one.fault) for one in plan.injections if one.drill == drill.name)
    if not plan.target.faults.renew_pods or not any(may_leave_pods(fault) for fault in faults):
        return
    between = ", or before the next drill was restarted or has all pods on its node" if order.is_set else ""
    yield Touch(
        drill=drill.name, subject=f"Pods/{cluster.namespace}/{cluster.deployment}",
        change=f"one that still does not serve when its fault is over{between}: deleted gracefully",
        undo="none needed: its ReplicaSet makes another one",
    )  # fmt: skip


def _abort_touches(target: Target, drill: Drill) -> Iterable[Touch]:
    """Of a drill under load, what ends it at once (`run.abort`): a row for each limit that holds."""
    limits, cluster = limits_of(target), target.cluster
    faults = [fault for name in drill.faults if isinstance(fault := fault_named(name), Fault)]
    by_design = any(fault.outage_by_design or fault.loss_by_design for fault in faults)
    longer = ", longer while a fault takes the app away by design" if by_design else ""
    rows = [
        ("Load", f"no lane of the app has a good answer for more than {limits.dead_s:g} s{longer}"),
        ("Load", f"more than {limits.failures:,} requests are lost{longer.replace('longer', 'more')}"),
        (
            f"Pods/{cluster.namespace}/{cluster.deployment}",
            None if limits.pods is None else f"more than {limits.pods} of them do not serve at once",
        ),
        (
            "Nodes",
            None if limits.nodes is None
            else f"more than {limits.nodes} are NotReady, beyond the fault's own and those from before",
        ),
    ]  # fmt: skip
    for subject, ends in rows:
        if ends is not None:
            change = f"nothing: watched; the drill ends at once if {ends}"
            yield Touch(drill=drill.name, subject=subject, change=change, undo="none needed")


def _reading_touches(target: Target, drill: Drill, missing: Mapping[str, str]) -> Iterable[Touch]:
    for reading in (READINGS[name] for name in drill.reads):
        if reason := reading.skipped(target) or missing.get(reading.name, ""):
            yield Touch(drill=drill.name, subject=reading.name, change=f"skipped: {reason}", undo="none needed")
            continue
        for subject, what in reading.reads(target):
            yield Touch(drill=drill.name, subject=subject, change=f"nothing: {what}", undo="none needed")
        for subject, what in reading.does(target):
            yield Touch(drill=drill.name, subject=subject, change=what, undo="none needed: it ends with the drill")


def _fault_touches(faults: Iterable[Injection | Skip], drill: Drill) -> Iterable[Touch]:
    for one in faults:
        if one.drill != drill.name:
            continue
        if isinstance(one, Injection):
            yield Touch.of(one)
            if others := fault_named(one.fault).others:
                subject = f"whoever else uses {one.subject}"
                yield Touch(drill=drill.name, subject=subject, change=others, undo="not by us: we do not know them")
        else:
            subject, change = fault_named(one.fault).subject, f"skipped: {one.reason}"
            yield Touch(drill=drill.name, subject=subject, change=change, undo="none needed")


def _application_touches(plan: Plan, drill: Drill) -> Iterable[Touch]:
    """What Argo CD is asked for: to compare (before a drill, after a commit, at the end), and for drift to sync."""
    argocd = plan.target.argocd
    if argocd.profile != "refresh":
        return
    application = f"Application/{argocd.namespace}/{argocd.application}"
    change = "annotations argocd.argoproj.io/refresh and refresh-timestamp, until the revision is seen"
    undo = "Argo CD takes refresh off itself; before 3.6 refresh-timestamp stays"
    yield Touch(drill=drill.name, subject=application, change=change, undo=undo)
    healing = drill.drifts and not all(TRIALS[trial].control for trial in allowed_trials(plan.target))
    if healing and plan.target.drift.reset == "sync":
        change = (
            "operation: a sync of the revision that is synced, with status.operationState set to null, if the heal "
            f"count is of another revision or its back-off is above {plan.target.drift.backoff_wait_max_s:g} s"
        )
        yield Touch(
            drill=drill.name, subject=application, change=change, undo="none: Argo CD takes the operation off itself"
        )


def _release_touches(plan: Plan, drill: Drill, *, deployed: bool) -> Iterable[Touch]:
    """`deployed`: a drill before this one has brought the version, and a revert takes that one back."""
    cluster, repo = plan.target.cluster, plan.target.env_repo
    deployment = f"Deployment/{cluster.namespace}/{cluster.deployment}"
    overlay = f"{repo.url} {repo.branch}: {repo.overlay}"
    if plan.restart:
        change = f"annotation kubectl.kubernetes.io/restartedAt on the pod template: {plan.new_sha} runs already"
        undo = "none: the same version runs, and the annotation stays, as after `kubectl rollout restart`"
        yield Touch(drill=drill.name, subject=deployment, change=change, undo=undo)
        return
    if plan.target.release.mode == "observe":
        yield Touch(
            drill=drill.name, subject=overlay, change=f"nothing: we wait for {plan.new_sha}", undo="none needed"
        )
        return
    undo = {
        "never": f"a commit that sets {plan.old_sha} again, unless somebody changed it after us",
        "on-pass": f"kept on PASS; else a commit that sets {plan.old_sha} again",
        "always": "kept",
    }[plan.keep]
    if not (drill.reverts and deployed):
        known = f", known to be bad: {plan.bad}" if plan.bad else ""
        change = f"newTag of {repo.image}: {plan.old_sha} -> {plan.new_sha} (commit and push{known})"
        yield Touch(drill=drill.name, subject=overlay, change=change, undo=undo)
    if drill.reverts:
        change = f"git revert of that commit: {plan.new_sha} -> {plan.old_sha} (commit and push)"
        yield Touch(drill=drill.name, subject=overlay, change=change, undo="none needed: it is the way back")
