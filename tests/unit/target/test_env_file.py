from __future__ import annotations

from pathlib import Path

import pytest

from rollproof.target.file import _env_file


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("it's", "it's"), ("'", "'"), ("abc'", "abc'"), ("'abc", "'abc"), ("\"abc'", "\"abc'"), ("'abc'", "abc"),
        ("\"abc\"", "abc"), ("''abc''", "'abc'"), ("''", ""), ("\"a'b\"", "a'b"), ("  'a b' ", "a b"), ("", ""),
    ],
)  # fmt: skip
def test_f11_only_a_pair_of_quotes_is_taken_off(tmp_path: Path, written: str, value: str) -> None:
    """A password may begin or end with one."""
    (tmp_path / "secrets.env").write_text(f"GIT_PASSWORD={written}\n")
    assert _env_file(tmp_path / "t.toml", str(tmp_path / "secrets.env"))["GIT_PASSWORD"] == value
