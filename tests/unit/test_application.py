"""What an Application and its project say: one reading for the doctor, the drills and the faults."""

from __future__ import annotations

import pytest
from patient import Object, Patient, well

from rollproof.clients.argo import Automation, application_state, automation
from rollproof.faults.selfheal.fairness import causes
from rollproof.faults.selfheal.trial import Trial


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Patient:
    return well(monkeypatch)


@pytest.mark.parametrize(
    ("automated", "on", "healing"),
    [
        ({}, True, False), ({"enabled": False}, False, False), ({"enabled": False, "selfHeal": True}, False, False),
        ({"enabled": None, "selfHeal": True}, True, True), ({"enabled": True}, True, False), (None, False, False),
        ({"selfHeal": None}, True, False), ({"selfHeal": True}, True, True), ({"prune": True}, True, False),
    ],
)  # fmt: skip
def test_a13_automated_sync_has_one_definition(
    patient: Patient, automated: Object | None, on: bool, healing: bool
) -> None:
    application = patient.kube.objects["Application", "shop"]
    application["spec"]["syncPolicy"] = {"automated": automated}
    assert automation(application) == Automation(on, healing)
    trial = Trial(name="replicas", namespace="shop", object_name="web", path=("spec", "replicas"), value=3)
    checked = causes(
        application, application_state(application), trial, controller_ready=True, window_denied=None
    )  # fmt: skip
    assert (checked["automated_off"], checked["self_heal_off"]) == (not on, on and not healing)
    line = patient.examine()["self-heal"]
    assert line.ok is healing
    assert line.said.startswith("automated sync with" if healing else "selfHeal is off" if on else "automated sync is")


def self_heal(count: int, *, automated: bool = True) -> Object:
    return {"initiatedBy": {"automated": automated}, "sync": {"revision": "r", "autoHealAttemptsCount": count}}


@pytest.mark.parametrize(
    ("operation", "running", "another"),
    [
        (None, self_heal(1), False), (self_heal(2), None, False), (None, self_heal(0), True), (None, None, False),
        (None, {"initiatedBy": {"username": "admin"}, "sync": {}}, True), (None, self_heal(1, automated=False), True),
        ({"sync": {}}, self_heal(1), True),
    ],
    ids=["heal", "a heal that is to begin", "of a new revision", "none", "a person's", "sent by hand", "asked for"],
)  # fmt: skip
def test_a_self_heal_that_has_not_ended_is_no_other_operation(
    patient: Patient, operation: Object | None, running: Object | None, another: bool
) -> None:
    """Seen on the lab: the controller stood still in the middle of the repair: 'another operation'."""
    application = patient.kube.objects["Application", "shop"]
    application["operation"] = operation
    application["status"]["operationState"] = {"phase": "Running" if running else "Succeeded", "operation": running}
    trial = Trial(name="replicas", namespace="shop", object_name="web", path=("spec", "replicas"), value=3)
    checked = causes(
        application, application_state(application), trial, controller_ready=True, window_denied=None
    )  # fmt: skip
    assert checked["operation_running"] is another


def test_a17_a_project_that_is_not_found_is_unknown(patient: Patient) -> None:
    del patient.kube.objects["AppProject", "default"]
    line = patient.examine()["sync windows"]
    assert line.ok is None
    assert line.said.startswith("unknown")


def test_a17_the_project_is_in_argo_cds_own_namespace(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """An Application may live in another namespace; its status says whose controller it has."""
    patient.kube.objects["Application", "shop"]["status"]["controllerNamespace"] = "argocd-system"
    windows = [{"kind": "deny", "schedule": "0 22 * * *", "duration": "1h", "applications": ["*"]}]
    patient.kube.objects["AppProject", "default"] = {"spec": {"syncWindows": windows}}
    asked: list[tuple[str, str]] = []
    find = patient.kube.find

    def noted(kind: str, namespace: str, name: str) -> Object | None:
        asked.append((kind, namespace))
        return find(kind, namespace, name)

    monkeypatch.setattr(patient.kube, "find", noted)
    assert patient.clients.argo.sync_windows("default") == windows
    patient.clients.argo.settings()
    homes = {namespace for kind, namespace in asked if kind in ("AppProject", "ConfigMap")}
    assert homes == {"argocd-system"}
