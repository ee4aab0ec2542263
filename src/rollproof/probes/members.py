"""Members: which pods are the Deployment's? Those whose ReplicaSet the Deployment owns; labels are no evidence.

The pod of a Job, a bare pod or a pod of another Deployment may have the same labels, and receive the Service's traffic.
A pod that was once the Deployment's stays a member: one that lost its owner is an old pod that no controller removes.
"""

from __future__ import annotations

from dataclasses import replace

from rollproof.clients.kube import Kube, Object
from rollproof.core.outside import Outside
from rollproof.errors import RollproofError
from rollproof.probes.views import DeploymentView, PodView, ReplicaSetView, app_container, label_selector

__all__ = ["Members"]


class Members:
    """The pods of one Deployment. Views are made in the watches' threads; each owner is looked up once."""

    def __init__(
        self, kube: Kube, namespace: str, deployment: Object, service: Object, container: str, image: str
    ) -> None:
        self._kube, self._namespace, self._image = kube, namespace, image
        self._deployments: set[str] = set()  # its uids: it has another one after it was deleted and created again
        self._owners: dict[str, str] = {}  # ReplicaSet uid -> uid of the Deployment that controls it
        self._pods: set[str] = set()  # uids of the pods that are members
        asked = Outside.of(service, "the Service").child("spec")
        self._selector = asked.table("selector")
        self._family = next(iter(asked.texts("ipFamilies")), "")
        spec = Outside.of(deployment, "the Deployment").child("spec")
        found = app_container(spec.child("template").child("spec"), container, image)
        self._own = spec.child("selector").table("matchLabels")
        self.container = found.text("name") or container
        self.labels = self._labels(deployment)
        self.deployment(deployment)

    def _labels(self, deployment: Object) -> str:
        """The label selector for the Deployment's pods and all others that the Service selects."""
        common = {key: value for key, value in self._selector.items() if self._own.get(key) == value}
        if not common:
            return label_selector(deployment)
        return ",".join(f"{key}={value}" for key, value in common.items())

    def deployment(self, item: Object) -> DeploymentView:
        """The view of the Deployment."""
        view = DeploymentView.of(item, self.container, self._image)
        self._deployments |= {view.uid} - {""}
        return view

    def replicaset(self, item: Object) -> ReplicaSetView:
        """The view of a ReplicaSet; its controlling owner is remembered."""
        view = ReplicaSetView.of(item, self.container, self._image)
        self._owners[view.uid] = view.owner_uid
        return view

    def pod(self, item: Object) -> PodView:
        """The view of a pod, with `member` and `in_service`."""
        view = PodView.of(item, self.container, self._image)
        member = self._is_member(view)
        if member:
            self._pods.add(view.uid)
        labels = Outside.of(item, "a pod").child("metadata").table("labels")
        chosen = bool(self._selector) and self._selector.items() <= labels.items()
        return replace(view, ip=self._address(item) or view.ip, member=member, in_service=chosen)

    def _address(self, item: Object) -> str:
        """The pod's address of the Service's first IP family, by which the EndpointSlices know it; "" if it has none.

        `status.podIP` is of the cluster's first family: a Service of the other one would never be seen to have it.
        """
        known = Outside.of(item, "a pod").child("status").objects("podIPs") if self._family else ()
        return next((ip for one in known if (":" in (ip := one.text("ip"))) == (self._family == "IPv6")), "")

    def _is_member(self, pod: PodView) -> bool | None:
        if pod.uid and pod.uid in self._pods:
            return True
        if not pod.replicaset:
            return False
        if pod.owner_uid not in self._owners:
            self._ask_for(pod.replicaset)
        owner = self._owners.get(pod.owner_uid)
        return owner in self._deployments if owner is not None and self._deployments else None

    def _ask_for(self, replicaset: str) -> None:
        """Fetch a ReplicaSet that its watch does not show yet, or that has other labels."""
        try:
            found = self._kube.list("ReplicaSet", self._namespace, fields=f"metadata.name={replicaset}")
        except RollproofError:
            return  # unknown: fetched again with the pod's next change
        for item in found["items"]:
            self.replicaset(item)
