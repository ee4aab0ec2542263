"""Secret missing: a throw-away copy of the app's pod asks for a Secret that is not there. It cannot start.

One of the app's own pods would need its Secret's value for the undo, which nobody should have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof.clients.kube import Object
from rollproof.core.injection import Injection
from rollproof.core.outside import Outside
from rollproof.core.target import Target
from rollproof.faults.base import Effect, LiveContext, Void
from rollproof.faults.copied_pod import NO_IMAGE, CopiesPod, copy_spec

__all__ = ["FAULT", "SecretMissing"]

_REFUSED = "CreateContainerConfigError"  # the kubelet's word for it


class SecretMissing(CopiesPod):
    """The copy's environment is to come from that Secret, beside what it is declared to come from."""

    name = "secret-missing"
    peers = "none of Chaos Mesh, Litmus and Krkn"
    copy = "rollproof-secret-missing"

    def change(self, target: Target) -> str:
        """One pod."""
        return (
            "created: one pod of the app's image, asking for a Secret that is not there, for "
            f"{target.faults.hold_s:g} s after that was said"
        )

    def copies(self, deployment: Object, container: Mapping[str, Any], secret: str) -> Mapping[str, Object]:
        """The one."""
        asking = [*container.get("envFrom", ()), {"secretRef": {"name": secret}}]
        return {self.copy: copy_spec(self.copy, deployment, {**container, "envFrom": asking})}

    def is_as_made(self, pod: Outside, args: Mapping[str, Any]) -> bool:
        """It still asks for our Secret."""
        sources = [one for container in pod.objects("containers") for one in container.objects("envFrom")]
        return args["secret"] in [one.child("secretRef").text("name") for one in sources]

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """The copy's pod says CreateContainerConfigError. Where its image cannot be had it never comes so far."""
        for name, pod in self.of_copy(injection, live).items():
            if pod.reason == _REFUSED:
                return Effect(f"Pod/{injection.args['namespace']}/{name} says {_REFUSED}", (pod.uid,))
            if pod.reason in NO_IMAGE:
                return Void(
                    f"pod {name} of the copy says {pod.reason}: its image cannot be had, the Secret is not asked for"
                )
        return None

    def observe(self, injection: Injection, live: LiveContext) -> Void | None:
        """It must go on saying so."""
        pods = self.of_copy(injection, live)
        if started := [name for name, pod in pods.items() if pod.ready or pod.reason != _REFUSED]:
            return Void(f"pod {min(started)} of the copy did not go on saying {_REFUSED}")
        return None if pods else Void("the copy's pod is gone: somebody else has deleted it")


FAULT = SecretMissing()
