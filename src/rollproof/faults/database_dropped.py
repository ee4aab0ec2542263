"""Database dropped: what is sent to the database is dropped on its way, by a NetworkPolicy on the database's pods.

New connections time out; those that are open mostly stay. Where nobody enforces NetworkPolicies nothing happens at all,
and the drill is INCONCLUSIVE: an object that was accepted is no proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.clients.kube import Kube, Object
from rollproof.core.injection import Injection, Skip
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Injected, LiveContext, Void
from rollproof.faults.created import create_owned, delete_ours
from rollproof.faults.database_away import RESOURCES, DatabaseAway, app_members, database_of, workload_args
from rollproof.faults.deadman import OwnerJob, held_for_s
from rollproof.store.journal import Undone

__all__ = ["FAULT", "DatabaseDropped"]

_KIND, _POLICY = "NetworkPolicy", "rollproof-database-dropped"
_GROUP = "networking.k8s.io"


class DatabaseDropped(DatabaseAway):
    """A policy that allows no ingress, in the database's namespace, owned by a Job that takes it along when it ends."""

    name = "database-dropped"
    peers = "Krkn application outages and Litmus pod-network-partition (a policy on the app), Chaos Mesh NetworkChaos"
    kinds = frozenset({_KIND})

    def permissions(self, target: Target) -> Iterable[Permission]:
        """On NetworkPolicies in the database's namespace; the Job's."""
        database = target.faults.database
        if database is None:
            return
        why, namespace = "to see which pods are the database's", database.namespace
        yield from each_verb("get", RESOURCES[database.kind], namespace, why, group="apps", name=database.name)
        why = "to drop what is sent to the database, and to end that"
        yield from each_verb("get list create delete", "networkpolicies", namespace, why, group=_GROUP)
        yield from OwnerJob.permissions(namespace)

    def dead_man(self, args: Mapping[str, Any], target: Target) -> OwnerJob:
        """A Job without a pod, which owns the policy."""
        return OwnerJob(namespace=args["namespace"], after_s=held_for_s(target.faults))

    def available(self, context: Context) -> Injection | Skip:
        """The database's pods by their labels, if no other policy lets somebody in: policies only ever add."""
        database = database_of(self, context)
        if isinstance(database, Skip):
            return database
        who = f"{database.kind}/{database.namespace}/{database.name}"
        workload = context.kube.find(database.kind, database.namespace, database.name)
        if workload is None:
            return context.skip(self, f"there is no {who}: see [faults.database]")
        template = Outside.of(workload, who).child("spec").child("template")
        selector = Outside.of(workload, who).child("spec").child("selector")
        labels = selector.table("matchLabels")
        if not labels or selector.objects("matchExpressions"):
            return context.skip(self, f"{who} chooses its pods by more than labels, and the policy would do so too")
        policies = context.kube.list(_KIND, database.namespace)["items"]
        if others := _letting_in(policies, template.child("metadata").table("labels")):
            return context.skip(self, f"{others[0]} says who may reach {who}, and a second policy takes nothing away")
        args = {
            "kind": _KIND, "namespace": database.namespace, "name": _POLICY, "labels": labels,
            "workload": workload_args(database), "members": app_members(context),
        }  # fmt: skip
        chosen = ",".join(f"{key}={value}" for key, value in labels.items())
        hold_s = context.target.faults.hold_s
        return context.injection(
            self, f"{_KIND}/{database.namespace}/{_POLICY}", args=args,
            change=f"created: nobody reaches the pods {chosen}, for {hold_s:g} s after it was felt", undo="deleted",
            dead_man=str(self.dead_man(args, context.target)),
        )  # fmt: skip

    def inject(self, injection: Injection, live: LiveContext) -> Injected | Void:
        """One creation; 409 is a policy of that name that was there before."""
        chosen = {"matchLabels": dict(injection.args["labels"])}
        spec = {"podSelector": chosen, "policyTypes": ["Ingress"], "ingress": []}
        return create_owned(injection, live, f"{_GROUP}/v1", spec)

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Delete it, if it is ours and as we made it."""

        def is_as_made(spec: Outside) -> bool:
            chosen = spec.child("podSelector").table("matchLabels")
            return chosen == dict(args["labels"]) and not spec.objects("ingress")

        return delete_ours(kube, args, is_as_made)


def _letting_in(policies: Iterable[Object], labels: Mapping[str, str]) -> list[str]:
    """The policies that let somebody reach pods with these labels. One with expressions is taken to choose them."""
    found = []
    for item in policies:
        policy = Outside.of(item, _KIND)
        spec = policy.child("spec")
        chosen = spec.child("podSelector").table("matchLabels").items() <= labels.items()
        if chosen and spec.objects("ingress"):
            metadata = policy.child("metadata")
            found.append(f"{_KIND}/{metadata.text('namespace')}/{metadata.text('name')}")
    return found


FAULT = DatabaseDropped()
