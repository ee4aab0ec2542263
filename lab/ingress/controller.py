"""Watches Ingress, Service and EndpointSlice objects and hands nginx the routing table through a local socket.

Every change reaches nginx LAG_S seconds after it was seen, as in real controllers (ingress-nginx up to 4.4 s, Traefik
2 s): an ingress that follows at once hides apps that stop too early. Must never reload nginx. Speaks plain JSON to the
API server: a typed client refuses a whole list when one object in it is unusual (a Service without pods, say).
"""

from __future__ import annotations

import collections
import http
import http.client
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
SOCKET = "/run/ingress/control.sock"
NODE_IP = os.environ.get("NODE_IP", "")
WATCH_S = 300
QUIET_S = 120  # bookmarks come about every minute: a longer silence means that the connection is dead
RETRY_S = 0.2
CHECK_S = 1.0

PATHS = {
    "ingress": "/apis/networking.k8s.io/v1/ingresses",
    "slice": "/apis/discovery.k8s.io/v1/endpointslices",
    "service": "/api/v1/services",
}


class Api:
    """The API server, seen from inside a pod."""

    def get(self, path: str) -> Any:
        """One object or list."""
        with self._ask("GET", path) as answer:
            return json.load(answer)

    def merge(self, path: str, body: Any) -> None:
        """One merge patch."""
        self._ask("PATCH", path, json.dumps(body)).close()

    def watch(self, path: str, version: str) -> Iterator[tuple[str, Any]]:
        """Events after ``version``, until the server ends the watch or the connection breaks."""
        options = f"watch=1&allowWatchBookmarks=true&timeoutSeconds={WATCH_S}&resourceVersion={version}"
        with self._ask("GET", f"{path}?{options}") as answer:
            for line in answer:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise OSError(f"{event['object'].get('reason')}: {event['object'].get('message')}")
                if event["type"] != "BOOKMARK":
                    yield event["type"], event["object"]

    def _ask(self, method: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])
        context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
        connection = http.client.HTTPSConnection(host, port, timeout=QUIET_S, context=context)
        # Read each time: the kubelet renews the token.
        token = (ACCOUNT / "token").read_text(encoding="utf-8").strip()
        headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json"
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        if answer.status != http.HTTPStatus.OK:
            raise OSError(f"{method} {path} gave {answer.status}: {answer.read(300).decode(errors='replace')}")
        return answer


def identity(found: Any) -> tuple[str, str]:
    """Namespace and name."""
    return found["metadata"]["namespace"], found["metadata"]["name"]


class Table:
    """What the API server said last, by kind, and the routing table that follows from it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, dict[tuple[str, str], Any]] = {kind: {} for kind in PATHS}
        self._listed: set[str] = set()

    def replace(self, kind: str, objects: list[Any]) -> None:
        """What a fresh list says takes the place of all that was known of this kind."""
        with self._lock:
            self._objects[kind] = {identity(found): found for found in objects}
            self._listed.add(kind)

    def note(self, kind: str, event: str, found: Any) -> None:
        """Take in one watch event."""
        with self._lock:
            if event == "DELETED":
                self._objects[kind].pop(identity(found), None)
            else:
                self._objects[kind][identity(found)] = found

    def text(self) -> str | None:
        """The table as JSON, or nothing until all three kinds were listed: half a table would answer 404."""
        with self._lock:
            if len(self._listed) < len(self._objects):
                return None
            hosts: dict[str, list[dict[str, Any]]] = {}
            for (namespace, _), ingress in self._objects["ingress"].items():
                for rule in ingress["spec"].get("rules") or []:
                    routes = hosts.setdefault(rule.get("host") or "*", [])
                    routes.extend(self._routes(namespace, (rule.get("http") or {}).get("paths") or []))
            for routes in hosts.values():
                routes.sort(key=lambda route: -len(route["path"]))
            return json.dumps(hosts, sort_keys=True)

    def _routes(self, namespace: str, paths: list[Any]) -> list[dict[str, Any]]:
        found = []
        for path in paths:
            service = path["backend"]["service"]
            port = service["port"].get("number") or service["port"].get("name")
            found.append(
                {
                    "path": path.get("path") or "/",
                    "service": f"{namespace}/{service['name']}",
                    "peers": self._peers(namespace, service["name"], port),
                }
            )
        return found

    def _peers(self, namespace: str, service: str, port: int | str) -> list[list[Any]]:
        known = self._objects["service"].get((namespace, service), {"spec": {}})
        ports = known["spec"].get("ports") or []
        names = {p.get("name") or "" for p in ports if port in (p["port"], p.get("name"))}
        peers = set()
        for (where, _), piece in self._objects["slice"].items():
            labels = piece["metadata"].get("labels") or {}
            if where != namespace or labels.get("kubernetes.io/service-name") != service:
                continue
            # A slice of a Service that selects nothing has `endpoints: null`.
            ready = [e for e in piece.get("endpoints") or [] if (e.get("conditions") or {}).get("ready", True)]
            for p in piece.get("ports") or []:
                if (p.get("name") or "") in names:
                    peers |= {(e["addresses"][0], p["port"]) for e in ready}
        return sorted([list(peer) for peer in peers])


class Delay:
    """Tables on their way to nginx, each with the moment at which it may arrive."""

    def __init__(self, lag_s: float) -> None:
        self._lag_s = lag_s
        self._waiting: collections.deque[tuple[float, str]] = collections.deque()
        self._ready = threading.Condition()
        self._last: str | None = None

    def put(self, newest: Callable[[], str | None]) -> None:
        """Send the newest table on its way, unless it says what the one before it says.

        It is asked for while nobody else can put one: else an older table could overtake a newer one.
        """
        with self._ready:
            text = newest()
            if text is None or text == self._last:
                return
            # The very first table arrives at once: a fresh ingress has nothing old to go on serving.
            wait_s = 0.0 if self._last is None else self._lag_s
            self._last = text
            self._waiting.append((time.monotonic() + wait_s, text))
            self._ready.notify()

    def take(self, timeout_s: float) -> str | None:
        """The next table when it is due, or nothing when none is due within ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        with self._ready:
            while True:
                now = time.monotonic()
                due = self._waiting[0][0] if self._waiting else deadline
                if self._waiting and due <= now:
                    return self._waiting.popleft()[1]
                if now >= deadline:
                    return None
                self._ready.wait(min(due, deadline) - now)


