"""What `rollproof init` makes of what a cluster says: found, a choice that is left, and what it may not read."""

from __future__ import annotations

from typing import Any, cast

import pytest

from rollproof.clients.kube import ApiError, Kube
from rollproof.core.survey import Survey
from rollproof.errors import InputError, OutsideDataError
from rollproof.preflight.survey import ask
from tests.unit.patient import FakeKube

Object = dict[str, Any]


def application(name: str = "shop", **source: Any) -> Object:
    place = {"repoURL": "https://git.example.com/env.git", "path": "overlays/dev", "targetRevision": "main", **source}
    spec = {"project": "web", "source": place, "destination": {"namespace": "shop"}}
    return {"metadata": {"name": name, "namespace": "argocd"}, "spec": spec}


def deployment(name: str = "web", **container: Any) -> Object:
    probes = {"livenessProbe": {"httpGet": {"path": "/live"}}, "readinessProbe": {"httpGet": {"path": "/ready"}}}
    ports = [{"name": "http", "containerPort": 8080}]
    one = {"name": name, "image": "registry.example.com:5000/shop/web:1a2b3c4", "ports": ports, **probes, **container}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [one]}}
    return {"metadata": {"name": name, "uid": f"uid-{name}"}, "spec": {"template": template}}


def service(name: str = "web", app: str = "web", port: Any = "http") -> Object:
    return {"metadata": {"name": name}, "spec": {"selector": {"app": app}, "ports": [{"port": 80, "targetPort": port}]}}


def ingress(to: str = "web", host: str = "shop.example.com") -> Object:
    paths = [{"path": "/", "backend": {"service": {"name": to}}}]
    spec = {"tls": [{"hosts": [host]}], "rules": [{"host": host, "http": {"paths": paths}}]}
    return {"metadata": {"name": "web"}, "spec": spec}


def replica_set(revision: int, tag: str) -> Object:
    made = deployment(image=f"registry.example.com:5000/shop/web:{tag}")
    annotations = {"deployment.kubernetes.io/revision": str(revision)}
    owners = [{"uid": "uid-web"}]
    return {**made, "metadata": {"name": f"web-{tag}", "annotations": annotations, "ownerReferences": owners}}


def asked(refused: tuple[str, ...] = (), application_name: str = "", workload: str = "", **lists: Any) -> Survey:
    found = {
        "Application": [application()], "Deployment": [deployment()], "Service": [service()], "Ingress": [ingress()],
        "ReplicaSet": [replica_set(1, "0000001"), replica_set(3, "1a2b3c4"), replica_set(2, "0000002")], **lists,
    }  # fmt: skip
    kube = FakeKube(refused=refused, lists=found)
    return ask(cast("Kube", kube), application_name, workload)


def test_all_that_is_there_is_found() -> None:
    found = asked()
    assert found == Survey(
        argocd_namespace="argocd", application="shop", project="web", repo_url="https://git.example.com/env.git",
        branch="main", overlay="overlays/dev", namespace="shop", deployment="web", service="web",
        image="registry.example.com:5000/shop/web", tags=("1a2b3c4", "0000002", "0000001"), port=8080,
        host="shop.example.com", tls=True, live_path="/live", ready_path="/ready",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lists", "wrong", "hint"),
    [
        ({"Application": []}, "no Argo CD Application", "there are: none"),
        ({"Application": [application(), application("other")]}, "2 Argo CD", "argocd/other, argocd/shop"),
        ({"Application": [application(path="")]}, "no source with a path", "newTag"),
        ({"Deployment": []}, "0 Deployments", "none"),
        ({"Deployment": [deployment(), deployment("api")], "Ingress": []}, "2 Deployments", "--deployment: api, web"),
    ],
)
def test_a_choice_that_is_left_is_the_persons(lists: Object, wrong: str, hint: str) -> None:
    with pytest.raises(InputError, match=wrong) as raised:
        asked(**lists)
    assert hint in raised.value.hint


def test_a_name_chooses() -> None:
    both = [application(), application("other")]
    assert asked(application_name="argocd/other", Application=both).application == "other"
    two = [deployment(), deployment("api")]
    assert asked(workload="api", Deployment=two, Service=[service("api", "api")], Ingress=[]).deployment == "api"
    with pytest.raises(InputError, match="no Deployment wbe"):
        asked(workload="wbe")


def test_of_two_deployments_the_one_behind_the_ingress_is_meant() -> None:
    found = asked(Deployment=[deployment("worker"), deployment()], Service=[service(), service("worker", "worker")])
    assert (found.deployment, found.service) == ("web", "web")


def test_of_two_services_the_one_that_the_ingress_leads_to_is_meant() -> None:
    assert asked(Service=[service("metrics"), service("front")], Ingress=[ingress("front")]).service == "front"


UDP = {"name": "h3", "port": 443, "targetPort": 8443, "protocol": "UDP"}
BESIDE = {"name": "proxy", "image": "proxy:1", "ports": [{"name": "way-in", "containerPort": 9000}]}


@pytest.mark.parametrize(
    ("ports", "port"),
    [
        ([{"port": 80, "targetPort": 9090}], 9090),
        ([{"port": 8080}], 8080),
        ([UDP, {"port": 80, "targetPort": "http"}], 8080),
        ([{"port": 80, "targetPort": "way-in"}], 9000),  # of another container of the pod
        ([{"port": 80, "targetPort": "elsewhere"}], 0),
        ([UDP], 0),
        ([], 0),
    ],
)
def test_the_port_of_the_pods_is_the_one_behind_the_services_first_tcp_port(ports: list[Object], port: int) -> None:
    workload = deployment()
    workload["spec"]["template"]["spec"]["containers"].append(BESIDE)
    found = asked(Deployment=[workload], Service=[{**service(), "spec": {**service()["spec"], "ports": ports}}])
    assert found.port == (port or 80)
    assert any("app.pod_port is a guess" in note for note in found.notes) is not bool(port)


def test_an_application_of_several_sources_is_taken_by_the_first_with_a_path() -> None:
    item = application()
    source = item["spec"].pop("source")
    item["spec"]["sources"] = [{"chart": "redis"}, source, source]
    found = asked(Application=[item])
    assert found.overlay == "overlays/dev"
    assert "2 sources" in found.notes[0]


@pytest.mark.parametrize(
    ("image", "name", "tags"),
    [
        ("web", "web", ()), ("localhost:5000/web", "localhost:5000/web", ()), ("web:1", "web", ("1",)),
        ("web:1@sha256:0", "web", ("1",)), ("web@sha256:0", "web", ()),
    ],
)  # fmt: skip
def test_an_image_is_a_name_and_a_tag(image: str, name: str, tags: tuple[str, ...]) -> None:
    found = asked(Deployment=[deployment(image=image)], ReplicaSet=[])
    assert (found.image, found.tags) == (name, tags)


def test_what_may_not_be_read_is_said_and_the_rest_is_found() -> None:
    found = asked(refused=("list Ingress", "list HorizontalPodAutoscaler", "list Pod"))
    assert found.service == "web"
    assert found.host == ""
    said = " | ".join(found.notes)
    for kind in ("Ingress in shop", "HorizontalPodAutoscaler in shop", "ingress controller"):
        assert kind in said
    with pytest.raises(ApiError):
        asked(refused=("list Deployment",))


def test_an_object_of_a_wrong_shape_is_a_clear_error() -> None:
    with pytest.raises(OutsideDataError, match="Ingress in shop"):
        asked(Ingress=[{"metadata": {"name": "web"}, "spec": {"rules": "all"}}])
