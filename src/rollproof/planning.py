"""Planning: from what was asked for and what was found to a Plan that names every change before it is made.

Pure, so that `rollproof plan` and a run cannot differ. What is not in the plan is not changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from rollproof.core.plan import SCHEMA, Plan, Touch
from rollproof.core.target import Target
from rollproof.errors import FenceError, InputError
from rollproof.targetrules import broken_rules

__all__ = ["Found", "Order", "check_order", "make_plan", "wanted_target"]

_DEPLOYING = ("zero-downtime", "rollback", "release")
_KEEPS = {"restore": "on-pass", "keep": "always"}  # of the release drill, by --on-fail; every other drill restores


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the person asked for. Empty `sha` and `trials` mean: as the target file says."""

    drills: tuple[str, ...]
    sha: str = ""
    on_fail: str = "restore"
    trials: tuple[str, ...] = ()
    mean_production: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is there now: the app sha in the overlay, the env repo's head, and why trials cannot be done, by name."""

    running_sha: str
    env_repo_head: str
    drift_touches: tuple[Touch, ...] = ()


def wanted_target(order: Order, target: Target) -> Target:
    """The target with what the command line overrides, checked like the file itself."""
    if not order.trials:
        return target
    target = replace(target, drift=replace(target.drift, trials=order.trials))
    wrong = next((mistake for mistake in broken_rules(target) if mistake.place == "drift.trials"), None)
    if wrong is not None:
        raise InputError(f"--trial: {wrong.text}")
    return target


def check_order(order: Order, target: Target) -> None:
    """Refuse what the fences forbid, before anything is asked of the cluster."""
    if target.fences.production and not order.mean_production:
        message = f"target {target.name!r} is marked as production, and {', '.join(order.drills)} would change it"
        raise FenceError(message, "say --i-mean-production for this one run, if you do")
    if target.release.mode == "observe":
        if not order.sha and any(drill in _DEPLOYING for drill in order.drills):
            message = (
                "release.mode is 'observe': rollproof waits for a sha that somebody else deploys, and none is named"
            )
            raise InputError(message, "name it: --sha <sha>")
        if "rollback" in order.drills:
            raise InputError("the rollback drill pushes a revert itself, but release.mode is 'observe'")
    if order.on_fail not in _KEEPS:
        raise InputError(f"--on-fail {order.on_fail!r} is none of 'restore', 'keep'")


def make_plan(order: Order, target: Target, found: Found, *, run_id: str) -> Plan:
    """The plan, fully resolved. `new_sha` is the named one, else the first candidate that is not running."""
    deploying = any(drill in _DEPLOYING for drill in order.drills)
    candidates = (order.sha,) if order.sha else target.release.shas
    new_sha = next((sha for sha in candidates if sha != found.running_sha), found.running_sha) if deploying else ""
    restart = deploying and new_sha == found.running_sha
    if restart and "rollback" in order.drills:
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
        keep=_KEEPS[order.on_fail] if order.drills == ("release",) else "never",
        env_repo_head=found.env_repo_head,
    )
    return replace(plan, touches=tuple(_touches(plan, found)))


def _touches(plan: Plan, found: Found) -> Iterable[Touch]:
    cluster, argocd = plan.target.cluster, plan.target.argocd
    application = f"Application/{argocd.namespace}/{argocd.application}"
    for drill in plan.drills:
        yield Touch(
            drill=drill, subject=f"Lease/{cluster.namespace}/rollproof", change="held while the run lasts",
            undo="deleted",
        )  # fmt: skip
        if drill in _DEPLOYING:
            yield from _release_touches(plan, drill)
            if argocd.profile == "refresh":
                change = "annotations argocd.argoproj.io/refresh and refresh-timestamp, until the revision is seen"
                yield Touch(drill=drill, subject=application, change=change, undo="Argo CD takes refresh off itself")
        if drill == "drift":
            yield from found.drift_touches


def _release_touches(plan: Plan, drill: str) -> Iterable[Touch]:
    cluster, repo = plan.target.cluster, plan.target.env_repo
    deployment = f"Deployment/{cluster.namespace}/{cluster.deployment}"
    overlay = f"{repo.url} {repo.branch}: {repo.overlay}"
    if plan.restart:
        change = f"restarted (annotation on the pod template): {plan.new_sha} runs already"
        yield Touch(drill=drill, subject=deployment, change=change, undo="none needed: the same version runs")
        return
    if plan.target.release.mode == "observe":
        yield Touch(drill=drill, subject=overlay, change=f"nothing: we wait for {plan.new_sha}", undo="none needed")
        return
    undo = {
        "never": f"a commit that sets {plan.old_sha} again, unless somebody changed it after us",
        "on-pass": f"kept on PASS; else a commit that sets {plan.old_sha} again",
        "always": "kept",
    }[plan.keep]
    already = drill == "rollback" and "zero-downtime" in plan.drills
    if not already:
        change = f"newTag of {repo.image}: {plan.old_sha} -> {plan.new_sha} (commit and push)"
        yield Touch(drill=drill, subject=overlay, change=change, undo=undo)
    if drill == "rollback":
        change = f"git revert of that commit: {plan.new_sha} -> {plan.old_sha} (commit and push)"
        yield Touch(drill=drill, subject=overlay, change=change, undo="none needed: it is the way back")
