"""The parts of the lab must agree: manifests, images, modules, versions."""

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from lab import __main__ as command
from lab import cluster, gobuild, platform, public, settings, workload_images, workloads
from lab.cluster import Mode
from lab.gobuild import Change
from lab.steps import LabError, Log


def _manifest_images() -> Iterator[tuple[Path, str]]:
    for path in sorted(settings.SOURCES.rglob("*.yaml")):
        if "env-repo" in path.parts:
            continue
        for name in re.findall(r"^\s*image: \"?([^\s\"]+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            yield path, name


@pytest.fixture(scope="module", autouse=True)
def _app_once() -> Iterator[None]:
    """The app's images are the same for every Argo CD, mode and ingress: 25 calls of git, which were 550."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workloads, "_app", cache(workloads._app))
        yield


@pytest.mark.processes
@pytest.mark.parametrize("argocd", settings.ARGOCD_VERSIONS)
def test_every_image_that_a_manifest_names_has_a_source_in_both_modes(argocd: str) -> None:
    made = {
        mode: {i.name for one in settings.INGRESSES for i in workloads.images(Mode(mode, argocd, ingress=one))}
        for mode in ("built", "public")
    }
    newest = settings.KUBERNETES_VERSIONS[0]
    built = {i.name for i in platform.control_plane_images(newest)} | made["built"]
    pulled = set(public.pulled(argocd)) | made["public"]
    for path, placed in _manifest_images():
        name = placed.replace("@ARGOCD@", argocd)
        assert name in built, f"{path}: nothing builds {name}"
        own_network = path.name in {"labnet.yaml", "coredns.yaml"}  # kind brings its own in the public mode
        assert own_network or name in pulled, f"{path}: nothing pulls or builds {name} in the public mode"


@pytest.mark.processes
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
    assert f"github.com/argoproj/argo-cd/v{argocd[0]} v{argocd}\n" in text
    assert [value for _, value in program.values] == [argocd]
    assert len({gobuild.key(one) for one in gobuild.ARGOCD.values()}) == len(settings.ARGOCD_VERSIONS)


@pytest.mark.parametrize("kubernetes", settings.KUBERNETES_VERSIONS)
def test_each_kubernetes_is_built_from_its_own_module(kubernetes: str) -> None:
    program = gobuild.KUBE[kubernetes]
    text = (settings.SOURCES / "go" / program.name / "go.mod").read_text(encoding="utf-8")
    assert f"k8s.io/kubernetes v{kubernetes}\n" in text
    assert set(re.findall(r"k8s.io/\S+ => k8s.io/\S+ v0\.(\S+)", text)) == {kubernetes.removeprefix("1.")}
    assert {value for name, value in program.values if name.endswith(".gitVersion")} == {f"v{kubernetes}"}
    assert len({gobuild.key(one) for one in gobuild.KUBE.values()}) == len(settings.KUBERNETES_VERSIONS)


@pytest.mark.parametrize("kubernetes", settings.KUBERNETES_VERSIONS)
def test_the_node_says_the_version_that_it_runs(kubernetes: str) -> None:
    files = platform.node_image(kubernetes).layers[-1]
    assert f"v{kubernetes}\n".encode() in [getattr(entry, "source", None) for entry in files.entries]  # type: ignore[union-attr]
    images = {image.name for image in platform.control_plane_images(kubernetes)}
    assert {name for name in images if "/kube-" in name} == {
        f"registry.k8s.io/kube-{name}:v{kubernetes}"
        for name in ("apiserver", "controller-manager", "scheduler", "proxy")
    }


@pytest.mark.parametrize(("module", "source"), [("etcd", platform.ETCD_TAG.split("-")[0]), ("coredns", "1.15.0")])
def test_an_image_is_named_by_the_version_of_its_module(module: str, source: str) -> None:
    text = (settings.SOURCES / "go" / module / "go.mod").read_text(encoding="utf-8")
    assert re.search(rf"^require \S+/{module}\S* v{re.escape(source)}$", text, re.MULTILINE)
    names = {image.name for image in platform.control_plane_images(settings.KUBERNETES_VERSIONS[0])}
    assert any(re.search(rf"/{module}:v?{re.escape(source)}(-0)?$", name) for name in names)


def test_no_plugin_of_the_name_server_asks_outside() -> None:
    manifest = (settings.SOURCES / "manifests/coredns.yaml").read_text(encoding="utf-8")
    corefile = manifest.split("Corefile: |")[1].split("---")[0]
    program = (settings.SOURCES / "go/coredns/main.go").read_text(encoding="utf-8")
    assert "forward" not in corefile
    assert "plugin/forward" not in program


@pytest.mark.processes
def test_traefik_is_built_from_its_own_module_and_a_lab_without_it_asks_nothing_for_it() -> None:
    program = gobuild.TRAEFIK
    [(_, version)] = program.values
    text = (settings.SOURCES / "go" / program.name / "go.mod").read_text(encoding="utf-8")
    assert f"github.com/traefik/traefik/v3 v{version}\n" in text
    assert workload_images.TRAEFIK_IMAGE.endswith(f":{version}")
    assert workload_images.TRAEFIK_IMAGE not in {i.name for i in workloads.images(Mode("built"))}
    module, _, patched = program.patched.partition("@")
    assert f"{module} {patched} " in text


def test_what_is_built_is_handed_out_while_another_program_is_being_built(
    monkeypatch: pytest.MonkeyPatch, log: Log
) -> None:
    monkeypatch.setattr(gobuild.cachelock, "held", lambda _: pytest.fail("it waited for the other build"))
    path = gobuild.path_of(gobuild.PAUSE)
    path.parent.mkdir(parents=True)
    path.touch()
    assert gobuild.build(gobuild.PAUSE, log) == path


class _Go(Log):
    """A go command that has one module, read-only as in the module cache."""

    def __init__(self, path: Path, module: Path) -> None:
        super().__init__(path)
        self.module = module

    def run(self, *_: object, **__: object) -> str:
        return f'{{"Dir": "{self.module}"}}'


def test_a_changed_module_is_a_copy_and_a_word_that_is_not_there_once_is_said(tmp_path: Path) -> None:
    module = tmp_path / "cache"
    module.mkdir()
    (module / "a.go").write_text("f()\n")
    (module / "a.go").chmod(0o444)
    (module / "a_test.go").touch()
    program = replace(gobuild.ARGOCD["3.3.19"], patched="m@v1", changes=(Change("a.go", "f()", "f(1)"),))
    log = _Go(tmp_path / "log", module)
    (tmp_path / "out").mkdir()
    made = gobuild._with_patches(program, Path("go"), tmp_path / "out", log)
    replaced = made.read_text().splitlines()[-1]
    assert replaced.startswith("replace m => ")
    copy = Path(replaced.rpartition(" ")[2])
    assert [(path.name, path.read_text()) for path in copy.iterdir()] == [("a.go", "f(1)\n")]
    assert (module / "a.go").read_text() == "f()\n"
    (tmp_path / "whole").mkdir()
    whole = replace(program, changes=(Change("a.go", "", "g()\n"),))
    made = gobuild._with_patches(whole, Path("go"), tmp_path / "whole", log)
    assert (made.parent / gobuild._PATCHED / "a.go").read_text() == "g()\n"
    (tmp_path / "again").mkdir()
    with pytest.raises(LabError, match=r"m@v1: a.go has 'g\(\)' 0 times, not once"):
        gobuild._with_patches(
            replace(program, changes=(Change("a.go", "g()", "g(1)"),)), Path("go"), tmp_path / "again", log
        )


def test_what_is_changed_is_part_of_the_key() -> None:
    program = gobuild.ARGOCD["3.5.7"]
    assert gobuild.key(replace(program, changes=program.changes[1:])) != gobuild.key(program)
