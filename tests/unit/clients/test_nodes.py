"""Nodes: what is run where, by a docker program of the test's own: it says what a real one would, and notes its words.

It runs the command of `docker exec` on this machine, so that scripts, exit codes and their output are real.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from rollproof.clients.nodes import NodeAccessError, NodeShell, NodeUnansweredError
from rollproof.core.target import Nodes
from rollproof.errors import UnansweredError

pytestmark = pytest.mark.processes

CONTAINER = "c0ffee"
DOCKER = """#!/bin/sh
echo "$*" >> "$FAKE/asked"
[ "$1" = --host ] && shift 2
case "$1" in
  container) [ -e "$FAKE/no-daemon" ] && { echo "Cannot connect to the Docker daemon" >&2; exit 1; }
    cat "$FAKE/container.json" ;;
  exec) [ -e "$FAKE/refuses" ] && { echo "Error response from daemon: container is not running" >&2; exit 1; }
    shift 2; [ "$1" = cat ] && { cat "$FAKE/machine-id"; exit; }
    [ -e "$FAKE/processes" ] && { echo "$3" | cut -c 6-21; cat "$FAKE/processes"; exit; }; exec "$@" ;;
  pause | unpause) [ -e "$FAKE/refuses" ] && { echo "Error response from daemon: no" >&2; exit 1; }; exit 0 ;;
