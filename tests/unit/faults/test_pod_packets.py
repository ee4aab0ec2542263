"""Packet loss and packet delay of one pod: the node's answers are played, a small API server has the pods."""

# ruff: noqa: ARG002 (the arguments are those of NodeShell)

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from faults.podcluster import Stage, endpoints, pod

from rollproof.clients.nodes import NodeAccessError, Ran
from rollproof.core.injection import Skip
from rollproof.core.target import FaultSettings, Nodes
from rollproof.core.verdict import Result
from rollproof.faults import packet_delay, packet_loss, pod_packets
from rollproof.faults.pod_packets import PodPackets
from rollproof.store.journal import Undone

FELT = ["planned", "injecting", "injected", "effect"]
NOQUEUE = "qdisc noqueue 0: root refcnt 2\n"
MARK = "0123456789abcdef"
FAULTS = (packet_loss.FAULT, packet_delay.FAULT)


class FakeShell:
    """A node with the two rules, or the discipline. `met`: how many packets each counter shows."""

    refused, met, there, container, begins = "", 7, False, True, True
    netem = True
    discipline = NOQUEUE
    ran: list[str] = []  # noqa: RUF012 - one for all shells of a test, which are made anew for each request

    def __init__(self, settings: Nodes, kube: object) -> None:
        assert settings.access == "docker"

    def why_not(self, node: str) -> str:
        return self.refused

    def container_pid(self, node: str, uid: str, container: str) -> int:
        assert (node, container) == ("a", "web")
        if not self.container:
            raise NodeAccessError("0 processes in node a are the main process of it, expected one")
        return 4711

    def run(self, node: str, argv: Sequence[str], timeout_s: float = 15.0) -> Ran:
        cls, words = type(self), " ".join(argv)
        cls.ran.append(words)
        if words.startswith("unshare"):
            return Ran(0, "", "") if self.netem else Ran(2, "", "Error: Specified qdisc kind is unknown.\n")
        if " -S INPUT" in words:
            return Ran(0, "-P INPUT ACCEPT", "")
        if "-nvxL" in words:
            line = "%8d  100 DROP  all -- * *  0.0.0.0/0 10.0.0.1 statistic mode random /* rollproof %s */"
            lines = [line % (count, MARK) for count in (self.met, 0)] if self.there else []
            return Ran(0, "\n".join(["Chain FORWARD", *lines, line % (900, "f" * 16)]), "")
        if "qdisc show" in words:
            said = f"qdisc netem 8001: root delay 100ms\n Sent 840 bytes {self.met} pkt (dropped 0)\n"
            return Ran(0, said if self.there else self.discipline, "")
        if " -I FORWARD" in words or "qdisc add" in words:
            cls.there = self.begins
            return Ran(0 if self.begins else 1, "", "" if self.begins else "told")
        was, cls.there = self.there, False
        return Ran(0, "2\n" if was else "0\n", "")


