"""A served store for the tests of the sandbox's API server, with the real client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rollproof.clients.kube import Kube
from rollproof_sandbox.api.kubeconfig import write_kubeconfig
from rollproof_sandbox.api.server import ApiServer
from rollproof_sandbox.api.store import Object, Store
from rollproof_sandbox.settings import ApiServer as Settings

DEPLOYMENT: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "shop", "namespace": "shop", "labels": {"app": "shop"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "shop"}},
        "template": {
            "metadata": {"labels": {"app": "shop"}},
            "spec": {"containers": [{"name": "shop", "image": "registry.local/shop:5f1c0de"}]},
        },
    },
}


def pod(name: str, **status: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "shop", "labels": {"app": "shop"}},
        "spec": {
            "nodeName": "sandbox",
            "containers": [{"name": "shop", "image": "shop:1", "ports": [{"containerPort": 8080}]}],
        },
        "status": status,
    }


def configmap(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": data}


@dataclass(frozen=True, slots=True)
class Served:
    """A store, its server, and the client."""

    store: Store
    server: ApiServer
    kube: Kube

    def roll(self, image: str = "registry.local/shop:b7a2e11", manager: str = "argocd-controller") -> None:
        def change(item: Object) -> None:
            item["spec"]["template"]["spec"]["containers"][0]["image"] = image

        self.store.mutate("Deployment", "shop", "shop", change, manager=manager)

    def version(self, kind: str) -> str:
        return str(self.kube.list(kind, "shop")["metadata"]["resourceVersion"])


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    servers: list[ApiServer] = []

    def begin(settings: Settings | None = None, **more: Any) -> Served:
        store = Store()
        for name in ("shop", "argocd"):
            store.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, manager="test")
        store.create(DEPLOYMENT, manager="argocd-controller")
        server = ApiServer(store, settings or Settings(), 0, "token", **more)
        server.start()
        servers.append(server)
        path = tmp_path / f"kubeconfig-{len(servers)}"
        write_kubeconfig(path, url=server.url, token="token")
        return Served(store, server, Kube("sandbox", str(path)))

    yield begin
    for server in servers:
        server.stop()
