import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import docker


@contextlib.contextmanager
def _daemon(path: Path, answer: bytes) -> Iterator[threading.Thread]:
    """A server that answers one question after the other as a Docker daemon would; gives its thread.

    It is shut down and joined, not only closed: a thread that still waits in accept() when its socket is closed waits
    on the bare descriptor number, and would take (and answer!) a connection of whatever listener gets that number next,
    as soon as the kernel restarts the call, for example after a pause of the machine.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            with line:
                line.recv(1024)
                line.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        server.shutdown(socket.SHUT_RDWR)
        thread.join(timeout=60)
        server.close()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A socket's path must be short."""
    folder = tmp_path_factory.mktemp("s")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


@pytest.mark.usefixtures("short")
def test_our_own_daemon_is_found_when_it_answers() -> None:
    with _daemon(docker.folder() / "docker.sock", b"HTTP/1.0 200 OK\r\n\r\nOK"):
        found = docker.find()
    assert found is not None
    assert found.own


def test_a_socket_without_a_daemon_is_no_daemon(short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _daemon(docker.folder() / "docker.sock", b"") as server:
        pass
    assert not server.is_alive()  # else it may answer for another test's server
    monkeypatch.setenv("DOCKER_HOST", f"unix://{short}/nobody.sock")
    assert docker.find() is None


@pytest.mark.parametrize(("lacking", "usable"), [(0, True), (1 << 24, False)])
def test_somebody_elses_daemon_is_used_only_where_it_can_run_the_nodes(
    short: Path, monkeypatch: pytest.MonkeyPatch, lacking: int, usable: bool
) -> None:
    monkeypatch.setattr(docker, "lacking_capabilities", lambda: lacking)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{short}/other.sock")
    with _daemon(short / "other.sock", b"HTTP/1.0 200 OK\r\n\r\nOK"):
        found = docker.find()
    assert (found is not None) is usable
    if found is not None:
        assert not found.own


@pytest.mark.usefixtures("short")
def test_only_processes_that_name_our_folder_are_ours() -> None:
    assert docker._daemon_pid(str(docker.folder())) == []
    assert docker._shim_pids(str(docker.folder())) == []
