"""Everything that may be wrong with a fault before it begins: one clear message, and nothing is touched.

`FakeKube` has no method that writes: whatever tried to would end as an error of another kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import story
from patient import Patient, there, well

from rollproof.core.blast import Blast
from rollproof.core.plan import Plan
from rollproof.core.target import Control, DriftSettings, FaultSettings, Fences, Ingress, RollbackSettings
from rollproof.errors import CannotJudgeError, FenceError, InputError, RollproofError
from rollproof.faults.base import Context
from rollproof.faults.registry import fault_named
from rollproof.preflight import checks
from rollproof.preflight.clocks import shortest_start
from rollproof.preflight.planning import Order, check_order, wanted_target
from rollproof.run.session import preview
from rollproof.suites import Drill
from rollproof.target.file import LoadedTarget

MONDAY_10 = datetime(2026, 1, 5, 10, tzinfo=UTC)
LABEL = "rollproof/allowed=true"
OFF_ENTRY = Control(url="http://127.0.0.1:2/", off_entry_url="http://127.0.0.1:3/")


def pod(name: str, node: str = "") -> dict[str, Any]:
    return {
        "metadata": {
            "name": name, "namespace": "shop", "uid": f"uid-{name}", "labels": {"app": "web"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-h1", "uid": "rs", "controller": True}],
        },
        "spec": {"nodeName": node, "containers": [{"name": "web", "image": "ghcr.io/shop/web:aaaaaaa"}]},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }  # fmt: skip


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Patient:
    """Two pods that a ReplicaSet of the Deployment would replace."""
    patient = well(monkeypatch)
    monkeypatch.setattr(checks, "look_at_pods", lambda *_: "both pods answer")
    owner = [{"kind": "Deployment", "name": "web", "uid": "u", "controller": True}]
    patient.kube.lists["ReplicaSet"] = [{"metadata": {"name": "web-h1", "uid": "rs", "ownerReferences": owner}}]
    patient.kube.lists["Pod"] = [pod("web-1", "a"), pod("web-2", "a")]
    patient.kube.objects["Namespace", "shop"] = {"metadata": {"name": "shop", "labels": {"team": "shop"}}}
    return patient


def fences(**changes: Any) -> Callable[[Patient], None]:
    def change(patient: Patient) -> None:
        patient.target = replace(patient.target, fences=Fences(namespaces=("shop",), **changes))

    return change


def settings(**changes: Any) -> Callable[[Patient], None]:
    def change(patient: Patient) -> None:
        patient.target = replace(patient.target, **changes)

    return change


def probe(**probes: dict[str, int]) -> Callable[[Patient], None]:
    def change(patient: Patient) -> None:
        item = patient.kube.objects["Deployment", "web"]
        item["spec"]["template"]["spec"]["containers"][0].update(probes)

    return change


def both(*changes: Callable[[Patient], None]) -> Callable[[Patient], None]:
    def change(patient: Patient) -> None:
        for one in changes:
            one(patient)

    return change


def one_replica(patient: Patient) -> None:
    item = patient.kube.objects["Deployment", "web"]
    item["spec"]["replicas"] = 1
    item["status"] = dict.fromkeys(item["status"], 1)
    patient.kube.lists["Pod"] = [pod("web-1")]


@dataclass(frozen=True)
class Case:
    """What is wrong, the drill, and every text that must be said. skipped: the drill goes on without the fault."""

    wrong: Callable[[Patient], None]
    said: tuple[str, ...]
    drill: str = "pod-delete"
    order: tuple[tuple[str, Any], ...] = ()
    error: type[RollproofError] | None = InputError


TYPO = {"x": Drill(name="x", faults=("pod-delte",))}
DELAY = {"initialDelaySeconds": 90}
CASES = {
    "a limit for a fault that does not exist": Case(
        settings(faults=FaultSettings(recovery_limits_s={"pod-delte": 3.0})),
        ("faults.recovery_limits_s", "there is no fault 'pod-delte'", "did you mean 'pod-delete'?"),
    ),
    "a drill with a fault that does not exist": Case(
        settings(), ("there is no fault 'pod-delte'", "did you mean 'pod-delete'?"), "x", (("table", TYPO),)
    ),
    "a recovery sooner than a probe's first look": Case(
        probe(readinessProbe=DELAY),
        ("faults.recovery_limit_s is 60 s", "than 90 s", "readinessProbe.initialDelaySeconds 90 of container web"),
    ),
    "the limit of one fault": Case(
        both(probe(startupProbe=DELAY), settings(faults=FaultSettings(recovery_limits_s={"pod-delete": 70.0}))),
        ('faults.recovery_limits_s."pod-delete" is 70 s', "startupProbe.initialDelaySeconds 90", "raise faults."),
    ),
    "successes in a row": Case(
        probe(readinessProbe={"successThreshold": 8}), ("than 70 s", "readinessProbe.successThreshold 8 every 10 s")
    ),
    "a rollback sooner than a probe's first look": Case(
        both(probe(readinessProbe={"initialDelaySeconds": 31}), settings(rollback=RollbackSettings(limit_s=30.0))),
        ("rollback.limit_s is 30 s", "readinessProbe.initialDelaySeconds 31"), "rollback",
    ),
    "one replica": Case(
        one_replica, ("Deployment web has 1 replica: nobody would answer", "traffic.downtime_budget_ms"), error=None
    ),
    "no replica": Case(
        lambda patient: patient.kube.objects["Deployment", "web"]["spec"].update(replicas=0), ("scaled to 0",),
        error=CannotJudgeError,
    ),
    "all on one node": Case(settings(), ("posture, spread", "node a"), "pods-delete-all-of-node", error=None),
    "production": Case(
        fences(production=True), ("marked as production", "say --i-mean-production story"), error=FenceError
    ),
    "another production": Case(
        fences(production=True), ("--i-mean-production says 'shop'", "the name of this target is 'story'"),
        order=(("mean_production", "shop"),),
    ),
    "a production that is none": Case(
        settings(), ("--i-mean-production says 'shop'", "is 'story'"), order=(("mean_production", "shop"),)
    ),
    "nobody has opted in": Case(
        fences(opt_in_label=LABEL),
        (f"namespace 'shop' does not carry the label {LABEL}", "nor does Deployment 'web'", "kubectl label namespace"),
        error=FenceError,
    ),
    "the namespace may not be read": Case(
        both(fences(opt_in_label=LABEL), lambda patient: setattr(patient.kube, "refused", ("get Namespace",))),
        ("is not known", "grant get of that namespace, or label the Deployment"), error=FenceError,
    ),
    "the namespace is another's": Case(
        settings(ingress=Ingress(namespace="ingress", selector="app=in"), control=OFF_ENTRY),
        ("namespace 'ingress' is outside of the fences of target 'story'", "fences.namespaces"), "ingress-restart",
        error=FenceError,
    ),
    "too many pods": Case(
        both(fences(pods_max=1), lambda patient: patient.kube.lists["Pod"].append(pod("web-3", "b"))),
        ("it takes away 2 pods at once, and fences.pods_max allows 1",), "pods-delete-all-of-node", error=None,
    ),
    "all pods": Case(
        both(fences(pods_max=1), settings(drift=DriftSettings(trials=("service-selector",)))),
        ("it takes away 2 pods at once, and fences.pods_max allows 1",), "drift", error=None,
    ),
    "too many nodes": Case(
        both(fences(nodes_max=0), lambda patient: patient.kube.lists["Pod"].append(pod("web-3", "b"))),
        ("it takes away 1 nodes at once, and fences.nodes_max allows 0",), "pods-delete-all-of-node", error=None,
    ),
    "too long": Case(
        both(fences(fault_s_max=30.0), settings(drift=DriftSettings(trials=("configmap",)))),
        ("it may last 80 s, and fences.fault_s_max allows 30 s",), "drift", error=None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_clear_message_before_anything_is_touched(patient: Patient, name: str) -> None:
    case = CASES[name]
    case.wrong(patient)
    if case.error is None:
        plan: Plan = patient.look(case.drill, **dict(case.order))
        assert plan.injections == ()
        (skip,) = plan.skips
        said = skip.reason
    else:
        with pytest.raises(case.error) as caught:
            patient.look(case.drill, **dict(case.order))
        said = f"{caught.value} {caught.value.hint}"
        assert case.error is CannotJudgeError or caught.value.exit_code == 2
    assert [text for text in case.said if text not in said] == [], said


def test_the_same_is_well_without_it(patient: Patient) -> None:
    fences(opt_in_label=LABEL, pods_max=1, nodes_max=0, fault_s_max=30.0)(patient)
    patient.kube.objects["Namespace", "shop"]["metadata"]["labels"] = {"rollproof/allowed": "true"}
    probe(readinessProbe={"initialDelaySeconds": 60})(patient)
    (injection,) = patient.look("pod-delete").injections
    assert injection.subject == "Pod/shop/web-1"


def test_the_deployments_own_label_is_enough_for_the_app(patient: Patient) -> None:
    fences(opt_in_label=LABEL)(patient)
    patient.kube.objects["Deployment", "web"]["metadata"]["labels"] = {"rollproof/allowed": "true"}
    assert patient.look("pod-delete").injections
    assert patient.examine("pod-delete")["opt-in"].said == f"Deployment web carries {LABEL}"


def test_another_namespace_opts_in_for_itself(patient: Patient) -> None:
    opened = Fences(namespaces=("shop", "ingress"), opt_in_label=LABEL)
    patient.target = replace(patient.target, fences=opened, ingress=Ingress(namespace="ingress", selector="app=in"))
    patient.kube.objects["Deployment", "web"]["metadata"]["labels"] = {"rollproof/allowed": "true"}
    patient.target = replace(patient.target, control=OFF_ENTRY)
    with pytest.raises(FenceError, match="namespace 'ingress' does not carry"):
        patient.look("ingress-restart")
    patient.kube.objects["Namespace", "ingress"] = there({"metadata": {"labels": {"rollproof/allowed": "true"}}})
    assert patient.look("ingress-restart").injections


class TestHours:
    HOURS = Fences(namespaces=("shop",), hours="Mon-Fri 09:00-17:00", timezone="Europe/Berlin")

    def test_a_fault_that_traffic_can_feel_waits_for_them(self) -> None:
        target, order = story.target(fences=self.HOURS), Order(drills=("pod-delete",))
        check_order(order, target, MONDAY_10)
        check_order(order, target)  # a plan may be made at any time
        for later in (timedelta(hours=6), timedelta(days=5), timedelta(hours=-3)):
            with pytest.raises(FenceError, match=r"fences.hours allow Mon-Fri 09:00-17:00 \(Europe/Berlin\)") as caught:
                check_order(order, target, MONDAY_10 + later)
            assert "traffic could feel pod-delete" in str(caught.value)
            assert caught.value.exit_code == 2

    @pytest.mark.parametrize(("drill", "trials", "refused"), [
        ("argocd-redis-restart", (), False), ("zero-downtime", (), False), ("drift", ("void-patch",), False),
        ("drift", ("void-patch", "image"), True), ("container-stop", (), True),
    ])  # fmt: skip
    def test_what_nobody_feels_does_not(self, drill: str, trials: tuple[str, ...], refused: bool) -> None:
        order = Order(drills=(drill,), trials=trials)
        target = wanted_target(order, story.target(fences=self.HOURS))
        try:
            check_order(order, target, MONDAY_10 + timedelta(hours=12))
        except FenceError:
            assert refused
        else:
            assert not refused

    def test_a_plan_is_made_and_the_doctor_says_when(self, patient: Patient) -> None:
        hours = f"{(datetime.now(UTC) + timedelta(days=2)):%a} 00:00-01:00"
        patient.target = replace(patient.target, fences=Fences(namespaces=("shop",), hours=hours, timezone="UTC"))
        assert preview(Order(drills=("pod-delete",)), LoadedTarget.stored(patient.target, {})).injections
        line = patient.examine("pod-delete")["run pod-delete"]
        assert line.ok is None
        assert line.said.startswith(f"fences.hours allow {hours} (UTC), and there it is")


def test_what_one_injection_can_take_away() -> None:
    target = story.target()
    held = fault_named("database-refused")
    context = Context(drill="x", target=target, kube=None, argo=None)  # type: ignore[arg-type]
    made = context.injection(held, "Deployment/db/db", change="", undo="", args={"kind": "Deployment"})
    assert held.blast(made, target) == Blast(pods=None, nodes=0, lasts_s=20.0)
    one = fault_named("pod-delete")
    made = context.injection(one, "Pod/shop/a", change="", undo="", args={"kind": "Pod", "pods": {"a": "1", "b": "2"}})
    assert one.blast(made, target) == Blast(pods=2)
    assert "all pods of the app" in Blast().beyond(Fences(namespaces=("shop",), pods_max=5))
    assert Blast(pods=5, nodes=2, lasts_s=9).beyond(Fences(namespaces=("shop",))) == ""


def test_the_longest_of_the_probes_decides() -> None:
    container = {
        "name": "web", "image": "ghcr.io/shop/web:1", "startupProbe": {"initialDelaySeconds": 5},
        "readinessProbe": {"initialDelaySeconds": 3, "periodSeconds": 2, "successThreshold": 3},
    }  # fmt: skip
    item = {"spec": {"template": {"spec": {"containers": [container]}}}}
    delay = shortest_start(item, "", "ghcr.io/shop/web")
    assert delay.shortest_s == 7
    assert delay.why == (
        "readinessProbe.initialDelaySeconds 3 and readinessProbe.successThreshold 3 every 2 s of container web"
    )
