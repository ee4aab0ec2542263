"""The lab itself, on the real thing: nothing leaves it, a healthy one is left alone, and it says what changed when."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lab_user import branch_head, settle

from lab import cluster, docker, fence, platform, settings
from lab.steps import Log

pytestmark = [pytest.mark.kind, pytest.mark.usefixtures("at_rest")]

NOWHERE = "203.0.113.1"  # a documentation address: nobody has it


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "lab.log")


def _in_a_pod(log: Log, command: str) -> str:
    """Run a command in a pod of its own, in the pod network, with no policy around it: what it said, from its log.

    Not attached to it: what a pod says before somebody is attached would be lost, where the pod still runs then.
    """
    name = f"stray-{time.monotonic_ns()}"
    words = ("run", name, f"--image={platform.LABNET_IMAGE}", "--image-pull-policy=Never", "--restart=Never")
    cluster.kubectl(log, *words, "--command", "--", "bash", "-c", command)
    phase = ("get", "pod", name, "--output=jsonpath={.status.phase}")
    try:
        cluster.wait_for(
            log,
            f"the end of pod {name}",
            lambda: cluster.kubectl(log, *phase) in ("Succeeded", "Failed"),
            timeout_s=180,
        )
        return cluster.kubectl(log, "logs", name)
    finally:
        cluster.kubectl(log, "delete", "pod", name, "--now", "--wait=false")


def _nothing_tries(log: Log, action: Callable[[], object]) -> None:
    """No packet is refused while this is done. What tests before have cut off may still send: three attempts."""
    for _ in range(3):
        before = fence.count(log)
        action()
        after = fence.count(log)
        assert after.left == 0
        if after == before:
            return
    raise AssertionError(f"packets were refused each of three times; the last: {before} before, {after} after")


def _from_a_node(log: Log, command: str) -> str:
    return docker.current().docker(log, "exec", settings.WORKERS[0], "bash", "-c", command, timeout_s=60)


@pytest.mark.parametrize("place", [_from_a_node, _in_a_pod], ids=["node", "pod"])
def test_a_packet_that_wants_out_is_refused_counted_and_does_not_leave(
    log: Log, place: Callable[[Log, str], str]
) -> None:
    before = fence.count(log)
    said = place(log, f"timeout 20 bash -c 'echo > /dev/tcp/{NOWHERE}/80' 2>&1; echo status $?")
    after = fence.count(log)
    assert "refused" in said, said
    assert after.refused > before.refused
    assert after.left == 0


# Run in the network of a node: one TCP packet of no connection. Arguments: source, target, flags.
_STRAY = """
import socket, struct, sys
def total(data):
    words = sum(struct.unpack(f"!{len(data) // 2}H", data))
    words = (words >> 16) + (words & 0xFFFF)
    return ~(words + (words >> 16)) & 0xFFFF
source, target, flags = socket.inet_aton(sys.argv[1]), socket.inet_aton(sys.argv[2]), int(sys.argv[3])
tcp = struct.pack("!HHIIBBHHH", 40000, 80, 1, 1, 5 << 4, flags, 1024, 0, 0)
pseudo = source + target + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(tcp))
tcp = tcp[:16] + struct.pack("!H", total(pseudo + tcp)) + tcp[18:]
header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0, 64, socket.IPPROTO_TCP, 0, source, target)
with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
    raw.sendto(header + tcp, (sys.argv[2], 0))
"""


@pytest.mark.parametrize("source", ["10.244.77.7", "10.96.77.7"], ids=["pod address", "Service address"])
@pytest.mark.parametrize("flags", [0x10, 0x11, 0x04, 0x12, 0x00], ids=["ACK", "FIN-ACK", "RST", "SYN-ACK", "none"])
def test_b9_a_packet_of_a_dead_connection_does_not_leave(log: Log, source: str, flags: int) -> None:
    before = fence.count(log)
    pid = docker.current().docker(log, "inspect", "--format={{.State.Pid}}", settings.WORKERS[0]).strip()
    words = ("nsenter", f"--target={pid}", "--net", sys.executable, "-c", _STRAY, source, NOWHERE, flags)
    log.run(*words, timeout_s=30)
    cluster.wait_for(log, "the stray", lambda: fence.count(log).refused > before.refused, timeout_s=60)
    assert fence.count(log).left == 0


def test_no_packet_has_left_the_lab_and_in_peace_none_tries(log: Log) -> None:
    def peace() -> None:
        cluster.nodes_ready(log)
        _in_a_pod(log, "getent hosts git.git.svc.cluster.local")

    _nothing_tries(log, peace)


def test_a_name_of_the_world_fails_at_once_and_inside(log: Log) -> None:
    said: list[str] = []
    command = "SECONDS=0; getent hosts www.example.com; echo status $? after $SECONDS s"
    _nothing_tries(log, lambda: said.append(_in_a_pod(log, command)))
    assert "status 2 after" in said[-1]
    took_s = [int(one.rsplit(" s", 1)[0].split()[-1]) for one in said]
    assert min(took_s) < 5, "a resolver that nobody answers tries again after 5 s (resolv.conf(5), timeout)"


def test_a_service_address_that_nobody_serves_is_refused_in_the_node(log: Log) -> None:
    said: list[str] = []
    command = "timeout 20 bash -c 'echo > /dev/tcp/10.96.255.254/80' 2>&1; echo status $?"
    _nothing_tries(log, lambda: said.append(_from_a_node(log, command)))  # it does not come as far as the host
    assert "refused" in said[-1], said


def test_everything_is_published_on_the_loopback_only(log: Log) -> None:
    published = [docker.current().docker(log, "port", node) for node in settings.NODES]
    addresses = {line.split(" -> ")[1] for text in published for line in text.splitlines()}
    ports = (settings.INGRESS_PORT, settings.GIT_PORT, settings.REGISTRY_PORT)
    assert addresses >= {f"127.0.0.1:{port}" for port in ports}
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def _lab(word: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "lab", word]
    return subprocess.run(words, cwd=settings.REPOSITORY, capture_output=True, text=True, timeout=900, check=False)


def test_a_second_up_on_a_healthy_lab_does_nothing() -> None:
    """The lab must be well first: the tests before this one break what it runs, which Argo CD notices late."""
    settle(branch_head())
    state = _lab("status")
    assert state.returncode == 0, state.stdout
    finished = settings.state() / "finished.json"
    made = finished.stat().st_mtime_ns
    done = _lab("up")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing to do" in done.stdout, done.stdout
    assert finished.stat().st_mtime_ns == made


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

    cluster.wait_for(log, "two audit records", written, timeout_s=60, pause_s=0.1)
    assert [record["verb"] for record in found] == ["create", "delete"]
    assert all(record["stageTimestamp"] for record in found)
    assert "not-to-be-logged" not in json.dumps(found)
