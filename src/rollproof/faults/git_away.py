"""Git away: the git server is scaled to 0 right after a release was pushed, before Argo CD has seen the commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context
from rollproof.faults.deadman import NO_IMAGE, ActingJob
from rollproof.faults.delivery import DeliveryAway
from rollproof.faults.scaling import RESOURCES, scale_dead_man
from rollproof.probes.views import label_selector

__all__ = ["FAULT", "GitAway"]


class GitAway(DeliveryAway):
    """The workload that the target file names in `faults.git`; one outside of the cluster is nobody's to scale."""

    name = "git-away"
    peers = "none; by hand, Chaos Mesh pod-failure on the git server"

    def no_dead_man(self, target: Target) -> str:  # noqa: ARG002 - there is one reason only
        """There is one wherever it can be made."""
        return NO_IMAGE

    def dead_man(self, args: Mapping[str, Any], target: Target) -> ActingJob | None:
        """A Job that may scale this one workload, and scales it up again if it still has 0."""
        return scale_dead_man(target, {**args["workloads"][0], "namespace": args["namespace"]})

    def workloads(self, target: Target) -> Iterable[tuple[str, str, str]]:
        """That one."""
        git = target.faults.git
        return ((git.kind, git.namespace, git.name),) if git is not None else ()

    def permissions(self, target: Target) -> Iterable[Permission]:
        """Its selector says which pods are its own."""
        yield from super().permissions(target)
        if (git := target.faults.git) is not None:
            yield from each_verb(
                "get", RESOURCES[git.kind], git.namespace, "to know its pods", group="apps", name=git.name
            )
            if target.faults.dead_man_image:
                yield from ActingJob.permissions(git.namespace)

    def place(self, context: Context) -> tuple[str, str, list[dict[str, str]]] | str:
        """The workload and its selector."""
        git = context.target.faults.git
        if git is None:
            return "the target file does not say what the git server is: [faults.git]"
        found = context.kube.find(git.kind, git.namespace, git.name)
        if found is None:
            return f"there is no {git.kind}/{git.namespace}/{git.name}: see [faults.git]"
        return git.namespace, label_selector(found), [{"kind": git.kind, "name": git.name}]


FAULT = GitAway()
