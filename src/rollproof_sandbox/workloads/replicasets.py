"""ReplicaSets: keep as many pods as the spec wants, adopt orphans, release pods that do not match, write the status.

Follows kube-controller-manager 1.37 (pkg/controller/replicaset): the counts are those from before the creations and
deletions of the same reconciliation. One defect is implemented here: the old pod that is released, not deleted.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from rollproof_sandbox.api.store import Object, Store
from rollproof_sandbox.workloads.objects import (
    HASH_LABEL,
    Key,
    age_s,
    condition,
    controller_of,
    is_active,
    is_ready,
    matches,
    owner_reference,
    replicas_of,
)  # fmt: skip
from rollproof_sandbox.workloads.rollout import LETTERS

__all__ = ["ReplicaSets"]

_MANAGER = "kube-controller-manager"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


class ReplicaSets:
    """The ReplicaSet controller. `orphan_old_pod`: the first ready pod of an old template is released, not deleted."""

    def __init__(
        self, store: Store, later: Callable[[Key, float], None], *, seed: int = 0, orphan_old_pod: bool = False
    ) -> None:
        self._store = store
        self._later = later
        self._chance = random.Random(seed)  # noqa: S311 - names of pods, no secret
        self._orphans_left = int(orphan_old_pod)

    def sync(self, key: Key) -> None:
        """One reconciliation of a ReplicaSet."""
        replicaset = self._store.get(*key)
        if replicaset is None:
            return
        pods = [pod for pod in self._store.list("Pod", key[1]) if is_active(pod)]
        own = [pod for pod in pods if self._claims(replicaset, pod)]
        missing = replicas_of(replicaset) - len(own)
        if "deletionTimestamp" not in replicaset["metadata"]:
            for _ in range(missing):
                self._create(replicaset)
            for pod in sorted(own, key=_least_wanted_first)[: max(0, -missing)]:
                self._drop(pod)
        self._count(key, replicaset, own)

    def _claims(self, replicaset: Object, pod: Object) -> bool:
        """Whether the pod is one of its own, possibly after adopting it."""
        uid, selected = replicaset["metadata"]["uid"], matches(replicaset["spec"]["selector"], pod)
        owner = controller_of(pod).get("uid")
        if owner not in (None, uid):
            return False
        if owner == uid and not selected:
            self._set_owners(pod, [one for one in pod["metadata"]["ownerReferences"] if one["uid"] != uid])
        if owner is None and selected:
            self._set_owners(pod, [*(pod["metadata"].get("ownerReferences") or ()), owner_reference(replicaset)])
        return selected

    def _set_owners(self, pod: Object, owners: list[Object]) -> None:
        def change(item: Object) -> None:
            item["metadata"]["ownerReferences"] = owners

        self._change(pod, change)

    def _create(self, replicaset: Object) -> None:
        metadata, template = replicaset["metadata"], replicaset["spec"]["template"]
        name = f"{metadata['name']}-{''.join(self._chance.choices(LETTERS, k=5))}"
        meta = template.get("metadata") or {}
        pod = {
            "apiVersion": "v1", "kind": "Pod", "spec": template["spec"], "status": {"phase": "Pending"},
            "metadata": {
                "name": name, "generateName": f"{metadata['name']}-", "namespace": metadata["namespace"],
                "labels": meta.get("labels", {}), "annotations": meta.get("annotations", {}),
                "ownerReferences": [owner_reference(replicaset)],
            },
        }  # fmt: skip
        self._store.create(pod, manager=_MANAGER)

    def _drop(self, pod: Object) -> None:
        if self._orphans_left and is_ready(pod):
            self._orphans_left -= 1
            self._orphan(pod)
            return
        metadata = pod["metadata"]
        self._store.delete("Pod", metadata["namespace"], metadata["name"], uid=metadata["uid"], manager=_MANAGER)

    def _orphan(self, pod: Object) -> None:
        """Without the hash label no ReplicaSet adopts it; its other labels keep it in the Service."""

        def change(item: Object) -> None:
            item["metadata"].pop("ownerReferences", None)
            item["metadata"]["labels"].pop(HASH_LABEL, None)

        self._change(pod, change)

    def _change(self, pod: Object, change: Callable[[Object], None]) -> None:
        metadata = pod["metadata"]
        self._store.mutate("Pod", metadata["namespace"], metadata["name"], change, manager=_MANAGER)

    def _count(self, key: Key, replicaset: Object, own: list[Object]) -> None:
        """Write the status; queue the key for the time at which a pod will have been ready for long enough."""
        wait_s = float(replicaset["spec"].get("minReadySeconds", 0))
        ready = [pod for pod in own if is_ready(pod)]
        left_s = [wait_s - age_s(condition(pod, "Ready")["lastTransitionTime"]) for pod in ready]
        labels = (replicaset["spec"]["template"].get("metadata") or {}).get("labels") or {}
        counts = {
            "fullyLabeledReplicas": sum(1 for pod in own if matches({"matchLabels": labels}, pod)),
            "readyReplicas": len(ready),
            "availableReplicas": sum(1 for one in left_s if not wait_s or one <= 0),
            "observedGeneration": replicaset["metadata"].get("generation", 0),
        }

        def change(item: Object) -> None:
            item["status"] = {"replicas": len(own), **{name: value for name, value in counts.items() if value}}

        self._store.mutate(*key, change, manager=_MANAGER, subresource="status")
        coming_s = [one for one in left_s if wait_s and one > 0]
        if coming_s:
            self._later(key, min(coming_s))


def _least_wanted_first(pod: Object) -> tuple[bool, int, bool, float, int, float]:
    """Sort key: unscheduled, pending, not ready, ready for the shortest time, restarted most, newest."""
    status = pod.get("status") or {}
    ready = is_ready(pod)
    return (
        bool(pod["spec"].get("nodeName")), _PHASES.get(status.get("phase", ""), 0), ready,
        age_s(condition(pod, "Ready")["lastTransitionTime"]) if ready else 0.0,
        -sum(int(one.get("restartCount", 0)) for one in status.get("containerStatuses") or ()),
        age_s(pod["metadata"]["creationTimestamp"]),
    )  # fmt: skip
