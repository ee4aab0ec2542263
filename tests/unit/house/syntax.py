"""The source files as the house's rules search them: each is read and parsed once for all the searches of a process."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

__all__ = ["nodes", "source", "tree", "walk"]


@cache
def source(path: Path) -> str:
    """The text of a file."""
    return path.read_text(encoding="utf-8")


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a file. It is everybody's: nobody may change it."""
    return ast.parse(source(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of its syntax tree, in the order of `ast.walk`."""
    return tuple(walk(tree(path)))


def walk(root: ast.AST) -> list[ast.AST]:
    """What `ast.walk` gives, in its order, at half of its price: searching is most of what the house's rules cost."""
    found = [root]
    for node in found:  # it grows meanwhile
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                found.append(value)
            elif isinstance(value, list):
                found += [one for one in value if isinstance(one, ast.AST)]
    return found
