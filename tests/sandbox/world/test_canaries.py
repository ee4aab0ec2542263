"""C4 over a whole run: an app that echoes the credentials it was sent, in every form; they are in nothing of the run.

tests/unit/redaction/test_canaries.py has each kind of secret and each door by itself.
"""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from canaries import echoes, found_in, texts_below
from drills import Person
from sandboxes import Sandbox

PASSWORD, GATE = "c4nary-Pa55+/= 'x\"", "c4nary-gate-77a1b2c3"
SAID = [text for secret in (PASSWORD, GATE) for text in echoes(secret) if text.isascii() and text.isprintable()]
_PATIENCE_S = 250.0  # a run whose app fails takes the release back, and looks whether all is as before


class _Echo(BaseHTTPRequestHandler):
    """In front of the sandbox's ingress: its answers, and in them what was sent along."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    ingress: tuple[str, int]
    fails = False
    turn = itertools.count()

    def do_GET(self) -> None:
        number = next(self.turn)
        told = f"{self.headers.get('Authorization')} {self.headers.get('X-Gate')} {SAID[number % len(SAID)]}"
        way = http.client.HTTPConnection(*self.ingress, timeout=60)
        length = int(self.headers.get("Content-Length") or 0)
        kept = {name: self.headers[name] for name in ("Host", "X-Request-ID", "Content-Type") if name in self.headers}
        way.request(self.command, self.path, self.rfile.read(length) if length else None, kept)
        answer = way.getresponse()
        body, status = answer.read(), answer.status
        way.close()
        if self.fails and number % 20 == 0 and "X-Request-ID" in self.headers:  # the load, and no proof
            status, body = 500, told.encode()
        if body.startswith(b"{"):
            body = body.rstrip()[:-1] + b', "told": ' + json.dumps(told).encode() + b"}"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-App-Version", answer.headers.get("X-App-Version", "") if status == 200 else told[:100])
        self.send_header("X-Served-By", told)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - named by http.server

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def echoing(port: int, *, fails: bool) -> Iterator[int]:
    handler = type("Echo", (_Echo,), {"ingress": ("127.0.0.1", port), "fails": fails})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=partial(server.serve_forever, poll_interval=0.02), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def behind(target: Path, port: int) -> None:
    """The target file, with the echo in front and credentials for it."""
    text = target.read_text()
    base_url = next(line for line in text.splitlines() if line.startswith("base_url"))
    credentials = 'basic_auth_env = ["APP_USER", "APP_PASSWORD"]\nheaders_env = { "X-Gate" = "GATE" }'
    text = text.replace(base_url, f'base_url = "http://127.0.0.1:{port}"\n{credentials}')
    target.write_text(text.replace("rate_per_s = 200.0", "rate_per_s = 20.0\nresolution_ms = 5000.0"))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fails", [False, True], ids=["passes", "fails"])
def test_c4_no_canary_leaves_a_whole_run(
    sandbox: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    one = sandbox()
    one.up()
    me = Person(one)
    port = int(one.target.read_text().split('base_url = "http://127.0.0.1:')[1].split('"')[0])
    monkeypatch.setenv("APP_USER", "shop-bot")
    monkeypatch.setenv("APP_PASSWORD", PASSWORD)
    monkeypatch.setenv("GATE", f"{GATE}\n")
    with echoing(port, fails=fails) as front:
        behind(one.target, front)
        code, said = me.drill("zero-downtime", patience_s=_PATIENCE_S)
        asked, doctors = me.run("doctor", "--target", str(one.target), patience_s=_PATIENCE_S)
    assert code in ((1, 3) if fails else (0, 3)), said
    assert asked in (0, 3), doctors
    password = next(line for line in (one.folder / "credentials.env").read_text().splitlines() if "PASSWORD" in line)
    token = (one.folder / "kubeconfig").read_text().split('token": "')[-1].split('"')[0]
    texts = [*texts_below(me.folder), ("console", said), ("doctor", doctors)]
    assert any("[redacted]" in text for where, text in texts if where.endswith("npz, meta")), "it was echoed"
    secrets = [PASSWORD, GATE, password.partition("=")[2], token]
    assert all(len(secret) > 7 for secret in secrets)
    assert found_in(texts, secrets) == []
    assert me.holder() == ""
