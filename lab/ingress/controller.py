"""Watches Ingress, Service and EndpointSlice objects and hands nginx the routing table through a local socket.

Every change reaches nginx LAG_S seconds after it was seen, as in real controllers (ingress-nginx up to 4.4 s, Traefik
2 s): an ingress that follows at once hides apps that stop too early. Must never reload nginx.
"""

from __future__ import annotations

import collections
import http
import http.client
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from kubernetes import client, config, watch

SOCKET = "/run/ingress/control.sock"
NODE_IP = os.environ.get("NODE_IP", "")
WATCH_S = 300
RETRY_S = 0.2
CHECK_S = 1.0


class Table:
    """What the API server said last, by kind, and the routing table that follows from it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, dict[tuple[str, str], Any]] = {"ingress": {}, "slice": {}, "service": {}}
        self._listed: set[str] = set()

    def replace(self, kind: str, objects: list[Any]) -> None:
        """What a fresh list says takes the place of all that was known of this kind."""
        with self._lock:
            self._objects[kind] = {(o.metadata.namespace, o.metadata.name): o for o in objects}
            self._listed.add(kind)

    def note(self, kind: str, event: str, found: Any) -> None:
        """Take in one watch event."""
        with self._lock:
            key = (found.metadata.namespace, found.metadata.name)
            if event == "DELETED":
                self._objects[kind].pop(key, None)
            else:
                self._objects[kind][key] = found

    def text(self) -> str | None:
        """The table as JSON, or nothing until all three kinds were listed: half a table would answer 404."""
        with self._lock:
            if len(self._listed) < len(self._objects):
                return None
            hosts: dict[str, list[dict[str, Any]]] = {}
            for (namespace, _), ingress in self._objects["ingress"].items():
                for rule in ingress.spec.rules or []:
                    routes = hosts.setdefault(rule.host or "*", [])
                    routes.extend(self._routes(namespace, rule.http.paths if rule.http else []))
            for routes in hosts.values():
                routes.sort(key=lambda route: -len(route["path"]))
            return json.dumps(hosts, sort_keys=True)

    def _routes(self, namespace: str, paths: list[Any]) -> list[dict[str, Any]]:
        found = []
        for path in paths:
            service = path.backend.service
            port = service.port.number or service.port.name
            found.append(
                {
                    "path": path.path or "/",
                    "service": f"{namespace}/{service.name}",
                    "peers": self._peers(namespace, service.name, port),
                }
            )
        return found

    def _peers(self, namespace: str, service: str, port: int | str) -> list[list[Any]]:
        known = self._objects["service"].get((namespace, service))
        names = {p.name or "" for p in (known.spec.ports if known else []) if port in (p.port, p.name)}
        peers = set()
        for (where, _), piece in self._objects["slice"].items():
            if where != namespace or (piece.metadata.labels or {}).get("kubernetes.io/service-name") != service:
                continue
            for p in piece.ports or []:
                if (p.name or "") in names:
                    peers |= {(e.addresses[0], p.port) for e in piece.endpoints or [] if e.conditions.ready}
        return sorted([list(peer) for peer in peers])


class Delay:
    """Tables on their way to nginx, each with the moment at which it may arrive."""

    def __init__(self, lag_s: float) -> None:
        self._lag_s = lag_s
        self._waiting: collections.deque[tuple[float, str]] = collections.deque()
        self._ready = threading.Condition()
        self._last: str | None = None

    def put(self, text: str | None) -> None:
        """Send a table on its way, unless it says what the one before it says."""
        with self._ready:
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


def publish(network: Any, found: Any) -> None:
    """Write where the Ingress is served into its status: until it says so, Argo CD holds it for not yet healthy."""
    served = [each.ip for each in (found.status.load_balancer.ingress or [])]
    if served != [NODE_IP]:
        body = {"status": {"loadBalancer": {"ingress": [{"ip": NODE_IP}]}}}
        network.patch_namespaced_ingress_status(found.metadata.name, found.metadata.namespace, body)


def follow(kind: str, lister: Callable[..., Any], seen: Callable[[Any], None], table: Table, delay: Delay) -> None:
    """Keep the table in line with one kind of object, for ever; ``seen`` is told of every object that is there."""
    while True:
        try:
            listed = lister()
            table.replace(kind, listed.items)
            delay.put(table.text())
            for found in listed.items:
                seen(found)
            events = watch.Watch()  # type: ignore[no-untyped-call]
            options = {"resource_version": listed.metadata.resource_version, "timeout_seconds": WATCH_S}
            for event in events.stream(lister, **options):  # type: ignore[no-untyped-call]
                table.note(kind, event["type"], event["object"])
                delay.put(table.text())
                if event["type"] != "DELETED":
                    seen(event["object"])
        except Exception as error:  # noqa: BLE001 - a broken watch is routine: list again
            print(f"watch {kind}: {error}", flush=True)
            time.sleep(RETRY_S)


def main() -> None:
    """Watch in threads, serve nginx in this one."""
    # As PID 1 this process gets no signal that it does not ask for, and the pod would stay for its whole grace period.
    for name in (signal.SIGTERM, signal.SIGQUIT):
        signal.signal(name, lambda number, _: sys.exit(128 + number))
    config.load_incluster_config()  # type: ignore[no-untyped-call]
    table, delay = Table(), Delay(float(os.environ["LAG_S"]))
    network = client.NetworkingV1Api()
    watched: dict[str, tuple[Callable[..., Any], Callable[[Any], None]]] = {
        "ingress": (network.list_ingress_for_all_namespaces, lambda found: publish(network, found)),
        "slice": (client.DiscoveryV1Api().list_endpoint_slice_for_all_namespaces, lambda _: None),
        "service": (client.CoreV1Api().list_service_for_all_namespaces, lambda _: None),
    }
    for kind, (lister, seen) in watched.items():
        threading.Thread(target=follow, args=(kind, lister, seen, table, delay), daemon=True).start()
    serve(delay)


if __name__ == "__main__":
    main()
