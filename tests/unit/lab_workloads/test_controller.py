"""The ingress controller's table and its lag, without a cluster."""

from __future__ import annotations

import importlib.util
import json
from types import ModuleType
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


def ingress(host: str, *paths: str, port: str | int = "http") -> dict[str, Any]:
    service = {"name": "shop", "port": {"number" if isinstance(port, int) else "name": port}}
    routes = [{"path": path, "backend": {"service": service}} for path in paths]
    return {
        "metadata": {"namespace": "team", "name": host},
        "spec": {"rules": [{"host": host, "http": {"paths": routes}}]},
        "status": {"loadBalancer": {}},
    }


def service() -> dict[str, Any]:
    return {"metadata": {"namespace": "team", "name": "shop"}, "spec": {"ports": [{"name": "http", "port": 80}]}}


def piece(name: str, *endpoints: tuple[str, bool], namespace: str = "team") -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "shop"}
    return {
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [{"addresses": [ip], "conditions": {"ready": ready}} for ip, ready in endpoints] or None,
    }


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


def test_a_service_that_selects_nothing_leaves_the_others_alone(controller: ModuleType) -> None:
    nothing = piece("b")
    nothing["metadata"]["labels"] = {"kubernetes.io/service-name": "elsewhere"}
    slices = [nothing, piece("a", ("10.0.0.1", True)), piece("c")]
    assert nothing["endpoints"] is None
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
    delay.put(lambda: "one")
    delay.put(lambda: "two")
    assert delay.take(timeout_s=0) == "one"
    assert delay.take(timeout_s=0) is None


def test_tables_arrive_in_order_and_repetitions_do_not(controller: ModuleType) -> None:
    delay = controller.Delay(lag_s=0)
    for text in ("one", "one", None, "two", "one"):
        delay.put(lambda text=text: text)
    assert [delay.take(timeout_s=0) for _ in range(4)] == ["one", "two", "one", None]


class Api:
    """Keeps what would be written to the API server."""

    def __init__(self) -> None:
        self.written: list[tuple[str, Any]] = []

    def merge(self, path: str, body: Any) -> None:
        self.written.append((path, body))


def test_the_address_is_published_once(controller: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "NODE_IP", "172.17.0.2")
    api, found = Api(), ingress("shop.lab", "/")
    controller.publish(api, found)
    [(path, body)] = api.written
    assert path == "/apis/networking.k8s.io/v1/namespaces/team/ingresses/shop.lab/status"
    found |= body
    controller.publish(api, found)
    assert len(api.written) == 1


class OneList:
    """An API server that gives one list and one event, then breaks."""

    def __init__(self, listed: list[Any], event: tuple[str, Any]) -> None:
        self.listed, self.event, self.asked = listed, event, 0

    def get(self, _path: str) -> Any:
        self.asked += 1
        if self.asked > 1:
            raise SystemExit  # ends `follow`, which otherwise never ends
        return {"items": self.listed, "metadata": {"resourceVersion": "7"}}

    def watch(self, _path: str, version: str) -> Any:
        assert version == "7"
        yield self.event
        raise OSError("410 Gone")


def test_a_watch_that_breaks_is_begun_again(controller: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "RETRY_S", 0)
    made = table(controller, ingress=[ingress("shop.lab", "/")], service=[service()])
    api = OneList([piece("a", ("10.0.0.1", True))], ("ADDED", piece("b", ("10.0.0.2", True))))
    seen: list[Any] = []
    with pytest.raises(SystemExit):
        controller.follow("slice", api, seen.append, made, controller.Delay(0))
    assert peers(made) == [["10.0.0.1", 8080], ["10.0.0.2", 8080]]
    assert len(seen) == 2
