"""What GitHub Actions is told: only there, and never at the price of the exit code."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from rollproof.run.ci import tell_github

HISTORY = Path(__file__).resolve().parents[2] / "histories/bad/sandbox-refused-100ms"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(HISTORY, tmp_path / "run"))


def told(folder: Path, **environ: str) -> tuple[list[str], list[str]]:
    said = io.StringIO()
    complained: list[str] = []
    tell_github(folder, said, complained.append, environ)
    return said.getvalue().splitlines(), complained


def test_nothing_is_said_outside_of_it(folder: Path, tmp_path: Path) -> None:
    assert told(folder, GITHUB_STEP_SUMMARY=str(tmp_path / "summary")) == ([], [])
    assert not (tmp_path / "summary").exists()


def test_summary_outputs_and_annotations(folder: Path, tmp_path: Path) -> None:
    summary, outputs = tmp_path / "summary", tmp_path / "outputs"
    summary.write_text("what another step wrote\n")
    said, complained = told(folder, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary), GITHUB_OUTPUT=str(outputs))
    assert complained == []
    assert summary.read_text().startswith("what another step wrote\n## ❌ FAIL ")
    lines = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
    assert (lines["result"], lines["exit_code"], lines["rollback_s"]) == ("FAIL", "1", "")
    assert float(lines["outage_ms"]) > 100
    assert [line.partition(" ")[0] for line in said] == ["::error"]


def test_a_file_that_cannot_be_written_is_a_sentence(folder: Path, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    said, complained = told(
        folder, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(tmp_path / "no" / "summary"), GITHUB_OUTPUT=str(outputs)
    )
    assert len(complained) == 1
    assert "GITHUB_STEP_SUMMARY" in complained[0]
    assert outputs.is_file()
    assert said


def test_a_run_that_never_began_or_is_damaged_is_no_traceback(folder: Path, tmp_path: Path) -> None:
    assert told(tmp_path / "missing", GITHUB_ACTIONS="true") == ([], [])
    (folder / "timeline.jsonl").write_text("{")
    (folder / "plan.json").write_text("[]")
    said, complained = told(folder, GITHUB_ACTIONS="true")
    assert said == []
    assert len(complained) == 1
