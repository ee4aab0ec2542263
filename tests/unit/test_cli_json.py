"""`--json`: one object on standard output, as docs/json.md says it, whatever happens."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import TARGET, stored_run, told
from story import plan

from rollproof.preflight import doctor
from rollproof.run import process, session

DOCUMENTED = Path(__file__).resolve().parents[2] / "docs" / "json.md"


def documented(command: str) -> set[str]:
    """The keys that docs/json.md names for a command."""
    rows = [line.split("|") for line in DOCUMENTED.read_text().splitlines() if line.startswith("| `")]
    return {key for row in rows if command in row[2] or "all" in row[2] for key in re.findall(r"`(\w+)`", row[1])}


def answered(said: str) -> dict[str, Any]:
    """The one object on standard output."""
    assert said.isascii()
    return dict(json.loads(said))


def test_f5_judge_answers_in_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stored_run(tmp_path)
    code, said, _ = told(monkeypatch, capsys, "judge", str(path), "--json")
    document = answered(said)
    assert document.keys() == documented("judge")
    assert (code, document["exit_code"], document["result"], document["error"]) == (0, 0, "PASS", None)
    assert (document["run"], document["folder"], document["target"]) == (path.name, str(path), "story")
    stored = json.loads((path / "verdicts.json").read_text())["verdicts"]
    names = [verdict.pop("name") for verdict in document["verdicts"]]
    assert document["verdicts"] == stored
    assert names == ["rollout", "version"]


def test_f5_run_answers_in_json_and_tells_its_progress_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def drills(*_: object, folder: Path, quiet: bool, out: object, **__: object) -> int:
        assert (quiet, out) == (True, sys.stderr)
        folder.parent.mkdir()
        stored_run(tmp_path / "made").rename(folder)
        return 1

    (tmp_path / "t.toml").write_text(TARGET)
    monkeypatch.setattr(process, "run_drills", drills)
    words = ("run", "drift", "--target", str(tmp_path / "t.toml"), "--reports", str(tmp_path / "runs"), "--json", "-q")
    code, said, _ = told(monkeypatch, capsys, *words)
    document = answered(said)
    assert document.keys() == documented("run")
    assert (code, document["exit_code"], document["command"]) == (1, 1, "run")
    assert Path(document["report"]).is_file()


def test_f5_a_run_without_verdicts_says_so_in_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "t.toml").write_text(TARGET)
    monkeypatch.setattr(process, "run_drills", lambda *_, **__: 3)
    words = ("run", "drift", "--target", str(tmp_path / "t.toml"), "--reports", str(tmp_path / "runs"), "--json")
    code, said, _ = told(monkeypatch, capsys, *words)
    document = answered(said)
    assert document.keys() == documented("run")
    assert (code, document["exit_code"], document["result"], document["folder"]) == (3, 3, None, None)
    assert "standard error says why" in document["error"]["message"]


def test_f5_plan_answers_in_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(f"{TARGET}production = true\n")
    monkeypatch.setattr(session, "preview", lambda *_: plan())
    code, said, _ = told(monkeypatch, capsys, "plan", "all", "--target", str(path), "--json")
    document = answered(said)
    assert document.keys() == documented("plan")
    assert (code, document["drills"], document["old_sha"]) == (0, list(plan().drills), plan().old_sha)
    assert "is marked as production" in document["refusal"]


def test_f5_doctor_answers_in_json_and_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [doctor.Line("api", True, "answers"), doctor.Line("right", False, "no \u2716", "grant it")]
    monkeypatch.setattr(doctor, "examine", lambda *_: lines)
    (tmp_path / "t.toml").write_text(TARGET)
    words = ("doctor", "--target", str(tmp_path / "t.toml"))
    code, said, _ = told(monkeypatch, capsys, *words, "--json")
    document = answered(said)
    assert document.keys() == documented("doctor")
    assert (code, document["exit_code"], document["summary"]) == (3, 3, "1 of 2 need attention")
    assert document["checks"][1] == {"name": "right", "ok": False, "said": "no \u2716", "hint": "grant it"}
    _, said, _ = told(monkeypatch, capsys, *words, "-q")
    assert "grant it" in said
    assert "answers" not in said


def test_f5_rbac_answers_in_json_with_a_list_that_can_be_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(TARGET)
    code, said, _ = told(monkeypatch, capsys, "rbac", "pod-delete", "drift", "--target", str(path), "--json")
    document = answered(said)
    assert document.keys() == documented("rbac")
    assert (code, document["drills"], document["manifest"]["kind"]) == (0, ["pod-delete", "drift"], "List")
    assert document["rules"][0].keys() == set(re.findall(r'"(\w+)"', rules_row()))


def rules_row() -> str:
    (row,) = (line for line in DOCUMENTED.read_text().splitlines() if line.startswith("| `rules`"))
    return row


@pytest.mark.parametrize("words", [["run", "sideways"], ["plan", "sideways"], ["judge", "nowhere"], ["doctor"]])
def test_f5_an_error_is_an_answer_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said, complained = told(monkeypatch, capsys, *words, "--json")
    document = answered(said)
    assert document.keys() == {"schema", "command", "exit_code", "error"}
    assert (code, document["exit_code"], document["command"]) == (2, 2, words[0])
    assert document["error"]["message"].split("\n")[0] in complained
    assert document["error"]["hint"]


@pytest.mark.usefixtures("temporary_files")
@pytest.mark.parametrize("error", [KeyError("status"), KeyboardInterrupt()])
def test_f5_a_bug_and_an_interruption_are_answers_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    def fails(_: object) -> None:
        raise error

    monkeypatch.setattr(doctor, "examine", fails)
    (tmp_path / "t.toml").write_text(TARGET)
    code, said, _ = told(monkeypatch, capsys, "doctor", "--target", str(tmp_path / "t.toml"), "--json")
    assert (code, answered(said)["exit_code"]) == (3, 3)
    assert answered(said)["error"]["message"]
