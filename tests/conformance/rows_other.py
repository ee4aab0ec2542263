"""Rows about Services, Leases, Applications and Pods."""

from __future__ import annotations

from tests.conformance.listing import (
    ANY,
    GONE,
    NAMESPACE,
    STRATEGIC,
    Step,
    delete,
    get,
    patch,
    post,
    put,
    row,
    seed_of,
)

SERVICE = (
    row(
        "Service",
        "defaults",
        get(
            holds={
                "/spec/type": "ClusterIP",
                "/spec/sessionAffinity": "None",
                "/spec/ipFamilies": ["IPv4"],
                "/spec/ipFamilyPolicy": "SingleStack",
                "/spec/internalTrafficPolicy": "Cluster",
                "/spec/clusterIP": ANY,
                "/spec/clusterIPs/0": ANY,
                "/status": {"loadBalancer": {}},
                "/spec/ports": [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}],
            }
        ),
    ),
    row(
        "Service",
        "address-taken",
        post(
            lambda item: {**seed_of("Service", "$name-2", {}), "spec": {**item["spec"]}},
            status=422,
            reason="Invalid",
            message=r'Service "$name-2" is invalid: spec.clusterIPs: Invalid value: \["[0-9.]+"\]: failed to allocate '
            r"IP [0-9.]+: provided IP is already allocated",
            holds={"/details/causes/0/reason": "FieldValueInvalid", "/details/causes/0/field": "spec.clusterIPs"},
        ),
    ),
    row(
        "Service",
        "restore",
        Step(method="DELETE", status=200),
        post(
            lambda item: (
                {key: value for key, value in item.items() if key != "status"}
                | {"metadata": {"name": "$name", "labels": item["metadata"]["labels"]}}
            ),
            holds={"/spec/clusterIP": ANY},
        ),
        events=("DELETED", "ADDED"),
    ),
    row(
        "Service",
        "ports",
        patch(
            {"spec": {"ports": [{"port": 81, "name": "more"}]}},
            STRATEGIC,
            version="new",
            holds={
                "/spec/ports/0": {"name": "more", "port": 81, "targetPort": 81, "protocol": "TCP"},
                "/spec/ports/1/port": 80,
            },
        ),
        patch(
            {"spec": {"ports": [{"port": 81, "$patch": "delete"}]}},
            STRATEGIC,
            version="new",
            holds={"/spec/ports/1": GONE},
        ),
        events=("MODIFIED", "MODIFIED"),
    ),
    row(
        "Service",
        "address-stays",
        patch(
            {"spec": {"clusterIP": "10.96.200.200"}},
            status=422,
            reason="Invalid",
            message=r'Service "$name" is invalid: spec.clusterIPs\[0\]: Invalid value: .*: may not change once set',
        ),
        put(
            lambda item: {**item, "spec": {k: v for k, v in item["spec"].items() if not k.startswith("clusterIP")}},
            version="same",
        ),
    ),
    row(
        "Service",
        "selector-owner",
        patch(
            {"spec": {"selector": {"app": "rollproof-drift"}}},
            STRATEGIC,
            manager="other",
            version="new",
            owned={"other": {"f:spec": {"f:selector": {}}}},
        ),
        events=("MODIFIED",),
    ),
)

LEASE = (
    row(
        "Lease",
        "replace-absent",
        put(seed_of("Lease", "$name", {}), status=201, holds={"/metadata/uid": ANY}),
        events=("ADDED",),
        seeded=False,
    ),
    row(
        "Lease",
        "replace-lost",
        delete(),
        put(
            lambda item: item,
            status=409,
            reason="Conflict",
            message='Operation cannot be fulfilled on leases.coordination.k8s.io "$name": StorageError: invalid '
            "object, Code: 4, Key: /registry/leases/$namespace/$name, ResourceVersion: 0, AdditionalErrorMsg: "
            "Precondition failed: UID in precondition: $uid, UID in object meta: ",
        ),
        events=("DELETED",),
    ),
    row(
        "Lease",
        "renew",
        put(
            lambda item: {**item, "spec": {**item["spec"], "renewTime": "2026-01-01T00:00:01.5Z"}},
            status=400,
            reason="BadRequest",
            message='Lease in version "v1" cannot be handled as a Lease: parsing time "2026-01-01T00:00:01.5Z" as .*',
        ),
        put(lambda item: {**item, "spec": {**item["spec"], "renewTime": "2026-01-01T00:00:01.500000Z"}}, version="new"),
        events=("MODIFIED",),
    ),
)

