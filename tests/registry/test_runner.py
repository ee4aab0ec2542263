"""A real runner runs the app's pipeline against a real registry: what our readers and the checker then say of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from envserver import Server
from expected_pipeline_verdicts import PODS, told

from lab import gobuild, registry, settings
from lab.registry import USER, Running, push
from lab.runner import WORKFLOW, Run, missing, run_pipeline
from lab.steps import Log
from rollproof.clients.oci import Login, Registry
from rollproof.clients.repo import EnvRepo
from rollproof.clients.tagcommit import read_tag_commit
from rollproof.core.facts import Facts
from rollproof.core.pipeline import ImageSeen, Place, PlatformSeen, ReportSeen
from rollproof.core.pipelinesettings import ActionsSettings
from rollproof.core.pipelinewords import Leg
from rollproof.core.typedviews import stored
from rollproof.core.verdict import Verdict
from rollproof.judge.checkers import judge
from rollproof.probes.scanreport import read_report

from .conftest import Start, image

IMAGE = "ghcr.io/angelpay/angelpay"
NAME = "angelpay/angelpay"
OVERLAY = (settings.SOURCES / "env-repo" / "overlays" / "dev" / "kustomization.yaml").read_text(encoding="utf-8")
TEXT = WORKFLOW.read_text(encoding="utf-8")
pytestmark = pytest.mark.skipif(bool(missing()), reason=missing() or "all is there")


class World:
    """A registry and an env repo, and what is read of them after a run."""

    def __init__(self, folder: Path, running: Running, log: Log) -> None:
        self.folder, self.running, self.log = folder, running, log
        self.server = Server(folder / "env", OVERLAY.replace("@FIRST@", "f9c039c"))

    def run(self, workflow: str = "", platform: str = "linux/arm64") -> Run:
        return run_pipeline(
            self.folder, self.running, self.server.bare, self.log, workflow=workflow, platform=platform
        )  # fmt: skip

    def image(self, tag: str) -> ImageSeen:
        login = Login(USER, self.running.password)
        found = Registry(self.running.url, login).image(NAME, tag)
        platforms = tuple(
            PlatformSeen(platform=one.platform, digest=one.digest, config=one.config) for one in found.platforms
        )
        return ImageSeen(
            image=IMAGE, tag=tag, digest=found.digest, is_index=found.is_index, login="ci", platforms=platforms
        )  # fmt: skip

    def judged(self, run: Run, *, deployed: str = "", report: ReportSeen | None = None) -> dict[str, Verdict]:
        """The verdicts of what is there; the pods run `deployed`, or what the tag names."""
        with EnvRepo(self.server.target(image=IMAGE), {}) as repo:
            commit = read_tag_commit(repo, IMAGE)
        seen, found = self.image(commit.tag), report or read_report(run.report)
        wanted = f"{IMAGE}:{commit.tag}"
        pods = tuple(replace(pod, image=wanted, image_id=f"{IMAGE}@{deployed or seen.digest}") for pod in PODS)
        env_commit = {name: getattr(commit, name) for name in commit.__slots__} | {"image": IMAGE}
        changes: dict[Place, dict[str, Any]] = {
            Place.ENV_REPO: env_commit, Place.REGISTRY: _fields(seen), Place.SCAN_REPORT: _fields(found),
            Place.DEPLOYMENT: {"image": wanted, "pods": pods}, Place.ACTIONS: {"sha": run.sha},
        }  # fmt: skip
        story = told(
            changes, scan_file="/report.json", scan_severity_max="MEDIUM", author="ci@angelpay.example",
            clock_slack_s=0.0, actions=ActionsSettings(repository="angelpay/angelpay"),
        )  # fmt: skip
        facts = Facts(plan=story.plan, drill=story.drill, events=tuple(story.events))
        return {verdict.subject.partition("/")[2]: verdict for verdict in judge(facts, ("pipeline",))}


def _fields(view: Any) -> dict[str, Any]:
    return {name: getattr(view, name) for name in stored(view)}


def codes(verdicts: dict[str, Verdict], *legs: Leg) -> dict[str, str]:
    """Of each leg the code of its finding, else its result."""
    return {leg: next((one.code for one in verdicts[leg].findings), verdicts[leg].result) for leg in legs}


JUDGED = (Leg.COMMIT, Leg.IMAGE, Leg.SCAN, Leg.ENV_COMMIT)


@pytest.fixture
def world(tmp_path: Path, start: Start, build_log: Log) -> World:
    return World(tmp_path / "world", start(), build_log)


def test_a_sound_run_passes_every_leg_that_is_its_own(world: World) -> None:
    run = world.run()
    assert run.succeeded, run.said[-3000:]
    assert world.running.password not in run.said
    assert codes(world.judged(run), *JUDGED) == dict.fromkeys(JUDGED, "PASS")


def test_a_test_that_fails_brings_nothing_into_git(world: World) -> None:
    before = world.server.heads(), world.server.text()
    run = world.run(TEXT.replace('"abc1234" ?', '"another" ?'))
    assert not run.succeeded
    assert (world.server.heads(), world.server.text()) == before
    assert not run.report.exists()


def test_a_tag_that_was_moved_after_the_deploy(world: World) -> None:
    run = world.run()
    deployed = world.image(run.sha[:7]).digest
    push(world.running, NAME, run.sha[:7], [image("linux/arm64", "moved")], attested=False)
    assert codes(world.judged(run, deployed=deployed), Leg.IMAGE, Leg.SCAN) == {"image": "TAG_MOVED", "scan": "PASS"}


def test_an_image_of_another_platform(world: World) -> None:
    found = codes(world.judged(world.run(platform="linux/s390x")), Leg.IMAGE, Leg.SCAN)
    assert found == {"image": "WRONG_PLATFORM", "scan": "SCANNED_ANOTHER_PLATFORM"}


def test_the_tag_latest(world: World) -> None:
    run = world.run(TEXT.replace("${GITHUB_SHA::7}", "latest"))
    assert codes(world.judged(run), Leg.IMAGE) == {"image": "MUTABLE_TAG"}


def test_the_tag_was_committed_before_the_scan(world: World) -> None:
    swapped = TEXT.replace("needs: scan", "needs: image").replace(
        "needs: image\n    steps:\n      # A", "needs: deploy\n    steps:\n      # A"
    )
    later = swapped.replace('digest="$(crane', 'sleep 2; digest="$(crane')  # stamps are of whole seconds
    assert codes(world.judged(world.run(later)), Leg.SCAN) == {"scan": "COMMITTED_BEFORE_SCAN"}


def test_a_scan_that_was_skipped_while_the_run_is_green(world: World) -> None:
    """The run's word is green; nobody has written a report, and one of the version before is of another image."""
    skipped = TEXT.replace("  scan:\n", "  scan:\n    if: false\n").replace(
        "needs: scan\n", "needs: scan\n    if: always()\n"
    )
    run = world.run(skipped)
    assert run.succeeded, run.said[-3000:]
    assert not run.report.exists()
    digest, _ = push(world.running, NAME, "0ldc0de", [image("linux/arm64", "before")], attested=False)
    old = world.image("0ldc0de")
    stale = ReportSeen(
        tool="Trivy", kind="container_image", config=old.platforms[0].config, digests=(digest,), made_s=1.0
    )
    assert codes(world.judged(run, report=stale), Leg.SCAN) == {"scan": "SCANNED_ANOTHER_IMAGE"}


def test_another_client_reads_the_same_digest(world: World, build_log: Log) -> None:
    index, _ = push(world.running, NAME, "1a2b3c4", [image("linux/amd64"), image("linux/arm64")])
    crane, address = gobuild.build(gobuild.CRANE, build_log), world.running.address
    home = {"DOCKER_CONFIG": str(world.folder / "docker")}
    login = ("auth", "login", address, "-u", registry.USER, "--password-stdin")
    build_log.run(crane, *login, stdin=world.running.password, env=home)
    assert build_log.run(crane, "digest", f"{address}/{NAME}:1a2b3c4", env=home).strip() == index
