"""Whose a pod is, and which of its containers is the app's: by owner and by name, never by label or place."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from rollproof.clients.kube import ApiError
from rollproof.core.outside import Outside
from rollproof.probes.members import Members
from rollproof.probes.views import DeploymentView, PodView, app_container, image_name

IMAGE = "ghcr.io/shop/web"
LABELS = {"app": "web", "pod-template-hash": "h1"}


def owner(kind: str, name: str, uid: str, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, "uid": uid, "controller": True, **more}


def replicaset(name: str = "web-h1", uid: str = "rs-1", of: str = "deployment-1") -> dict[str, Any]:
    owners = [owner("Deployment", "web", of)] if of else []
    return {"metadata": {"name": name, "uid": uid, "labels": LABELS, "ownerReferences": owners}, "spec": {}}


def pod(*owners: dict[str, Any], labels: dict[str, str] | None = None, **status: Any) -> dict[str, Any]:
    metadata = {"name": "web-1", "uid": "pod-1", "labels": labels or LABELS, "ownerReferences": list(owners)}
    return {
        "metadata": metadata, "status": {"phase": "Running", **status},
        "spec": {"containers": [{"name": "web", "image": f"{IMAGE}:aaaaaaa"}]},
    }  # fmt: skip


DEPLOYMENT = {
    "metadata": {"name": "web", "uid": "deployment-1"},
    "spec": {
        "selector": {"matchLabels": {"app": "web", "tier": "front"}},
        "template": {"spec": {"containers": [{"name": "web", "image": f"{IMAGE}:aaaaaaa"}]}},
    },
}
SERVICE = {"spec": {"selector": {"app": "web"}}}


class Kube:
    def __init__(self, *replicasets: dict[str, Any], fails: bool = False) -> None:
        self.items, self.fails, self.asked = list(replicasets), fails, 0

    def list(self, kind: str, _: str, *, fields: str) -> dict[str, Any]:
        assert kind == "ReplicaSet"
        self.asked += 1
        if self.fails:
            raise ApiError("no", status=500)
        return {"items": [one for one in self.items if fields == f"metadata.name={one['metadata']['name']}"]}


def members(*known: dict[str, Any], kube: Kube | None = None, service: dict[str, Any] | None = SERVICE) -> Members:
    found = Members(kube or Kube(), "shop", DEPLOYMENT, service or {}, "", IMAGE)  # type: ignore[arg-type]
    for one in known:
        found.replicaset(one)
    return found


CASES: dict[str, tuple[list[dict[str, Any]], bool | None, str]] = {
    "its-replicaset": ([owner("ReplicaSet", "web-h1", "rs-1")], True, "ReplicaSet/web-h1"),
    "a8-job": ([owner("Job", "migrate", "job-1")], False, "Job/migrate"),
    "a8-job-named-like-it": ([owner("Job", "web-h1", "rs-1")], False, "Job/web-h1"),
    "a8-bare-pod": ([], False, ""),
    "a8-replicaset-of-another": ([owner("ReplicaSet", "canary-h2", "rs-2")], False, "ReplicaSet/canary-h2"),
    "a8-replicaset-of-nobody": ([owner("ReplicaSet", "web-h3", "rs-3")], False, "ReplicaSet/web-h3"),
    "a8-daemonset": ([owner("DaemonSet", "web", "ds-1")], False, "DaemonSet/web"),
    "a8-statefulset": ([owner("StatefulSet", "web", "ss-1")], False, "StatefulSet/web"),
    "a8-replicaset-that-is-not-its-controller": (
        [owner("ReplicaSet", "web-h1", "rs-1", controller=False), owner("Job", "migrate", "job-1")],
        False, "Job/migrate",
    ),
    "unknown-replicaset": ([owner("ReplicaSet", "web-h9", "rs-9")], None, "ReplicaSet/web-h9"),
    "same-name-other-uid": ([owner("ReplicaSet", "web-h1", "rs-7")], None, "ReplicaSet/web-h1"),
}  # fmt: skip


@pytest.mark.parametrize(("owners", "member", "told"), CASES.values(), ids=list(CASES))
def test_a8_a_pod_is_the_deployments_by_way_of_its_replicaset(
    owners: list[dict[str, Any]], member: bool | None, told: str
) -> None:
    known = [replicaset(), replicaset("canary-h2", "rs-2", "deployment-2"), replicaset("web-h3", "rs-3", "")]
    view = members(*known).pod(pod(*owners))
    assert (view.member, view.owner, view.in_service) == (member, told, True)


def test_a_replicaset_whose_watch_is_behind_is_asked_for_once() -> None:
    kube = Kube(replicaset())
    found = members(kube=kube)
    assert [found.pod(pod(owner("ReplicaSet", "web-h1", "rs-1"))).member for _ in range(3)] == [True] * 3
    assert kube.asked == 1


def test_what_cannot_be_asked_is_unknown_and_not_somebody_elses() -> None:
    assert members(kube=Kube(fails=True)).pod(pod(owner("ReplicaSet", "web-h1", "rs-1"))).member is None


def test_a_pod_that_loses_its_owner_stays_an_old_pod() -> None:
    found = members(replicaset())
    assert found.pod(pod(owner("ReplicaSet", "web-h1", "rs-1"))).member is True
    assert found.pod(pod()).member is True


def test_a_deployment_that_was_made_again_owns_its_pods() -> None:
    found = members(replicaset(of="deployment-9"))
    assert found.pod(pod(owner("ReplicaSet", "web-h1", "rs-1"))).member is False
    found.deployment({**DEPLOYMENT, "metadata": {"name": "web", "uid": "deployment-9"}})
    assert found.pod(pod(owner("ReplicaSet", "web-h1", "rs-1"))).member is True


@pytest.mark.parametrize(
    ("selector", "asked"),
    [
        ({"app": "web"}, "app=web"),  # wider than the Deployment's: others that the Service chooses are seen too
        ({"app": "web", "tier": "front"}, "app=web,tier=front"),
        ({"app": "web", "zone": "a"}, "app=web"),
        ({"other": "label"}, "app=web,tier=front"),
        ({}, "app=web,tier=front"),
    ],
)
def test_the_watch_sees_the_deployments_pods_and_those_that_the_service_chooses(
    selector: dict[str, str], asked: str
) -> None:
    assert members(service={"spec": {"selector": selector}}).labels == asked


@pytest.mark.parametrize(
    ("phase", "ended"), [("Running", False), ("Pending", False), ("Failed", True), ("Succeeded", True), ("", False)]
)
def test_a7_a_pod_that_has_ended_is_told_by_its_phase(phase: str, ended: bool) -> None:
    assert PodView.of(pod(phase=phase)).ended is ended


# -- the app's container ----------------------------------------------------------------------------------------------

APP = {"name": "web", "image": f"{IMAGE}:aaaaaaa"}
PROXY = {"name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.27"}
AGENT = {"name": "agent", "image": "registry:5000/agent@sha256:abc"}


@pytest.mark.parametrize("order", list(itertools.permutations([APP, PROXY, AGENT])))
@pytest.mark.parametrize(("name", "image"), [("web", ""), ("", IMAGE), ("web", IMAGE), ("renamed", IMAGE)])
def test_a10_the_apps_container_is_found_wherever_it_stands(order: Any, name: str, image: str) -> None:
    assert app_container(Outside.of({"containers": list(order)}, "a pod"), name, image).text("name") == "web"
    item = {"metadata": {}, "spec": {"template": {"spec": {"containers": list(order)}}}}
    assert DeploymentView.of(item, name, image).image == f"{IMAGE}:aaaaaaa"


@pytest.mark.parametrize("containers", [[PROXY, AGENT], [APP, {**APP, "name": "worker"}], []])
def test_a10_what_is_ambiguous_is_nobodys(containers: list[dict[str, Any]]) -> None:
    assert app_container(Outside.of({"containers": containers}, "a pod"), "", IMAGE).text("name") == ""


def test_a10_an_injected_sidecar_is_in_the_pod_and_not_in_the_template() -> None:
    item = pod(owner("ReplicaSet", "web-h1", "rs-1"))
    item["spec"] = {"containers": [PROXY, APP], "initContainers": [{**AGENT, "restartPolicy": "Always"}]}
    item["status"] = {
        "phase": "Running",
        "containerStatuses": [
            {"name": "istio-proxy", "imageID": "proxy-id", "restartCount": 3},
            {"name": "web", "imageID": "id", "restartCount": 1},
        ],
        "initContainerStatuses": [{"name": "agent", "state": {"running": {}}, "restartCount": 5}],
    }  # fmt: skip
    view = members(replicaset()).pod(item)
    assert (view.image, view.image_id, view.restarts, view.reason) == (f"{IMAGE}:aaaaaaa", "id", 1, "")


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("ghcr.io/shop/web:abc", IMAGE), ("registry:5000/web", "registry:5000/web"), ("web@sha256:0", "web"),
        ("registry:5000/web:1@sha256:0", "registry:5000/web"), ("web", "web"),
    ],
)  # fmt: skip
def test_the_name_of_an_image(image: str, name: str) -> None:
    assert image_name(image) == name


BOTH = [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]


@pytest.mark.parametrize(
    ("families", "addresses", "known_by"),
    [
        (["IPv6"], BOTH, "fd00::1"),
        (["IPv6", "IPv4"], BOTH, "fd00::1"),
        (["IPv4"], BOTH, "10.0.0.1"),
        (["IPv4", "IPv6"], BOTH[::-1], "10.0.0.1"),
        (["IPv6"], BOTH[:1], "10.0.0.1"),
        ([], BOTH, "10.0.0.1"),
        (["IPv4"], [], "10.0.0.1"),
    ],
)
def test_a_pods_address_is_the_one_by_which_the_service_knows_it(
    families: list[str], addresses: list[dict[str, str]], known_by: str
) -> None:
    """Else a Service of the cluster's second IP family would seem to have none of the pods."""
    service = {"spec": {"selector": {"app": "web"}, "ipFamilies": families}}
    seen = members(replicaset(), service=service).pod(pod(podIP="10.0.0.1", podIPs=addresses))
    assert seen.ip == known_by
