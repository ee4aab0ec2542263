"""The look at live objects: what is read of each; nothing is changed; what may not be read is not absent."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakeapi import FakeApi
from recorder import ListRecorder
from story import target

from rollproof.clients.argo import Argo
from rollproof.clients.kube import Kube
from rollproof.core.event import Event, Outcome
from rollproof.core.factshapes import check_fact
from rollproof.core.outside import Outside
from rollproof.core.pipelinesettings import PipelineSettings, RegistrySettings
from rollproof.core.posturefacts import view_of
from rollproof.core.posturewords import SOURCE, Topic
from rollproof.core.selectors import selects
from rollproof.core.target import Cluster, Database, FaultSettings, Ingress, PostureSettings
from rollproof.errors import CannotJudgeError, OutsideDataError
from rollproof.probes import posture
from rollproof.probes.posture import look_at_posture
from rollproof.probes.postureviews import (
    application_seen,
    config_seen,
    deployment_seen,
    node_seen,
    pod_seen,
    policy_seen,
    project_seen,
)

Object = dict[str, Any]
LABELS = {"app": "web"}
CONTAINER: Object = {
    "name": "web", "image": "ghcr.io/shop/web:aaaaaaa",
    "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "periodSeconds": 2},
    "livenessProbe": {"tcpSocket": {"port": 80}, "initialDelaySeconds": 3},
    "lifecycle": {"preStop": {"sleep": {"seconds": 6}}},
    "resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "128Mi"}},
    "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "web-env", "key": "a"}}}],
    "volumeMounts": [{"name": "files", "mountPath": "/etc/web", "subPath": "web.conf"}],
}  # fmt: skip
POD_SPEC: Object = {
    "containers": [CONTAINER], "volumes": [{"name": "files", "configMap": {"name": "web-files"}}],
    "imagePullSecrets": [{"name": "pull"}], "terminationGracePeriodSeconds": 20,
    "topologySpreadConstraints": [{"topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}],
}  # fmt: skip


def named(name: str, **more: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "shop", **more.pop("metadata", {})}, **more}


def owned(kind: str, name: str, uid: str) -> Object:
    return {"ownerReferences": [{"kind": kind, "name": name, "uid": uid, "controller": True}]}


DEPLOYMENT = named(
    "web", metadata={"uid": "d-1"},
    spec={
        "replicas": 2, "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS}, "spec": POD_SPEC},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
    },
)  # fmt: skip


def pod(name: str, of: Object, **more: Any) -> Object:
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], **more.pop("status", {})}
    metadata = {"labels": LABELS, "uid": f"u-{name}", **of, **more.pop("metadata", {})}
    return named(name, metadata=metadata, spec={"containers": [CONTAINER], "nodeName": "n1"}, status=status)


@pytest.fixture
def api() -> FakeApi:
    """A sound shop: two pods of the Deployment, one that leaves, one of somebody else."""
    api = FakeApi()
    replicaset = named(
        "web-h1", metadata={"uid": "rs-1", "labels": LABELS, **owned("Deployment", "web", "d-1")}, spec={}
    )
    mine = owned("ReplicaSet", "web-h1", "rs-1")
    leaving = {"deletionTimestamp": "2026-11-28T10:00:00Z"}
    for plural, item in (
        ("deployments", DEPLOYMENT), ("replicasets", replicaset), ("pods", pod("web-1", mine)),
        ("pods", pod("web-2", mine)), ("pods", pod("web-3", mine, metadata=leaving)), ("pods", pod("job-1", {})),
        ("pods", pod("db-0", owned("StatefulSet", "db", "s-1"), metadata={"namespace": "data"})),
        ("pods", pod("in-1", {}, metadata={"namespace": "ingress"})),
        ("services", named("web", spec={"selector": LABELS})),
        ("endpointslices", named("web-x", endpoints=[{"addresses": ["10.0.0.1"], "conditions": {}}])),
        ("configmaps", named("web-env", data={"a": "1"})), ("serviceaccounts", named("default")),
        ("nodes", {"metadata": {"name": "n1"}, "status": {"nodeInfo": {"architecture": "arm64"}}}),
        ("poddisruptionbudgets", named("web", spec={"selector": {"matchLabels": LABELS}, "maxUnavailable": 1})),
        ("poddisruptionbudgets", named("none", spec={"maxUnavailable": 1})),
        ("networkpolicies", named("all", spec={"podSelector": {}})),
        ("horizontalpodautoscalers", named("web", spec={
            "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "maxReplicas": 4,
        })),
        ("horizontalpodautoscalers", named("other", spec={
            "scaleTargetRef": {"kind": "Deployment", "name": "other"}, "maxReplicas": 4,
        })),
        ("events", named("e1", reason="FailedToRetrieveImagePullSecret", involvedObject={"name": "web-1"})),
        ("events", named("e2", reason="BackOff", involvedObject={"name": "web-2"})),
        ("applications", named("shop", metadata={"namespace": "argocd"}, spec={"syncPolicy": {"automated": {}}})),
        ("appprojects", named("default", metadata={"namespace": "argocd"}, spec={})),
    ):  # fmt: skip
        api.put(plural, item)
    return api


@pytest.fixture
def kube(api: FakeApi, tmp_path: Path) -> Iterator[Kube]:
    with api.serve(tmp_path) as kubeconfig:
        yield Kube("fake", str(kubeconfig), timeout_s=30.0)


def look(kube: Kube, **changes: Any) -> dict[str, Event]:
    wanted = target(
        ingress=Ingress(namespace="ingress"), faults=FaultSettings(
            database=Database(kind="StatefulSet", namespace="data", name="db")
        ),
    )  # fmt: skip
    recorder = ListRecorder()
    look_at_posture(replace(wanted, **changes), kube, Argo(kube, "argocd", "shop"), recorder)
    for event in recorder.events:
        check_fact(event, "the timeline", error=OutsideDataError)
    return {event.subject.partition("/")[0]: event for event in recorder.events}


def test_one_answer_to_each_question_and_nothing_is_changed(api: FakeApi, kube: Kube) -> None:
    told = look(kube)
    assert set(told) == set(Topic)
    assert {topic for topic, event in told.items() if event.what != "read"} == {Topic.SCAN, Topic.REGISTRY}  # not named
    changes = [(method, path, query) for method, path, query in api.asked if method != "GET"]
    assert {query.get("dryRun") for _, _, query in changes} == {"All"}
    assert {path.rpartition("/")[2] for _, path, _ in changes} == {"eviction"}
    assert len(changes) == 2


def test_a_pod_of_two_ip_families_is_one_endpoint(api: FakeApi, kube: Kube) -> None:
    """Two addresses of one pod are no second pod that answers while it is away."""
    for name, *addresses in (("web-v4", "10.0.0.1"), ("web-v6", "fd00::1"), ("web-moved", "10.0.0.1")):
        whose = {"kind": "Pod", "name": "web-1", "uid": "u-web-1"}
        endpoint = {"addresses": addresses, "targetRef": whose, "conditions": {"ready": name != "web-moved"}}
        api.put("endpointslices", named(name, endpoints=[endpoint]))
    api.remove("endpointslices", "web-x")
    (found,) = look(kube)[Topic.ENDPOINTS].data["endpoints"]
    assert (found["address"], found["ready"]) == ("10.0.0.1", True)


def test_what_is_told(kube: Kube) -> None:
    views = {
        topic: view_of(topic, Outside.of(event.data, "a fact"))
        for topic, event in look(kube).items() if event.what == "read"
    }  # fmt: skip
    assert [one.name for one in views[Topic.PODS].pods] == ["web-1", "web-2"]
    assert [one.name for one in views[Topic.ENTRY].pods] == ["in-1"]
    assert [one.name for one in views[Topic.DATABASE].pods] == ["db-0"]
    assert [one.name for one in views[Topic.BUDGETS].budgets] == ["web"]  # without a selector it selects nothing
    assert [one.name for one in views[Topic.POLICIES].policies] == ["all"]  # an empty one selects all
    assert [one.name for one in views[Topic.SCALERS].scalers] == ["web"]
    assert views[Topic.EVENTS].without_secret == ("web-1",)
    assert (views[Topic.CONFIGS].configs[0].name, views[Topic.CONFIGS].missing) == ("web-env", ("web-files",))
    assert [(one.pod, one.status) for one in views[Topic.EVICTIONS].tries] == [("web-1", 201), ("web-2", 201)]
    assert views[Topic.APPLICATION].automated
    assert views[Topic.NODES].nodes[0].architecture == "arm64"


@pytest.mark.parametrize(
    ("part", "status", "topic", "cause"),
    [
        ("poddisruptionbudgets", 403, Topic.BUDGETS, "forbidden"),
        ("eviction", 403, Topic.EVICTIONS, "forbidden"),
        ("nodes", 401, Topic.NODES, "forbidden"),
        ("horizontalpodautoscalers", 404, Topic.SCALERS, "absent"),
        ("networkpolicies", 500, Topic.POLICIES, "no-answer"),
        ("deployments/web", 403, Topic.DEPLOYMENT, "forbidden"),
        ("deployments/web", 403, Topic.PODS, "no-answer"),
        ("appprojects", 403, Topic.PROJECT, "forbidden"),
    ],
)
def test_what_may_not_be_read_is_not_absent(
    api: FakeApi, kube: Kube, part: str, status: int, topic: Topic, cause: str
) -> None:
    api.refusing[part] = status
    event = look(kube)[topic]
    outcome = Outcome.OK if cause == "absent" else Outcome.UNKNOWN
    assert (event.what, event.outcome, event.data["cause"]) == ("unread", outcome, cause)
    assert event.data["reason"]


def test_a_budget_that_forbids_an_eviction_is_an_answer(api: FakeApi, kube: Kube) -> None:
    api.refusing["web-1/eviction"] = 429
    assert [one["status"] for one in look(kube)[Topic.EVICTIONS].data["tries"]] == [429, 201]


def test_what_the_target_file_does_not_name(kube: Kube) -> None:
    told = look(kube, ingress=Ingress(), faults=FaultSettings())
    assert {told[topic].data["cause"] for topic in (Topic.ENTRY, Topic.DATABASE)} == {"not-named"}


def test_a_pull_secret_is_tried_with_and_without_its_login(
    api: FakeApi, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps({"auths": {"ghcr.io": {"username": "robot", "password": "a-password"}}})
    api.put("secrets", named("pull", data={".dockerconfigjson": base64.b64encode(text.encode()).decode()}))
    monkeypatch.setattr(posture, "manifest_status", lambda _, at: 200 if at.login else 401)
    settings = PostureSettings(pull_secret="pull")
    told = look(kube, posture=settings)[Topic.REGISTRY].data
    assert (told["registry"], told["login"], told["status"], told["anonymous"]) == ("ghcr.io", True, 200, 401)
    assert "a-password" not in json.dumps(told)
    api.remove("secrets", "pull")
    told = look(kube, posture=settings)[Topic.REGISTRY].data
    assert (told["login"], told["status"], told["anonymous"]) == (False, 0, 401)


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("", "https://ghcr.io"),
        ("https://ghcr.io", "https://ghcr.io"),
        ("http://127.0.0.1:8095", "http://127.0.0.1:8095"),
        ("https://registry.example.com", "https://ghcr.io"),
    ],
)
def test_the_registry_is_asked_where_the_target_file_says_that_it_is(
    api: FakeApi, kube: Kube, monkeypatch: pytest.MonkeyPatch, url: str, asked: str
) -> None:
    """Another registry than the image's gets no question, and above all no login."""
    text = json.dumps({"auths": {"ghcr.io": {"username": "robot", "password": "a-password"}}})
    api.put("secrets", named("pull", data={".dockerconfigjson": base64.b64encode(text.encode()).decode()}))
    urls: list[str] = []
    monkeypatch.setattr(posture, "manifest_status", lambda _, at: urls.append(at.url) or 200)
    pipeline = PipelineSettings(registry=RegistrySettings(url=url))
    look(kube, posture=PostureSettings(pull_secret="pull"), pipeline=pipeline)
    assert urls == [asked, asked]  # with the login, and without


