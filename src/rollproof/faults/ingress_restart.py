"""Ingress restart: one pod of the ingress controller is deleted gracefully: the entry itself goes away for a moment.

What the app's lanes show then says nothing of the app. So it needs a control lane that does not go through the entry:
only that one can tell a sick machine, or network, from the fault.
"""

from __future__ import annotations

from rollproof.core.injection import Injection
from rollproof.core.target import Target
from rollproof.faults.base import Context, LiveContext
from rollproof.faults.entry import no_lane_beside
from rollproof.faults.replaced_pod import ReplacedPod
from rollproof.probes.views import PodView

__all__ = ["FAULT", "IngressRestart"]


class IngressRestart(ReplacedPod):
    """Of the pods that the target's `[ingress]` names."""

    name = "ingress-restart"
    affects_traffic = True
    breaks_entry = True
    outage_by_design = True
    peers = "Chaos Mesh pod-kill, Litmus pod-delete, Krkn pod scenarios, on the controller's pods"

    def place(self, target: Target) -> tuple[str, str]:
        """As for its log."""
        return target.ingress.namespace, target.ingress.selector

    def why_not(self, context: Context) -> str:
        """Where it is not named, or nothing would be left that tells the entry from all else."""
        target = context.target
        if not target.ingress.namespace:
            return "the target file does not say where the ingress is: [ingress] namespace and selector"
        return no_lane_beside(target)

    def more(self, target: Target) -> str:
        """Which way the control lane goes."""
        control = target.control_off_entry
        return f"; control lane off that path: {control.url}" if control else ""

    def broken(self, injection: Injection, live: LiveContext, newest: PodView) -> str:  # noqa: ARG002
        """The entry must answer, with the app behind it."""
        app = live.target.app
        return "" if live.app.ask_entry(live.sha) else f"{app.base_url} does not answer as it should yet"


FAULT = IngressRestart()
