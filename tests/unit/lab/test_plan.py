import fcntl
import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from owntime import own_time

from lab import __main__ as command
from lab import docker, plan, settings, workloads
from lab.cluster import Mode
from lab.steps import LabError, Log, StepError


@pytest.mark.processes
@pytest.mark.parametrize("source", ["built", "public"])
def test_another_argo_cd_is_a_cause_to_run_the_steps_again(source: str) -> None:
    inputs = {plan._inputs(Mode(source, argocd)) for argocd in settings.ARGOCD_VERSIONS}
    assert len(inputs) == len(settings.ARGOCD_VERSIONS)


@pytest.mark.processes
def test_another_kubernetes_is_a_cause_to_run_the_steps_again() -> None:
    inputs = {plan._inputs(Mode("built", kubernetes=one)) for one in settings.KUBERNETES_VERSIONS}
    assert len(inputs) == len(settings.KUBERNETES_VERSIONS)


def test_without_a_word_about_kubernetes_a_lab_keeps_its_own_and_a_new_one_gets_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Mode] = []
    monkeypatch.setattr(plan, "up", lambda mode, **_: asked.append(mode) or 0)
    newest, *_, older = settings.KUBERNETES_VERSIONS
    argocd = settings.ARGOCD_VERSIONS[-1]
    command.main(["up"])
    settings.state().mkdir(parents=True)
    plan._mode().write_text(f'{{"images": "built", "argocd": "{argocd}"}}', encoding="utf-8")  # of an older rollproof
    command.main(["up"])
    plan._mode().write_text(f'{{"images": "built", "argocd": "{argocd}", "kubernetes": "{older}"}}', encoding="utf-8")
    command.main(["up"])
    command.main(["up", "--kubernetes", newest])
    plan._mode().write_text(f'{{"images": "built", "argocd": "{argocd}", "kubernetes": "1.0"}}', encoding="utf-8")
    command.main(["up"])
    assert [mode.kubernetes for mode in asked] == [newest, newest, older, newest, newest]
    assert [mode.argocd for mode in asked[1:]] == [argocd] * 4


def test_public_node_images_have_kinds_own_kubernetes(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["up", "--images", "public", "--kubernetes", settings.KUBERNETES_VERSIONS[-1]]) == 1
    assert "--images built" in capsys.readouterr().err


def test_without_a_word_about_argo_cd_a_lab_keeps_its_own_and_a_new_one_gets_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Mode] = []
    monkeypatch.setattr(plan, "up", lambda mode, **_: asked.append(mode) or 0)
    newest, older, *_ = settings.ARGOCD_VERSIONS
    command.main(["up"])
    settings.state().mkdir(parents=True)
    plan._mode().write_text(f'{{"images": "built", "argocd": "{older}"}}', encoding="utf-8")
    command.main(["up"])
    command.main(["up", "--argocd", newest])
    plan._mode().write_text('{"images": "built", "argocd": "1.0"}', encoding="utf-8")  # of another rollproof
    command.main(["up"])
    assert [mode.argocd for mode in asked] == [newest, older, newest, newest]


def test_a_lab_keeps_its_ingress_until_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Mode] = []
    monkeypatch.setattr(plan, "up", lambda mode, **_: asked.append(mode) or 0)
    settings.state().mkdir(parents=True)

    def up(*words: str) -> None:
        command.main(["up", *words])
        plan._mode().write_text(plan._recorded(asked[-1]), encoding="utf-8")

    up()
    up("--ingress", "traefik")
    up()
    up("--ingress", "nginx")
    said = plan._recorded(Mode("built", ingress="traefik")).replace('"traefik"', '"haproxy"')
    plan._mode().write_text(said, encoding="utf-8")  # of another rollproof
    up()
    assert [mode.ingress for mode in asked] == ["nginx", "traefik", "traefik", "nginx", "nginx"]


def test_an_http_route_is_committed_when_its_crd_is_there() -> None:
    for ingress, needs in (("nginx", False), ("traefik", False), ("traefik-gateway", True)):
        [step] = [one for one in plan.steps(Mode("built", ingress=ingress)) if one.name == "env repo"]
        assert ("ingress" in step.needs) is needs, ingress


@pytest.mark.processes
def test_another_ingress_is_a_cause_to_run_the_steps_again() -> None:
    inputs = {plan._inputs(Mode("built", ingress=one)) for one in settings.INGRESSES}
    assert len(inputs) == len(settings.INGRESSES)


@pytest.mark.parametrize("ingress", settings.INGRESSES)
@pytest.mark.parametrize("mode", ["built", "public"])
def test_every_step_needs_only_steps_that_come_before_it(mode: str, ingress: str) -> None:
    seen: set[str] = set()
    for step in plan.steps(Mode(mode, ingress=ingress)):
        assert set(step.needs) <= seen, step.name
        assert step.name not in seen
        seen.add(step.name)


def test_the_fence_stands_before_the_first_node() -> None:
    names = [step.name for step in plan.steps(Mode("built")) if step.lane == "cluster"]
    assert names.index("docker") < names.index("network") < names.index("fence") < names.index("cluster")


def test_the_metrics_api_comes_after_its_server() -> None:
    names = [step.name for step in plan.steps(Mode("built"))]
    assert names.index("metrics-server") < names.index("metrics API")


def test_a_second_up_at_the_same_time_says_so_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    settings.state().mkdir(parents=True)
    descriptor = os.open(plan._lock_file(), os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert command.main(["up"]) == 1
    finally:
        os.close(descriptor)
    assert "another `python -m lab` is at work" in capsys.readouterr().err


def test_a_failed_step_is_one_message_and_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise StepError("step 'cluster' failed after 3.0 s: no\n  log: /x")

    monkeypatch.setattr(plan, "up", fail)
    assert command.main(["up"]) == 1
    assert capsys.readouterr().err == "lab: step 'cluster' failed after 3.0 s: no\n  log: /x\n"


def test_status_without_a_lab_says_how_to_make_one_and_makes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["status"]) == 1
    assert "python -m lab up" in capsys.readouterr().out
    assert not settings.state().exists()


