"""Imports: no circle, also none of types only; and the linter's lists of modules are whole."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import pytest
from house.importgraph import Graph, circle, graph, places
from house.syntax import tree

import rollproof

ROOT = Path(__file__).parents[3]


def test_the_sandbox_is_kept_apart_from_every_module() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {one["name"]: one for one in document["tool"]["importlinter"]["contracts"]}
    shares_nothing = next(one for name, one in contracts.items() if name.startswith("the sandbox shares nothing"))
    unknown = next(one for name, one in contracts.items() if "knows that there is a sandbox" in name)
    package = Path(rollproof.__file__).parent
    there = {path.stem for path in package.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    modules = {f"rollproof.{name}" for name in there - {"__init__", "__main__", "sandbox"}}
    assert set(shares_nothing["forbidden_modules"]) == modules - {"rollproof.errors"}
    assert set(unknown["source_modules"]) == modules - {"rollproof.cli"}


@cache
def ours() -> Graph:
    return graph(ROOT / "src", tree)


def test_no_circle_of_modules() -> None:
    of_modules = ours()
    assert len(of_modules) > 200
    assert circle(of_modules) == ""


def test_no_circle_of_folders() -> None:
    assert circle(places(ours())) == ""


@pytest.mark.parametrize(
    "text",
    [
        "import rollproof.b", "from rollproof.b import x", "from rollproof import b",
        "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from rollproof.b import x",
        "def f():\n    from rollproof import b\n",
    ],
)  # fmt: skip
def test_a_circle_is_found(tmp_path: Path, text: str) -> None:
    (tmp_path / "rollproof").mkdir()
    for name, body in (("__init__", ""), ("a", text), ("b", "from rollproof.c import y"), ("c", "import os")):
        (tmp_path / "rollproof" / f"{name}.py").write_text(body)
    assert circle(graph(tmp_path)) == ""
    (tmp_path / "rollproof" / "c.py").write_text("import rollproof.a")
    found = circle(graph(tmp_path))
    assert found.count("->") == 3
    assert {*found.split(" -> ")} == {"rollproof.a", "rollproof.b", "rollproof.c"}