def test_a_registry_that_does_not_answer_is_not_known(kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_image: str, _at: object) -> int:
        raise CannotJudgeError("the registry gave no answer")

    monkeypatch.setattr(posture, "manifest_status", silent)
    told = look(kube, posture=PostureSettings(pull_secret="pull"))[Topic.REGISTRY]
    assert (told.data["cause"], told.outcome) == ("no-answer", Outcome.UNKNOWN)


def test_an_answer_that_nobody_can_work_with(api: FakeApi, kube: Kube) -> None:
    api.put("networkpolicies", named("odd", spec={"podSelector": {}, "policyTypes": "Ingress"}))
    event = look(kube)[Topic.POLICIES]
    assert (event.what, event.data["cause"]) == ("unread", "no-answer")
    assert "policyTypes" in event.data["reason"]


def test_another_container_is_named(kube: Kube) -> None:
    cluster = Cluster(context="fake", namespace="shop", deployment="web", service="web", container="side")
    assert look(kube, cluster=cluster)[Topic.DEPLOYMENT].data["app"] == "web"  # the only one there is


# -- the views -------------------------------------------------------------------------------------------------------


def changed(**spec: Any) -> Object:
    pod_spec = {**POD_SPEC, **spec.pop("pod", {})}
    template = {**DEPLOYMENT["spec"]["template"], "spec": pod_spec}
    return {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "template": template, **spec}}