class LocalConnection(http.client.HTTPConnection):
    """HTTP over nginx's control socket."""

    def connect(self) -> None:
        """Open the socket instead of a TCP connection."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)


def ask(method: str, text: str | None = None) -> str | None:
    """One request to nginx; nothing when it cannot answer now."""
    connection = LocalConnection("local", timeout=5)
    try:
        connection.request(method, "/routes", text)
        answer = connection.getresponse()
        body = answer.read().decode().strip()
        if answer.status == http.HTTPStatus.OK:
            return body
        print(f"nginx answered {answer.status} {body}", flush=True)
    except (OSError, http.client.HTTPException) as error:
        print(f"nginx: {error}", flush=True)
    finally:
        connection.close()
    return None


def serve(delay: Delay) -> None:
    """Hand over each table when it is due, and the newest again when nginx has lost it."""
    newest = None
    while True:
        text = delay.take(timeout_s=CHECK_S)
        newest = text or newest
        if newest is None or (text is None and ask("GET") == "set"):
            continue
        while ask("PUT", newest) is None:
            time.sleep(RETRY_S)
        print(f"{time.time():.3f} {newest}", flush=True)


def publish(api: Api, found: Any) -> None:
    """Write where the Ingress is served into its status: until it says so, Argo CD holds it for not yet healthy."""
    wanted = [{"ip": NODE_IP}]
    if (found.get("status", {}).get("loadBalancer") or {}).get("ingress") != wanted:
        namespace, name = identity(found)
        path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses/{name}/status"
        api.merge(path, {"status": {"loadBalancer": {"ingress": wanted}}})


def follow(kind: str, api: Api, seen: Callable[[Any], None], table: Table, delay: Delay) -> None:
    """Keep the table in line with one kind of object, for ever; ``seen`` is told of every object that is there."""
    while True:
        try:
            listed = api.get(PATHS[kind])
            table.replace(kind, listed["items"])
            delay.put(table.text)
            for found in listed["items"]:
                seen(found)
            for event, found in api.watch(PATHS[kind], listed["metadata"]["resourceVersion"]):
                table.note(kind, event, found)
                delay.put(table.text)
                if event != "DELETED":
                    seen(found)
        except Exception as error:  # noqa: BLE001 - a broken watch is routine: list again
            print(f"watch {kind}: {type(error).__name__}: {error}", flush=True)
            time.sleep(RETRY_S)


def main() -> None:
    """Watch in threads, serve nginx in this one."""
    # As PID 1 this process gets no signal that it does not ask for, and the pod would stay for its whole grace period.
    for name in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(name, lambda number, _: sys.exit(128 + number))
    api, table, delay = Api(), Table(), Delay(float(os.environ["LAG_S"]))
    for kind in PATHS:
        seen: Callable[[Any], None] = (lambda found: publish(api, found)) if kind == "ingress" else (lambda _: None)
        threading.Thread(target=follow, args=(kind, api, seen, table, delay), daemon=True).start()
    serve(delay)


if __name__ == "__main__":
    main()
