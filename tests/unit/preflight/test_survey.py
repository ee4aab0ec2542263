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


def route(to: str = "web", host: str = "api.example.com", **parent: Any) -> Object:
    backends = [{"name": "elsewhere", "namespace": "other"}, {"name": "canary", "weight": 0}, {"name": to}]
    parents = [{"kind": "Service", "group": "", "name": to}, {"name": "public", "namespace": "infra", **parent}]
    spec = {"parentRefs": parents, "hostnames": [host] if host else [], "rules": [{"backendRefs": backends}]}
    return {"metadata": {"name": "web"}, "spec": spec}


def listener(name: str, protocol: str, port: int, **more: str) -> Object:
    return {"name": name, "protocol": protocol, "port": port, **more}


def gateway(*listeners: Object, address: str = "192.0.2.7") -> Object:
    addresses = [{"value": address}] if address else []
    return {"metadata": {"name": "public"}, "spec": {"listeners": [*listeners]}, "status": {"addresses": addresses}}


def replica_set(revision: int, tag: str) -> Object:
    made = deployment(image=f"registry.example.com:5000/shop/web:{tag}")
    annotations = {"deployment.kubernetes.io/revision": str(revision)}
    owners = [{"uid": "uid-web"}]
    return {**made, "metadata": {"name": f"web-{tag}", "annotations": annotations, "ownerReferences": owners}}


def asked(
    refused: tuple[str, ...] = (), application_name: str = "", workload: str = "", gateway: Object | None = None,
    **lists: Any,
) -> Survey:  # fmt: skip
    found = {
        "Application": [application()], "Deployment": [deployment()], "Service": [service()], "Ingress": [ingress()],
        "ReplicaSet": [replica_set(1, "0000001"), replica_set(3, "1a2b3c4"), replica_set(2, "0000002")], **lists,
    }  # fmt: skip
    kube = FakeKube(refused=refused, lists=found, objects={("Gateway", "public"): gateway} if gateway else {})
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


def test_of_two_deployments_the_one_behind_the_route_is_meant() -> None:
    two, services = [deployment("worker"), deployment()], [service(), service("worker", "worker")]
    found = asked(Deployment=two, Service=services, Ingress=[], HTTPRoute=[route()])
    assert (found.deployment, found.service, found.host) == ("web", "web", "api.example.com")
    for away in ({"namespace": "other"}, {"weight": 0}, {"kind": "TraefikService", "group": "traefik.io"}):
        one = route()
        one["spec"]["rules"] = [{"backendRefs": [{"name": "web", **away}]}]
        with pytest.raises(InputError, match="behind an Ingress or an HTTPRoute"):
            asked(Deployment=two, Service=services, Ingress=[], HTTPRoute=[one])


HTTP, HTTPS = listener("web", "HTTP", 80), listener("safe", "HTTPS", 443)
ANY_PORT = (False, 0, "api.example.com")


@pytest.mark.parametrize(
    ("listeners", "made", "found"),
    [
        ([HTTP], route(), ANY_PORT),
        ([HTTP, HTTPS], route(), (True, 0, "api.example.com")),
        ([HTTP, HTTPS], route(sectionName="web"), ANY_PORT),
        ([HTTP, HTTPS], route(port=80), ANY_PORT),
        ([listener("web", "HTTP", 8000), listener("db", "TCP", 443)], route(), (False, 8000, "api.example.com")),
        ([HTTP, listener("safe", "HTTPS", 443, hostname="other.example.com")], route(), ANY_PORT),
        ([HTTP, listener("safe", "HTTPS", 8443, hostname="*.example.com")], route(), (True, 8443, "api.example.com")),
        ([listener("web", "HTTP", 80, hostname="shop.example.com")], route(host=""), (False, 0, "shop.example.com")),
        ([listener("web", "HTTP", 80, hostname="*.example.com")], route(host=""), (False, 0, "")),
        ([HTTP], route(host="*.example.com"), (False, 0, "")),
    ],
)
def test_scheme_and_port_are_those_of_the_gateways_listener(
    listeners: list[Object], made: Object, found: tuple[bool, int, str]
) -> None:
    said = asked(Ingress=[], HTTPRoute=[made], gateway=gateway(*listeners))
    assert (said.tls, said.entry_port, said.host) == found
    assert any("behind Gateway infra/public, at 192.0.2.7, port" in note for note in said.notes)
    assert any("no HTTPRoute with a host leads" in note for note in said.notes) is not bool(found[2])