def container(**fields: Any) -> Object:
    return changed(pod={"containers": [{**CONTAINER, **fields}]})


def test_a_deployment() -> None:
    one = deployment_seen(DEPLOYMENT)
    assert (one.app, one.replicas, one.max_surge, one.max_unavailable, one.grace_s) == ("web", 2, "1", "0", 20)
    assert one.configs == {"web-files": "file by subPath", "web-env": "env"}
    assert (one.pull_secrets, one.account, one.automount) == (("pull",), "default", None)
    own = one.container
    assert own is not None
    assert (own.readiness.kind, own.readiness.path, own.liveness.kind, own.liveness.path) == (
        "httpGet", "/ready", "tcpSocket", "",
    )  # fmt: skip
    assert (own.pre_stop, own.pre_stop_s, own.non_root, own.startup.kind) == ("sleep", 6.0, None, "")


@pytest.mark.parametrize(
    ("hook", "kind", "waits_s"),
    [
        ({"exec": {"command": ["sh", "-c", "nginx -s quit; sleep 5"]}}, "exec", 5.0),
        ({"exec": {"command": ["/bin/sleep", "7.5"]}}, "exec", 7.5),
        ({"exec": {"command": ["sleep", "1m"]}}, "exec", 60.0),
        ({"exec": {"command": ["/drain.sh"]}}, "exec", None),
        ({"httpGet": {"path": "/drain"}}, "httpGet", None),
        ({}, "", 0.0),
    ],
)
def test_how_long_a_hook_waits(hook: Object, kind: str, waits_s: float | None) -> None:
    own = deployment_seen(container(lifecycle={"preStop": hook})).container
    assert own is not None
    assert (own.pre_stop, own.pre_stop_s) == (kind, waits_s)


