"""Pod ways: what the API server fetches from pods for its clients: logs, and responses through pods/proxy."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass

from rollproof_sandbox.api import errors
from rollproof_sandbox.api.kinds import KINDS
from rollproof_sandbox.api.store import Object, Store, StoreError

__all__ = ["LogOf", "PodAnswer", "pod_log", "pod_proxy"]

LogOf = Callable[[str, str, str, int], str]  # namespace, pod, container, the last so many seconds (0: all)
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class PodAnswer:
    """The response of a pod."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def pod_log(store: Store, log_of: LogOf, namespace: str, name: str, container: str, since_s: int) -> str:
    """The text of the log; StoreError for a pod or container that does not exist."""
    pod = _pod(store, namespace, name)
    names = [one["name"] for one in pod["spec"]["containers"]]
    if container and container not in names:
        raise errors.bad_request(f"container {container} is not valid for pod {name}")
    return log_of(namespace, name, container or names[0], since_s)


def pod_proxy(store: Store, namespace: str, place: str, method: str, path: str, body: bytes) -> PodAnswer:
    """One request to a pod; `place` is name or name:port. StoreError 503 when it cannot be reached."""
    name, _, port = place.partition(":")
    pod = _pod(store, namespace, name)
    address = str((pod.get("status") or {}).get("podIP", ""))
    if not address:
        raise errors.bad_request("address not allowed")
    connection = http.client.HTTPConnection(address, int(port or _first_port(pod)), timeout=_TIMEOUT_S)
    try:
        connection.request(method, path, body=body or None)
        answer = connection.getresponse()
        headers = tuple((key, value) for key, value in answer.getheaders() if key.lower() not in _HOP_BY_HOP)
        return PodAnswer(answer.status, headers, answer.read())
    except (OSError, http.client.HTTPException) as error:
        where = f"dial tcp {address}:{connection.port}: {error}"
        raise StoreError(503, "ServiceUnavailable", f"error trying to reach service: {where}") from None
    finally:
        connection.close()


_HOP_BY_HOP = ("connection", "keep-alive", "transfer-encoding", "content-length")


def _pod(store: Store, namespace: str, name: str) -> Object:
    pod = store.get("Pod", namespace, name)
    if pod is None:
        raise errors.not_found(KINDS["Pod"], name)
    return pod


def _first_port(pod: Object) -> int:
    for container in pod["spec"]["containers"]:
        for port in container.get("ports", ()):
            return int(port["containerPort"])
    return 80
