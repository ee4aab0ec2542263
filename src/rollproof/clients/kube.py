"""Kube: the Kubernetes API of one named context, as plain JSON objects.

Requests are one attempt each: nothing is retried or redirected here, because a drill that times an answer must know how
many there were. Each has one deadline for all of its answer and a limit of bytes (`exchange`). A change that was sent
and not answered is a LostAnswerError: it may have been made. The current context of a kubeconfig is never used.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import urllib3

from rollproof.clients import execute, forward
from rollproof.clients.apierrors import ApiError, LostAnswerError, SilenceError, UnreachableError, api_error
from rollproof.clients.credentials import learn_objects
from rollproof.clients.exchange import MIB, BodyError, dated_s, read_body, said, time_out, was_sent, watch_sending
from rollproof.clients.kubeconfig import api_client
from rollproof.clients.linestream import LineStream
from rollproof.clients.podstream import StreamError
from rollproof.clients.shapes import check_object
from rollproof.core.kinds import KINDS, Kind
from rollproof.core.outside import Outside, parsed, shown, without_nulls
from rollproof.errors import OutsideDataError

__all__ = [
    "KINDS", "MERGE", "STRATEGIC", "ApiError", "Kind", "Kube", "LostAnswerError", "Object", "SilenceError",
    "UnreachableError", "WatchStream",
]  # fmt: skip

Object = dict[str, Any]  # a Kubernetes object as its JSON; typed views live with whoever reads a kind
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
FIELD_MANAGER = "rollproof"
_STRANGER = "does something else listen there, such as a proxy or a login page?"
_SHOWN = 80
_ANSWER_MAX = 64 * MIB  # a list of all nodes with their images is the largest answer that is asked for
_LOG_MAX = 256 * MIB  # ten minutes of an ingress's log
_POD_ANSWER_MAX = 16 * MIB
_EXEC_MAX = MIB  # what a command may write
_PAGES_MAX = 100  # of a list that the server hands out in pieces, although nobody asked for pieces
_PAGES_S = 60.0
_MAYBE_DONE = frozenset({502, 504})  # a gateway that lost the answer; the server's own Timeout ("may still be done")


class WatchStream:
    """One running watch: (type, object) of each event, until the server ends it or `close` is called.

    Types are ADDED, MODIFIED, DELETED and BOOKMARK. UnreachableError when the connection breaks.
    """

    def __init__(self, response: Any, kind: str, what: str, silence_s: float) -> None:
        self._stream = LineStream(response, what, silence_s)
        self._kind = kind
        self._what = what

    def __iter__(self) -> Iterator[tuple[str, Object]]:
        with contextlib.closing(iter(self._stream)) as lines:
            for line in lines:
                kind, item = _event(line, self._what)
                if kind == "ERROR":
                    raise api_error(Outside.of(item, self._what).integer("code"), json.dumps(item), self._what)
                if kind != "BOOKMARK":
                    name = shown(item["metadata"]["name"])
                    check_object(self._kind, Outside.of(item, f"{self._kind} {name} in {self._what}"))
                yield kind, item

    def close(self) -> None:
        """End the watch, also while another thread waits for its next event."""
        self._stream.close()


@dataclass(slots=True)
class Kube:
    """One context. Thread safe; a request that gets 401 renews the credentials once (expired exec-plugin token)."""

    context: str
    kubeconfig: str = ""
    timeout_s: float = 15.0
    _api: Any = field(default=None, init=False, repr=False)
    _ahead_s: float | None = field(default=None, init=False, repr=False)  # of its clock, beside our monotonic one
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def wall_s(self) -> float:
        """What the API server's clock says now, by its last answer; ours where it has not told its own."""
        return time.time() if self._ahead_s is None else time.monotonic() + self._ahead_s

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """One object; ApiError with reason NotFound if it is not there."""
        return self._object(kind, "GET", KINDS[kind].path(namespace, name))

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """One object, or None if it is not there."""
        try:
            return self.get(kind, namespace, name)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, namespace: str, *, labels: str = "", fields: str = "", within_s: float = 0.0) -> Object:
        """The whole list object: `items`, each an object with a name, and `metadata.resourceVersion`.

        A server that hands it out in pieces is asked for all of them, a bounded number of times, and for `within_s`.
        """
        path, until_s = KINDS[kind].path(namespace), time.monotonic() + (within_s or _PAGES_S)
        query = {"labelSelector": labels, "fieldSelector": fields}
        items: list[Any] = []
        seen = {""}
        while True:
            who = f"the list of {kind} in {namespace or 'the cluster'} from {self._server}"
            left_s = max(0.001, min(within_s or self.timeout_s, until_s - time.monotonic()))
            page = Outside.of(self.request("GET", path, query=query, timeout_s=left_s), who)
            for item in page.objects("items"):
                name = item.child("metadata").needed("name")
                check_object(kind, Outside.of(item.value, f"{kind} {shown(name)} in {who}"))
                items.append(dict(item.value))
            metadata = page.child("metadata")
            token = metadata.text("continue")
            if not token:
                whole = {**metadata.value, "resourceVersion": metadata.text("resourceVersion")}
                return {**page.value, "items": items, "metadata": whole}
            if token in seen or len(seen) > _PAGES_MAX or time.monotonic() > until_s:
                raise OutsideDataError(f"{who} does not end: after {len(seen)} pieces it goes on at {shown(token)}")
            seen.add(token)
            query = {**query, "continue": token}

    def list_if_served(self, kind: str, namespace: str) -> Object:
        """The list of a custom kind; an empty one where the cluster does not have that kind.

        A cluster without it answers 404, but 403 to those who have no right to it. The API's discovery tells the two
        apart, and everybody who is logged in may ask it.
        """
        try:
            return self.list(kind, namespace)
        except ApiError as error:
            if error.status not in (403, 404) or not self.is_unknown(kind):
                raise
        return {"items": []}

    def is_unknown(self, kind: str) -> bool:
        """Whether discovery says so; what cannot be asked is not known to be unknown."""
        place = KINDS[kind].group_path
        try:
            answer = Outside.of(self.request("GET", place), f"{place} of {self._server}")
        except ApiError as error:
            return error.status == 404
        return KINDS[kind].plural not in [one.text("name") for one in answer.objects("resources")]

    def patch(
        self, kind: str, namespace: str, name: str, body: Object, *, how: str = MERGE, dry_run: bool = False
    ) -> Object:
        """Patch one object under our own field manager; returns the object after it."""
        query = {"fieldManager": FIELD_MANAGER, "dryRun": "All" if dry_run else ""}
        return self._object(kind, "PATCH", KINDS[kind].path(namespace, name), query=query, body=body, content_type=how)

    def create(self, kind: str, namespace: str, body: Object) -> Object:
        """Create one object; ApiError with reason AlreadyExists if it is there."""
        query = {"fieldManager": FIELD_MANAGER}
        return self._object(kind, "POST", KINDS[kind].path(namespace), query=query, body=body)

    def replace(self, kind: str, namespace: str, name: str, body: Object) -> Object:
        """Replace one object; ApiError with reason Conflict if its resourceVersion is not the newest."""
        query = {"fieldManager": FIELD_MANAGER}
        return self._object(kind, "PUT", KINDS[kind].path(namespace, name), query=query, body=body)

    def delete(
        self, kind: str, namespace: str, name: str, *, uid: str = "", resource_version: str = "",
        grace_s: int | None = None,
    ) -> Object:  # fmt: skip
        """Delete one object, if given only the one with that uid and version; grace_s: None is the object's own."""
        wanted = {"uid": uid, "resourceVersion": resource_version}
        preconditions = {key: value for key, value in wanted.items() if value}
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if preconditions:
            body["preconditions"] = preconditions
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        return self.request("DELETE", KINDS[kind].path(namespace, name), body=body)

    def evict(self, namespace: str, pod: str, *, uid: str, dry_run: bool = False) -> None:
        """Evict the pod with that uid. ApiError 429 if a PodDisruptionBudget forbids it, 409 if the uid is another."""
        body: Object = {
            "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace},
            "deleteOptions": {"preconditions": {"uid": uid}},
        }  # fmt: skip
        query = {"dryRun": "All" if dry_run else ""}
        self.request("POST", f"{KINDS['Pod'].path(namespace, pod)}/eviction", query=query, body=body)

    def watch(
        self, kind: str, namespace: str, *, resource_version: str, labels: str = "", fields: str = "",
        timeout_s: float = 300.0, silence_s: float = 90.0,
    ) -> WatchStream:  # fmt: skip
        """Changes from `resource_version` on; connected when this returns. ApiError 410 when that version is gone.

        The server ends it after `timeout_s`. Bookmarks come about once a minute, so a stream that is silent for
        `silence_s` is taken as broken: a firewall that forgot the connection says nothing.
        """
        query = {
            "watch": "1", "allowWatchBookmarks": "true", "resourceVersion": resource_version,
            "labelSelector": labels, "fieldSelector": fields, "timeoutSeconds": str(int(timeout_s)),
        }  # fmt: skip
        response = self._send("GET", KINDS[kind].path(namespace), query=query, timeout_s=silence_s)
        return WatchStream(response, kind, f"the watch of {kind} in {namespace}", silence_s)

    def pod_log(self, namespace: str, pod: str, container: str, *, since_s: int) -> str:
        """The last `since_s` seconds of a container's log."""
        return self._log(namespace, pod, {"container": container, "sinceSeconds": str(since_s)}, 60)

    def follow_log(
        self, namespace: str, pod: str, container: str, *, since_s: int, silence_s: float
    ) -> LineStream:  # fmt: skip
        """The last `since_s` seconds of a container's log, and each line that is added, until the container ends.

        A server may not answer before there is a line: then there is an UnreachableError after `silence_s`.
        """
        query = {"container": container, "sinceSeconds": str(since_s), "follow": "true"}
        response = self._send("GET", f"{KINDS['Pod'].path(namespace, pod)}/log", query=query, timeout_s=silence_s)
        return LineStream(response, f"the log of {namespace}/{pod}", silence_s)

    def pod_log_end(
        self, namespace: str, pod: str, container: str, *, lines: int, previous: bool, bytes_max: int = 0,
        within_s: float = 60,
    ) -> str:  # fmt: skip
        """The newest lines of a log, at most so many bytes from their first; `previous`: from before its restart."""
        query = {"container": container, "tailLines": str(lines), "previous": "true" if previous else ""}
        query["limitBytes"] = str(bytes_max or "")  # the server may send slightly more
        return self._log(namespace, pod, query, within_s, 2 * bytes_max or _LOG_MAX)

    def _log(self, ns: str, pod: str, query: Mapping[str, str], timeout_s: float, limit: int = _LOG_MAX) -> str:
        response = self._send("GET", f"{KINDS['Pod'].path(ns, pod)}/log", query=query, timeout_s=timeout_s)
        return self._read(response, "GET", limit=limit).decode(errors="replace")

    def pod_proxy(self, namespace: str, pod: str, port: int, path: str, *, timeout_s: float) -> tuple[int, bytes]:
        """GET through the API server's pod proxy: (status, body) as the pod gave them, or the API server's refusal.

        A refusal of the API server itself (a Status object) is raised as ApiError; the pod's own errors are returned.
        """
        place = f"{KINDS['Pod'].path(namespace, f'{pod}:{port}')}/proxy{path}"
        response = self._send("GET", place, timeout_s=timeout_s, raise_status=False)
        body = self._read(response, "GET", limit=_POD_ANSWER_MAX)
        if response.status >= 400 and b'"kind":"Status"' in body.replace(b" ", b""):
            raise api_error(response.status, body.decode(errors="replace"), f"pods/proxy {pod}")
        return int(response.status), body

    def pod_forward(self, namespace: str, pod: str, port: int, path: str, *, timeout_s: float) -> tuple[int, bytes]:
        """GET through a port-forward: (status, body) as the pod gave them. For those who may not use pods/proxy."""
        what = f"pods/portforward {pod}"
        place = f"{KINDS['Pod'].path(namespace, pod)}/portforward"
        try:
            return forward.ask(self._client(), place, port, path, timeout_s=timeout_s, limit=_POD_ANSWER_MAX)
        except StreamError as error:
            if error.status:
                raise api_error(error.status, str(error), what) from None
            raise UnreachableError(f"{what}: {error}") from None

    def pod_exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str], *, timeout_s: float
    ) -> execute.Executed:
        """Run a command in a container. ApiError for a refusal; LostAnswerError if it may have been run."""
        what = f"pods/exec {pod}"
        place = f"{KINDS['Pod'].path(namespace, pod)}/exec"
        try:
            return execute.run(self._client(), place, container, command, timeout_s=timeout_s, limit=_EXEC_MAX)
        except StreamError as error:
            if error.status:
                raise api_error(error.status, str(error), what) from None
            if error.begun:
                raise self._lost(what, str(error)) from None
            raise UnreachableError(f"{what}: {error}") from None
        except OutsideDataError as error:
            raise self._lost(what, str(error)) from None

    def may(
        self, verb: str, resource: str, namespace: str, *, group: str = "", subresource: str = "", name: str = ""
    ) -> bool:
        """Is this allowed to us? (SelfSubjectAccessReview). With a `name`: for that one object."""
        attributes = {
            "verb": verb, "resource": resource, "namespace": namespace, "group": group, "subresource": subresource,
            "name": name,
        }  # fmt: skip
        body = {
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }  # fmt: skip
        review = self.request("POST", KINDS["SelfSubjectAccessReview"].path(""), body=body)
        return Outside.of(review, f"the review of permissions by {self._server}").child("status").flag("allowed")

    def version(self) -> str:
        """The API server's version, such as v1.34.4; also the cheapest proof that it is there."""
        answer = Outside.of(self.request("GET", "/version"), f"/version of {self._server}")
        return answer.text("gitVersion", "unknown")

    def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Object | None = None,
        content_type: str = "application/json", timeout_s: float = 0.0,
    ) -> Object:  # fmt: skip
        """One request whose answer is a JSON object; fields that are null are left out."""
        response = self._send(
            method, path, query=query or {}, body=body, content_type=content_type, timeout_s=timeout_s or self.timeout_s
        )
        body_read = self._read(response, method, changes=_changes(method, path, query))
        what = f"{method} {path} on {self._server}"
        try:
            answer = without_nulls(Outside.of(parsed(body_read, what), what).value)
        except OutsideDataError:
            message = f"{what} was answered {response.status} with no JSON object: {_first(body_read)}"
            kind = LostAnswerError if _changes(method, path, query) else UnreachableError
            raise kind(message, _STRANGER) from None
        learn_objects(answer)
        return answer

    def _object(self, kind: str, method: str, path: str, **words: Any) -> Object:
        """One request whose answer is a Kubernetes object: it has a name and a version."""
        answer = self.request(method, path, **words)
        whole = Outside.of(answer, f"the answer to {method} {path} from {self._server}")
        try:
            metadata = whole.child("metadata")
            for needed in ("name", "resourceVersion"):
                metadata.needed(needed)
            check_object(kind, whole)
        except OutsideDataError as error:
            if method == "GET":
                raise
            raise LostAnswerError(f"{error}; the {method} may have been done", _STRANGER) from None
        return answer

    @property
    def _server(self) -> str:
        """Who was asked, for messages."""
        return f"the API server of context {self.context!r} ({self._client().configuration.host})"

    def _send(
        self, method: str, path: str, *, timeout_s: float, query: Mapping[str, str] | None = None,
        body: Object | None = None, content_type: str = "application/json", raise_status: bool = True,
    ) -> Any:  # fmt: skip
        for renewed in (False, True):
            response = self._attempt(method, path, query or {}, body, content_type, timeout_s)
            if (said_s := dated_s(response.headers.get("Date", ""))) is not None:
                self._ahead_s = said_s - time.monotonic()
            if response.status == 401 and not renewed:
                response.close()
                self._client(renew=True)
                continue
            if raise_status and response.status >= 400:
                text = self._read(response, method).decode(errors="replace")
                if response.status in _MAYBE_DONE and _changes(method, path, query):
                    raise self._lost(method, f"{response.status} {text[:_SHOWN]}")
                raise api_error(response.status, text, f"{method} {path}")
            if raise_status and _is_of_a_stranger(response):
                raise self._stranger(response, method, path, query)
            return response
        raise AssertionError("unreachable: the second attempt always returns or raises")

    def _attempt(
        self, method: str, path: str, query: Mapping[str, str], body: Object | None, content_type: str, timeout_s: float
    ) -> Any:
        api = self._client()
        headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        headers["User-Agent"] = FIELD_MANAGER  # a deletion names nobody else
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = content_type
        api.update_params_for_auth(headers, [], ["BearerToken"], path, method, data)
        asked = urlencode({key: value for key, value in query.items() if value})
        url = f"{api.configuration.host}{path}" + (f"?{asked}" if asked else "")
        with watch_sending():
            try:
                return api.rest_client.pool_manager.request(
                    method, url, body=data, headers=headers, preload_content=False, redirect=False, retries=False,
                    timeout=time_out(timeout_s),
                )  # fmt: skip
            except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
                if was_sent() and _changes(method, path, query):
                    raise self._lost(method, said(error)) from None
                hint = "is the cluster up, and the way to it?"
                raise UnreachableError(f"{self._server} did not answer: {said(error)}", hint) from None

    def _stranger(self, response: Any, method: str, path: str, query: Mapping[str, str] | None) -> UnreachableError:
        """The error for an answer that no API server gives: what it says is neither a list nor a log."""
        text = self._read(response, method)
        what = f"{method} {path} on {self._server}"
        message = f"{what} was answered {response.status} with no JSON object or log: {_first(text)}"
        return (LostAnswerError if _changes(method, path, query) else UnreachableError)(message, _STRANGER)

    def _lost(self, method: str, why: str) -> LostAnswerError:
        message = f"{self._server} did not answer a {method}: {why}; it may have been done, or may still be"
        return LostAnswerError(message, "look at the object before you try again")

    def _read(self, response: Any, method: str, *, limit: int = _ANSWER_MAX, changes: bool = False) -> bytes:
        """The answer's body. An answer to a change that breaks off is a lost one."""
        try:
            return read_body(response, limit=limit)
        except (urllib3.exceptions.HTTPError, OSError, BodyError) as error:
            if changes:
                raise self._lost(method, f"the answer broke off: {said(error)}") from None
            raise UnreachableError(f"the answer of {self._server} broke off: {said(error)}") from None
        finally:
            if response.length_remaining:
                response.close()  # what is left of it is not read; a connection with it in it is of no use
            response.release_conn()

    def _client(self, *, renew: bool = False) -> Any:
        with self._lock:
            if self._api is None or renew:
                self._api = api_client(self.context, self.kubeconfig)
            return self._api


