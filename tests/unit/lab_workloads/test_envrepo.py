"""The env repo against a real git repository: the seed's layout, and what the lab reads back from it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from lab import credentials, envrepo, settings
from lab.steps import CommandError, LabError, Log

pytestmark = pytest.mark.processes


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty bare repository in place of the git server."""
    repository = tmp_path / "env.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", repository], check=True)
    monkeypatch.setattr(envrepo, "URL", f"file://{repository}")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return repository


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "step.log")


def seed(tmp_path: Path, log: Log, sha: str = "1e23456") -> credentials.Credentials:
    made = credentials.ensure(tmp_path / "credentials.env")
    work = tmp_path / "work"
    work.mkdir()
    envrepo.seed(log, work, sha, made)
    return made


@pytest.mark.usefixtures("server")
def test_an_empty_server_answers_and_has_no_head(log: Log) -> None:
    assert envrepo.answers(log)
    assert envrepo.head(log) == ""


def test_a_server_that_is_away_does_not_answer(tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envrepo, "URL", f"file://{tmp_path}/nowhere.git")
    assert not envrepo.answers(log)


def test_the_seed_has_the_layout_of_the_reference_system(server: Path, tmp_path: Path, log: Log) -> None:
    seed(tmp_path, log)
    listed = subprocess.run(
        ["git", "-C", server, "ls-tree", "-r", "--name-only", "main"], check=True, capture_output=True, text=True
    ).stdout.split()
    base = {"deployment", "service", "ingress", "configmap", "configmap-dbconfig", "networkpolicy", "secret"}
    assert {f"base/{name}.yaml" for name in base} <= set(listed)
    assert {"overlays/dev/kustomization.yaml", "overlays/prod/kustomization.yaml"} <= set(listed)
    assert {"overlays/prod/hpa.yaml", "argocd/application.yaml"} <= set(listed)
    assert "overlays/dev/hpa.yaml" not in listed


