"""The generator against the fault server: what was done is what is reported, class by class, and nothing else."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import answers, hostile

from load.failuremodes import GOOD
from rollproof.core.event import Event, Outcome
from rollproof.core.intervals import blind_gaps
from rollproof.core.requests import RequestLog
from rollproof.core.target import App, Control, Traffic
from rollproof.loadgen import LoadSession
from rollproof.loadgen.child import Child, LoadError
from rollproof.loadgen.code import script
from rollproof.loadgen.record import read_record
from rollproof.loadgen.selftest import FAILURE_MODES

HERE = Path(__file__).parent

# test_selftest.py starts them as a run does.
pytestmark = [pytest.mark.processes, pytest.mark.usefixtures("forked_scripts")]


class Notes:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.events: dict[str, Mapping[str, Any]] = {}

    def record(
        self, source: str, subject: str, what: str, *, outcome: Outcome = Outcome.OK, start_s: float | None = None,
        end_s: float | None = None, data: Mapping[str, Any] | None = None,
    ) -> Event:  # fmt: skip
        self.events[what] = data or {}
        return Event(1, start_s or 0.0, end_s or 0.0, "", "", source, subject, what, outcome, data or {})


@pytest.fixture
def server() -> Iterator[Child]:
    with Child(script("faultserver.py")) as child:
        child.wait("ready", timeout_s=60)
        yield child


@contextlib.contextmanager
def engine(record: Path, lanes: list[dict[str, Any]], **settings: Any) -> Iterator[Child]:
    """A running generator; its schedule has begun."""
    with Child(script("engine.py")) as child:
        rest = {"rate_per_s": 200.0, "timeout_s": 10.0, "max_duration_s": 30.0, **settings}
        child.tell({"lanes": lanes, "record": str(record), **rest})
        child.wait("started", timeout_s=60)
        yield child


def run(record: Path, lanes: list[dict[str, Any]], *, seconds: float = 0.3, **settings: Any) -> RequestLog:
    with engine(record, lanes, max_duration_s=seconds, **settings) as child:
        child.wait("done", timeout_s=60)
    return read_record(record)


def lane(url: str, **changes: Any) -> dict[str, Any]:
    return {"name": "keepalive-get", "url": url, "share": 1, **changes}


def outcomes(log: RequestLog) -> Counter[str]:
    return Counter(log.outcomes[i] for i in log.rows["outcome"])


def test_the_self_test_ends_a_session_with_a_client_that_retries_in_secret(tmp_path: Path) -> None:
    notes = Notes()
    session = LoadSession(
        App(base_url="http://127.0.0.1:1"), Traffic(), None, notes, tmp_path, engine=HERE / "retrying_engine.py"
    )
    with pytest.raises(LoadError, match=r"failed its self-test.*read\.ECONNRESET: \d+ done"):
        session.self_test()
    assert notes.events["self-test"]["passed"] is False
    done, reported = notes.events["self-test"]["classes"]["read.ECONNRESET"]
    assert reported < done


def test_a_session_from_start_to_record(server: Child, tmp_path: Path) -> None:
    app = App(
        base_url=f"http://127.0.0.1:{server.newest('ready')}", post_path="/echo", slow_path="/slow",
        version_header="X-Version", served_by_header="X-Served-By",
    )  # fmt: skip
    notes = Notes()
    control = Control(url=f"http://127.0.0.1:{server.newest('ready')}/control")
    with LoadSession(app, Traffic(rate_per_s=300.0), control, notes, tmp_path, drill="drill") as session:
        session.start()
        pid = session.pid
        server.tell({"failures": {"http-503": 12}, "every": 3})
        server.wait("inflicted", timeout_s=60)
        log = session.stop()
    assert pid is not None
    assert not Path(f"/proc/{pid}").exists()
    assert set(log.lanes) == {"keepalive-get", "new-get", "keepalive-post", "control", "slow"}
    assert outcomes(log)["http.503"] == 12
    assert log.versions == ("", "v1")
    assert log.pods == ("", "fault-server")
    assert log.engine.locust_requests == len(log.rows) == notes.events["stopped"]["requests"]
    open_loop = log.rows["k"] < 1 << 30
    assert log.engine.planned == log.engine.dispatched == int(open_loop.sum())
    assert sorted(log.rows["k"][open_loop]) == list(range(log.engine.planned))
    assert np.all(np.diff(log.rows["send_ns"]) >= 0)
    assert np.all(log.rows["send_ns"] >= log.rows["intended_ns"])
    new = log.rows["lane"] == log.lanes.index("new-get")
    assert np.all(log.rows["connected_ns"][new] > 0)
    assert not np.any(log.rows["reused"][new])
    assert "<html" in (tmp_path / "locust-drill.html").read_text(encoding="utf-8")[:500]


def test_a_version_that_is_expected_but_not_there_is_a_wrong_body(server: Child, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{server.newest('ready')}/"
    wrong = run(tmp_path / "a.npz", [lane(url, version="expected")], version_pointer="/nowhere")
    assert set(outcomes(wrong)) == {"body.wrong"}
    right = run(tmp_path / "b.npz", [lane(url, version="expected")], version_pointer="/version")
    assert set(outcomes(right)) == {""}
    assert right.versions == ("", "v1")


def test_an_answer_that_no_parser_can_bear_does_not_end_the_load(tmp_path: Path) -> None:
    """Python's JSON parser runs out of stack: the target's answer, not the generator's failure."""
    body = b"[" * 200_000
    with hostile(answers(body)) as url:
        lanes = [lane(url, version="expected", new_connection=True)]
        log = run(tmp_path / "a.npz", lanes, rate_per_s=20.0, version_pointer="/version")
    assert set(outcomes(log)) == {"body.wrong"}


