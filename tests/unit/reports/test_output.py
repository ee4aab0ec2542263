"""No output may raise into a run or an undo, whatever the stream is; and outside text is never printed raw."""

from __future__ import annotations

import errno
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TextIO, cast

import pytest
from commands import rollproof, stored_run
from story import plan
from targettoml import target_toml

from lab import output as lab_output
from rollproof.cli import main
from rollproof.core.event import Outcome
from rollproof.core.plan import Touch
from rollproof.core.verdict import Finding
from rollproof.errors import CannotJudgeError
from rollproof.judge.judging import judge_run
from rollproof.preflight import doctor
from rollproof.preflight.doctor import Line
from rollproof.redaction import SECRETS
from rollproof.reports.console import LiveConsole
from rollproof.reports.html import html_page
from rollproof.reports.junit import junit_xml
from rollproof.reports.model import Report
from rollproof.reports.output import Outlet, check_told, guarded, one_line, visible
from rollproof.run import session
from rollproof.store.runfolder import RunFolder

OUTSIDE = "a\x1b[2Jb\x9bc\u202ed\0e\rf\n##vso[task.complete]\n::error::no\nPASS  all is well\n\udc80 ✖ → … 東 🙂"


class Failing(io.RawIOBase):
    """A descriptor that says no: a full disk, a closed pipe, a terminal that hung up."""

    def __init__(self, error: int) -> None:
        self.error = error

    def writable(self) -> bool:
        return True

    def write(self, _data: object) -> int:
        raise OSError(self.error, os.strerror(self.error))


def encoded(encoding: str) -> Callable[[], TextIO]:
    return lambda: io.TextIOWrapper(io.BytesIO(), encoding=encoding)


def failing(error: int) -> Callable[[], TextIO]:
    return lambda: io.TextIOWrapper(io.BufferedWriter(Failing(error), 16), encoding="utf-8")


def closed() -> TextIO:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    stream.close()
    return stream


