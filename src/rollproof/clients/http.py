"""Http: single questions to the app, one attempt each, over a new connection each.

For proofs, not for load: an answer is what the app said, an error is an error class, and no status code is invented.
Redirects are not followed: an app that redirects is not at the place that the target file names. Each question has
one deadline for all of its answer, and a limit of bytes.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import urllib3
from jsonpointer import JsonPointer, JsonPointerException

from rollproof.clients.exchange import MIB, BodyError, pools_by_scheme, read_body, said, time_out
from rollproof.core.outside import parsed, shown
from rollproof.core.target import App
from rollproof.errors import InputError, OutsideDataError

_BODY_MAX = 16 * MIB

__all__ = ["Answer", "Http", "basic_auth", "pointed", "request", "request_headers"]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, or the class of the error that came instead (then `status` is None)."""

    status: int | None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str = ""

    def field(self, pointer: str) -> Any:
        """The value at a JSON pointer of the body; LookupError with the reason if there is none."""
        return pointed(self.body, pointer)


def pointed(body: bytes, pointer: str) -> Any:
    """The value at a JSON pointer (RFC 6901) of a JSON text; LookupError with the reason if there is none."""
    try:
        document = parsed(body, "the body")
    except OutsideDataError:
        raise LookupError(f"the body is not JSON: {body[:80]!r}") from None
    try:
        return JsonPointer(pointer).resolve(document)
    except (JsonPointerException, TypeError) as error:
        raise LookupError(f"no {pointer} in the body: {shown(str(error))}") from None


def request_headers(app: App, environ: Mapping[str, str]) -> dict[str, str]:
    """Host, and the headers that the target file takes from the environment. InputError names a missing variable."""
    headers = {"Host": app.host} if app.host else {}
    for name, variable in app.headers_env.items():
        headers[name] = _variable(environ, variable, f"app.headers_env {name}")
    if app.basic_auth_env:
        headers["Authorization"] = basic_auth(app.basic_auth_env, environ, "app.basic_auth_env")
    return headers


def basic_auth(variables: Sequence[str], environ: Mapping[str, str], place: str) -> str:
    """The Authorization header of RFC 7617. variables: of the user and of the password; place: who named them.

    InputError names a missing variable.
    """
    user, password = (_variable(environ, variable, place) for variable in variables)
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _variable(environ: Mapping[str, str], variable: str, place: str) -> str:
    value = environ.get(variable)
    if not value:
        raise InputError(f"{place} names the environment variable {variable}, which is not set", f"export {variable}=…")
    return value


class Http:
    """Asks the app's base URL. Each `get` opens its own connection, so that a load balancer chooses anew."""

    def __init__(self, app: App, environ: Mapping[str, str], *, timeout_s: float = 5.0) -> None:
        self._base_url = app.base_url.rstrip("/")
        self._headers = request_headers(app, environ)
        self._timeout_s = timeout_s
        self._verify = self._tls(app)

    @staticmethod
    def _tls(app: App) -> ssl.SSLContext | None:
        """None for an app without TLS, of whose own nothing has to be read."""
        if not (app.ca_file or app.client_cert_file or app.base_url[:6].lower() == "https:"):
            return None
        try:
            context = ssl.create_default_context(cafile=app.ca_file or None)
            if app.client_cert_file:
                context.load_cert_chain(app.client_cert_file, app.client_key_file or None)
        except (OSError, ssl.SSLError) as error:
            message = f"app.ca_file or app.client_cert_file cannot be used: {error}"
            raise InputError(message, "both must be PEM files that this user may read") from None
        return context

    def get(self, path: str, *, host: str = "") -> Answer:
        """One GET of `path` below the base URL; host: in the Host header, instead of the app's."""
        return self.ask(f"{self._base_url}{path}", {**self._headers, "Host": host} if host else self._headers)

    def post(self, path: str) -> Answer:
        """One POST of an empty JSON object to `path` below the base URL, as the load's POST lane sends it."""
        headers = {**self._headers, "Content-Type": "application/json"}
        return request(
            "POST", f"{self._base_url}{path}", headers, verify=self._verify, timeout_s=self._timeout_s, body=b"{}"
        )

    def ask(self, url: str, headers: Mapping[str, str]) -> Answer:
        """One GET of any URL, with this target's TLS settings."""
        return request("GET", url, headers, verify=self._verify, timeout_s=self._timeout_s)


def request(
    method: str, url: str, headers: Mapping[str, str], *, verify: ssl.SSLContext | None = None, timeout_s: float = 5.0,
    body: bytes = b"", proxy: str = "",
) -> Answer:  # fmt: skip
    """One request over a new connection, without redirect or retry; `timeout_s` is for all of it.

    Through a proxy only if one is given: the load goes straight to the app, and so must what proves it.
    """
    options: dict[str, Any] = {}
    if any(one[:6].lower() == "https:" for one in (url, proxy)):  # what is trusted is read anew: 40 ms of CPU
        options["ssl_context"] = verify or ssl.create_default_context()
    pool = urllib3.ProxyManager(proxy, **options) if proxy else urllib3.PoolManager(**options)
    pool.pool_classes_by_scheme = pools_by_scheme()
    sent = {"User-Agent": "rollproof", "Accept": "*/*", "Accept-Encoding": "identity", **headers, "Connection": "close"}
    try:
        with pool:
            answer = pool.request(
                method, url, headers=sent, body=body or None, preload_content=False, redirect=False, retries=False,
                timeout=time_out(timeout_s),
            )  # fmt: skip
            try:
                content = read_body(answer, limit=_BODY_MAX)
            finally:
                answer.close()
    except (urllib3.exceptions.HTTPError, BodyError, OSError, ValueError) as error:
        return Answer(status=None, error=_error_class(error))
    heads = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(status=answer.status, body=content, headers=heads)


def _error_class(error: Exception) -> str:
    """The taxonomy's word (docs/measurement.md 5) with the library's own text."""
    if isinstance(error, BodyError):
        return f"read.body: {error}"
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return f"connect.dns: {said(error)}"
    if isinstance(error, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ProxyError):
        return f"connect.refused: {said(error)}"
    if isinstance(error, urllib3.exceptions.ConnectTimeoutError):
        return "connect.timeout"
    if isinstance(error, urllib3.exceptions.SSLError):
        return f"connect.tls: {said(error)}"
    if isinstance(error, urllib3.exceptions.ReadTimeoutError | TimeoutError):
        return "read.timeout"
    return f"read.{type(error).__name__}: {said(error)}"