def test_names_that_do_not_resolve_and_ports_that_swallow(server: Child, tmp_path: Path) -> None:
    swallowing = f"http://127.0.0.1:{server.newest('swallowing')}/"
    swallowed = run(tmp_path / "a.npz", [lane(swallowing, new_connection=True)], timeout_s=0.3)
    assert set(outcomes(swallowed)) == {"connect.timeout"}
    nameless = run(tmp_path / "b.npz", [lane("http://nosuch.invalid/", new_connection=True)])
    assert set(outcomes(nameless)) == {"connect.dns"}


def test_too_many_in_flight_are_dropped_and_counted(server: Child, tmp_path: Path) -> None:
    swallowing = f"http://127.0.0.1:{server.newest('swallowing')}/"
    log = run(tmp_path / "r.npz", [lane(swallowing)], in_flight_max=5, timeout_s=1.0)
    assert len(log.rows) == 5
    assert log.engine.dropped == log.engine.planned - 5 > 0


def test_there_is_room_for_all_connections_before_they_are_needed(server: Child, tmp_path: Path) -> None:
    """A table of open files that has to grow holds the whole process up, just when connections pile up."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] <= 3500:
        pytest.skip("this machine does not allow so many files")
    url = f"http://127.0.0.1:{server.newest('ready')}/"
    with engine(tmp_path / "r.npz", [lane(url)], in_flight_max=3000) as child:
        status = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
        child.tell({"stop": True})
        child.wait("done", timeout_s=60)
    assert int(status.partition("FDSize:")[2].split()[0]) > 3000


def test_connections_are_at_hand_before_the_first_request(server: Child, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{server.newest('ready')}/"
    log = run(tmp_path / "r.npz", [lane(url)])
    assert log.rows["reused"][0]
    assert not log.rows["stale"][0]
    assert 0 < log.rows["idle_ms"][0] < 20_000


def test_a_rate_below_one_a_second_is_kept(server: Child, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{server.newest('ready')}/"
    log = run(tmp_path / "r.npz", [lane(url)], rate_per_s=0.5, seconds=2.3)
    assert log.engine.planned == 2
    assert np.diff(log.rows["intended_ns"])[0] == 2_000_000_000


def test_an_address_of_ipv6(tmp_path: Path) -> None:
    try:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    ended = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while not ended.is_set():
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    log = run(tmp_path / "r.npz", [lane(f"http://[::1]:{listener.getsockname()[1]}/", new_connection=True)])
    ended.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(60)
    assert set(outcomes(log)) == {""}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=shop.test", "-addext", "subjectAltName=DNS:shop.test,IP:127.0.0.1", "-keyout", str(key),
         "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def test_tls_is_verified_and_closed_connections_are_seen(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    with Child(script("faultserver.py"), "--tls", *map(str, certificate)) as tls_server:
        url = f"https://127.0.0.1:{tls_server.wait('ready', timeout_s=60)}/"
        trusted = {"ca_file": str(certificate[0])}
        lanes = [lane(url), lane(url, name="new-get", new_connection=True)]
        with engine(tmp_path / "good.npz", lanes, tls=trusted) as child:
            tls_server.tell({"failures": {"close-when-idle": 3, "http-502": 2}, "every": 3})
            tls_server.wait("inflicted", timeout_s=60)
            child.tell({"stop": True})
            child.wait("done", timeout_s=60)
        good = read_record(tmp_path / "good.npz")
        assert outcomes(good)["http.502"] == 2
        assert set(outcomes(good)) == {"", "http.502"}
        assert np.any(good.rows["reused"])
        assert set(outcomes(run(tmp_path / "untrusted.npz", lanes))) == {"connect.tls"}
        named = [lane(url, host="other.test")]
        assert set(outcomes(run(tmp_path / "named.npz", named, tls=trusted))) == {"connect.tls"}
        named = [lane(url, host="shop.test")]
        assert set(outcomes(run(tmp_path / "right.npz", named, tls=trusted))) == {""}


def test_over_tls_each_class_is_reported_as_often_as_it_was_done(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """As the self-test asks over plain TCP, on one lane with reused connections and one with new ones."""
    with Child(script("faultserver.py"), "--tls", *map(str, certificate)) as tls_server:
        url = f"https://127.0.0.1:{tls_server.wait('ready', timeout_s=60)}/"
        lanes = [lane(url, version="expected"), lane(url, name="new-get", new_connection=True, version="expected")]
        more = {"tls": {"ca_file": str(certificate[0])}, "version_header": "X-Version"}
        # A handshake is dear: at 200 a second a busy machine adds time-outs of its own to those that are asked for.
        with engine(tmp_path / "r.npz", lanes, rate_per_s=40.0, timeout_s=5.0, **more) as child:
            tls_server.tell({"failures": dict.fromkeys(FAILURE_MODES, 2), "every": 2})
            tls_server.wait("inflicted", timeout_s=60)
            child.tell({"stop": True})
            child.wait("done", timeout_s=60)
        refused = [lane(f"https://127.0.0.1:{tls_server.newest('refusing')}/")]
        swallowed = [lane(f"https://127.0.0.1:{tls_server.newest('swallowing')}/")]
        assert set(outcomes(run(tmp_path / "a.npz", refused, **more))) == {"connect.ECONNREFUSED"}
        assert set(outcomes(run(tmp_path / "b.npz", swallowed, timeout_s=0.3))) == {"connect.timeout"}
    log = read_record(tmp_path / "r.npz")
    reported = outcomes(log)
    del reported[""]
    assert reported == sum((Counter({outcome: 2}) for outcome in FAILURE_MODES.values() if outcome), Counter())
    assert np.any(log.rows["reused"])


def test_a_body_of_many_tls_records_is_read_to_its_end(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    """Each record may come by itself, and one that is only half there is nothing yet."""
    body = b"x" * 200_000
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with socket.create_server(("127.0.0.1", 0)) as listener, context.wrap_socket(listener, server_side=True) as secure:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = secure.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: ssl.SSLSocket) -> None:
            with connection, contextlib.suppress(OSError):
                while connection.recv(4096):
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
                    for at in range(0, len(body), 7000):
                        connection.sendall(body[at : at + 7000])

        threading.Thread(target=serve, daemon=True).start()
        lanes = [lane(f"https://127.0.0.1:{secure.getsockname()[1]}/")]
        log = run(tmp_path / "r.npz", lanes, rate_per_s=50.0, tls={"ca_file": str(certificate[0])})
        secure.shutdown(socket.SHUT_RDWR)
    assert set(outcomes(log)) == {""}
    assert np.any(log.rows["connection_requests"] > 0)


def test_an_answer_that_was_cut_says_whose_it_was(server: Child, tmp_path: Path) -> None:
    lanes = [lane(f"http://127.0.0.1:{server.newest('ready')}/")]
    names = {"version_header": "X-Version", "served_by_header": "X-Served-By"}
    with engine(tmp_path / "r.npz", lanes, **names) as child:
        server.tell({"failures": {"cut-length": 2}})
        server.wait("inflicted", timeout_s=60)
        child.tell({"stop": True})
        child.wait("done", timeout_s=60)
    log = read_record(tmp_path / "r.npz")
    cut = log.rows[log.rows["outcome"] == log.outcomes.index("read.truncated")]
    assert [(log.versions[row["version"]], log.pods[row["served_by"]]) for row in cut] == [("v1", "fault-server")] * 2


def test_a_connection_that_closes_when_idle_says_so_with_its_last_answer(server: Child) -> None:
    """Else a request could be sent in between, and the self-test would count a loss that nobody ordered."""
    server.tell({"failures": {"close-when-idle": 200}})
    assert any(ends_with_its_answer(server) for _ in range(1000))  # until the order has been read
    assert all(ends_with_its_answer(server) for _ in range(199))


def ends_with_its_answer(server: Child) -> bool:
    """Whether, the moment that the answer to a request is whole, the connection has ended too."""
    with socket.create_connection(("127.0.0.1", server.newest("ready")), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        connection.setblocking(False)  # ask all the time: whoever waits is woken too late to see the gap
        heard = b""
        while len(heard) < len(GOOD):
            with contextlib.suppress(BlockingIOError):
                heard += connection.recv(len(GOOD) - len(heard))
        try:
            return connection.recv(1) == b""
        except BlockingIOError:
            return False


def test_sigterm_means_finish_and_flush(server: Child, tmp_path: Path) -> None:
    record = tmp_path / "r.npz"
    with engine(record, [lane(f"http://127.0.0.1:{server.newest('ready')}/")]) as child:
        os.kill(child.pid, signal.SIGTERM)
        assert child.wait("done", timeout_s=60)["failures"] == 0
    assert read_record(record).engine.unfinished == 0


def test_when_the_parent_dies_the_load_ends_and_the_record_stays(server: Child, tmp_path: Path) -> None:
    record = tmp_path / "r.npz"
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, str(script("engine.py")), str(record), str(server.newest("ready"))],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    handle = os.pidfd_open(child)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert _ended(handle, timeout_s=60)
    assert len(read_record(record).rows) > 0


_PARENT = """
import json, subprocess, sys, time
engine, record, port = sys.argv[1:]
child = subprocess.Popen([sys.executable, engine], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
lanes = [{"name": "keepalive-get", "share": 1, "url": f"http://127.0.0.1:{port}/"}]
settings = {"lanes": lanes, "rate_per_s": 200, "timeout_s": 1, "max_duration_s": 60, "record": record}
child.stdin.write(json.dumps(settings) + "\\n")
child.stdin.flush()
for line in child.stdout:
    if "progress" in line:
        print(child.pid, flush=True)
"""


def _ended(handle: int, *, timeout_s: float) -> bool:
    """Whether the process has ended (a pidfd becomes readable then)."""
    ready, _, _ = select.select([handle], [], [], timeout_s)
    os.close(handle)
    return bool(ready)


def test_a_stall_of_the_generator_is_its_own_and_is_recorded(server: Child, tmp_path: Path) -> None:
    record = tmp_path / "r.npz"
    with engine(record, [lane(f"http://127.0.0.1:{server.newest('ready')}/")], timeout_s=1.0) as child:
        child.wait("progress", timeout_s=60)
        os.kill(child.pid, signal.SIGSTOP)
        server.tell({"windows": [{"at": 1.2, "for": 0.0, "mode": "pause"}]})  # fails nobody; the server's clock is used
        server.wait("windows", timeout_s=60)
        os.kill(child.pid, signal.SIGCONT)
        child.tell({"stop": True})
        child.wait("done", timeout_s=60)
    log = read_record(record)
    (gap,) = blind_gaps(log, window_ns=(log.engine.start_ns, log.engine.end_ns))
    assert gap.gap_ms > 1000
    assert gap.own_ms > 1000
    assert not set(outcomes(log)) - {"", "client.stalled"}  # nothing of it is blamed on the target


def test_the_locustfile_works_by_itself(server: Child) -> None:
    url = f"http://127.0.0.1:{server.newest('ready')}"
    command = [
        sys.executable, "-m", "locust", "-f", str(script("locustfile.py")), "--headless", "-t", "2s", "--host", url,
        "--rate-per-s", "100", "--post-path", "/echo", "--only-summary",
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert ended.returncode == 0, ended.stderr
    assert "keepalive-post" in ended.stderr


def test_settings_that_make_no_sense_are_one_clear_error(tmp_path: Path) -> None:
    with Child(script("engine.py")) as child:
        child.tell({"lanes": [lane("ftp://nowhere/")], "record": str(tmp_path / "r.npz"), "rate_per_s": 1.0,
                    "timeout_s": 1.0, "max_duration_s": 1.0})  # fmt: skip
        with pytest.raises(LoadError, match="http:// or https://"):
            child.wait("started", timeout_s=60)


def test_a_generator_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    dying = tmp_path / "dying.py"
    dying.write_text("import sys\nsys.stdin.readline()\nsys.exit('no more strength')\n", encoding="utf-8")
    app = App(base_url="http://127.0.0.1:1")
    with (
        LoadSession(app, Traffic(), None, Notes(), tmp_path, engine=dying) as session,
        pytest.raises(LoadError, match="code 1") as caught,
    ):
        session.start()
    assert "no more strength" in caught.value.hint


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    record = tmp_path / "r.npz"
    record.write_bytes(b"PK\x03\x04 but not much more")
    with pytest.raises(LoadError, match="cannot be read"):
        read_record(record)
