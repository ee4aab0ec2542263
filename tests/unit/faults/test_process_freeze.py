"""Process freeze: a container's processes are played by the test; a real shell and real processes where it counts."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from faults.podcluster import Stage, endpoints, pod
from faults.processtable import Container, deletions, play, restarted

from rollproof.clients.kube import ApiError
from rollproof.core.injection import Skip
from rollproof.core.target import FaultSettings
from rollproof.core.verdict import Result
from rollproof.faults.deadman import armed
from rollproof.faults.process_freeze import FAULT, ProcessFreeze
from rollproof.faults.processes import end_timers, kill_script, parse
from rollproof.store.journal import Undone

STOP, CONT = "kill -STOP -7", "kill -CONT -7"


class Frozen(Container):
    """nginx and its worker stand still from STOP to CONT, and the kubelet calls the pod unready meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.noticed = True
        self.signalled = self.play
        self.stage: Stage | None = None

    def play(self, script: str) -> None:
        still = STOP in script.rpartition(" & ")[2]
        self.stopped = {7, 8} if still else set()
        if self.stage is not None and self.noticed:
            self.stage.api.put("pods", pod("web-1", "10.0.0.1", ready=not still))
            self.stage.api.put("endpointslices", endpoints(*(() if still else ("10.0.0.1",)), "10.0.0.2"))


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Frozen:
    frozen = Frozen()
    play(frozen, monkeypatch)
    return frozen


