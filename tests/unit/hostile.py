"""A server of the tests' own on 127.0.0.1 that answers as no server should: raw bytes, while anybody listens."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Answering = Callable[[socket.socket], None]
CRC_OF_1_GIB_OF_ZEROS = 0x5B64C2B0
HEAD = b"HTTP/1.1 200 OK\r\n"
PATIENCE_S = 60.0  # far beyond any deadline of the tests, so that a client without one is seen by the test's own limit


def _for_ever(peer: socket.socket, begin: bytes, piece: bytes, pause_s: float) -> None:
    peer.sendall(begin)
    gone = threading.Event()
    while not gone.wait(pause_s):
        peer.sendall(piece)  # raises when the client has gone


def says(content: bytes) -> Answering:
    return lambda peer: peer.sendall(content)


def answers(body: bytes, *headers: str, status: str = "200 OK") -> Answering:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""])
    return says(head.encode() + body)


def bomb() -> bytes:
    """About 1 MB that becomes 1 GiB of zeros: one piece of a deflate stream, written 64 times."""
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = engine.compress(bytes(1 << 24)) + engine.flush(zlib.Z_FULL_FLUSH)
    end = engine.flush() + struct.pack("<II", CRC_OF_1_GIB_OF_ZEROS, 1 << 30)
    return gzip.compress(b"")[:10] + piece * 64 + end


HOSTILE: dict[str, Answering] = {
    "silence": lambda peer: _for_ever(peer, b"", b"", 0.05),
    "status line, a byte at a time": lambda peer: _for_ever(peer, b"HTTP/1.1 200 O", b"K", 0.02),
    "one header, a byte at a time": lambda peer: _for_ever(peer, HEAD + b"X-A: ", b"a", 0.02),
    "endless headers": lambda peer: _for_ever(peer, HEAD, b"X-A: a\r\n" * 50, 0.001),
    "endless interim answers": lambda peer: _for_ever(peer, b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001),
    "endless early hints": lambda peer: _for_ever(peer, b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 0.001),
    "body, a byte at a time": lambda peer: _for_ever(peer, HEAD + b"Content-Length: 100000\r\n\r\n", b"{", 0.02),
    "chunks, a byte at a time": lambda peer: _for_ever(
        peer, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n{\r\n", 0.02
    ),
    "a chunk size without an end": lambda peer: _for_ever(
        peer, HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 1000, 0.001
    ),
    "endless body": lambda peer: _for_ever(peer, HEAD + b"\r\n", b" " * (1 << 20), 0),
    "a body that says that it is huge": says(HEAD + b"Content-Length: 99999999999\r\n\r\n{}"),
    "a length that is no number": says(HEAD + b"Content-Length: many\r\n\r\n{}"),
    "a bomb": answers(bomb(), "Content-Encoding: gzip"),
    "an encoding that nobody asked for": answers(b"{}", "Content-Encoding: br"),
    "gzip that is none": answers(b"{}", "Content-Encoding: gzip"),
    "gzip that is cut off": answers(gzip.compress(b'{"version": "abc"}')[:-9], "Content-Encoding: gzip"),
    "cut off": says(HEAD + b"Content-Length: 100\r\n\r\n{"),
    "not HTTP": says(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a hang-up": says(b""),
}


@contextmanager
def hostile(answering: Answering) -> Iterator[str]:
    """Its URL. Every connection's request is read and then answered so."""
    server = socket.create_server(("127.0.0.1", 0))

    def one(peer: socket.socket) -> None:
        with peer, suppress(OSError):
            peer.settimeout(PATIENCE_S)
            while b"\r\n\r\n" not in peer.recv(1 << 16):
                pass
            answering(peer)

    def run() -> None:
        with suppress(OSError):
            while True:
                peer, _ = server.accept()
                threading.Thread(target=one, args=(peer,), daemon=True).start()

    threading.Thread(target=run, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def kubeconfig_of(url: str, folder: Path, **user: object) -> str:
    """A kubeconfig with the context `fake` for that URL."""
    path = folder / "kubeconfig-hostile"
    path.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": user or {"token": "t"}}],
        "contexts": [{"name": "fake", "context": {"cluster": "c", "user": "u"}}],
    }))  # fmt: skip
    return str(path)