def test_health_is_asked_of_the_lab_and_not_of_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_inputs", lambda _: "same")
    settings.state().mkdir(parents=True)
    plan._finished().write_text('{"inputs": "same"}', encoding="utf-8")
    monkeypatch.setattr(docker, "find", lambda: None)
    assert plan._lacking(Mode("built")) == "no Docker daemon answers"


@pytest.mark.parametrize(
    ("api", "nodes", "app", "lacking"),
    [
        (1, 1, 1, ""),
        (0, 1, 1, "the API server does not answer that it is ready"),
        (1, 0, 1, "a node is not ready"),
        (1, 1, 0, "not well: app: Progressing"),
    ],
)
def test_a_lab_is_healthy_only_when_all_of_it_is_and_what_it_lacks_is_said(
    monkeypatch: pytest.MonkeyPatch, api: int, nodes: int, app: int, lacking: str
) -> None:
    def rows(_: Mode, __: Log) -> list[tuple[str, bool, str]]:
        return [("git server", True, "runs"), ("app", bool(app), "Progressing")]

    monkeypatch.setattr(plan, "_inputs", lambda _: "same")
    settings.state().mkdir(parents=True)
    plan._finished().write_text('{"inputs": "same"}', encoding="utf-8")
    monkeypatch.setattr(docker, "find", lambda: docker.Daemon("unix:///x", own=True))
    monkeypatch.setattr(plan.fence, "is_closed", lambda *_: True)
    monkeypatch.setattr(plan.cluster, "network_subnet", lambda _: "172.17.0.0/16")
    monkeypatch.setattr(plan.cluster, "api_answers", lambda _: bool(api))
    monkeypatch.setattr(plan.cluster, "nodes_ready", lambda _: bool(nodes))
    monkeypatch.setattr(workloads, "status", rows)
    clock = [0.0]
    own_time(monkeypatch, plan, monotonic=lambda: clock[0], sleep=lambda seconds: clock.append(clock.pop() + seconds))
    assert plan._lacking(Mode("built")) == lacking
    assert clock[0] == (plan._UNWELL_S if lacking else 0.0), "what is unwell for a moment is no reason to work"
    good = iter([0, 0, 1])
    monkeypatch.setattr(plan.cluster, "api_answers", lambda _: True)
    monkeypatch.setattr(plan.cluster, "nodes_ready", lambda _: bool(next(good)))
    monkeypatch.setattr(workloads, "status", lambda *_: [])
    assert plan._lacking(Mode("built")) == ""


def test_without_a_finished_lab_that_is_what_is_lacking() -> None:
    assert plan._lacking(Mode("built")) == "there is no finished lab"


def test_a_public_lab_needs_no_step_that_builds_kubernetes() -> None:
    names = {step.name for step in plan.steps(Mode("public"))}
    assert not names & {"build Kubernetes", "build Argo CD", "node image", "fence", "pod network"}


def test_two_steps_of_one_name_are_a_mistake_that_is_said() -> None:
    from lab.steps import Step, run_steps

    with pytest.raises(LabError, match="two steps"):
        run_steps([Step("a", lambda _: None), Step("a", lambda _: None)], settings.state())


def lease(holder: str, renewed: datetime) -> dict[str, object]:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 60, "renewTime": f"{renewed:%Y-%m-%dT%H:%M:%S.%fZ}"}
    return {"metadata": {"name": "rollproof", "namespace": "angelpay-dev"}, "spec": spec}


@pytest.mark.processes
@pytest.mark.parametrize(("age_s", "code"), [(5, 1), (61, 0)])
def test_a_lab_is_not_changed_under_a_run_that_is_at_work_in_it(
    age_s: int, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It did happen: the ingress was changed in the middle of a drill."""
    ran: list[object] = []
    items = [lease("r-1 on host (pid 7)", datetime.now(UTC) - timedelta(seconds=age_s))]
    monkeypatch.setattr(docker, "find", lambda: docker.Daemon("unix:///nowhere", own=True))
    monkeypatch.setattr(plan.cluster, "kubectl", lambda *_, **__: json.dumps({"items": items}))
    monkeypatch.setattr(plan.prerequisites, "check", lambda _: [])
    monkeypatch.setattr(plan, "_lacking", lambda _: "the lab is to have traefik")
    monkeypatch.setattr(plan, "run_steps", lambda *_: ran.append("steps"))
    monkeypatch.setattr(plan.workloads, "describe", lambda: None)
    monkeypatch.setattr(plan.images, "prune", lambda: None)
    assert command.main(["up"]) == code
    assert bool(ran) is (code == 0)
    said = capsys.readouterr().err
    assert ("r-1 on host (pid 7)" in said and "wait for that run's end" in said) is (code == 1)
    assert plan.mode_of_the_lab() == Mode("built") or code == 0, "nothing was noted of what was not done"


@pytest.mark.parametrize("answer", ["", '{"items": []}', '{"items": [{"metadata": {"namespace": "x"}, "spec": {}}]}'])
def test_a_lab_that_does_not_answer_is_held_by_nobody(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "find", lambda: docker.Daemon("unix:///nowhere", own=True))
    monkeypatch.setattr(plan.cluster, "kubectl", lambda *_, **__: answer)
    assert plan._held_by() == ""
    monkeypatch.setattr(docker, "find", lambda: None)
    assert plan._held_by() == ""
