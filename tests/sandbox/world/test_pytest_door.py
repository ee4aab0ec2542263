"""The other door: `pytest load/ --rollproof-target FILE`, typed as the README says it, with no option beside it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from drills import Person
from sandboxes import Sandbox

from tests.starved import starved

PYTEST = (sys.executable, "-m", "pytest")


@pytest.mark.parametrize(
    ("words", "test", "checker"),
    [
        pytest.param(("load/",), "load/test_zero_downtime.py", "availability", marks=pytest.mark.alone),
        (("chaos/", "-k", "drift", "--rollproof-trial", "configmap"), "chaos/test_drift.py", "drift"),
    ],
)
def test_a_drill_from_pytest(sandbox: Callable[..., Sandbox], words: tuple[str, ...], test: str, checker: str) -> None:
    one = sandbox()
    one.up()
    me = Person(one)
    target, reports = str(one.target), str(me.reports)
    words = (*words, "--rollproof-target", target, "--rollproof-reports", reports)
    code, said = me.run(*words, python=PYTEST)
    if code != 0 and me.reports.is_dir() and starved(me.verdicts()):  # that says nothing: once more, as a user would
        shutil.rmtree(me.reports)
        code, said = me.run(*words, python=PYTEST)
    assert code == 0, said
    assert test in said
    assert "1 passed" in said
    stored = me.verdicts()
    assert (stored["result"], stored["exit_code"]) == ("PASS", 0)
    assert checker in {verdict["checker"] for verdict in stored["verdicts"]}
    assert "── act" in said, "it tells what happens, past pytest's capture"
    assert str(me.folder) in said, "and where the report is"
    assert me.holder() == ""


def test_a_bad_release_is_a_failed_test_with_the_verdicts_sentence(
    sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    """From another folder, with that folder's pytest settings: a user's own project."""
    one = sandbox("--defect", "wrong-version")
    one.up()
    me = Person(one)
    drill = Path(__file__).parents[3] / "e2e"
    words = [str(drill), "--rootdir", str(tmp_path), "--rollproof-target", str(one.target)]
    code, said = me.run(*words, "--rollproof-reports", str(me.reports), python=PYTEST)
    assert code == 1, said
    assert "version: " in said
    assert "0badbad" in said
    assert "Traceback" not in said
    assert me.verdicts()["result"] == "FAIL"
