"""Run tests in processes forked from one that has collected them: `-p tests.workers --workers N`.

As pytest-xdist's `-n N --dist worksteal`, but tests are collected once instead of N times, what all of them need is
imported once, and telling of a test costs a tenth of a millisecond of CPU instead of two.

A worker that has nothing to do takes the next share: tests of one file, so that they have the file's fixtures together.
That a test was not run is an error: a worker that died is named with its test, and of each test that was collected
something must have been heard.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import mmap
import os
import signal
import struct
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, Pipe, wait
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

__all__ = ["shares"]

_SHARE_MAX, _LAST_MAX = 60, 10  # tests; of the last fifth of all, so that workers end at about the same time
_WHOLE = ("tests/unit/house",)  # folders whose files share what they read: all sources, which takes seconds
_RANGE = struct.Struct("<II")  # of a share: its first test, and the one after its last
_INDEX = struct.Struct("<I")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--workers", type=int, default=0, help="run tests in so many forked processes (0: in this one)")


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--workers"):
        config.pluginmanager.register(_Foreman(config.getoption("--workers")))


def shares(tests: Sequence[str], most: int = _SHARE_MAX, last: int = _LAST_MAX) -> Iterator[tuple[int, int]]:
    """Of tests (node ids) in that order: ranges that end with a file, or after so many."""
    first = 0
    for place, same in itertools.groupby(tests, _place):
        end = first + len(list(same))
        while first < end:
            at_once = end if place in _WHOLE else most if first < 0.8 * len(tests) else last
            yield first, min(first + at_once, end)
            first += at_once
        first = end


def _place(nodeid: str) -> str:
    file = nodeid.partition("::")[0]
    folder = file.rpartition("/")[0]
    return folder if folder in _WHOLE else file


class _Foreman:
    """In the process that has collected: starts workers, and hears what became of each test."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._stop = mmap.mmap(-1, 1)  # shared with the workers
        self._unheard: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        if session.testsfailed or session.config.option.collectonly or not session.items:
            return None  # as without workers
        self._unheard = {item.nodeid for item in session.items}
        session.config._tmp_path_factory.getbasetemp()  # each worker's is in it
        queue = _Queue(shares([item.nodeid for item in session.items]))
        workers: list[_Worker] = []
        try:
            workers.extend(_Worker(session, number, queue, self._stop) for number in range(self._count))
            self._listen(session, {worker.told: worker for worker in workers})
        finally:
            for worker in workers:
                worker.end()
        if self._unheard and not session.shouldfail and not session.shouldstop:
            session.shouldfail = f"{len(self._unheard)} tests did not end, one of them {min(self._unheard)}"
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        return True

    def _listen(self, session: pytest.Session, running: dict[Any, _Worker]) -> None:
        while running:
            for told in wait(list(running)):
                try:
                    what, *content = told.recv()
                except EOFError:
                    worker = running.pop(told)
                    if not worker.ended:
                        self._died(session, worker)
                    continue
                if what == "broken":
                    raise RuntimeError(f"worker {running[told].number} failed, and no test of it:\n{content[0]}")
                getattr(self, f"_{what}")(session, running[told], *content)
            if session.shouldfail or session.shouldstop:
                self._stop[0] = 1

    def _tested(self, session: pytest.Session, _: _Worker, nodeid: str, place: Any, reports: list[Any]) -> None:
        config = session.config
        for data in reports:
            report = config.hook.pytest_report_from_serializable(config=config, data=data)
            config.hook.pytest_runtest_logreport(report=report)
        self._unheard.discard(nodeid)
        config.hook.pytest_runtest_logfinish(nodeid=nodeid, location=place)

    def _warned(self, session: pytest.Session, _: _Worker, text: str, place: Any) -> None:
        message = warnings.WarningMessage(text, Warning, *place)
        session.config.hook.pytest_warning_recorded.call_historic(
            kwargs={"warning_message": message, "when": "runtest", "nodeid": "", "location": None}
        )

    def _ended(self, session: pytest.Session, worker: _Worker, output: dict[str, Any]) -> None:
        worker.ended = True
        session.config.hook.pytest_testnodedown(node=SimpleNamespace(workeroutput=output), error=None)

    def _died(self, session: pytest.Session, worker: _Worker) -> None:
        item = session.items[worker.at]
        text = f"worker {worker.number} ended in this test, or between it and the next: {worker.fate()}"
        report = pytest.TestReport(item.nodeid, item.location, {}, "failed", text, "call")
        session.config.hook.pytest_runtest_logreport(report=report)


