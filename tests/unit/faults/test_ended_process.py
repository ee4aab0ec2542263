"""Process kill and terminate: a container's processes are played by the test; who started one again decides."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from faults.podcluster import Stage, endpoints, pod
from faults.processtable import Container, deletions, line, play, restarted

from rollproof.core.injection import Injection, Skip
from rollproof.core.reasons import NotBack, RepairedBy
from rollproof.core.target import FaultSettings
from rollproof.core.verdict import Result
from rollproof.faults import process_kill, process_terminate
from rollproof.faults.ended_process import EndedProcess
from rollproof.faults.processes import Process, kill_script, parse, supervised

FAULTS = (process_kill.FAULT, process_terminate.FAULT)


@pytest.fixture(params=FAULTS, ids=lambda fault: fault.name)
def fault(request: pytest.FixtureRequest) -> EndedProcess:
    found: EndedProcess = request.param
    return found


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Container:
    monkeypatch.setattr("rollproof.faults.ended_process._UNDO_APART_S", 0.01)
    return play(Container(), monkeypatch)


@pytest.fixture
def stage(staged: Callable[..., Stage], fault: EndedProcess, container: Container) -> Stage:  # noqa: ARG001 - first
    stage = staged(fault)
    faults = replace(stage.target.faults, process="nginx")
    stage.target = replace(stage.target, faults=faults)
    stage.live = replace(stage.live, target=stage.target)
    return stage


def test_a_process_that_its_supervisor_starts_again(stage: Stage, container: Container) -> None:
    injection = stage.injection()
    signal = {"process-kill": "KILL", "process-terminate": "TERM"}[stage.fault.name]
    assert injection.change == f"SIG{signal} to nginx (pid 7) in container web, uid uid-web-1"
    assert [injection.args[word] for word in ("children", "started", "workers")] == [[[8, 21]], 20, 1]
    assert stage.run(injection) == ["planned", "injecting", "injected", "effect", "recovered", "undone"]
    assert stage.verdict() is Result.PASS
    assert stage.said("recovered").data["by"] is RepairedBy.SUPERVISOR
    assert kill_script(signal, 7, 20) in container.scripts
    assert deletions(stage) == []


def test_one_that_nobody_starts_again_is_a_silent_loss_and_its_pod_is_replaced(
    stage: Stage, container: Container
) -> None:
    container.signalled = lambda _: container.become()
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
    def killed(_: str) -> None:
        container.become(nginx=(30, 1), worker=(31, 40))
        restarted(stage)

    container.signalled = killed
    assert stage.run()[-1] == "not-recovered"
    assert stage.said("not-recovered").data["by"] is RepairedBy.KUBELET
    assert stage.verdict() is Result.FAIL
    assert stage.findings() == ["REPAIRED_BY_KUBELET"]
    assert deletions(stage) == []


@pytest.mark.parametrize("retry", [True, False])
def test_orphans_that_serve_on_are_no_recovery(stage: Stage, container: Container, retry: bool) -> None:
    def killed(_: str) -> None:
        del container.table[7]
        container.table[8] = ("nginx", 1, 21)  # the worker: process 1 has got it
        if retry:
            container.table[50] = ("nginx", 1, 30)  # the supervisor's try, which finds the port taken

    container.signalled = killed
    assert "not-recovered" in stage.run()
    assert stage.said("not-recovered").data["by"] is RepairedBy.NOBODY
    assert "orphan" in stage.said("not-recovered").data["last_seen"]
    assert stage.verdict() is Result.FAIL


@pytest.mark.parametrize(
    ("others", "now", "said"),
    [
        ({"nginx": (30, 1)}, 5000, "has no workers, and the old one had 1"),
        ({"nginx": (4700, 1), "worker": (4701, 40)}, 5000, "has run for 3.0 s"),
    ],
)
def test_a_new_one_that_cannot_work_is_no_recovery(
    stage: Stage, container: Container, others: dict[str, tuple[int, int]], now: int, said: str
) -> None:
    container.signalled, container.now = lambda _: container.become(**others), now
    assert "not-recovered" in stage.run()
    assert said in stage.said("not-recovered").data["last_seen"]
    assert stage.verdict() is Result.FAIL


def test_the_job_that_a_process_was_at_is_no_worker_of_it(stage: Stage, container: Container) -> None:
    container.table[8] = ("nginx", 7, 20 + 501)
    injection = stage.injection()
    container.signalled = lambda _: container.become(nginx=(30, 1))
    assert "recovered" in stage.run(injection)


def test_where_readiness_notices_and_nobody_acts_the_loss_is_not_silent(stage: Stage, container: Container) -> None:
    def killed(_: str) -> None:
        container.become()
        stage.api.put("pods", pod("web-1", "10.0.0.1", ready=False))

    container.signalled = killed
    assert "not-recovered" in stage.run()
    assert stage.said("not-recovered").data["cause"] is NotBack.NOT_RESTARTED
    assert stage.verdict() is Result.FAIL
    assert stage.findings() == ["NOT_RESTARTED"]
    assert deletions(stage) == ["web-1"]


@pytest.mark.parametrize("where", ["lastState", "state"])
def test_a_container_that_was_restarted_lately_is_not_taken(stage: Stage, where: str) -> None:
    """One whose sandbox was made anew (its node was away) has restarts, and no last state."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    state = {"lastState": {"terminated": {"finishedAt": now}}, "state": {"running": {"startedAt": now}}}
    for name, ip in (("web-1", "10.0.0.1"), ("web-2", "10.0.0.2")):
        item = pod(name, ip)
        item["status"]["containerStatuses"] = [{"name": "web", "restartCount": 1, where: state[where]}]
        stage.api.put("pods", item)
        found = stage.available()
        if name == "web-1":
            assert isinstance(found, Injection)
            assert found.subject == "Pod/shop/web-2"
    assert isinstance(found, Skip)
    assert "was restarted" in found.reason
    assert "back-off would be timed" in found.reason


