"""A process of its own for a command, without the price of starting Python: forked from one that has imported it all.

The child has its own standard streams, environment, working directory and signals, and ends as Python ends, so exit
codes, Ctrl-C and what is said last are as in a fresh process. What Python reads of its environment when it starts
(PYTHONIOENCODING, ...) has no effect: tests of that start a fresh one, and so does one test of each kind of command.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import importlib
import json
import os
import posix
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from select import POLLIN, poll, select  # these, too, before locust replaces them by its own
from typing import IO, Any, NoReturn

__all__ = ["CPU_S", "Forked", "forked_drills", "forked_script", "run_module"]

TIMEOUT_S = 200.0
_MESSAGE_MAX = 1 << 20
_ROOT = Path(__file__).resolve().parents[2]
CPU_S = [0.0]  # what all children used: the kernel counts it for the server, and not for who asked
# What the modules that tests run would import. Not rollproof.plugin: pytest rewrites its asserts as it loads it.
_IMPORTED = {
    "rollproof": (
        "rollproof.cli", "rollproof.preflight.doctor", "rollproof.reports.console", "rollproof.run.process",
        "rollproof.run.session", "rollproof.run.teardown",
    ),
    "pytest": ("allure_commons", "jinja2", "kubernetes.client", "numpy", "pydantic", "rich.console",
               "rollproof.preflight.planning", "rollproof.run.process", "rollproof.run.signals"),
    "locust": ("locust", "load.client", "load.dispatcher", "load.lanes", "load.locustfile"),
    "faultserver.py": ("argparse", "asyncio", "random", "ssl", "load.failuremodes"),
}  # fmt: skip


class Forked:
    """A running child: of subprocess.Popen's methods those that are used of it, with the same meaning."""

    def __init__(
        self, imported: str, run: str, *words: str, stdin: int, stdout: int, stderr: int, cwd: Path,
        environ: Mapping[str, str], umask: int = -1,
    ) -> None:  # fmt: skip
        """`run` is a module's name or a script's path; `imported` is the key of what has been imported before."""
        self.args = [run, *words]
        self.returncode: int | None = None
        self.stdin: IO[str] | None = None
        self.stdout: IO[str] | None = None
        self._status, theirs = os.pipe()
        asked = {"words": self.args, "cwd": str(cwd), "environ": dict(environ), "umask": umask}
        answer, door = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with answer, door:  # of this child alone
            request = [stdin, stdout, stderr, theirs, door.fileno()]
            socket.send_fds(_server(imported), [json.dumps(asked).encode()], request)
            os.close(theirs)
            door.close()
            content, (self._handle, *_), _, _ = socket.recv_fds(answer, _MESSAGE_MAX, 1)
        self.pid = int(content)

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code once it has ended; subprocess.TimeoutExpired if it has not in time."""
        if self.returncode is None:
            if not select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            status, cpu_s = os.read(self._status, 100).split()
            self.returncode = os.waitstatus_to_exitcode(int(status))
            CPU_S[0] += float(cpu_s)
            os.close(self._status)
            os.close(self._handle)
        return self.returncode

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._handle, number)


def run_module(
    module: str, *words: str, cwd: Path, environ: Mapping[str, str], timeout_s: float = TIMEOUT_S, imported: str = "",
    stdout: IO[bytes] | None = None,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """`python -m module words` in that directory and environment; `imported`: of `_IMPORTED`, if not the module itself.

    Raises subprocess.TimeoutExpired if it has not ended in time; it is killed then.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, Path(os.devnull).open("rb") as nothing:
        process = Forked(
            imported or module, module, *words, stdin=nothing.fileno(), stdout=(stdout or out).fileno(),
            stderr=err.fileno(), cwd=cwd, environ=environ,
        )  # fmt: skip
        try:
            code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        said = [(stream.seek(0), stream.read().decode(errors="replace"))[1] for stream in (out, err)]
    return subprocess.CompletedProcess([module, *words], code, *said)


def forked_script(argv: list[str], *, stderr: IO[bytes], umask: int, **_: Any) -> Forked:
    """In the place of the subprocess.Popen by which rollproof.loadgen.child starts a script of the generator's."""
    script, *words = argv[argv.index("-P") + 1 :]
    (read_in, write_in), (read_out, write_out) = os.pipe(), os.pipe()
    name = Path(script).name
    process = Forked(
        name if name in _IMPORTED else "locust", script, *words, stdin=read_in, stdout=write_out,
        stderr=stderr.fileno(), cwd=Path.cwd(), environ=os.environ, umask=umask,
    )  # fmt: skip
    os.close(read_in)
    os.close(write_out)
    process.stdin, process.stdout = os.fdopen(write_in, "w", 1), os.fdopen(read_out)
    return process


