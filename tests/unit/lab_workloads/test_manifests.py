"""The objects themselves: what the drills rely on must hold in the files that the lab applies."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lab import settings, workload_images, workloads
from lab.cluster import Mode

ENV_REPO = settings.SOURCES / "env-repo"
SLOW_LIMIT_S = 2.0


@cache
def load(path: Path) -> list[Any]:
    return [each for each in YAML(typ="safe").load_all(path.read_text(encoding="utf-8")) if each]


def one(name: str) -> Any:
    [found] = load(ENV_REPO / name)
    return found


def deployment() -> Any:
    return one("base/deployment.yaml")


def container() -> Any:
    [found] = deployment()["spec"]["template"]["spec"]["containers"]
    return found


def test_the_base_lists_what_exists_and_leaves_the_secret_out() -> None:
    resources = one("base/kustomization.yaml")["resources"]
    assert all((ENV_REPO / "base" / name).exists() for name in resources)
    assert "secret.yaml" not in resources
    assert all(value.startswith("<") for value in one("base/secret.yaml")["stringData"].values())


def test_the_rollout_never_has_fewer_pods_than_declared() -> None:
    strategy = deployment()["spec"]["strategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}


def ingress_lag_s() -> float:
    [daemon] = [each for each in load(settings.SOURCES / "ingress" / "ingress.yaml") if each["kind"] == "DaemonSet"]
    environment = [e for c in daemon["spec"]["template"]["spec"]["containers"] for e in c.get("env", [])]
    return float(next(e["value"] for e in environment if e["name"] == "LAG_S"))


def test_the_pod_outlives_the_lag_of_the_ingress_and_the_longest_request() -> None:
    sleep_s = container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace_s = deployment()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert 0 < ingress_lag_s() < sleep_s
    assert grace_s > sleep_s + SLOW_LIMIT_S + 12  # stopwaitsecs of Supervisor


def test_the_probes_ask_the_right_paths() -> None:
    assert container()["livenessProbe"]["httpGet"] == {"path": "/health", "port": "http"}
    assert container()["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "http"}


def test_drift_finds_a_declared_value_of_each_kind() -> None:
    assert {"name": "LOG_LEVEL", "value": "info"} in container()["env"]
    assert container()["resources"]["limits"] == {"cpu": "1", "memory": "256Mi"}
    assert isinstance(deployment()["spec"]["revisionHistoryLimit"], int)
    assert one("base/service.yaml")["spec"]["selector"] == {"app": "angelpay"}
    assert one("base/configmap.yaml")["data"]


def test_replicas_are_declared_where_no_autoscaler_owns_them() -> None:
    dev, prod = one("overlays/dev/kustomization.yaml"), one("overlays/prod/kustomization.yaml")
    assert "replicas" not in deployment()["spec"]
    assert dev["replicas"] == [{"name": "angelpay", "count": 2}]
    assert "hpa.yaml" not in dev["resources"]
    assert "replicas" not in prod
    assert "hpa.yaml" in prod["resources"]
    assert one("overlays/prod/hpa.yaml")["spec"]["minReplicas"] >= 2


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_each_overlay_has_its_host_its_database_and_the_app_image(name: str) -> None:
    overlay = one(f"overlays/{name}/kustomization.yaml")
    assert overlay["namespace"] == f"angelpay-{name}"
    assert [image["name"] for image in overlay["images"]] == [workload_images.APP_NAME] == [container()["image"]]
    assert one(f"overlays/{name}/patch-ingress.yaml")["spec"]["rules"][0]["host"] == f"angelpay-{name}.lab"
    assert one(f"overlays/{name}/patch-httproute.yaml")["spec"]["hostnames"] == [f"angelpay-{name}.lab"]
    assert one(f"overlays/{name}/patch-configmap.yaml")["data"] == {"DB_NAME": f"angelpay_{name}"}


def test_dev_has_a_file_of_its_own_in_the_mounted_configmap() -> None:
    """What targets/lab-mounted.toml changes: a file of the base would be prod's, too."""
    patch, base = one("overlays/dev/patch-dbconfig.yaml"), one("base/configmap-dbconfig.yaml")
    assert {"path": "patch-dbconfig.yaml"} in one("overlays/dev/kustomization.yaml")["patches"]
    assert patch["metadata"]["name"] == base["metadata"]["name"]
    assert not set(patch["data"]) & set(base["data"])
    [volume] = deployment()["spec"]["template"]["spec"]["volumes"]
    assert volume["configMap"] == {"name": base["metadata"]["name"]}, "all of its keys are mounted"
    [mount] = container()["volumeMounts"]
    assert "subPath" not in mount