APPLICATION = (
    row(
        "Application",
        "operation",
        patch(
            {"operation": {"sync": {"revision": "main"}}, "status": {"operationState": None}},
            version="new",
            generation=1,
            holds={"/operation/sync/revision": "main", "/status": {}},
        ),
        patch({"operation": None}, version="new", generation=1, holds={"/operation": GONE}),
        patch({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}, version="new", generation=0),
        events=("MODIFIED",) * 3,
    ),
    row(
        "Application",
        "status",
        patch(
            {
                "status": {
                    "sync": {
                        "status": "Synced",
                        "revision": "main",
                        "comparedTo": {"source": {"repoURL": "http://127.0.0.1/env.git"}, "destination": {}},
                    }
                }
            },
            version="new",
            generation=1,
            holds={"/status/sync/status": "Synced"},
        ),
        patch({"status": {"operationState": None}}, version="same", generation=0),
        patch({"status": {"sync": None}}, version="new", generation=1),
        get(404, path="/status", reason="NotFound", message='applications.argoproj.io "$name" not found'),
        events=("MODIFIED", "MODIFIED"),
    ),
    row(
        "Application",
        "list-of-maps",
        patch(
            {
                "spec": {
                    "ignoreDifferences": [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]
                }
            },
            version="new",
            manager="other",
            owned={"other": {"f:spec": {"f:ignoreDifferences": {}}}},
        ),
        events=("MODIFIED",),
    ),
)


_FAR = {"spec": {"nodeName": "no-such-node"}}

POD = (
    row(
        "Pod",
        "defaults",
        get(
            holds={
                "/status/phase": "Pending",
                "/status/qosClass": "Guaranteed",
                "/spec/restartPolicy": "Always",
                "/spec/containers/0/resources/requests": {"cpu": "500m", "memory": "128Mi"},
                "/metadata/generation": 1,
            }
        ),
    ),
    row(
        "Pod",
        "grace",
        delete(
            version="new",
            generation=1,
            holds={"/metadata/deletionTimestamp": ANY, "/metadata/deletionGracePeriodSeconds": 30, "/kind": "Pod"},
        ),
        delete(version="same", generation=0),
        delete(body={"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}),
        events=("MODIFIED", "MODIFIED", "DELETED"),
        seed=_FAR,
    ),
    row(
        "Pod",
        "no-address",
        get(
            400,
            whole_path=f"/api/v1/namespaces/{NAMESPACE}/pods/$name:8080/proxy/health",
            reason="BadRequest",
            message="address not allowed",
        ),
        get(
            404,
            whole_path=f"/api/v1/namespaces/{NAMESPACE}/pods/nothing:8080/proxy/health",
            reason="NotFound",
            message='pods "nothing" not found',
        ),
        get(
            404,
            whole_path=f"/api/v1/namespaces/{NAMESPACE}/pods/nothing/log",
            reason="NotFound",
            message='pods "nothing" not found',
        ),
        get(
            400,
            path="/log",
            query={"container": "other"},
            reason="BadRequest",
            message="container other is not valid for pod $name",
        ),
        watched=None,
    ),
    row(
        "Pod",
        "immutable",
        patch(
            {"spec": {"terminationGracePeriodSeconds": 5}},
            status=422,
            reason="Invalid",
            message='(?s)Pod "$name" is invalid: spec: Forbidden: pod updates may not change fields other than.*',
        ),
    ),
)
