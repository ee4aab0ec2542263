"""Argo CD part: what the faults have in common that delete one pod of a part of Argo CD gracefully.

Users of the app must not feel it, and Argo CD must work again: it answers a refresh.
"""

from __future__ import annotations

from collections.abc import Iterable

from rollproof.core.injection import Injection
from rollproof.core.outside import Outside
from rollproof.core.permission import Permission, each_verb
from rollproof.core.target import Target
from rollproof.faults.base import Context, LiveContext
from rollproof.faults.replaced_pod import ReplacedPod
from rollproof.probes.views import PodView

__all__ = ["ArgoCdPart"]

_LABEL = "app.kubernetes.io/name"  # of every pod of the official manifests and charts


class ArgoCdPart(ReplacedPod):
    """`part` is the name that the official manifests give it."""

    affects_traffic = False
    in_argocd = True
    part: str
    peers = "Chaos Mesh pod-kill, Litmus pod-delete, on Argo CD's pods"

    def place(self, target: Target) -> tuple[str, str]:
        """Beside the Application."""
        return target.argocd.namespace, f"{_LABEL}={self.part}"

    def permissions(self, target: Target) -> Iterable[Permission]:
        """The refresh that proves that it works is every run's, but is needed here."""
        yield from super().permissions(target)
        argocd = target.argocd
        why = "to ask for the comparison that proves that it works again"
        yield from each_verb(
            "patch", "applications", argocd.namespace, why, group="argoproj.io", name=argocd.application, argocd=True
        )

    def why_not(self, context: Context) -> str:
        """Where nobody may ask for a comparison, its return would be seen with the next poll only."""
        if context.target.argocd.profile != "refresh":
            return "argocd.profile allows no refresh, and only an answer to one shows that Argo CD works again"
        return ""

    def broken(self, injection: Injection, live: LiveContext, newest: PodView) -> str:  # noqa: ARG002
        """The Application must have been compared since the new pod was ready; a comparison is asked for until then.

        Both times are of the cluster's clocks and have a grain of 1 s.
        """
        status = Outside.of(live.argo.read(), "the Application").child("status")
        compared = status.text("reconciledAt")
        if compared > newest.ready_since:
            return ""
        live.argo.refresh_unless_asked()
        return f"no comparison since the new pod was ready ({newest.ready_since}), the last was at {compared}"
