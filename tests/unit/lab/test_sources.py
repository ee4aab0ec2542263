"""The parts of the lab must agree: manifests, images, modules, versions."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import __main__ as command
from lab import cluster, gobuild, platform, public, settings, workloads
from lab.cluster import Mode


def _manifest_images() -> Iterator[tuple[Path, str]]:
    for path in sorted(settings.SOURCES.rglob("*.yaml")):
        if "env-repo" in path.parts:
            continue
        for name in re.findall(r"^\s*image: \"?([^\s\"]+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            yield path, name


@pytest.mark.parametrize("argocd", settings.ARGOCD_VERSIONS)
def test_every_image_that_a_manifest_names_has_a_source_in_both_modes(argocd: str) -> None:
    workload_images = {mode: {i.name for i in workloads.images(Mode(mode, argocd))} for mode in ("built", "public")}
    built = {i.name for i in platform.control_plane_images()} | workload_images["built"]
    pulled = set(public.pulled(argocd)) | workload_images["public"]
    for path, placed in _manifest_images():
        name = placed.replace("@ARGOCD@", argocd)
        assert name in built, f"{path}: nothing builds {name}"
        own_network = path.name in {"labnet.yaml", "coredns.yaml"}  # kind brings its own in the public mode
        assert own_network or name in pulled, f"{path}: nothing pulls or builds {name} in the public mode"


@pytest.mark.parametrize("argocd", settings.ARGOCD_VERSIONS)
def test_the_dry_run_prints_every_image_and_touches_nothing(
    argocd: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "create", lambda *_: pytest.fail("a step ran"))
    assert command.main(["up", "--images", "public", "--argocd", argocd, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert f"argocd:v{argocd}\n" in said
    for name in public.pulled(argocd):
        assert f"pull  {name}" in said
    assert "build Kubernetes" not in said


def test_every_module_is_built_by_the_oldest_go_that_we_accept() -> None:
    programs = {program.name: program.go for program in gobuild.ARGOCD.values()}
    for path in (settings.SOURCES / "go").glob("*/go.mod"):
        oldest = programs.get(path.parent.name, gobuild.GO_AT_LEAST)
        found = re.search(r"^go (\d+)\.(\d+)(?:\.(\d+))?$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert found is not None
        assert tuple(int(part or 0) for part in found.groups()) <= oldest, path


@pytest.mark.parametrize("argocd", settings.ARGOCD_VERSIONS)
def test_each_argo_cd_is_built_from_its_own_module(argocd: str) -> None:
    program = gobuild.ARGOCD[argocd]
    text = (settings.SOURCES / "go" / program.name / "go.mod").read_text(encoding="utf-8")
    assert f"github.com/argoproj/argo-cd/v3 v{argocd}\n" in text
    assert [value for _, value in program.values] == [argocd]
    assert len({gobuild.key(one) for one in gobuild.ARGOCD.values()}) == len(settings.ARGOCD_VERSIONS)


def test_kubernetes_has_one_version() -> None:
    text = (settings.SOURCES / "go/kube/go.mod").read_text(encoding="utf-8")
    assert f"k8s.io/kubernetes {settings.KUBERNETES}\n" in text
    assert set(re.findall(r"k8s.io/\S+ => k8s.io/\S+ v0\.(\S+)", text)) == {settings.KUBERNETES.removeprefix("v1.")}


def test_the_node_says_the_version_that_it_runs() -> None:
    files = platform.node_image().layers[-1]
    assert f"{settings.KUBERNETES}\n".encode() in [getattr(entry, "source", None) for entry in files.entries]  # type: ignore[union-attr]


def test_no_plugin_of_the_name_server_asks_outside() -> None:
    manifest = (settings.SOURCES / "manifests/coredns.yaml").read_text(encoding="utf-8")
    corefile = manifest.split("Corefile: |")[1].split("---")[0]
    program = (settings.SOURCES / "go/coredns/main.go").read_text(encoding="utf-8")
    assert "forward" not in corefile
    assert "plugin/forward" not in program
