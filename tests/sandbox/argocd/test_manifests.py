"""What git declares: rendering an overlay of a real repository, and merging it into live objects."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from rollproof_sandbox.api.kinds import KINDS
from rollproof_sandbox.api.patches import STRATEGIC, apply_patch
from rollproof_sandbox.api.store import Store
from rollproof_sandbox.argocd.render import RenderError, render
from rollproof_sandbox.argocd.repository import Repository
from rollproof_sandbox.argocd.threeway import applied, with_last_applied
from rollproof_sandbox.envrepo import OVERLAY, EnvRepo
from rollproof_sandbox.git import Git, GitFailedError
from rollproof_sandbox.settings import FIRST, Settings, Workload

OVERLAYS = "overlays/dev"


def rendered(tmp_path: Path, *change: tuple[str, str], workload: Workload | None = None) -> dict[tuple[str, str], Any]:
    """The sandbox's own overlay, with words of its file changed, by kind and name."""
    settings = Settings(workload=workload or Workload())
    repo = EnvRepo.create(tmp_path / "env.git", settings, repo_url="http://git/env.git", pod_port=8080)
    text = repo.read(OVERLAY)
    for old, new in change:
        assert old in text
        text = text.replace(old, new)
    files = dict(Repository(tmp_path / "env.git", Git()).files(repo.head()))
    return {(item["kind"], item["metadata"]["name"]): item for item in render({**files, OVERLAY: text}, OVERLAYS)}


def image(items: dict[tuple[str, str], Any]) -> str:
    return str(items["Deployment", "shop"]["spec"]["template"]["spec"]["containers"][0]["image"])


def test_the_overlay_of_the_sandbox(tmp_path: Path) -> None:
    items = rendered(tmp_path)
    assert {item["metadata"]["namespace"] for item in items.values()} == {"shop"}
    assert image(items) == f"registry.local/shop:{FIRST}"
    assert items["Deployment", "shop"]["spec"]["replicas"] == 2
    assert items["ConfigMap", "shop-config"]["data"] == {"GREETING": "hello from dev", "LOG_LEVEL": "info"}
    assert items["Ingress", "shop"]["spec"]["rules"][0]["host"] == "shop.sandbox"


def test_a_tag_for_another_image_changes_nothing(tmp_path: Path) -> None:
    other = image(rendered(tmp_path, ('newTag: "', 'newTag: "other-'), workload=Workload(image_mismatch=True)))
    assert other == f"registry.local/storefront:{FIRST}"


def test_images_may_be_renamed_and_pinned(tmp_path: Path) -> None:
    pinned = rendered(tmp_path, (f'newTag: "{FIRST}"', "newName: mirror/shop\n    digest: sha256:abc"))
    assert image(pinned) == "mirror/shop@sha256:abc"


def test_a_json_patch_with_a_target(tmp_path: Path) -> None:
    inline = (
        "- target: {kind: Deployment, name: sh.*}\n    patch: |-\n"
        "      - {op: replace, path: /spec/revisionHistoryLimit, value: 3}\n  - path: patch-ingress.yaml"
    )
    items = rendered(tmp_path, ("- path: patch-ingress.yaml", inline))
    assert items["Deployment", "shop"]["spec"]["revisionHistoryLimit"] == 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("../../base", "../../gone", "unable to find one of kustomization.yaml"),
        ("patch-ingress.yaml", "gone.yaml", "failed to get the patch file"),
        ("namespace: shop", "helmCharts: []", "does not know helmCharts"),
        ("namespace: shop", "namespace: [shop", "yaml:"),
        ("  - name: shop\n", "  - name: other\n", "does not match a config with replicas"),
        (f'"{FIRST}"', "1234567", "cannot unmarshal int"),
        ("images:", "images: 5 #", "yaml:"),
        ("  - ../../base", "  - ../../base\n  - ../../base", "may not add resource with an already registered id"),
    ],
)
def test_what_cannot_be_built_is_an_error_that_says_so(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(RenderError, match=said.replace("[", r"\[")):
        rendered(tmp_path, (old, new))


def test_a_commit_is_found_by_branch_and_by_sha_and_nothing_else_is(tmp_path: Path) -> None:
    repo = EnvRepo.create(tmp_path / "env.git", Settings(), repo_url="http://git/env.git", pod_port=8080)
    found = Repository(tmp_path / "env.git", Git())
    assert found.resolve("main") == found.resolve(repo.head()) == repo.head()
    with pytest.raises(GitFailedError, match="unable to resolve 'nothing' to a commit SHA"):
        found.resolve("nothing")
    with pytest.raises(GitFailedError):
        Repository(tmp_path / "gone.git", Git()).files("main")


# -- the three-way merge ----------------------------------------------------------------------------------------------


@pytest.fixture
def target(tmp_path: Path) -> dict[str, Any]:
    """The Deployment that git declares."""
    return dict(rendered(tmp_path)["Deployment", "shop"])


@pytest.fixture
def live(target: dict[str, Any]) -> dict[str, Any]:
    """The same, live: with all that the API server adds."""
    return Store().create(with_last_applied(target, target), manager="argocd-controller")


def patched(item: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    return apply_patch(KINDS[item["kind"]], item, body, STRATEGIC)


def container(**changed: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "shop", **changed}]}}}}


