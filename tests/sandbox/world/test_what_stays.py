"""`run release --sha X`: on PASS X stays, on FAIL what was before is back, unless somebody wants to look at it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from drills import Person
from sandboxes import Sandbox

from rollproof_sandbox.settings import SHAS

FIRST, _, THIRD = SHAS


@pytest.mark.parametrize(
    ("defects", "words", "code", "stays", "undo"),
    [
        ((), (), 0, THIRD, "kept"),
        (("--defect", "wrong-version"), (), 1, FIRST, "clean"),
        (("--defect", "wrong-version"), ("--on-fail", "keep"), 1, THIRD, "kept"),
    ],
    ids=["on PASS", "on FAIL", "on FAIL with keep"],
)
def test_what_stays(
    sandbox: Callable[..., Sandbox], defects: tuple[str, ...], words: tuple[str, ...], code: int, stays: str, undo: str
) -> None:
    one = sandbox(*defects)
    one.up()
    me = Person(one)
    ended, said = me.drill("release", "--sha", THIRD, *words)
    assert ended == code, said
    assert me.verdicts()["undo"] == undo
    assert me.tag() == stays
    assert me.versions() == {stays}
    assert me.holder() == ""
