"""What the conformance list cannot ask of a real server: pods that answer, logs, forced bookmarks, its own end."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rollproof.clients.kube import ApiError, UnreachableError
from rollproof_sandbox.api.server import ApiServer
from rollproof_sandbox.api.store import Store
from rollproof_sandbox.settings import ApiServer as Settings
from tests.sandbox.api.conftest import Served, configmap, pod

Serve = Callable[..., Served]


class _Pod(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = f'{{"path": "{self.path}"}}'.encode()
        self.send_response(503 if "ready" in self.path else 200)
        self.send_header("X-App-Version", "5f1c0de")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def pod_port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), _Pod)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_a_pod_is_asked_through_the_proxy(serve: Serve, pod_port: int) -> None:
    served = serve()
    served.store.create(pod("shop-1", podIP="127.0.0.1"), manager="kubelet")
    ask = served.kube.pod_proxy
    assert ask("shop", "shop-1", pod_port, "/health?a=b", timeout_s=60) == (200, b'{"path": "/health?a=b"}')
    assert ask("shop", "shop-1", pod_port, "/ready", timeout_s=60)[0] == 503, "the pod's own answer, not an error"


def test_a_pod_that_does_not_listen_is_a_refusal_of_the_api_server(serve: Serve) -> None:
    served = serve()
    served.store.create(pod("shop-1", podIP="127.0.0.1"), manager="kubelet")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ApiError, match="error trying to reach service") as caught:
        served.kube.pod_proxy("shop", "shop-1", port, "/", timeout_s=60)
    assert (caught.value.status, caught.value.reason) == (503, "ServiceUnavailable")


def test_a_log_comes_from_who_knows_it(serve: Serve) -> None:
    asked: list[tuple[str, str, str, int]] = []

    def log_of(namespace: str, name: str, container: str, since_s: int) -> str:
        asked.append((namespace, name, container, since_s))
        return "one\ntwo\n"

    served = serve(log_of=log_of)
    served.store.create(pod("shop-1"), manager="kubelet")
    assert served.kube.pod_log("shop", "shop-1", "shop", since_s=60) == "one\ntwo\n"
    assert asked == [("shop", "shop-1", "shop", 60)]


def test_a_log_is_followed_until_its_pod_is_gone(serve: Serve) -> None:
    lines = ["one\n", "two\n"]
    served = serve(log_of=lambda *_: "".join(lines))
    made = served.store.create(pod("shop-1"), manager="kubelet")
    stream = iter(served.kube.follow_log("shop", "shop-1", "shop", since_s=60, silence_s=60))
    assert [next(stream), next(stream)] == [b"one", b"two"]
    lines.append("three\n")
    assert next(stream) == b"three"
    served.store.delete("Pod", "shop", "shop-1", uid=made["metadata"]["uid"], grace_s=0, manager="kubelet")
    assert list(stream) == []


def test_a_log_that_is_followed_can_be_left(serve: Serve) -> None:
    served = serve(log_of=lambda *_: "one\n")
    served.store.create(pod("shop-1"), manager="kubelet")
    stream = served.kube.follow_log("shop", "shop-1", "shop", since_s=60, silence_s=60)
    said = iter(stream)
    assert next(said) == b"one"
    stream.close()
    assert list(said) == []


def test_a_bookmark_can_be_forced(serve: Serve) -> None:
    served = serve()
    stream = served.kube.watch("Pod", "shop", resource_version=served.version("Pod"))
    made = served.store.create(configmap("unwatched"), manager="test")
    served.server.bookmark()
    kind, item = next(iter(stream))
    assert (kind, item["metadata"]["resourceVersion"]) == ("BOOKMARK", made["metadata"]["resourceVersion"])
    stream.close()


def test_many_watchers_hear_everything_once_and_in_order(serve: Serve) -> None:
    served = serve()
    since = served.version("ConfigMap")
    heard: dict[int, list[str]] = {}

    def read(number: int) -> None:
        found = heard[number] = []
        stream = served.kube.watch("ConfigMap", "shop", resource_version=since)
        for _, item in stream:
            found.append(item["metadata"]["resourceVersion"])
            if item["metadata"]["name"] == "end":
                stream.close()
                return

    def write(number: int) -> None:
        for count in range(20):
            served.store.create(configmap(f"map-{number}-{count}"), manager="test")

    threads = [threading.Thread(target=read, args=(number,)) for number in range(5)]
    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in (*threads, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    end = served.store.create(configmap("end"), manager="test")
    for thread in threads:
        thread.join(timeout=60)
    wanted = [item["metadata"]["resourceVersion"] for item in served.store.list("ConfigMap")]
    assert end["metadata"]["resourceVersion"] in wanted
    assert all(found == sorted(wanted, key=int) for found in heard.values())


def test_a_taken_port_is_an_error_of_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = ApiServer(Store(), Settings(), taken.getsockname()[1], "token")
        with pytest.raises(OSError, match="in use"):
            server.start()


def test_a_bug_of_the_sandbox_is_an_answer_and_a_failure(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[BaseException] = []
    served = serve(failed=failed.append)
    monkeypatch.setattr(served.store, "get", lambda *_: 1 / 0)
    with pytest.raises(ApiError, match="Internal error") as caught:
        served.kube.get("Pod", "shop", "x")
    assert caught.value.status == 500
    assert [type(error) for error in failed] == [ZeroDivisionError]


def test_nothing_is_left_after_the_stop(serve: Serve) -> None:
    before = {thread.name for thread in threading.enumerate()}
    served = serve()
    stream = served.kube.watch("Pod", "shop", resource_version=served.version("Pod"))
    served.server.stop()
    with contextlib.suppress(UnreachableError):  # cut off, or in the middle of nothing: both are an end
        list(stream)
    ours = [one for one in threading.enumerate() if one.name.startswith("api-") and one.name not in before]
    for thread in ours:
        thread.join(timeout=60)
    assert not [one for one in ours if one.is_alive()]


def test_an_eviction_is_a_deletion_that_a_budget_may_forbid(serve: Serve) -> None:
    served = serve()
    made = served.store.create(pod("shop-1", phase="Running"), manager="kubelet")
    served.store.mutate("Pod", "shop", "shop-1", lambda item: item["status"].update(phase="Running"), manager="kubelet")
    uid, evict = made["metadata"]["uid"], served.kube.evict
    evict("shop", "shop-1", uid=uid, dry_run=True)
    assert "deletionTimestamp" not in served.kube.get("Pod", "shop", "shop-1")["metadata"]
    with pytest.raises(ApiError) as caught:
        evict("shop", "shop-1", uid="another")
    assert caught.value.status == 409
    for number, status in ((1, 429), (2, 500)):
        spec = {"minAvailable": 2, "selector": {"matchLabels": {"app": "shop"}}}
        metadata = {"name": f"budget-{number}", "namespace": "shop"}
        budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec}
        served.store.create(budget, manager="test")
        with pytest.raises(ApiError) as caught:
            evict("shop", "shop-1", uid=uid, dry_run=True)
        assert caught.value.status == status
    for number in (1, 2):
        served.store.delete("PodDisruptionBudget", "shop", f"budget-{number}")
    evict("shop", "shop-1", uid=uid)
    assert served.kube.get("Pod", "shop", "shop-1")["metadata"]["deletionGracePeriodSeconds"] == 30
    with pytest.raises(ApiError) as caught:
        evict("shop", "nobody", uid=uid)
    assert caught.value.status == 404


def test_a_pod_is_deleted_with_the_grace_period_that_was_asked_for(serve: Serve) -> None:
    served = serve()
    served.store.create(pod("shop-1", phase="Running"), manager="kubelet")
    served.kube.delete("Pod", "shop", "shop-1", grace_s=1)
    assert served.kube.get("Pod", "shop", "shop-1")["metadata"]["deletionGracePeriodSeconds"] == 1


def test_exec_is_not_there(serve: Serve) -> None:
    served = serve()
    served.store.create(pod("shop-1", phase="Running"), manager="kubelet")
    with pytest.raises(ApiError) as caught:
        served.kube.request("GET", "/api/v1/namespaces/shop/pods/shop-1/exec", query={"command": "true"})
    assert caught.value.status == 404