def test_what_is_not_known_of_a_gateway_is_said() -> None:
    def notes(*refused: str, made: Object | None = None, gateway: Object | None = None) -> str:
        found = asked(refused, Ingress=[], HTTPRoute=[made or route()], gateway=gateway)
        assert (found.host, found.tls, found.entry_port) == ("api.example.com", False, 0)
        return " | ".join(found.notes)

    assert "behind Gateway infra/public, which is not there" in notes()
    assert "Gateway infra/public could not be read" in notes("get Gateway")
    assert "none of whose listeners fits" in notes(gateway=gateway(HTTPS), made=route(sectionName="web"))
    assert "whose address it does not say, port 80" in notes(gateway=gateway(HTTP, address=""))
    assert "names no Gateway" in notes(made=route(kind="ListenerSet"))
    found = asked(("list HTTPRoute",))
    assert "HTTPRoute in shop could not be read" in found.notes[0]
    assert found.host == "shop.example.com"


def test_the_pods_of_the_gateway_are_found_by_its_name_and_not_those_of_an_ingress_controller() -> None:
    class Kube(FakeKube):
        said = "gateway.networking.k8s.io/gateway-name=public"

        def list(self, kind: str, namespace: str, **more: str) -> Object:
            if kind == "Pod":
                return {"items": [{"metadata": {"namespace": "infra"}}] if more["labels"] == self.said else []}
            return super().list(kind, namespace, **more)

    lists = {"Application": [application()], "Deployment": [deployment()], "Service": [service()]}
    kube = Kube(lists={**lists, "HTTPRoute": [route()]})
    found = ask(cast("Kube", kube))
    assert (found.ingress_namespace, found.ingress_selector) == ("infra", kube.said)
    kube.said = "app.kubernetes.io/name=ingress-nginx"
    found = ask(cast("Kube", kube))
    assert (found.ingress_namespace, found.ingress_selector) == ("", "")
    assert "which pods serve the HTTPRoute is not known" in found.notes[-1]
    kube.lists = {**lists, "Ingress": [ingress()]}
    assert ask(cast("Kube", kube)).ingress_selector == kube.said


ENVOY = "gateway.envoyproxy.io/owning-gateway-name=public,gateway.envoyproxy.io/owning-gateway-namespace=infra"
OWN = "gateway.networking.k8s.io/gateway-name=public"


@pytest.mark.parametrize(
    ("there", "found"), [((OWN, "infra"), OWN), ((OWN, "other"), ""), ((ENVOY, "envoy-gateway-system"), ENVOY)]
)
def test_pods_of_another_gateway_of_the_same_name_are_not_meant(there: tuple[str, str], found: str) -> None:
    class Kube(FakeKube):
        def list(self, kind: str, namespace: str, **more: str) -> Object:
            if kind == "Pod":
                is_meant = more["labels"] == there[0] and namespace in ("", there[1])
                return {"items": [{"metadata": {"namespace": there[1]}}] if is_meant else []}
            return super().list(kind, namespace, **more)

    lists = {"Application": [application()], "Deployment": [deployment()], "Service": [service()]}
    said = ask(cast("Kube", Kube(lists={**lists, "HTTPRoute": [route()]})))
    assert (said.ingress_namespace, said.ingress_selector) == ((there[1], found) if found else ("", ""))


TRAEFIK = "app.kubernetes.io/name=traefik"


@pytest.mark.parametrize(
    ("name", "selector"), [("gke-l7-global-external-managed", ""), ("traefik", TRAEFIK), ("", TRAEFIK)]
)
def test_traefiks_pods_do_not_serve_a_gateway_of_another_class(name: str, selector: str) -> None:
    class Kube(FakeKube):
        def list(self, kind: str, namespace: str, **more: str) -> Object:
            if kind == "Pod":
                return {"items": [{"metadata": {"namespace": "edge"}}] if more["labels"] == TRAEFIK else []}
            return super().list(kind, namespace, **more)

    there = gateway(HTTP)
    there["spec"]["gatewayClassName"] = name
    lists = {
        "Application": [application()],
        "Deployment": [deployment()],
        "Service": [service()],
        "HTTPRoute": [route()],
    }
    found = ask(cast("Kube", Kube(lists=lists, objects={("Gateway", "public"): there})))
    assert found.ingress_selector == selector


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
