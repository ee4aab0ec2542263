"""Process kill: a container's processes are played by the test; who started the process again decides."""

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
from rollproof.core.reasons import RepairedBy
from rollproof.core.target import FaultSettings
from rollproof.core.verdict import Result
from rollproof.faults.process_kill import FAULT
from rollproof.faults.processes import LOOK, Process, kill_script, parse, supervised

Table = dict[int, tuple[str, int, int]]  # pid -> name, parent, started


def line(pid: int, name: str, parent: int, started: int, state: str = "S") -> str:
    return f"{pid} ({name}) {state} {parent} {' '.join(['0'] * 17)} {started} 0 0"


class Container:
    """The processes of every pod's container; `killed` plays what comes of the kill."""

    def __init__(self) -> None:
        self.table: Table = {1: ("supervisord", 0, 10), 7: ("nginx", 1, 20), 8: ("nginx", 7, 21), 9: ("cron", 1, 22)}
        self.killed: Callable[[], object] = lambda: self.become(nginx=(30, 1))
        self.code = 0
        self.scripts: list[str] = []
        self.broken = 0

    def become(self, **masters: tuple[int, int]) -> None:
        """nginx and its worker are gone; these took their place."""
        self.table = {pid: one for pid, one in self.table.items() if one[0] != "nginx"}
        for number, (name, (started, parent)) in enumerate(masters.items()):
            self.table[40 + number] = (name, parent, started)

    def __call__(
        self, _kube: Kube, _namespace: str, _pod: str, _container: str, command: Sequence[str], *, timeout_s: float
    ) -> Executed:
        script = command[2]
        assert timeout_s > 0
        self.scripts.append(script)
        if self.broken:
            raise ApiError("told", status=self.broken)
        if script == LOOK:
            return Executed(0, "\n".join(line(pid, *one) for pid, one in self.table.items()))
        if "kill -0" not in script and not self.code:
            self.killed()
        return Executed(0 if "kill -0" in script else self.code)


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Container:
    container = Container()

    def pod_exec(*words: Any, **more: Any) -> Executed:  # a function, so that it is bound to its Kube
        return container(*words, **more)

    monkeypatch.setattr(Kube, "pod_exec", pod_exec)
    monkeypatch.setattr("rollproof.faults.process_kill._UNDO_APART_S", 0.01)
    return container


@pytest.fixture
def stage(staged: Callable[..., Stage], container: Container) -> Stage:  # noqa: ARG001 - it must be there first
    stage = staged(FAULT)
    faults = replace(stage.target.faults, process="nginx")
    stage.target = replace(stage.target, faults=faults)
    stage.live = replace(stage.live, target=stage.target)
    return stage


def restarted(stage: Stage) -> None:
    item = pod("web-1", "10.0.0.1")
    item["status"]["containerStatuses"] = [{"name": "web", "restartCount": 1}]
    stage.api.put("pods", item)


def deletions(stage: Stage) -> list[str]:
    return [path.rpartition("/")[2] for method, path, _ in stage.api.asked if method == "DELETE"]


def test_a_process_that_its_supervisor_starts_again(stage: Stage, container: Container) -> None:
    injection = stage.injection()
    assert injection.change == "SIGKILL to nginx (pid 7) in container web, uid uid-web-1"
    assert (injection.args["children"], injection.args["started"]) == ([[8, 21]], 20)
    assert stage.run(injection) == ["planned", "injecting", "injected", "effect", "recovered", "undone"]
    assert stage.verdict() is Result.PASS
    assert stage.said("recovered").data["by"] is RepairedBy.SUPERVISOR
    assert kill_script("KILL", 7, 20) in container.scripts
    assert deletions(stage) == []


def test_one_that_nobody_starts_again_is_a_silent_loss_and_its_pod_is_replaced(
    stage: Stage, container: Container
) -> None:
    container.killed = container.become
    words = stage.run()
    assert words[:5] == ["planned", "injecting", "injected", "effect", "not-recovered"]
    assert stage.said("not-recovered").data["by"] is RepairedBy.NOBODY
    assert "no process nginx runs below process 1" in stage.said("not-recovered").data["last_seen"]
    assert stage.verdict() is Result.FAIL
    assert stage.findings() == ["SILENT_LOSS"]
    assert deletions(stage) == ["web-1"], "the last step, graceful"
    assert stage.journal.open_entries() == []


def test_one_that_comes_back_with_a_new_container_was_repaired_by_the_kubelet(
    stage: Stage, container: Container
) -> None:
    def killed() -> None:
        container.become(nginx=(30, 1))
        restarted(stage)

    container.killed = killed
    assert stage.run()[-1] == "not-recovered"
    assert stage.said("not-recovered").data["by"] is RepairedBy.KUBELET
    assert stage.verdict() is Result.FAIL
    assert stage.findings() == ["REPAIRED_BY_KUBELET"]
    assert deletions(stage) == []