def test_both_applications_heal_and_give_up_soon() -> None:
    applications = load(ENV_REPO / "argocd" / "application.yaml")
    assert [each["metadata"]["name"] for each in applications] == ["angelpay-dev", "angelpay-prod"]
    for each in applications:
        assert each["spec"]["syncPolicy"]["automated"] == {"prune": True, "selfHeal": True}
        assert each["spec"]["syncPolicy"]["retry"]["limit"] == 2
        assert each["spec"]["source"]["path"] == f"overlays/{each['metadata']['name'].removeprefix('angelpay-')}"


def test_the_route_leads_where_the_ingress_leads_and_its_gateway_is_made_by_the_lab() -> None:
    [rule], [parent] = one("base/httproute.yaml")["spec"]["rules"], one("base/httproute.yaml")["spec"]["parentRefs"]
    assert rule["backendRefs"] == [{"name": "angelpay", "port": one("base/service.yaml")["spec"]["ports"][0]["port"]}]
    kind, gateway = load(settings.SOURCES / "traefik" / "gateway.yaml")
    assert parent == {key: gateway["metadata"][key] for key in ("name", "namespace")}
    assert gateway["spec"]["gatewayClassName"] == kind["metadata"]["name"]


def test_the_policy_lets_in_the_ingress_and_the_nodes_on_one_named_port() -> None:
    spec = one("base/networkpolicy.yaml")["spec"]
    [rule] = spec["ingress"]
    assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]
    assert any("ipBlock" in peer for peer in rule["from"])
    assert {"name": "http", "containerPort": 80} in container()["ports"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]


def everything() -> list[workloads.Component]:
    return list(dict.fromkeys(each for one in settings.INGRESSES for each in workloads.components(mode(one))))


def mode(ingress: str) -> Mode:
    return Mode("built", ingress=ingress)


def pod_templates() -> list[tuple[str, Any]]:
    return [
        (f"{each['kind']}/{each['metadata']['name']}", each["spec"]["template"])
        for component in everything()
        for name in component.manifests
        for each in load(settings.SOURCES / name)
        if each["kind"] in ("Deployment", "DaemonSet", "StatefulSet")
    ]


def test_every_workload_of_the_platform_is_waited_for() -> None:
    waited = {workload for component in everything() for workload in component.workloads}
    assert waited == {name.lower() for name, _ in pod_templates()}


def test_platform_pods_carry_their_content_and_stay_off_the_workers(subtests: pytest.Subtests) -> None:
    assert pod_templates()
    for name, template in pod_templates():
        with subtests.test(name):
            assert template["metadata"]["annotations"]["rollproof.lab/content"] == "@CONTENT@"
            assert template["spec"]["nodeSelector"] == {"node-role.kubernetes.io/control-plane": ""}


@pytest.mark.parametrize("argocd", settings.ARGOCD_VERSIONS)
def test_every_image_in_a_manifest_is_made_by_the_lab(argocd: str) -> None:
    made = {image.name for by in (True, False) for image in workload_images.platform_images(argocd, traefik=by)}
    used = {c["image"] for _, template in pod_templates() for c in template["spec"]["containers"]}
    assert {name.replace("@ARGOCD@", argocd) for name in used} == made
    named = {name for component in everything() for name in component.images}
    assert {name.rpartition(":")[0] for name in made} == named


def test_argo_cd_has_the_settings_that_drift_figures_are_checked_against() -> None:
    by_name = {each["metadata"]["name"]: each for each in load(settings.SOURCES / "argocd" / "config.yaml")}
    assert by_name["argocd-cm"]["data"]["timeout.reconciliation"] == "120s"
    assert by_name["argocd-cmd-params-cm"]["data"]["controller.self.heal.backoff.factor"] == "3"
    assert all(each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "argocd" for each in by_name.values())