STREAMS: dict[str, Callable[[], TextIO | None]] = {
    **{name: encoded(name) for name in ("utf-8", "gbk", "latin-1", "cp1252", "ascii", "cp437", "shift_jis", "utf-16")},
    "closed": closed,
    "not there": lambda: None,
    **{errno.errorcode[code]: failing(code) for code in (errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF)},
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run, judged."""
    folder = tmp_path_factory.mktemp("stored")
    return stored_run(folder).rename(folder / "run")


@pytest.fixture(scope="module")
def report(stored: Path) -> Report:
    """That run, with outside text everywhere that it can be."""
    with RunFolder.open(stored) as folder:
        judged = judge_run(folder)
    outside = {"why": OUTSIDE, "subject": OUTSIDE, "findings": (Finding("X", OUTSIDE, OUTSIDE),)}
    touched = replace(judged.plan, touches=(Touch(drill="drift", subject=OUTSIDE, change=OUTSIDE, undo=OUTSIDE),))
    return replace(judged, verdicts=tuple(replace(one, **outside) for one in judged.verdicts), plan=touched)


def say_everything(console: LiveConsole, report: Report, folder: RunFolder) -> None:
    with console:
        console.plan(report.plan)
        console.phase("act")
        console.status(OUTSIDE)
        console.progress(10, 1)
        for outcome in Outcome:
            folder.record("drift", OUTSIDE, "not-healed", outcome=outcome, data={"reason": OUTSIDE})
            folder.record("release", "Release/x", "pushed", outcome=outcome, data={"line": OUTSIDE})
        console.problem(OUTSIDE, OUTSIDE)
        console.say(one_line(OUTSIDE))
        console.answers([(None, OUTSIDE, OUTSIDE, OUTSIDE), (False, "x", OUTSIDE, OUTSIDE), (True, "y", OUTSIDE, "")])
        console.verdicts(report, folder=Path("reports/x"))


@pytest.mark.parametrize("stream", STREAMS)
def test_b7_nothing_that_the_console_says_raises(report: Report, tmp_path: Path, stream: str) -> None:
    console = LiveConsole(cast(TextIO, Outlet(STREAMS[stream]())))
    with RunFolder.create(tmp_path / "other", plan(), listener=console.follow) as folder:
        say_everything(console, report, folder)
        assert len(folder.events()) == 6


@pytest.mark.parametrize("stream", ["gbk", "ascii", "closed", "not there", "ENOSPC", "EPIPE"])
@pytest.mark.parametrize("command", ["judge", "undo", "plan", "doctor", "run", "sandbox --list"])
def test_b7_every_command_ends_with_its_own_code_whatever_the_stream(
    report: Report, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: str, command: str
) -> None:
    (tmp_path / "t.toml").write_text(target_toml())
    own = tmp_path / "run"  # what undo adds to it is no business of the other tests
    shutil.copytree(stored, own)
    monkeypatch.setattr(session, "preview", lambda *_: report.plan)
    monkeypatch.setattr(doctor, "examine", lambda *_: (Line("API", None, OUTSIDE, OUTSIDE), Line("x", True, OUTSIDE)))

    def refuse(*_: object, **__: object) -> int:
        print(OUTSIDE)
        raise CannotJudgeError(OUTSIDE, OUTSIDE)

    monkeypatch.setattr("rollproof.run.process.run_drills", refuse)
    words, code = {
        "judge": (["judge", str(own)], 0), "undo": (["undo", str(own)], 0),
        "plan": (["plan", "drift", "--target", str(tmp_path / "t.toml")], 0),
        "doctor": (["doctor", "--target", str(tmp_path / "t.toml")], 0),
        "run": (["run", "drift", "--target", str(tmp_path / "t.toml")], 3),
        "sandbox --list": (["sandbox", "--list"], 0),
    }[command]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["rollproof", *words])
    monkeypatch.setattr(sys, "stdout", STREAMS[stream]())
    monkeypatch.setattr(sys, "stderr", STREAMS[stream]())
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code or 0) == code


def in_a_shell(line: str, folder: Path) -> int:
    """As a person would type it."""
    words = f"{sys.executable} -m rollproof"
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTEST_"))}
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line.replace('rollproof', words, 1)}"], cwd=folder, env=environ, check=False,
        capture_output=True, timeout=250,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    return done.returncode


@pytest.mark.processes
@pytest.mark.parametrize(
    "line",
    [
        "rollproof judge run >/dev/full 2>&1",
        "rollproof judge run >&- 2>&- <&-",
        "PYTHONIOENCODING=gbk rollproof judge run",
    ],
)
def test_b7_the_exit_code_is_the_verdicts_when_python_ends(stored: Path, line: str) -> None:
    assert in_a_shell(line, stored.parent) == 0
    assert (stored / "verdicts.json").read_text().startswith("{")


@pytest.mark.processes
def test_b7_a_child_has_the_streams_that_were_closed(tmp_path: Path) -> None:
    """The drills' process: with a closed stream the next file that it opens gets that number, and its output."""
    child = "import os; [os.fstat(number) for number in (0, 1, 2)]"
    code = f"""
import subprocess, sys
from rollproof.reports.output import guarded
with guarded():
    sys.exit(subprocess.run([sys.executable, "-c", {child!r}]).returncode)
"""
    for closed in (">&-", "<&- >&-", "<&- >&- 2>&-"):
        words = ["bash", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, code]
        assert subprocess.run(words, cwd=tmp_path, check=False, timeout=120).returncode == 0, closed


PRODUCTS = (
    "export run --format csv", "schema", "history .", "compare run run", "rbac drift --target t.toml",
    "rbac drift --target t.toml --json",
)  # fmt: skip


@pytest.mark.processes
@pytest.mark.parametrize("line", PRODUCTS)
def test_a_command_whose_product_is_its_output_says_when_not_all_came_out(
    stored: Path, tmp_path: Path, line: str
) -> None:
    """The half of a Role, and a table of no nights, ended with 0."""
    (stored.parent / "t.toml").write_text(target_toml())
    product = tmp_path / "product"
    for path, code in ((Path("/dev/full"), 3), (product, 0)):
        with path.open("wb") as stream:
            done = rollproof(*line.split(), cwd=stored.parent, stdout=stream)
        assert done.returncode == code, done.stderr
        assert "Exception ignored" not in done.stderr
    assert product.stat().st_size > 30


@pytest.mark.parametrize(("to_people", "error", "code"), [
    (True, errno.EPIPE, 0), (True, errno.ENOSPC, 3), (False, errno.EPIPE, 3), (False, errno.ENOSPC, 3),
])  # fmt: skip
def test_who_reads_the_head_of_a_table_has_seen_enough(
    monkeypatch: pytest.MonkeyPatch, to_people: bool, error: int, code: int
) -> None:
    monkeypatch.setattr(sys, "stdout", Outlet(failing(error)()))
    print("a table", flush=True)
    with pytest.raises(CannotJudgeError) if code else nullcontext():
        check_told(to_people=to_people)


@pytest.mark.parametrize("stream", STREAMS)
def test_b7_the_labs_output_does_not_raise(monkeypatch: pytest.MonkeyPatch, stream: str) -> None:
    monkeypatch.setattr(sys, "stdout", STREAMS[stream]())
    monkeypatch.setattr(sys, "stderr", STREAMS[stream]())
    lab_output.guard()
    for out in (sys.stdout, sys.stderr):
        print(OUTSIDE, file=out, flush=True)
        assert not out.isatty()


def test_b7_a_slow_reader_loses_a_text_and_not_the_rest() -> None:
    said: list[str] = []

    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            if not said:
                said.append("")
                raise BlockingIOError(errno.EAGAIN, "busy")
            said.append(text)
            return len(text)

    outlet = Outlet(Slow())
    assert outlet.write("lost") == 4
    outlet.write("kept")
    assert said == ["", "kept"]


def test_b7_what_an_encoding_cannot_show_is_replaced() -> None:
    raw = io.BytesIO()
    outlet = Outlet(io.TextIOWrapper(raw, encoding="ascii"))
    outlet.write("✖ a → b … 東\n")
    outlet.flush()
    assert raw.getvalue() == b"x a -> b ... ?\n"


def printed(report: Report, tmp_path: Path) -> str:
    out = io.StringIO()
    console = LiveConsole(out)
    with RunFolder.create(tmp_path / "more", plan(), listener=console.follow) as folder:
        say_everything(console, report, folder)
    return out.getvalue()


def test_c9_outside_text_is_visible_and_on_one_line(report: Report, tmp_path: Path) -> None:
    said = printed(report, tmp_path)
    for raw in ("\x1b", "\x9b", "\u202e", "\0", "\r", "##vso[", "\udc80"):
        assert raw not in said
    assert "\\x1b[2J" in said
    assert "\\u202e" in said
    for line in said.splitlines():
        assert not line.lstrip().startswith(("##", "::error"))
        assert not line.startswith("PASS  all is well")


def test_c9_a_long_line_is_not_wrapped_to_a_line_that_looks_like_ours(report: Report) -> None:
    out = io.StringIO()
    why = f"{'x ' * 150}{'PASS  every claim was proven ' * 20}"
    long = replace(report, verdicts=tuple(replace(one, why=why) for one in report.verdicts))
    LiveConsole(out).verdicts(long, folder=Path("r"))
    assert sum(line.startswith("PASS") for line in out.getvalue().splitlines()) <= len(long.verdicts) + 1
    assert not any(line.startswith("every claim") for line in out.getvalue().splitlines())


@pytest.mark.parametrize(
    "hidden",
    [*map(chr, range(0x20)), "\x7f", *map(chr, range(0x80, 0xA0)), *map(chr, range(0x202A, 0x202F)), "\u2066", "\u200f",
     "\u2028", "\u2029", "\ufeff", "\ud800", "\ufffe", "\U000e0041"],
)  # fmt: skip
def test_c9_every_sign_that_cannot_be_seen_is_written_out(hidden: str) -> None:
    line = one_line(f"a{hidden}b")
    assert (hidden not in line) or hidden == " "
    assert line.isprintable()
    assert hidden in "\n\t" or hidden not in visible(f"a{hidden}b")


def test_c9_pages_hold_no_sign_that_cannot_be_seen(report: Report) -> None:
    for page in (html_page(report), junit_xml(report)):
        for raw in ("\x1b", "\x9b", "\u202e", "\0", "\udc80"):
            assert raw not in page
        assert "\\u202e" in page


def test_a_library_that_logs_is_one_line_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    import logging

    SECRETS.add(["s3cret-value-9c1d"])
    with guarded():
        logging.getLogger().error("exec: process returned 1. s3cret-value-9c1d\n##vso[x]\n{'token': 'abcdefgh'}")
    said = capsys.readouterr().err
    assert said.startswith("note: exec: process returned 1. [redacted]\\n# #vso[x]")
    assert said.count("\n") == 1
    assert "abcdefgh" not in said


def test_c4_no_secret_is_printed(report: Report, tmp_path: Path) -> None:
    SECRETS.add(["task.complete"])
    assert "task.complete" not in printed(report, tmp_path)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_f4_no_color_is_obeyed_by_every_output(report: Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")

    def coloured() -> bool:
        out = Terminal()
        console = LiveConsole(out)
        console.answers([(True, "API", "there", ""), (False, "x", "no", "do")])
        console.problem("a", "b")
        console.verdicts(report, folder=Path("r"))
        return "\x1b[" in out.getvalue()

    monkeypatch.delenv("NO_COLOR", raising=False)
    assert coloured()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured()


def test_f4_doctor_obeys_no_color(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.toml").write_text(target_toml())
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(doctor, "examine", lambda *_: (Line("API", None, "x", "y"), Line("z", True, "w")))
    monkeypatch.setattr(sys, "argv", ["rollproof", "doctor", "--target", str(tmp_path / "t.toml")])
    for value, expected in (("", True), ("1", False)):
        monkeypatch.setenv("NO_COLOR", value)
        out = Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(SystemExit):
            main()
        assert ("\x1b[" in out.getvalue()) is expected
        assert "API" in out.getvalue()