def test_applying_what_was_applied_changes_nothing(live: dict[str, Any], target: dict[str, Any]) -> None:
    assert applied(live, target) == live


@pytest.mark.parametrize(
    "drift",
    [
        {"spec": {"replicas": 5}},
        {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}},
        {"metadata": {"labels": {"app": "other"}}},
        container(image="registry.local/shop:other"),
        container(env=[{"name": "LOG_LEVEL", "value": "debug"}]),
        container(env=[{"name": "LOG_LEVEL", "$patch": "delete"}]),
        container(resources={"limits": {"memory": "1Gi"}}),
        container(readinessProbe={"periodSeconds": 7}),
        container(ports=[{"containerPort": 8080, "$patch": "delete"}]),
        container(envFrom=[]),
    ],
)
def test_a_declared_field_is_set_back(live: dict[str, Any], target: dict[str, Any], drift: dict[str, Any]) -> None:
    drifted = patched(live, drift)
    assert drifted != live
    back = applied(drifted, target)
    assert back["spec"] == live["spec"]
    assert back["metadata"] == live["metadata"]


@pytest.mark.parametrize(
    "addition",
    [
        {"metadata": {"annotations": {"note": "mine"}, "labels": {"team": "a"}}},
        container(env=[{"name": "EXTRA", "value": "1"}]),
        {"spec": {"template": {"spec": {"containers": [{"name": "sidecar", "image": "x:1"}]}}}},
        {"spec": {"minReadySeconds": 3}},
    ],
)
def test_what_is_not_declared_stays(live: dict[str, Any], target: dict[str, Any], addition: dict[str, Any]) -> None:
    added = Store().create(stripped(patched(live, addition)), manager="kubectl-edit")  # with the server's defaults
    assert applied(added, target) == added


def stripped(item: dict[str, Any]) -> dict[str, Any]:
    """Without what only the server sets."""
    metadata = {key: value for key, value in item["metadata"].items() if key not in ("uid", "resourceVersion")}
    return {**item, "metadata": metadata}


def test_what_is_declared_no_longer_is_removed(live: dict[str, Any], target: dict[str, Any]) -> None:
    less = copy.deepcopy(target)
    del less["spec"]["revisionHistoryLimit"]
    del less["spec"]["template"]["spec"]["containers"][0]["env"]
    less["metadata"]["labels"] = {}
    changed = applied(live, less)
    assert changed["spec"]["revisionHistoryLimit"] == 10  # the API server's default
    assert "env" not in changed["spec"]["template"]["spec"]["containers"][0]
    assert changed["metadata"].get("labels", {}) == {}


def test_an_item_of_a_list_that_is_declared_no_longer_is_removed(live: dict[str, Any], target: dict[str, Any]) -> None:
    more = copy.deepcopy(target)
    more["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "SECOND", "value": "2"})
    with_both = with_last_applied(applied(live, more), more)
    back = applied(with_both, target)["spec"]["template"]["spec"]["containers"][0]["env"]
    assert back == [{"name": "LOG_LEVEL", "value": "info"}]


def test_another_strategy_drops_the_defaults_of_the_one_before(live: dict[str, Any], target: dict[str, Any]) -> None:
    bare = copy.deepcopy(live)
    del bare["metadata"]["annotations"]  # nobody knows what was declared before: rollingUpdate may be a default
    other = copy.deepcopy(target)
    other["spec"]["strategy"] = {"type": "Recreate"}
    assert applied(bare, other)["spec"]["strategy"] == {"type": "Recreate"}


def test_equal_quantities_are_equal(live: dict[str, Any], target: dict[str, Any]) -> None:
    other = copy.deepcopy(target)
    other["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] = {"cpu": "0.5", "memory": "131072Ki"}
    assert applied(live, other) == live
