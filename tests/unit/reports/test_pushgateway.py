"""Metrics to a Pushgateway: one PUT of what `--format prom` prints; refused or absent, a clear message and exit 3."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from rollproof.errors import CannotJudgeError, InputError
from rollproof.reports.exports import export, sender
from rollproof.reports.model import Report
from rollproof.run.exporting import send_run


@dataclass
class Gateway:
    """Answers every PUT with one status and body, and keeps what came."""

    status: int = 200
    body: bytes = b""
    url: str = ""
    paths: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    logins: list[str | None] = field(default_factory=list)


@contextmanager
def gateway(status: int = 200, body: bytes = b"") -> Iterator[Gateway]:
    found = Gateway(status, body)

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            found.paths.append(self.path)
            found.logins.append(self.headers["Authorization"])
            found.bodies.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(found.status)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        found.url = f"http://127.0.0.1:{server.server_port}"
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_one_put_replaces_the_group_of_the_target(report: Report) -> None:
    with gateway() as found:
        said = sender("prom")(report, f"{found.url}/below/", "")
    assert found.paths == ["/below/metrics/job/rollproof/target/lab"]
    assert found.bodies == [export(report, "prom")]
    assert found.logins == [None]
    assert said.endswith(f"replaced what {found.url}/below/metrics/job/rollproof/target/lab had")


@pytest.mark.parametrize(("name", "group"), [
    ("shop staging", "target/shop%20staging"), ("a/b", "target@base64/YS9i"), ("größe", "target/gr%C3%B6%C3%9Fe"),
    ("..", "target@base64/Li4="), (".", "target@base64/Lg=="), ("...", "target/..."), ("a?b#c", "target/a%3Fb%23c"),
])  # fmt: skip
def test_a_name_that_a_url_cannot_hold_is_encoded(report: Report, name: str, group: str) -> None:
    named = replace(report, plan=replace(report.plan, target=replace(report.plan.target, name=name)))
    with gateway() as found:
        sender("prom")(named, found.url, "")
    assert found.paths == [f"/metrics/job/rollproof/{group}"]


@pytest.mark.parametrize(("status", "reason"), [
    (400, r"HTTP status 400: pushed metrics are invalid or inconsistent"),
    (401, r"HTTP status 401"), (302, r"a redirect is not followed"), (500, r"HTTP status 500"),
])  # fmt: skip
def test_what_is_not_accepted_is_said(report: Report, status: int, reason: str) -> None:
    said = b"pushed metrics are invalid or inconsistent\n"
    with gateway(status, said) as found, pytest.raises(CannotJudgeError, match=reason) as told:
        sender("prom")(report, found.url, "")
    assert len(found.paths) == 1, "no second try"
    assert (told.value.exit_code, bool(told.value.hint)) == (3, True)


def test_no_gateway_is_said(report: Report) -> None:
    with gateway() as found:
        pass
    with pytest.raises(CannotJudgeError, match=r"did not accept the metrics: connect\.refused") as told:
        sender("prom")(report, found.url, "")
    assert "is a Pushgateway listening there?" in told.value.hint


@pytest.mark.parametrize("endpoint", [
    "127.0.0.1:9091", "ftp://x", "http://", "http://[", "http://x:99999", "http://me:hidden-pass@127.0.0.1:1",
    "http://127.0.0.1:1?token=hidden-pass", "http://127.0.0.1:1#hidden-pass",
])  # fmt: skip
def test_an_endpoint_that_is_none_or_holds_a_login_is_refused(report: Report, endpoint: str) -> None:
    with pytest.raises(InputError) as told:
        sender("prom")(report, endpoint, "")
    assert told.value.exit_code == 2
    assert "hidden-pass" not in f"{told.value} {told.value.hint}"


def test_a_login_is_named_and_never_shown(
    report: Report, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("rollproof.run.exporting.judge_run", lambda _: report)
    monkeypatch.setattr("rollproof.run.exporting.RunFolder.open", lambda _: _Nothing())
    monkeypatch.setenv("PUSH_USER", "ci")
    monkeypatch.setenv("PUSH_PASSWORD", "s3cr3t-of-the-gateway")
    variables = ("PUSH_USER", "PUSH_PASSWORD")
    login = "Basic " + base64.b64encode(b"ci:s3cr3t-of-the-gateway").decode()
    with gateway() as found:
        send_run(tmp_path, "prom", found.url, variables)
    assert found.logins == [login]
    with gateway(401, f"{login} s3cr3t-of-the-gateway".encode()) as found, pytest.raises(CannotJudgeError) as told:
        send_run(tmp_path, "prom", found.url, variables)
    shown = f"{told.value} {told.value.hint} {capsys.readouterr().out}"
    assert "s3cr3t" not in shown
    assert login.partition(" ")[2] not in shown


def test_a_variable_that_is_not_set_is_refused_before_anything_is_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PUSH_USER", raising=False)
    with pytest.raises(InputError, match="--basic-auth-env names the environment variable PUSH_USER"):
        send_run(tmp_path / "no-such-run", "prom", "http://127.0.0.1:1", ("PUSH_USER", "PUSH_PASSWORD"))


class _Nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...