@pytest.fixture(params=FAULTS, ids=lambda fault: fault.name)
def stage(request: pytest.FixtureRequest, staged: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = staged(request.param)
    for name, ip, node in (("web-1", "10.0.0.1", "a"), ("web-2", "10.0.0.2", "b")):
        item = pod(name, ip)
        stage.api.put("pods", {**item, "spec": {**item["spec"], "nodeName": node}})
    watches = stage.live.watches
    assert watches.poll(lambda: watches.pods()["web-2"].node == "b" or None, timeout_s=60)
    shell = type("Shell", (FakeShell,), {"ran": []})
    monkeypatch.setattr("rollproof.faults.pod_packets.NodeShell", shell)
    limits = FaultSettings(effect_within_s=0.3, hold_s=0.1, recovery_limit_s=0.8)
    stage.target = replace(stage.target, faults=limits, nodes=Nodes(access="docker"))
    stage.live = replace(stage.live, target=stage.target)
    monkeypatch.setattr("rollproof.faults.pod_packets.secrets.token_hex", lambda _: MARK)
    return stage


@pytest.fixture
def shell(stage: Stage) -> type[FakeShell]:  # noqa: ARG001 - it has put it there
    found: Any = pod_packets.NodeShell  # type: ignore[attr-defined]
    assert issubclass(found, FakeShell)
    return found


def undo(stage: Stage, args: Any) -> Undone:
    assert isinstance(stage.fault, PodPackets)
    return stage.fault.undo_on(stage.target, stage.live.kube, args)


def test_a_bad_line_is_held_and_taken_away(stage: Stage, shell: type[FakeShell]) -> None:
    injection = stage.injection()
    assert injection.subject == "Pod/shop/web-1"
    assert injection.dead_man == "a timer in the node, after 60.4 s"
    assert stage.fault.blast(injection, stage.target).pods == 1
    assert stage.run(injection) == [*FELT, "undone", "recovered"]
    assert stage.said("effect").data["watched"].startswith("7 packets of Pod/shop/web-1 d")
    assert stage.verdict() is Result.PASS
    assert not shell.there
    (begun,) = [words for words in shell.ran if " -I FORWARD" in words or "qdisc add dev eth0" in words]
    assert begun.index("sleep 61; ") < min(begun.index(one) for one in (" -I FORWARD", "qdisc add") if one in begun), (
        "the timer is armed before"
    )
    assert stage.journal.open_entries() == []


def test_no_packet_is_no_effect(stage: Stage, shell: type[FakeShell]) -> None:
    shell.met = 0
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert stage.verdict() is Result.INCONCLUSIVE
    assert not shell.there


def test_a_pod_that_does_not_serve_again_is_no_recovery(stage: Stage, shell: type[FakeShell]) -> None:
    injection = stage.injection()
    real = stage.fault.observe  # type: ignore[attr-defined]

    def observe(*args: Any) -> Any:
        stage.api.put("endpointslices", endpoints("10.0.0.2"))
        return real(*args)

    stage.fault.observe = observe  # type: ignore[attr-defined]
    try:
        assert stage.run(injection)[-2:] == ["undone", "not-recovered"]
    finally:
        del stage.fault.observe  # type: ignore[attr-defined]
    assert stage.verdict() is Result.FAIL
    assert not shell.there


def test_a_plan_that_is_not_true_any_more_is_void(stage: Stage, shell: type[FakeShell]) -> None:
    injection = stage.injection()
    stage.api.put("endpointslices", endpoints("10.0.0.2"))
    watches = stage.live.watches
    assert watches.poll(lambda: "10.0.0.1" not in watches.endpoints() or None, timeout_s=60)
    assert stage.run(injection) == ["planned", "void"]
    assert not shell.there


def test_what_the_node_refuses_is_said_and_nothing_is_left(stage: Stage, shell: type[FakeShell]) -> None:
    injection = stage.injection()
    shell.begins = False
    assert stage.run(injection)[-1] in ("void", "error")
    assert stage.verdict() is Result.INCONCLUSIVE
    assert not shell.there


def test_undone_twice_and_only_what_is_ours(stage: Stage, shell: type[FakeShell]) -> None:
    args = stage.injection().args
    assert undo(stage, args).how == "not-needed"
    shell.there = True
    assert undo(stage, args).how == "done"
    assert undo(stage, args).how == "not-needed"
    if stage.fault is packet_loss.FAULT:
        assert all(MARK in words for words in shell.ran if " -D " in words), "by our mark alone"
        return
    shell.discipline = "qdisc tbf 8002: root rate 1Mbit\n"
    assert undo(stage, args).how == "not-needed", "another discipline is somebody else's"
    shell.container = False
    assert undo(stage, args).how == "not-needed", "a pod that is gone has taken it along"


def test_what_cannot_be_done_is_skipped_with_its_reason(stage: Stage, shell: type[FakeShell]) -> None:
    def reason() -> str:
        skip = stage.available()
        assert isinstance(skip, Skip)
        return skip.reason

    if stage.fault is packet_delay.FAULT:
        shell.discipline = "qdisc tbf 8002: root rate 1Mbit\n"
        assert "has a queueing discipline already" in reason()
        shell.netem = False
        said = "tc said 'Error: Specified qdisc kind is unknown.'"
        assert reason() == f"the kernel of node a cannot delay packets (netem): {said}"
    shell.refused = "no way into a node is named"
    assert reason() == "no way into a node is named"
