"""What the watches show is in tests what it is: a stand-in of a few fields breaks when the type learns a word."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from house.syntax import walk

from rollproof.clients import argo
from rollproof.probes import views

ROOT = Path(__file__).resolve().parents[3]
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))
VIEWS = {
    name: frozenset(field.name for field in fields(kind))
    for module in (views, argo)
    for name, kind in vars(module).items()
    if isinstance(kind, type)
    and is_dataclass(kind)
    and kind.__module__ == module.__name__
    and name != "Argo"  # it asks; it is no view
}


def stand_ins(source: str) -> Iterator[tuple[int, str]]:
    """The lines where a SimpleNamespace has nothing but fields of one view, with that view's name."""
    for node in walk(ast.parse(source)) if "SimpleNamespace" in source else ():
        if not (isinstance(node, ast.Call) and ast.unparse(node.func).endswith("SimpleNamespace")):
            continue
        said = {keyword.arg for keyword in node.keywords}
        found = next((name for name, known in VIEWS.items() if said and said <= known), None)
        if found:
            yield node.lineno, found


def test_a_view_is_never_stood_for_by_a_namespace() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: make a {name} (tests/unit/views.py)"
        for path in TESTS for line, name in stand_ins(path.read_text(encoding="utf-8"))
    ]  # fmt: skip
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("SimpleNamespace(ip='1', ready=True)", "PodView"),
        ("types.SimpleNamespace(spec_replicas=2)", "DeploymentView"),
        ("SimpleNamespace(sync_status='Synced')", "ApplicationState"),
        ("SimpleNamespace(kube=None)", None),
        ("SimpleNamespace()", None),
    ],
)
def test_which_is_one(source: str, name: str | None) -> None:
    assert next((found for _, found in stand_ins(source)), None) == name
