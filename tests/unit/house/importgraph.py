"""Who imports whom, in `src/`: modules, the places at the top level of each package, circles.

`python tests/unit/house/importgraph.py src` prints the figures of docs/adr/007-layout.md.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

__all__ = ["Graph", "circle", "graph", "places", "statements"]

Graph = Mapping[str, set[str]]
Parse = Callable[[Path], ast.Module]
PACKAGES = ("rollproof", "rollproof_sandbox")


def modules(root: Path) -> dict[str, Path]:
    """Every module of both packages, by its name; a package is its `__init__.py`."""
    found = {}
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path, known: Mapping[str, Path], parsed: Parse) -> Iterator[str]:
    """What a module imports of the known, anywhere in it: also in functions, and for types only."""
    for node in statements(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in known or node.module in known:
                    yield inner if inner in known else str(node.module)


def statements(module: ast.Module) -> Iterator[ast.AST]:
    """All of them, also those inside of others: an import is one, so expressions need not be searched."""
    left: list[ast.AST] = [module]
    while left:
        node = left.pop()
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            left += getattr(node, part, ())


def graph(root: Path, parsed: Parse = _parsed) -> Graph:
    known = modules(root)
    return {name: {*imported(path, known, parsed)} - {name} for name, path in known.items()}


def places(of_modules: Graph) -> Graph:
    """The same between the places at the top level of each package: its folders, and what is loose beside them."""
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


def longest(of: Graph) -> int:
    """How many places are on the longest way down, where there is no circle."""
    depth: dict[str, int] = {}
    for name in TopologicalSorter(of).static_order():
        depth[name] = 1 + max((depth[other] for other in of[name]), default=0)
    return max(depth.values(), default=0)


def _print_figures(root: Path) -> None:
    of_modules = graph(root)
    print(f"a circle of modules: {circle(of_modules) or 'none'}")
    for package in PACKAGES:
        own = {name: others for name, others in places(of_modules).items() if name.startswith(f"{package}.")}
        inner = {name: {other for other in others if other in own} for name, others in own.items()}
        imports = sum(len(others) for others in inner.values())
        way = circle(inner) or f"longest way down {longest(inner)}"
        print(f"{package}: {len(inner)} places, {imports} imports between them; {way}")


if __name__ == "__main__":
    _print_figures(Path(sys.argv[1]))
