"""History and compare: read from stored runs, and what cannot be compared is said, not guessed."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from rollproof.core.nights import Check, Night
from rollproof.core.verdict import Result
from rollproof.errors import RunFolderError
from rollproof.reports.console import LiveConsole
from rollproof.reports.history import compared, csv_text, rows, statements
from rollproof.reports.nights import read_nights
from rollproof.run.history import show_history


def night(number: int, value: float | None = 0.5, result: Result = Result.PASS, target: str = "staging") -> Night:
    check = Check(
        drill="drift", name="drift image", result=result, figure="detect_and_apply_s", value=value,
        numbers={"detect_and_apply_s": value},
    )  # fmt: skip
    return Night(
        run=f"202601{number:02d}T020000Z-all", target=target, platform="eks", sha="a1b2c3d", result=result,
        exit_code=0, checks=(check,),
    )  # fmt: skip


def stored(folder: Path, one: Night) -> Path:
    path = folder / one.run
    path.mkdir(parents=True)
    (path / "plan.json").write_text(json.dumps({"schema": 1, "new_sha": one.sha, "target": {"name": one.target}}))
    verdicts = [
        {
            "checker": "drift", "subject": "Drift/image", "result": str(check.result), "why": "", "drill": check.drill,
            "numbers": dict(check.numbers or {}),
        }
        for check in one.checks
    ]  # fmt: skip
    document = {
        "schema": 1,
        "run": one.run,
        "result": str(one.result),
        "target_kind": one.platform,
        "verdicts": verdicts,
    }
    (path / "verdicts.json").write_text(json.dumps(document))
    return path


def test_stored_nights_are_read_in_their_order_and_each_once(tmp_path: Path) -> None:
    for number in (3, 1, 2):
        stored(tmp_path / "a", night(number))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    nights, left_out = read_nights([tmp_path / "b", tmp_path / "a"])
    assert [one.run[6:8] for one in nights] == ["01", "02", "03"]
    assert left_out == []
    assert nights[0].checks[0] == replace(night(1).checks[0], why="")


def test_verdicts_of_one_name_are_not_two_nights_of_one_check(tmp_path: Path) -> None:
    """Five places of `secrets` in one night were five nights of one check, and of two runs the last place alone was
    compared."""
    harness = Check(drill="drift", name="x", result=Result.INCONCLUSIVE)
    two = replace(night(1), checks=(replace(harness, result=Result.FAIL), replace(harness, result=Result.PASS)))
    for number in (1, 2):
        path = stored(tmp_path, replace(two, run=night(number).run))
        text = json.loads((path / "verdicts.json").read_text())
        for one, word in zip(text["verdicts"], ("FAIL", "PASS"), strict=True):
            one |= {"checker": "harness", "subject": "drift", "result": "PASS" if number == 2 else word}
        (path / "verdicts.json").write_text(json.dumps(text))
    nights, _ = read_nights([tmp_path])
    assert [(row.label, row.marks) for row in rows(nights)] == [("drift harness", "F."), ("drift harness (2)", "..")]
    assert ("drift harness", "FAIL", "PASS") in list(compared(*nights))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"schema": 99}',
        '{"run": "x", "result": "MAYBE"}',
        '{"run": "x", "result": "PASS", "verdicts": 5}',
    ],
)
def test_a_night_that_cannot_be_read_is_left_out_with_its_reason(tmp_path: Path, text: str) -> None:
    stored(tmp_path, night(1))
    bad = stored(tmp_path, night(2))
    (bad / "verdicts.json").write_text(text)
    nights, left_out = read_nights([tmp_path])
    assert len(nights) == 1
    assert len(left_out) == 1
    assert bad.name in left_out[0]


def test_a_run_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    path = stored(tmp_path, night(1))
    (path / "verdicts.json").unlink()
    nights, left_out = read_nights([tmp_path])
    assert nights == []
    assert "not over" in left_out[0]


def test_a_run_of_somebody_else_is_left_out_with_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run folders are their owner's alone: nobody else may even see whether there is a plan in one."""
    (tmp_path / "20260101T000000Z-all").mkdir()
    monkeypatch.setattr("rollproof.reports.nights.os.access", lambda folder, _: folder.name == "mine")
    assert read_nights([tmp_path])[1] == [
        f"{tmp_path}/20260101T000000Z-all: it may not be read: is it somebody else's?"
    ]


