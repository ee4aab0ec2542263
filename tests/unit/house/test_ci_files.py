"""The files for CI systems: they are YAML, their shell is shell, and every input and format that they name exists."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rollproof.reports.exports import FORMS

ROOT = Path(__file__).resolve().parents[3]
FILES = [ROOT / "action.yml", *sorted((ROOT / "docs/ci").glob("*.yml"))]


def scripts(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [text for key, text in value.items() if key == "run" and isinstance(text, str)]
        return own + [text for item in value.values() for text in scripts(item)]
    return [text for item in value for text in scripts(item)] if isinstance(value, list) else []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_its_shell_can_be_read(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    for script in scripts(document):
        assert "${{" not in script, "a value of outside in a script is an injection: it goes through `env`"
        done = subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_the_action_uses_every_input_and_the_workflow_gives_no_other() -> None:
    text = (ROOT / "action.yml").read_text()
    action = yaml.safe_load(text)
    assert set(re.findall(r"inputs\.(\w+)", text)) == set(action["inputs"])
    workflow = yaml.safe_load((ROOT / "docs/ci/github-nightly.yml").read_text())
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    (used,) = [step for step in steps if "rollproof@" in step.get("uses", "")]
    assert set(used["with"]) <= set(action["inputs"])
    needed = {name for name, one in action["inputs"].items() if one.get("required")}
    assert needed <= set(used["with"])


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
