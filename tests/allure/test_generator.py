"""The real Allure 3 generator over two runs: statuses, categories, environment, steps, and the history of the first.

Not in `make test`: it needs Node and npm, and once the network (`make test-allure`). Without them it is skipped.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from reports.conftest import the_report

from rollproof.core.verdict import Result
from rollproof.reports.allure import write_allure
from rollproof.reports.allure_files import CATEGORIES
from tests.fetching import from_npm

VERSION = "3.18.0"
CONFIG = Path(__file__).resolve().parents[2] / "docs/ci/allurerc.json"


@pytest.fixture(scope="module")
def allure() -> Path:
    """The generator."""
    return from_npm("allure", VERSION, "allure")


@pytest.fixture(scope="module")
def generated(allure: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, the second without the outage, with docs/ci/allurerc.json as users have it, but in many files."""
    folder = tmp_path_factory.mktemp("allure")
    config = json.loads(CONFIG.read_text())
    config["plugins"]["awesome"]["options"]["singleFile"] = False
    (folder / "allurerc.json").write_text(json.dumps(config))
    first = the_report()
    page = folder / "report.html"
    page.write_text("<p>the page</p>")
    healed = tuple(replace(one, result=Result.PASS) if one.checker == "availability" else one for one in first.verdicts)
    second = replace(first, verdicts=healed, plan=replace(first.plan, run_id="20261125T090000Z-all", new_sha="0123abc"))
    for name, report in (("one", first), ("two", second)):
        write_allure(folder / name, report, (page,))
        done = subprocess.run(
            [str(allure), "generate", name, "--config", "allurerc.json", "--output", f"out-{name}"],
            cwd=folder, capture_output=True, text=True, timeout=300, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    return folder


def result(out: Path, full_name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = [json.loads(path.read_text()) for path in (out / "data/test-results").glob("*.json")]
    return next(one for one in found if one["fullName"] == f"rollproof.{full_name}")


def test_the_second_run_shows_the_history_of_the_first(generated: Path) -> None:
    assert len((generated / "allure-history.jsonl").read_text().splitlines()) == 2
    now = result(generated / "out-two", "zero-downtime.availability")
    assert (now["status"], [one["status"] for one in now["history"]]) == ("passed", ["failed"])
    assert now["transition"] == "fixed"
    assert result(generated / "out-one", "zero-downtime.availability")["history"] == []


def test_statuses_and_categories_are_ours(generated: Path) -> None:
    counts = json.loads((generated / "out-one/widgets/statistic.json").read_text())
    assert {status: counts.get(status) for status in ("passed", "failed", "broken", "skipped")} == {
        "passed": 12, "failed": 1, "broken": 1, "skipped": 1
    }  # fmt: skip
    lost = result(generated / "out-one", "zero-downtime.availability")
    assert [one["name"] for one in lost["categories"]] == [CATEGORIES["lost-requests"]]
    unknown = result(generated / "out-one", "drift.drift delete-service")
    assert [one["name"] for one in unknown["categories"]] == [CATEGORIES["inconclusive"]]


def test_environment_steps_and_attachments_are_shown(generated: Path) -> None:
    environment = json.loads((generated / "out-one/widgets/allure_environment.json").read_text())
    assert {"target", "platform", "new_sha"} <= {one["name"] for one in environment}
    release = result(generated / "out-one", "zero-downtime.release")
    assert sum(one.get("name", "").startswith("Release/") for one in release["steps"]) == 8


def test_every_result_has_the_page_that_all_share(generated: Path) -> None:
    out = generated / "out-one/data"
    found = [json.loads(path.read_text()) for path in (out / "test-results").glob("*.json")]
    assert len(found) == 15
    for one in found:
        (link,) = [step["link"] for after in one["teardown"] for step in after["steps"]]
        assert (link["name"], link["missed"]) == ("report.html", False), one["fullName"]
        assert (out / f"attachments/{link['id']}{link['ext']}").read_text() == "<p>the page</p>"
