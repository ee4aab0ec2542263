"""The source files as the house's rules search them: each is read and parsed once for all the searches of a process."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

__all__ = ["nodes", "source", "tree"]


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
    return tuple(ast.walk(tree(path)))