@pytest.fixture
def stage(staged: Callable[..., Stage], container: Frozen) -> Stage:
    stage = staged(FAULT)
    faults = replace(stage.target.faults, process="cron", frozen_process="nginx", hold_s=0.2)
    stage.target = replace(stage.target, faults=faults)
    item = stage.api.objects["deployments", "web"]
    probe = {"periodSeconds": 0, "failureThreshold": 0, "timeoutSeconds": 0}
    item["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = probe
    stage.live = replace(stage.live, target=stage.target)
    container.stage = stage
    return stage


def test_what_stood_still_goes_on_and_the_timer_is_armed_first(stage: Stage, container: Frozen) -> None:
    injection = stage.injection()
    assert injection.change == "SIGSTOP to nginx (pid 7) in container web, uid uid-web-1 and its process group"
    assert injection.dead_man.startswith("a timer in the container, after 60")
    assert stage.run(injection) == ["planned", "injecting", "injected", "effect", "undone", "recovered"]
    assert stage.verdict() is Result.PASS
    (script,) = (one for one in container.scripts if STOP in one)
    assert script.index("sleep") < script.index(CONT) < script.index(STOP)
    assert deletions(stage) == []


def test_one_that_leads_no_group_is_stopped_alone(stage: Stage, container: Frozen) -> None:
    container.groups = {}
    injection = stage.injection()
    assert injection.args["group"] is False
    assert "group" not in injection.change


def test_one_that_nobody_felt_is_inconclusive_and_goes_on(stage: Stage, container: Frozen) -> None:
    container.noticed = False
    words = stage.run()
    assert words == ["planned", "injecting", "injected", "no-effect", "undone"]
    assert stage.verdict() is Result.INCONCLUSIVE
    assert container.stopped == set()


def test_a_pod_that_does_not_come_back_is_not_recovered(stage: Stage, container: Frozen) -> None:
    def play(script: str) -> None:
        container.play(script)
        stage.api.put("pods", pod("web-1", "10.0.0.1", ready=False))

    container.signalled = play
    assert stage.run()[-1] == "not-recovered"
    assert stage.verdict() is Result.FAIL


def test_a_container_that_liveness_restarts_is_recovered_from(stage: Stage, container: Frozen) -> None:
    def play(script: str) -> None:
        container.play(script)
        container.become(nginx=(30, 1))
        container.stopped = set()
        restarted(stage)

    container.signalled = play
    assert stage.run()[:4] == ["planned", "injecting", "injected", "effect"]
    assert "liveness had its container restarted" in stage.said("effect").data["watched"]


def killing(stage: Stage, at: str) -> None:
    event = {"metadata": {"name": "web-1.killing"}, "reason": "Killing", "lastTimestamp": at}
    stage.api.put("events", {**event, "involvedObject": {"name": "web-1"}})


@pytest.mark.parametrize(
    ("at", "ends"), [("2026-01-01T00:00:05Z", "not-recovered"), ("2026-01-01T00:00:00Z", "recovered")]
)
def test_a_restart_that_liveness_has_begun_is_waited_for(stage: Stage, container: Frozen, at: str, ends: str) -> None:
    """The pod looks well until its container ends; an event from before it began is of the one before it."""

    def play(script: str) -> None:
        container.play(script)
        item = stage.api.objects["pods", "web-1"]
        running = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        item["status"]["containerStatuses"] = [{"name": "web", "restartCount": 0, "state": running}]
        stage.api.put("pods", item)
        killing(stage, at)

    container.signalled = play
    assert stage.run()[-1] == ends
    if ends == "not-recovered":
        assert "is restarting container web" in stage.said(ends).data["last_seen"]


def test_one_that_somebody_else_lets_go_on_is_void(stage: Stage, container: Frozen) -> None:
    def meddled_with() -> str:
        if any(event.what == "effect" for event in stage.recorder.events):
            container.stopped = set()
        return Container.listed(container)

    container.listed = meddled_with  # type: ignore[method-assign]
    assert stage.run() == ["planned", "injecting", "injected", "effect", "void"]
    assert stage.verdict() is Result.INCONCLUSIVE


def test_a_pid_that_is_another_process_now_is_void_and_its_timer_is_ended(stage: Stage, container: Frozen) -> None:
    injection = stage.injection()
    container.code = 3
    assert stage.run(injection) == ["planned", "injecting", "void"]
    assert container.scripts[-1] == end_timers("rollproof-process-freeze")


def test_half_a_deed_that_cannot_be_taken_back_stays_open(
    stage: Stage, container: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal of the undo is no refusal of the signal."""
    injection = stage.injection()

    def refused(*_: object) -> Undone:
        raise ApiError("forbidden", status=403)

    container.code = 1
    monkeypatch.setattr(ProcessFreeze, "undo", refused)
    assert stage.run(injection) == ["planned", "injecting", "error"]
    assert "could not be taken back: forbidden" in str(stage.said("error").data["reason"])
    assert len(stage.journal.open_entries()) == 1


def test_a_container_that_was_restarted_since_the_plan_is_void(stage: Stage) -> None:
    injection = stage.injection()
    restarted(stage)
    stage.live.watches.poll(lambda: stage.live.watches.pods()["web-1"].restarts or None, timeout_s=60)
    assert stage.run(injection) == ["planned", "void"]


def test_undo_any_number_of_times_and_after_others(stage: Stage, container: Frozen) -> None:
    args = stage.injection().args
    assert FAULT.undo(stage.live.kube, args).how == "not-needed", "it was never stopped"
    container.stopped = {7, 8}
    assert [FAULT.undo(stage.live.kube, args).how for _ in range(2)] == ["done", "not-needed"]
    container.stopped = {8}
    assert FAULT.undo(stage.live.kube, args).how == "done", "one of its group alone"
    container.stopped = {7}
    container.table[7] = ("nginx", 1, 4000)
    assert FAULT.undo(stage.live.kube, args).how == "not-needed", "another process has its pid: somebody else's doing"
    restarted(stage)
    assert "restarted" in FAULT.undo(stage.live.kube, args).reason
    stage.api.put("pods", pod("web-1", "10.0.0.1", uid="another"))
    assert "gone" in FAULT.undo(stage.live.kube, args).reason


def test_without_a_name_it_is_skipped(stage: Stage) -> None:
    skip = stage.available(faults=FaultSettings())
    assert isinstance(skip, Skip)
    assert "faults.frozen_process" in skip.reason
    other = stage.available(faults=FaultSettings(process="php"))
    assert isinstance(other, Skip)
    assert "no process php runs" in other.reason


# -- real processes -------------------------------------------------------------------------------------------------


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process with a child, in a group of their own."""
    with subprocess.Popen(["sh", "-c", "sleep 60 & wait"], start_new_session=True) as process:
        yield process
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def states(group: int) -> set[bool]:
    stats = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            stats.append(path.read_text())
    return {one.stopped for one in parse("\n".join(stats)) if one.group == group}


def until(wanted: Callable[[], bool]) -> bool:
    end_s = time.monotonic() + 60
    while not wanted() and time.monotonic() < end_s:
        time.sleep(0.01)
    return wanted()


@pytest.mark.processes
def test_a_group_is_stopped_and_its_timer_lets_it_go_on(victim: subprocess.Popen[bytes]) -> None:
    (process,) = parse(Path(f"/proc/{victim.pid}/stat").read_text())
    stop, go_on = (kill_script(one, process.pid, process.started, group=True) for one in ("STOP", "CONT"))
    assert subprocess.run(armed(go_on, 1.0, stop), check=False).returncode == 0
    assert until(lambda: states(victim.pid) == {True}) or states(victim.pid) == {False}, "a slow machine: it went on"
    assert until(lambda: states(victim.pid) == {False})


@pytest.mark.processes
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_a_timer_is_ended_by_its_word_and_no_other(shell: str) -> None:
    word = f"rollproof-test-{os.getpid()}-{shell}"
    script = f"(sleep 60; : {word}) </dev/null >/dev/null 2>&1 & echo $!"
    timer = int(subprocess.run([shell, "-c", script], check=True, capture_output=True, text=True).stdout)
    bystander = subprocess.run(
        [shell, "-c", script.replace(word, "another")], check=True, capture_output=True, text=True
    )
    subprocess.run([shell, "-c", end_timers(word)], check=False)
    assert until(lambda: not Path(f"/proc/{timer}").exists())
    os.kill(int(bystander.stdout), signal.SIGKILL)  # it is there, or this raises
