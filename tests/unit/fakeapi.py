"""FakeApi: an API server as small as the tests need, over real HTTP, so that the real client and its watches run.

It keeps objects, hands out resourceVersions, streams watch events, and misbehaves when told to.
"""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from served import served

Object = dict[str, Any]


class FakeApi:
    """State and misbehaviour. `asked` is every request as (method, path, query)."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.version = 100
        self.objects: dict[tuple[str, str], Object] = {}  # (plural, name)
        self.log: list[tuple[int, str, str, Object]] = []  # (version, plural, type, object)
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.next_answers: list[tuple[str, int, Object | str]] = []  # (part of the path, status, body), used up
        self.refusing: dict[str, int] = {}  # part of the path -> status, for as long as it is here
        self.refused = 0
        self.hang_ups: dict[str, int] = {}  # part of the path -> so many requests get no answer at all
        self.ended: dict[str, int] = {}  # plural -> how often its watches were ended
        self.abruptly = False
        self.compacted: dict[str, int] = {}  # plural -> versions below this are gone
        self.tokens: list[str] = []
        self.on_patch: Callable[[str, Object], None] = lambda _plural, _item: None  # plays the controllers
        self.on_create: Callable[[str, Object], None] = lambda _plural, _item: None  # the same
        self.proxied: Callable[[str, str], tuple[int, str]] = lambda _pod, _path: (404, "")
        self.evicted: Callable[[str], None] = lambda _pod: None  # what an eviction begins
        self.sent: list[tuple[str, str, Object]] = []  # method, path and body of what asks for a change
        self.watching = 0

    def told(self, method: str, path: str, body: Object) -> None:
        """Something is asked for that is no question."""
        self.sent.append((method, path, body))

    def put(self, plural: str, item: Object) -> Object:
        with self.changed:
            name = item["metadata"]["name"]
            old = self.objects.get((plural, name))
            self.version += 1
            item = copy.deepcopy(item)
            item["metadata"]["resourceVersion"] = str(self.version)
            item["metadata"].setdefault("uid", old["metadata"]["uid"] if old else f"uid-{self.version}")
            self.objects[plural, name] = item
            self.log.append((self.version, plural, "MODIFIED" if old else "ADDED", item))
            self.changed.notify_all()
            return item

    def remove(self, plural: str, name: str) -> Object:
        with self.changed:
            item = self.objects.pop((plural, name))
            self.version += 1
            item = copy.deepcopy(item)
            item["metadata"]["resourceVersion"] = str(self.version)
            self.log.append((self.version, plural, "DELETED", item))
            self.changed.notify_all()
            return item

    def bookmark(self, plural: str) -> None:
        with self.changed:
            self.version += 1
            item = {"metadata": {"resourceVersion": str(self.version)}}
            self.log.append((self.version, plural, "BOOKMARK", item))
            self.changed.notify_all()

    def end_watches(self, plural: str, *, abruptly: bool = False) -> None:
        with self.changed:
            self.ended[plural] = self.ended.get(plural, 0) + 1
            self.abruptly = abruptly
            self.changed.notify_all()

    def forget(self, plural: str) -> None:
        """Every version up to now is gone, as after a compaction."""
        with self.changed:
            self.version += 1
            self.compacted[plural] = self.version

    def refuse_next(self, path_part: str, status: int, body: Object | str = "") -> None:
        self.next_answers.append((path_part, status, body))

    @contextmanager
    def serve(self, folder: Path) -> Iterator[Path]:
        """Serve until the end of the block; gives a kubeconfig with the context `fake`."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": self}))
        kubeconfig = folder / "kubeconfig"
        with served(server) as url:
            kubeconfig.write_text(_kubeconfig(url))
            try:
                yield kubeconfig
            finally:
                for plural in {plural for plural, _ in self.objects} | {"pods"}:
                    self.end_watches(plural)