esac
"""


class Cluster:
    """What `Kube` is asked for."""

    def __init__(self) -> None:
        self.node: dict[str, Any] | None = {
            "metadata": {"name": "shop-worker"},
            "spec": {"providerID": "kind://docker/shop/shop-worker"},
            "status": {
                "addresses": [{"type": "InternalIP", "address": "172.18.0.3"}],
                "nodeInfo": {"machineID": "abc"},
            },
        }

    def find(self, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
        assert (kind, namespace, name) == ("Node", "", "shop-worker")
        return self.node


class Fake:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = Cluster()
        self.container()
        (folder / "machine-id").write_text("abc\n")

    def container(self, *, cluster: str = "shop", address: str = "172.18.0.3", paused: bool = False) -> None:
        told = {
            "Id": CONTAINER, "State": {"Paused": paused}, "Config": {"Labels": {"io.x-k8s.kind.cluster": cluster}},
            "NetworkSettings": {"Networks": {"kind": {"IPAddress": address}}},
        }  # fmt: skip
        (self.folder / "container.json").write_text(json.dumps(told))

    def shell(self, access: str = "docker", socket: str = "") -> NodeShell:
        return NodeShell(Nodes(access=access, socket=socket), self.cluster)  # type: ignore[arg-type]

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    program = tmp_path / "docker"
    program.write_text(DOCKER)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE", str(tmp_path))
    return Fake(tmp_path)


def test_a_command_is_run_in_the_container_that_is_the_node(fake: Fake) -> None:
    shell = fake.shell()
    assert shell.run("shop-worker", ("sh", "-c", "echo out; echo err >&2; exit 3")) == (3, "out\n", "err\n")
    assert fake.asked[-1].startswith(f"exec {CONTAINER} sh -c ")
    inspected = sum("inspect" in line for line in fake.asked)
    shell.run("shop-worker", ("true",))
    assert sum("inspect" in line for line in fake.asked) == inspected == 1  # proven once


def test_words_are_no_shell(fake: Fake) -> None:
    assert fake.shell().run("shop-worker", ("printf", "%s|", "a b", "$HOME", "';")).out == "a b|$HOME|';|"


def test_without_access_nothing_is_asked(fake: Fake) -> None:
    shell = fake.shell(access="")
    assert shell.why_not("shop-worker").startswith("no way into a node is named")
    with pytest.raises(NodeAccessError, match="no way into a node is named"):
        shell.run("shop-worker", ("true",))
    assert not (fake.folder / "asked").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cluster": "other"}, "container shop-worker is of the kind cluster 'other', the node of 'shop'"),
        ({"address": "172.18.0.9"}, "has the address 172.18.0.9, the node 172.18.0.3: it is another cluster's"),
    ],
)
def test_another_clusters_container_of_that_name_is_not_touched(
    fake: Fake, changes: dict[str, str], said: str
) -> None:  # fmt: skip
    fake.container(**changes)  # type: ignore[arg-type]
    assert said in fake.shell().why_not("shop-worker")
    with pytest.raises(NodeAccessError):
        fake.shell().run("shop-worker", ("true",))
    with pytest.raises(NodeAccessError):
        fake.shell().pause("shop-worker", again_after_s=1)
    assert [line for line in fake.asked if "inspect" not in line] == []


def test_another_machine_id_is_another_node(fake: Fake) -> None:
    (fake.folder / "machine-id").write_text("def\n")
    assert "has the machine id def, the node abc" in fake.shell().why_not("shop-worker")


@pytest.mark.parametrize("provider", ["", "aws:///eu-west-1a/i-0123", "kind://docker/shop/shop-worker2"])
def test_a_node_that_is_no_container_of_kind(fake: Fake, provider: str) -> None:
    assert fake.cluster.node is not None
    fake.cluster.node["spec"] = {"providerID": provider}
    assert f"its providerID is {provider!r}" in fake.shell().why_not("shop-worker")
    assert not (fake.folder / "asked").exists()


def test_a_node_that_the_cluster_does_not_have(fake: Fake) -> None:
    fake.cluster.node = None
    assert fake.shell().why_not("shop-worker") == "the cluster has no node shop-worker"


def test_no_daemon_and_no_docker(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    (fake.folder / "no-daemon").touch()
    assert "docker shows no container shop-worker: Cannot connect" in fake.shell().why_not("shop-worker")
    (fake.folder / "docker").unlink()
    monkeypatch.setenv("PATH", str(fake.folder))
    assert fake.shell().why_not("shop-worker").startswith("the command `docker` cannot be run")


def test_what_docker_says_is_no_exit_code_of_the_command(fake: Fake) -> None:
    shell = fake.shell()
    assert shell.why_not("shop-worker") == ""
    (fake.folder / "refuses").touch()
    with pytest.raises(NodeAccessError, match="container is not running") as caught:
        shell.run("shop-worker", ("true",))
    assert not isinstance(caught.value, UnansweredError)


def test_a_command_without_an_end_may_have_been_done(fake: Fake) -> None:
    with pytest.raises(NodeUnansweredError) as caught:
        fake.shell().run("shop-worker", ("sleep", "5"), timeout_s=0.2)
    assert isinstance(caught.value, UnansweredError)


def test_a_socket_that_is_there_is_asked_and_no_other(fake: Fake, tmp_path: Path) -> None:
    fake.shell(socket=str(tmp_path / "nobody")).run("shop-worker", ("true",))
    assert not any("--host" in line for line in fake.asked)
    door = Path("/tmp") / f"rp-{os.getpid()}.sock"  # noqa: S108 - a socket's path must be short
    import socket

    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(door))
        try:
            fake.shell(socket=str(door)).run("shop-worker", ("true",))
        finally:
            door.unlink()
    assert fake.asked[-1].startswith(f"--host unix://{door} exec")


def test_pause_arms_its_end_first_and_is_done_once(fake: Fake) -> None:
    shell = fake.shell()
    assert shell.pause("shop-worker", again_after_s=0)
    assert f"pause {CONTAINER}" in fake.asked[-2:], "its end, which is due at once, may come before it or after it"
    fake.container(paused=True)
    assert not shell.pause("shop-worker", again_after_s=0)
    assert shell.is_paused("shop-worker")
    assert shell.unpause("shop-worker")
    assert fake.asked[-1] == f"unpause {CONTAINER}"
    fake.container()
    assert not shell.unpause("shop-worker")


def test_a_paused_node_is_proven_without_a_command_in_it(fake: Fake) -> None:
    fake.container(paused=True)
    assert fake.shell().unpause("shop-worker")
    assert not any(line.startswith("exec") for line in fake.asked)


def test_a_refused_pause_is_said(fake: Fake) -> None:
    shell = fake.shell()
    shell.why_not("shop-worker")
    (fake.folder / "refuses").touch()
    with pytest.raises(NodeAccessError, match="docker pause of node shop-worker failed"):
        shell.pause("shop-worker", again_after_s=0)


def test_no_main_process_of_a_container_that_is_not_there(fake: Fake) -> None:
    with pytest.raises(NodeAccessError, match="0 processes in node shop-worker are the main process of container web"):
        fake.shell().container_pid("shop-worker", "00000000-0000-0000-0000-000000000000", "web")


def test_the_main_process_is_the_one_that_is_pid_1_within(fake: Fake) -> None:
    (fake.folder / "processes").write_text("812 1\n840 13\n841 14\n")
    assert fake.shell().container_pid("shop-worker", "uid-1", "web") == 812


def test_two_main_processes_are_none(fake: Fake) -> None:
    (fake.folder / "processes").write_text("812 1\n900 1\n")
    with pytest.raises(NodeAccessError, match="2 processes in node shop-worker"):
        fake.shell().container_pid("shop-worker", "uid-1", "web")