class _Queue:
    """The shares that nobody has taken: in a pipe, of which the kernel gives each record to one reader."""

    def __init__(self, ranges: Iterator[tuple[int, int]]) -> None:
        self._read, write = os.pipe()
        os.set_blocking(write, False)  # more than it holds (8,192) is an error, and no standstill
        for one in ranges:
            os.write(write, _RANGE.pack(*one))
        os.close(write)

    def tests(self) -> Iterator[int]:
        """The indices of tests, share by share, as long as there are any."""
        while record := os.read(self._read, _RANGE.size):
            yield from range(*_RANGE.unpack(record))


class _Worker:
    """A forked process, as seen by the one that forked it."""

    def __init__(self, session: pytest.Session, number: int, queue: _Queue, stop: mmap.mmap) -> None:
        self.number = number
        self.ended = False  # and said so
        self._at = mmap.mmap(-1, _INDEX.size)  # shared: of a worker that was killed it is known, too
        self.told, tell = Pipe(duplex=False)
        sys.stdout.flush()
        sys.stderr.flush()
        self._status: int | None = None
        self._pid = os.fork()
        if not self._pid:
            self.told.close()
            _work(session, number, queue.tests(), tell, self._at, stop)
        tell.close()

    @property
    def at(self) -> int:
        """The index of the test that it began last."""
        return int(_INDEX.unpack(self._at[:])[0])

    def fate(self) -> str:
        if self._status is None:
            self._status = os.waitpid(self._pid, 0)[1]
        code = os.waitstatus_to_exitcode(self._status)
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def end(self) -> None:
        """Awaited if it said that it ends, or has; else at once: nobody listens any more."""
        if self._status is None and not self.ended:
            os.kill(self._pid, signal.SIGKILL)
        self.fate()


def _work(
    session: pytest.Session, number: int, tests: Iterator[int], tell: Connection, at: mmap.mmap, stop: mmap.mmap
) -> NoReturn:  # fmt: skip
    """In the worker: all of its life."""
    code = 1
    atexit._clear()  # what was registered is for the end of the other process
    try:
        _settle(session.config, number, tell)
        for index, after in itertools.pairwise(itertools.chain(tests, (None,))):
            at[:] = _INDEX.pack(index or 0)
            item, following = session.items[index or 0], None if after is None else session.items[after]
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if stop[0] or session.shouldfail or session.shouldstop:
                break
        session.config.hook.pytest_sessionfinish(session=session, exitstatus=int(bool(session.testsfailed)))
        session.config._ensure_unconfigure()
        tell.send(("ended", session.config.workeroutput))
        code = 0
    except BaseException:  # noqa: BLE001 - told where it is heard; nothing else may run in this copy of the process
        with contextlib.suppress(OSError):
            tell.send(("broken", traceback.format_exc()))
    finally:
        atexit._run_exitfuncs()
        os._exit(code)


def _settle(config: pytest.Config, number: int, tell: Connection) -> None:
    """What belongs to one process is this one's own: captured output, temporary files; and it prints nothing."""
    config.workerinput = {"workerid": f"w{number}", "testrunuid": str(os.getppid())}  # pytest's own plugins ask for it
    config.workeroutput = {}
    config.pluginmanager.unregister(name="terminalreporter")
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    temporary = config._tmp_path_factory
    temporary._basetemp = temporary.mktemp(f"w{number}", numbered=False)
    config.pluginmanager.register(_Teller(config, tell))


class _Teller:
    """In the worker: tells what became of a test when it has ended."""

    def __init__(self, config: pytest.Config, tell: Connection) -> None:
        self._config, self._tell = config, tell
        self._reports: list[Any] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._reports.append(data)

    def pytest_runtest_logfinish(self, nodeid: str, location: Any) -> None:
        self._tell.send(("tested", nodeid, location, self._reports))
        self._reports = []

    def pytest_warning_recorded(self, warning_message: warnings.WarningMessage, nodeid: str) -> None:
        text = f"{nodeid}: {warning_message.category.__name__}: {warning_message.message}"
        self._tell.send(("warned", text, (warning_message.filename, warning_message.lineno)))
