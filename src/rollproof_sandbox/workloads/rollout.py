"""Rollout: the arithmetic of a Deployment: the number of pods of each ReplicaSet, and the hash of a template.

Follows kube-controller-manager 1.37 (pkg/controller/deployment/util). Pure: objects in, numbers and names out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from rollproof_sandbox.api.store import Object
from rollproof_sandbox.workloads.objects import HASH_LABEL, replicas_of

__all__ = [
    "DESIRED", "LETTERS", "MAX", "REVISION", "max_surge", "max_unavailable", "new_replicas", "revision_of",
    "same_template", "shares", "template_hash", "total",
]  # fmt: skip

REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MAX = "deployment.kubernetes.io/max-replicas"
LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # the letters of generated names
_FNV_START, _FNV_PRIME = 2166136261, 16777619


def template_hash(template: Object) -> str:
    """The template's hash in names and labels: FNV-1a, in the letters of generated names."""
    value = _FNV_START
    for byte in json.dumps(template, sort_keys=True, separators=(",", ":")).encode():
        value = (value ^ byte) * _FNV_PRIME & 0xFFFFFFFF
    return "".join(LETTERS[ord(digit) % len(LETTERS)] for digit in str(value))


def same_template(one: Object, other: Object) -> bool:
    """Whether two pod templates are equal, apart from the label with the hash."""
    return _without_hash(one) == _without_hash(other)


def _without_hash(template: Object) -> Object:
    metadata = dict(template.get("metadata") or {})
    metadata.pop("creationTimestamp", None)
    metadata["labels"] = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH_LABEL}
    return {**template, "metadata": metadata}


def revision_of(item: Object) -> int:
    """The revision number in the annotation; 0 if there is none yet."""
    return int((item["metadata"].get("annotations") or {}).get(REVISION, 0))


def max_surge(deployment: Object) -> int:
    """How many pods above the wanted number may exist."""
    return _bounds(deployment)[0]


def max_unavailable(deployment: Object) -> int:
    """How many of the wanted pods may be missing."""
    return min(_bounds(deployment)[1], replicas_of(deployment))


def _bounds(deployment: Object) -> tuple[int, int]:
    """Surge percentages are rounded up, unavailable ones down; both zero would block the rollout."""
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    wanted = replicas_of(deployment)
    surge = _share(rolling.get("maxSurge", "25%"), wanted, up=True)
    missing = _share(rolling.get("maxUnavailable", "25%"), wanted, up=False)
    return surge, missing if surge or missing else 1


def _share(value: Any, of: int, *, up: bool) -> int:
    text = str(value)
    if not text.endswith("%"):
        return int(text)
    part = int(text[:-1]) * of / 100
    return math.ceil(part) if up else math.floor(part)


def total(replicasets: Sequence[Object]) -> int:
    """Sum of the replicas in the specs."""
    return sum(replicas_of(one) for one in replicasets)


def new_replicas(deployment: Object, replicasets: Sequence[Object], has: int) -> int:
    """The replicas that the new ReplicaSet may have now; `has` is its current number."""
    room = replicas_of(deployment) + max_surge(deployment) - total(replicasets)
    return has if room <= 0 else has + min(room, replicas_of(deployment) - has)


def shares(deployment: Object, active: Sequence[Object]) -> dict[str, int]:
    """Replicas by ReplicaSet when a Deployment is scaled during a rollout: in proportion to their sizes."""
    wanted = replicas_of(deployment)
    allowed = wanted + max_surge(deployment) if wanted else 0
    to_add = allowed - total(active)
    older_first = sorted(active, key=_created, reverse=to_add > 0)
    ranked = sorted(older_first, key=replicas_of, reverse=True)
    sizes, added = {one["metadata"]["name"]: replicas_of(one) for one in ranked}, 0
    if not to_add:
        return sizes
    for one in ranked:
        part = _proportion(deployment, one, to_add, added)
        sizes[one["metadata"]["name"]] += part
        added += part
    largest = ranked[0]["metadata"]["name"]
    sizes[largest] = max(0, sizes[largest] + to_add - added)
    return sizes


def _created(item: Object) -> tuple[str, str]:
    return item["metadata"]["creationTimestamp"], item["metadata"]["name"]


def _proportion(deployment: Object, replicaset: Object, to_add: int, added: int) -> int:
    size = replicas_of(replicaset)
    if not size or to_add == added:
        return 0
    if not replicas_of(deployment):
        part = -size
    else:
        annotated = (replicaset["metadata"].get("annotations") or {}).get(MAX)
        before = int(annotated or (deployment.get("status") or {}).get("replicas", 0) or size)
        part = math.floor(size * (replicas_of(deployment) + max_surge(deployment)) / before + 0.5) - size
    left = to_add - added
    return min(part, left) if to_add > 0 else max(part, left)
