"""Posture: each check finds what is wrong, is content with what is sound, and claims nothing of what it did not see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from expected_posture_verdicts import (
    APPLICATION,
    BUDGET,
    CASES,
    CONTAINER,
    DEPLOYMENT,
    NO_SCALER,
    POLICY,
    SCALER,
    looked,
)
from story import Story, target

from rollproof.core.event import Outcome
from rollproof.core.posture import (
    AccountSeen,
    BudgetsSeen,
    ConfigSeen,
    ConfigsSeen,
    EvictionSeen,
    EvictionsSeen,
    IgnoreSeen,
    PodSeen,
    PodsSeen,
    PoliciesSeen,
    ProbeSeen,
    ScalersSeen,
    ServiceSeen,
)
from rollproof.core.posturewords import SOURCE, Topic, Unread
from rollproof.core.target import DriftSettings, PostureSettings
from rollproof.core.verdict import Result, Verdict
from rollproof.errors import InputError
from rollproof.judge.checkers.posture import check
from rollproof.judge.checkers.posture.table import CHECKS, check_names
from rollproof.suites import drill_table

PASS, FAIL, UNKNOWN, SKIPPED = Result.PASS, Result.FAIL, Result.INCONCLUSIVE, Result.SKIPPED


def said(name: str, told: Story) -> Verdict:
    (one,) = (verdict for verdict in check(told.facts()) if verdict.subject == f"Check/{name}")
    return one


def test_every_check_has_its_cases() -> None:
    assert set(CASES) == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_a_sound_app_passes(name: str) -> None:
    one = said(name, looked())
    assert (one.result, one.findings) == (PASS, ()), one.why


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.found])
def test_what_is_wrong_is_found_and_fails_only_where_it_is_promised(name: str) -> None:
    advice, promise = said(name, looked(*CASES[name].found)), said(name, looked(*CASES[name].found, must=(name,)))
    assert advice.result is (FAIL if name == "self-heal" else PASS)  # drift.must_heal promises that one
    (found,) = advice.findings
    assert found.code == CHECKS[name].code
    assert CHECKS[name].source in found.hint
    assert advice.numbers["object"]
    assert advice.numbers["value"]
    assert advice.evidence
    assert promise.result is FAIL
    assert "promises" in promise.why


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.not_judged])
def test_what_cannot_be_judged_is_no_claim(name: str) -> None:
    one = said(name, looked(*CASES[name].not_judged, must=(name,)))
    assert one.result in (SKIPPED, UNKNOWN), one.why
    assert "a finding" not in one.why


@pytest.mark.parametrize("name", CHECKS)
def test_what_may_not_be_read_is_unknown_and_what_is_not_served_is_skipped(name: str) -> None:
    topic = CASES[name].unread
    forbidden = said(name, looked(unread={topic: (Unread.FORBIDDEN, "403 Forbidden")}, must=(name,)))
    assert forbidden.result is UNKNOWN
    assert "403" in forbidden.why
    assert "rollproof rbac posture" in forbidden.findings[0].hint
    silent = said(name, looked(unread={topic: (Unread.NO_ANSWER, "the API server did not answer")}))
    assert silent.result is UNKNOWN
    absent = said(name, looked(unread={topic: (Unread.ABSENT, "404 NotFound")}))
    assert absent.result is SKIPPED
    assert "404" in absent.why


def test_nobody_has_looked() -> None:
    told = check(Story("posture").facts())
    assert {one.subject for one in told if one.result is not UNKNOWN} == {
        "Check/scan-file",
        "Check/pull-secret-opens",
    }  # fmt: skip - the target file names none


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_that_is_left_out(name: str) -> None:
    one = said(name, looked(*CASES[name].found, skip=(name,)))
    assert one.result is SKIPPED
    assert "posture.skip" in one.why


@pytest.mark.parametrize("one", CHECKS.values(), ids=lambda one: one.id)
def test_its_data_is_whole(one: Any) -> None:
    assert one.asks.endswith("?")
    assert one.advised
    assert one.why
    assert one.source
    assert not one.drill or one.drill.removeprefix("rollproof run ") in drill_table()


OF_ANOTHER = replace(APPLICATION, ignored=(replace(APPLICATION.ignored[0], name="cart"),))


def _with(**changes: Any) -> Any:
    return replace(DEPLOYMENT, containers=(replace(CONTAINER, **changes),))


@pytest.mark.parametrize(
    ("name", "views", "result", "code"),
    [
        ("rollout-strategy", (replace(DEPLOYMENT, max_unavailable="25%"), NO_SCALER), PASS, ""),  # of two pods: none
        ("rollout-strategy", (replace(DEPLOYMENT, max_unavailable="25%"),), PASS, "ROLLOUT_STRATEGY"),  # 1 of up to 4
        ("rollout-strategy", (replace(DEPLOYMENT, max_unavailable="25%", replicas=4),), PASS, "ROLLOUT_STRATEGY"),
        ("rollout-strategy", (replace(DEPLOYMENT, strategy="Recreate"),), PASS, "ROLLOUT_STRATEGY"),
        ("node-spread", (replace(DEPLOYMENT, spread=()),), PASS, "NODE_SPREAD"),  # on two nodes by luck
        ("zone-spread", (replace(DEPLOYMENT, spread=()),), PASS, "ZONE_SPREAD"),
        ("readiness-probe", (_with(readiness=ProbeSeen(kind="httpGet", path="/health")),), PASS, "READINESS_PROBE"),
        ("readiness-probe", (_with(readiness=ProbeSeen(kind="httpGet", path="/ready?full=1")),), PASS, ""),
        ("readiness-probe", (_with(readiness=ProbeSeen(kind="exec")),), UNKNOWN, "UNREAD"),
        ("readiness-probe", (_with(readiness=ProbeSeen(kind="grpc")),), UNKNOWN, "UNREAD"),
        ("readiness-probe", (_with(readiness=ProbeSeen(kind="tcpSocket")),), PASS, "READINESS_PROBE"),
        ("liveness-path", (_with(liveness=ProbeSeen(kind="exec")),), UNKNOWN, "UNREAD"),
        ("liveness-path", (_with(liveness=ProbeSeen(kind="tcpSocket")),), PASS, ""),
        ("liveness-path", (_with(liveness=ProbeSeen()),), PASS, ""),
        ("startup", (_with(startup=ProbeSeen(kind="httpGet", path="/", period_s=1)),), PASS, "STARTUP"),  # 3 s
        ("requests", (_with(requests={"cpu": "0", "memory": "64Mi"}, limits={}),), PASS, "REQUESTS"),
        ("requests", (_with(requests={"cpu": "1e-1", "memory": "0.5Gi"}, limits={}),), PASS, ""),
        ("memory-limit", (_with(limits={"memory": "0Mi"}),), PASS, "MEMORY_LIMIT"),
        ("restarts", (PodsSeen(pods=(PodSeen(name="web-1", restarts=2),)),), UNKNOWN, "UNREAD"),
        ("startup", (_with(liveness=ProbeSeen()),), PASS, ""),
        ("startup", (_with(startup=ProbeSeen(kind="httpGet", path="/")),), PASS, ""),
        ("requests", (_with(requests={}, limits={"cpu": "1", "memory": "1Gi"}),), PASS, ""),
        ("image-tag", (_with(image="ghcr.io:443/shop/web"),), PASS, "IMAGE_TAG"),
        ("image-tag", (_with(image="shop/web:latest@sha256:0123"),), PASS, ""),
        ("image-tag", (_with(image="shop/web:v1.2.3"),), PASS, ""),
        ("pre-stop", (_with(pre_stop_s=4.9),), PASS, "PRE_STOP"),
        ("service-account-token", (replace(DEPLOYMENT, automount=True),), PASS, "SERVICE_ACCOUNT_TOKEN"),
        ("service-endpoints", (ServiceSeen(name="web", selector={}, unready_too=True),), PASS, "SERVICE_ENDPOINTS"),
        ("autoscaler", (ScalersSeen(scalers=(replace(SCALER, minimum=1),)),), PASS, "AUTOSCALER"),
        ("autoscaler", (ScalersSeen(scalers=(replace(SCALER, minimum=4),)),), PASS, "AUTOSCALER"),
        ("autoscaler", (ScalersSeen(scalers=(SCALER, SCALER)),), PASS, "AUTOSCALER"),
        ("autoscaler", (_with(requests={}, limits={"memory": "1Gi"}),), PASS, "AUTOSCALER"),
        ("autoscaler-and-git", (replace(DEPLOYMENT, replicas_declared=True),), PASS, ""),  # ignored, and respected
        ("autoscaler-and-git", (replace(DEPLOYMENT, replicas_declared=None),), UNKNOWN, "UNREAD"),
        ("autoscaler-and-git", (replace(DEPLOYMENT, replicas_declared=True), OF_ANOTHER), PASS, "AUTOSCALER_AND_GIT"),
        ("disruption-budget", (BudgetsSeen(budgets=(BUDGET, BUDGET)),), PASS, "DISRUPTION_BUDGET"),
        ("network-policy", (PoliciesSeen(policies=(replace(POLICY, ingress=False),)),), PASS, "NETWORK_POLICY"),
        ("network-policy", (PoliciesSeen(policies=(replace(POLICY, anybody=True),)),), PASS, "NETWORK_POLICY"),
        ("config-rollout", (replace(DEPLOYMENT, configs={"web": "file"}, checksums=("checksum/config",)),), PASS, ""),
        ("ignored-fields", (replace(APPLICATION, options=()),), PASS, "IGNORED_FIELDS"),
        ("ignored-fields", (replace(APPLICATION, ignored=(IgnoreSeen(kind="ConfigMap"),)),), PASS, ""),
        ("sync-retry", (replace(APPLICATION, retries=-1),), PASS, ""),
        ("sync-retry", (replace(APPLICATION, retries=0),), PASS, "SYNC_RETRY"),
        ("sync-retry", (replace(APPLICATION, retries=None),), PASS, ""),
        ("sync-retry", (replace(APPLICATION, retries=None, automated=False),), PASS, "SYNC_RETRY"),
    ],
)  # fmt: skip
def test_single_rules(name: str, views: tuple[Any, ...], result: Result, code: str) -> None:
    one = said(name, looked(*views))
    assert (one.result, "".join(found.code for found in one.findings)) == (result, code), one.why


def test_a_config_map_that_cannot_change_needs_no_hash() -> None:
    fixed = ConfigsSeen(configs=(ConfigSeen(name="web", immutable=True),))
    assert not said("config-rollout", looked(replace(DEPLOYMENT, configs={"web": "env"}), fixed)).findings


def test_an_old_restart_says_nothing() -> None:
    old = PodsSeen(pods=(PodSeen(name="web-1", restarts=9, restart_age_s=3_601.0),))
    assert not said("restarts", looked(old)).findings
    assert said("restarts", looked(old, restarts_within_s=4_000.0)).findings


def test_without_the_right_to_try_an_eviction_the_budget_s_own_count_has_to_do() -> None:
    forbidden = {Topic.EVICTIONS: (Unread.FORBIDDEN, "403 Forbidden")}
    assert "1 allowed now" in said("disruption-budget", looked(unread=forbidden)).why
    none = BudgetsSeen(budgets=(replace(BUDGET, allowed=0),))
    assert said("disruption-budget", looked(none, unread=forbidden)).findings
    uncounted = BudgetsSeen(budgets=(replace(BUDGET, allowed=None),))
    assert said("disruption-budget", looked(uncounted, unread=forbidden)).result is UNKNOWN
    silent = {Topic.EVICTIONS: (Unread.NO_ANSWER, "no answer")}
    assert said("disruption-budget", looked(unread=silent)).result is UNKNOWN


def test_a_drain_that_would_wait_for_ever() -> None:
    refused = EvictionsSeen(tries=(EvictionSeen(pod="web-1", status=429), EvictionSeen(pod="web-2", status=429)))
    one = said("disruption-budget", looked(refused))
    assert "0 of 2 dry runs would evict" in one.why
    assert (one.result, [found.code for found in one.findings]) == (PASS, ["DISRUPTION_BUDGET"])


def test_the_account_decides_where_the_pod_says_nothing() -> None:
    silent = replace(DEPLOYMENT, automount=None)
    assert not said("service-account-token", looked(silent, AccountSeen(name="default", automount=False))).findings
    unread = {Topic.ACCOUNT: (Unread.FORBIDDEN, "403 Forbidden")}
    assert said("service-account-token", looked(silent, unread=unread)).result is UNKNOWN


def test_neither_ingress_nor_database_is_named() -> None:
    gaps = dict.fromkeys((Topic.ENTRY, Topic.DATABASE), (Unread.NOT_NAMED, "it is not set"))
    told = looked(unread=gaps)
    assert said("node-neighbours", told).result is SKIPPED
    assert said("entry-one-node", told).result is SKIPPED


def test_self_heal_is_promised_by_the_drift_section() -> None:
    told = looked(replace(APPLICATION, self_heal=False, automated=False))
    assert said("self-heal", told).result is FAIL
    kind = replace(told.plan.target, drift=DriftSettings(must_heal=False))
    told.plan = replace(told.plan, target=kind)
    assert said("self-heal", told).result is PASS


def test_a_cause_of_another_version_is_no_answer() -> None:
    told = Story("posture").tell(
        SOURCE, "Pods/shop", "unread", at=1, outcome=Outcome.UNKNOWN, cause="asleep", reason="?"
    )
    assert said("restarts", told).result is UNKNOWN


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ({"must": ("replica",)}, "posture.must: there is no check 'replica'", "did you mean 'replicas'?"),
        ({"skip": ("xyzzy",)}, "posture.skip: there is no check 'xyzzy'", "docs/posture.md lists them"),
        ({"must": ("replicas",), "skip": ("replicas",)}, "replicas is in `must` and in `skip`", "leave it in one"),
    ],
)
def test_names_in_the_target_file(settings: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(InputError, match=message.replace("?", ".")) as caught:
        check_names(target(posture=PostureSettings(**settings)))
    assert hint in caught.value.hint


def test_some_may_be_promised_and_others_skipped() -> None:
    check_names(target(posture=PostureSettings(must=("replicas",), skip=("restarts",))))