def forked_drills(words: list[str], *, env: Mapping[str, str], stdin: int, stdout: IO[str] | None) -> Forked:
    """In the place of the subprocess.Popen by which rollproof.run.process starts the drills' pytest."""
    assert stdin == subprocess.DEVNULL
    with Path(os.devnull).open("rb") as nothing:
        return Forked(
            "pytest", "pytest", *words[words.index("pytest") + 1 :], stdin=nothing.fileno(),
            stdout=stdout.fileno() if stdout else 1, stderr=2, cwd=Path.cwd(), environ=env,
        )  # fmt: skip


@cache
def _server(imported: str) -> socket.socket:
    """The process that has imported what is needed; it ends with this one, whose end of the socket closes."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))}
    server = subprocess.Popen(
        [sys.executable, "-P", __file__, imported, str(theirs.fileno())], pass_fds=[theirs.fileno()], env=environ
    )
    theirs.close()

    def end() -> None:
        ours.close()
        server.wait(60)

    atexit.register(end)
    return ours


def _serve(door: socket.socket) -> dict[str, Any]:
    """In the server: never returns. In each child: what it is asked to run.

    By `posix`: locust replaces os.fork, os.waitpid and os.close by what wants an event loop, which the child makes.
    """
    running: dict[int, tuple[int, int]] = {}
    news = poll()
    news.register(door, POLLIN)
    while True:
        for fd, _ in news.poll():
            if fd in running:
                pid, status = running.pop(fd)
                news.unregister(fd)
                _, ended, used = posix.wait4(pid, 0)
                os.write(status, f"{ended} {used.ru_utime + used.ru_stime}".encode())
                posix.close(status)
                posix.close(fd)
                continue
            content, fds, _, _ = socket.recv_fds(door, _MESSAGE_MAX, 5)
            if not content:
                os._exit(0)
            answer = fds.pop()
            pid = posix.fork()
            if not pid:
                for number, given in enumerate(fds[:3]):
                    os.dup2(given, number)
                for other in (*fds, answer, *running, *(status for _, status in running.values())):
                    posix.close(other)
                door.close()
                asked: dict[str, Any] = json.loads(content)
                return asked
            handle = os.pidfd_open(pid)
            running[handle] = pid, fds.pop()
            news.register(handle, POLLIN)
            for given in fds:
                posix.close(given)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [handle]))
            with contextlib.suppress(BrokenPipeError), type(door)(fileno=answer) as asker:  # made before locust, too
                asker.sendmsg([str(pid).encode()], [rights])


def _main(imported: str, door: socket.socket) -> None:
    sys.path.append(str(_ROOT))  # last, as the generator's scripts do it
    for name in _IMPORTED[imported]:
        importlib.import_module(name)
    if imported == "pytest":
        config = importlib.import_module("_pytest.config")
        for name in config.default_plugins:
            importlib.import_module(f"_pytest.{name}")
    sys.path.remove(str(_ROOT))
    gc.freeze()
    asked = _serve(door)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environ"])
    if asked["umask"] >= 0:
        os.umask(asked["umask"])
    run, *_ = sys.argv = list(asked["words"])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell ignores it
    tempfile.tempdir = None  # of the new environment
    code = 0
    try:
        _run(run, asked["cwd"])
    except SystemExit as ended:
        if ended.code is not None and not isinstance(ended.code, int):
            raise
        code = ended.code or 0
    _end(code)


def _run(run: str, cwd: str) -> None:
    if run.endswith(".py"):
        runpy.run_path(run, run_name="__main__")
        return
    sys.path.insert(0, cwd)
    with contextlib.suppress(KeyError):
        sys.path[1:1] = os.environ["PYTHONPATH"].split(os.pathsep)
    runpy.run_module(run, run_name="__main__", alter_sys=True)


def _end(code: int) -> NoReturn:
    """As Python does it, but for taking apart each module, which is half of what a short command costs here.

    What cannot be written is left to Python: it says so, and with which exit code.
    """
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    except (OSError, ValueError):
        sys.exit(code)
    os._exit(code)


if __name__ == "__main__":
    # The socket before locust is imported, which makes sockets wait by an event loop.
    _main(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
