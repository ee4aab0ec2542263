from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import attr
import pytest
from allure_commons import model2

from rollproof.core.event import Event
from rollproof.core.verdict import Result, Verdict
from rollproof.reports.allure import write_allure
from rollproof.reports.allure_files import CATEGORIES, category_of
from rollproof.reports.model import Report

ROOT = Path(__file__).resolve().parents[3]
CHECKERS = ("availability", "loss", "outage", "version", "drift", "fault", "rollback", "undo", "release", "posture")


def results(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in folder.glob("*-result.json")]


def shared(folder: Path) -> list[tuple[set[str], list[dict[str, Any]]]]:
    """Of each tear down: the results that share it, and its attachments."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*-container.json"))]
    return [(set(one["children"]), [file for after in one["afters"] for file in after["attachments"]]) for one in found]


def test_statuses_are_those_of_the_verdicts(report: Report, tmp_path: Path) -> None:
    write_allure(tmp_path / "allure", report)
    found = results(tmp_path / "allure")
    assert Counter(result["status"] for result in found) == {"passed": 12, "failed": 1, "broken": 1, "skipped": 1}
    failed = next(result for result in found if result["status"] == "failed")
    assert "53 of 12,000" in failed["statusDetails"]["message"]
    assert "PRESTOP_TOO_SHORT" in failed["statusDetails"]["trace"]


def test_every_key_is_one_that_allures_own_writer_knows(report: Report, tmp_path: Path) -> None:
    """We write its JSON ourselves; its model says which keys there are, and that nothing empty is written."""
    (tmp_path / "report.html").write_text("<p></p>")
    write_allure(tmp_path / "allure", report, (tmp_path / "report.html",))
    inner = {
        "steps": model2.TestStepResult, "parameters": model2.Parameter, "labels": model2.Label, "links": model2.Link,
        "statusDetails": model2.StatusDetails, "attachments": model2.Attachment, "afters": model2.TestAfterResult,
    }  # fmt: skip

    def unknown(item: dict[str, Any], kind: type) -> list[str]:
        found = [
            key for key, value in item.items() if key not in attr.fields_dict(kind) or not (value or value is False)
        ]
        for key, of_key in inner.items():
            inside = item.get(key, [])
            found += [bad for one in (inside if isinstance(inside, list) else [inside]) for bad in unknown(one, of_key)]
        return found

    container = next((tmp_path / "allure").glob("*-container.json"))
    assert not unknown(json.loads(container.read_text()), model2.TestResultContainer)
    assert not [bad for one in results(tmp_path / "allure") for bad in unknown(one, model2.TestResult)]
    statuses = {value for name, value in vars(model2.Status).items() if name.isupper()}
    assert {one["status"] for one in results(tmp_path / "allure")} <= statuses


def test_results_are_for_their_owner_and_survive_what_is_no_text(report: Report, tmp_path: Path) -> None:
    odd = replace(report.verdicts[0], why="a name with \udce4 in it")
    write_allure(tmp_path / "allure", replace(report, verdicts=(odd,)))
    assert results(tmp_path / "allure")[0]["statusDetails"]["message"] == "a name with \udce4 in it"
    assert (tmp_path / "allure").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "allure").iterdir()} == {0o600}


def test_history_follows_a_check_over_shas_and_runs(report: Report, tmp_path: Path) -> None:
    verdicts = tuple(replace(v, subject=v.subject.replace(report.plan.new_sha, "0123abc")) for v in report.verdicts)
    later = replace(report, verdicts=verdicts, plan=replace(report.plan, run_id="later"))
    write_allure(tmp_path / "one", report)
    write_allure(tmp_path / "two", later)
    ids = [sorted(result["historyId"] for result in results(tmp_path / name)) for name in ("one", "two")]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(report.verdicts)


def test_attachments_are_copied_and_named(report: Report, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("<p>page</p>")
    write_allure(tmp_path / "allure", report, (page,))
    ((_, (attachment,)),) = shared(tmp_path / "allure")
    assert (attachment["name"], attachment["type"]) == ("report.html", "text/html")
    assert (tmp_path / "allure" / attachment["source"]).read_text() == "<p>page</p>"


def test_judging_again_replaces_the_results(report: Report, tmp_path: Path) -> None:
    write_allure(tmp_path / "allure", report)
    write_allure(tmp_path / "allure", replace(report, verdicts=report.verdicts[:2]))
    assert len(results(tmp_path / "allure")) == 2


def test_times_are_those_of_the_drill(report: Report, tmp_path: Path) -> None:
    write_allure(tmp_path / "allure", report)
    drift = next(r for r in results(tmp_path / "allure") if r["fullName"].startswith("rollproof.drift."))
    assert 0 < drift["stop"] - drift["start"] < 60_000


def test_a_file_that_is_too_large_is_left_out_and_load_pages_go_to_the_load_alone(
    report: Report, tmp_path: Path
) -> None:
    page, load, huge = (tmp_path / name for name in ("report.html", "locust-x.html", "huge.html"))
    for path in (page, load):
        path.write_text("<p></p>")
    huge.write_bytes(b"x" * 5_000_001)
    write_allure(tmp_path / "allure", report, (page, huge), (load,))
    found = results(tmp_path / "allure")
    groups = shared(tmp_path / "allure")
    for one in found:
        names = {file["name"] for children, files in groups if one["uuid"] in children for file in files}
        about_load = "load_soundness" in [label["value"] for label in one["labels"]]
        assert names == ({"report.html", "locust-x.html"} if about_load else {"report.html"})
    named = [file["source"] for _, files in groups for file in files] + [
        file["source"] for one in found for file in one.get("attachments", ())
    ]
    assert len(named) == len(set(named)), "Allure 3 shows a file in the first place that names it, and nowhere else"
    assert len(list((tmp_path / "allure").glob("*-attachment*"))) == 2, "each is copied once"


def named(folder: Path, full_name: str) -> dict[str, Any]:
    return next(one for one in results(folder) if one["fullName"] == f"rollproof.{full_name}")


def test_steps_have_the_times_of_their_facts(report: Report, tmp_path: Path) -> None:
    write_allure(tmp_path / "allure", report)
    release, drift = (named(tmp_path / "allure", name) for name in ("zero-downtime.release", "drift.drift image"))
    assert [step["name"].partition(": ")[0] for step in release["steps"]] == ["Release/e4f5a6b"] * 8
    facts = report.facts["zero-downtime"].find(source="release")
    told_ms = [(event.end_s - event.start_s) * 1000 for event in facts if event.what != "refresh-asked"]
    assert sorted(step["stop"] - step["start"] for step in release["steps"]) == pytest.approx(sorted(told_ms), abs=2)
    assert {step["status"] for step in drift["steps"]} == {"passed"}
    assert "steps" not in named(tmp_path / "allure", "zero-downtime.load_soundness")


def test_each_verdict_has_the_category_of_its_kind(report: Report) -> None:
    def word(checker: str, result: Result, subject: str = "x", drill: str = "drift") -> str:
        return category_of(report, Verdict(checker, subject, result, "", drill))

    failed = {checker: word(checker, Result.FAIL) for checker in CHECKERS}
    assert set(failed.values()) == {*CATEGORIES, ""} - {"inconclusive", "no-effect"}
    assert (failed["availability"], failed["version"], failed["drift"]) == (
        "lost-requests",
        "wrong-version",
        "not-healed",
    )
    assert word("availability", Result.INCONCLUSIVE) == "inconclusive"
    assert word("availability", Result.PASS) == word("drift", Result.SKIPPED) == ""


def test_a_fault_that_nobody_felt_has_no_effect(report: Report) -> None:
    facts = report.facts["drift"]
    told = [
        Event(9000 + number, 1150.0, 1150.0, "", "drift", "fault", "Fault/pod-delete", word)
        for number, word in enumerate(("planned", "injecting", "injected", "no-effect"))
    ]
    unfelt = replace(report, facts={"drift": replace(facts, events=(*facts.events, *told))})
    verdict = Verdict("fault", "Fault/pod-delete", Result.INCONCLUSIVE, "", "drift")
    assert category_of(unfelt, verdict) == "no-effect"
    assert category_of(report, verdict) == "inconclusive"


def test_the_trace_begins_with_the_category_that_the_files_look_for(report: Report, tmp_path: Path) -> None:
    write_allure(tmp_path / "allure", report)
    rules = json.loads((tmp_path / "allure" / "categories.json").read_text())
    assert [rule["name"] for rule in rules] == list(CATEGORIES.values())
    lost = named(tmp_path / "allure", "zero-downtime.availability")["statusDetails"]["trace"]
    assert [rule["name"] for rule in rules if re.fullmatch(rule["traceRegex"], lost)] == ["Lost requests"]
    assert "trace" not in named(tmp_path / "allure", "rollback.availability").get("statusDetails", {})
    config = json.loads((ROOT / "docs/ci/allurerc.json").read_text())
    assert config["categories"] == rules, "Allure 3 reads categories from its configuration"


def test_the_environment_is_properties_on_one_line_each(report: Report, tmp_path: Path) -> None:
    hostile = {"a b=c": "x\ny\\", "ümlaut": "é\u202e"}
    write_allure(tmp_path / "allure", replace(report, environment=hostile))
    lines = (tmp_path / "allure" / "environment.properties").read_text().splitlines()
    assert "target=lab" in lines
    assert all(line.isascii() and "=" in line for line in lines)
    assert len(lines) == 7


def test_the_executor_is_the_ci_job_and_nobody_elsewhere(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL"):
        monkeypatch.delenv(name, raising=False)
    write_allure(tmp_path / "allure", report)
    assert not (tmp_path / "allure" / "executor.json").exists()
    assert "links" not in results(tmp_path / "allure")[0]
    monkeypatch.setenv("GITLAB_CI", "true")
    monkeypatch.setenv("CI_PIPELINE_IID", "17")
    monkeypatch.setenv("CI_JOB_NAME", "nightly")
    monkeypatch.setenv("CI_JOB_URL", "https://gitlab.example/job/1")
    write_allure(tmp_path / "allure", report)
    executor = json.loads((tmp_path / "allure" / "executor.json").read_text())
    assert (executor["type"], executor["buildOrder"], executor["buildName"]) == ("gitlab", 17, "nightly 17")
    assert [link["url"] for link in results(tmp_path / "allure")[0]["links"]] == ["https://gitlab.example/job/1"]
    monkeypatch.setenv("CI_JOB_URL", "javascript:alert(1)")
    write_allure(tmp_path / "allure", report)
    assert "links" not in results(tmp_path / "allure")[0]
