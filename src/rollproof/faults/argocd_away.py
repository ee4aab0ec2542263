"""Argo CD away: what the faults have in common that scale parts of Argo CD to 0 and back.

The parts are found by the labels of their pods, because the names of the workloads differ between manifests and charts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from rollproof.clients.kube import Object
from rollproof.core.injection import Injection
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, Effect, LiveContext, Void
from rollproof.faults.deadman import NO_IMAGE, ActingJob
from rollproof.faults.delivery import DeliveryAway
from rollproof.faults.scaling import RESOURCES, scale_dead_man

__all__ = ["ArgoCdAway", "ArgoCdPartAway"]

_ELSEWHERE = "none possible: Argo CD is in another cluster (argocd.context), where rollproof makes no Job"


class ArgoCdAway(DeliveryAway):
    """Workloads in Argo CD's namespace whose pods have one label. `workload_kinds`: in the order of their scaling."""

    in_argocd = True
    workload_kinds: ClassVar[tuple[str, ...]] = ("StatefulSet", "Deployment")

    def workloads(self, target: Target) -> Iterable[tuple[str, str, str]]:
        """Whatever is there: their names are not known before."""
        return ((kind, target.argocd.namespace, "") for kind in self.workload_kinds)

    def permissions(self, target: Target) -> Iterable[Permission]:
        """They are found by a list."""
        yield from super().permissions(target)
        for kind in self.workload_kinds:
            yield from each_verb(
                "list", RESOURCES[kind], target.argocd.namespace, "to find the parts of Argo CD", group="apps",
                argocd=True,
            )  # fmt: skip

    def labelled(self, context: Context, key: str) -> Iterator[tuple[str, str, str]]:
        """(kind, name, the value of that label on its pods) of each workload in Argo CD's namespace that has it."""
        for kind in self.workload_kinds:
            for item in context.argo.kube.list(kind, context.target.argocd.namespace)["items"]:
                if value := _label(item, key):
                    yield kind, str(item["metadata"]["name"]), value


class ArgoCdPartAway(ArgoCdAway):
    """One part of Argo CD, by the name that the official manifests give it; the others go on. `heals`: only it does.

    Drills take it away right after a push, or with a drift made meanwhile (chaos/).
    """

    moment = ""
    heals: ClassVar[bool] = False
    ends_within_s = 30.0  # Kubernetes' terminationGracePeriodSeconds, where a pod says none
    peers = "none; by hand, kubectl scale of that part"
    part: str

    def no_dead_man(self, target: Target) -> str:
        """It is a Job beside the part."""
        return _ELSEWHERE if target.argocd.context else NO_IMAGE

    def dead_man(self, args: Mapping[str, Any], target: Target) -> ActingJob | None:
        """A Job that may scale this one workload, and scales it up again if it still has 0."""
        if target.argocd.context:
            return None
        one = {**args["workloads"][0], "namespace": args["namespace"]}
        return scale_dead_man(target, one, effect_after_s=self.ends_within_s)

    def permissions(self, target: Target) -> Iterable[Permission]:
        """With those of the dead-man."""
        yield from super().permissions(target)
        if target.faults.dead_man_image and not target.argocd.context:
            yield from ActingJob.permissions(target.argocd.namespace)

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """With whether anything can be healed now. A pod that is ending works on: it must be gone.

        The others hold connections to it, and the controller watches and syncs until it ends.
        """
        found = super().evidence(injection, live)
        if not isinstance(found, Effect):
            return found
        if any(not pod.ended for pod in live.watches.beside(injection.args["namespace"]).values()):
            return None
        return replace(found, said={"healer_gone": self.heals})

    def place(self, context: Context) -> tuple[str, str, list[dict[str, str]]] | str:
        """The one workload of that part."""
        namespace, labels = context.target.argocd.namespace, f"{_NAME}={self.part}"
        named = list(self.labelled(context, _NAME))
        found = [{"kind": kind, "name": name} for kind, name, value in named if value == self.part]
        if len(found) > 1:
            several = ", ".join(f"{one['kind']} {one['name']}" for one in found)
            return f"{labels} is on the pods of several workloads in namespace {namespace} ({several}): not one to take"
        if not found:
            kin = [f"{kind} {name} ({value})" for kind, name, value in named if value.startswith(self.part)]
            there = f"; it runs as a set of several: {', '.join(kin)}" if kin else ""
            return f"nothing in namespace {namespace} has pods with the label {labels}{there}"
        return namespace, labels, found


_NAME = "app.kubernetes.io/name"  # of every pod of the official manifests and charts


def _label(workload: Object, key: str) -> str:
    pod = Outside.of(workload, "a workload of Argo CD").child("spec").child("template").child("metadata")
    return str(pod.table("labels").get(key) or "")