def test_a_folder_that_is_not_there_and_one_without_runs_are_messages(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="no folder of runs"):
        read_nights([tmp_path / "nowhere"])
    with pytest.raises(RunFolderError, match="no judged run"):
        show_history([tmp_path], "table", "", LiveConsole(io.StringIO()))
    stored(tmp_path, night(1))
    with pytest.raises(RunFolderError) as told:
        show_history([tmp_path], "table", "other", LiveConsole(io.StringIO()))
    assert "staging" in told.value.hint


def test_tonight_is_odd_only_with_enough_nights_before_it() -> None:
    few = [night(number) for number in range(1, 11)] + [night(11, 9.0)]
    assert [line for line in statements(few) if "too few nights" in line and "10" in line]
    assert not [line for line in statements(few) if "is odd" in line]
    many = [night(number) for number in range(1, 26)]
    (odd,) = [line for line in statements([*many, night(26, 9.0)]) if "is odd" in line]
    assert "p = 0.038" in odd
    assert "N = 25" in odd
    assert "exchangeable" in odd


def test_inconclusive_nights_are_no_nights_of_the_app_and_three_in_a_row_alarm() -> None:
    sound = [night(number) for number in range(1, 26)]
    blind = [night(number, 99.0, Result.INCONCLUSIVE) for number in (26, 27, 28)]
    said = list(statements([*sound, *blind]))
    assert not [line for line in said if "is odd" in line or "fails more often" in line]
    assert [line for line in said if line.startswith("ALARM staging")]
    assert not [line for line in statements([*sound, *blind[:2]]) if line.startswith("ALARM")]


def test_nights_of_another_platform_or_another_run_are_counted_apart() -> None:
    blind = [night(number, result=Result.INCONCLUSIVE) for number in (1, 3, 5)]
    smoke = [replace(night(number), run=f"202601{number:02d}T030000Z-smoke") for number in (2, 4, 6)]
    kind = [replace(night(7, result=Result.FAIL), platform="kind")]
    said = list(statements([*blind, *smoke, *kind]))
    assert [line for line in said if line.startswith("ALARM staging on eks, all: the last 3 nights")]
    assert [line for line in said if line.startswith("staging on eks, smoke: 0 of 3 judged nights failed")]
    assert [line for line in said if line.startswith("staging on kind, all: 1 of 1 judged night failed")]


def test_targets_and_platforms_are_never_mixed() -> None:
    both = [night(1), night(2, target="lab"), replace(night(3), platform="kind")]
    assert len(rows(both)) == 3


def test_csv_has_a_column_a_figure_and_a_line_a_night() -> None:
    table = list(csv.DictReader(io.StringIO(csv_text([night(1), night(2, None), night(3, 0.75)]))))
    assert [row["drift.drift.image.detect_and_apply_s"] for row in table] == ["0.5", "", "0.75"]
    assert table[0]["time"] == "2026-01-01T02:00:00Z"
    assert table[0]["commit"] == "a1b2c3d"


def test_compare_names_settings_then_verdicts_then_numbers() -> None:
    other = replace(night(2, 2.0, Result.FAIL), sha="fffffff")
    assert [what for what, _, _ in compared(night(1), other)] == [
        "sha", "result", "drift drift image", "drift drift image: detect_and_apply_s"
    ]  # fmt: skip
    assert list(compared(night(1), night(2, 0.505))) == [], "less than 2 %"
    gone = replace(night(2), checks=())
    assert list(compared(night(1), gone)) == [("drift drift image", "PASS", "not judged")]
