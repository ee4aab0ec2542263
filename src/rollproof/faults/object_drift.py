"""Object drift: a whole declared object is deleted; Argo CD is to create it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from rollproof.clients.kube import ApiError, Kube, Object
from rollproof.core.permission import Permission
from rollproof.core.target import Target
from rollproof.faults.base import Context
from rollproof.faults.leaving import deployment_of
from rollproof.faults.objects import saved
from rollproof.faults.selfheal.drift import Drift, service, tracked
from rollproof.faults.selfheal.trial import GONE, THERE, Trial
from rollproof.probes.objectwatch import Arrival
from rollproof.store.journal import Undone

__all__ = ["FAULTS", "ObjectDrift"]


class ObjectDrift(Drift):
    """Bound to uid and version: what was made again or changed meanwhile is not deleted."""

    journal_kind = "object-restore"

    def changing_permissions(self, target: Target) -> Iterable[Permission]:
        """Creating it again undoes it."""
        yield from self.on_object(target, "delete", f"drift {self.trial}")
        yield from self.on_object(target, "create", f"to undo drift {self.trial}")

    def noted(self, trial: Trial, item: Object, kube: Kube) -> Mapping[str, Any]:  # noqa: ARG002 - all is in the object
        """The whole object."""
        return {"object": {**saved(item), "kind": trial.kind}, "uid": item["metadata"]["uid"]}

    def send(self, trial: Trial, item: Object, kube: Kube) -> Object:
        """A deletion in the background, as kubectl's."""
        uid, version = item["metadata"]["uid"], item["metadata"]["resourceVersion"]
        return kube.delete(trial.kind, trial.namespace, trial.object_name, uid=uid, resource_version=version)

    def version_after(self, item: Object, reply: Object) -> int | None:  # noqa: ARG002 - the reply may be no object
        """A deletion has no version of its own: what is later than the deleted one comes after it."""
        return int(item["metadata"]["resourceVersion"])

    def ours(self, noted: Mapping[str, Any]) -> Any:  # noqa: ARG002 - there is but one
        """It is gone."""
        return GONE

    def original(self, trial: Trial, before: Object) -> Any:  # noqa: ARG002 - there is but one
        """It was there."""
        return THERE

    def value(self, trial: Trial, before: Object, item: Object) -> Any:  # noqa: ARG002 - of the whole object
        """Only another one counts as there: the deleted one may be seen until it is gone."""
        return THERE if item["metadata"]["uid"] != before["metadata"]["uid"] else GONE

    def is_later(self, version: int, arrival: Arrival) -> bool:
        """A deletion may carry the version that was deleted."""
        return arrival.change == "DELETED" or super().is_later(version, arrival)

    def is_shown(self, version: int, arrival: Arrival) -> bool:
        """It is being deleted, or gone."""
        return self.is_later(version, arrival) or bool(arrival.item["metadata"].get("deletionTimestamp"))

    def undo(self, kube: Kube, args: Mapping[str, Any]) -> Undone:
        """Create the object again if nobody else has."""
        item = args["object"]
        kind, namespace, name = item["kind"], item["metadata"]["namespace"], item["metadata"]["name"]
        found = kube.find(kind, namespace, name)
        if found is not None:
            same = found["metadata"]["uid"] == args["uid"]
            return Undone("not-needed", reason="it was not deleted" if same else "it was created again")
        try:
            kube.create(kind, namespace, item)
        except ApiError as error:
            if error.status == 409:
                return Undone("not-needed", reason="it was created again")
            if error.status != 422 or kind != "Service":
                raise
            spec = {key: value for key, value in item["spec"].items() if key not in ("clusterIP", "clusterIPs")}
            kube.create(kind, namespace, {**item, "spec": spec})  # its address was given away meanwhile
            return Undone("done", reason="with a new cluster address: the old one was taken")
        return Undone("done")


def _whole(trial: str, read: Callable[[Context], Object]) -> ObjectDrift:
    def find(context: Context) -> Trial:
        metadata = read(context)["metadata"]
        return Trial(name=trial, namespace=metadata["namespace"], object_name=metadata["name"])

    return ObjectDrift(trial, find)


FAULTS = (
    _whole("delete-service", service),
    _whole("delete-configmap", partial(tracked, kind="ConfigMap")),
    _whole("delete-ingress", partial(tracked, kind="Ingress")),
    _whole("delete-http-route", partial(tracked, kind="HTTPRoute")),
    _whole("delete-hpa", partial(tracked, kind="HorizontalPodAutoscaler")),
    _whole("delete-deployment", deployment_of),
)
