"""Deny window: the AppProject denies automated syncs of our Application for a while, right after a release was pushed.

The commit must stay outside, as a team in a change freeze expects, and be deployed when the window is taken away.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rollproof.clients.argo import argocd_kube
from rollproof.clients.kube import MERGE, ApiError, Kube, Object
from rollproof.core.injection import Injection, Skip
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Effect, Fault, Injected, LiveContext, Void
from rollproof.store.journal import Undone

__all__ = ["FAULT", "DenyWindow"]

_MANAGED = ("argocd.argoproj.io/tracking-id", "app.kubernetes.io/instance")  # marks of an object that git declares
_MINUTES = 10  # the window ends by itself then, whoever may be gone
_TRIES = 5  # of a patch that is bound to the version: five conflicts in a row are somebody at work


class DenyWindow(Fault):
    """One more entry in `spec.syncWindows`, for our Application alone; the others of the project feel nothing."""

    name = "deny-window"
    affects_traffic = False
    peers = "none; by hand, argocd proj windows add"
    kinds = frozenset({"AppProject"})
    held = True

    def permissions(self, target: Target) -> Iterable[Permission]:
        """On that one project."""
        argocd = target.argocd
        return each_verb(
            "get patch", "appprojects", argocd.namespace, "to add a sync window and take it away",
            group="argoproj.io", name=argocd.project, argocd=True,
        )  # fmt: skip

    def available(self, context: Context) -> Injection | Skip:
        """The project, if it is nobody else's: what git declares, Argo CD would heal."""
        argocd = context.target.argocd
        if argocd.profile != "refresh":
            return context.skip(self, "argocd.profile allows no refresh, and only a comparison shows what is denied")
        project = context.argo.kube.find("AppProject", argocd.namespace, argocd.project)
        if project is None:
            return context.skip(self, f"there is no AppProject/{argocd.namespace}/{argocd.project}: see argocd.project")
        metadata = project["metadata"]
        marks = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}
        if metadata.get("ownerReferences") or any(mark in marks for mark in _MANAGED):
            return context.skip(self, f"AppProject {argocd.project} is managed by something, which would put it back")
        if _windows(project):
            return context.skip(self, f"AppProject {argocd.project} has sync windows of its own")
        state = context.argo.state()
        window = _window(datetime.fromtimestamp(context.argo.kube.wall_s(), UTC), argocd.application)
        args = {
            "kind": "AppProject", "namespace": argocd.namespace, "name": argocd.project, "uid": metadata["uid"],
            "window": window, "revision": state.sync_revision, "operation_revision": state.operation_revision,
        }  # fmt: skip
        hold_s = context.target.faults.hold_s
        return context.injection(
            self, f"AppProject/{argocd.namespace}/{argocd.project}", args=args,
            change=f"after the push: a window that denies syncs of {argocd.application}, for {hold_s:g} s",
            undo="that entry is taken out of spec.syncWindows; others stay",
            dead_man=f"the window itself ends after {_MINUTES} min; its entry stays until `rollproof undo`",
        )  # fmt: skip

    def outdated(self, injection: Injection, live: LiveContext) -> str:
        """Argo CD must not have seen the commit yet."""
        revision = live.watches.application().sync_revision
        return f"Argo CD has seen the commit before: it is at {revision[:12]}" if _is_new(injection, revision) else ""

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One patch, bound to the version of the project that was looked at."""
        args, kube = injection.args, live.argo.kube
        project = kube.find("AppProject", args["namespace"], args["name"])
        if project is None or project["metadata"]["uid"] != args["uid"]:
            return Void(f"{injection.subject} with uid {args['uid']} was gone when it was to be changed")
        try:
            reply = _set_windows(kube, args, project, [*_windows(project), args["window"]])
        except ApiError as error:
            if error.status in (404, 409):
                return Void(f"{injection.subject} was changed by somebody else when it was to be changed")
            raise
        return Injected({"uid": args["uid"], "resource_version": str(reply["metadata"]["resourceVersion"])})

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """Argo CD has compared with the commit, says OutOfSync, and has not begun to sync it."""
        if synced := self._synced(injection, live):
            return Void(synced)
        state = live.watches.application()
        if _is_new(injection, state.sync_revision) and state.sync_status == "OutOfSync":
            return Effect(f"Application {live.argo.application} is OutOfSync at {state.sync_revision[:12]}")
        live.argo.refresh_unless_asked()
        return None

    def observe(self, injection: Injection, live: LiveContext) -> Void | None:
        """The commit must stay outside for as long as the window is there."""
        synced = self._synced(injection, live)
        return Void(synced) if synced else None

    def missing(self, injection: Injection, live: LiveContext) -> str:
        """Synced at the newer commit; Argo CD is asked to compare until then."""
        state = live.watches.application()
        synced = _is_new(injection, state.sync_revision) and state.sync_status == "Synced" and state.phase != "Running"
        if synced:
            return ""
        if state.phase != "Running":
            live.argo.refresh_unless_asked()
        return f"Argo CD is at {state.sync_revision[:12]}, {state.sync_status}, its last sync {state.phase}"

    def undo_on(self, target: Target, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Where Argo CD lives."""
        return self.undo(argocd_kube(target, kube), args)

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Our entry out of the list; whatever else is in it stays."""
        for _ in range(_TRIES):
            project = kube.find("AppProject", args["namespace"], args["name"])
            if project is None or project["metadata"]["uid"] != args["uid"]:
                return Undone("left", reason=f"AppProject {args['name']} is gone", expected=args["window"], found=None)
            windows = _windows(project)
            if args["window"] not in windows:
                return Undone("not-needed", reason="the window is not there")
            try:
                _set_windows(kube, args, project, [one for one in windows if one != args["window"]])
            except ApiError as error:
                if error.status != 409:
                    raise
                continue
            return Undone("done")
        return Undone("failed", reason=f"AppProject {args['name']} changed {_TRIES} times while it was being changed")

    @staticmethod
    def _synced(injection: Injection, live: LiveContext) -> str:
        """That a sync of the newer commit has begun, in words; "" if none has."""
        state = live.watches.application()
        # The last operation may be of an older commit: one that changes nothing here moves Argo CD on without any.
        older = state.operation_revision == injection.args.get("operation_revision")
        new = _is_new(injection, state.operation_revision) and not older
        begun = new or (state.phase == "Running" and state.automated)
        return f"Argo CD syncs {state.operation_revision[:12]} although a window denies it" if begun else ""


def _window(now: datetime, application: str) -> dict[str, Any]:
    """It denies from this minute on, and once a year again for as long: cron has no year."""
    schedule = f"{now.minute} {now.hour} {now.day} {now.month} *"
    return {
        "kind": "deny", "schedule": schedule, "duration": f"{_MINUTES}m", "timeZone": "UTC",
        "applications": [application], "manualSync": True,
    }  # fmt: skip


def _windows(project: Object) -> list[dict[str, Any]]:
    found = Outside.of(project, "the AppProject").child("spec").objects("syncWindows")
    return [dict(one.value) for one in found]


def _set_windows(kube: Kube, args: Mapping[str, Any], project: Object, windows: list[dict[str, Any]]) -> Object:
    """409 if anything of the project was changed since it was read. No window: the field is left out, as before."""
    body = {
        "metadata": {"resourceVersion": project["metadata"]["resourceVersion"]},
        "spec": {"syncWindows": windows or None},
    }
    return kube.patch("AppProject", args["namespace"], args["name"], body, how=MERGE)


def _is_new(injection: Injection, revision: str) -> bool:
    return bool(revision) and revision != injection.args["revision"]


FAULT = DenyWindow()
