"""DNS away from a pod: exec is a real shell whose resolver file is the test's own; the pod's probe is played."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from faults.podcluster import Stage, endpoints, pod

from rollproof.clients.execute import Executed
from rollproof.clients.kube import ApiError, Kube
from rollproof.core.injection import Skip
from rollproof.core.target import FaultSettings
from rollproof.core.verdict import Result
from rollproof.faults.dns_away_pod import FAULT

pytestmark = pytest.mark.processes

BEFORE = "search shop.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"
NOBODY = "nameserver 192.0.2.1\n"
FELT = ["planned", "injecting", "injected", "effect"]


class Shell:
    """pods/exec of web-1. `feels`: whether its readiness follows the resolver; `returns`: also when it is back."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage, self.file = stage, folder / "resolv.conf"
        self.file.write_text(BEFORE)
        self.feels, self.returns = True, True
        self.scripts: list[str] = []
        self.refused = 0
        self.room = -1  # bytes that the disk takes of the next change; -1: all

    def run(self, command: Sequence[str]) -> Executed:
        if self.refused:
            raise ApiError("told", status=self.refused)
        script = command[-1].replace("/etc/resolv.conf", str(self.file))
        self.scripts.append(command[-1])
        script = script.replace("sleep ", "exit; sleep ")  # a timer that outlives the test would be no use
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, check=False)
        if 0 <= self.room < len(text := self.file.read_text()) and text != BEFORE:
            self.file.write_text(text[: self.room])
            self.room = -1
            return Executed(1, "printf: write error: No space left on device")
        away = NOBODY in self.file.read_text()
        if self.feels and (away or self.returns):
            self.stage.api.put("pods", pod("web-1", "10.0.0.1", ready=not away))
            self.stage.api.put("endpointslices", endpoints(*(() if away else ("10.0.0.1",)), "10.0.0.2"))
        return Executed(done.returncode, done.stdout + done.stderr)


@pytest.fixture
def stage(staged: Callable[..., Stage]) -> Stage:
    stage = staged(FAULT)
    item = stage.api.objects["deployments", "web"]
    container = item["spec"]["template"]["spec"]["containers"][0]
    probe = {"periodSeconds": 0, "failureThreshold": 1, "timeoutSeconds": 0}
    template = {"spec": {"containers": [{**container, "readinessProbe": probe}]}}
    stage.api.put("deployments", {**item, "spec": {**item["spec"], "template": template}})
    limits = FaultSettings(effect_within_s=0.5, hold_s=0.1, recovery_limit_s=1.0)
    stage.target = replace(stage.target, faults=limits)
    stage.live = replace(stage.live, target=stage.target)
    return stage


