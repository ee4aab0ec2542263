"""Kinds: the kinds of object that are asked for, and where each lives in the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

__all__ = ["KINDS", "Kind"]


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind lives in the API.

    `custom`: of a CustomResourceDefinition. A cluster may not have it, and no strategic merge patch is known of it.
    """

    name: str
    plural: str
    group: str = ""  # empty: the core group
    version: str = "v1"
    custom: bool = False

    @property
    def group_path(self) -> str:
        """The URL path of its group and version, which says whether the cluster has them."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str, name: str = "") -> str:
        """The URL path of a collection or of one object."""
        root, inside = self.group_path, f"namespaces/{_part(namespace)}/" if namespace else ""
        place = f"{root}/{inside}{self.plural}"
        return f"{place}/{_part(name)}" if name else place


def _part(name: str) -> str:
    """One part of a path, whatever the name is: `../x` must not lead into another namespace."""
    return "%2E" * len(name) if name in {".", ".."} else quote(name, safe=":")


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("Pod", "pods"),
        Kind("Service", "services"),
        Kind("ConfigMap", "configmaps"),
        Kind("Secret", "secrets"),
        Kind("Node", "nodes"),
        Kind("Namespace", "namespaces"),
        Kind("Event", "events"),
        Kind("Deployment", "deployments", "apps"),
        Kind("ReplicaSet", "replicasets", "apps"),
        Kind("StatefulSet", "statefulsets", "apps"),
        Kind("Job", "jobs", "batch"),
        Kind("ServiceAccount", "serviceaccounts"),
        Kind("Role", "roles", "rbac.authorization.k8s.io"),
        Kind("RoleBinding", "rolebindings", "rbac.authorization.k8s.io"),
        Kind("EndpointSlice", "endpointslices", "discovery.k8s.io"),
        Kind("Lease", "leases", "coordination.k8s.io"),
        Kind("HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling", "v2"),
        Kind("Ingress", "ingresses", "networking.k8s.io"),
        Kind("ResourceQuota", "resourcequotas"),
        Kind("NetworkPolicy", "networkpolicies", "networking.k8s.io"),
        Kind("PodDisruptionBudget", "poddisruptionbudgets", "policy"),
        Kind("HTTPRoute", "httproutes", "gateway.networking.k8s.io", custom=True),
        Kind("Gateway", "gateways", "gateway.networking.k8s.io", custom=True),
        Kind("Application", "applications", "argoproj.io", "v1alpha1", custom=True),
        Kind("AppProject", "appprojects", "argoproj.io", "v1alpha1", custom=True),
        Kind("SelfSubjectAccessReview", "selfsubjectaccessreviews", "authorization.k8s.io"),
    )
}
