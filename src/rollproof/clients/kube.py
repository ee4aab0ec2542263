"""Kube: the Kubernetes API of one named context, as plain JSON objects. The only importer of `kubernetes`.

The official client brings kubeconfig, credentials (exec plugins and their renewal) and TLS; requests are one attempt
each: nothing is retried or redirected here, because a drill that times an answer must know how many there were. The
current context of a kubeconfig is never used.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

import urllib3
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from kubernetes.stream import portforward

from rollproof.clients.credentials import learn_configuration, learn_kubeconfig, learn_objects
from rollproof.errors import CannotJudgeError, InputError, UnansweredError

__all__ = [
    "KINDS", "MERGE", "STRATEGIC", "ApiError", "Kind", "Kube", "Object", "SilenceError", "UnreachableError",
    "WatchStream",
]  # fmt: skip

Object = dict[str, Any]  # a Kubernetes object as its JSON; typed views live with whoever reads a kind
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
FIELD_MANAGER = "rollproof"
_STRANGER = "does something else listen there, such as a proxy or a login page?"
_SHOWN = 80
_REVIEWS = "accessreviews"  # a POST that only asks


class UnreachableError(CannotJudgeError):
    """The API server did not answer."""


class SilenceError(UnreachableError):
    """A watch on which nothing came for longer than bookmarks take: nobody knows since when it was deaf."""


class ApiError(CannotJudgeError):
    """The API server said no: `status` is the HTTP status, `reason` its word (NotFound, Forbidden, Conflict, ...)."""

    def __init__(self, message: str, hint: str = "", *, status: int = 0, reason: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Kind:
    """Where a kind lives in the API."""

    name: str
    plural: str
    group: str = ""  # empty: the core group
    version: str = "v1"

    def path(self, namespace: str, name: str = "") -> str:
        """The URL path of a collection or of one object."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        place = f"{root}/namespaces/{quote(namespace)}/{self.plural}" if namespace else f"{root}/{self.plural}"
        return f"{place}/{quote(name)}" if name else place


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("Pod", "pods"),
        Kind("Service", "services"),
        Kind("ConfigMap", "configmaps"),
        Kind("Node", "nodes"),
        Kind("Event", "events"),
        Kind("Deployment", "deployments", "apps"),
        Kind("ReplicaSet", "replicasets", "apps"),
        Kind("StatefulSet", "statefulsets", "apps"),
        Kind("EndpointSlice", "endpointslices", "discovery.k8s.io"),
        Kind("Lease", "leases", "coordination.k8s.io"),
        Kind("HorizontalPodAutoscaler", "horizontalpodautoscalers", "autoscaling", "v2"),
        Kind("Application", "applications", "argoproj.io", "v1alpha1"),
        Kind("AppProject", "appprojects", "argoproj.io", "v1alpha1"),
        Kind("SelfSubjectAccessReview", "selfsubjectaccessreviews", "authorization.k8s.io"),
    )
}


class WatchStream:
    """One running watch: (type, object) of each event, until the server ends it or `close` is called.

    Types are ADDED, MODIFIED, DELETED and BOOKMARK. UnreachableError when the connection breaks.
    """

    def __init__(self, response: Any, what: str) -> None:
        self._response = response
        self._what = what
        self._closed = False

    def __iter__(self) -> Iterator[tuple[str, Object]]:
        try:
            for line in _lines(self._response):
                kind, item = _event(line, self._what)
                if kind == "ERROR":
                    raise _api_error(item.get("code", 0), json.dumps(item), self._what)
                yield kind, item
        except urllib3.exceptions.ReadTimeoutError:
            raise SilenceError(f"{self._what} was silent for too long and was given up") from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if not self._closed:
                raise UnreachableError(f"{self._what} broke: {_short(error)}") from None
        finally:
            self._response.close()

    def close(self) -> None:
        """End the watch, also while another thread waits for its next event."""
        self._closed = True
        with contextlib.suppress(ValueError, RuntimeError, OSError):  # it has ended already
            self._response.shutdown()


