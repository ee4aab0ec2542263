"""Argo CD all away: every part of Argo CD is scaled to 0 right after a release was pushed, and scaled up again."""

from __future__ import annotations

from rollproof.core.target import Target
from rollproof.faults.argocd_away import ArgoCdAway
from rollproof.faults.base import Context

__all__ = ["FAULT", "ArgoCdAllAway"]

_PART_OF = "app.kubernetes.io/part-of"  # of every pod of the official manifests and charts
_ARGOCD = "argocd"


class ArgoCdAllAway(ArgoCdAway):
    """All Deployments and StatefulSets whose pods have the label app.kubernetes.io/part-of=argocd."""

    name = "argocd-all-away"
    peers = "none; by hand, kubectl scale of each part"

    def no_dead_man(self, target: Target) -> str:  # noqa: ARG002 - it is so everywhere
        """There never is one."""
        return "none possible: a dead-man sets one object back, and these are several; `rollproof undo` does it"

    def place(self, context: Context) -> tuple[str, str, list[dict[str, str]]] | str:
        """The parts, the controllers first: what would notice that the others go."""
        namespace = context.target.argocd.namespace
        found = [
            {"kind": kind, "name": name} for kind, name, value in self.labelled(context, _PART_OF) if value == _ARGOCD
        ]
        if not found:
            return f"nothing in namespace {namespace} has pods with the label {_PART_OF}={_ARGOCD}"
        return namespace, f"{_PART_OF}={_ARGOCD}", found


FAULT = ArgoCdAllAway()
