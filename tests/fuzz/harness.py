"""One case: a call in this process with its output captured and a time limit. Its result is an `Ending`."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rollproof.cli import main
from rollproof.errors import RollproofError
from rollproof.run import process

HANG_S = 30.0  # no case takes a tenth of it, and a busy machine may stand still for seconds


class HangError(BaseException):
    """The case did not end in time. A BaseException, so that no `except Exception` of the code catches it."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a case ended: exit code (None: none), output, duration, and what was wrong with it."""

    exit_code: int | None
    output: str
    took_s: float
    wrong: str = ""


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """HangError in the block after so many seconds."""

    def ring(_number: int, _frame: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def command(*words: str) -> Ending:
    """Run `rollproof WORDS` in this process, like the console script."""
    crashes: list[str] = []

    def crash_log(error: BaseException, *_: object) -> str:
        crashes.append("".join(traceback.format_exception(error)))
        return "the crash log"

    def action() -> int:
        argv, sys.argv = sys.argv, ["rollproof", *words]
        kept, process.write_crash_log = process.write_crash_log, crash_log  # type: ignore[assignment]
        try:
            main()
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
        finally:
            sys.argv = argv
            process.write_crash_log = kept
        return 0

    ending = call(action)
    if crashes:
        return Ending(ending.exit_code, ending.output, ending.took_s, f"itself failed: {_last(crashes[-1])}")
    return ending


def call(action: Callable[[], Any], hang_s: float = HANG_S) -> Ending:
    """Run any function; a RollproofError is a good end with its exit code, every other exception is a bug."""
    output = io.StringIO()
    stray: list[str] = []
    before = threading.excepthook
    threading.excepthook = lambda said: stray.append(f"{said.exc_type.__name__}: {said.exc_value} in a thread")
    began_s = time.monotonic()
    code: int | None = None
    wrong = ""
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), alarm(hang_s):
            value = action()
            code = value if isinstance(value, int) and not isinstance(value, bool) else 0
    except RollproofError as error:
        code = error.exit_code
        output.write(f"error: {error}\n{error.hint}\n")
    except HangError:
        wrong = f"hang: longer than {hang_s:g} s"
    except Exception:  # noqa: BLE001 - that is what is looked for
        wrong = f"exception: {_last(traceback.format_exc())}"
    finally:
        threading.excepthook = before
    said = output.getvalue()
    took_s = time.monotonic() - began_s
    if stray:
        wrong = wrong or f"exception: {stray[0]}"
    if "Traceback (most recent call last)" in said:
        wrong = wrong or f"traceback: {_last(said)}"
    if "itself failed" in said:
        wrong = wrong or f"itself failed: {said.strip().splitlines()[-1]}"
    return Ending(code, said, took_s, wrong)


def _last(story: str) -> str:
    """The exception's own line and the innermost places of our code in the traceback."""
    lines = story.strip().splitlines()
    frames = [line.strip() for line in lines if line.strip().startswith("File ") and "rollproof" in line]
    places = [_place(frame) for frame in frames[-2:]]
    return f"{lines[-1][:160]} @ {' < '.join(reversed(places))}"


def _place(frame: str) -> str:
    words = frame.split('"')
    number = frame.rsplit("line ", maxsplit=1)[-1].split(",", maxsplit=1)[0] if "line " in frame else "?"
    return f"{words[1].rsplit('/', 1)[-1]}:{number}" if len(words) > 1 else frame


def counted(endings: Sequence[tuple[str, Ending]]) -> str:
    """One line: the number of cases by ending."""
    codes: dict[str, int] = {}
    for _, ending in endings:
        name = ending.wrong.split(":")[0] if ending.wrong else f"exit {ending.exit_code}"
        codes[name] = codes.get(name, 0) + 1
    return ", ".join(f"{number} x {name}" for name, number in sorted(codes.items()))
