"""Rows about kinds that the harness only reads, or that the sandbox only stores: the requests that it uses."""

from __future__ import annotations

from tests.conformance.listing import ANY, NAMESPACE, Row, delete, get, patch, post, row, seed_of

_LISTED = {  # kind -> apiVersion
    "ReplicaSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "HorizontalPodAutoscaler": "autoscaling/v2",
    "PodDisruptionBudget": "policy/v1",
    "Ingress": "networking.k8s.io/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "ResourceQuota": "v1",
    "AppProject": "argoproj.io/v1alpha1",
    "Event": "v1",
    "Job": "batch/v1",
    "ServiceAccount": "v1",
    "Role": "rbac.authorization.k8s.io/v1",
    "Secret": "v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
}
_WINDOW = {"kind": "deny", "schedule": "* * * * *", "duration": "1h", "applications": ["*"]}


def _none(kind: str, version: str) -> Row:
    return row(
        kind,
        "list-none",
        get(
            path=None,
            query={"labelSelector": "row=nothing"},
            holds={"/kind": f"{kind}List", "/apiVersion": version, "/items": [], "/metadata/resourceVersion": ANY},
        ),
        seeded=False,
        watched=None,
    )


def _not_served(kind: str, group: str) -> Row:
    """Of a custom kind that neither has: the sandbox, or a lab whose ingress is ours."""
    return row(
        kind,
        "not-served",
        get(404, path=None, message="404 page not found"),
        get(404, whole_path=f"/apis/{group}/v1", message="404 page not found"),
        seeded=False,
        watched=None,
    )


READ = (
    *(_not_served(kind, "gateway.networking.k8s.io") for kind in ("HTTPRoute", "Gateway")),
    *(_none(kind, version) for kind, version in _LISTED.items()),
    row(
        "ReplicaSet",
        "watch",
        post(
            seed_of("ReplicaSet", "$name", {}),
            holds={"/kind": "ReplicaSet", "/spec/replicas": 0, "/metadata/generation": 1},
        ),
        patch({"metadata": {"labels": {"more": "yes"}}}, holds={"/metadata/labels/more": "yes"}, version="new"),
        delete(body={"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}),
        events=("ADDED", "MODIFIED", "DELETED"),
        seeded=False,
    ),
    row(
        "AppProject",
        "get",
        get(
            404,
            reason="NotFound",
            message=r'appprojects\.argoproj\.io "$name" not found',
            holds={"/details/group": "argoproj.io", "/details/kind": "appprojects"},
        ),
        post(
            {
                "apiVersion": "argoproj.io/v1alpha1",
                "kind": "AppProject",
                "metadata": {"name": "$name"},
                "spec": {"sourceRepos": ["*"], "syncWindows": [_WINDOW]},
            }
        ),
        get(holds={"/kind": "AppProject", "/spec/syncWindows": [_WINDOW]}),
        delete(),
        seeded=False,
        watched=None,
    ),
    row(
        "Node",
        "list",
        get(
            whole_path="/api/v1/nodes",
            holds={"/kind": "NodeList", "/apiVersion": "v1", "/items": ANY, "/metadata/resourceVersion": ANY},
        ),
        seeded=False,
        watched=None,
    ),
    row(
        "Namespace",
        "get",
        get(
            whole_path=f"/api/v1/namespaces/{NAMESPACE}",
            holds={
                "/kind": "Namespace",
                "/apiVersion": "v1",
                "/metadata/labels/kubernetes.io~1metadata.name": NAMESPACE,
            },
        ),
        seeded=False,
        watched=None,
    ),
    row(
        "SelfSubjectAccessReview",
        "may",
        post(
            {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {
                    "resourceAttributes": {
                        "verb": "patch",
                        "group": "apps",
                        "resource": "deployments",
                        "namespace": NAMESPACE,
                    }
                },
            },
            whole_path="/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            holds={"/kind": "SelfSubjectAccessReview", "/status/allowed": True},
        ),
        seeded=False,
        watched=None,
    ),
)
