"""Argo CD all away: every part of Argo CD is scaled to 0 right after a release was pushed, and scaled up again."""

from __future__ import annotations

from collections.abc import Iterable

from rollproof.clients.kube import Object
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context
from rollproof.faults.delivery import DeliveryAway
from rollproof.faults.scaling import RESOURCES

__all__ = ["FAULT", "ArgoCdAllAway"]

_PART_OF = "app.kubernetes.io/part-of"  # of every pod of the official manifests and charts
_ARGOCD = "argocd"


class ArgoCdAllAway(DeliveryAway):
    """All Deployments and StatefulSets whose pods have the label app.kubernetes.io/part-of=argocd."""

    name = "argocd-all-away"
    peers = "none; by hand, kubectl scale of each part"
    in_argocd = True
    no_dead_man = "none possible: a dead-man sets one object back, and these are several; `rollproof undo` does it"

    def workloads(self, target: Target) -> Iterable[tuple[str, str, str]]:
        """Whatever is there: the parts' names differ between the manifests and the charts."""
        return ((kind, target.argocd.namespace, "") for kind in RESOURCES)

    def permissions(self, target: Target) -> Iterable[Permission]:
        """Its parts are found by a list."""
        yield from super().permissions(target)
        for resource in RESOURCES.values():
            yield from each_verb(
                "list", resource, target.argocd.namespace, "to find the parts of Argo CD", group="apps", argocd=True
            )

    def place(self, context: Context) -> tuple[str, str, list[dict[str, str]]] | str:
        """The parts, the controllers first: what would notice that the others go."""
        namespace = context.target.argocd.namespace
        found = [
            {"kind": kind, "name": str(item["metadata"]["name"])}
            for kind in ("StatefulSet", "Deployment")
            for item in context.argo.kube.list(kind, namespace)["items"]
            if _is_part(item)
        ]
        if not found:
            return f"nothing in namespace {namespace} has pods with the label {_PART_OF}={_ARGOCD}"
        return namespace, f"{_PART_OF}={_ARGOCD}", found


def _is_part(workload: Object) -> bool:
    pod = Outside.of(workload, "a workload of Argo CD").child("spec").child("template").child("metadata")
    return pod.table("labels").get(_PART_OF) == _ARGOCD


FAULT = ArgoCdAllAway()
