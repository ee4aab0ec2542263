"""`rollproof sandbox` as a person uses it: what it says, what it refuses, and whose exit code it ends with."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sandboxes import Sandbox

from rollproof_sandbox.defects import DEFECTS

Start = Callable[..., Sandbox]


def test_the_list_has_every_defect(sandbox: Start) -> None:
    one = sandbox("--list")
    assert one.ended() == 0
    said = one.said()
    for defect in DEFECTS.values():
        assert f"{defect.name}: {defect.text}" in said
        assert f"rollproof run {' '.join(defect.drill)} -> {defect.result}" in said
    assert one.left_files() == set()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--defect", "crash-lop"), "there is no defect 'crash-lop' did you mean 'crash-loop'?"),
        (
            ("--defect", "exit-at-sigterm", "--defect", "prestop-too-short"),
            "both change workload.prestop_s, and differ",
        ),
        (("--defect", "generator-stalled"), "needs a command that it can hit"),
        (("--ports", "1,2"), "--ports '1,2' is neither 'auto' nor three port numbers"),
    ],
)
def test_a_wrong_request_is_one_message_and_touches_nothing(
    sandbox: Start, words: tuple[str, ...], message: str
) -> None:
    one = sandbox(*words)
    assert one.ended() == 2
    assert message in one.said()
    assert "Traceback" not in one.said()
    assert one.left_files() == set()


def test_a_taken_port(sandbox: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        one = sandbox("--ports", f"0,{number},0")
        assert one.ended() == 2
    assert f"port {number} is not available for the sandbox's ingress: Address already in use" in one.said()
    assert "--ports auto" in one.said()
    assert one.left_files() == {"lock", "logs"}


def test_without_git(sandbox: Start, tmp_path: Path) -> None:
    one = sandbox(environ={"PATH": str(tmp_path)})
    assert one.ended() == 2
    assert "git cannot be run" in one.said()
    assert "install git" in one.said()


def test_a_folder_that_cannot_be_written(sandbox: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    one = sandbox("--folder", str(tmp_path / "file" / "sandbox"))
    assert one.ended() == 2
    assert "cannot be written: Not a directory" in one.said()


def test_two_at_once(sandbox: Start) -> None:
    first = sandbox()
    first.up()
    second = sandbox()
    assert second.ended() == 2
    assert f"a sandbox runs in {first.folder} already (pid {first.process.pid})" in second.said()
    beside = sandbox(name="beside")
    beside.up()
    assert first.target.read_text() != beside.target.read_text()
    first.process.terminate()
    assert first.ended() == 0
    assert beside.alive()


def test_it_ends_with_the_commands_exit_code(sandbox: Start) -> None:
    script = "import sys, pathlib; print(pathlib.Path(sys.argv[1]).read_text()); sys.exit(7)"
    one = sandbox("--", sys.executable, "-c", script, "{target}")
    assert one.ended() == 7
    assert 'name = "sandbox"' in one.said()
    assert one.alive() == []
    assert one.left_files() == {"lock", "logs"}


def test_a_command_that_is_not_there(sandbox: Start) -> None:
    one = sandbox("--", "no-such-program")
    assert one.ended() == 127
    assert "no-such-program cannot be run: No such file or directory" in one.said()


def test_what_the_command_leaves_running_is_ended(sandbox: Start) -> None:
    one = sandbox("--", "sh", "-c", "trap '' TERM; sleep 600 & (sleep 600 &) ; exit 3")
    assert one.ended() == 3
    assert one.alive() == []
