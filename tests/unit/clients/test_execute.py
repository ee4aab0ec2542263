"""Exec and port-forward by WebSocket against a small server that speaks the frames of v4.channel.k8s.io."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from fakeapi import FakeApi, _kubeconfig

from rollproof.clients.execute import Executed
from rollproof.clients.kube import ApiError, Kube, LostAnswerError, UnreachableError

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
Script = Callable[[Callable[[bytes], None]], None]


def frame(payload: bytes, opcode: int = 2) -> bytes:
    size = bytes((len(payload),)) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2, "big")
    return bytes((0x80 | opcode,)) + size + payload


@contextmanager
def serving(folder: Path, script: Script, asked: list[str]) -> Iterator[Kube]:
    """One connection: the handshake, then what the script sends."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(4096)
            lines = head.decode().split("\r\n")
            asked.append(lines[0])
            key = next(line.partition(": ")[2] for line in lines if line.lower().startswith("sec-websocket-key"))
            accept = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()  # noqa: S324 - RFC 6455
            answer = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
            answer += [f"Sec-WebSocket-Accept: {accept}", "Sec-WebSocket-Protocol: v4.channel.k8s.io", "", ""]
            connection.sendall("\r\n".join(answer).encode())
            with suppress(ConnectionError):  # who has enough of it closes
                script(connection.sendall)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(4096):  # else closing it resets it, with what was sent
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(_kubeconfig(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    yield Kube("fake", str(kubeconfig))
    thread.join(60)
    listener.close()


def status(**fields: Any) -> bytes:
    return frame(b"\x03" + json.dumps({"kind": "Status", **fields}).encode())


CLOSE = frame((1000).to_bytes(2, "big"), 8)
FAILED = {"status": "Failure", "reason": "NonZeroExitCode", "message": "command terminated with exit code 137"}


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([frame(b"\x01one "), frame(b"\x02two"), status(status="Success"), CLOSE], Executed(0, "one two")),
        (
            [status(**FAILED, details={"causes": [{"reason": "ExitCode", "message": "137"}]}), CLOSE],
            Executed(137),
        ),
        ([frame(b"\x01half")], Executed(None, "half")),
        ([CLOSE], Executed(None)),
        (
            [status(status="Failure", reason="InternalError", message='exec: "sh": not found'), CLOSE],
            Executed(None, refused='exec: "sh": not found'),
        ),
    ],
)
def test_what_a_command_came_to(sent: list[bytes], expected: Executed, tmp_path: Path) -> None:
    asked: list[str] = []
    with serving(tmp_path, lambda send: [send(one) for one in sent] and None, asked) as kube:
        assert kube.pod_exec("shop", "web-1", "web", ("sh", "-c", "kill -0 1"), timeout_s=60) == expected
    wanted = "/api/v1/namespaces/shop/pods/web-1/exec?command=sh&command=-c&command=kill+-0+1&container=web"
    assert asked[0].startswith(f"GET {wanted}&stdout=1&stderr=1 ")


def test_what_never_ends_is_ended_and_may_have_been_done(tmp_path: Path) -> None:
    end = threading.Event()
    with serving(tmp_path, lambda _: end.wait(60) and None, []) as kube:
        with pytest.raises(LostAnswerError):
            kube.pod_exec("shop", "web-1", "web", ("true",), timeout_s=1.5)
        end.set()


@pytest.mark.parametrize("sent", [frame(b"\x09odd"), frame(b"\x03no JSON") + CLOSE])
def test_what_is_not_the_protocol_is_no_answer(sent: bytes, tmp_path: Path) -> None:
    with serving(tmp_path, lambda send: send(sent), []) as kube, pytest.raises(UnreachableError):
        kube.pod_exec("shop", "web-1", "web", ("true",), timeout_s=60)


def test_a_refusal_is_an_api_error(tmp_path: Path) -> None:
    api = FakeApi()
    with api.serve(tmp_path) as kubeconfig:
        api.refuse_next("/exec", 403)
        with pytest.raises(ApiError) as caught:
            Kube("fake", str(kubeconfig)).pod_exec("shop", "web-1", "web", ("true",), timeout_s=60)
    assert caught.value.status == 403


def test_nobody_there_was_surely_not_done(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(_kubeconfig("http://127.0.0.1:1"))
    with pytest.raises(UnreachableError) as caught:
        Kube("fake", str(kubeconfig)).pod_exec("shop", "web-1", "web", ("true",), timeout_s=10)
    assert not isinstance(caught.value, LostAnswerError)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


@pytest.mark.parametrize("before", [b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"])
@pytest.mark.parametrize(("body", "whole"), [(b"0123456789", True), (b"01234", False)])
def test_what_a_pod_answers_by_port_forward(before: bytes, body: bytes, whole: bool, tmp_path: Path) -> None:
    port = (80).to_bytes(2, "little")
    sent = [frame(b"\x00" + port), frame(b"\x01" + port), frame(b"\x00" + before + HEAD + body), CLOSE]
    with serving(tmp_path, lambda send: [send(one) for one in sent] and None, []) as kube:
        if whole:
            assert kube.pod_forward("shop", "web-1", 80, "/health", timeout_s=60) == (200, body)
        else:
            with pytest.raises(UnreachableError, match="IncompleteRead"):
                kube.pod_forward("shop", "web-1", 80, "/health", timeout_s=60)
