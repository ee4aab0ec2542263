"""The pytest process that runs the drills, as the command line starts and ends it.

A child process, because pytest rewrites what it imports and has exit codes of its own. Nothing of the caller's pytest
set-up reaches it. It must never be killed: it undoes the changes, and that takes time.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from rollproof.core.commandline import typed
from rollproof.core.verdict import EXIT_UNDO_FAILED
from rollproof.errors import CannotJudgeError, InputError, RollproofError
from rollproof.preflight.planning import Order
from rollproof.redaction import SECRETS
from rollproof.run.signals import ending_signals, signals_held_at_start
from rollproof.store.folderfiles import is_folder

if TYPE_CHECKING:
    from rollproof.store.runfolder import RunFolder

__all__ = ["EXIT_BASE", "crash_log_told", "exit_code_of", "pytest_words", "run_drills", "write_crash_log"]

EXIT_BASE = 40  # exit code of a child that ended before there was a run folder: this + ours; pytest's own go up to 5
_INI = Path(__file__).parents[1] / "suites" / "pytest.ini"


def run_drills(
    order: Order, files: Iterable[Path], *, target: Path, folder: Path, quiet: bool = False, out: TextIO | None = None
) -> int:
    """Run the drills and give the run's exit code. `out` is where the child's console goes; None: where ours does."""
    for name in ("pytest", "locust") if order.loads else ("pytest",):
        if find_spec(name) is None:
            message = f"{', '.join(order.drills)} needs {name}, which is not installed"
            raise InputError(message, "pip install 'rollproof[pytest,load]'")
    try:
        Path.cwd()
    except OSError as error:  # pytest cannot begin without one
        raise InputError(f"the current folder cannot be used: {error.strerror}", "cd to one that is there") from None
    if target.is_fifo():
        message = (
            f"the target file {target} is a pipe, which can be read once, and a run reads it again in its own process"
        )
        raise InputError(message, "save it as a file; `plan` and `doctor` take a pipe")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environ["PYTHONSAFEPATH"] = "1"  # for the programs that it starts: a folder `kubernetes/` here is not the library
    words = pytest_words(order, files, target=target, folder=folder, quiet=quiet)
    with _signals_handed_on() as begin:
        with signals_held_at_start():
            process = subprocess.Popen(words, env=environ, stdin=subprocess.DEVNULL, stdout=out)
        begin(process)
        code = process.wait()
    return exit_code_of(folder, code)


def pytest_words(order: Order, files: Iterable[Path], *, target: Path, folder: Path, quiet: bool = False) -> list[str]:
    """The arguments of the child."""
    words = [sys.executable, "-P", "-m", "pytest", "-c", str(_INI), "--rootdir", str(_INI.parent)]
    words += ["-p", "rollproof.plugin", "-p", "no:cacheprovider", "-p", "no:terminal", "-s"]
    words += ["--rollproof-target", str(target), "--rollproof-run", str(folder)]
    words += ["--rollproof-on-fail", order.on_fail]
    words += [word for trial in order.trials for word in ("--rollproof-trial", trial)]
    words += ["--rollproof-sha", order.sha] if order.sha else []
    words += ["--rollproof-production", order.mean_production] if order.mean_production else []
    words += ["--rollproof-under-load"] if order.under_load else []
    words += ["--rollproof-bad", order.bad] if order.bad else []
    words += ["--rollproof-quiet"] if quiet else []
    return words + [str(file) for file in files]


def exit_code_of(folder: Path, child_code: int) -> int:
    """The run's exit code: that of verdicts.json, else the child's, else one with a message.

    After a wrong request nothing was touched: verdicts that are there are of another run (begun in the same second).
    Of a child that ended without a word the journal says whether anything is left changed.
    """
    if child_code == EXIT_BASE + InputError.exit_code:
        return InputError.exit_code
    with suppress(OSError, ValueError, KeyError):
        return int(json.loads((folder / "verdicts.json").read_text(encoding="utf-8"))["exit_code"])
    said = child_code - EXIT_BASE
    if said in {3, 4}:  # the child has printed the reason
        return said
    code, what = CannotJudgeError.exit_code, "before anything was touched; there is no run folder"
    if is_folder(folder):
        code, what = _without_a_word(folder)
    print(f"error: the run ended {what} (pytest: {child_code})", file=sys.stderr)
    return code


def _without_a_word(folder: Path) -> tuple[int, str]:
    """The exit code of a run that was killed, and what is to be done about it."""
    from rollproof.run.leftovers import left_in  # noqa: PLC0415 - the Kubernetes client: only a run that was killed

    if left := left_in(folder):
        return EXIT_UNDO_FAILED, f"without a verdict, with {left}: {typed('undo', folder)} puts things back"
    return CannotJudgeError.exit_code, "without a verdict; nothing was left to undo"


def write_crash_log(error: BaseException, folder: RunFolder | None = None) -> Path | None:
    """Write the traceback of an unexpected error: in the run folder if it is writable, else in /tmp; None: nowhere."""
    story = "".join(traceback.format_exception(error))
    if folder is not None:
        name = f"crash-{folder.drill or 'run'}.log"
        with suppress(RollproofError):
            folder.write_text(name, story)
            return folder.path / name
    with suppress(OSError):
        handle, path = tempfile.mkstemp(prefix="rollproof-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(SECRETS.text(story))
        return Path(path)
    return None


def crash_log_told(log: Path | None) -> str:
    """Where the traceback is, and what to do with it."""
    if log is None:
        return (
            "its traceback could not be written, neither to the run folder nor to the temporary files: is there room?"
        )
    return f"the traceback is in {log}; please report it"


@contextmanager
def _signals_handed_on() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """A terminal sends Ctrl-C and hang-up to both processes, `kill` only to this one; the child counts two as one.

    One that comes before there is a child is handed on when it begins: whoever ended us then would leave it alone.
    """
    came: list[int] = []
    begun: list[subprocess.Popen[bytes]] = []

    def hand_on(number: int, _frame: object) -> None:
        came.append(number)
        for process in begun:
            if process.poll() is None:
                process.send_signal(number)

    def begin(process: subprocess.Popen[bytes]) -> None:
        begun.append(process)
        for number in came[:1]:
            process.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in ending_signals()}
    try:
        yield begin
    finally:
        for number, handler in before.items():  # one more Ctrl-C must not change the exit code
            signal.signal(number, signal.SIG_IGN if came else handler)