def test_a_process_that_ignores_it_is_no_effect(stage: Stage, container: Container) -> None:
    container.signalled = lambda _: None
    assert stage.run()[:4] == ["planned", "injecting", "injected", "no-effect"]
    assert stage.verdict() is Result.INCONCLUSIVE
    assert deletions(stage) == []


def test_a_pid_that_is_another_process_now_is_void(stage: Stage, container: Container) -> None:
    injection = stage.injection()
    container.code = 3
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert stage.verdict() is Result.INCONCLUSIVE


def test_a_pod_that_somebody_takes_away_is_void(stage: Stage, container: Container) -> None:
    def killed(_: str) -> None:
        stage.api.put("pods", pod("web-1", "10.0.0.1", deletionTimestamp="2026-01-01T00:00:00Z"))
        stage.api.put("endpointslices", endpoints("10.0.0.2"))

    container.signalled = killed
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
    assert stage.fault.undo(stage.live.kube, args).how == "not-needed", "it was never killed"
    container.become(nginx=(30, 1), worker=(31, 40))
    assert stage.fault.undo(stage.live.kube, args).how == "not-needed", "it runs again"
    container.become()
    assert stage.fault.undo(stage.live.kube, args).how == "done"
    assert deletions(stage) == ["web-1"]
    assert stage.live.watches.poll(lambda: stage.live.watches.pods().get("web-3"), timeout_s=60)
    assert stage.fault.undo(stage.live.kube, args).how == "not-needed"
    assert deletions(stage) == ["web-1"]


def test_what_proc_says_is_read() -> None:
    lines = [
        line(1, "supervisord", 0, 10),
        line(7, "a (b) c", 1, 20, group=7),
        line(8, "gone", 1, 21, "Z"),
        "12 (cut",
        "x (y) S",
    ]
    text = "\n".join(lines)
    assert parse(text) == (Process(1, "supervisord", 0, 10), Process(7, "a (b) c", 1, 20, group=7))
    assert supervised(parse(text), "a (b) c") == (Process(7, "a (b) c", 1, 20, group=7),)


@pytest.mark.processes
def test_the_script_kills_no_other_process() -> None:
    with subprocess.Popen(["sleep", "60"]) as victim:
        (process,) = parse(Path(f"/proc/{victim.pid}/stat").read_text())
        other: Any = subprocess.run(["sh", "-c", kill_script("TERM", victim.pid, process.started + 1)], check=False)
        assert (other.returncode, victim.poll()) == (3, None)
        ours = subprocess.run(["sh", "-c", kill_script("TERM", victim.pid, process.started)], check=False)
        assert (ours.returncode, victim.wait(60)) == (0, -15)
        gone = subprocess.run(["sh", "-c", kill_script("TERM", victim.pid, process.started)], check=False)
        assert gone.returncode == 3
