"""Own pod: the parts of a pod of our own that runs a script: little CPU and memory, no rights, an unknown user.

So a namespace that enforces the restricted standard takes it too (kubernetes.io, "Pod Security Standards").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollproof.clients.kube import Object

__all__ = ["pod_spec", "script_container"]

_NOBODY = 65534


def script_container(name: str, image: str, script: str, environment: Mapping[str, str], **more: Any) -> Object:
    """A container that runs the script in a POSIX shell; `more` are further fields of it."""
    return {
        "name": name, "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", script],
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "resources": {"requests": {"cpu": "5m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True
        },
        **more,
    }  # fmt: skip


def pod_spec(container: Object, **more: Any) -> Object:
    """Of a pod with that one container; `more` are further fields. Its volumes belong to the same nobody."""
    return {
        "enableServiceLinks": False, "terminationGracePeriodSeconds": 1, "containers": [container],
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": _NOBODY, "runAsGroup": _NOBODY, "fsGroup": _NOBODY,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **more,
    }  # fmt: skip
