"""Facts are read by name: no string key of a fact's data stands in a checker, a diagnosis or a report.

`core/` has the typed readers (`rollout`, `drift`, `fault`, `watched`, `runframe`, `undofacts`, `oldfacts`). The one
exception turns the whole vocabulary into sentences, from a table of templates.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from house.syntax import tree, walk

import rollproof

CODE = Path(rollproof.__file__).parent
MAY = {"reports/sentences.py"}


def is_data(node: ast.expr) -> bool:
    return getattr(node, "attr", "") == "data" or getattr(node, "id", "") == "data"


def reads(tree: ast.AST) -> Iterator[int]:
    """The lines that read one field of something called data by a string."""
    for node in walk(tree):
        if isinstance(node, ast.Subscript) and is_data(node.value):
            key: ast.expr | None = node.slice
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "get" and node.args:
            key = node.args[0] if is_data(getattr(node.func, "value", node)) else None
        else:
            continue
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield node.lineno


def test_the_search_finds_such_reads() -> None:
    told = 'a = event.data["uid"]\nb = data.get("ip", "")\nc = event.data\nd = numbers.get("x")\ne = data[0]\n'
    assert list(reads(ast.parse(told))) == [1, 2]


def test_no_checker_and_no_report_knows_a_field_of_a_fact() -> None:
    found = [
        f"{path.relative_to(CODE)}:{line}"
        for folder in ("judge", "reports")
        for path in sorted((CODE / folder).rglob("*.py"))
        if str(path.relative_to(CODE)) not in MAY
        for line in reads(tree(path))
    ]
    assert found == [], "give the field a name in core/, and ask for it there"
