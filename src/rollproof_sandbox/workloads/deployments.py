"""Deployments: from a Deployment to its ReplicaSets: rollout, scaling, pause, history, and status.

Follows kube-controller-manager 1.37 (pkg/controller/deployment), also in the order of its writes: a status is computed
where the real one computes it, and in a rollout written after the ReplicaSet controller has run. Must never touch
a pod. Implements one strategy: RollingUpdate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rollproof_sandbox.api.store import Object, Store
from rollproof_sandbox.workloads import deploymentstatus as status
from rollproof_sandbox.workloads import rollout
from rollproof_sandbox.workloads.objects import (
    HASH_LABEL,
    Key,
    age_s,
    condition,
    controller_of,
    key_of,
    owner_reference,
    replicas_of,
    set_condition,
)  # fmt: skip

__all__ = ["MANAGER", "STATUS", "Deployments"]

MANAGER = "kube-controller-manager"
STATUS = "Deployment/status"  # the kind of a key that stands for writing a status that was computed before
_NOT_COPIED = (
    "kubectl.kubernetes.io/last-applied-configuration", rollout.REVISION, rollout.DESIRED, rollout.MAX,
    "deployment.kubernetes.io/revision-history", "deprecated.deployment.rollback.to",
)  # fmt: skip
_HISTORY = 10
Later = Callable[[Key, float], None]


class Deployments:
    """The Deployment controller. `later` queues a key after some seconds."""

    def __init__(self, store: Store, later: Later) -> None:
        self._store = store
        self._later = later
        self._computed: dict[Key, tuple[str, Object]] = {}  # uid and status
        self.rolled_out = False  # a first rollout has begun: pods of another template have to go

    def sync(self, key: Key) -> None:
        """One reconciliation: bring ReplicaSets and status closer to the spec."""
        self.write_status((STATUS, *key[1:]))
        deployment = self._store.get(*key)
        if deployment is None or "deletionTimestamp" in deployment["metadata"]:
            return
        deployment = self._note_pause(deployment)
        new, old = self._split(deployment)
        if new is not None:
            new = self._annotate(deployment, new, old)
            deployment = self._note_revision(deployment, new, old)
        paused = bool(deployment["spec"].get("paused"))
        if paused or _is_scaled(deployment, [*old, new] if new else old):
            self._scale(deployment, new, old)
            if paused:
                self._forget(deployment, old)
            new, old = self._split(deployment)
            self._compute(deployment, status.new_status(deployment, [*old, *_there(new)], new))
            self.write_status((STATUS, *key[1:]))
            return
        self._roll(deployment, new, old)

    def write_status(self, key: Key) -> None:
        """Write the computed status, if there is one."""
        if key not in self._computed:
            return
        uid, computed = self._computed.pop(key)

        def change(item: Object) -> None:
            if item["metadata"]["uid"] == uid:
                item["status"] = computed

        self._store.mutate("Deployment", key[1], key[2], change, manager=MANAGER, subresource="status")

    # -- a rollout ----------------------------------------------------------------------------------------------

    def _roll(self, deployment: Object, new: Object | None, old: list[Object]) -> None:
        if new is None:
            new = self._create(deployment, old)
            deployment = self._note_created(deployment, new, old)
        new, old = self._replace(deployment, new, old)
        self.rolled_out = self.rolled_out or any(replicas_of(one) for one in old)
        if status.is_complete(deployment, deployment.get("status") or {}):
            self._forget(deployment, old)
        self._compute(deployment, status.rollout_status(deployment, [*old, new], new))
        self._look_again(deployment)

    def _replace(self, deployment: Object, new: Object, old: list[Object]) -> tuple[Object, list[Object]]:
        """Add new pods if surge allows it, else remove old ones if enough are available."""
        has, wanted = replicas_of(new), replicas_of(deployment)
        size = wanted if has > wanted else rollout.new_replicas(deployment, [*old, new], has)
        if has != wanted and size != has:
            return self._resize(deployment, new, size), old
        return new, self._shrink(deployment, new, old)

    def _shrink(self, deployment: Object, new: Object, old: list[Object]) -> list[Object]:
        """First the old pods that are not available, then as many as availability allows."""
        least = replicas_of(deployment) - rollout.max_unavailable(deployment)
        missing = replicas_of(new) - _available(new)
        cleanable = rollout.total([*old, new]) - least - missing
        if not rollout.total(old) or cleanable <= 0:
            return old
        sizes = {one["metadata"]["name"]: replicas_of(one) for one in old}
        oldest_first = sorted(old, key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]))
        for one in oldest_first:
            name = one["metadata"]["name"]
            part = max(0, min(cleanable, sizes[name] - _available(one)))
            sizes[name] -= part
            cleanable -= part
        spare = sum(_available(one) for one in (*old, new)) - least
        for one in oldest_first:
            name = one["metadata"]["name"]
            part = max(0, min(spare, sizes[name]))
            sizes[name] -= part
            spare -= part
        return [
            one if size == replicas_of(one) else self._resize(deployment, one, size)
            for one, size in ((one, sizes[one["metadata"]["name"]]) for one in old)
        ]

    def _create(self, deployment: Object, old: list[Object]) -> Object:
        template, metadata = deployment["spec"]["template"], deployment["metadata"]
        name = rollout.template_hash(template)
        labels = {**(template.get("metadata") or {}).get("labels", {}), HASH_LABEL: name}
        selector = deployment["spec"]["selector"]
        wanted = replicas_of(deployment)
        annotations = {
            **_copied(deployment), rollout.REVISION: str(_newest(old) + 1), rollout.DESIRED: str(wanted),
            rollout.MAX: str(wanted + rollout.max_surge(deployment)),
        }  # fmt: skip
        spec = {
            "replicas": rollout.new_replicas(deployment, old, 0),
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), HASH_LABEL: name}},
            "template": {**template, "metadata": {**(template.get("metadata") or {}), "labels": labels}},
        }
        if "minReadySeconds" in deployment["spec"]:
            spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
        item = {
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": spec, "status": {"replicas": 0},
            "metadata": {
                "name": f"{metadata['name']}-{name}", "namespace": metadata["namespace"], "labels": labels,
                "annotations": annotations, "ownerReferences": [owner_reference(deployment)],
            },
        }  # fmt: skip
        made = self._store.create(item, manager=MANAGER)
        self._later(key_of(made), 0.0)
        return made

    # -- scaling and history ------------------------------------------------------------------------------------

    def _scale(self, deployment: Object, new: Object | None, old: list[Object]) -> None:
        """Distribute a changed number of replicas over the ReplicaSets."""
        everything = [*_there(new), *old]
        active = [one for one in everything if replicas_of(one)]
        wanted = replicas_of(deployment)
        if len(active) <= 1:
            latest = active or everything[:1]
            for one in latest:
                self._resize(deployment, one, wanted)
        elif new is not None and replicas_of(new) == wanted == _desired(new):
            for one in active:
                self._resize(deployment, one, wanted if one is new else 0)
        else:
            for name, size in rollout.shares(deployment, active).items():
                one = next(one for one in active if one["metadata"]["name"] == name)
                self._resize(deployment, one, size)

    def _resize(self, deployment: Object, replicaset: Object, size: int) -> Object:
        """Set a ReplicaSet's replicas, and record the Deployment's number in its annotations."""
        wanted = replicas_of(deployment)

        def change(item: Object) -> None:
            item["spec"]["replicas"] = size
            noted = {rollout.DESIRED: str(wanted), rollout.MAX: str(wanted + rollout.max_surge(deployment))}
            item["metadata"]["annotations"] = {**(item["metadata"].get("annotations") or {}), **noted}

        metadata = replicaset["metadata"]
        resized = self._store.mutate("ReplicaSet", metadata["namespace"], metadata["name"], change, manager=MANAGER)
        self._later(key_of(replicaset), 0.0)
        return resized or replicaset

    def _forget(self, deployment: Object, old: list[Object]) -> None:
        """Delete the oldest ReplicaSets beyond the history's limit, if they are empty."""
        too_many = len(old) - int(deployment["spec"].get("revisionHistoryLimit", _HISTORY))
        for one in sorted(old, key=rollout.revision_of)[: max(0, too_many)]:
            metadata, state = one["metadata"], one.get("status") or {}
            seen = state.get("observedGeneration", 0) >= metadata.get("generation", 0)
            if seen and not state.get("replicas") and not replicas_of(one):
                self._store.delete("ReplicaSet", metadata["namespace"], metadata["name"], manager=MANAGER)

    # -- what is noted on objects -------------------------------------------------------------------------------

    def _split(self, deployment: Object) -> tuple[Object | None, list[Object]]:
        """The ReplicaSet of the current template, if there is one, and the others that the Deployment owns."""
        uid, template = deployment["metadata"]["uid"], deployment["spec"]["template"]
        found = self._store.list("ReplicaSet", deployment["metadata"]["namespace"])
        owned = sorted(
            (one for one in found if controller_of(one).get("uid") == uid),
            key=lambda one: (one["metadata"]["creationTimestamp"], one["metadata"]["name"]),
        )
        new = next((one for one in owned if rollout.same_template(one["spec"]["template"], template)), None)
        return new, [one for one in owned if one is not new]

    def _annotate(self, deployment: Object, new: Object, old: list[Object]) -> Object:
        """The new ReplicaSet gets the highest revision, also when an old template is used again."""
        revision = max(_newest(old) + 1, rollout.revision_of(new))

        def change(item: Object) -> None:
            annotations = {**(item["metadata"].get("annotations") or {}), **_copied(deployment)}
            item["metadata"]["annotations"] = {**annotations, rollout.REVISION: str(revision)}
            if item["spec"].get("minReadySeconds", 0) != deployment["spec"].get("minReadySeconds", 0):
                item["spec"]["minReadySeconds"] = deployment["spec"].get("minReadySeconds", 0)

        metadata = new["metadata"]
        return self._store.mutate("ReplicaSet", metadata["namespace"], metadata["name"], change, manager=MANAGER) or new

    def _note_revision(self, deployment: Object, new: Object, old: list[Object]) -> Object:
        said = None
        if not condition(deployment, "Progressing"):
            said = status.progressing("True", status.FOUND, f'Found new replica set "{new["metadata"]["name"]}"')
        return self._note(deployment, said, max(_newest(old) + 1, rollout.revision_of(new)))

    def _note_created(self, deployment: Object, new: Object, old: list[Object]) -> Object:
        text = f'Created new replica set "{new["metadata"]["name"]}"'
        return self._note(deployment, status.progressing("True", status.CREATED, text), _newest(old) + 1)

    def _note_pause(self, deployment: Object) -> Object:
        """While it is paused, no progress deadline runs; it restarts when the Deployment is resumed."""
        before, paused = condition(deployment, "Progressing"), bool(deployment["spec"].get("paused"))
        noted = before.get("reason") == status.PAUSED
        if before.get("reason") == status.TIMED_OUT or paused is noted:
            return deployment
        reason, text = (status.PAUSED, "is paused") if paused else (status.RESUMED, "is resumed")
        return self._note(deployment, status.progressing("Unknown", reason, f"Deployment {text}"))

    def _note(self, deployment: Object, said: Object | None, revision: int = 0) -> Object:
        def change(item: Object) -> None:
            if said is not None:
                state = item.setdefault("status", {})
                state["conditions"] = set_condition(state.get("conditions") or [], said)
            if revision:
                annotations = item["metadata"].get("annotations") or {}
                item["metadata"]["annotations"] = {**annotations, rollout.REVISION: str(revision)}

        metadata = deployment["metadata"]
        now = self._store.mutate(
            "Deployment", metadata["namespace"], metadata["name"], change, manager=MANAGER, subresource="status"
        )
        if now is None:
            return deployment
        # This reconciliation keeps the spec that it began with: a newer one is queued by itself, and a status with its
        # generation would report a rollout complete that has not begun.
        generation = {"generation": metadata["generation"]}
        return {**now, "spec": deployment["spec"], "metadata": {**now["metadata"], **generation}}

    def _compute(self, deployment: Object, computed: Object) -> None:
        if computed == deployment.get("status"):
            return
        metadata = deployment["metadata"]
        key = (STATUS, metadata["namespace"], metadata["name"])
        self._computed[key] = (metadata["uid"], computed)
        self._later(key, 0.0)

    def _look_again(self, deployment: Object) -> None:
        """Queue it for its deadline: no event comes when that passes."""
        said = condition(deployment, "Progressing")
        if said and said["reason"] not in (status.TIMED_OUT, status.NEW_AVAILABLE):
            metadata = deployment["metadata"]
            left_s = status.deadline_s(deployment) - age_s(said["lastUpdateTime"])
            self._later(("Deployment", metadata["namespace"], metadata["name"]), max(left_s, 0.0) + 1.0)


def _there(item: Object | None) -> list[Object]:
    return [item] if item else []


def _newest(replicasets: Sequence[Object]) -> int:
    return max((rollout.revision_of(one) for one in replicasets), default=0)


def _available(replicaset: Object) -> int:
    return int((replicaset.get("status") or {}).get("availableReplicas", 0))


def _desired(replicaset: Object) -> int:
    return int((replicaset["metadata"].get("annotations") or {}).get(rollout.DESIRED, -1))


def _is_scaled(deployment: Object, replicasets: Sequence[Object]) -> bool:
    """Whether a ReplicaSet with pods records another number of replicas than the Deployment wants now."""
    wanted = replicas_of(deployment)
    return any(_desired(one) not in (-1, wanted) for one in replicasets if replicas_of(one))


def _copied(deployment: Object) -> dict[str, str]:
    annotations = deployment["metadata"].get("annotations") or {}
    return {key: value for key, value in annotations.items() if key not in _NOT_COPIED}
