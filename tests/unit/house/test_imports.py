"""Imports: no circle, also none of types only; and the linter's lists of modules are whole."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

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


Graph = Mapping[str, set[str]]


def modules(root: Path) -> dict[str, Path]:
    """Every module of both packages, by its name; a package is its `__init__.py`."""
    found = {}
    for package in ("rollproof", "rollproof_sandbox"):
        for path in (root / package).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """What a module imports of the known, anywhere in it: also in functions, and for types only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in known or node.module in known:
                    yield inner if inner in known else str(node.module)


def graph(root: Path) -> Graph:
    known = modules(root)
    return {name: {*imported(path, known)} - {name} for name, path in known.items()}


def folders(of_modules: Graph) -> Graph:
    """The same between the folders, and what is loose beside them, of each package."""
    found: dict[str, set[str]] = {}
    for name, others in of_modules.items():
        own = ".".join(name.split(".")[:2])
        found.setdefault(own, set()).update({".".join(other.split(".")[:2]) for other in others} - {own})
    return found


def circle(of: Graph) -> str:
    try:
        TopologicalSorter(of).prepare()
    except CycleError as error:
        return " -> ".join(reversed(error.args[1]))
    return ""


def test_no_circle_of_modules() -> None:
    of_modules = graph(ROOT / "src")
    assert len(of_modules) > 200
    assert circle(of_modules) == ""


def test_no_circle_of_folders() -> None:
    assert circle(folders(graph(ROOT / "src"))) == ""


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
