"""Doctor: every question has a good answer and a bad one, and a bad one never hides the next question."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import story
from patient import Object, Patient, an_application, well

from rollproof.clients.http import Answer
from rollproof.core import versions
from rollproof.core.target import Control, DriftSettings, Fences, ReleaseSettings, Traffic
from rollproof.errors import RollproofError
from rollproof.preflight import checks, doctor
from rollproof.preflight.doctor import Line, summary


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Patient:
    monkeypatch.setattr(versions, "PAIRS", (("1.34.4", "3.2.6"),))
    return well(monkeypatch)


def test_all_is_well(patient: Patient) -> None:
    lines = patient.examine()
    assert [name for name, line in lines.items() if line.ok is not True] == []
    assert "2 heals on this revision" in lines["heal count"].said
    assert "gaps 0, 2, 6, 18, 54, 162, 300 s" in lines["back-off"].said
    assert "5 s can be kept at once after 0 to 1 heals" in lines["back-off"].said
    assert f"{story.OLD} -> {story.NEW}" in lines["run zero-downtime"].said
    assert summary(tuple(lines.values())) == "a drill can run"


def test_without_an_api_the_rest_is_still_asked(patient: Patient) -> None:
    patient.kube.away = True
    lines = patient.examine()
    assert lines["Kubernetes API"].ok is False
    assert lines["Kubernetes API"].hint == "is it up?"
    assert lines["permissions"].ok is None
    assert "not asked, because of: Kubernetes API" in lines["permissions"].said
    assert lines["push"].ok is True


def test_an_application_that_is_not_synced(patient: Patient) -> None:
    patient.kube.objects["Application", "shop"]["status"]["sync"]["status"] = "OutOfSync"
    lines = patient.examine()
    assert lines["Application"].ok is False
    assert lines["self-heal"].ok is None


def test_a_deployment_that_is_missing_does_not_hide_the_application(patient: Patient) -> None:
    del patient.kube.objects["Deployment", "web"]
    lines = patient.examine()
    assert lines["Deployment"].ok is False
    assert lines["Application"].ok is True


@pytest.mark.parametrize(
    ("automated", "must_heal", "ok"),
    [
        ({"selfHeal": True}, True, True),
        ({"selfHeal": False}, True, False),
        ({"selfHeal": False}, False, None),
        ({"selfHeal": True, "enabled": False}, True, False),
    ],
)
def test_self_heal(patient: Patient, automated: Object, must_heal: bool, ok: bool | None) -> None:
    patient.kube.objects["Application", "shop"] = an_application(**automated)
    patient.target = replace(patient.target, drift=DriftSettings(must_heal=must_heal))
    assert patient.examine()["self-heal"].ok is ok


def test_self_heal_is_not_asked_of_who_does_not_drift(patient: Patient) -> None:
    assert "self-heal" not in patient.examine("rollback")


def test_an_unknown_version_is_said_to_be_assumed(patient: Patient) -> None:
    patient.kube.lists["StatefulSet"] = []
    line = patient.examine()["back-off"]
    assert line.ok is None
    assert "assumed" in line.said


def test_versions_that_were_run_are_known_and_others_are_not(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    assert patient.examine()["versions"].said == (
        "Kubernetes v1.34.4, Argo CD v3.2.6: run as Kubernetes 1.34.4 with Argo CD 3.2.6"
    )
    monkeypatch.setattr(versions, "PAIRS", (("1.34.4", "3.3.6"),))
    line = patient.examine()["versions"]
    assert (line.ok, line.hint[:14]) == (None, "docs/matrix.md")
    assert line.said.endswith("unknown, never run on the lab: Argo CD v3.2.6")
    patient.kube.lists["StatefulSet"] = []
    assert "Argo CD of unknown version: unknown" in patient.examine()["versions"].said


def test_a_revision_without_an_operation_of_its_own(patient: Patient) -> None:
    state = patient.kube.objects["Application", "shop"]["status"]["operationState"]
    state["syncResult"]["revision"] = "d" * 40
    line = patient.examine()["heal count"]
    assert line.ok is None
    assert "ordinary auto-sync" in line.said


def test_sync_windows_are_shown(patient: Patient) -> None:
    windows = [{"kind": "deny", "schedule": "0 22 * * *"}]
    patient.kube.objects["AppProject", "default"] = {"spec": {"syncWindows": windows}}
    line = patient.examine()["sync windows"]
    assert line.ok is None
    assert "deny 0 22 * * *" in line.said


def test_no_right_to_push(patient: Patient) -> None:
    patient.repo.refuses = True
    assert patient.examine()["push"] == Line("push", False, "no right to push", "check the token")


def test_an_ingress_log_in_another_format(patient: Patient) -> None:
    patient.kube.log = "1.2.3.4 - - GET /\n"
    assert patient.examine()["ingress log"].ok is None


def test_an_ingress_log_that_will_never_say_it(patient: Patient) -> None:
    patient.kube.log = '{"DownstreamStatus": 200, "RetryAttempts": 0, "RouterName": "shop@kubernetes"}\n'
    line = patient.examine()["ingress log"]
    assert line.ok is None
    assert "Traefik 2 and 3 write RetryAttempts 0" in line.said


def test_production_is_said(patient: Patient) -> None:
    patient.target = replace(patient.target, fences=Fences(namespaces=("shop",), production=True))
    lines = patient.examine()
    assert lines["fences"].ok is None
    assert [lines[f"run {drill}"].ok for drill in ("zero-downtime", "drift", "rollback")] == [None, True, None]
    assert "--i-mean-production" in lines["run rollback"].hint
    assert "image is skipped: traffic could feel it" in lines["run drift"].said
    said = summary(tuple(lines.values()))
    assert said == "a drill can run, but not as it stands: run zero-downtime, run rollback"


def test_observing_needs_a_sha_that_only_the_command_line_has(patient: Patient) -> None:
    patient.target = replace(patient.target, release=ReleaseSettings(mode="observe"))
    lines = patient.examine()
    assert lines["run zero-downtime"] == Line(
        "run zero-downtime", None, lines["run zero-downtime"].said, "name it: --sha <sha>"
    )
    assert lines["run drift"].ok is True


def test_a_namespace_outside_of_the_fences(patient: Patient) -> None:
    patient.target = replace(patient.target, fences=Fences(namespaces=("other",)))
    assert patient.examine()["fences"].ok is False


def test_more_load_than_a_core_can_send(patient: Patient) -> None:
    patient.target = replace(patient.target, traffic=Traffic(rate_per_s=5000))
    patient.target = replace(patient.target, fences=Fences(namespaces=("shop",), rate_per_s_max=9000))
    assert patient.examine()["rate"].ok is False


@pytest.mark.parametrize(("late", "ok"), [(1, True), (5, False)])
def test_a_busy_machine(patient: Patient, monkeypatch: pytest.MonkeyPatch, late: int, ok: bool) -> None:
    monkeypatch.setattr(doctor, "measure_lateness", lambda: [0.1] * (100 - late) + [9.0] * late)
    assert patient.examine()["quiet enough"].ok is ok


def test_lateness_is_measured_and_never_negative() -> None:
    assert min(doctor.measure_lateness(5, 0.001)) >= 0


def sick_control(patient: Patient) -> None:
    patient.target = replace(patient.target, control=Control(url="http://127.0.0.1:1/control"))
    patient.http.control = Answer(status=503)


def no_image(patient: Patient) -> None:
    release = replace(patient.target.release, image_check="nodes")
    patient.target = replace(patient.target, release=release)


def one_sha(patient: Patient) -> None:
    patient.target = replace(patient.target, release=ReleaseSettings(shas=(story.OLD,)))


def no_configmap(patient: Patient) -> None:
    patient.target = replace(patient.target, drift=DriftSettings(trials=("configmap",), configmap="nothing"))


def half_deployed(patient: Patient) -> None:
    patient.kube.objects["Deployment", "web"]["spec"]["template"]["spec"]["containers"][0]["image"] = "web:old"


def no_push(patient: Patient) -> None:
    patient.repo.refuses = True


def no_right(patient: Patient) -> None:
    patient.kube.refused = ("delete services",)


@pytest.mark.parametrize(
    ("breaks", "drill", "line"),
    [
        (sick_control, "drift", "control probe"),
        (no_image, "zero-downtime", "run zero-downtime"),
        (one_sha, "rollback", "run rollback"),
        (no_configmap, "drift", "run drift"),
        (half_deployed, "drift", "overlay"),
        (no_push, "rollback", "push"),
        (no_right, "drift", "run drift"),
    ],
)
def test_what_ends_a_run_is_a_bad_line_of_the_doctor(patient: Patient, breaks: Any, drill: str, line: str) -> None:
    breaks(patient)
    lines = patient.examine()
    with pytest.raises(RollproofError) as refused:
        patient.look(drill)
    assert (lines[line].ok, lines[line].said, lines[line].hint) == (False, str(refused.value), refused.value.hint)
    assert "need attention" in summary(tuple(lines.values()))


def test_the_doctor_asks_all_that_a_run_asks(patient: Patient) -> None:
    names = {question.name for question in checks.QUESTIONS_OF_A_TARGET} - {"permissions to look"}
    assert names < patient.examine().keys()
