"""The files for CI systems: they are YAML, their shell is shell, and every input and format that they name exists."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollproof.reports.exports import FORMS
from rollproof.suites import drill_table

ROOT = Path(__file__).resolve().parents[3]
DRILLS = set(drill_table())
FILES = [ROOT / "action.yml", *sorted((ROOT / "docs/ci").glob("*.yml"))]


def scripts(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [text for key, text in value.items() if key == "run" and isinstance(text, str)]
        return own + [text for item in value.values() for text in scripts(item)]
    return [text for item in value for text in scripts(item)] if isinstance(value, list) else []


@pytest.mark.processes
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_its_shell_can_be_read(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    for script in scripts(document):
        assert "${{" not in script, "a value of outside in a script is an injection: it goes through `env`"
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


ACTION = (ROOT / "action.yml").read_text()
INPUTS = yaml.safe_load(ACTION)["inputs"]


def test_the_action_uses_every_input() -> None:
    assert set(re.findall(r"inputs\.(\w+)", ACTION)) == set(INPUTS)


STEPS = {step["name"]: step for step in yaml.safe_load(ACTION)["runs"]["steps"]}


@pytest.mark.processes
@pytest.mark.parametrize("text", ["", "--sha 1a2b --bad x", "--sha 1a2b\n--bad x\n", "\n  --sha 1a2b  \n\n  --bad x"])
def test_the_action_hands_on_arguments_of_every_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "rollproof/bin").mkdir(parents=True)
    (tmp_path / "rollproof/bin/rollproof").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / "rollproof/bin/rollproof").chmod(0o755)
    inputs = {"DRILL": "release", "TARGET": "t.toml", "REPORTS": "r", "ARGUMENTS": text}
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS["run"]["run"]]  # as a runner calls it
    environ = {**os.environ, **inputs, "RUNNER_TEMP": str(tmp_path)}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["run", "release", "--target", "t.toml", "--reports", "r", *text.split()]


def test_two_runs_of_one_workflow_have_artifacts_of_their_own() -> None:
    """upload-artifact refuses a name that is there: of a matrix's second leg, of a job's second drill."""
    assert {"strategy.job-index", "steps.run.outputs.run"} <= set(
        re.findall(r"\$\{\{ ([\w.-]+)", STEPS["keep the run folder"]["with"]["name"])
    )


@pytest.mark.parametrize("path", sorted((ROOT / "docs/ci").glob("github-*.yml")), ids=lambda path: path.name)
def test_a_workflow_gives_the_action_what_it_needs_and_nothing_else(path: Path) -> None:
    steps = [step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job["steps"]]
    (used,) = [step for step in steps if "rollproof@" in step.get("uses", "")]
    assert set(used["with"]) <= set(INPUTS)
    assert {name for name, one in INPUTS.items() if one.get("required")} <= set(used["with"])
    assert used["with"]["drill"].startswith("${{") or used["with"]["drill"] in DRILLS
    assert f"docs/ci/{path.name}" in (ROOT / "docs/ci.md").read_text()


def test_every_format_has_a_row_and_every_named_one_exists() -> None:
    page = (ROOT / "docs/ci.md").read_text()
    table = page.split("| format | for |")[1].split("\n\n")[0]
    assert set(
        re.findall(
            r"`(\w+)`(?=[^|]*\|[^|]*\|)", "\n".join(line.split("|")[1] + "| |" for line in table.splitlines()[2:])
        )
    ) == set(FORMS)
    named = {form for path in FILES for form in re.findall(r"--format (\w+)", path.read_text())}
    assert named <= set(FORMS)


CI = (ROOT / ".ci/run").read_text()
IN_CI = set(re.findall(r"^(?:\w+=\S+ )?make ([\w-]+)", CI, re.MULTILINE))


def test_ci_runs_every_kind_of_test_but_those_that_the_page_names() -> None:
    page = (ROOT / "tests/README.md").read_text()
    rows = [line.split("|") for line in page.split("\n## ")[0].splitlines() if line.startswith("| `")]
    named = {target for row in rows for target in re.findall(r"`make ([\w-]+)`", row[-2])}
    (said,) = re.findall(r"runs all of these but ([^;]+);", page)
    left_out = set(re.findall(r"`make ([\w-]+)`", said))
    assert left_out < named
    assert named - left_out == IN_CI & named
    assert set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)) >= IN_CI


def test_what_ci_fetches_for_its_tests_has_a_time() -> None:
    for target in ("test-allure", "test-readers"):
        assert re.search(rf"^ROLLPROOF_FETCH_S=\d+ make {target}\b", CI, re.MULTILINE)
    assert "--ignore=tests/readers/test_otlp.py" in CI
    assert "without the OpenTelemetry collector" in (ROOT / "docs/ci.md").read_text()
