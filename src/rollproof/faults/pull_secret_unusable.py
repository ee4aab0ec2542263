"""Pull secret unusable: a throw-away copy of the app's pod must pull its image with a Secret that is not there.

The kubelet goes on without a pull secret that it cannot find, and asks the registry as nobody: what a node does that
has not the image yet, once the Secret is gone, renamed or out of date. A second copy, the control, pulls with the
Secrets that are declared: else nobody could tell a login that is missing from a registry that is away.
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
from rollproof.probes.views import PodView

__all__ = ["FAULT", "PullSecretUnusable"]

_SECRETS, _ALWAYS = "imagePullSecrets", "Always"
_CONTROL = "rollproof-pull-control"
_WHICH = "rollproof.io/pulls"  # both have the same label of a copy, and Deployments share no pods


class PullSecretUnusable(CopiesPod):
    """Both ask the registry each time, whatever the node has (imagePullPolicy: Always)."""

    name = "pull-secret-unusable"
    peers = "none of Chaos Mesh, Litmus and Krkn"
    copy = "rollproof-pull-secret"

    def change(self, target: Target) -> str:
        """Two pods."""
        return (
            "created: one pod of the app's image that must pull it with a Secret that is not there, and beside it one "
            f"that must pull it as declared, for {target.faults.hold_s:g} s after that was said"
        )

    def cannot(self, deployment: Object) -> str:
        """Where no Secret is named, none can be unusable."""
        named = Outside.of(deployment, "the Deployment").child("spec").child("template").child("spec").objects(_SECRETS)
        return "" if named else f"the Deployment names no {_SECRETS} (those of its ServiceAccount are not looked at)"

    def copies(self, deployment: Object, container: Mapping[str, Any], secret: str) -> Mapping[str, Object]:
        """The control, then the other."""
        asking = {**container, "imagePullPolicy": _ALWAYS}
        control = copy_spec(self.copy, deployment, asking, labels={_WHICH: "as-declared"})
        other = copy_spec(self.copy, deployment, asking, labels={_WHICH: "without"}, **{_SECRETS: [{"name": secret}]})
        return {_CONTROL: control, self.copy: other}

    def is_as_made(self, pod: Outside, args: Mapping[str, Any]) -> bool:
        """Still one container, which asks for its image each time."""
        del args
        return [(one.text("name"), one.text("imagePullPolicy")) for one in pod.objects("containers")] == [
            ("copy", _ALWAYS)
        ]

    def evidence(self, injection: Injection, live: LiveContext) -> Effect | Void | None:
        """The one pod has no image, and the control has got it."""
        without, control = self._both(injection, live)
        for name, pod in without.items():
            if pod.image_id:
                return Void(
                    f"pod {name} has got its image without the Secret: everybody may pull it, or the nodes have a login"
                )
        if refused := [f"pod {name} says {pod.reason}" for name, pod in control.items() if pod.reason in NO_IMAGE]:
            return Void(
                f"{refused[0]}: with the pull secrets that are declared its image cannot be had either, so that a "
                "node which lacks it cannot start the app now"
            )
        said = [(name, pod) for name, pod in without.items() if pod.reason in NO_IMAGE]
        if said and any(pod.image_id for pod in control.values()):
            name, pod = said[0]
            what = f"Pod/{injection.args['namespace']}/{name} says {pod.reason}, and the control has got its image"
            return Effect(what, (pod.uid,))
        return None

    def observe(self, injection: Injection, live: LiveContext) -> Void | None:
        """It must go on saying so."""
        without, _ = self._both(injection, live)
        if started := [name for name, pod in without.items() if pod.image_id or pod.reason not in NO_IMAGE]:
            return Void(f"pod {min(started)} of the copy did not go on saying that its image cannot be had")
        return None if without else Void("the copy's pod is gone: somebody else has deleted it")

    def _both(self, injection: Injection, live: LiveContext) -> tuple[Mapping[str, PodView], Mapping[str, PodView]]:
        """The pods without the Secret, and the control's."""
        pods = self.of_copy(injection, live)
        control = {name: pod for name, pod in pods.items() if name.startswith(f"{_CONTROL}-")}
        return {name: pod for name, pod in pods.items() if name not in control}, control


FAULT = PullSecretUnusable()