def _kubeconfig(url: str) -> str:
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "another",
        "clusters": [{"name": "fake", "cluster": {"server": url}}],
        "users": [{"name": "fake", "user": {"token": "fake-token"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
    })  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    api: FakeApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # a body after its headers waited 40 ms for the acknowledgement of these

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, body: Object | str) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _status(self, code: int, reason: str, message: str = "") -> None:
        self._answer(code, {"kind": "Status", "code": code, "reason": reason, "message": message or reason})

    def _body(self) -> Object:
        length = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(length)) if length else {}

    def _handle(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        plural, name = _place(url.path)
        ended = self.api.ended.get(plural, 0)  # before the answer: who has it may end this watch
        self.api.asked.append((self.command, url.path, query))
        self.api.tokens.append(self.headers.get("Authorization", ""))
        body = self._body()
        if self.command != "GET":
            self.api.told(self.command, url.path, body)
        for part, left in tuple(self.api.hang_ups.items()):
            if part in unquote(self.path) and left:
                self.api.hang_ups[part] = left - 1
                self.close_connection = True
                return
        for part, status in tuple(self.api.refusing.items()):
            if part in unquote(self.path):
                self.api.refused += 1
                self._status(status, "Told")
                return
        for number, (part, status, answer) in enumerate(self.api.next_answers):
            if part in unquote(self.path):
                del self.api.next_answers[number]
                if isinstance(answer, str) and not answer:
                    self._status(status, "Told")
                else:
                    self._answer(status, answer)
                return
        if "/proxy/" in url.path:
            self._answer(*self.api.proxied(name.partition(":")[0], "/" + url.path.partition("/proxy/")[2]))
        elif url.path.endswith("/eviction"):
            self._evict(name, query, body)
        elif query.get("watch"):
            self._watch(plural, query, ended)
        else:
            self._plain(plural, name, query, body)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815 - names that http.server asks for

    def _plain(self, plural: str, name: str, query: dict[str, str], body: Object) -> None:
        api = self.api
        old = api.objects.get((plural, name))
        version = old["metadata"]["resourceVersion"] if old else ""
        if self.command == "GET" and not name:
            items = [o for (p, _), o in api.objects.items() if p == plural and _asked_for(o, plural, self.path, query)]
            self._answer(200, {"metadata": {"resourceVersion": str(api.version)}, "items": items})
        elif self.command == "POST":
            if (plural, body.get("metadata", {}).get("name")) in api.objects:
                self._status(409, "AlreadyExists")
            else:
                made = api.put(plural, body)
                self._answer(201, made)
                api.on_create(plural, made)
        elif old is None:
            self._status(404, "NotFound", f'{plural} "{name}" not found')
        elif self.command == "GET":
            self._answer(200, old)
        elif self.command == "PUT":
            sent = body["metadata"].get("resourceVersion")
            if sent and sent != old["metadata"]["resourceVersion"]:
                self._status(409, "Conflict")
            else:
                self._answer(200, api.put(plural, body))
        elif self.command == "PATCH" and body.get("metadata", {}).get("resourceVersion", version) != version:
            self._status(409, "Conflict")
        elif self.command == "PATCH":
            item = api.put(plural, _merged(old, body))
            self._answer(200, item)
            api.on_patch(plural, item)
        else:
            wanted = body.get("preconditions") or {}
            if any(old["metadata"].get(key) != value for key, value in wanted.items()):
                self._status(409, "Conflict")
            else:
                self._answer(200, api.remove(plural, name))

    def _evict(self, name: str, query: dict[str, str], body: Object) -> None:
        pod = self.api.objects.get(("pods", name))
        wanted_uid = body["deleteOptions"]["preconditions"]["uid"]
        if pod is None:
            self._status(404, "NotFound")
        elif pod["metadata"]["uid"] != wanted_uid:
            self._status(409, "Conflict")
        else:
            if not query.get("dryRun"):
                self.api.evicted(name)
            self._answer(201, {"kind": "Status", "status": "Success"})

    def _watch(self, plural: str, query: dict[str, str], ended: int) -> None:
        api = self.api
        version = int(query["resourceVersion"])
        if version < api.compacted.get(plural, 0):
            self._status(410, "Expired", "too old resource version")
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        api.watching += 1
        with suppress(OSError):
            while True:
                with api.changed:
                    fresh = [
                        (v, t, o) for v, p, t, o in api.log if p == plural and v > version and _is_in(o, self.path)
                    ]
                    if not fresh and api.ended.get(plural, 0) == ended:
                        api.changed.wait(0.5)
                        continue
                for v, kind, item in fresh:
                    version = v
                    self._chunk(json.dumps({"type": kind, "object": item}) + "\n")
                if api.ended.get(plural, 0) != ended:
                    break
            self.close_connection = True
            if not api.abruptly:
                self.wfile.write(b"0\r\n\r\n")
        api.watching -= 1

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


def _place(path: str) -> tuple[str, str]:
    """(plural, name or "") of an API path."""
    parts = unquote(path).strip("/").split("/")
    start = parts.index("namespaces") + 2 if "namespaces" in parts else {"api": 2, "apis": 3}.get(parts[0], 0)
    parts = parts[start:] or [""]  # discovery of a group
    return parts[0], parts[1] if len(parts) > 1 else ""


def _is_in(item: Object, path: str) -> bool:
    """Whether a list of that path has it: objects that name no namespace are in all of them."""
    namespace = item["metadata"].get("namespace")
    return not namespace or "/namespaces/" not in path or f"/namespaces/{namespace}/" in path


def _asked_for(item: Object, plural: str, path: str, query: dict[str, str]) -> bool:
    """By namespace; by one field, of events by all; labels only of nodes, as `key=value` or `!key`."""
    metadata = item["metadata"]
    if not _is_in(item, path):
        return False
    if plural == "events":
        wanted = dict(one.split("=") for one in query["fieldSelector"].split(","))
        said = {"involvedObject.name": item["involvedObject"]["name"], "reason": item["reason"]}
        return wanted.items() <= said.items()
    field, _, value = query.get("fieldSelector", "").partition("=")
    if field and value != (metadata["name"] if field == "metadata.name" else item["spec"].get("nodeName", "")):
        return False
    key, _, label = query.get("labelSelector", "").partition("=") if plural == "nodes" else ("", "", "")
    labels = metadata.get("labels", {})
    return key[1:] not in labels if key.startswith("!") else not key or labels.get(key) == label


def _merged(old: Any, patch: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(patch, dict):
        return patch
    merged = dict(old)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(old.get(key), value)
    return merged
