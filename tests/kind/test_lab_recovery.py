"""The lab after its worst moments: killed at any step, or its daemon dead, one more `up` completes it.

Each case takes the lab away and makes it again (about two minutes): only when asked by ROLLPROOF_LAB_RECOVERY=1.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lab import docker, settings

pytestmark = [
    pytest.mark.kind,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not os.environ.get("ROLLPROOF_LAB_RECOVERY"), reason="takes the lab away; ROLLPROOF_LAB_RECOVERY=1"
    ),
]


def _lab(command: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "lab", command]
    return subprocess.run(words, cwd=settings.REPOSITORY, capture_output=True, text=True, timeout=850, check=False)


def _is_whole() -> None:
    completed = _lab("up")
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert _lab("status").returncode == 0
    assert "nothing to do" in _lab("up").stdout


def _kill_up_at(step: str, sign: signal.Signals) -> None:
    """Start `up` and end it when it says that it starts this step."""
    words = [sys.executable, "-m", "lab", "up"]
    with subprocess.Popen(words, cwd=settings.REPOSITORY, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if line.split() == ["start", *step.split()]:
                running.send_signal(sign)
                break
        else:
            pytest.fail(f"`up` never started {step}")


@pytest.mark.parametrize(
    "step", ["docker", "node image", "cluster", "pod network", "load workload images", "push releases", "applications"]
)
def test_up_that_was_killed_is_completed_by_the_next(step: str) -> None:
    assert _lab("down").returncode == 0
    _kill_up_at(step, signal.SIGKILL)
    _is_whole()


def test_up_that_was_asked_to_end_leaves_no_child_at_work() -> None:
    assert _lab("down").returncode == 0
    _kill_up_at("cluster", signal.SIGTERM)
    found = subprocess.run(
        ["pgrep", "-f", f"create cluster --config={settings.state()}"], capture_output=True, check=False
    )
    assert found.stdout == b""
    _is_whole()


def test_a_daemon_that_was_killed_is_replaced_and_the_lab_made_anew() -> None:
    _is_whole()
    os.kill(int((docker.folder() / "docker.pid").read_text(encoding="utf-8")), signal.SIGKILL)
    _is_whole()


def test_down_leaves_nothing_but_the_cache() -> None:
    _is_whole()
    assert _lab("down").returncode == 0
    assert not settings.state().exists()
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    assert "ROLLPROOF" not in rules
    mounts = subprocess.run(["cat", "/proc/mounts"], capture_output=True, text=True, check=True).stdout
    assert str(settings.state()) not in mounts
    assert not Path("/sys/class/net", settings.BRIDGE).exists()
    assert settings.cache().exists()
    assert _lab("down").returncode == 0, "a second `down` finds nothing, and that is no error"
    _is_whole()
