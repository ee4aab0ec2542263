"""What is not in every Python 3.11: Debian 12, the machine of the README, has 3.11.2, and CI a later one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from house.syntax import nodes, source

ROOT = Path(__file__).resolve().parents[3]
FOLDERS = ("src", "lab", "load", "tests", "bench", "chaos", "e2e", "reports")
SINCE_3_11_4 = {("extractall", "filter"), ("extract", "filter"), ("unpack_archive", "filter")}  # PEP 706


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_call_needs_a_later_python_than_the_oldest_of_its_line(folder: str) -> None:
    later = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.func.attr}({word.arg}=...)"
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "histories" not in path.parts and any(word in source(path) for _, word in SINCE_3_11_4)
        for node in nodes(path)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        for word in node.keywords
        if (node.func.attr, word.arg) in SINCE_3_11_4
    ]
    assert later == []