@pytest.mark.parametrize(
    ("of_pod", "of_container", "said"),
    [
        ({}, {}, None),
        ({"runAsNonRoot": True}, {}, True),
        ({"runAsUser": 1000}, {"runAsUser": 0}, False),
        ({"runAsUser": 0}, {"runAsNonRoot": True}, True),
    ],
)
def test_who_it_runs_as(of_pod: Object, of_container: Object, said: bool | None) -> None:
    item = changed(pod={"containers": [{**CONTAINER, "securityContext": of_container}], "securityContext": of_pod})
    own = deployment_seen(item).container
    assert own is not None
    assert own.non_root is said


@pytest.mark.parametrize(
    ("metadata", "declared"),
    [
        ({}, None),
        ({"annotations": {"kubectl.kubernetes.io/last-applied-configuration": '{"spec": {"replicas": 2}}'}}, True),
        ({"annotations": {"kubectl.kubernetes.io/last-applied-configuration": '{"spec": {}}'}}, False),
        ({"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{"}}, None),
        ({"managedFields": [{"operation": "Update", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]}, None),
        ({"managedFields": [{"operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]}, True),
        ({"managedFields": [{"operation": "Apply", "fieldsV1": {"f:spec": {}}}]}, False),
    ],
)
def test_is_the_number_of_replicas_in_git(metadata: Object, declared: bool | None) -> None:
    item = {**DEPLOYMENT, "metadata": {"name": "web", **metadata}}
    assert deployment_seen(item).replicas_declared is declared


def test_a_pod_that_was_restarted() -> None:
    ended = {"lastState": {"terminated": {"finishedAt": "2026-11-28T10:00:00Z", "reason": "OOMKilled"}}}
    statuses = [{"name": "side", "restartCount": 9}, {"name": "web", "restartCount": 1, **ended}]
    one = pod_seen(pod("web-1", {}, status={"containerStatuses": statuses}), 1795860060.0, "web")
    assert (one.restarts, one.restart_age_s, one.reason) == (1, 60.0, "OOMKilled")


def test_a_node() -> None:
    item = {"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a", "disk": "ssd", "x": "y"}}}
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    one = node_seen({**item, "status": ready}, _pods_with(nodeSelector={"disk": "ssd"}))
    assert (one.zone, one.open, one.chosen, one.labels) == ("a", True, True, {"disk": "ssd"})
    assert not node_seen({**item, "status": ready, "spec": {"unschedulable": True}}, DEPLOYMENT).open
    tainted = {**item, "status": ready, "spec": {"taints": [{"key": "x", "effect": "NoSchedule"}]}}
    assert not node_seen(tainted, DEPLOYMENT).open
    assert node_seen(tainted, _pods_with(tolerations=[{"key": "x", "operator": "Exists"}])).open
    assert not node_seen(item, DEPLOYMENT).open


@pytest.mark.parametrize(("zone", "chosen"), [("a", True), ("b", False)])
def test_a_node_that_the_pods_affinity_requires(zone: str, chosen: bool) -> None:
    """Nodes of another processor that no pod may come to were a finding of `image-platform`."""
    term = {"matchExpressions": [{"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": term}]}
    item = {"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a"}}}
    assert node_seen(item, _pods_with(affinity={"nodeAffinity": required})).chosen is chosen
    assert node_seen(item, _pods_with(affinity={"nodeAffinity": preferred})).chosen


