"""Database refused: the database's workload is scaled to 0, so that nobody listens there, and later scaled up again.

Peers cut the app's egress instead, which changes nothing where a NetworkPolicy allows that way already.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import Kube
from rollproof.core.injection import Injection, Skip
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Injected, LiveContext, Void
from rollproof.faults.database_away import DatabaseAway, app_members, database_of, workload_args
from rollproof.faults.deadman import NO_IMAGE, ActingJob
from rollproof.faults.scaling import RESOURCES, find_scale, replicas_of, scale_back, scale_dead_man, scale_to_zero
from rollproof.store.journal import Undone

__all__ = ["FAULT", "DatabaseRefused"]

_GONE = 0  # the replicas that we set
_TO_SCALE = "to scale the database to 0 and back"


class DatabaseRefused(DatabaseAway):
    """By the scale subresource alone: no right to anything else of the workload is needed, not even to read it."""

    name = "database-refused"
    peers = "Krkn application_outages and Litmus pod-network-partition (a policy on the app), Litmus rds-instance-stop"
    kinds = frozenset(RESOURCES)

    def permissions(self, target: Target) -> Iterable[Permission]:
        """On the scale of that one workload."""
        database = target.faults.database
        if database is None:
            return ()
        scaling = each_verb(
            "get patch", RESOURCES[database.kind], database.namespace, _TO_SCALE, group="apps", subresource="scale",
            name=database.name,
        )  # fmt: skip
        return (*scaling, *(ActingJob.permissions(database.namespace) if target.faults.dead_man_image else ()))

    def dead_man(self, args: Mapping[str, Any], target: Target) -> ActingJob | None:
        """A Job that may scale this one workload, and scales it up again if it still has 0."""
        return scale_dead_man(target, args)

    def available(self, context: Context) -> Injection | Skip:
        """The workload that the target file names, if it runs and nobody would scale it up again."""
        database = database_of(self, context)
        if isinstance(database, Skip):
            return database
        subject = f"{database.kind}/{database.namespace}/{database.name}"
        args: dict[str, Any] = workload_args(database)
        managed = Outside.of(context.argo.read(), "the Application").child("status").objects("resources")
        if args in ({key: one.text(key) for key in args} for one in managed):
            return context.skip(self, f"{subject} is of the Application: Argo CD would scale it up again")
        scale = find_scale(context.kube, args)
        if scale is None:
            return context.skip(self, f"there is no {subject}: see [faults.database]")
        replicas = replicas_of(scale)
        if replicas < 1:
            return context.skip(self, f"{subject} is scaled to {replicas} already")
        args |= {"uid": scale["metadata"]["uid"], "original": replicas, "members": app_members(context)}
        hold_s, dead_man = context.target.faults.hold_s, self.dead_man(args, context.target)
        return context.injection(
            self, subject, args=args, change=f"replicas {replicas} -> {_GONE}, for {hold_s:g} s after it was felt",
            undo=f"replicas {replicas}, if it still has {_GONE}", dead_man=str(dead_man or NO_IMAGE),
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One patch, bound to the version of the scale that was looked at."""
        return scale_to_zero(live.kube, injection.args)

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """The replicas from before, if nobody has changed ours since."""
        return scale_back(kube, args)


FAULT = DatabaseRefused()
