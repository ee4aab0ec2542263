"""The lab itself, on the real thing: nothing leaves it, a healthy one is left alone, and it says what changed when."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import cluster, docker, fence, platform, settings
from lab.steps import Log

pytestmark = pytest.mark.kind

NOWHERE = "203.0.113.1"  # a documentation address: nobody has it


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "lab.log")


def _in_a_pod(log: Log, command: str) -> str:
    """Run a command in a pod of its own, in the pod network, with no policy around it."""
    name = f"stray-{time.monotonic_ns()}"
    words = ("run", name, f"--image={platform.LABNET_IMAGE}", "--image-pull-policy=Never", "--restart=Never", "--rm")
    return cluster.kubectl(log, *words, "--stdin", "--quiet", "--command", "--", "bash", "-c", command, timeout_s=90)


def _from_a_node(log: Log, command: str) -> str:
    return docker.current().docker(log, "exec", settings.WORKERS[0], "bash", "-c", command, timeout_s=60)


@pytest.mark.parametrize("place", [_from_a_node, _in_a_pod], ids=["node", "pod"])
def test_a_packet_that_wants_out_is_refused_counted_and_does_not_leave(
    log: Log, place: Callable[[Log, str], str]
) -> None:
    before = fence.count(log)
    said = place(log, f"timeout 5 bash -c 'echo > /dev/tcp/{NOWHERE}/80' 2>&1; echo status $?")
    after = fence.count(log)
    assert "refused" in said, said
    assert after.refused > before.refused
    assert after.left == 0


def test_no_packet_has_left_the_lab_and_in_peace_none_tries(log: Log) -> None:
    before = fence.count(log)
    cluster.nodes_ready(log)
    _in_a_pod(log, "getent hosts git.git.svc.cluster.local")
    after = fence.count(log)
    assert after == before
    assert after.left == 0


def test_a_name_of_the_world_fails_at_once_and_inside(log: Log) -> None:
    before = fence.count(log)
    said = _in_a_pod(log, "SECONDS=0; getent hosts www.example.com; echo status $? after $SECONDS s")
    assert "status 2 after" in said
    assert int(said.rsplit(" s", 1)[0].split()[-1]) <= 2
    assert fence.count(log) == before


def test_a_service_address_that_nobody_serves_is_refused_in_the_node(log: Log) -> None:
    before = fence.count(log)
    said = _from_a_node(log, "timeout 5 bash -c 'echo > /dev/tcp/10.96.255.254/80' 2>&1; echo status $?")
    assert "refused" in said, said
    assert fence.count(log) == before, "the packet came as far as the host"


def test_everything_is_published_on_the_loopback_only(log: Log) -> None:
    published = [docker.current().docker(log, "port", node) for node in settings.NODES]
    addresses = {line.split(" -> ")[1] for text in published for line in text.splitlines()}
    assert addresses >= {f"127.0.0.1:{settings.INGRESS_PORT}", f"127.0.0.1:{settings.GIT_PORT}"}
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_a_second_up_on_a_healthy_lab_does_nothing() -> None:
    start = time.monotonic()
    words = [sys.executable, "-m", "lab", "up"]
    done = subprocess.run(words, cwd=settings.REPOSITORY, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing to do" in done.stdout
    assert time.monotonic() - start <= 10


def test_the_audit_log_tells_who_changed_what_and_when(log: Log) -> None:
    name = f"audited-{time.monotonic_ns()}"
    offset = settings.audit_log().stat().st_size
    cluster.kubectl(log, "create", "configmap", name, "--from-literal=secret=not-to-be-logged")
    cluster.kubectl(log, "delete", "configmap", name)
    found: list[dict[str, object]] = []

    def written() -> bool:
        with settings.audit_log().open(encoding="utf-8") as lines:
            lines.seek(offset)
            text = lines.read()
        found[:] = [json.loads(line) for line in text.splitlines(keepends=True) if name in line and line.endswith("\n")]
        return len(found) >= 2

    cluster.wait_for(log, "two audit records", written, timeout_s=10, pause_s=0.1)
    assert [record["verb"] for record in found] == ["create", "delete"]
    assert all(record["stageTimestamp"] for record in found)
    assert "not-to-be-logged" not in json.dumps(found)
