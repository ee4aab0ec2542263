"""Compiled templates are kept as Python keeps its modules: used where they can be, and never a reason to fail."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest

from rollproof.reports.templating import CompiledTemplates

SOURCE = "{{ who }} was here"


def rendered(folder: Path, source: str = SOURCE) -> str:
    """By an environment of its own, as another process would."""
    loader = jinja2.DictLoader({"page": source})
    environment = jinja2.Environment(loader=loader, autoescape=True, bytecode_cache=CompiledTemplates(folder))
    return environment.get_template("page").render(who="x")


@pytest.fixture(autouse=True)
def _written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


@pytest.fixture
def no_compiling(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("compiled again")

    return lambda: monkeypatch.setattr(jinja2.Environment, "compile", refuse)


def test_a_template_is_compiled_once(tmp_path: Path, no_compiling: Callable[[], None]) -> None:
    assert rendered(tmp_path / "new") == "x was here"
    no_compiling()
    assert rendered(tmp_path / "new") == "x was here"


def test_a_changed_template_is_compiled_anew(tmp_path: Path) -> None:
    rendered(tmp_path)
    assert rendered(tmp_path, "{{ who }} is gone") == "x is gone"


@pytest.mark.parametrize("left", [b"", b"\x00" * 40, "half", "all but the code"])
def test_a_damaged_file_is_compiled_anew(tmp_path: Path, left: bytes | str) -> None:
    rendered(tmp_path)
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(left if isinstance(left, bytes) else whole[: len(whole) // 2] if left == "half" else whole[:-200])
    assert rendered(tmp_path) == "x was here"


def test_a_folder_that_takes_no_file_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert rendered(tmp_path / "file/__pycache__") == "x was here"


def test_nothing_is_written_where_python_writes_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered(tmp_path / "none") == "x was here"
    assert not (tmp_path / "none").exists()
