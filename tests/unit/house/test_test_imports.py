"""What a test imports from this repository is there: mypy is not asked of tests, and most suites are not run often."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from house.importgraph import statements
from house.syntax import walk

ROOT = Path(__file__).resolve().parents[3]
ON_PATH = ("", "src", "tests/unit", "tests/kind", "tests/sandbox/world")  # pyproject.toml: pythonpath, and the package
TESTS = sorted(
    path for place in ("tests", "load", "e2e", "chaos", "bench") for path in (ROOT / place).rglob("*.py")
    if "histories" not in path.parts
)  # fmt: skip


@cache
def module(name: str) -> Path | None:
    """The file of a module of this repository; None for a package of others, or a folder without a file."""
    for place in ON_PATH:
        base = ROOT / place / name.replace(".", "/")
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path
    return None


def _targets(node: ast.AST) -> list[ast.AST]:
    """What a statement assigns to."""
    of_with = [item.optional_vars for item in getattr(node, "items", ()) if item.optional_vars is not None]
    return [*getattr(node, "targets", ()), *filter(None, [getattr(node, "target", None)]), *of_with]


@cache
def told(path: Path) -> tuple[frozenset[str], tuple[ast.ImportFrom, ...]]:
    """All that its statements bind in a module, wherever in it (too many rather than too few), and what it imports by
    name. What an expression binds (`:=`) is not searched for: that would be said to be absent, and is nowhere yet.

    Parsed once, and not kept whole: the trees of all tests are 160 MB.
    """
    found: set[str] = set()
    imports: list[ast.ImportFrom] = []
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            imports += [node] if isinstance(node, ast.ImportFrom) else []
        else:
            found |= {one.id for target in _targets(node) for one in walk(target) if isinstance(one, ast.Name)}
    return frozenset(found), tuple(imports)


def absent(path: Path) -> Iterator[str]:
    for node in told(path)[1]:
        if node.module is None:
            continue
        here = path.parent / f"{node.module.replace('.', '/')}.py"
        source = (here if here.is_file() else None) if node.level else module(node.module)
        for alias in node.names if source is not None else ():
            if alias.name not in told(source)[0] and not module(f"{node.module}.{alias.name}"):
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {node.module} has no {alias.name}"


@pytest.mark.parametrize("place", sorted({path.relative_to(ROOT).parts[0] for path in TESTS}))
def test_what_a_test_imports_is_there(place: str) -> None:
    found = [said for path in TESTS if path.relative_to(ROOT).parts[0] == place for said in absent(path)]
    assert not found, "\n".join(found)
