"""Which pods serve is decided in one place; a second one would see another steady state."""

from __future__ import annotations

import ast
from pathlib import Path

from house.syntax import nodes

import rollproof

SOURCE = Path(rollproof.__file__).parent
MAY_ASK = {"probes/watches.py", "faults/node_away.py"}  # the place; and whether addresses are out of the Service


def test_nobody_else_compares_pods_with_the_addresses_of_the_service() -> None:
    asking = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        for node in nodes(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "endpoints"
    }
    assert asking == MAY_ASK, "ask Watches.serving()"
