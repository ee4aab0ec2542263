"""Container stop: exec is played by the test, the pod's restart by the small API server, which the watches see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import story
from faults.podcluster import Object, Stage, endpoints, pod

from rollproof.clients.execute import Executed
from rollproof.clients.kube import ApiError, Kube
from rollproof.core.event import Outcome
from rollproof.core.injection import Skip
from rollproof.core.strongrights import strong_word
from rollproof.core.verdict import Result
from rollproof.faults.container_stop import FAULT

Answering = Callable[[str], Executed]
TRY, KILL = "kill -0 1", "kill -TERM 1"


def with_restarts(name: str, ip: str, restarts: int, *, ready: bool = True, ended: str = "") -> Object:
    item = pod(name, ip, ready=ready)
    last = {"lastState": {"terminated": {"finishedAt": ended, "reason": "Error", "exitCode": 137}}} if ended else {}
    item["status"]["containerStatuses"] = [{"name": "web", "restartCount": restarts, **last}]
    return item


def restart(stage: Stage) -> None:
    """As the kubelet does it: unready with one restart more, then ready again."""
    stage.api.put("pods", with_restarts("web-1", "10.0.0.1", 1, ready=False))
    stage.api.put("endpointslices", endpoints("10.0.0.2"))
    stage.api.put("pods", with_restarts("web-1", "10.0.0.1", 1))
    stage.api.put("endpointslices", endpoints("10.0.0.1", "10.0.0.2"))


class Shell:
    """What `pods/exec` does; `asked` is each script."""

    def __init__(self, stage: Stage) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.tried: Answering = lambda _: Executed(0)
        self.killed: Answering = lambda _: self._restarts(stage)

    @staticmethod
    def _restarts(stage: Stage) -> Executed:
        restart(stage)
        return Executed(137)

    def __call__(
        self, _kube: Kube, _namespace: str, pod: str, container: str, command: Sequence[str], *, timeout_s: float
    ) -> Executed:
        assert timeout_s > 0
        assert command[:2] == ("sh", "-c")
        self.asked.append((pod, container, command[2]))
        return self.tried(command[2]) if command[2] == TRY else self.killed(command[2])


@pytest.fixture
def stage(staged: Callable[..., Stage]) -> Stage:
    stage = staged(FAULT)
    item = stage.api.objects["deployments", "web"]
    spec = item["spec"]
    template = {"spec": {**spec["template"]["spec"], "terminationGracePeriodSeconds": 0}}
    stage.api.put("deployments", {**item, "spec": {**spec, "template": template}})
    return stage


@pytest.fixture
def shell(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = Shell(stage)

    def pod_exec(*words: Any, **more: Any) -> Executed:  # a function, so that it is bound to its Kube
        return shell(*words, **more)

    monkeypatch.setattr(Kube, "pod_exec", pod_exec)
    return shell


def refuse(status: int) -> Answering:
    def answer(_: str) -> Executed:
        raise ApiError("told", status=status)

    return answer


def test_a_container_is_ended_and_comes_back(stage: Stage, shell: Shell) -> None:
    injection = stage.injection()
    assert injection.subject == "Pod/shop/web-1"
    assert injection.args == {
        "kind": "Pod", "namespace": "shop", "name": "web-1", "uid": "uid-web-1", "container": "web", "restarts": 0,
        "members": 2,
    }  # fmt: skip
    assert stage.run(injection) == ["planned", "injecting", "injected", "effect", "recovered", "undone"]
    assert stage.verdict() is Result.PASS
    assert shell.asked == [("web-1", "web", TRY), ("web-1", "web", KILL)]
    assert stage.said("effect").data["watched"] == "container web of Pod/shop/web-1 was restarted: 1 times"


@pytest.mark.parametrize("code", [None, 0, 137, 143])
def test_that_the_command_dies_with_its_container_is_expected(stage: Stage, shell: Shell, code: int | None) -> None:
    def killed(_: str) -> Executed:
        restart(stage)
        return Executed(code)

    shell.killed = killed
    stage.run()
    assert stage.verdict() is Result.PASS


def test_a_process_that_ignores_it_is_no_effect(stage: Stage, shell: Shell) -> None:
    shell.killed = lambda _: Executed(0)
    assert stage.run() == ["planned", "injecting", "injected", "no-effect"]
    assert stage.verdict() is Result.INCONCLUSIVE


@pytest.mark.parametrize("change", ["replaced", "leaving"])
def test_a_pod_that_somebody_takes_away_is_void(stage: Stage, shell: Shell, change: str) -> None:
    def killed(_: str) -> Executed:
        item = pod("web-1", "10.0.0.1")
        if change == "replaced":
            item["metadata"]["uid"] = "uid-other"
        else:
            item["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        stage.api.put("pods", item)
        return Executed(None)

    shell.killed = killed
    assert stage.run() == ["planned", "injecting", "injected", "void"]
    assert "taken away by somebody else" in stage.said("void").data["reason"]
    assert stage.verdict() is Result.INCONCLUSIVE
    assert stage.journal.open_entries() == []


def test_a_container_that_does_not_come_back_is_no_recovery(stage: Stage, shell: Shell) -> None:
    def killed(_: str) -> Executed:
        stage.api.put("pods", with_restarts("web-1", "10.0.0.1", 1, ready=False))
        stage.api.put("endpointslices", endpoints("10.0.0.2"))
        return Executed(137)

    shell.killed = killed
    assert stage.run()[-1] == "not-recovered"
    assert stage.said("not-recovered").outcome is Outcome.FAIL
    assert stage.verdict() is Result.FAIL


@pytest.mark.parametrize(
    "done", [Executed(None, refused='exec: "sh": executable file not found in $PATH'), Executed(1, "not permitted")]
)
def test_a_command_that_fails_is_void_with_what_it_said(stage: Stage, shell: Shell, done: Executed) -> None:
    shell.killed = lambda _: done
    assert stage.run() == ["planned", "injecting", "void"]
    assert (done.refused or done.output) in stage.said("void").data["reason"]


@pytest.mark.parametrize(
    ("done", "said"),
    [
        (Executed(None, refused='exec: "sh": executable file not found in $PATH'), "executable file not found"),
        (Executed(127, "sh: kill: not found"), "exit code 127; it said: sh: kill: not found"),
        (Executed(None), "it ended without an exit code"),
    ],
)
def test_an_image_without_a_shell_is_skipped_with_what_was_said(
    stage: Stage, shell: Shell, done: Executed, said: str
) -> None:
    shell.tried = lambda _: done
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert said in skip.reason
    assert [script for _, _, script in shell.asked] == [TRY]


@pytest.mark.parametrize(
    ("status", "said"), [(404, "this API does not have it"), (405, "this API does not have it"), (403, "answered 403")]
)
def test_an_api_without_exec_is_skipped(stage: Stage, shell: Shell, status: int, said: str) -> None:
    shell.tried = refuse(status)
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert said in skip.reason


@pytest.mark.usefixtures("shell")
def test_a_container_in_its_back_off_is_not_ended_again(stage: Stage) -> None:
    def ended(ago_s: float) -> str:
        return (datetime.now(UTC) - timedelta(seconds=ago_s)).strftime("%Y-%m-%dT%H:%M:%SZ")

    stage.api.put("pods", with_restarts("web-1", "10.0.0.1", 1, ended=ended(60)))
    assert stage.injection().subject == "Pod/shop/web-2"
    stage.api.put("pods", with_restarts("web-2", "10.0.0.2", 1, ended=ended(60)))
    skip = stage.available()
    assert isinstance(skip, Skip)
    assert "back-off would be timed" in skip.reason
    stage.api.put("pods", with_restarts("web-1", "10.0.0.1", 1, ended=ended(700)))
    assert stage.injection().args["restarts"] == 1


@pytest.mark.parametrize("change", ["restarted", "gone", "unready"])
def test_a_plan_that_is_not_true_any_more_is_void(stage: Stage, shell: Shell, change: str) -> None:
    injection, watches = stage.injection(), stage.live.watches
    asked = len(shell.asked)
    seen: Callable[[], Any]
    if change == "restarted":
        stage.api.put("pods", with_restarts("web-1", "10.0.0.1", 1))
        seen = lambda: watches.pods()["web-1"].restarts == 1  # noqa: E731
    elif change == "gone":
        super(type(stage.api), stage.api).remove("pods", "web-1")
        seen = lambda: "web-1" not in watches.pods()  # noqa: E731
    else:
        stage.api.put("pods", pod("web-1", "10.0.0.1", ready=False))
        seen = lambda: not watches.pods()["web-1"].ready  # noqa: E731
    assert watches.poll(lambda: True if seen() else None, timeout_s=60)
    assert stage.run(injection) == ["planned", "void"]
    assert len(shell.asked) == asked


def test_the_right_says_what_it_can_do_beside() -> None:
    needed = list(FAULT.permissions(story.target()))
    assert [str(one) for one in needed] == ["get pods in shop", "get pods/exec in shop", "create pods/exec in shop"]
    assert all("reads its environment" in strong_word(one) for one in needed[1:])
