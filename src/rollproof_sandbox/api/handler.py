"""Handler: one HTTP connection; each request becomes a call of the store, and its response has the real server's form.

Must hold no state between requests but the connection: what requests share is in `Serving`.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rollproof_sandbox.api import errors
from rollproof_sandbox.api.answers import deleted_answer, list_answer, review_answer
from rollproof_sandbox.api.eviction import evict
from rollproof_sandbox.api.kinds import KINDS
from rollproof_sandbox.api.moments import HARNESS, is_of_app
from rollproof_sandbox.api.places import Place, place_of
from rollproof_sandbox.api.podways import LogOf, pod_log, pod_proxy
from rollproof_sandbox.api.selectors import Selects, field_selector, label_selector
from rollproof_sandbox.api.store import Object, Store, StoreError
from rollproof_sandbox.api.watching import Watch

__all__ = ["VERSION", "Handler", "Serving"]

VERSION = {"major": "1", "minor": "37", "gitVersion": "v1.37.2+sandbox", "platform": "linux/amd64"}
_OPEN_PATHS = ("/version", "/healthz", "/livez", "/readyz")  # for everybody, also without a token
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_WATCH_S = 1800.0  # if the client gives no timeout
_FOLLOW_AGAIN_S, _FOLLOWED_S = 1.0, 5  # a log that is followed is read so often, and so many seconds of it
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Serving:
    """What requests need of the server. `failed` collects unexpected errors."""

    store: Store
    token: str
    log_of: LogOf
    voids_patches: bool
    voids_deletions: bool
    watching: Callable[[Watch], None]
    watched: Callable[[Watch], None]
    is_blind: Callable[[str], bool]
    failed: Callable[[BaseException], None]


class Handler(BaseHTTPRequestHandler):
    """Serves one connection until it is closed."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def __init__(self, connection: socket.socket, serving: Serving) -> None:
        self._serving = serving
        super().__init__(connection, connection.getpeername(), None)  # type: ignore[arg-type] # it needs no server

    def log_message(self, *_: object) -> None:
        """Requests are not logged: the harness records its own."""

    def _handle(self) -> None:
        url = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(url.query, keep_blank_values=True).items()}
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._check_who(url.path)
            self._route(url.path, query, sent)
        except StoreError as error:
            self._json(error.status, error.body())
        except OSError:
            raise  # the client went away
        except Exception as error:  # noqa: BLE001 - a bug of the sandbox: the client is told, and so is its user
            error.add_note(f"in answer to {self.command} {self.path}")
            self._serving.failed(error)
            self._json(500, StoreError(500, "InternalError", f"Internal error occurred: {error!r}").body())

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815 - names that http.server asks for

    # -- routes -------------------------------------------------------------------------------------------------

    def _check_who(self, path: str) -> None:
        sent = self.headers.get("Authorization", "")
        if sent == f"Bearer {self._serving.token}" or (not sent and path in _OPEN_PATHS):
            return
        if sent:
            raise StoreError(401, "Unauthorized", "Unauthorized")
        raise errors.anonymous(_VERBS[self.command], path, place_of(path))

    def _route(self, path: str, query: Mapping[str, str], sent: bytes) -> None:
        place = place_of(path)
        if path == "/version":
            self._json(200, VERSION)
        elif path in _OPEN_PATHS:
            self._plain(200, b"ok")
        elif path == _REVIEW and self.command == "POST":
            self._json(201, review_answer(_body(sent)))
        elif place is None:
            self._unknown(path)
        elif place.kind.name == "Pod" and place.subresource == "proxy":
            self._proxy(place, sent)
        elif place.kind.name == "Pod" and place.subresource == "log" and self.command == "GET":
            self._log_of(place, query)
        elif place.kind.name == "Pod" and place.subresource == "eviction" and self.command == "POST":
            self._evict(place, query, sent)
        elif place.subresource not in ("", *(("status",) if place.kind.status_apart else ())):
            raise errors.not_found(place.kind, place.name) if place.kind.custom else errors.no_resource()
        elif self.command == "GET" and not place.name:
            self._collection(place, query)
        else:
            self._object(place, query, sent)

    def _unknown(self, path: str) -> None:
        """404: with a Status for a known group, else as plain text."""
        if errors.is_known_group(path):
            raise errors.no_resource()
        self._plain(404, b"404 page not found\n")

    def _collection(self, place: Place, query: Mapping[str, str]) -> None:
        by_label = label_selector(query.get("labelSelector", ""))
        by_field = field_selector(place.kind, query.get("fieldSelector", ""))

        def selects(item: Mapping[str, Any]) -> bool:
            return by_field(item) and by_label(item)

        if query.get("watch") in ("1", "true"):
            self._watch(place, query, selects)
            return
        items, version = self._serving.store.list_at(place.kind.name, place.namespace)
        self._json(200, list_answer(place.kind, [item for item in items if selects(item)], version))

    def _object(self, place: Place, query: Mapping[str, str], sent: bytes) -> None:
        if self.command == "GET":
            self._json(200, self._found(place))
        elif self.command == "POST" and not place.name:
            self._create(place, query, sent)
        elif self.command == "PUT" and place.name:
            self._replace(place, query, sent)
        elif self.command == "PATCH" and place.name:
            self._patch(place, query, sent)
        elif self.command == "DELETE" and place.name:
            self._delete(place, query, sent)
        else:
            raise errors.no_method()

    # -- verbs --------------------------------------------------------------------------------------------------

    def _found(self, place: Place) -> Object:
        found = self._serving.store.get(place.kind.name, place.namespace, place.name)
        if found is None:
            raise errors.not_found(place.kind, place.name)
        return found

    def _create(self, place: Place, query: Mapping[str, str], sent: bytes) -> None:
        item = _item(place, _body(sent))
        self._check_namespace(place)
        if place.kind.status_apart:
            item.pop("status", None)
        made = self._serving.store.create(item, manager=self._manager(query), dry_run=_is_dry(query))
        self._json(201, made)

    def _check_namespace(self, place: Place) -> None:
        namespace = place.namespace
        if place.kind.namespaced and self._serving.store.get("Namespace", "", namespace) is None:
            raise errors.not_found(KINDS["Namespace"], namespace)

    def _replace(self, place: Place, query: Mapping[str, str], sent: bytes) -> None:
        item = _item(place, _body(sent))
        if place.kind.name == "Lease" and self._serving.store.get("Lease", place.namespace, place.name) is None:
            self._replace_absent(place, query, item)
            return
        self._json(200, self._serving.store.update(
            item, manager=self._manager(query), subresource=place.subresource, dry_run=_is_dry(query)
        ))  # fmt: skip

    def _replace_absent(self, place: Place, query: Mapping[str, str], item: Object) -> None:
        """A Lease may be created by PUT, but not if the sender has read one that is gone."""
        metadata = item["metadata"]
        if metadata.get("uid") or metadata.get("resourceVersion"):
            raise errors.other_uid(place.kind, place.namespace, place.name, metadata.get("uid", ""), "")
        made = self._serving.store.create(item, manager=self._manager(query), dry_run=_is_dry(query))
        self._json(201, made)

    def _patch(self, place: Place, query: Mapping[str, str], sent: bytes) -> None:
        body, how = _body(sent, whole=False), self.headers.get("Content-Type", "").partition(";")[0].strip()
        manager = self._manager(query)
        void = self._serving.voids_patches and manager == HARNESS and is_of_app(place.kind.name, place.namespace)
        after = self._serving.store.patch(
            place.kind.name, place.namespace, place.name, body, how, manager=manager,
            dry_run=void or _is_dry(query), subresource=place.subresource,
        )  # fmt: skip
        self._json(200, self._found(place) if void else after)

    def _delete(self, place: Place, query: Mapping[str, str], sent: bytes) -> None:
        options = _body(sent) if sent else {}
        wanted = options.get("preconditions") or {}
        dry = options.get("dryRun") == ["All"] if sent else _is_dry(query)  # with a body the query does not count
        gone = self._serving.store.delete(
            place.kind.name, place.namespace, place.name, uid=wanted.get("uid", ""),
            resource_version=wanted.get("resourceVersion", ""), manager=self._manager(query),
            dry_run=dry or self._is_void(place, query),
            grace_s=options.get("gracePeriodSeconds"),
        )  # fmt: skip
        if gone is None:
            raise errors.not_found(place.kind, place.name)
        self._json(200, deleted_answer(place.kind, gone))

    def _manager(self, query: Mapping[str, str]) -> str:
        return query.get("fieldManager") or self.headers.get("User-Agent", "unknown").partition("/")[0]

    def _is_void(self, place: Place, query: Mapping[str, str]) -> bool:
        """Whether this deletion of a pod is answered, and not made."""
        return self._serving.voids_deletions and place.kind.name == "Pod" and self._manager(query) == HARNESS

    # -- pods ---------------------------------------------------------------------------------------------------

    def _log_of(self, place: Place, query: Mapping[str, str]) -> None:
        since_s = int(query.get("sinceSeconds") or 0)

        def read(since_s: int) -> str:
            container = query.get("container", "")
            return pod_log(
                self._serving.store, self._serving.log_of, place.namespace, place.name, container, since_s
            )  # fmt: skip

        if query.get("follow") == "true":
            self._follow(read(since_s), lambda: read(_FOLLOWED_S))
        else:
            self._plain(200, read(since_s).encode())

    def _follow(self, text: str, more: Callable[[], str]) -> None:
        """A log that goes on, until the client or the pod is gone: as a kubelet sends it."""
        self._begin_chunks("text/plain; charset=utf-8")
        self.close_connection = True
        fresh = text.splitlines(keepends=True)
        told = set(fresh)
        with suppress(StoreError, OSError, ValueError):  # the pod is gone, or who asked
            while not self._is_gone():
                if fresh:
                    self._chunk("".join(fresh).encode())
                time.sleep(_FOLLOW_AGAIN_S)
                lines = more().splitlines(keepends=True)
                fresh = [line for line in lines if line not in told]
                told = set(lines)
            return
        with suppress(OSError, ValueError):
            self._end_chunks()

    def _begin_chunks(self, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def _end_chunks(self) -> None:
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _proxy(self, place: Place, sent: bytes) -> None:
        query = urlsplit(self.path).query
        path = f"/{place.rest}" + (f"?{query}" if query else "")
        answer = pod_proxy(self._serving.store, place.namespace, place.name, self.command, path, sent)
        self._answer(answer.status, answer.body, answer.headers)

    def _evict(self, place: Place, query: Mapping[str, str], sent: bytes) -> None:
        options = _body(sent).get("deleteOptions") or {}
        dry = _is_dry(query) or options.get("dryRun") == ["All"] or self._is_void(place, query)
        evict(self._serving.store, place.namespace, place.name, options, manager=self._manager(query), dry_run=dry)
        self._json(201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201})

    # -- watches ------------------------------------------------------------------------------------------------

    def _watch(self, place: Place, query: Mapping[str, str], selects: Selects) -> None:
        since = query.get("resourceVersion", "")
        if since and not since.isdigit():
            raise errors.bad_version(since)
        watch = Watch(
            self._serving.store, place.kind, place.namespace, selects, since,
            timeout_s=float(query.get("timeoutSeconds") or _WATCH_S),
            bookmarks=query.get("allowWatchBookmarks") in ("1", "true"),
            blind=lambda: self._serving.is_blind(place.kind.name),
        )  # fmt: skip
        self._serving.watching(watch)
        try:
            self._begin_chunks("application/json")
            with watch:
                self.wfile.flush()  # connected: no change is missed from here on
                for line in watch.lines(self._is_gone):
                    self._chunk(line)
            self._end_chunks()
        finally:
            self._serving.watched(watch)

    def _is_gone(self) -> bool:
        """Whether the client has closed the connection of this watch."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    # -- answers ------------------------------------------------------------------------------------------------

    def _json(self, status: int, body: Mapping[str, Any]) -> None:
        data = json.dumps(body, separators=(",", ":")).encode()
        self._answer(status, data, (("Content-Type", "application/json"),))

    def _plain(self, status: int, data: bytes) -> None:
        self._answer(status, data, (("Content-Type", "text/plain; charset=utf-8"),))

    def _answer(self, status: int, data: bytes, headers: tuple[tuple[str, str], ...]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()


def _is_dry(query: Mapping[str, str]) -> bool:
    wanted = query.get("dryRun", "")
    if wanted not in ("", "All"):
        raise errors.bad_dry_run(wanted)
    return wanted == "All"


def _body(sent: bytes, *, whole: bool = True) -> Any:
    """The JSON of a request; with `whole` it must be an object."""
    try:
        body = json.loads(sent)
    except ValueError as error:
        raise errors.bad_request(f"couldn't get version/kind; json parse error: {error}") from None
    if whole and not isinstance(body, dict):
        raise errors.bad_request("couldn't get version/kind; json parse error: the body is not an object")
    return body


def _item(place: Place, body: Object) -> Object:
    """The object for the store: kind and place from the URL, which the body must not contradict."""
    kind, metadata = place.kind, body.get("metadata") or {}
    sent = (body.get("apiVersion") or kind.api_version, body.get("kind") or kind.name)
    if sent != (kind.api_version, kind.name):
        raise errors.wrong_kind(kind, *sent)
    namespace = metadata.get("namespace") or place.namespace
    if place.namespace and namespace != place.namespace:
        raise errors.wrong_namespace()
    if place.name and metadata.get("name", "") != place.name:
        raise errors.wrong_name(metadata.get("name", ""), place.name)
    where = {"namespace": namespace} if kind.namespaced else {}
    return {**body, "apiVersion": kind.api_version, "kind": kind.name, "metadata": {**metadata, **where}}
