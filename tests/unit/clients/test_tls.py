"""TLS by the target file: the CA that is named is believed, and the client certificate that is named is shown."""

from __future__ import annotations

import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from recorder import ListRecorder

from rollproof.clients.http import Http
from rollproof.core.target import App, Traffic
from rollproof.errors import InputError
from rollproof.loadgen import LoadSession
from tests.waiting import until

pytestmark = pytest.mark.processes

BODY = b'{"version": "abc"}'


def issued(folder: Path, name: str, *words: str) -> tuple[str, str]:
    """A certificate that vouches for itself, and its key."""
    cert, key = str(folder / f"{name}.pem"), str(folder / f"{name}.key")
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    made += ["-days", "2", "-subj", f"/CN={name}", *words, "-keyout", key, "-out", cert]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    return cert, key


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, *_: object) -> None:
        """A client that was refused hangs up: that is what is tested."""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app behind a server of a private CA that lets nobody in without the certificate of `person`."""
    folder = tmp_path_factory.mktemp("tls")
    ca_file, key = issued(folder, "server", "-addext", "subjectAltName=IP:127.0.0.1")
    person, person_key = issued(folder, "person")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca_file, key)
    context.load_verify_locations(person)
    context.verify_mode = ssl.CERT_REQUIRED
    server = _Server(("127.0.0.1", 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield App(
        base_url=f"https://127.0.0.1:{server.server_port}", ca_file=ca_file, client_cert_file=person,
        client_key_file=person_key,
    )  # fmt: skip
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_single_question_believes_the_ca_and_shows_the_certificate(gate: App) -> None:
    assert Http(gate, {}).get("/health").status == 200


def test_a_single_question_without_either_is_refused(gate: App) -> None:
    assert Http(replace(gate, ca_file=""), {}).get("/health").error.startswith("connect.tls")
    nobody = Http(replace(gate, client_cert_file="", client_key_file=""), {}).get("/health")
    assert nobody.status is None
    assert "certificate required" in nobody.error.lower()


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_a_server_whose_ca_nobody_named_is_refused_also_by_an_app_that_has_no_tls(gate: App, scheme: str) -> None:
    url = gate.base_url.replace("https", scheme)
    answer = Http(App(base_url="http://127.0.0.1:9"), {}).ask(f"{url}/", {})
    assert (answer.status, answer.error.partition(":")[0]) == (None, "connect.tls")


@pytest.mark.usefixtures("forked_scripts")
@pytest.mark.parametrize("shown", [True, False])
def test_the_load_shows_it_too(gate: App, tmp_path: Path, shown: bool) -> None:
    app = gate if shown else replace(gate, client_cert_file="", client_key_file="")
    with LoadSession(app, Traffic(rate_per_s=50.0), None, ListRecorder(), tmp_path, drill="drill") as session:
        session.start()
        until(lambda: session.progress()[0] > 0)
        log = session.stop()
    seen = {log.outcomes[row] for row in log.rows["outcome"]}
    assert (seen == {""}) is shown, seen


def test_a_certificate_that_is_none_is_named(gate: App) -> None:
    with pytest.raises(InputError, match=r"app\.client_cert_file cannot be used"):
        Http(replace(gate, client_key_file=gate.ca_file), {})