def _changes(method: str, path: str, query: Mapping[str, str] | None) -> bool:
    """Whether the request may change something in the cluster: a dry run and a question of permissions do not."""
    asks = path == KINDS["SelfSubjectAccessReview"].path("") or bool((query or {}).get("dryRun"))
    return method != "GET" and not asks


def _is_of_a_stranger(response: Any) -> bool:
    """Whether it is a redirect or a page: an API server gives neither, a proxy with a login gives both."""
    kind = str(response.headers.get("Content-Type", "")).lower()
    return 300 <= int(response.status) < 400 or kind.startswith("text/html")


def _event(line: bytes, what: str) -> tuple[str, Object]:
    """Type and object of one line of a watch."""
    try:
        event = Outside.of(parsed(line, what), what)
        kind, item = event.text("type"), event.child("object")
        if kind != "ERROR":
            item.child("metadata").needed("resourceVersion")
            if kind != "BOOKMARK":
                item.child("metadata").needed("name")
    except OutsideDataError as error:
        raise UnreachableError(f"{what} said something that is no event: {_first(line)}", _STRANGER) from error
    return kind, without_nulls(item.value)


def _first(text: bytes) -> str:
    """As much of a strange answer as a person needs to guess who gave it."""
    return repr(text[:_SHOWN].decode(errors="replace")) + ("..." if len(text) > _SHOWN else "")
