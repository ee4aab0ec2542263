"""A process of its own for a command, without the price of starting Python: forked from one that has imported it all.

The child has its own standard streams, environment, working directory and signals, and ends as Python ends, so exit
codes, Ctrl-C and what is said last are as in a fresh process. What Python reads of its environment when it starts
(PYTHONIOENCODING, ...) has no effect: tests of that start a fresh one, and so does one test of each kind of command.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

__all__ = ["run_module"]

TIMEOUT_S = 60.0
_MESSAGE_MAX = 1 << 20
# What the modules that tests run would import. Not rollproof.plugin: pytest rewrites its asserts as it loads it.
_IMPORTED = {
    "rollproof": (
        "rollproof.cli", "rollproof.preflight.doctor", "rollproof.reports.console", "rollproof.run.process",
        "rollproof.run.session", "rollproof.run.teardown",
    ),
    "pytest": ("allure_commons", "jinja2", "kubernetes.client", "numpy", "pydantic", "rich.console",
               "rollproof.preflight.planning", "rollproof.run.process", "rollproof.run.signals"),
}  # fmt: skip


def run_module(
    module: str, *words: str, cwd: Path, environ: Mapping[str, str], timeout_s: float = TIMEOUT_S
) -> subprocess.CompletedProcess[str]:
    """`python -m module words` in that directory and environment; `pytest` and `rollproof` are the modules known.

    Raises subprocess.TimeoutExpired if it has not ended in time; it is killed then.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, Path(os.devnull).open("rb") as nothing:
        asked = {"words": [module, *words], "cwd": str(cwd), "environ": dict(environ)}
        door = _server(module)
        socket.send_fds(door, [json.dumps(asked).encode()], [nothing.fileno(), out.fileno(), err.fileno()])
        pid = int(door.recv(_MESSAGE_MAX))
        door.settimeout(timeout_s)
        try:
            status = int(door.recv(_MESSAGE_MAX))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)  # the server has not waited for it yet, so the number is still its own
            door.settimeout(None)
            door.recv(_MESSAGE_MAX)
            raise subprocess.TimeoutExpired([module, *words], timeout_s) from None
        finally:
            door.settimeout(None)
        said = [(stream.seek(0), stream.read().decode(errors="replace"))[1] for stream in (out, err)]
    return subprocess.CompletedProcess([module, *words], os.waitstatus_to_exitcode(status), *said)


@cache
def _server(module: str) -> socket.socket:
    """The process that has imported what this module needs; it ends with this one, whose end of the socket closes."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))}
    server = subprocess.Popen(
        [sys.executable, "-P", __file__, module, str(theirs.fileno())], pass_fds=[theirs.fileno()], env=environ
    )
    theirs.close()

    def end() -> None:
        ours.close()
        server.wait(10)

    atexit.register(end)
    return ours


def _serve(door: socket.socket) -> dict[str, object]:
    """In the server: never returns. In each child: what it is asked to run."""
    while True:
        content, fds, _, _ = socket.recv_fds(door, _MESSAGE_MAX, 3)
        if not content:
            os._exit(0)
        pid = os.fork()
        if not pid:
            for number, fd in enumerate(fds):
                os.dup2(fd, number)
                os.close(fd)
            door.close()
            asked: dict[str, object] = json.loads(content)
            return asked
        for fd in fds:
            os.close(fd)
        door.send(str(pid).encode())
        door.send(str(os.waitpid(pid, 0)[1]).encode())


def _main(module: str, door: int) -> None:
    for name in _IMPORTED[module]:
        importlib.import_module(name)
    if module == "pytest":
        config = importlib.import_module("_pytest.config")
        for name in config.default_plugins:
            importlib.import_module(f"_pytest.{name}")
    gc.freeze()
    asked = _serve(socket.socket(fileno=door))
    os.chdir(str(asked["cwd"]))
    os.environ.clear()
    os.environ.update(asked["environ"])  # type: ignore[call-overload]
    sys.argv = list(asked["words"])  # type: ignore[call-overload]
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell ignores it
    tempfile.tempdir = None  # of the new environment
    sys.path.insert(0, str(asked["cwd"]))
    with contextlib.suppress(KeyError):
        sys.path[1:1] = os.environ["PYTHONPATH"].split(os.pathsep)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]))
