"""The ingress controller's table and its lag, without a cluster."""

from __future__ import annotations

import importlib.util
import json
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from lab import settings


@pytest.fixture(scope="module")
def controller() -> ModuleType:
    """The controller is a program of the ingress image, not a module of the lab: load it from its file."""
    spec = importlib.util.spec_from_file_location(
        "lab_ingress_controller", settings.SOURCES / "ingress" / "controller.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def named(namespace: str, name: str, **labels: str) -> SimpleNamespace:
    return SimpleNamespace(namespace=namespace, name=name, labels={k.replace("_", "/"): v for k, v in labels.items()})


def ingress(host: str, *paths: str, port: str | int = "http") -> SimpleNamespace:
    service_port = SimpleNamespace(
        number=port if isinstance(port, int) else None, name=port if isinstance(port, str) else None
    )
    routes = [
        SimpleNamespace(path=p, backend=SimpleNamespace(service=SimpleNamespace(name="shop", port=service_port)))
        for p in paths
    ]
    return SimpleNamespace(
        metadata=named("team", host),
        spec=SimpleNamespace(rules=[SimpleNamespace(host=host, http=SimpleNamespace(paths=routes))]),
    )


def service() -> SimpleNamespace:
    return SimpleNamespace(
        metadata=named("team", "shop"), spec=SimpleNamespace(ports=[SimpleNamespace(name="http", port=80)])
    )


def piece(name: str, *endpoints: tuple[str, bool], namespace: str = "team") -> SimpleNamespace:
    metadata = SimpleNamespace(namespace=namespace, name=name, labels={"kubernetes.io/service-name": "shop"})
    found = [SimpleNamespace(addresses=[ip], conditions=SimpleNamespace(ready=ready)) for ip, ready in endpoints]
    return SimpleNamespace(metadata=metadata, ports=[SimpleNamespace(name="http", port=8080)], endpoints=found)


def table(controller: ModuleType, **objects: list[Any]) -> Any:
    made = controller.Table()
    for kind in ("ingress", "slice", "service"):
        made.replace(kind, objects.get(kind, []))
    return made


def peers(made: Any, host: str = "shop.lab") -> list[Any]:
    [route] = json.loads(made.text())[host]
    return list(route["peers"])


def test_nothing_is_handed_over_before_all_kinds_were_listed(controller: ModuleType) -> None:
    made = controller.Table()
    made.replace("ingress", [ingress("shop.lab", "/")])
    made.replace("slice", [])
    assert made.text() is None
    made.replace("service", [])
    assert made.text() is not None


def test_only_ready_pods_of_this_service_and_namespace_get_requests(controller: ModuleType) -> None:
    slices = [piece("a", ("10.0.0.1", True), ("10.0.0.2", False)), piece("b", ("10.0.0.9", True), namespace="other")]
    made = table(controller, ingress=[ingress("shop.lab", "/")], slice=slices, service=[service()])
    assert peers(made) == [["10.0.0.1", 8080]]


def test_a_port_may_be_named_or_numbered(controller: ModuleType) -> None:
    slices = [piece("a", ("10.0.0.1", True))]
    made = table(controller, ingress=[ingress("shop.lab", "/", port=80)], slice=slices, service=[service()])
    assert peers(made) == [["10.0.0.1", 8080]]
    wrong = table(controller, ingress=[ingress("shop.lab", "/", port=81)], slice=slices, service=[service()])
    assert peers(wrong) == []


def test_a_deleted_service_leaves_its_host_without_pods(controller: ModuleType) -> None:
    made = table(
        controller, ingress=[ingress("shop.lab", "/")], slice=[piece("a", ("10.0.0.1", True))], service=[service()]
    )
    made.note("service", "DELETED", service())
    assert peers(made) == []


def test_the_longest_path_comes_first(controller: ModuleType) -> None:
    made = table(controller, ingress=[ingress("shop.lab", "/", "/api/v1", "/api")], service=[service()])
    assert [route["path"] for route in json.loads(made.text())["shop.lab"]] == ["/api/v1", "/api", "/"]


def test_the_first_table_comes_at_once_and_later_ones_wait_for_the_lag(controller: ModuleType) -> None:
    delay = controller.Delay(lag_s=3600)
    delay.put("one")
    delay.put("two")
    assert delay.take(timeout_s=0) == "one"
    assert delay.take(timeout_s=0) is None


def test_tables_arrive_in_order_and_repetitions_do_not(controller: ModuleType) -> None:
    delay = controller.Delay(lag_s=0)
    for text in ("one", "one", None, "two", "one"):
        delay.put(text)
    assert [delay.take(timeout_s=0) for _ in range(4)] == ["one", "two", "one", None]


class Network:
    """Keeps what would be written to the API server."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str, Any]] = []

    def patch_namespaced_ingress_status(self, name: str, namespace: str, body: Any) -> None:
        self.written.append((name, namespace, body))


def test_the_address_is_published_once(controller: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "NODE_IP", "172.17.0.2")
    network = Network()
    found = ingress("shop.lab", "/")
    found.status = SimpleNamespace(load_balancer=SimpleNamespace(ingress=None))
    controller.publish(network, found)
    assert network.written == [("shop.lab", "team", {"status": {"loadBalancer": {"ingress": [{"ip": "172.17.0.2"}]}}})]
    found.status.load_balancer.ingress = [SimpleNamespace(ip="172.17.0.2")]
    controller.publish(network, found)
    assert len(network.written) == 1
