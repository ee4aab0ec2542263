from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from rollproof.reports.allure import write_allure
from rollproof.reports.model import Report


def results(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in folder.glob("*-result.json")]


def test_statuses_are_those_of_the_verdicts(report: Report, tmp_path: Path) -> None:
    write_allure(tmp_path / "allure", report)
    found = results(tmp_path / "allure")
    assert Counter(result["status"] for result in found) == {"passed": 12, "failed": 1, "broken": 1, "skipped": 1}
    failed = next(result for result in found if result["status"] == "failed")
    assert "53 of 12,000" in failed["statusDetails"]["message"]
    assert "PRESTOP_TOO_SHORT" in failed["statusDetails"]["trace"]


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
    attachment = results(tmp_path / "allure")[0]["attachments"][0]
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