@dataclass(slots=True)
class Kube:
    """One context. Thread safe; a request that gets 401 renews the credentials once (expired exec-plugin token)."""

    context: str
    kubeconfig: str = ""
    timeout_s: float = 15.0
    _api: Any = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """One object; ApiError with reason NotFound if it is not there."""
        return self.request("GET", KINDS[kind].path(namespace, name))

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """One object, or None if it is not there."""
        try:
            return self.get(kind, namespace, name)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, kind: str, namespace: str, *, labels: str = "", fields: str = "") -> Object:
        """The whole list object: `items` and `metadata.resourceVersion`."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        return self.request("GET", KINDS[kind].path(namespace), query=query)

    def patch(
        self, kind: str, namespace: str, name: str, body: Object, *, how: str = MERGE, dry_run: bool = False
    ) -> Object:
        """Patch one object under our own field manager; returns the object after it."""
        query = {"fieldManager": FIELD_MANAGER, "dryRun": "All" if dry_run else ""}
        return self.request("PATCH", KINDS[kind].path(namespace, name), query=query, body=body, content_type=how)

    def create(self, kind: str, namespace: str, body: Object) -> Object:
        """Create one object; ApiError with reason AlreadyExists if it is there."""
        query = {"fieldManager": FIELD_MANAGER}
        return self.request("POST", KINDS[kind].path(namespace), query=query, body=body)

    def replace(self, kind: str, namespace: str, name: str, body: Object) -> Object:
        """Replace one object; ApiError with reason Conflict if its resourceVersion is not the newest."""
        query = {"fieldManager": FIELD_MANAGER}
        return self.request("PUT", KINDS[kind].path(namespace, name), query=query, body=body)

    def delete(self, kind: str, namespace: str, name: str, *, uid: str = "", resource_version: str = "") -> Object:
        """Delete one object, if given only the one with that uid and version."""
        wanted = {"uid": uid, "resourceVersion": resource_version}
        preconditions = {key: value for key, value in wanted.items() if value}
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if preconditions:
            body["preconditions"] = preconditions
        return self.request("DELETE", KINDS[kind].path(namespace, name), body=body)

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
        return WatchStream(response, f"the watch of {kind} in {namespace}")

    def text(self, path: str, *, query: Mapping[str, str] | None = None, timeout_s: float | None = None) -> str:
        """A raw GET whose answer is text: pod logs."""
        response = self._send("GET", path, query=query or {}, timeout_s=timeout_s or self.timeout_s)
        return _read(response).decode(errors="replace")

    def pod_log(self, namespace: str, pod: str, container: str, *, since_s: int) -> str:
        """The last `since_s` seconds of a container's log."""
        path = f"{KINDS['Pod'].path(namespace, pod)}/log"
        return self.text(path, query={"container": container, "sinceSeconds": str(since_s)}, timeout_s=60)

    def pod_proxy(self, namespace: str, pod: str, port: int, path: str, *, timeout_s: float) -> tuple[int, bytes]:
        """GET through the API server's pod proxy: (status, body) as the pod gave them, or the API server's refusal.

        A refusal of the API server itself (a Status object) is raised as ApiError; the pod's own errors are returned.
        """
        place = f"{KINDS['Pod'].path(namespace, f'{pod}:{port}')}/proxy{path}"
        response = self._send("GET", place, timeout_s=timeout_s, raise_status=False)
        body = _read(response)
        if response.status >= 400 and b'"kind":"Status"' in body.replace(b" ", b""):
            raise _api_error(response.status, body.decode(errors="replace"), f"pods/proxy {pod}")
        return int(response.status), body

    def pod_forward(self, namespace: str, pod: str, port: int, path: str, *, timeout_s: float) -> tuple[int, bytes]:
        """GET through a port-forward: (status, body) as the pod gave them. For those who may not use pods/proxy."""
        what = f"pods/portforward {pod}"
        api = kubernetes_client.CoreV1Api(self._load())  # its own: the websocket call bends the client while it runs
        try:
            forward = portforward(
                api.connect_get_namespaced_pod_portforward, pod, namespace, ports=str(port), _request_timeout=timeout_s
            )
        except kubernetes_client.ApiException as error:  # status 0, and the real one in the text
            found = re.search(r"Handshake status (\d+)", str(error.reason))
            if found:
                raise _api_error(int(found[1]), str(error.reason), what) from None
            raise UnreachableError(f"{what}: {error.reason}") from None
        connection = http.client.HTTPConnection("localhost", timeout=timeout_s)
        connection.sock = forward.socket(port)
        connection.sock.settimeout(timeout_s)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(f"{what}: {forward.error(port) or _short(error)}") from None
        finally:
            connection.close()
            forward.close()

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
        return bool(review.get("status", {}).get("allowed"))

    def version(self) -> str:
        """The API server's version, such as v1.34.4; also the cheapest proof that it is there."""
        return str(self.request("GET", "/version").get("gitVersion", "unknown"))

    def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Object | None = None,
        content_type: str = "application/json",
    ) -> Object:  # fmt: skip
        """One request whose answer is a JSON object."""
        response = self._send(
            method, path, query=query or {}, body=body, content_type=content_type, timeout_s=self.timeout_s
        )
        try:
            body_read = _read(response)
        except UnreachableError as error:
            if _changes(method, path, query or {}):
                raise _unanswered(method, path, str(error)) from None
            raise
        answer = _json_object(body_read)
        if answer is None:
            what = f"{method} {path} on {self._server}"
            raise UnreachableError(
                f"{what} was answered {response.status} with no JSON object: {_first(body_read)}", _STRANGER
            )
        learn_objects(answer)
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
            if response.status == 401 and not renewed:
                response.close()
                self._client(renew=True)
                continue
            if raise_status and response.status >= 400:
                raise _api_error(response.status, _read(response).decode(errors="replace"), f"{method} {path}")
            return response
        raise AssertionError("unreachable: the second attempt always returns or raises")

    def _attempt(
        self, method: str, path: str, query: Mapping[str, str], body: Object | None, content_type: str, timeout_s: float
    ) -> Any:
        api = self._client()
        headers = {"Accept": "application/json", "User-Agent": FIELD_MANAGER}  # a deletion names nobody else
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = content_type
        api.update_params_for_auth(headers, [], ["BearerToken"], path, method, data)
        asked = urlencode({key: value for key, value in query.items() if value})
        url = f"{api.configuration.host}{path}" + (f"?{asked}" if asked else "")
        try:
            return api.rest_client.pool_manager.request(
                method, url, body=data, headers=headers, preload_content=False, redirect=False, retries=False,
                timeout=urllib3.Timeout(connect=min(5.0, timeout_s), read=timeout_s),
            )  # fmt: skip
        except (urllib3.exceptions.HTTPError, OSError) as error:
            hint = "is the cluster up, and the way to it?"
            if _changes(method, path, query) and not _never_sent(error):
                raise _unanswered(method, path, f"{self._server} did not answer: {_short(error)}") from None
            raise UnreachableError(f"{self._server} did not answer: {_short(error)}", hint) from None

    def _client(self, *, renew: bool = False) -> Any:
        with self._lock:
            if self._api is None or renew:
                self._api = self._load()
            return self._api

    def _load(self) -> Any:
        where = self.kubeconfig or "KUBECONFIG or ~/.kube/config"
        if self.kubeconfig and not Path(self.kubeconfig).exists():
            hint = "cluster.kubeconfig in the target file names it; `make lab` or `make sandbox` writes theirs"
            raise InputError(f"kubeconfig {where} does not exist", hint)
        learn_kubeconfig(self.kubeconfig)
        try:
            configuration = kubernetes_client.Configuration()
            configuration.connection_pool_maxsize = 32
            kubernetes_config.load_kube_config(  # type: ignore[no-untyped-call] # the client ships no types
                config_file=self.kubeconfig or None, context=self.context, client_configuration=configuration,
                persist_config=False,
            )  # fmt: skip
        except kubernetes_config.ConfigException as error:
            hint = "`kubectl config get-contexts` lists what there is; for the lab: make lab"
            if "/contexts list" in str(error):
                raise InputError(f"there is no context {self.context!r} in {where}", hint) from None
            raise InputError(f"context {self.context!r} is not usable from {where}: {error}", hint) from None
        except Exception as error:  # noqa: BLE001 - a file that is no kubeconfig ends in any exception of its parser
            said = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError(
                f"{where} is not a kubeconfig: {said}", "see cluster.kubeconfig in the target file"
            ) from None
        learn_configuration(configuration)
        if _is_loopback(configuration.host):
            configuration.proxy = None  # as kubectl does: a proxy of the environment cannot reach this machine
        return kubernetes_client.ApiClient(configuration)


