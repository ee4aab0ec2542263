"""The lab's target files name the releases that the lab builds: app shas follow the app's source."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lab import apprepo

pytestmark = pytest.mark.processes

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["lab.toml", "lab-prod.toml", "lab-mounted.toml"])
def test_release_candidates_are_the_good_releases(name: str, tmp_path: Path) -> None:
    built = apprepo.build(tmp_path / "app.git")
    good = [built[release] for release in ("first", "second", "third")]
    said = tomllib.loads((ROOT / "targets" / name).read_text())["release"]["shas"]
    assert said == good, f"write {good} into targets/{name}"
