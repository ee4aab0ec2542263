"""The autoscaler as it is seen, whether the cluster can have the drill, and what is refused before it begins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import story

from rollproof.clients.kube import ApiError
from rollproof.core.target import AutoscalingSettings, Fences, Target, Traffic
from rollproof.errors import CannotJudgeError, FenceError, InputError
from rollproof.probes.autoscaler import autoscaler_of, check_autoscaler, missing
from rollproof.probes.views import AutoscalerView, DeploymentView, quantity

CPU = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
QUEUE = {
    "type": "External",
    "external": {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": "500m"}},
}
ACTIVE = {"type": "ScalingActive", "status": "True", "reason": "ValidMetricFound"}


def hpa(name: str = "web", *, of: str = "web", now: Any = None, active: Any = ACTIVE, **spec: Any) -> dict[str, Any]:
    reference = {"kind": "Deployment", "name": of}
    sound = {"scaleTargetRef": reference, "minReplicas": 2, "maxReplicas": 4, "metrics": [CPU], **spec}
    status = {"currentReplicas": 2, "desiredReplicas": 2, "conditions": [active], "currentMetrics": now or []}
    return {"metadata": {"name": name, "uid": "uid-hpa", "resourceVersion": "1"}, "spec": sound, "status": status}


def used(percent: int) -> dict[str, Any]:
    return {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": percent}}}


class Cluster:
    """Lists these autoscalers; `metrics` is the status with which the metrics API answers."""

    def __init__(self, *items: dict[str, Any], metrics: int = 200) -> None:
        self.items, self.metrics = list(items), metrics

    def list(self, kind: str, _: str) -> dict[str, Any]:
        assert kind == "HorizontalPodAutoscaler"
        return {"items": self.items}

    def request(self, method: str, path: str) -> dict[str, Any]:
        assert (method, path) == ("GET", "/apis/metrics.k8s.io/v1beta1")
        if self.metrics == 200:
            return {}
        raise ApiError("no", status=self.metrics)


def target(**autoscaling: Any) -> Target:
    return story.target(autoscaling=AutoscalingSettings(**autoscaling), traffic=Traffic(rate_per_s=50.0))


def check(cluster: Any, wanted: Target | None = None) -> str:
    return check_autoscaler(wanted or target(), cluster)


def lacking(cluster: Any) -> str:
    return missing(target(), cluster)


# -- the view ---------------------------------------------------------------------------------------------------------


def test_defaults_are_those_of_kubernetes() -> None:
    view = AutoscalerView.of({"metadata": {}, "spec": {"maxReplicas": 3}, "status": {}})
    assert (view.min_replicas, view.max_replicas, view.window_s, view.up_window_s) == (1, 3, 300.0, 0.0)
    assert (view.use, view.metrics, view.reason, view.tolerance, view.disabled) == (None, (), "", 0.1, "")


def test_the_use_is_that_of_the_metric_which_is_used_most() -> None:
    queue = {"type": "External", "external": {"metric": {"name": "queue"}, "current": {"averageValue": "1500m"}}}
    view = AutoscalerView.of(hpa(metrics=[CPU, QUEUE], now=[queue, used(102)]))
    assert view.use == 3.0
    assert view.metrics == ("cpu 102 % of 80 %", "queue 1500m of 500m")


def of_container(name: str, target: int, **current: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"name": "cpu", "container": name, "target": {"averageUtilization": target}}
    if current:
        inner = {"name": "cpu", "container": name, "current": current}
    return {"type": "ContainerResource", "containerResource": inner}


@pytest.mark.parametrize("order", [1, -1])
def test_the_use_of_one_container_is_not_that_of_another(order: int) -> None:
    now = [of_container("web", 0, averageUtilization=160), of_container("proxy", 0, averageUtilization=10)][::order]
    view = AutoscalerView.of(hpa(metrics=[of_container("web", 80), of_container("proxy", 50)], now=now))
    assert (view.use, view.metrics) == (2.0, ("cpu 160 % of 80 %", "cpu 10 % of 50 %"))


@pytest.mark.parametrize(("said", "tolerance"), [("0", 0.0), ("50m", 0.05), (None, 0.1)])
def test_a_tolerance_of_nothing_is_one(said: str | None, tolerance: float) -> None:
    assert AutoscalerView.of(hpa(behavior={"scaleUp": {"tolerance": said}})).tolerance == tolerance


def test_a_metric_without_a_value_has_no_use() -> None:
    assert AutoscalerView.of(hpa()).use is None


def test_what_it_cannot_measure_is_not_taken_from_before() -> None:
    failed = {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric"}
    view = AutoscalerView.of(hpa(now=[used(102)], active=failed))
    assert (view.use, view.reason) == (None, "FailedGetResourceMetric")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("250m", 0.25),
        ("2", 2.0),
        ("1.5k", 1500.0),
        ("1Gi", 2.0**30),
        ("8771454n", 0.008771454),
        ("x", None),
        ("", None),
    ],
)
def test_quantities(text: str, number: float | None) -> None:
    assert quantity(text) == (None if number is None else pytest.approx(number))


def test_who_owns_the_number_of_replicas() -> None:
    def entry(manager: str, field: str) -> dict[str, Any]:
        return {"manager": manager, "fieldsV1": {"f:spec": {field: {}}}}

    fields = [entry("kube-controller-manager", "f:replicas"), entry("argocd-controller", "f:template"), {}]
    item = {"metadata": {"managedFields": fields}, "spec": {"replicas": 2}, "status": {}}
    assert DeploymentView.of(item).replicas_by == ("kube-controller-manager",)


# -- whether the cluster can have it ----------------------------------------------------------------------------------


def test_nobody_scales_the_app() -> None:
    assert "no HorizontalPodAutoscaler scales Deployment 'web' in 'shop'" in lacking(Cluster(hpa(of="other")))


@pytest.mark.parametrize(("status", "words"), [(404, "has no metrics API"), (503, "does not answer")])
def test_without_a_metrics_api(status: int, words: str) -> None:
    assert words in lacking(Cluster(hpa(), metrics=status))


def test_whoever_may_not_ask_for_it_is_told_by_the_autoscaler() -> None:
    assert lacking(Cluster(hpa(), metrics=403)) == ""


def test_an_answer_that_says_nothing_is_no_reason_to_skip() -> None:
    with pytest.raises(ApiError):
        lacking(Cluster(hpa(), metrics=500))


def test_who_measures_something_else_needs_no_metrics_api() -> None:
    assert lacking(Cluster(hpa(metrics=[QUEUE]), metrics=404)) == ""


def test_several() -> None:
    with pytest.raises(InputError, match="several autoscalers scale Deployment 'web': a, b"):
        autoscaler_of(target(), Cluster(hpa("b"), hpa("a")))  # type: ignore[arg-type]


# -- what is refused before anything is touched -----------------------------------------------------------------------


def test_sound() -> None:
    said = check(Cluster(hpa(now=[used(4)])))
    assert said == "autoscaler 'web': 2 to 4 replicas, cpu 4 % of 80 %, window 300 s"


@pytest.mark.parametrize(
    ("spec", "settings", "words"),
    [
        ({"minReplicas": 4}, {}, "no room: minReplicas 4, maxReplicas 4"),
        ({"behavior": {"scaleDown": {"selectPolicy": "Disabled"}}}, {}, "never scales down"),
        ({"behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}}}, {}, "stabilizationWindowSeconds.*is 300 s"),
        ({}, {"window_s_max": 60.0}, "300 s after its load.*autoscaling.window_s_max is 60 s"),
        ({}, {"up_within_s": 20.0}, "autoscaling.up_within_s is 20 s, and autoscaler 'web' may need 30 s"),
        ({"behavior": {"scaleUp": {"stabilizationWindowSeconds": 90}}}, {}, "may need 120 s"),
        ({}, {"hold_s": 300.0}, "may take 865 s of load.*traffic.max_duration_s is 600 s"),
    ],
)
def test_what_the_clocks_do_not_allow(spec: dict[str, Any], settings: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check(Cluster(hpa(**spec)), target(**settings))


def test_more_load_than_the_fence_allows() -> None:
    fenced = replace(target(), fences=Fences(namespaces=("shop",), rate_per_s_max=100.0))
    with pytest.raises(FenceError, match=r"make 250 requests/s, and fences.rate_per_s_max is 100"):
        check(Cluster(hpa()), fenced)


def test_one_that_cannot_measure_now() -> None:
    failed = {"type": "ScalingActive", "status": "False", "reason": "FailedGetResourceMetric"}
    with pytest.raises(CannotJudgeError, match="FailedGetResourceMetric"):
        check(Cluster(hpa(active=failed)))


def test_one_that_has_gone_meanwhile() -> None:
    with pytest.raises(CannotJudgeError, match="no HorizontalPodAutoscaler"):
        check(Cluster())