@pytest.mark.usefixtures("server")
def test_both_overlays_run_the_first_release(tmp_path: Path, log: Log) -> None:
    seed(tmp_path, log)
    assert envrepo.tag(log, "dev") == envrepo.tag(log, "prod") == "1e23456"
    assert len(envrepo.head(log)) == 40


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_each_overlays_tag_is_set_by_a_commit_that_changes_nothing_else(
    server: Path, tmp_path: Path, log: Log, environment: str
) -> None:
    seed(tmp_path, log)
    path = f"overlays/{environment}/kustomization.yaml"
    words = ("log", "-1", "--format=%an", "--unified=0", "--patch", "-S1e23456", "main", "--", path)
    shown = subprocess.run(["git", "-C", server, *words], check=True, capture_output=True, text=True).stdout
    changed = [line for line in shown.splitlines() if line.startswith(("+", "-")) and line[:3] not in ("+++", "---")]
    assert changed == [f'{sign}    newTag: "{tag}" # written by the pipeline' for sign, tag in
                       (("-", "0000000"), ("+", "1e23456"))]  # fmt: skip
    whole = subprocess.run(
        ["git", "-C", server, "log", "-1", "--format=", "--name-only", "-S1e23456", "main", "--", path],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert whole.stdout.split() == [path]
    assert shown.startswith("AngelPay pipeline")


@pytest.mark.usefixtures("server")
def test_the_tag_is_quoted_because_this_sha_reads_as_a_number(tmp_path: Path, log: Log) -> None:
    seed(tmp_path, log, "1e23456")
    text = (tmp_path / "work" / "overlays" / "dev" / "kustomization.yaml").read_text(encoding="utf-8")
    assert 'newTag: "1e23456" # written by the pipeline' in text


@pytest.mark.usefixtures("server")
def test_a_repository_that_is_filled_is_never_overwritten(tmp_path: Path, log: Log) -> None:
    seed(tmp_path, log)
    first = envrepo.head(log)
    again = tmp_path / "again"
    again.mkdir()
    made = credentials.ensure(tmp_path / "credentials.env")
    with pytest.raises(CommandError):
        envrepo.seed(log, again, "7654321", made)
    assert envrepo.head(log) == first


@pytest.mark.usefixtures("server")
def test_the_password_is_neither_in_the_log_nor_in_the_repository(tmp_path: Path, log: Log) -> None:
    made = seed(tmp_path, log)
    assert made.git_password not in log.path.read_text(encoding="utf-8")
    assert not [
        p for p in (tmp_path / "work").rglob("*") if p.is_file() and made.git_password.encode() in p.read_bytes()
    ]


@pytest.mark.usefixtures("server")
def test_an_overlay_without_a_tag_is_named(tmp_path: Path, log: Log) -> None:
    seed(tmp_path, log)
    work = tmp_path / "work"
    path = work / "overlays" / "dev" / "kustomization.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("newTag", "digest"), encoding="utf-8")
    person = ["-c", "user.name=x", "-c", "user.email=x@example"]
    subprocess.run(["git", "-C", work, *person, "commit", "--quiet", "--all", "--message=x"], check=True)
    subprocess.run(["git", "-C", work, "push", "--quiet", envrepo.URL, "main"], check=True)
    with pytest.raises(LabError, match=r"overlays/dev/kustomization.yaml in .* has no newTag"):
        envrepo.tag(log, "dev")


def rendered(server: Path, tmp_path: Path, name: str) -> dict[str, list[str]]:
    """The files that each Kustomization names, at the head of the branch."""
    place = tmp_path / name
    subprocess.run(["git", "clone", "--quiet", server, place], check=True)
    found = {}
    for path in ("base", "overlays/dev", "overlays/prod"):
        read = yaml.safe_load((place / path / "kustomization.yaml").read_text(encoding="utf-8"))
        files = [*read["resources"], *(one["path"] for one in read.get("patches", ()))]
        assert all((place / path / file).exists() for file in files)
        found[path] = [file for file in files if "ingress" in file or "httproute" in file]
    return found


def test_users_are_let_in_by_another_kind_and_back(server: Path, tmp_path: Path, log: Log) -> None:
    made = seed(tmp_path, log)
    first = envrepo.head(log)
    assert envrepo.let_in_by(log, tmp_path / "a", "Ingress", made) == "kept"
    assert envrepo.head(log) == first
    before = rendered(server, tmp_path, "before")
    assert before["base"] == ["ingress.yaml"]
    assert "HTTPRoute" in envrepo.let_in_by(log, tmp_path / "b", "HTTPRoute", made)
    assert envrepo.entry(log) == "HTTPRoute"
    patched = ["patch-httproute.yaml"]
    route = {"base": ["httproute.yaml"], "overlays/dev": patched, "overlays/prod": patched}
    assert rendered(server, tmp_path, "route") == route
    assert envrepo.tag(log, "dev") == "1e23456"
    envrepo.let_in_by(log, tmp_path / "c", "Ingress", made)
    assert rendered(server, tmp_path, "after") == before


def test_a_repository_of_an_older_lab_gets_the_files(
    server: Path, tmp_path: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "sources"
    shutil.copytree(settings.SOURCES / "env-repo", copy / "env-repo")
    for path in copy.rglob("*httproute.yaml"):
        path.unlink()
    with monkeypatch.context() as older:
        older.setattr(settings, "SOURCES", copy)
        made = seed(tmp_path, log)
    envrepo.let_in_by(log, tmp_path / "a", "HTTPRoute", made)
    assert rendered(server, tmp_path, "route")["overlays/dev"] == ["patch-httproute.yaml"]


def test_a_repository_without_an_entry_that_we_know_is_left(server: Path, tmp_path: Path, log: Log) -> None:
    made = seed(tmp_path, log)
    work = tmp_path / "work"
    path = work / "base" / "kustomization.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("  - ingress.yaml\n", ""), encoding="utf-8")
    person = ["-c", "user.name=x", "-c", "user.email=x@example"]
    subprocess.run(["git", "-C", work, *person, "commit", "--quiet", "--all", "--message=x"], check=True)
    subprocess.run(["git", "-C", work, "push", "--quiet", server, "main"], check=True)
    head = envrepo.head(log)
    assert envrepo.let_in_by(log, tmp_path / "a", "HTTPRoute", made) == "kept"
    assert (envrepo.entry(log), envrepo.head(log)) == ("", head)
