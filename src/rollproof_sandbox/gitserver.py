"""GitServer: bare repositories over git's smart HTTP, so that clone, fetch and push work as with a real server.
Everybody may read; a push needs the password. Git itself answers (`git http-backend`), and refuses what is not a
fast-forward. Must never interpret the content.
"""

from __future__ import annotations

import base64
import hmac
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from rollproof.errors import InputError
from rollproof_sandbox.git import Git, GitFailedError
from rollproof_sandbox.ports import not_had

__all__ = ["GitServer"]

_ADDRESS = "127.0.0.1"
_PUSH = "git-receive-pack"
_BODY_MAX = 64 << 20
_IDLE_S = 60
_QUIET = {"receive.autogc": "false", "gc.auto": "0"}  # no background process may outlive us


class GitServer:
    """Serves the bare repositories in `folder` as `http://127.0.0.1:<port>/<name>`. Port 0 takes a free one.

    InputError if the port is taken, or git is incomplete. `failed` collects unexpected errors.
    """

    def __init__(
        self, folder: Path, port: int, user: str, password: str, *, git: Git | None = None,
        failed: Callable[[BaseException], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.failed = failed
        self._git = git or Git()
        self._token = base64.b64encode(f"{user}:{password}".encode())
        self._user = user
        self._backend = _find_backend(self._git)
        try:
            self._server = _Server(self, port)
        except OSError as error:
            raise not_had("git", port, error.strerror) from None
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="git", daemon=True)

    def url(self, name: str) -> str:
        """The URL of a repository; `name` is its folder, such as `env.git`."""
        return f"http://{_ADDRESS}:{self.port}/{name}"

    def start(self) -> None:
        """Start serving."""
        self._thread.start()

    def stop(self) -> None:
        """Close the port and every connection."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def may_push(self, authorization: str) -> bool:
        """Whether an Authorization header has the password."""
        how, _, token = authorization.partition(" ")
        return how.lower() == "basic" and hmac.compare_digest(token.strip().encode(), self._token)

    def answer(
        self, environ: dict[str, str], body: bytes, *, trusted: bool
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """git's response to one request: status, headers and body."""
        done = self._git.serve(self._backend, self._environ(environ, trusted=trusted), body)
        head, end, rest = done.stdout.partition(b"\r\n\r\n")
        if not end:
            said = done.stderr.decode(errors="replace").strip() or f"exit {done.returncode}"
            return 500, [("Content-Type", "text/plain")], f"git http-backend: {said}\n".encode()
        status, headers = 200, []
        for line in head.decode("latin-1").split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "status":
                status = int(value.split()[0])
            else:
                headers.append((name, value.strip()))
        return status, headers, rest

    def _environ(self, environ: dict[str, str], *, trusted: bool) -> dict[str, str]:
        ours = {
            "GIT_PROJECT_ROOT": str(self.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": str(len(_QUIET)),
        }
        for number, (key, value) in enumerate(_QUIET.items()):
            ours[f"GIT_CONFIG_KEY_{number}"], ours[f"GIT_CONFIG_VALUE_{number}"] = key, value
        if trusted:
            ours["REMOTE_USER"] = self._user  # without it http-backend refuses a push
        return {**environ, **ours}


class _Server(ThreadingHTTPServer):
    """Keeps its connections, so that `server_close` leaves none open."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, git: GitServer, port: int) -> None:
        self.git = git
        self._open: set[socket.socket] = set()
        super().__init__((_ADDRESS, port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, peer = super().get_request()
        self._open.add(connection)
        return connection, peer

    def close_request(self, request: Any) -> None:
        self._open.discard(request)
        super().close_request(request)

    def server_close(self) -> None:
        super().server_close()
        for connection in tuple(self._open):
            with suppress(OSError):  # its thread closes it now, or has closed it
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """Ignore a client that has disconnected; everything else is an unexpected error."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.git.failed(error)


class _Handler(BaseHTTPRequestHandler):
    """One connection: CGI as git asks for it."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE_S
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - named by http.server
        """Requests are not logged."""

    def _serve(self) -> None:
        path, _, query = self.path.partition("?")
        body = self._body()
        if body is None:
            self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, [], b"")
            self.close_connection = True
            return
        authorization = self.headers.get("Authorization", "")
        trusted = self.server.git.may_push(authorization)
        wants_push = path.endswith(f"/{_PUSH}") or f"service={_PUSH}" in query
        if not trusted and (wants_push or authorization):
            self._send(HTTPStatus.UNAUTHORIZED, [("WWW-Authenticate", 'Basic realm="env"')], b"who are you?\n")
            return
        environ = {
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_ADDR": self.client_address[0],
        }
        try:
            status, headers, said = self.server.git.answer(environ, body, trusted=trusted)
        except GitFailedError as error:
            status, headers, said = 504, [], f"{error}\n".encode()
        self._send(status, headers, said)

    def _body(self) -> bytes | None:
        """The request's body; None if it is longer than allowed."""
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        length = int(self.headers.get("Content-Length") or 0)
        return self.rfile.read(length) if length <= _BODY_MAX else None

    def _chunks(self) -> bytes | None:
        parts, total = [], 0
        while size := int(self.rfile.readline(100).split(b";")[0], 16):
            total += size
            if total > _BODY_MAX:
                return None
            parts.append(self.rfile.read(size))
            self.rfile.readline(100)
        while self.rfile.readline(1000).strip():
            pass
        return b"".join(parts)

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _find_backend(git: Git) -> Path:
    git.check()
    backend = Path(git.run("--exec-path").decode().strip()) / "git-http-backend"
    if not backend.is_file():
        raise InputError(f"git has no http-backend: {backend} is missing", "install git whole, not a minimal build")
    return backend