def _changes(method: str, path: str, query: Mapping[str, str]) -> bool:
    """Whether a request of that kind, once sent, may have changed something."""
    return method not in ("GET", "HEAD") and not query.get("dryRun") and not path.endswith(_REVIEWS)


def _never_sent(error: BaseException) -> bool:
    """Whether there was no connection over which the request could have gone."""
    return isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ConnectTimeoutError)


def _unanswered(method: str, path: str, said: str) -> UnansweredError:
    hint = "nobody knows whether it was done, or will be: it is looked for again"
    return UnansweredError(f"{method} {path}: {said}", hint)


def _is_loopback(url: str) -> bool:
    """Whether that is this machine, by a name or address that never leaves it."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False  # another name


def _read(response: Any) -> bytes:
    try:
        return cast(bytes, response.read())
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise UnreachableError(f"the API server's answer broke off: {_short(error)}") from None
    finally:
        response.release_conn()


def _lines(response: Any) -> Iterator[bytes]:
    """Lines as soon as they arrive: `read1` returns what is there instead of waiting for a full buffer."""
    rest = b""
    while chunk := response.read1(1 << 16):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line for line in whole if line.strip())


def _json_object(text: bytes) -> Object | None:
    """The JSON object that the text is, or None if it is something else."""
    try:
        found = json.loads(text)
    except ValueError:  # also bytes that are no UTF-8
        return None
    return found if isinstance(found, dict) else None


def _event(line: bytes, what: str) -> tuple[str, Object]:
    """Type and object of one line of a watch."""
    event = _json_object(line) or {}
    kind, item = event.get("type"), event.get("object")
    whole = isinstance(item, dict) and (kind == "ERROR" or (item.get("metadata") or {}).get("resourceVersion"))
    if not whole:
        raise UnreachableError(f"{what} said something that is no event: {_first(line)}", _STRANGER)
    return str(kind), cast(Object, item)


def _first(text: bytes) -> str:
    """As much of a strange answer as a person needs to guess who gave it."""
    return repr(text[:_SHOWN].decode(errors="replace")) + ("..." if len(text) > _SHOWN else "")


def _api_error(status: int, text: str, what: str) -> ApiError:
    try:
        answer = json.loads(text)
        message, reason = str(answer.get("message", text)), str(answer.get("reason", ""))
    except (json.JSONDecodeError, AttributeError):
        message, reason = text[:300], ""
    hint = "rollproof doctor lists the rights that are needed" if status in (401, 403) else ""
    return ApiError(f"{what}: {status} {reason} {message}".strip(), hint, status=status, reason=reason)


def _short(error: BaseException) -> str:
    return str(error).split("(Caused by ")[-1].strip(")") or type(error).__name__
