"""Rows about metadata.managedFields of a Deployment: owners after a creation, and after another manager's patch."""

from __future__ import annotations

from typing import Any

from tests.conformance.listing import STRATEGIC, patch, post, row, seed_of


def _container(**fields: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "shop", **fields}]}}}}


_CHANGED: dict[str, Any] = {"version": "new", "generation": 1}

MANAGERS = (
    row(
        "Deployment",
        "managers",
        patch(
            _container(image="registry.local/shop:b7a2e11"),
            STRATEGIC,
            manager="argocd-controller",
            **_CHANGED,
            owned={
                "argocd-controller": {
                    "f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"shop"}': {"f:image": {}}}}}}
                }
            },
        ),
        patch(
            _container(image="registry.local/shop:c93d4f0", env=[{"name": "MORE", "value": "x"}]),
            STRATEGIC,
            manager="other",
            **_CHANGED,
            owned={
                "argocd-controller": None,
                "other": {
                    "f:spec": {
                        "f:template": {
                            "f:spec": {
                                "f:containers": {
                                    'k:{"name":"shop"}': {
                                        "f:image": {},
                                        "f:env": {'k:{"name":"MORE"}': {".": {}, "f:name": {}, "f:value": {}}},
                                    }
                                }
                            }
                        }
                    }
                },
            },
        ),
        events=("MODIFIED", "MODIFIED"),
    ),
    row(
        "Deployment",
        "fields",
        post(
            seed_of("Deployment", "$name", {}),
            manager="argocd-controller",
            owned={
                "argocd-controller": {
                    "f:metadata": {"f:labels": {".": {}, "f:app": {}, "f:row": {}}},
                    "f:spec": {
                        "f:paused": {},
                        "f:progressDeadlineSeconds": {},
                        "f:replicas": {},
                        "f:revisionHistoryLimit": {},
                        "f:selector": {},
                        "f:strategy": {
                            "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
                            "f:type": {},
                        },
                        "f:template": {
                            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
                            "f:spec": {
                                "f:automountServiceAccountToken": {},
                                "f:containers": {
                                    'k:{"name":"shop"}': {
                                        ".": {},
                                        "f:env": {
                                            ".": {},
                                            'k:{"name":"GREETING"}': {".": {}, "f:name": {}, "f:value": {}},
                                            'k:{"name":"LOG_LEVEL"}': {".": {}, "f:name": {}, "f:value": {}},
                                        },
                                        "f:image": {},
                                        "f:imagePullPolicy": {},
                                        "f:name": {},
                                        "f:ports": {
                                            ".": {},
                                            'k:{"containerPort":8080,"protocol":"TCP"}': {
                                                ".": {},
                                                "f:containerPort": {},
                                                "f:name": {},
                                                "f:protocol": {},
                                            },
                                        },
                                        "f:resources": {".": {}, "f:limits": {".": {}, "f:cpu": {}, "f:memory": {}}},
                                        "f:terminationMessagePath": {},
                                        "f:terminationMessagePolicy": {},
                                        "f:volumeMounts": {
                                            ".": {},
                                            'k:{"mountPath":"/cache"}': {".": {}, "f:mountPath": {}, "f:name": {}},
                                        },
                                    }
                                },
                                "f:dnsPolicy": {},
                                "f:restartPolicy": {},
                                "f:schedulerName": {},
                                "f:securityContext": {},
                                "f:terminationGracePeriodSeconds": {},
                                "f:volumes": {".": {}, 'k:{"name":"tmp"}': {".": {}, "f:emptyDir": {}, "f:name": {}}},
                            },
                        },
                    },
                }
            },
        ),
        events=("ADDED",),
        seeded=False,
    ),
)
