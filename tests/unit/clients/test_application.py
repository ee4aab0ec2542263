"""Which Applications can be drilled: said before anything is touched, with what is there and what to do."""

from __future__ import annotations

import time
from typing import Any

import pytest
import story

from rollproof.clients.application import check_spec, same_folder
from rollproof.clients.argo import Argo, application_state
from rollproof.core.target import EnvRepo
from rollproof.errors import InputError

RESOURCES = [
    {"kind": "Service", "namespace": "shop", "name": "web"},
    {"kind": "Deployment", "namespace": "shop", "name": "web"},
]


def application(status: Any = None, **spec: Any) -> dict[str, Any]:
    good = {
        "project": "default", "destination": {"namespace": "shop"},
        "source": {"path": "overlays/dev", "targetRevision": "main"},
    }  # fmt: skip
    return {
        "metadata": {"name": "shop"},
        "spec": {**good, **spec},
        "status": {"resources": RESOURCES} if status is None else status,
    }


def overriding(*images: str) -> dict[str, Any]:
    return {"path": "overlays/dev", "kustomize": {"images": list(images)}}


def check(app: dict[str, Any], overlay: str = "overlays/dev") -> None:
    repo = EnvRepo(url="file:///nowhere", overlay=overlay, image="ghcr.io/shop/web")
    check_spec(story.target(env_repo=repo), app, "Application 'shop'")


@pytest.mark.parametrize("path", ["overlays/dev", "./overlays/dev", "overlays/dev/", "/overlays/dev", "overlays//dev"])
@pytest.mark.parametrize("overlay", ["overlays/dev", "./overlays/dev", "overlays/dev/"])
def test_e1_the_same_folder_by_any_spelling(path: str, overlay: str) -> None:
    check(application(source={"path": path}), overlay)


@pytest.mark.parametrize("path", ["", ".", "./", "./.", None])
@pytest.mark.parametrize("overlay", [".", "./"])
def test_e1_the_root(path: str | None, overlay: str) -> None:
    check(application(source={"path": path, "repoURL": "x"}), overlay)
    assert not same_folder("overlays", overlay)


@pytest.mark.parametrize("destination", [None, {}, {"namespace": ""}, {"namespace": None}, {"server": "https://x"}])
def test_e3_a_destination_without_a_namespace(destination: Any) -> None:
    check(application(destination=destination))
    for resources in ([], None, RESOURCES[:1], [{**RESOURCES[1], "namespace": "other"}]):
        with pytest.raises(
            InputError, match="names no destination namespace, and Deployment shop/web is not among its"
        ):
            check(application(destination=destination, status={"resources": resources}))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"sources": [{"path": "a"}, {"path": "b"}]}, "has 2 sources"),
        ({"sources": [{"path": "overlays/dev"}], "source": None}, "has 1 sources"),
        ({"sourceHydrator": {"drySource": {"path": "overlays/dev"}}}, "has a sourceHydrator"),
        ({"sourceHydrator": {"drySource": {}}, "source": None}, "has a sourceHydrator"),
        ({"source": {"chart": "web", "targetRevision": "1.2"}}, "deploys a Helm chart"),
        ({"source": {"path": "overlays/dev", "helm": {"values": "x"}}}, "deploys a Helm chart"),
        ({"source": overriding("ghcr.io/shop/web:abc")}, "sets the image itself"),
        ({"source": overriding("other", "ghcr.io/shop/web=x:abc")}, "sets the image itself"),
        ({"source": overriding("ghcr.io/shop/web@sha256:1")}, "sets the image itself"),
        ({"source": {"path": "overlays/prod"}}, "follows 'overlays/prod'"),
        ({"source": {"path": "overlays/dev", "targetRevision": "v1"}}, "follows revision 'v1'"),
        ({"project": "other"}, "belongs to project 'other'"),
        ({"project": None}, "belongs to project ''"),
        ({"destination": {"namespace": "other"}}, "deploys to namespace 'other'"),
        ({"source": {"path": 5}}, "path"),
        ({"source": "text"}, "source"),
        ({"sources": "text"}, "sources"),
        ({"destination": []}, "destination"),
    ],
)  # fmt: skip
def test_e11_what_no_commit_of_ours_could_move_is_refused(spec: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        check(application(**spec))
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "spec",
    [
        {"sources": None, "sourceHydrator": None}, {"sources": [], "sourceHydrator": {}},
        {"source": {"path": "overlays/dev", "chart": "", "helm": None, "kustomize": None, "targetRevision": None}},
        {"source": {"path": "overlays/dev", "kustomize": {"images": ["ghcr.io/shop/web-admin:abc", "web"]}}},
        {"source": {"path": "overlays/dev", "kustomize": {"namePrefix": "x-"}}},
        {"source": {"path": "overlays/dev", "targetRevision": "refs/heads/main"}},
    ],
)  # fmt: skip
def test_e11_null_and_empty_say_nothing(spec: dict[str, Any]) -> None:
    check(application(**spec))