@pytest.mark.parametrize("retry", [True, False])
def test_orphans_that_serve_on_are_no_recovery(stage: Stage, container: Container, retry: bool) -> None:
    def killed() -> None:
        del container.table[7]
        container.table[8] = ("nginx", 1, 21)  # the worker: process 1 has got it
        if retry:
            container.table[50] = ("nginx", 1, 30)  # the supervisor's try, which finds the port taken

    container.killed = killed
    assert "not-recovered" in stage.run()
    assert stage.said("not-recovered").data["by"] is RepairedBy.NOBODY
    assert "orphan" in stage.said("not-recovered").data["last_seen"]
    assert stage.verdict() is Result.FAIL


def test_a_process_that_ignores_it_is_no_effect(stage: Stage, container: Container) -> None:
    container.killed = lambda: None
    assert stage.run()[:4] == ["planned", "injecting", "injected", "no-effect"]
    assert stage.verdict() is Result.INCONCLUSIVE
    assert deletions(stage) == []


def test_a_pid_that_is_another_process_now_is_void(stage: Stage, container: Container) -> None:
    injection = stage.injection()
    container.code = 3
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert stage.verdict() is Result.INCONCLUSIVE


def test_a_pod_that_somebody_takes_away_is_void(stage: Stage, container: Container) -> None:
    def killed() -> None:
        stage.api.put("pods", pod("web-1", "10.0.0.1", deletionTimestamp="2026-01-01T00:00:00Z"))
        stage.api.put("endpointslices", endpoints("10.0.0.2"))

    container.killed = killed
    assert stage.run() == ["planned", "injecting", "injected", "void"]
    assert stage.verdict() is Result.INCONCLUSIVE


@pytest.mark.parametrize(
    ("process", "said"),
    [("", "faults.process does not say which"), ("php", "no process php runs"), ("supervisord", "no process")],
)
def test_a_process_that_is_not_there_is_skipped(stage: Stage, process: str, said: str) -> None:
    skip = stage.available(faults=FaultSettings(process=process))
    assert isinstance(skip, Skip)
    assert said in skip.reason


def test_several_of_that_name_are_skipped(stage: Stage, container: Container) -> None:
    container.table[8] = ("nginx", 1, 21)
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "orphans" in skip.reason


def test_an_api_without_exec_is_skipped(stage: Stage, container: Container) -> None:
    container.broken = 404
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "does not have it" in skip.reason


def test_undo_after_a_crash_waits_for_the_supervisor_before_it_deletes(stage: Stage, container: Container) -> None:
    args = stage.injection().args
    assert FAULT.undo(stage.live.kube, args).how == "not-needed", "it was never killed"
    container.become(nginx=(30, 1))
    assert FAULT.undo(stage.live.kube, args).how == "not-needed", "it runs again"
    container.become()
    assert FAULT.undo(stage.live.kube, args).how == "done"
    assert deletions(stage) == ["web-1"]
    assert stage.live.watches.poll(lambda: stage.live.watches.pods().get("web-3"), timeout_s=5)
    assert FAULT.undo(stage.live.kube, args).how == "not-needed"
    assert deletions(stage) == ["web-1"]


def test_what_proc_says_is_read() -> None:
    lines = [
        line(1, "supervisord", 0, 10),
        line(7, "a (b) c", 1, 20),
        line(8, "gone", 1, 21, "Z"),
        "12 (cut",
        "x (y) S",
    ]
    text = "\n".join(lines)
    assert parse(text) == (Process(1, "supervisord", 0, 10), Process(7, "a (b) c", 1, 20))
    assert supervised(parse(text), "a (b) c") == (Process(7, "a (b) c", 1, 20),)


def test_the_script_kills_no_other_process() -> None:
    with subprocess.Popen(["sleep", "60"]) as victim:
        (process,) = parse(Path(f"/proc/{victim.pid}/stat").read_text())
        other: Any = subprocess.run(["sh", "-c", kill_script("TERM", victim.pid, process.started + 1)], check=False)
        assert (other.returncode, victim.poll()) == (3, None)
        ours = subprocess.run(["sh", "-c", kill_script("TERM", victim.pid, process.started)], check=False)
        assert (ours.returncode, victim.wait(5)) == (0, -15)
        gone = subprocess.run(["sh", "-c", kill_script("TERM", victim.pid, process.started)], check=False)
        assert gone.returncode == 3
