"""No process is left, whatever ends the sandbox and whenever: counted by its mark in /proc.

A signal comes to the sandbox alone (`kill`), or as a terminal's Ctrl-C does, to its whole process group.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sandboxes import PYTHON, Sandbox

from tests.waiting import until

Start = Callable[..., Sandbox]

ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
MOMENTS: dict[str, Callable[[Sandbox], object]] = {
    "while it imports": lambda _: time.sleep(0.2) or True,
    "with the first process": lambda one: one.alive(),
    "with the ingress": lambda one: one.runs("ingress/proxy.py"),
    "with a pod": lambda one: one.runs("app/server.py"),
    "with its files": lambda one: one.target.exists(),
    "when it is up": lambda one: "the sandbox is up" in one.said(),
}


@pytest.mark.parametrize("number", ENDS, ids=lambda number: signal.Signals(number).name)
@pytest.mark.parametrize("moment", MOMENTS)
def test_ended_at_any_moment_it_leaves_nobody(sandbox: Start, moment: str, number: int) -> None:
    one = sandbox()
    until(lambda: MOMENTS[moment](one), one.said)
    press(one, moment, lambda: one.process.send_signal(number))
    code = one.ended()
    if number == signal.SIGKILL:
        assert code == -signal.SIGKILL
    elif moment == "when it is up":
        assert code == 0
    one.nobody_is_left()
    if moment != "while it imports":  # Python itself says KeyboardInterrupt then; nothing of ours runs yet
        assert "Traceback" not in one.said()
    if number != signal.SIGKILL:
        assert one.left_files() <= {"lock", "logs"}


@pytest.mark.parametrize("moment", [*MOMENTS, "while git runs", "while a commit is made"])
def test_ctrl_c_of_a_terminal_at_any_moment_leaves_nobody(sandbox: Start, tmp_path: Path, moment: str) -> None:
    """Also a second one, in the middle of the end."""
    one = sandbox(environ={"PATH": slow_git(tmp_path)})
    words = {"while git runs": "git", "while a commit is made": "fast-import"}
    until(lambda: one.runs(words[moment]) if moment in words else MOMENTS[moment](one), one.said)
    press(one, moment, one.ctrl_c)
    if moment != "while it imports":
        one.ctrl_c()
    code = one.ended()
    assert one.alive() == []
    assert one.left_files() <= {"lock", "logs"}
    if moment != "while it imports":
        assert code == (0 if moment == "when it is up" else 3), one.said()
        assert "Traceback" not in one.said()
        assert "itself failed" not in one.said()


def test_ctrl_c_again_and_again_until_it_has_ended(sandbox: Start) -> None:
    one = sandbox()
    one.up()
    while one.process.poll() is None:
        one.ctrl_c()
        time.sleep(0.002)
    assert one.ended() == 0, one.said()
    assert one.alive() == []
    assert one.left_files() == {"lock", "logs"}
    assert "Traceback" not in one.said()


def press(one: Sandbox, moment: str, signal_it: Callable[[], None]) -> None:
    """Once; but Python loses what comes while it forgets a module's lock, and a person presses again then."""
    signal_it()
    if moment == "while it imports":
        until(lambda: one.process.poll() is not None or signal_it(), one.said)


@pytest.mark.parametrize(
    "signal_it", ['kill -INT "$PPID"', '(sleep 0.05; kill -INT "$PPID") </dev/null >/dev/null 2>&1 &'],
    ids=["noticed before", "noticed after"],
)  # fmt: skip
def test_a_git_that_a_ctrl_c_has_ended_is_no_bad_input(sandbox: Start, tmp_path: Path, signal_it: str) -> None:
    """As it is born it is in our process group still; what ended it may reach us later."""
    one = sandbox(environ={"PATH": git_script(tmp_path, f"{signal_it}\nexit 130")})
    assert one.ended() == 3, one.said()
    assert "interrupted before the sandbox was up" in one.said()


def slow_git(folder: Path) -> str:
    """A PATH with a git that takes a while, so that a signal can hit it."""
    return git_script(folder, f'sleep 0.2\nexec {shutil.which("git")} "$@"')


def git_script(folder: Path, text: str) -> str:
    """A PATH on which git is this shell script."""
    script = folder / "bin" / "git"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\n{text}\n")
    script.chmod(0o755)
    return f"{script.parent}{os.pathsep}{os.environ['PATH']}"


def test_after_a_kill_the_folder_can_be_used_again(sandbox: Start) -> None:
    first = sandbox()
    first.up()
    first.process.kill()
    first.ended()
    assert "credentials.env" in first.left_files()
    again = sandbox("--", sys.executable, "-c", "pass")
    assert again.ended() == 0
    assert again.left_files() == {"lock", "logs"}


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "Ctrl-C"])
def test_a_drill_hears_of_it_first_and_puts_things_back(sandbox: Start, tmp_path: Path, how: str) -> None:
    one = sandbox("--", *release(tmp_path))
    until(lambda: "pushed" in one.said(), one.said)
    if how == "Ctrl-C":
        one.ctrl_c()
    else:
        one.process.send_signal(signal.Signals[how])
    assert one.ended() == 3, one.said()
    assert one.alive() == []
    assert "Traceback" not in one.said()
    found = verdicts(tmp_path)
    assert found["undo"] == "clean", one.said()
    assert found["target_kind"] == "sandbox"


def test_ctrl_c_again_and_again_while_a_drill_puts_things_back(sandbox: Start, tmp_path: Path) -> None:
    """It is put back all the same; or, if git was hit as it was born, exit 4 and the journal say that it is not."""
    one = sandbox("--", *release(tmp_path), environ={"PATH": slow_git(tmp_path)})
    until(lambda: "pushed" in one.said(), one.said, patience_s=90)
    one.ctrl_c()
    until(lambda: "the undo of env-repo-tag" in one.said(), one.said, patience_s=90)
    while one.process.poll() is None:
        one.ctrl_c()
        time.sleep(0.1)
    assert one.ended() in (3, 4), one.said()
    assert one.alive() == []
    assert "Traceback" not in one.said()
    assert verdicts(tmp_path)["undo"] == {3: "clean", 4: "failed"}[one.ended()], one.said()


def release(folder: Path) -> list[str]:
    return [*PYTHON, "run", "release", "--target", "{target}", "--reports", str(folder / "reports")]


def verdicts(folder: Path) -> Any:
    (found,) = (folder / "reports").glob("*/verdicts.json")
    return json.loads(found.read_text())


def test_killed_under_a_drill_it_leaves_nobody(sandbox: Start, tmp_path: Path) -> None:
    words = [*PYTHON, "run", "zero-downtime", "--target", "{target}", "--reports", str(tmp_path / "reports")]
    one = sandbox("--", *words)
    until(lambda: "load started" in one.said(), one.said)
    one.process.kill()
    one.ended()
    one.nobody_is_left()


def test_a_command_that_ignores_the_signal_is_waited_for(sandbox: Start) -> None:
    script = (
        "import signal, time; heard = []; signal.signal(15, lambda *_: heard.append(print('heard', flush=True)))\n"
        "print('ready', flush=True)\nwhile not heard: time.sleep(0.05)\ntime.sleep(1)"
    )
    one = sandbox("--", sys.executable, "-c", script)
    until(lambda: "ready" in one.said(), one.said)
    one.process.terminate()
    assert one.ended() == 0
    assert "heard" in one.said()
