"""Children: told and heard as JSON lines, and never left over, however their parent ends."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollproof_sandbox.processes import MARKER, Child, Processes, script_words
from tests.waiting import until

ECHO = """
import json, signal, sys
first = json.loads(sys.stdin.readline())
if first.get("stubborn"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(json.dumps({"first": first, "words": sys.argv[1:], "name": __name__}), flush=True)
for line in sys.stdin:
    print(line, end="", flush=True)
while first.get("stubborn"):
    signal.pause()
"""
OWNER = """
import sys, threading, time
from pathlib import Path
from rollproof_sandbox.processes import Processes, script_words
heard = threading.Event()
first = {"stubborn": True}
child = Processes(marker="owner").start(
    script_words(Path(sys.argv[1])), name="echo", first=first, heard=lambda item: heard.set()
)
heard.wait()
print(child.pid, flush=True)
time.sleep(600)
"""
RUNNER = """
import os, sys
from rollproof_sandbox.processes import Processes
Processes(marker="runner").run(
    ["sh", "-c", "echo $$ > $0; trap '' TERM; sleep 600 & wait", sys.argv[1]], environ=os.environ, timeout_s=600
)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "echo.py"
    path.write_text(ECHO)
    return path


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    made = Processes(tmp_path / "children.log", marker="a-test")
    yield made
    made.end_all()


def started(processes: Processes, script: Path, **first: Any) -> tuple[Child, queue.Queue[dict[str, Any]]]:
    heard: queue.Queue[dict[str, Any]] = queue.Queue()
    child = processes.start(script_words(script, "word"), name="echo", first=first, heard=heard.put)
    return child, heard


def state(pid: int) -> str:
    """The kernel's letter for it: T stopped, Z ended and not yet waited for; "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def test_a_child_hears_and_answers(processes: Processes, script: Path) -> None:
    child, heard = started(processes, script, a=1)
    assert heard.get(timeout=60) == {"first": {"a": 1}, "words": ["word"], "name": "__main__"}
    child.tell({"endpoints": ["127.0.0.1:1"]})
    assert heard.get(timeout=60) == {"endpoints": ["127.0.0.1:1"]}
    assert MARKER.encode() + b"=a-test" in Path(f"/proc/{child.pid}/environ").read_bytes().split(b"\0")
    assert os.getpgid(child.pid) == child.pid  # Ctrl-C of a terminal is not for it


def test_the_end_is_told_with_its_code(processes: Processes, script: Path) -> None:
    child, heard = started(processes, script)
    heard.get(timeout=60)
    child.signal(signal.SIGTERM)
    assert child.wait(60) == -signal.SIGTERM
    assert child.ended.is_set()
    child.tell({"to": "nobody"})
    child.kill()
    assert processes.running() == []


def test_end_all_ends_also_who_ignores_sigterm_and_who_is_stopped(processes: Processes, script: Path) -> None:
    stubborn, heard = started(processes, script, stubborn=True)
    heard.get(timeout=60)
    stopped, heard = started(processes, script)
    heard.get(timeout=60)
    stopped.signal(signal.SIGSTOP)
    until(lambda: state(stopped.pid) == "T")
    processes.end_all()
    assert stubborn.wait(0) == stopped.wait(0) == -signal.SIGKILL
    with pytest.raises(RuntimeError, match="the sandbox is ending"):
        started(processes, script)


def test_a_program_that_is_not_there_is_an_error(processes: Processes) -> None:
    with pytest.raises(OSError, match="No such file"):
        processes.start(["/nowhere/at-all"], name="nobody", first={})


def test_children_outlive_the_thread_that_asked_for_them(processes: Processes, script: Path) -> None:
    """The kernel's signal at the parent's death comes when the forking *thread* ends."""
    made: list[tuple[Child, queue.Queue[dict[str, Any]]]] = []
    thread = threading.Thread(target=lambda: made.append(started(processes, script)))
    thread.start()
    thread.join()
    child, heard = made[0]
    heard.get(timeout=60)
    child.tell({"still": "there"})
    assert heard.get(timeout=60) == {"still": "there"}


def test_a_killed_owner_leaves_nobody_not_even_a_stubborn_child(tmp_path: Path, script: Path) -> None:
    owner_script = tmp_path / "owner.py"
    owner_script.write_text(OWNER)
    owner = subprocess.Popen([sys.executable, str(owner_script), str(script)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    owner.stdout.close()
    until(lambda: state(pid) in ("", "Z"))


def test_noise_on_stdout_is_no_message(processes: Processes, tmp_path: Path) -> None:
    path = tmp_path / "noisy.py"
    path.write_text(
        'import sys\nsys.stdin.readline()\nprint("Hello!")\nprint(\'{"a": 1}\', flush=True)\nsys.stdin.read()'
    )
    heard: queue.Queue[dict[str, Any]] = queue.Queue()
    processes.start(script_words(path), name="noisy", first={}, heard=heard.put)
    assert heard.get(timeout=60) == json.loads('{"a": 1}')


def test_a_program_is_marked_and_out_of_the_terminals_reach(processes: Processes) -> None:
    done = processes.run(
        ["sh", "-c", f"cat; echo ${MARKER} $$ $(ps -o pgid= -p $$); exit 3"], environ=os.environ, stdin=b"in ",
        timeout_s=60,
    )  # fmt: skip
    said, mark, pid, group = done.stdout.decode().split()
    assert (said, mark, pid, done.returncode) == ("in", "a-test", group, 3)


def test_a_program_that_does_not_end_in_time_is_ended_with_all_it_has_started(
    processes: Processes, tmp_path: Path
) -> None:
    words = ["sh", "-c", "sleep 600 & echo $! > $0; wait", str(tmp_path / "pid")]
    with pytest.raises(subprocess.TimeoutExpired):
        processes.run(words, environ=os.environ, timeout_s=3.0)
    pid = int((tmp_path / "pid").read_text())
    until(lambda: state(pid) in ("", "Z"))


def test_end_all_ends_a_program_that_runs_and_refuses_the_next(processes: Processes, tmp_path: Path) -> None:
    codes: queue.Queue[int] = queue.Queue()
    words = ["sh", "-c", "echo $$ > $0; trap '' TERM; sleep 600 & wait", str(tmp_path / "pid")]
    thread = threading.Thread(
        target=lambda: codes.put(processes.run(words, environ=os.environ, timeout_s=600).returncode)
    )
    thread.start()
    until((tmp_path / "pid").exists)
    processes.end_all()
    assert codes.get(timeout=60) == -signal.SIGKILL
    thread.join()
    with pytest.raises(RuntimeError, match="sh cannot be started: the sandbox is ending"):
        processes.run(words, environ=os.environ, timeout_s=600)


def test_a_program_that_is_not_there(processes: Processes) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        processes.run(["no-such-program"], environ=os.environ, timeout_s=1)


def test_a_killed_owner_leaves_no_program(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    owner = subprocess.Popen([sys.executable, "-c", RUNNER, str(pid_file)])
    until(lambda: pid_file.exists() and pid_file.read_text().endswith("\n"))
    pid = int(pid_file.read_text())
    owner.kill()
    owner.wait()
    until(lambda: state(pid) in ("", "Z"))
