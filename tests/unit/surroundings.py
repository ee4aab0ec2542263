"""An app at rest on a small API server: two pods behind a Service. What is around it, each test adds."""

from __future__ import annotations

from typing import Any

from fakeapi import FakeApi

__all__ = ["AppCluster", "Object", "controlled", "pod_of"]

Object = dict[str, Any]


def controlled(kind: str, name: str) -> list[Object]:
    return [{"kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}]


def pod_of(
    name: str, *, namespace: str, labels: dict[str, str], owner: list[Object], ready: bool = True, uid: str = "",
    ip: str = "10.0.0.9", ready_since: str = "2026-01-01T00:00:00Z", **metadata: Any,
) -> Object:  # fmt: skip
    return {
        "metadata": {
            "name": name, "namespace": namespace, "uid": uid or f"uid-{name}", "labels": labels,
            "ownerReferences": owner, **metadata,
        },
        "spec": {"containers": [{"name": "web", "image": "ghcr.io/shop/web:aaaaaaa"}]},
        "status": {
            "phase": "Running", "podIP": ip,
            "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": ready_since}],
        },
    }  # fmt: skip


class AppCluster(FakeApi):
    """The app: web-1 and web-2, both ready and in the Service."""

    def __init__(self) -> None:
        super().__init__()
        metadata = {"namespace": "shop"}
        labels, ips = {"app": "web"}, {"web-1": "10.0.0.1", "web-2": "10.0.0.2"}
        for name, ip in ips.items():
            owner = controlled("ReplicaSet", "web-h1")
            self.put("pods", pod_of(name, namespace="shop", labels=labels, owner=owner, ip=ip))
        template = {"spec": self.objects["pods", "web-1"]["spec"]}
        spec = {"replicas": 2, "selector": {"matchLabels": labels}, "template": template}
        self.put("deployments", {"metadata": {"name": "web", "uid": "uid-web", **metadata}, "spec": spec, "status": {}})
        self.put("services", {"metadata": {"name": "web", **metadata}, "spec": {"selector": labels}})
        owners = {"uid": "uid-web-h1", "labels": labels, "ownerReferences": controlled("Deployment", "web")}
        self.put("replicasets", {"metadata": {"name": "web-h1", **metadata, **owners}, "spec": {}, "status": {}})
        self.put("applications", {"metadata": {"name": "shop"}, "spec": {}, "status": {}})
        endpoints = [{"addresses": [ip], "conditions": {"ready": True}} for ip in ips.values()]
        service = {"name": "web-x", "labels": {"kubernetes.io/service-name": "web"}}
        self.put("endpointslices", {"metadata": service, "endpoints": endpoints})
