"""Branch force-pushed: the history that Argo CD follows is rewritten, on a throw-away branch of our own.

The Application is pointed at a new branch with a release of another version; when Argo CD syncs that, the branch is put
back to the commit before, as by `git push --force`. To Argo CD this is simply another commit: it syncs backwards.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.argo import argocd_kube
from rollproof.clients.kube import ApiError, Kube, Object
from rollproof.clients.repo import PushRefusedError
from rollproof.core.blast import Blast
from rollproof.core.injection import Injection, Skip
from rollproof.core.kinds import KINDS
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Effect, Fault, Injected, LiveContext, Void, Ways
from rollproof.faults.deadman import NO_IMAGE, ActingJob
from rollproof.faults.delivery import look_at_git
from rollproof.faults.rolledout import declares, only_version
from rollproof.faults.sending import take_back
from rollproof.store.journal import Undone

__all__ = ["FAULT", "BranchForcePushed"]

_MANAGED = ("argocd.argoproj.io/tracking-id", "app.kubernetes.io/instance")  # marks of an object that git declares
_POINTER = "/spec/source/targetRevision"
_MARGIN_S = 60.0  # an undo of ours is tried for a minute when the API or git is away
_TRIES = 5  # of a patch that is bound to the version, which Argo CD's own writes change as well
_ELSEWHERE = "none possible: Argo CD lives in another cluster"


class BranchForcePushed(Fault):
    """`targetRevision` of our Application, and one branch whose name only this injection knows."""

    name = "branch-force-pushed"
    affects_traffic = True
    peers = "none; by hand, git push --force"
    kinds = frozenset({"Application"})

    def permissions(self, target: Target) -> Iterable[Permission]:
        """On that one Application; and a dead-man's."""
        argocd = target.argocd
        yield from each_verb(
            "get patch", "applications", argocd.namespace, "to point it at a branch of ours and back",
            group="argoproj.io", name=argocd.application, argocd=True,
        )  # fmt: skip
        if target.faults.dead_man_image and not argocd.context:
            yield from ActingJob.permissions(argocd.namespace)

    def available(self, context: Context) -> Injection | Skip:
        """The Application, if it is nobody else's and follows the branch of the target file; and another version."""
        argocd, release = context.target.argocd, context.target.release
        application = context.argo.read()
        if not context.target.faults.force_push:
            return context.skip(
                self,
                "faults.force_push is not set: the env repo's server must let us rewrite and delete our own branch",
            )
        if reason := _why_not(context.target, application):
            return context.skip(self, reason)
        running = context.env_repo.tag()
        others = [sha for sha in release.shas if sha != running]
        if not others:
            return context.skip(self, f"release.shas names no version beside {running}")
        args = {
            "kind": "Application", "namespace": argocd.namespace, "name": argocd.application,
            "uid": application["metadata"]["uid"], "before": context.target.env_repo.branch,
            "branch": f"rollproof-{secrets.token_hex(4)}", "from": running, "to": others[-1],
        }  # fmt: skip
        job = self.dead_man(args, context.target)
        none = _ELSEWHERE if argocd.context else NO_IMAGE
        return context.injection(
            self, f"Application/{argocd.namespace}/{argocd.application}", args=args, dead_man=str(job or none),
            change=f"targetRevision -> {args['branch']}, a new branch with {args['to']}, from which that commit is "
            "taken by force when it is synced",
            undo=f"targetRevision -> {args['before']}, and the branch is deleted",
            effect_after_s=context.target.faults.effect_within_s,  # the sync of the commit that is taken away
        )  # fmt: skip

    def blast(self, injection: Injection, target: Target) -> Blast:  # noqa: ARG002 - rollouts take nothing away
        """Two rollouts, which take away no more pods than their own strategy allows."""
        return Blast(pods=0, lasts_s=_lasts_s(target))

    def dead_man(self, args: Mapping[str, Any], target: Target) -> ActingJob | None:
        """A Job that points the Application at the team's branch again, if it is still at ours. The branch stays."""
        if not target.faults.dead_man_image or target.argocd.context:
            return None
        namespace, name = args["namespace"], args["name"]
        right = Permission(
            verb="patch", resource="applications", namespace=namespace, why="to point it back",
            group="argoproj.io", name=name,
        )  # fmt: skip
        return ActingJob(
            namespace=namespace, after_s=_lasts_s(target), image=target.faults.dead_man_image, right=right,
            path=KINDS["Application"].path(namespace, name), uid=args["uid"], pointer=_POINTER,
            ours=args["branch"], before=args["before"],
        )  # fmt: skip

    def brings(self, injection: Injection) -> str:
        """The version of the commit that is taken away."""
        return str(injection.args["to"])

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """The version of the plan must run, and the Application follow the team's branch."""
        args = injection.args
        if live.sha != args["from"]:
            return f"{live.sha} should run, and not {args['from']}"
        return _why_not(live.target, live.argo.read())

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """Make the branch, point the Application at it, wait for the sync, and take the commit away by force."""
        args, repo = injection.args, live.env_repo
        commit = repo.set_tag(args["to"], expected=args["from"], message=_message(args))
        branch = repo.own_branch(args["branch"])
        branch.make(commit.revision)
        try:
            pointed = _point(live.argo.kube, args, args["before"], args["branch"])
        except ApiError:
            self._take_back(live, args)
            raise
        if pointed.how != "done":
            return self._void(live, args, f"{injection.subject} could not be pointed at it: {pointed.reason}")
        within_s = live.target.faults.effect_within_s
        if live.watches.poll(lambda: self._declares(live, args["to"]), timeout_s=within_s) is None:
            return self._void(live, args, f"Argo CD has not synced the branch within {within_s:g} s")
        branch.rewrite(commit.parent, expected=commit.revision)
        return Injected({"uid": args["uid"]})

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """Argo CD has gone backwards: the Deployment is declared with the version from before again."""
        args = injection.args
        if not self._declares(live, args["from"]):
            return None
        return Effect(f"Argo CD went back to {args['from']} from {args['to']}, as if nothing had been there")

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """Only the version from before runs, every pod of it ready, and Argo CD is Synced."""
        return only_version(live, injection.args["from"])

    def undo_by(self, ways: Ways, args: Mapping[str, Any]) -> Undone:
        """First the Application, then the branch, with which nothing is left that could be synced."""
        repo = ways.repo
        pointed = _point(argocd_kube(ways.target, ways.kube), args, args["branch"], args["before"])
        if pointed.how in ("left", "failed"):
            return pointed
        if repo is None:
            return Undone("failed", reason="there is no way to the env repo, and the branch may be there")
        branch = repo.own_branch(args["branch"])
        tip = branch.tip()
        if not tip:
            return pointed
        if theirs := branch.others(repo.head(), frozenset({_message(args)})):
            return Undone("left", reason=f"branch {args['branch']} has commits of others: {theirs[0]}", found=tip)
        try:
            branch.delete(expected=tip)
        except PushRefusedError as error:
            return Undone("left", reason=f"targetRevision is {args['before']}, the branch stays: {error}", found=tip)
        return Undone("done", reason=f"branch {args['branch']} is deleted, and targetRevision is {args['before']}")

    def _void(self, live: LiveContext, args: Mapping[str, Any], reason: str) -> Void:
        """After half a deed it is taken back at once."""
        self._take_back(live, args)
        return Void(reason)

    def _take_back(self, live: LiveContext, args: Mapping[str, Any]) -> None:
        take_back(self.name, lambda: self.undo_by(Ways(live.target, live.kube, live.repo), args))

    @staticmethod
    def _declares(live: LiveContext, sha: str) -> bool | None:
        """Whether a sync has brought it to the Deployment; Argo CD is asked to look until then."""
        if declares(live, sha):
            return True
        look_at_git(live)
        return None


