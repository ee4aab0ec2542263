"""Kinds: the path of each in the API, which is all that a request says of it."""

from __future__ import annotations

import pytest

from rollproof.core.kinds import KINDS

PATHS = {  # Kubernetes API reference, Gateway API v1, Argo CD's CRDs
    "Pod": "/api/v1/namespaces/shop/pods/x",
    "Service": "/api/v1/namespaces/shop/services/x",
    "ConfigMap": "/api/v1/namespaces/shop/configmaps/x",
    "Secret": "/api/v1/namespaces/shop/secrets/x",
    "Event": "/api/v1/namespaces/shop/events/x",
    "ServiceAccount": "/api/v1/namespaces/shop/serviceaccounts/x",
    "ResourceQuota": "/api/v1/namespaces/shop/resourcequotas/x",
    "Deployment": "/apis/apps/v1/namespaces/shop/deployments/x",
    "ReplicaSet": "/apis/apps/v1/namespaces/shop/replicasets/x",
    "StatefulSet": "/apis/apps/v1/namespaces/shop/statefulsets/x",
    "Job": "/apis/batch/v1/namespaces/shop/jobs/x",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles/x",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/rolebindings/x",
    "EndpointSlice": "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/x",
    "Lease": "/apis/coordination.k8s.io/v1/namespaces/shop/leases/x",
    "HorizontalPodAutoscaler": "/apis/autoscaling/v2/namespaces/shop/horizontalpodautoscalers/x",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/x",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/shop/networkpolicies/x",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/shop/poddisruptionbudgets/x",
    "HTTPRoute": "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/x",
    "Gateway": "/apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways/x",
    "Application": "/apis/argoproj.io/v1alpha1/namespaces/shop/applications/x",
    "AppProject": "/apis/argoproj.io/v1alpha1/namespaces/shop/appprojects/x",
}
OF_THE_CLUSTER = {
    "Node": "/api/v1/nodes/x",
    "Namespace": "/api/v1/namespaces/x",
    "SelfSubjectAccessReview": "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews/x",
}
CUSTOM = {"HTTPRoute", "Gateway", "Application", "AppProject"}  # no strategic merge patch of these


def test_every_kind_has_its_line_here() -> None:
    """A new kind needs one, and later ones of this page only where they are asked for."""
    assert set(KINDS) - {*PATHS, *OF_THE_CLUSTER} == set()


@pytest.mark.parametrize("name", sorted(KINDS))
def test_where_a_kind_lives(name: str) -> None:
    kind = KINDS[name]
    path = kind.path("", "x") if name in OF_THE_CLUSTER else kind.path("shop", "x")
    assert (kind.name, path, kind.custom) == (name, {**PATHS, **OF_THE_CLUSTER}[name], name in CUSTOM)
    assert kind.path("", "").startswith(f"{kind.group_path}/")
