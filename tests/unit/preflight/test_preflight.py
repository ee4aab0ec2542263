"""Preflight: what a run asks before it touches anything, and the plan that comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import story
from envserver import Server
from patient import Patient, well

from rollproof.clients.registry import RegistryAt, check_image
from rollproof.clients.repo import EnvRepo
from rollproof.core.pipelinesettings import PipelineSettings
from rollproof.core.target import DriftSettings, Fences, PostureSettings, ReleaseSettings
from rollproof.errors import CannotJudgeError, FenceError, InputError
from rollproof.preflight import checks
from rollproof.preflight.checks import Clients, Look
from rollproof.preflight.planning import Order
from rollproof.run.session import preview
from rollproof.target.file import LoadedTarget

PRODUCTION = Fences(namespaces=("shop",), production=True)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Patient:
    return well(monkeypatch)


def test_a_plan_of_production_is_always_made(patient: Patient) -> None:
    patient.target = replace(patient.target, fences=PRODUCTION)
    loaded = LoadedTarget.stored(patient.target, {})
    for words in ({"drills": ("zero-downtime", "drift", "rollback")}, {"drills": ("drift",), "trials": ("image",)}):
        order = Order(**words)
        plan = preview(order, loaded)
        assert not [touch for touch in plan.touches if "--i-mean-production" in touch.change], "as it would be if meant"
        with pytest.raises(FenceError, match="marked as production"):
            patient.look(*order.drills, trials=order.trials)


def test_drift_in_production_is_what_traffic_cannot_feel(patient: Patient) -> None:
    trials = ("image", "void-patch", "delete-service", "undeclared-annotation")
    patient.target = replace(patient.target, fences=PRODUCTION, drift=DriftSettings(trials=trials))
    plans = [preview(Order(drills=("drift",)), LoadedTarget.stored(patient.target, {})), patient.look("drift")]
    for plan in plans:
        changes = {touch.subject: touch.change for touch in plan.touches}
        assert "--i-mean-production" in changes["Drift/image"]
        assert changes["Drift/image"] == changes["Drift/delete-service"]
        assert "Service/shop/web" in changes
    meant = patient.look("drift", mean_production="story")
    assert not [touch for touch in meant.touches if touch.change.startswith("skipped")]


@pytest.mark.parametrize(("sha", "said"), [("latest", "'latest' names no version"), ("a b", "cannot be an image tag")])
def test_a_sha_that_is_none_is_refused_before_anything_is_asked(patient: Patient, sha: str, said: str) -> None:
    patient.kube.away = True
    with pytest.raises(InputError, match=said):
        patient.look("release", sha=sha)


class TestTheCommit:
    """It is made before anything is touched, so that what cannot be made is refused with exit 2."""

    @pytest.fixture
    def serving(self, patient: Patient, tmp_path: Path) -> Iterator[Callable[[str], None]]:
        def start(entry: str) -> None:
            server = Server(tmp_path / "server", f"images:\n- name: {story.target().env_repo.image}\n{entry}")
            patient.target = replace(patient.target, env_repo=server.target(image=story.target().env_repo.image))
            patient.repo = patient.clients.repo = EnvRepo(patient.target.env_repo, {})  # type: ignore[assignment]

        yield start
        patient.repo.close()

    @pytest.mark.processes
    @pytest.mark.parametrize(
        ("entry", "said"),
        [
            pytest.param(f"  newTag: {story.OLD}\n  digest: sha256:1\n", "the digest decides", id="a9"),
            pytest.param(f"  newTag: &t {story.OLD}\n", "cannot be changed safely", id="e14"),
            pytest.param(f"  newTag: [{story.OLD}]\n", "newTag is a list", id="d5"),
            pytest.param("  digest: sha256:1\n", "only a digest", id="a9-only"),
        ],
    )
    def test_a9_e14_what_cannot_be_changed_is_refused_as_what_it_is(
        self, patient: Patient, serving: Callable[[str], None], entry: str, said: str
    ) -> None:
        serving(entry)
        with pytest.raises(InputError, match=said):
            patient.look("zero-downtime", sha=story.NEW)
        assert patient.examine()["env repo"].ok is False

    @pytest.mark.processes
    @pytest.mark.parametrize("sha", ["1.10", "2026-11-28", "1_000", "1e3", "true", "null"])
    def test_e14_a_tag_that_reads_as_a_number_is_made_with_quotes(
        self, patient: Patient, serving: Callable[[str], None], sha: str
    ) -> None:
        serving(f"  newTag: {story.OLD}\n")
        assert patient.look("zero-downtime", sha=sha).new_sha == sha
        assert patient.repo.rehearse(sha).line == f'newTag: "{sha}"'

    @pytest.mark.processes
    def test_e2_the_image_is_asked_for_by_its_new_name(
        self, patient: Patient, serving: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[str] = []
        monkeypatch.setattr("rollproof.preflight.checks.check_image", lambda _, image, *__: asked.append(image))
        serving(f"  newName: registry.example.com/mirror/web\n  newTag: {story.OLD}\n")
        release = ReleaseSettings(image_check="registry")
        patient.target = replace(patient.target, release=release)
        patient.look("zero-downtime", sha=story.NEW)
        assert asked == [f"registry.example.com/mirror/web:{story.NEW}"]


class TestObserving:
    """A pipeline deploys; we wait for the named sha, and write nothing to the workload."""

    @pytest.fixture(autouse=True)
    def _observing(self, patient: Patient) -> None:
        patient.target = replace(patient.target, release=ReleaseSettings(mode="observe", image_check="nodes"))

    def test_the_image_may_still_be_built(self, patient: Patient) -> None:
        image = f"ghcr.io/shop/web:{story.NEW}"
        with pytest.raises(InputError, match="no node holds the image"):
            check_image("nodes", image, patient.kube, RegistryAt.of(image))  # type: ignore[arg-type]
        assert patient.look("release", sha=story.NEW).new_sha == story.NEW

    def test_a_sha_that_runs_already_is_never_restarted(self, patient: Patient) -> None:
        with pytest.raises(CannotJudgeError, match="runs already, and with release") as caught:
            patient.look("zero-downtime", sha=story.OLD)
        assert "before the pipeline deploys" in caught.value.hint

    def test_a_commit_that_has_landed_is_what_we_wait_for(self, patient: Patient) -> None:
        patient.repo.overlay = story.NEW
        status = patient.kube.objects["Application", "shop"]["status"]
        status["sync"]["status"], status["operationState"]["phase"] = "OutOfSync", "Running"
        plan = patient.look("zero-downtime", sha=story.NEW)
        assert (plan.old_sha, plan.new_sha, plan.restart) == (story.OLD, story.NEW, False)
        status["health"]["status"] = "Degraded"
        assert "Degraded, not Healthy" in patient.missing("zero-downtime", sha=story.NEW)

    @pytest.mark.parametrize(("drill", "sha"), [("zero-downtime", "ccccccc"), ("drift", "bbbbbbb")])
    def test_another_commit_is_a_deploy_under_way(self, patient: Patient, drill: str, sha: str) -> None:
        patient.repo.overlay = story.NEW
        assert "the overlay says bbbbbbb, but web is declared with aaaaaaa" in patient.missing(drill, sha=sha)


class TestOneOfSeveral:
    """What this target cannot have of several drills is skipped by name, and the others go on."""

    def test_a_permission_that_is_missing(self, patient: Patient) -> None:
        patient.kube.refused = ("create pods/eviction",)
        plan = patient.look("pod-delete", "pod-evict")
        assert {skip.fault: skip.reason for skip in plan.skips}["pod-evict"] == (
            "permissions are missing: create pods/eviction in shop"
        )


@pytest.mark.parametrize(
    ("drill", "settings", "text", "said"),
    [
        ("posture", PostureSettings, '{"runs": [{"results": []}]}', "0 results of a scanner"),
        ("pipeline", PipelineSettings, '{"runs": []}', "are read"),
    ],
)
def test_a_scanner_s_file_is_read_before_anything_is_looked_at(
    tmp_path: Path, drill: str, settings: type[PostureSettings | PipelineSettings], text: str, said: str
) -> None:
    path = tmp_path / "scan.json"
    named = story.target(**{drill: settings(scan_file=str(path))})
    clients = SimpleNamespace(http=None, kube=None)
    seen = Look(order=Order(drills=(drill,)), target=named, clients=cast(Clients, clients))
    with pytest.raises(InputError, match=rf"{drill}\.scan_file"):
        checks._see_readings(seen)
    path.write_text(text)
    assert said in checks._see_readings(seen)
    seen.order = Order(drills=("release",))
    path.write_text("{")
    assert checks._see_readings(seen) == "nothing beside what every run reads"


def test_a_check_of_posture_that_does_not_exist_is_refused() -> None:
    named = story.target(posture=PostureSettings(must=("replica",)))
    seen = Look(order=Order(drills=("release",)), target=named, clients=cast(Clients, None))
    with pytest.raises(InputError, match=r"posture\.must"):
        checks._see_limits(seen)
