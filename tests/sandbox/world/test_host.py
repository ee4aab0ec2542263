"""Host: the troubles reach the command's processes, and those only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rollproof.errors import InputError
from rollproof_sandbox.api.store import Store
from rollproof_sandbox.host import HostTroubles, check_has_command
from rollproof_sandbox.settings import Host, Trouble
from tests.waiting import until

STRATEGIC = "application/strategic-merge-patch+json"
GENERATOR = "import time\nwhile True: time.sleep(1)"
CLOCK = """
import sys, time
print("ready", flush=True)
sys.stdin.readline()
print(time.time(), time.time_ns(), flush=True)
"""
WRITER = """
import errno, sys, tempfile
from pathlib import Path
folder = Path(sys.argv[1])
with (folder / "open.txt").open("w", buffering=1) as stream, (folder / "read.txt").open() as reading:
    stream.write("before\\n")
    print("ready", flush=True)
    sys.stdin.readline()
    said = []
    for name, action in {
        "open": lambda: stream.write("after\\n"), "new": lambda: (folder / "new.txt").write_text("x"),
        "temporary": lambda: (Path(tempfile.mkdtemp()) / "x").write_text("x"), "reading": lambda: reading.read(),
    }.items():
        try:
            action()
            said.append(f"{name} ok")
        except OSError as error:
            said.append(f"{name} {errno.errorcode[error.errno]}")
    print(", ".join(said), flush=True)
    try:
        stream.close()
    except OSError:
        pass
"""


@pytest.fixture
def store() -> Store:
    made = Store()
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}, "data": {"a": "1"}}
    made.create(item, manager="argocd-controller")
    return made


def drift(store: Store) -> None:
    store.patch("ConfigMap", "shop", "c", {"data": {"a": "2"}}, STRATEGIC, manager="rollproof")


def host(store: Store, folder: Path, kind: str, **more: Any) -> HostTroubles:
    return HostTroubles(Host(on_drift=(Trouble(kind=kind, **more),)), store, folder)


def python(code: str, *words: str, environ: Any = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ
    )


def told(process: subprocess.Popen[str], before: Callable[[], None]) -> str:
    """What it says after `before`, once it was ready."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    before()
    with process:
        process.stdin.write("go\n")
        process.stdin.flush()
        return process.stdout.readline().strip()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_the_generator_below_the_command_is_stopped_for_a_while(store: Store, tmp_path: Path) -> None:
    script = tmp_path / "load" / "engine.py"
    script.parent.mkdir()
    script.write_text(GENERATOR)
    other = subprocess.Popen([sys.executable, str(script)])
    command = subprocess.Popen(["sh", "-c", '"$0" "$1" & echo $!; wait', sys.executable, str(script)],
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    assert command.stdout is not None
    pid = int(command.stdout.readline())
    troubles = host(store, tmp_path / "host", "stop-generator", for_s=0.5)
    troubles.start(command.pid)
    try:
        until(lambda: "engine.py" in Path(f"/proc/{pid}/cmdline").read_text())
        drift(store)
        until(lambda: state(pid) == "T")
        assert state(other.pid) != "T"
        until(lambda: state(pid) != "T")
    finally:
        troubles.stop()
        os.kill(pid, signal.SIGKILL)
        other.kill()
        other.wait()
        command.wait()
        command.stdout.close()


def test_the_clock_steps_once_the_moment_has_come(store: Store, tmp_path: Path) -> None:
    troubles = host(store, tmp_path / "host", "clock-step")
    process = python(CLOCK, environ=dict(troubles.environ()))
    troubles.start(process.pid)

    def step() -> None:
        drift(store)
        until((tmp_path / "host" / "clock-step").exists)

    wall_s, wall_ns = (float(word) for word in told(process, step).split())
    troubles.stop()
    assert wall_s - time.time() == pytest.approx(5.0, abs=2.4)  # it is 5 or 0
    assert wall_ns / 1e9 - wall_s == pytest.approx(0.0, abs=2.4)


def test_a_full_disk_takes_open_files_and_new_ones_but_no_temporary_folder(store: Store, tmp_path: Path) -> None:
    (tmp_path / "read.txt").write_text("there")
    troubles = host(store, tmp_path / "host", "disk-full")
    process = python(WRITER, str(tmp_path), environ=dict(troubles.environ()))
    troubles.start(process.pid)

    def fill() -> None:
        drift(store)
        fds = Path(f"/proc/{process.pid}/fd")
        until(lambda: any(str(fd.readlink()) == "/dev/full" for fd in fds.iterdir()))

    said = told(process, fill)
    troubles.stop()
    assert said == "open ENOSPC, new ENOSPC, temporary ok, reading ok"
    assert (tmp_path / "open.txt").read_text() == "before\n"


def test_without_troubles_nothing_is_changed(store: Store, tmp_path: Path) -> None:
    assert HostTroubles(Host(), store, tmp_path / "host").environ() == {}
    assert not (tmp_path / "host").exists()


def test_troubles_need_a_command() -> None:
    settings = Host(on_rollout=(Trouble(kind="disk-full"),))
    with pytest.raises(InputError, match="disk-full: a trouble of the harness's machine needs a command"):
        check_has_command(settings, ())
    check_has_command(settings, ("rollproof",))
    check_has_command(Host(), ())