class TestRefreshUnlessAsked:
    """A request that Argo CD has lost (#28392) stays pending until its next poll: it is made again."""

    @staticmethod
    def asked(annotations: dict[str, str]) -> list[Any]:
        patches: list[Any] = []

        class Cluster:
            def get(self, *_: Any) -> Any:
                return {"metadata": {"annotations": annotations}}

            def patch(self, *words: Any, **more: Any) -> Any:
                patches.append((words, more))
                return {}

        Argo(Cluster(), "argocd", "shop").refresh_unless_asked()  # type: ignore[arg-type] - as far as it is used
        return patches

    @pytest.mark.parametrize(
        ("pending", "ago_s", "asks"),
        [
            pytest.param(True, 2.0, False, id="it waits for an answer"),
            pytest.param(True, 60.0, True, id="lost"),
            pytest.param(False, 0.0, False, id="answered at once"),  # by an event, which woke us
            pytest.param(False, 2.0, True, id="answered"),
            pytest.param(True, None, True, id="somebody else's, who knows since when"),
            pytest.param(False, -3600.0, True, id="by a clock that is ahead"),
        ],
    )
    def test_who_waits_is_let_wait_for_10_s_and_nobody_asks_twice_a_second(
        self, pending: bool, ago_s: float | None, asks: bool
    ) -> None:
        stamp = "argocd.argoproj.io/refresh-timestamp"
        annotations = {} if ago_s is None else {stamp: str(time.time_ns() - int(ago_s * 1e9))}
        if pending:
            annotations["argocd.argoproj.io/refresh"] = "normal"
        assert bool(self.asked(annotations)) is asks

    def test_a_time_that_is_none_is_no_time(self) -> None:
        assert self.asked({"argocd.argoproj.io/refresh": "hard", "argocd.argoproj.io/refresh-timestamp": "now"})


SOURCE = {"repoURL": "https://git.example.com/env.git", "path": "overlays/staging"}


@pytest.mark.parametrize(
    ("written", "compared", "same"),
    [
        ({"targetRevision": ""}, {}, True),
        ({"kustomize": {"images": []}}, {}, True),
        ({"kustomize": {"images": None, "forceCommonLabels": False}}, {"kustomize": {}}, True),
        ({"directory": {"recurse": False}}, {"directory": {}}, True),
        ({"targetRevision": "main"}, {"targetRevision": "main"}, True),
        ({"targetRevision": "main"}, {}, False),
        ({}, {"targetRevision": "main"}, False),
        ({"directory": {"recurse": True}}, {"directory": {}}, False),
        ({"kustomize": {"images": ["web:2"]}}, {"kustomize": {"images": ["web:1"]}}, False),
    ],
)
def test_what_was_compared_is_the_spec_but_for_fields_that_say_nothing(
    written: dict[str, Any], compared: dict[str, Any], same: bool
) -> None:
    """A spec with `targetRevision: ""` was never seen to be compared: every wait for it would have run out of time."""
    sync = {"comparedTo": {"source": {**SOURCE, **compared}}}
    state = application_state({"spec": {"source": {**SOURCE, **written}}, "status": {"sync": sync}})
    assert state.compared_to_spec is same
