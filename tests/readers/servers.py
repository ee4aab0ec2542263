"""Readers that are servers: started on a free port of 127.0.0.1, waited for, and ended."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["free_port", "serving"]

_START_S = 60.0
_STOP_S = 30.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def serving(*command: str | Path, port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program, from its first HTTP answer on, whatever its status; ended and waited for afterwards."""
    with log.open("wb") as out, subprocess.Popen([str(one) for one in command], stdout=out, stderr=out) as process:
        try:
            deadline_s = time.monotonic() + _START_S
            while not _answers(port):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline_s, f"no answer in {_START_S:.0f} s: {log.read_text()}"
                time.sleep(0.05)
            yield process
        finally:
            process.terminate()
            process.wait(_STOP_S)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