def _pods_with(**spec: Any) -> Object:
    return {"spec": {"template": {"spec": spec}}}


@pytest.mark.parametrize(
    ("spec", "inward", "anybody", "wide"),
    [
        ({}, True, False, ()),
        ({"policyTypes": ["Egress"], "ingress": [{}]}, False, False, ()),
        ({"ingress": [{"ports": []}]}, True, True, ()),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}, True, False, ("10.0.0.0/8",)),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.1.2.0/24"}}, {"ipBlock": {"cidr": "?"}}]}]}, True, False, ()),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "fd00::/48"}}]}]}, True, False, ("fd00::/48",)),
        ({"ingress": [{"from": [{"namespaceSelector": {}}]}]}, True, True, ()),
        ({"ingress": [{"from": [{"namespaceSelector": {}, "podSelector": {}}]}]}, True, True, ()),
        (
            {"ingress": [{"from": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"a": "b"}}}]}]},
            True,
            False,
            (),
        ),
        ({"ingress": [{"from": [{"podSelector": {}}]}]}, True, False, ()),
    ],
)
def test_a_network_policy(spec: Object, inward: bool, anybody: bool, wide: tuple[str, ...]) -> None:
    one = policy_seen(named("web", spec=spec))
    assert (one.ingress, one.anybody, one.wide) == (inward, anybody, wide)


def test_supervisor_s_programs_and_nothing_else_of_a_config_map() -> None:
    text = "[supervisord]\nautorestart=x\n[program:nginx]\ncommand=nginx\n\n"
    text += "[program:php-fpm] \n autorestart = True ; yes\n"
    one = config_seen(named("web", data={"supervisord.conf": text, "password": "hunter2"}))
    assert [(program.name, program.autorestart) for program in one.programs] == [("nginx", ""), ("php-fpm", "true")]
    assert "hunter2" not in str(one)


def test_an_application_and_its_windows() -> None:
    policy = {"automated": {"selfHeal": True}, "retry": {"limit": 0}, "syncOptions": ["RespectIgnoreDifferences=true"]}
    ignored = [{"kind": "Deployment", "jqPathExpressions": [".spec.replicas"], "managedFieldsManagers": ["me"]}]
    one = application_seen(named("shop", spec={"syncPolicy": policy, "ignoreDifferences": ignored}))
    assert (one.automated, one.self_heal, one.prune, one.retries) == (True, True, False, 0)
    assert (one.ignored[0].fields, one.ignored[0].managers) == ((".spec.replicas",), ("me",))
    window = {"kind": "deny", "schedule": "0 0 * * *", "duration": "1h"}
    spec = {"syncWindows": [{**window, "applications": ["sh*"]}, {**window, "namespaces": ["other"]}]}
    assert len(project_seen(named("default", spec=spec), named("shop", spec={}), "shop").windows) == 1


@pytest.mark.parametrize(
    ("rules", "chosen"),
    [
        ([], True),
        ([{"key": "app", "operator": "In", "values": ["web"]}], True),
        ([{"key": "app", "operator": "NotIn", "values": ["web"]}], False),
        ([{"key": "app", "operator": "Exists"}, {"key": "x", "operator": "DoesNotExist"}], True),
    ],
)
def test_whom_a_selector_chooses(rules: list[Object], chosen: bool) -> None:
    assert selects(Outside.of({"matchExpressions": rules}, "a selector"), LABELS) is chosen


def test_a_selector_that_nobody_knows() -> None:
    with pytest.raises(OutsideDataError, match="operator"):
        selects(Outside.of({"matchExpressions": [{"key": "app", "operator": "Like"}]}, "a selector"), LABELS)


def test_a_stored_fact_of_another_type_is_refused() -> None:
    bad = Event(
        seq=1, start_s=0.0, end_s=0.0, wall="", drill="", source=SOURCE, subject="Pods/shop", what="read",
        data={"pods": [{"name": "web-1", "restarts": "many"}]},
    )  # fmt: skip
    with pytest.raises(OutsideDataError, match="restarts must be a whole number"):
        check_fact(bad, "the timeline", error=OutsideDataError)
