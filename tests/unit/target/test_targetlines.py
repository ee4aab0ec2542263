from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from rollproof.core.target import RollbackSettings
from rollproof.target.lines import noted, setting_lines

TEXT = """schema = 1
[app]
  base_url = "http://x" # = 1

[ drift ]
trials = [
  "image",
]
limit_s = 5
[app.headers_env]
X-Token = "TOKEN"
"""


def test_settings_and_sections_have_their_lines() -> None:
    assert setting_lines(TEXT) == {
        "schema": 1, "app": 2, "app.base_url": 3, "drift": 5, "drift.trials": 6, "drift.limit_s": 9,
        "app.headers_env": 10, "app.headers_env.X-Token": 11,
    }  # fmt: skip


def test_the_path_is_the_one_that_ci_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative to where the job runs; of a file elsewhere only the name, for a path may name a person."""
    (tmp_path / "repo" / "targets").mkdir(parents=True)
    inside, outside = tmp_path / "repo" / "targets" / "t.toml", tmp_path / "o.toml"
    for path in (inside, outside):
        path.write_text(f"\ufeff{TEXT}", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "repo")
    assert noted(Path("targets/t.toml"))["path"] == noted(inside)["path"] == "targets/t.toml"
    assert noted(outside)["path"] == "o.toml"
    assert noted(outside)["lines"]["schema"] == 1
    assert noted(Path("nothing.toml")) == {"path": "nothing.toml", "lines": {}}


def test_the_limits_of_our_own_targets_are_found() -> None:
    root = Path(__file__).resolve().parents[3] / "targets"
    lines = setting_lines((root / "staging.example.toml").read_text())
    assert {field.name for field in fields(RollbackSettings)} & {key.partition(".")[2] for key in lines}
