"""The env repo: what the settings say is in it, with its comments; history; commits of other people."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from rollproof.errors import InputError
from rollproof_sandbox.defects import DEFECTS, with_defects
from rollproof_sandbox.envrepo import APPLICATION, IMAGE, OVERLAY, EnvRepo, files
from rollproof_sandbox.git import Git
from rollproof_sandbox.settings import ArgoCd, Settings, Workload

URL = "http://127.0.0.1:1/env.git"


def parsed(text: str) -> Any:
    return YAML(typ="safe").load(text)


def deployment(settings: Settings) -> Any:
    return parsed(files(settings, repo_url=URL, pod_port=8080)["base/deployment.yaml"])["spec"]


def test_the_deployment_says_what_the_settings_say() -> None:
    load = Workload(max_surge=2, max_unavailable=1, prestop_s=2.0, grace_s=7, progress_deadline_s=9, replicas=3)
    settings = Settings(workload=load)
    spec = deployment(settings)
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 2, "maxUnavailable": 1}
    assert spec["progressDeadlineSeconds"] == 9
    assert spec["revisionHistoryLimit"] == 5
    pod = spec["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 7
    container = pod["containers"][0]
    assert container["lifecycle"]["preStop"]["sleep"] == {"seconds": 2}
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert container["resources"]["limits"] == {"cpu": "500m", "memory": "128Mi"}
    overlay = parsed(files(settings, repo_url=URL, pod_port=8080)[OVERLAY])
    assert overlay["replicas"] == [{"name": "shop", "count": 3}]


# in-flight-cut needs a sleep that is shorter than its grace period of 1 s.
@pytest.mark.parametrize("name", [None, *(name for name in DEFECTS if name != "in-flight-cut")])
def test_a_sleep_is_one_that_kubernetes_would_take(name: str | None) -> None:
    """Its field holds whole seconds: with 1.2 in it our own reader refused the Deployment, and no patch was offered."""
    settings = with_defects([name] if name else [], Settings())
    container = deployment(settings)["template"]["spec"]["containers"][0]
    if settings.workload.prestop_s:
        assert type(container["lifecycle"]["preStop"]["sleep"]["seconds"]) is int


def test_no_prestop_leaves_no_empty_line() -> None:
    text = files(Settings(workload=Workload(prestop_s=0)), repo_url=URL, pod_port=8080)["base/deployment.yaml"]
    assert "lifecycle" not in text
    assert "\n\n" not in text


def test_an_image_mismatch_is_two_names() -> None:
    made = files(Settings(workload=Workload(image_mismatch=True)), repo_url=URL, pod_port=8080)
    image = parsed(made["base/deployment.yaml"])["spec"]["template"]["spec"]["containers"][0]["image"]
    overlay = parsed(made[OVERLAY])["images"][0]
    assert overlay["name"] == IMAGE
    assert image.partition(":")[0] != IMAGE
    assert image.partition(":")[2] == overlay["newTag"]


def test_the_application_says_what_the_settings_say() -> None:
    ignored = ({"kind": "ConfigMap", "jsonPointers": ["/data"]},)
    settings = Settings(argocd=ArgoCd(self_heal=False, ignore_differences=ignored))
    spec = parsed(files(settings, repo_url=URL, pod_port=8080)[APPLICATION])["spec"]
    assert spec["syncPolicy"]["automated"] == {"prune": True, "selfHeal": False}
    assert spec["ignoreDifferences"] == list(ignored)
    assert spec["source"]["repoURL"] == URL


def test_history_and_a_commit_of_somebody_else(tmp_path: Path) -> None:
    repo = EnvRepo.create(tmp_path / "env.git", Settings(), repo_url=URL, pod_port=8080)
    assert repo.last_commit() == (repo.head(), "pipeline", "Run 5f1c0de in dev")
    assert "0ldc0de" in repo.read(OVERLAY, "main~1")  # so that a revert of the first release is possible
    assert '"5f1c0de" # written by the pipeline' in repo.read(OVERLAY)
    before = repo.head()
    after = repo.commit({"README.md": "# Reviewed\n"}, message="Review", author="colleague <colleague@shop.example>")
    assert repo.last_commit() == (after, "colleague", "Review")
    assert repo.read("README.md") == "# Reviewed\n"
    parents = ["git", "--git-dir", str(repo.path), "rev-parse", f"{after}^"]
    assert subprocess.run(parents, capture_output=True, text=True, check=True).stdout.strip() == before
    assert repo.read(OVERLAY) == repo.read(OVERLAY, before)


def test_latest_is_a_tag_like_any(tmp_path: Path) -> None:
    settings = replace(Settings(), workload=Workload(overlay_tag="latest"))
    repo = EnvRepo.create(tmp_path / "env.git", settings, repo_url=URL, pod_port=8080)
    assert 'newTag: "latest"' in repo.read(OVERLAY)


def test_without_git_it_is_one_message(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="git cannot be run"):
        Git().check()