@pytest.fixture
def shell(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = Shell(stage, tmp_path)

    def pod_exec(_: Kube, namespace: str, name: str, container: str, command: Sequence[str], **more: Any) -> Executed:
        assert (namespace, name, container) == ("shop", "web-1", "web")
        assert more["timeout_s"] > 0
        return shell.run(command)

    monkeypatch.setattr(Kube, "pod_exec", pod_exec)
    return shell


def test_a_pod_without_names_leaves_and_comes_back(stage: Stage, shell: Shell) -> None:
    injection = stage.injection()
    assert injection.subject == "Pod/shop/web-1"
    assert injection.args["original"] == BEFORE
    assert "a timer in the pod, after 60.6 s" in injection.dead_man
    assert FAULT.blast(injection, stage.target).pods == 1
    assert stage.run(injection) == [*FELT, "undone", "recovered"]
    assert shell.file.read_text() == BEFORE
    assert stage.verdict() is Result.PASS
    assert stage.journal.open_entries() == []


def test_the_timer_is_armed_before_and_puts_the_file_back(stage: Stage, shell: Shell) -> None:
    stage.run()
    (script,) = [one for one in shell.scripts if "sleep" in one]
    timer, _, deed = script.partition(" & ")
    assert "sleep 61; { [" in timer
    assert deed.endswith("\nnameserver 192.0.2.1' >/etc/resolv.conf")
    ours = deed.rpartition("'# ")[2].partition("'")[0]
    undo = timer.partition("sleep 61; ")[2].partition(") </dev/null")[0]
    shell.file.write_text(f"# {ours}\n")
    shell.run(["sh", "-c", undo])
    assert shell.file.read_text() == BEFORE
    shell.file.write_text(f"# rollproof of a later run\n{NOBODY}")
    shell.run(["sh", "-c", undo])
    assert NOBODY in shell.file.read_text(), "it is another run's to take away"
    shell.file.write_text("nameserver 10.0.0.1\n")
    shell.run(["sh", "-c", undo])
    assert shell.file.read_text() == "nameserver 10.0.0.1\n", "what somebody else wrote stays"


def test_an_app_that_needs_no_names_is_no_effect(stage: Stage, shell: Shell) -> None:
    shell.feels = False
    assert stage.run() == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert stage.verdict() is Result.INCONCLUSIVE
    assert shell.file.read_text() == BEFORE


def test_a_pod_that_does_not_come_back_is_no_recovery(stage: Stage, shell: Shell) -> None:
    shell.returns = False
    injection = stage.injection()
    assert stage.run(injection) == [*FELT, "undone", "not-recovered"]
    assert "web-1 is not ready" in str(stage.said("not-recovered").data["last_seen"])
    assert stage.verdict() is Result.FAIL
    assert shell.file.read_text() == BEFORE


def test_a_file_that_was_changed_since_the_plan_is_void_and_stays(stage: Stage, shell: Shell) -> None:
    injection = stage.injection()
    shell.file.write_text("nameserver 10.0.0.1\n")
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert shell.file.read_text() == "nameserver 10.0.0.1\n"


@pytest.mark.parametrize("room", [0, 10])
def test_a_file_that_was_written_in_part_is_as_before(stage: Stage, shell: Shell, room: int) -> None:
    """A full disk: the pod would be without names, and nobody would know."""
    injection = stage.injection()
    shell.room = room
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert "No space left" in str(stage.said("void").data["reason"])
    assert shell.file.read_text() == BEFORE
    assert stage.journal.open_entries() == []


def test_a_pod_that_is_gone_is_void(stage: Stage, shell: Shell) -> None:
    injection = stage.injection()
    stage.api.put("pods", {**pod("web-1", "10.0.0.1"), "metadata": {**pod("web-1", "")["metadata"], "uid": "other"}})
    watches = stage.live.watches
    assert watches.poll(lambda: watches.pods()["web-1"].uid == "other" or None, timeout_s=60)
    assert stage.run(injection) == ["planned", "void"]
    assert FAULT.undo(stage.live.kube, injection.args).how == "not-needed"
    assert shell.file.read_text() == BEFORE


def test_undone_twice_and_never_what_is_somebody_elses(stage: Stage, shell: Shell) -> None:
    args = stage.injection().args
    assert FAULT.undo(stage.live.kube, args).how == "not-needed"
    shell.file.write_text(args["ours"])
    assert FAULT.undo(stage.live.kube, args).how == "done"
    assert FAULT.undo(stage.live.kube, args).how == "not-needed"
    shell.file.write_text("nameserver 10.0.0.1\n")
    assert FAULT.undo(stage.live.kube, args).how == "left"
    assert shell.file.read_text() == "nameserver 10.0.0.1\n"


def test_what_cannot_be_done_is_skipped_with_its_reason(stage: Stage, shell: Shell) -> None:
    def reason() -> str:
        skip = stage.available()
        assert isinstance(skip, Skip)
        return skip.reason

    shell.feels = False
    shell.file.write_text(NOBODY)
    assert "is not what was expected" in reason()
    shell.file.write_text("")
    assert "is not what was expected" in reason()
    shell.refused = 403
    assert "answered 403" in reason()
