"""Rows about Deployments: strategic merge patches, quantities, defaults, owners of fields, refusals."""

from __future__ import annotations

from typing import Any

from tests.conformance.listing import (
    GONE,
    MERGE,
    STRATEGIC,
    get,
    patch,
    post,
    row,
    seed_of,
)


def _container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "shop", **fields}]}}}}


def _limits(**limits: Any) -> dict[str, Any]:
    return _container(resources={"limits": limits})


_POD = "/spec/template/spec"
_SHOP = f"{_POD}/containers/0"
_CHANGED = {"version": "new", "generation": 1}
_VOID = {"version": "same", "generation": 0}
DEPLOYMENT = (
    row(
        "Deployment",
        "defaults",
        post(
            seed_of("Deployment", "$name", {}),
            holds={
                "/spec/strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
                },
                "/spec/progressDeadlineSeconds": 600,
                "/spec/revisionHistoryLimit": 10,
                "/status": {},
                f"{_SHOP}/imagePullPolicy": "IfNotPresent",
                f"{_SHOP}/terminationMessagePath": "/dev/termination-log",
                f"{_SHOP}/terminationMessagePolicy": "File",
                f"{_SHOP}/ports/0/protocol": "TCP",
                f"{_POD}/restartPolicy": "Always",
                f"{_POD}/dnsPolicy": "ClusterFirst",
                f"{_POD}/securityContext": {},
                f"{_POD}/schedulerName": "default-scheduler",
                f"{_POD}/terminationGracePeriodSeconds": 30,
            },
        ),
        events=("ADDED",),
        seeded=False,
    ),
    row(
        "Deployment",
        "probe-defaults",
        patch(
            _container(readinessProbe={"httpGet": {"path": "/ready", "port": "http"}}),
            STRATEGIC,
            **_CHANGED,
            holds={
                f"{_SHOP}/readinessProbe": {
                    "httpGet": {"path": "/ready", "port": "http", "scheme": "HTTP"},
                    "timeoutSeconds": 1,
                    "periodSeconds": 10,
                    "successThreshold": 1,
                    "failureThreshold": 3,
                },
            },
        ),
        events=("MODIFIED",),
    ),
    row(
        "Deployment",
        "image",
        patch(
            _container(image="registry.local/shop:b7a2e11"),
            STRATEGIC,
            **_CHANGED,
            holds={
                f"{_SHOP}/image": "registry.local/shop:b7a2e11",
                f"{_SHOP}/env/0/value": "info",
                f"{_POD}/containers/1": GONE,
            },
        ),
        patch(_container(image="registry.local/shop:b7a2e11"), STRATEGIC, **_VOID),
        events=("MODIFIED",),
    ),
    row(
        "Deployment",
        "sidecar",
        patch(
            {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:latest"}]}}}},
            STRATEGIC,
            **_CHANGED,
            holds={
                f"{_POD}/containers/0/name": "side",
                f"{_POD}/containers/0/imagePullPolicy": "Always",
                f"{_POD}/containers/1/name": "shop",
            },
        ),
        patch(
            {"spec": {"template": {"spec": {"containers": [{"name": "side", "$patch": "delete"}]}}}},
            STRATEGIC,
            **_CHANGED,
            holds={f"{_POD}/containers/0/name": "shop", f"{_POD}/containers/1": GONE},
        ),
        events=("MODIFIED", "MODIFIED"),
    ),
    row(
        "Deployment",
        "env",
        patch(
            _container(env=[{"name": "LOG_LEVEL", "value": "debug"}]),
            STRATEGIC,
            **_CHANGED,
            holds={f"{_SHOP}/env": [{"name": "LOG_LEVEL", "value": "debug"}, {"name": "GREETING", "value": "hello"}]},
        ),
        patch(
            _container(env=[{"name": "MORE", "value": "1"}]),
            STRATEGIC,
            **_CHANGED,
            holds={f"{_SHOP}/env/0/name": "MORE", f"{_SHOP}/env/2/name": "GREETING"},
        ),
        patch(
            _container(env=[{"name": "LOG_LEVEL", "$patch": "delete"}]),
            STRATEGIC,
            **_CHANGED,
            holds={f"{_SHOP}/env": [{"name": "MORE", "value": "1"}, {"name": "GREETING", "value": "hello"}]},
        ),
        patch(
            _container(
                env=[{"name": "LOG_LEVEL", "value": "warn"}],
                **{"$setElementOrder/env": [{"name": "MORE"}, {"name": "GREETING"}, {"name": "LOG_LEVEL"}]},
            ),
            STRATEGIC,
            **_CHANGED,
            holds={f"{_SHOP}/env/2": {"name": "LOG_LEVEL", "value": "warn"}},
        ),
        patch(
            _container(env=[{"$patch": "replace"}, {"name": "ONLY", "value": "x"}]),
            STRATEGIC,
            **_CHANGED,
            holds={f"{_SHOP}/env": [{"name": "ONLY", "value": "x"}]},
        ),
        patch(_container(env=None), STRATEGIC, **_CHANGED, holds={f"{_SHOP}/env": GONE}),
        events=("MODIFIED",) * 6,
    ),
    row(
        "Deployment",
        "env-null-value",
        patch(
            _container(env=[{"name": "LOG_LEVEL", "value": None}]),
            STRATEGIC,
            **_CHANGED,
            holds={f"{_SHOP}/env/0": {"name": "LOG_LEVEL"}},
        ),
        events=("MODIFIED",),
    ),
    row(
        "Deployment",
        "no-merge-key",
        patch(
            {"spec": {"template": {"spec": {"containers": [{"image": "x"}]}}}},
            STRATEGIC,
            500,
            message=r"map: map\[image:x\] does not contain declared merge key: name",
        ),
    ),
    row(
        "Deployment",
        "ports-and-mounts",
        patch(
            _container(
                ports=[{"containerPort": 9090, "name": "metrics"}], volumeMounts=[{"mountPath": "/data", "name": "tmp"}]
            ),
            STRATEGIC,
            **_CHANGED,
            holds={
                f"{_SHOP}/ports/0/containerPort": 9090,
                f"{_SHOP}/ports/1/containerPort": 8080,
                f"{_SHOP}/volumeMounts/0/mountPath": "/data",
                f"{_SHOP}/volumeMounts/1/mountPath": "/cache",
            },
        ),
        patch(
            _container(ports=[{"containerPort": 8080, "name": "web"}]),
            STRATEGIC,
            **_CHANGED,
            holds={f"{_SHOP}/ports/1": {"containerPort": 8080, "name": "web", "protocol": "TCP"}},
        ),
        events=("MODIFIED", "MODIFIED"),
    ),
    row(
        "Deployment",
        "volumes",
        patch(
            {"spec": {"template": {"spec": {"volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1024Mi"}}]}}}},
            STRATEGIC,
            **_CHANGED,
            holds={f"{_POD}/volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}]},
        ),
        patch(
            {
                "spec": {
                    "template": {
                        "spec": {
                            "volumes": [
                                {
                                    "name": "tmp",
                                    "$retainKeys": ["name", "configMap"],
                                    "configMap": {"name": "shop-config"},
                                }
                            ]
                        }
                    }
                }
            },
            STRATEGIC,
            **_CHANGED,
            holds={f"{_POD}/volumes": [{"name": "tmp", "configMap": {"name": "shop-config", "defaultMode": 420}}]},
        ),
        events=("MODIFIED", "MODIFIED"),
    ),
    row(
        "Deployment",
        "merge-replaces-lists",
        patch(
            _container(image="other:1"),
            MERGE,
            **_CHANGED,
            holds={f"{_SHOP}/image": "other:1", f"{_SHOP}/env": GONE, f"{_SHOP}/resources": {}},
        ),
        events=("MODIFIED",),
    ),
    row(
        "Deployment",
        "quantities",
        patch(
            _limits(memory="129Mi"),
            STRATEGIC,
            **_CHANGED,
            holds={f"{_SHOP}/resources/limits": {"cpu": "500m", "memory": "129Mi"}},
        ),
        patch(_limits(cpu="0.5"), STRATEGIC, **_VOID),
        patch(
            _limits(memory="2048Mi", cpu="2000m"),
            STRATEGIC,
            query={"dryRun": "All"},
            holds={f"{_SHOP}/resources/limits": {"cpu": "2", "memory": "2Gi"}},
        ),
        patch(
            _limits(memory="1e3", cpu="1.5"),
            STRATEGIC,
            query={"dryRun": "All"},
            holds={f"{_SHOP}/resources/limits": {"cpu": "1500m", "memory": "1e3"}},
        ),
        patch(
            _limits(memory="1000000000", cpu="1001m"),
            STRATEGIC,
            query={"dryRun": "All"},
            holds={f"{_SHOP}/resources/limits": {"cpu": "1001m", "memory": "1G"}},
        ),
        events=("MODIFIED",),
    ),
    row(
        "Deployment",
        "strategy",
        patch(
            {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}},
            STRATEGIC,
            **_CHANGED,
            holds={"/spec/strategy": {"type": "Recreate"}},
        ),
        patch(
            {"spec": {"strategy": {"$patch": "replace", "type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}},
            STRATEGIC,
            **_CHANGED,
            holds={
                "/spec/strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "25%"}}
            },
        ),
        events=("MODIFIED", "MODIFIED"),
    ),
    row(
        "Deployment",
        "restart",
        patch(
            {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}},
            STRATEGIC,
            **_CHANGED,
            holds={"/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt": "now"},
        ),
        events=("MODIFIED",),
    ),
    row(
        "Deployment",
        "refusals",
        patch(
            {"spec": {"replicas": -1}},
            status=422,
            reason="Invalid",
            message='Deployment.apps "$name" is invalid: spec.replicas: Invalid value: -1: '
            "must be greater than or equal to 0",
            holds={
                "/details/causes/0/field": "spec.replicas",
                "/details/causes/0/reason": "FieldValueInvalid",
                "/details/kind": "Deployment",
                "/details/group": "apps",
            },
        ),
        patch(
            {
                "spec": {
                    "selector": {"matchLabels": {"more": "yes"}},
                    "template": {"metadata": {"labels": {"more": "yes"}}},
                }
            },
            status=422,
            reason="Invalid",
            message='Deployment.apps "$name" is invalid: spec.selector: Invalid value: .*: field is immutable',
        ),
        patch(
            {"spec": {"template": {"metadata": {"labels": {"app": "other"}}}}},
            status=422,
            reason="Invalid",
            message=r'Deployment.apps "$name" is invalid: spec.template.metadata.labels: Invalid value: .*: '
            r"`selector` does not match template `labels`",
        ),
        get(version="same"),
    ),
    row(
        "Deployment",
        "status",
        patch({"status": {"observedGeneration": 99}}, **_VOID),
        patch(
            {"status": {"conditions": [{"type": "Conformance", "status": "True"}]}, "spec": {"replicas": 7}},
            STRATEGIC,
            path="/status",
            version="new",
            generation=0,
            holds={"/spec/replicas": 0},
        ),
        patch(
            {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "7"}, "labels": {"more": "yes"}}},
            path="/status",
            version="new",
            generation=0,
            holds={
                "/metadata/annotations/deployment.kubernetes.io~1revision": "7",
                "/metadata/labels/more": GONE,
            },
        ),
        events=("MODIFIED",),
    ),
)
