"""The checker `pipeline`: what each leg needs to be claimed, and what is never claimed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from expected_pipeline_verdicts import (
    AMD,
    COMMIT_S,
    IMAGE,
    OTHER,
    PARTS,
    PODS,
    TAGGED,
    changed,
    reported,
    told,
)
from story import NEW, OLD, Story

from rollproof.core.facts import Facts
from rollproof.core.pipeline import PartSeen, Place, ResultSeen
from rollproof.core.pipelinesettings import ActionsSettings, RegistrySettings
from rollproof.core.pipelinewords import Leg
from rollproof.core.verdict import Result, Verdict
from rollproof.judge.checkers import judge

PASS, FAIL, INCONCLUSIVE, SKIPPED = Result.PASS, Result.FAIL, Result.INCONCLUSIVE, Result.SKIPPED


def legs(story: Story) -> dict[str, Verdict]:
    facts = Facts(plan=story.plan, drill=story.drill, events=tuple(story.events))
    return {verdict.subject.partition("/")[2]: verdict for verdict in judge(facts, ("pipeline",))}


def results(story: Story) -> dict[str, Result]:
    return {leg: verdict.result for leg, verdict in legs(story).items()}


def test_a_sound_road_passes_with_the_time_of_each_leg() -> None:
    found = legs(told())
    assert {verdict.result for leg, verdict in found.items() if leg in {*DELIVERED}} == {PASS}
    took_s = {leg: verdict.numbers["took_s"] for leg, verdict in found.items() if "took_s" in verdict.numbers}
    assert {leg: took_s[leg] for leg in ("seen", "synced", "rolled-out")} == {"seen": 20, "synced": 3, "rolled-out": 18}


DELIVERED = (Leg.ENV_COMMIT, Leg.SEEN, Leg.SYNCED, Leg.ROLLED_OUT, Leg.PROVEN)


@pytest.mark.parametrize(
    ("place", "change", "leg", "result", "code"),
    [
        (Place.ENV_REPO, {"others": ("base/deployment.yaml",)}, Leg.ENV_COMMIT, FAIL, "MORE_THAN_THE_TAG"),
        (Place.ENV_REPO, {"parents": 0, "tag_before": ""}, Leg.ENV_COMMIT, INCONCLUSIVE, ""),
        (Place.ENV_REPO, {"tag": "latest"}, Leg.IMAGE, FAIL, "MUTABLE_TAG"),
        (Place.ACTIONS, {"sha": "d" * 40}, Leg.COMMIT, FAIL, "TAG_IS_NO_SHA"),
        (Place.ACTIONS, {"number": 0}, Leg.STARTED, FAIL, "NO_RUN"),
        (Place.ACTIONS, {"conclusion": "failure"}, Leg.STARTED, FAIL, "RUN_FAILED"),
        (Place.ACTIONS, {"status": "in_progress", "conclusion": ""}, Leg.STARTED, INCONCLUSIVE, ""),
        (Place.NODES, {"platforms": {"n1": "linux/amd64"}}, Leg.IMAGE, FAIL, "WRONG_PLATFORM"),
        (Place.NODES, {"platforms": {}}, Leg.IMAGE, INCONCLUSIVE, ""),
        (Place.DEPLOYMENT, {"pods": (PODS[0], replace(PODS[1], image_id=OTHER))}, Leg.IMAGE, FAIL, "TAG_MOVED"),
        (Place.DEPLOYMENT, {"pods": (PODS[0], replace(PODS[1], image_id=""))}, Leg.IMAGE, INCONCLUSIVE, ""),
        (Place.DEPLOYMENT, {"pods": (PODS[0], replace(PODS[1], image=f"{IMAGE}:{OLD}"))}, Leg.IMAGE, INCONCLUSIVE, ""),
        (Place.DEPLOYMENT, {"pods": (PODS[0], replace(PODS[1], image=f"x/y:{NEW}", image_id=OTHER))}, Leg.IMAGE,
         INCONCLUSIVE, ""),
        (Place.DEPLOYMENT, {"image": f"ghcr.io/shop/web:{OLD}"}, Leg.ROLLED_OUT, FAIL, "TAG_DOES_NOT_RUN"),
        (Place.DEPLOYMENT, {"deadline_exceeded": True}, Leg.ROLLED_OUT, FAIL, "ROLLOUT_STUCK"),
        (Place.DEPLOYMENT, {"observed": 3}, Leg.ROLLED_OUT, INCONCLUSIVE, ""),
        (Place.DEPLOYMENT, {"observed": 3, "deadline_exceeded": True}, Leg.ROLLED_OUT, INCONCLUSIVE, ""),
        (Place.DEPLOYMENT, {"pods": (PODS[0], replace(PODS[1], ready=False))}, Leg.ROLLED_OUT, INCONCLUSIVE, ""),
        (Place.DEPLOYMENT, {"pods": ()}, Leg.ROLLED_OUT, INCONCLUSIVE, ""),
        (Place.APPLICATION, {"deployed": False, "phase": "Error"}, Leg.SYNCED, FAIL, "SYNC_FAILED"),
        (Place.APPLICATION, {"deployed": False, "phase": "Running"}, Leg.SYNCED, INCONCLUSIVE, ""),
    ],
)  # fmt: skip
def test_what_one_place_says_decides_its_leg(
    place: Place, change: dict[str, Any], leg: Leg, result: Result, code: str
) -> None:
    verdict = legs(told({place: change}))[leg]
    assert (verdict.result, [finding.code for finding in verdict.findings]) == (result, [code] if code else [])
    assert all(finding.text and finding.hint for finding in verdict.findings)


@pytest.mark.parametrize("place", [place for place in Place if place is not Place.SCAN_REPORT])
def test_what_cannot_be_read_is_unknown_and_what_is_not_there_is_skipped_never_passed(place: Place) -> None:
    sound, unread, absent = results(told()), results(told(unread=(place,))), results(told(absent=(place,)))
    of_place = {leg for leg in sound if unread[leg] is not sound[leg]}
    assert of_place
    assert {unread[leg] for leg in of_place} == {INCONCLUSIVE}
    assert {absent[leg] for leg in sound if absent[leg] is not sound[leg]} == {SKIPPED}
    assert {leg for leg in sound if absent[leg] is not sound[leg]} == of_place


def test_without_an_answer_of_the_app_nothing_is_proven() -> None:
    for answers, pods in (((), ("web-a", "web-b")), (("", "", ""), ("web-a", "web-b")), (("bbbbbbb",) * 3, ("web-a",))):
        assert results(told(answers=answers, pods=pods))[Leg.PROVEN] is INCONCLUSIVE
    assert results(told(answers=("bbbbbbb", OLD)))[Leg.PROVEN] is FAIL


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ({"pods": (PODS[0], replace(PODS[1], image=f"{IMAGE}:{OLD}")), "updated": 1}, INCONCLUSIVE),
        ({"observed": 3}, INCONCLUSIVE),
        ({"deadline_exceeded": True}, FAIL),
        ({"image": f"{IMAGE}:{OLD}"}, FAIL),
    ],
)
def test_an_old_version_answers_while_the_rollout_is_under_way(change: dict[str, Any], result: Result) -> None:
    assert results(told({Place.DEPLOYMENT: change}, answers=("bbbbbbb", OLD)))[Leg.PROVEN] is result


@pytest.mark.parametrize(
    ("limit_s", "result"), [(60, PASS), (20, PASS), (16, INCONCLUSIVE), (14.9, FAIL)],
)  # fmt: skip
def test_a_leg_is_late_only_if_it_is_later_than_the_clocks_may_be_apart(limit_s: float, result: Result) -> None:
    assert results(told(limits_s={"seen": limit_s}))[Leg.SEEN] is result  # it took 20 s, the slack is 5 s


@pytest.mark.parametrize(
    ("part", "change", "leg", "result"),
    [
        ("lint", {"conclusion": "failure"}, Leg.TESTED, FAIL),
        ("test (8.2)", {"conclusion": "cancelled"}, Leg.TESTED, FAIL),
        ("test (8.2)", {"status": "queued", "conclusion": ""}, Leg.TESTED, INCONCLUSIVE),
        ("image/Scan", {"conclusion": "skipped"}, Leg.SCAN, FAIL),  # and the run is green
        ("image/Scan", {"ended_s": COMMIT_S + 5.5}, Leg.SCAN, FAIL),  # the tag was committed before
        ("image/Scan", {"ended_s": COMMIT_S + 3}, Leg.SCAN, INCONCLUSIVE),
        ("image/Scan", {"ended_s": None}, Leg.SCAN, INCONCLUSIVE),
        ("image/Scan", {"name": "image/Something"}, Leg.SCAN, INCONCLUSIVE),
        ("image", {"conclusion": "failure"}, Leg.SCAN, PASS),  # nobody has named it
    ],
)  # fmt: skip
def test_a_job_must_have_run_and_succeeded_whatever_the_run_says(
    part: str, change: dict[str, Any], leg: Leg, result: Result
) -> None:
    assert results(told(changed(part, **change)))[leg] is result


def test_the_first_success_of_any_attempt_counts() -> None:
    failed = replace(PARTS[4], conclusion="failure", ended_s=COMMIT_S - 30)
    later = replace(PARTS[4], ended_s=COMMIT_S + 900)
    assert results(told({Place.ACTIONS: {"parts": (failed, *PARTS, later)}}))[Leg.SCAN] is PASS
    assert results(told({Place.ACTIONS: {"parts": (*PARTS[:4], failed, later)}}))[Leg.SCAN] is FAIL


@pytest.mark.parametrize(
    ("conclusion", "ended_s", "attempt", "result"),
    [
        ("skipped", COMMIT_S - 20, 1, FAIL), ("success", COMMIT_S + 60, 1, FAIL), ("success", COMMIT_S - 20, 1, PASS),
        ("skipped", COMMIT_S - 20, 2, PASS), ("success", COMMIT_S + 60, 2, PASS),
    ],
)  # fmt: skip
def test_steps_of_one_name_in_one_attempt_must_all_have_succeeded(
    conclusion: str, ended_s: float, attempt: int, result: Result
) -> None:
    first = tuple(replace(part, attempt=1) for part in PARTS)
    other = replace(first[4], conclusion=conclusion, ended_s=ended_s, attempt=attempt)
    for parts in ((*first, other), (*first[:4], other, first[4])):
        assert results(told({Place.ACTIONS: {"parts": parts}}))[Leg.SCAN] is result


def test_without_the_app_s_repository_its_legs_are_skipped() -> None:
    found = results(told(actions=ActionsSettings()))
    assert {found[leg] for leg in (Leg.COMMIT, Leg.STARTED, Leg.TESTED, Leg.SCAN)} == {SKIPPED}
    unnamed = results(told(actions=ActionsSettings(repository="shop/web")))
    assert (unnamed[Leg.TESTED], unnamed[Leg.SCAN]) == (SKIPPED, SKIPPED)


def test_without_a_registry_the_image_is_skipped_but_latest_is_never_right() -> None:
    assert results(told(registry=RegistrySettings()))[Leg.IMAGE] is SKIPPED
    assert results(told({Place.ENV_REPO: {"tag": "latest"}}, registry=RegistrySettings()))[Leg.IMAGE] is FAIL


def test_a_limit_over_legs_of_which_nothing_is_known_holds_but_is_not_broken() -> None:
    late = told(absent=(Place.APPLICATION,), limits_s={"rolled-out": 60})
    assert "made_s" not in legs(late)[Leg.ROLLED_OUT].numbers
    assert results(late)[Leg.ROLLED_OUT] is INCONCLUSIVE  # whose rollout it was is not known


def test_a_restart_is_not_taken_for_the_rollout() -> None:
    restarted = {Place.DEPLOYMENT: {"made_s": COMMIT_S + 9_000, "completed_s": COMMIT_S + 9_020}}
    assert results(told(restarted))[Leg.ROLLED_OUT] is PASS
    assert results(told(restarted, limits_s={"rolled-out": 60}))[Leg.ROLLED_OUT] is INCONCLUSIVE


def test_the_author_may_be_named_by_name_or_address_and_is_judged_only_if_named() -> None:
    for author, result in (("", PASS), ("ci", PASS), ("ci@shop", PASS), ("GitHub", PASS), ("someone", FAIL)):
        assert results(told(author=author))[Leg.ENV_COMMIT] is result


def test_what_others_wrote_is_one_line_and_no_more_than_a_screen() -> None:
    failed = {"deployed": False, "phase": "Failed", "message": "no\n::stop-commands::x\r\x1b[2J" + 9_999 * "a"}
    jobs = {"parts": (*PARTS[:1], PartSeen(name="test\n::error::x", status="completed", conclusion="success"))}
    found = legs(told({Place.APPLICATION: failed, Place.ACTIONS: jobs}))
    for verdict in (found[Leg.SYNCED], found[Leg.TESTED]):
        assert "::" in verdict.why
        assert all(text.isprintable() for text in (verdict.why, *(one.text for one in verdict.findings)))
        assert len(verdict.why) < 1_100


def test_a_revision_that_does_not_carry_it_is_not_said_to() -> None:
    verdict = legs(told({Place.APPLICATION: {"carries": False, "revision": ""}}))[Leg.SEEN]
    assert verdict.result is PASS
    assert "is at no revision now, which does not carry it" in verdict.why


REPORT = Place.SCAN_REPORT
CONFIG_OF_OTHER = f"sha256:{'7' * 64}"
FOLDER = {"config": "", "digests": (), "kind": "filesystem"}
MOVED = {"pods": tuple(replace(pod, image_id=OTHER) for pod in PODS)}  # they run another one than the tag names


@pytest.mark.parametrize(
    ("change", "result", "code"),
    [
        ({}, PASS, ""),
        ({"digests": ()}, PASS, ""),  # as of an archive: by the configuration
        ({"config": ""}, PASS, ""),  # the index has one image only
        ({"digests": (OTHER,), "config": OTHER}, FAIL, "SCANNED_ANOTHER_IMAGE"),
        ({"config": OTHER}, INCONCLUSIVE, ""),  # the index that runs, and the configuration of another image
        (FOLDER, INCONCLUSIVE, ""),
        ({"scanned": False, "config": "", "digests": ()}, INCONCLUSIVE, ""),
        ({"made_s": COMMIT_S + 60}, FAIL, "COMMITTED_BEFORE_SCAN"),
        ({"made_s": COMMIT_S + 3}, INCONCLUSIVE, ""),  # the clocks may be apart
        ({"made_s": COMMIT_S + 86_400}, INCONCLUSIVE, ""),  # and tomorrow's report is none
        ({"made_s": None}, INCONCLUSIVE, ""),
        ({"results": (ResultSeen(name="CVE-9", severity="HIGH"),)}, FAIL, "SCAN_ABOVE_LIMIT"),
        ({"unranked": 1}, INCONCLUSIVE, ""),
        ({"results": (), "total": 0}, PASS, ""),
    ],
)
def test_a_report_counts_for_the_image_that_runs_and_for_no_other(
    change: dict[str, Any], result: Result, code: str
) -> None:
    verdict = legs(reported({REPORT: change}))[Leg.SCAN]
    assert (verdict.result, [finding.code for finding in verdict.findings]) == (result, [code] if code else [])
    assert all(finding.text and finding.hint for finding in verdict.findings)


@pytest.mark.parametrize(
    ("results_of", "said"),
    [
        ((), "0 results; "),
        ((ResultSeen(name="CVE-1", severity="LOW"),), "1 result, the gravest LOW; "),
        ((ResultSeen(name="CVE-1"),), "1 result, the gravest without a severity; "),
    ],
)
def test_a_report_without_a_limit_is_told(results_of: tuple[ResultSeen, ...], said: str) -> None:
    change = {REPORT: {"results": results_of, "total": len(results_of)}}
    verdict = legs(reported(change, scan_severity_max=""))[Leg.SCAN]
    assert verdict.result is PASS
    assert f"{said}pipeline.scan_severity_max sets no limit" in verdict.why


@pytest.mark.parametrize(
    ("change", "result"),
    [
        (
            {"config": AMD.config},
            FAIL,
        ),  # the index is the one that runs, and of it another platform's image was scanned
        ({}, PASS),
        ({"config": "", "platform": ""}, INCONCLUSIVE),
        ({"config": "", "platform": "linux/amd64"}, FAIL),
    ],
)
def test_of_an_index_the_image_of_the_nodes_platform_must_have_been_scanned(
    change: dict[str, Any], result: Result
) -> None:
    both = {"platforms": (AMD, *TAGGED.platforms)}
    assert results(reported({REPORT: change, Place.REGISTRY: both}))[Leg.SCAN] is result


def test_the_tag_was_moved_since_and_the_report_is_of_what_it_names_now_or_of_what_runs() -> None:
    found = legs(reported({Place.DEPLOYMENT: MOVED}))
    assert [one.code for leg in (Leg.IMAGE, Leg.SCAN) for one in found[leg].findings] == [
        "TAG_MOVED", "SCANNED_ANOTHER_IMAGE",
    ]  # fmt: skip
    of_what_runs = {REPORT: {"digests": (OTHER,), "config": CONFIG_OF_OTHER}, Place.DEPLOYMENT: MOVED}
    assert results(reported(of_what_runs))[Leg.SCAN] is PASS
    unknown = {REPORT: {"digests": (CONFIG_OF_OTHER,), "config": ""}, Place.DEPLOYMENT: MOVED}
    assert results(reported(unknown))[Leg.SCAN] is INCONCLUSIVE


def test_without_the_registry_equal_digests_bind_and_others_may_be_of_one_image() -> None:
    alone = {"unread": (Place.REGISTRY,)}
    assert results(reported(**alone))[Leg.SCAN] is PASS
    assert results(reported({REPORT: {"config": ""}}, **alone))[Leg.SCAN] is PASS  # it names the one that runs, alone
    assert results(reported({REPORT: {"platform": "linux/amd64"}}, **alone))[Leg.SCAN] is FAIL
    assert results(reported({REPORT: {"platform": ""}}, **alone))[Leg.SCAN] is INCONCLUSIVE  # Trivy's SARIF
    assert results(reported({REPORT: {"digests": (OTHER,), "config": ""}}, **alone))[Leg.SCAN] is INCONCLUSIVE


def test_job_and_report_are_both_heard_and_the_worse_counts() -> None:
    named = ActionsSettings(repository="shop/web", scan_jobs=("image/Scan",))
    skipped = changed("image/Scan", conclusion="skipped", ended_s=None)
    assert results(reported(actions=named))[Leg.SCAN] is PASS
    assert legs(reported(skipped, actions=named))[Leg.SCAN].findings[0].code == "NOT_SCANNED"  # and the run is green
    assert results(reported({REPORT: {"made_s": None}}, actions=named))[Leg.SCAN] is PASS  # the job says when
    assert results(reported({REPORT: {"made_s": COMMIT_S + 60}}, actions=named))[Leg.SCAN] is INCONCLUSIVE
    assert results(reported({REPORT: FOLDER}, actions=named))[Leg.SCAN] is INCONCLUSIVE
    assert results(reported(actions=named, unread=(Place.ACTIONS,)))[Leg.SCAN] is INCONCLUSIVE
    assert results(reported(actions=named, unread=(REPORT,)))[Leg.SCAN] is INCONCLUSIVE
    assert results(reported(actions=ActionsSettings(), absent=(Place.ACTIONS,)))[Leg.SCAN] is PASS


def test_pods_that_do_not_say_their_image_leave_a_report_unbound() -> None:
    silent = {"pods": (PODS[0], replace(PODS[1], image_id=""))}
    assert results(reported({Place.DEPLOYMENT: silent}))[Leg.SCAN] is INCONCLUSIVE
    assert results(reported({Place.NODES: {"platforms": {}}}))[Leg.SCAN] is INCONCLUSIVE
