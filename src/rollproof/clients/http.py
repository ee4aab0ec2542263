"""Http: single questions to the app, one attempt each, over a new connection each. The only importer of httpx.

For proofs, not for load: an answer is what the app said, an error is an error class, and no status code is invented.
Redirects are not followed: an app that redirects is not at the place that the target file names.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from jsonpointer import JsonPointer, JsonPointerException

from rollproof.core.target import App
from rollproof.errors import InputError

__all__ = ["Answer", "Http", "pointed", "request", "request_headers"]


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
        document = json.loads(body)
    except ValueError:
        raise LookupError(f"the body is not JSON: {body[:80]!r}") from None
    try:
        return JsonPointer(pointer).resolve(document)
    except JsonPointerException as error:
        raise LookupError(f"no {pointer} in the body: {error}") from None


def request_headers(app: App, environ: Mapping[str, str]) -> dict[str, str]:
    """Host, and the headers that the target file takes from the environment. InputError names a missing variable."""
    headers = {"Host": app.host} if app.host else {}
    for name, variable in app.headers_env.items():
        headers[name] = _variable(environ, variable, f"app.headers_env {name}")
    if app.basic_auth_env:
        user, password = (_variable(environ, variable, "app.basic_auth_env") for variable in app.basic_auth_env)
        headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return headers


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
    def _tls(app: App) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=app.ca_file or None)
            if app.client_cert_file:
                context.load_cert_chain(app.client_cert_file, app.client_key_file or None)
        except (OSError, ssl.SSLError) as error:
            message = f"app.ca_file or app.client_cert_file cannot be used: {error}"
            raise InputError(message, "both must be PEM files that this user may read") from None
        return context

    def get(self, path: str) -> Answer:
        """One GET of `path` below the base URL."""
        return self.ask(f"{self._base_url}{path}", self._headers)

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
    body: bytes = b"",
) -> Answer:  # fmt: skip
    """One request over a new connection, without redirect, retry or proxy from the environment."""
    context = verify or ssl.create_default_context()
    try:
        with httpx.Client(verify=context, timeout=timeout_s, trust_env=False) as client:
            answer = client.request(method, url, headers={**headers, "Connection": "close"}, content=body)
    except httpx.HTTPError as error:
        return Answer(status=None, error=_error_class(error))
    return Answer(status=answer.status_code, body=answer.content, headers=dict(answer.headers))


def _error_class(error: httpx.HTTPError) -> str:
    """The taxonomy's word (measurement.md section 5) with the library's own text."""
    text = str(error)
    if isinstance(error, httpx.ConnectTimeout):
        return "connect.timeout"
    if isinstance(error, httpx.TimeoutException):
        return "read.timeout"
    if isinstance(error, httpx.ConnectError):
        kind = "tls" if "SSL" in text or "certificate" in text else "dns" if "Name or service" in text else "refused"
        return f"connect.{kind}: {text}"
    return f"read.{type(error).__name__}: {text}"
