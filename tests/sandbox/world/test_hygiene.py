"""No process is left, whatever ends the sandbox and whenever: counted by its mark in /proc."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sandboxes import PYTHON, Sandbox, until

Start = Callable[..., Sandbox]

ENDS = [signal.SIGINT, signal.SIGTERM, signal.SIGKILL]
MOMENTS: dict[str, Callable[[Sandbox], object]] = {
    "while it imports": lambda _: time.sleep(0.2) or True,
    "with the first process": lambda one: one.alive(),
    "with a pod": lambda one: len(one.alive()) > 1,
    "with its files": lambda one: one.target.exists(),
    "when it is up": lambda one: "the sandbox is up" in one.said(),
}


@pytest.mark.parametrize("number", ENDS, ids=lambda number: signal.Signals(number).name)
@pytest.mark.parametrize("moment", MOMENTS)
def test_ended_at_any_moment_it_leaves_nobody(sandbox: Start, moment: str, number: int) -> None:
    one = sandbox()
    until(lambda: MOMENTS[moment](one), one.said)
    one.process.send_signal(number)
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


def test_after_a_kill_the_folder_can_be_used_again(sandbox: Start) -> None:
    first = sandbox()
    first.up()
    first.process.kill()
    first.ended()
    assert "credentials.env" in first.left_files()
    again = sandbox("--", sys.executable, "-c", "pass")
    assert again.ended() == 0
    assert again.left_files() == {"lock", "logs"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_drill_hears_of_it_first_and_puts_things_back(sandbox: Start, tmp_path: Path, number: int) -> None:
    one = sandbox("--", *PYTHON, "run", "release", "--target", "{target}", "--reports", str(tmp_path / "reports"))
    until(lambda: "pushed" in one.said(), one.said)
    one.process.send_signal(number)
    assert one.ended() == 3, one.said()
    assert one.alive() == []
    (verdicts,) = (tmp_path / "reports").glob("*/verdicts.json")
    found = json.loads(verdicts.read_text())
    assert found["undo"] == "clean", one.said()
    assert found["target_kind"] == "sandbox"


def test_killed_under_a_drill_it_leaves_nobody(sandbox: Start, tmp_path: Path) -> None:
    words = [*PYTHON, "run", "zero-downtime", "--target", "{target}", "--reports", str(tmp_path / "reports")]
    one = sandbox("--", *words)
    until(lambda: "load started" in one.said(), one.said)
    one.process.kill()
    one.ended()
    one.nobody_is_left()


def test_a_command_that_ignores_the_signal_is_waited_for(sandbox: Start) -> None:
    script = (
        "import signal, time; signal.signal(15, lambda *_: print('heard')); print('ready', flush=True); time.sleep(2)"
    )
    one = sandbox("--", sys.executable, "-c", script)
    until(lambda: "ready" in one.said(), one.said)
    one.process.terminate()
    assert one.ended() == 0
    assert "heard" in one.said()
