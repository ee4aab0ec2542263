"""The change that a cause proposes, by the live objects that the record holds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ruamel.yaml import YAML
from story import Story, plan, target

from rollproof.core.diagnosis import Patch
from rollproof.core.posture import ApplicationSeen, ContainerSeen, DeploymentSeen, ProbeSeen, ServiceSeen
from rollproof.core.posturefacts import Posture
from rollproof.core.posturewords import SOURCE, PostureWord, Topic
from rollproof.core.typedviews import stored
from rollproof.core.verdict import Finding
from rollproof.judge.diagnose.patches import Proposal, propose
from rollproof.judge.diagnose.yamltext import yaml_text

READY = ProbeSeen(kind="httpGet", path="/ready", period_s=2)
WEB = ContainerSeen(name="web", image="ghcr.io/shop/web:1", readiness=READY, requests={}, limits={})
SIDECAR = ContainerSeen(name="proxy", image="proxy:1", requests={}, limits={})
LIVE = DeploymentSeen(
    name="web", app="web", replicas=2, replicas_declared=True, max_unavailable="0", max_surge="1", min_ready_s=0,
    progress_deadline_s=600, grace_s=30, containers=(WEB, SIDECAR), node_selector={}, configs={},
)  # fmt: skip


def proposal(
    code: str, live: DeploymentSeen | None = LIVE, application: ApplicationSeen | None = None, **numbers: float
) -> Proposal:
    story = Story()
    if live is not None:
        story.tell(SOURCE, f"{Topic.DEPLOYMENT}/shop/web", PostureWord.READ, at=1.0, **stored(live))
    if application is not None:
        story.tell(SOURCE, f"{Topic.APPLICATION}/argocd/shop", PostureWord.READ, at=1.0, **stored(application))
    story.tell(SOURCE, f"{Topic.SERVICE}/shop/web", PostureWord.READ, at=1.0, **stored(SERVICE))
    return propose(Finding(code, "said", "look", numbers=numbers), Posture(story.facts()))


def test_what_no_patch_mends_has_its_hint() -> None:
    seen = Posture(Story().facts())
    assert propose(Finding("SECRET_FOUND", "said", "change it"), seen).why_not.endswith(": see the hint")


SERVICE = ServiceSeen(name="web", selector={"app": "web"})


def spec_of(patch: Patch | None) -> Any:
    assert patch is not None
    return YAML(typ="safe").load(patch.text)["spec"]


def with_app(**changes: Any) -> DeploymentSeen:
    return replace(LIVE, containers=(replace(WEB, **changes), SIDECAR))


def test_a_missing_pre_stop_is_added_to_the_apps_container_and_the_grace_stays_above_it() -> None:
    made = proposal("PRESTOP_MISSING", prestop_s=7.0).patch
    assert made is not None
    assert made.file == "overlays/dev/rollproof-pre-stop.yaml"
    assert "cd overlays/dev && kustomize edit add patch --path rollproof-pre-stop.yaml" in made.apply
    assert "none before, 7 s now" in made.text
    hook = {"name": "web", "lifecycle": {"preStop": {"sleep": {"seconds": 7}}}}
    assert spec_of(made) == {"template": {"spec": {"containers": [hook]}}}


def test_a_grace_that_the_longer_pre_stop_would_fill_grows_with_it() -> None:
    pod = spec_of(proposal("PRESTOP_TOO_SHORT", replace(LIVE, grace_s=10), prestop_s=7.0).patch)["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] == 17  # 7 + 5 of the longest request + room


def test_an_exec_hook_stays_one() -> None:
    made = proposal("PRESTOP_TOO_SHORT", with_app(pre_stop="exec", pre_stop_s=2.0), prestop_s=6.0)
    container = spec_of(made.patch)["template"]["spec"]["containers"][0]
    assert container["lifecycle"]["preStop"] == {"exec": {"command": ["sleep", "6"]}}
    assert made.supports == ("the live Deployment's preStop: exec 2 s",)


@pytest.mark.parametrize(
    ("code", "live", "why"),
    [
        ("PRESTOP_TOO_SHORT", with_app(pre_stop="exec"), "is not in it"),
        ("PRESTOP_MISSING", with_app(pre_stop="sleep", pre_stop_s=9.0), "long enough already"),
        ("PRESTOP_MISSING", replace(LIVE, app=""), "several containers"),
        ("PRESTOP_MISSING", None, "the live object was not read"),
        ("IN_FLIGHT_CUT", LIVE, "long enough already"),
        ("READINESS_LIES", replace(LIVE, min_ready_s=10), "long enough already"),
        ("NO_READY_ENDPOINT", LIVE, "as advised already"),
        ("NO_READY_ENDPOINT", replace(LIVE, replicas=1, replicas_declared=False), "autoscaler"),
        ("HEALTH_FOLLOWS_DATABASE", LIVE, "the app's answer that must change"),
        ("IMAGE_PULL_BACK_OFF", LIVE, "no setting of the env repo"),
    ],
)  # fmt: skip
def test_no_patch_where_none_can_be_written(code: str, live: DeploymentSeen | None, why: str) -> None:
    made = proposal(code, live, prestop_s=6.0)
    assert made.patch is None
    assert why in made.why_not


def test_a_setting_that_is_there_already_speaks_against_the_cause() -> None:
    made = proposal("PRESTOP_MISSING", with_app(pre_stop="sleep", pre_stop_s=9.0), prestop_s=6.0)
    assert made.contradicts == ("the live Deployment has a preStop already (sleep 9 s), and 6 s would be proposed",)


def test_the_grace_period_covers_the_longest_request_that_was_seen() -> None:
    spec = spec_of(proposal("IN_FLIGHT_CUT", with_app(pre_stop="sleep", pre_stop_s=6.0), longest_request_s=28.2).patch)
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] == 40


def test_a_readiness_probe_of_another_path_asks_the_one_of_the_target_file() -> None:
    live = with_app(readiness=replace(READY, path="/"))
    container = spec_of(proposal("READINESS_LIES", live).patch)["template"]["spec"]["containers"][0]
    assert container["readinessProbe"] == {"httpGet": {"path": "/ready"}}


def test_where_the_path_is_right_a_new_pod_has_to_stay_ready() -> None:
    made = proposal("READINESS_LIES")
    assert spec_of(made.patch) == {"minReadySeconds": 6}
    assert "which is the path that the target file calls ready" in made.contradicts[0]


def test_a_liveness_probe_that_asks_for_the_database_asks_the_health_path() -> None:
    live = with_app(liveness=READY)
    container = spec_of(proposal("LIVENESS_FOLLOWS_DATABASE", live).patch)["template"]["spec"]["containers"][0]
    assert container["livenessProbe"] == {"httpGet": {"path": "/health"}}


def test_more_pods_and_none_away_during_a_rollout() -> None:
    spec = spec_of(proposal("ONE_ENDPOINT", replace(LIVE, max_unavailable="25%")).patch)
    assert spec["replicas"] == 3
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}


def test_a_bad_version_is_called_bad_within_the_limit() -> None:
    assert spec_of(proposal("NAMED_LATE").patch) == {"progressDeadlineSeconds": 299}  # release.deadline_s is 300


def test_a_budget_selects_the_pods_of_the_service() -> None:
    made = proposal("DISRUPTION_BUDGET").patch
    assert spec_of(made) == {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    assert made is not None
    assert "kustomize edit add resource" in made.apply


def test_self_heal_and_retry_are_settings_of_the_application() -> None:
    off = ApplicationSeen(name="shop", automated=True, retries=0)
    heal, retry = proposal("SELF_HEAL_OFF", application=off).patch, proposal("SYNC_FAILED", application=off).patch
    assert spec_of(heal) == {"syncPolicy": {"automated": {"selfHeal": True}}}
    assert spec_of(retry)["syncPolicy"]["retry"]["limit"] == 5


@pytest.mark.parametrize("retries", [None, 2, -1])
def test_a_sync_that_is_retried_already_needs_no_patch(retries: int | None) -> None:
    """Without `retry` Argo CD retries an automated sync five times."""
    made = proposal("SYNC_FAILED", application=ApplicationSeen(name="shop", automated=True, retries=retries))
    assert made.patch is None
    assert made.contradicts


def test_names_that_yaml_would_read_otherwise_are_quoted() -> None:
    live = replace(LIVE, app="no", containers=(replace(WEB, name="no"),))
    assert spec_of(proposal("PRESTOP_MISSING", live).patch)["template"]["spec"]["containers"][0]["name"] == "no"


@pytest.mark.parametrize("end", ["\n", "\r", "\x85", "\u2028", "\x00"])
def test_a_live_object_cannot_write_into_the_patch(end: str) -> None:
    live = with_app(readiness=replace(READY, path=f"/x{end}spec: {{replicas: 0}}{end}# "))
    made = proposal("READINESS_LIES", live).patch
    assert spec_of(made) == {
        "template": {"spec": {"containers": [{"name": "web", "readinessProbe": {"httpGet": {"path": "/ready"}}}]}}
    }


@pytest.mark.parametrize(
    "text", ["\x7f", "a\x85b", "\u2028", "\u2029", "\ufeff", "\uffff", "\U0001f600", "a: b\n- c", "#", "&a"]
)
def test_any_text_is_read_again_as_it_was(text: str) -> None:
    tree = {text: [text, {"k": text}], "n": None, "f": True}
    assert YAML(typ="safe").load(yaml_text(tree)) == tree


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    assert YAML(typ="safe").load(yaml_text({"k": "a\ud800"})) == {"k": "a\ufffd"}


def test_the_folder_is_quoted_for_the_shell() -> None:
    story = Story(plan=plan(target=target(env_repo=replace(target().env_repo, overlay="over lays/$(id)"))))
    story.tell(SOURCE, f"{Topic.DEPLOYMENT}/shop/web", PostureWord.READ, at=1.0, **stored(LIVE))
    made = propose(Finding("PRESTOP_MISSING", "said", "look"), Posture(story.facts())).patch
    assert made is not None
    assert made.apply.startswith("cd 'over lays/$(id)' && ")