def _message(args: Mapping[str, Any]) -> str:
    return f"rollproof: {args['branch']}, a release of {args['to']} that is taken away by force"


def _lasts_s(target: Target) -> float:
    """Until it is undone: two syncs, the recovery, and a margin."""
    limits = target.faults
    recovery_s = limits.recovery_limits_s.get(BranchForcePushed.name, limits.recovery_limit_s)
    return 2 * limits.effect_within_s + recovery_s + _MARGIN_S


def _why_not(target: Target, application: Object) -> str:
    """Why this Application is not to be pointed elsewhere; "" if it may."""
    whole = Outside.of(application, "the Application")
    metadata, spec = whole.child("metadata"), whole.child("spec")
    name, followed = target.argocd.application, target.env_repo.branch
    if target.argocd.profile != "refresh":
        return "argocd.profile allows no patch of the Application"
    if target.release.mode != "push":
        return "release.mode is not push: nothing may be pushed to the env repo"
    marks = {**metadata.table("annotations"), **metadata.table("labels")}
    if metadata.value.get("ownerReferences") or any(mark in marks for mark in _MANAGED):
        return f"Application {name} is managed by something, which would point it back"
    if spec.value.get("sources"):
        return f"Application {name} has several sources"
    found = spec.child("source").text("targetRevision")
    return "" if found == followed else f"Application {name} follows {found or 'HEAD'!r} and not {followed!r}"


def _point(kube: Kube, args: Mapping[str, Any], at: str, to: str) -> Undone:
    """Its targetRevision from `at` to `to`, if it is the same Application and still `at`; what came of it."""
    for _ in range(_TRIES):
        found = kube.find("Application", args["namespace"], args["name"])
        if found is None or found["metadata"]["uid"] != args["uid"]:
            return Undone("left", reason=f"Application {args['name']} with uid {args['uid']} is gone", expected=to)
        now = Outside.of(found, "the Application").child("spec").child("source").text("targetRevision")
        if now == to:
            return Undone("not-needed", reason=f"targetRevision is {to}")
        if now != at:
            return Undone("left", reason="somebody has pointed the Application elsewhere", expected=at, found=now)
        body = {
            "metadata": {"resourceVersion": found["metadata"]["resourceVersion"]},
            "spec": {"source": {"targetRevision": to}},
        }
        try:
            kube.patch("Application", args["namespace"], args["name"], body)
        except ApiError as error:
            if error.status != 409:
                raise
            continue
        return Undone("done", reason=f"targetRevision is {to}")
    return Undone("failed", reason=f"Application {args['name']} changed {_TRIES} times while it was being changed")


FAULT = BranchForcePushed()
